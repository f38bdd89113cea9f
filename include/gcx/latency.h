/* SPDX-License-Identifier: MIT */
/*
 * gcx/latency.h - when collections happen: not now, or now rather than later
 *
 * A no-GC region keeps the collector out until a deadline has passed, as long as
 * no more is allocated than was announced. Notifications tell a thread that a
 * collection is near, so that it can send work elsewhere, and that it is over.
 *
 *   if (gcx_no_gc_begin(4 << 20) == 0) {
 *     play(buffer);
 *     if (gcx_no_gc_end() != 0)
 *       puts("the budget was too small");
 *   }
 */
#ifndef GCX_LATENCY_H
#define GCX_LATENCY_H

#include <gcx/visibility.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim-pressure.h */

/**
 * gcx_no_gc_begin - no collection until so much was allocated
 * @bytes: by all threads together, from gcx or from bdwgc
 *
 * Collects first and makes sure that the heap has room. One region at a time,
 * for the whole process. It ends with gcx_no_gc_end(), or by itself: when more
 * than @bytes were allocated, and when gcx_collect() or a check is called.
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL (0, or more than an eighth of the address space); -ENOMEM:
 *            so much memory can't be had, there is no region; -EALREADY: there
 *            was one, and that is ended by this call
 * Fatal:     none
 * Ownership: the caller owes a gcx_no_gc_end()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no; collects
 */
GCX_API int gcx_no_gc_begin(size_t bytes);

/**
 * gcx_no_gc_end - collections as usual from here on
 *
 * Return:    0 if there was no collection since gcx_no_gc_begin(); or a negative
 *            errno, and the region is over all the same
 * Errors:    -EINVAL: no region is open; -ECANCELED: it was ended by a
 *            collection that was asked for; -ENOBUFS: more was allocated than
 *            announced
 * Fatal:     none
 * Ownership: ends the region
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_no_gc_end(void);

#endif /* GCX_DISABLE */

/**
 * gcx_collect_and_unmap - collect, and give unused memory back to the system
 *
 * For a program that goes idle.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_collect_and_unmap(void);

/**
 * gcx_notify_begin - from here on threads can wait for collections
 * @percent: a collection is near when so much of what triggers one was
 *           allocated; 1 to 99
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL
 * Fatal:     none
 * Ownership: gcx_notify_end() ends it
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_notify_begin(unsigned percent);

/**
 * gcx_notify_wait_approach - wait until a collection is near
 * @timeout_ms: at most so long; UINT64_MAX: for ever
 *
 * Seen when gcx allocates; what the program allocates from bdwgc itself counts
 * then. A collection that is asked for comes without warning.
 *
 * Return:    0: one is near; or a negative errno
 * Errors:    -ETIMEDOUT; -ECANCELED: gcx_notify_end() was called meanwhile;
 *            -EINVAL: not begun
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: no; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_notify_wait_approach(uint64_t timeout_ms);

/**
 * gcx_notify_wait_complete - wait until the next collection is over
 * @timeout_ms: at most so long; UINT64_MAX: for ever
 *
 * Return:    0: one took place since the call; or a negative errno
 * Errors:    as for gcx_notify_wait_approach()
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: no; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_notify_wait_complete(uint64_t timeout_ms);

/**
 * gcx_notify_end - wake all who wait, and no more notifications
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_notify_end(void);

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-pressure.h>
#endif

#endif
