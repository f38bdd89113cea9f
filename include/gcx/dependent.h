/* SPDX-License-Identifier: MIT */
/*
 * gcx/dependent.h - dependent handles: one ephemeron
 *
 * A dependent attaches one value to one target: the value is held while both the
 * target and the dependent are reachable, and the value may lead back to the
 * target. It is a gcx_table of one entry that borrows its value: nothing is
 * disposed when it ends.
 *
 *   struct gcx_dependent *d = gcx_dependent_create(window, notes);
 *   ...
 *   void *window, *notes;
 *   if (gcx_dependent_get(d, &window, &notes))
 *     ...
 */
#ifndef GCX_DEPENDENT_H
#define GCX_DEPENDENT_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_dependent;

/**
 * gcx_dependent_create - hold @value while @target lives
 * @target: start of an object of the collected heap; or NULL: there is nothing,
 *          and will be nothing
 * @value:  any pointer, NULL too; without a target it is not held
 *
 * Return:    the dependent; NULL on failure
 * Errors:    NULL and errno: ENOMEM; EINVAL: @target is not in the collected heap
 *            or points into an object
 * Fatal:     none
 * Ownership: borrows both; gcx_dispose() of the result is optional
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_dependent *gcx_dependent_create(void *target,
                                                   void *value) GCX_WARN_UNUSED;

/**
 * gcx_dependent_get - target and value, as they are at one moment
 * @d:          a dependent, or NULL
 * @ret_target: the target; or NULL
 * @ret_value:  the value; or NULL
 *
 * Return:    false if the target is gone, cleared, or there was none; nothing is
 *            set then
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @d is no dependent
 * Ownership: borrows @d; what is returned is reachable while the caller holds it
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_dependent_get(struct gcx_dependent *d, void **ret_target,
                               void **ret_value);

/**
 * gcx_dependent_set_value - another value
 * @d:     a dependent
 * @value: any pointer, NULL too
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL: @d has no target any more, is NULL or disposed
 * Fatal:     GCX-BAD-POINTER if @d is no dependent
 * Ownership: borrows both
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_dependent_set_value(struct gcx_dependent *d, void *value);

/**
 * gcx_dependent_clear - forget target and value
 * @d: a dependent, or NULL
 *
 * Return:    nothing
 * Errors:    none; any number of times
 * Fatal:     GCX-BAD-POINTER if @d is no dependent
 * Ownership: the value is not held any more
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_dependent_clear(struct gcx_dependent *d);

#ifdef __cplusplus
}
#endif

#endif
