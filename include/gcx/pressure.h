/* SPDX-License-Identifier: MIT */
/*
 * gcx/pressure.h - memory and handles that the collector does not see
 *
 * A small object may stand for a large thing: a decoded image, a texture, one of
 * ten licences. The collector counts its few bytes and sees no reason to
 * collect, while lost ones pile up. Pressure tells it of the bytes; a handle
 * collector counts things and collects when there are too many. Either only
 * asks for collections, and never for more than a fifth of the time.
 *
 *   struct image *i = gcx_new(&image_type);
 *   i->pixels = decode(path, &i->bytes);
 *   gcx_pressure_attach(i, i->bytes);      taken back when it is disposed
 */
#ifndef GCX_PRESSURE_H
#define GCX_PRESSURE_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim-pressure.h */

/**
 * gcx_pressure_add - so many bytes more hang on collected objects
 * @bytes: outside the collected heap
 *
 * Collects when what was added since the last collection is as much as the
 * budget: 4 MiB or a third of the heap, up to ten times as much if earlier
 * collections did not lead to removals; but only after five times as long as
 * the last such collection took, so that these take at most a fifth of the
 * time. Whoever adds must remove the same; gcx_pressure_attach() does.
 *
 * Return:    nothing
 * Errors:    none (the sum saturates)
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no; may collect
 */
GCX_API void gcx_pressure_add(size_t bytes);

/**
 * gcx_pressure_remove - so many bytes less
 * @bytes: as were added; the sum does not fall below 0
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_pressure_remove(size_t bytes);

/**
 * gcx_pressure_attach - pressure that ends with an object
 * @obj:   an object that is not disposed
 * @bytes: what hangs on it, in place of what was said before; 0: nothing
 *
 * Its disposal takes the pressure back, and so does the collector when it frees
 * an object without a duty: the sum can't drift.
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM: nothing changed; -EINVAL (NULL, disposed)
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @obj
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap; may collect
 */
GCX_API int gcx_pressure_attach(void *obj, size_t bytes);

struct gcx_handle_collector; /* an object without a duty */

/**
 * gcx_handle_collector_create - collect when there are too many of something
 * @name:    for people; copied; may be NULL
 * @initial: so many are no reason to collect
 * @maximum: the threshold never rises above it
 *
 * Return:    the collector; NULL
 * Errors:    NULL and errno: EINVAL (@initial above @maximum); ENOMEM
 * Fatal:     none
 * Ownership: the collector's; it need not be disposed
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle_collector *gcx_handle_collector_create(
    const char *name, size_t initial, size_t maximum) GCX_WARN_UNUSED;

/**
 * gcx_handle_collector_add - one more
 * @c: a handle collector
 *
 * Above the threshold it collects and lets what was lost be disposed
 * (leak=dispose) for up to a tenth of a second. The threshold then becomes a
 * tenth more than what is left, at most the maximum. Call it before taking the
 * thing, so that there is a free one.
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL (NULL, disposed); -EOVERFLOW
 * Fatal:     GCX-BAD-POINTER for what is no handle collector
 * Ownership: borrows @c
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no; may collect
 */
GCX_API int gcx_handle_collector_add(struct gcx_handle_collector *c);

/**
 * gcx_handle_collector_remove - one less
 * @c: a handle collector
 *
 * The threshold sinks with the count, down to its initial value.
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL (NULL, disposed, none was added)
 * Fatal:     GCX-BAD-POINTER for what is no handle collector
 * Ownership: borrows @c
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_handle_collector_remove(struct gcx_handle_collector *c);

/**
 * gcx_handle_collector_count - how many there are
 * @c: a handle collector, or NULL
 *
 * Return:    added and not removed; 0 for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER for what is no handle collector
 * Ownership: borrows @c
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_handle_collector_count(const struct gcx_handle_collector *c);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-pressure.h>
#endif

#endif
