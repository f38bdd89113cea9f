/* SPDX-License-Identifier: MIT */
/*
 * gcx/collector.h - collections, checks, verdicts
 *
 * Findings appear after any collection, also automatic ones, with no call from
 * the program: a lost object is noticed by the collector, kept whole, and
 * reported on gcx's finalizer thread. These functions force the moment, for
 * tests and for places where a program is idle.
 *
 *   parse(file);
 *   if (gcx_check() != 0)
 *     return EXIT_FAILURE;       something was lost on the way
 */
#ifndef GCX_COLLECTOR_H
#define GCX_COLLECTOR_H

#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What gcx_verdict() answers. */
#define GCX_CLEAN 0         /* nothing was lost */
#define GCX_ABANDONED 1     /* something was */
#define GCX_INDETERMINATE 2 /* it can't be told: never take it for clean */

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */
/**
 * gcx_init - initialise now
 *
 * Optional: the first use of gcx does it.
 *
 * Return:    nothing
 * Errors:    none; a bad GCX_OPTIONS prints one line and ends the process with
 *            status 2
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a signal handler: no
 * Allocates: yes
 */
GCX_API void gcx_init(void);
#endif

/**
 * gcx_collect - a full collection
 *
 * All its findings are queued when it returns; gcx_wait_for_finalizers() waits
 * until they have been reported. Pointers left over in the dead part of the
 * calling thread's stack are wiped first.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_collect(void);

/**
 * gcx_wait_for_finalizers - wait until what is queued has been dealt with
 * @timeout_ms: at most that long; UINT64_MAX: for ever
 *
 * Reports, disposals and finalizers of every collection that had ended at the
 * call. Returns at once on the finalizer thread.
 *
 * Return:    false if the time ran out
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_wait_for_finalizers(uint64_t timeout_ms);

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */
/**
 * gcx_shutting_down - is the process exiting?
 *
 * True once gcx's own work at exit has begun: after the functions that the program
 * has given to atexit(). From then on no finalizer runs, unless
 * critical_at_exit=1, and nothing is disposed by gcx; objects that a critical
 * finalizer refers to may be gone.
 *
 * Return:    true or false
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API bool gcx_shutting_down(void);
#endif

/**
 * gcx_check - collect, wait, report: how many objects were lost?
 *
 * Return:    abandoned objects found since the last check, by any collection
 * Errors:    none; see gcx_verdict() for what 0 is worth
 * Fatal:     GCX-LEAK with leak=abort
 * Ownership: none
 * Threads:   any thread; in a finalizer: no; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_check(void);

/**
 * gcx_verdict - gcx_check() that knows whether it can be trusted
 *
 * First loses some objects of its own and looks whether the collector finds
 * them; asks whether every collection was seen and every root was scanned.
 *
 * Return:    GCX_CLEAN, GCX_ABANDONED or GCX_INDETERMINATE (a note in the log
 *            says why)
 * Errors:    none
 * Fatal:     GCX-LEAK with leak=abort
 * Ownership: none
 * Threads:   any thread; in a finalizer: no; in a signal handler: no
 * Allocates: yes
 */
GCX_API int gcx_verdict(void);

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */
/**
 * gcx_breadcrumb - marks progress for the "lost between" window of a report
 * @fmt: as for printf; 95 bytes of the result are kept
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: copies the text
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_breadcrumb(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
#endif

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */
/**
 * gcx_fork_adopt - the child of a fork takes over the parent's objects
 *
 * After fork() what was allocated before belongs to the parent: losing it in the
 * child is silent. A child that goes on in the parent's place (a daemon) adopts
 * it. daemon() does so by itself.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: the child owes the disposals now
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_fork_adopt(void);
#endif

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-hints.h>
#endif

#endif
