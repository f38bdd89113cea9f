/* SPDX-License-Identifier: MIT */
/*
 * gcx/weak.h - weak references: they know an object and do not keep it
 *
 * A weak reference gives its target back as long as something else keeps it, and
 * NULL afterwards, for ever. A short one is NULL as soon as the target was first
 * found unreachable, before a finalizer sees it; a long one only when the target
 * is really gone, also after a finalizer has brought it back to life.
 *
 * What gcx_weak_get() returns is an ordinary pointer: it keeps the target for as
 * long as it is held. Ask once, test, use:
 *
 *   struct gcx_weak *w = gcx_weak_create(view, GCX_WEAK_SHORT);
 *   ...
 *   struct view *v = gcx_weak_get(w);
 *   if (v != NULL)
 *     view_update(v);
 *
 * A weak reference is itself an object; disposing it is optional.
 */
#ifndef GCX_WEAK_H
#define GCX_WEAK_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GCX_WEAK_SHORT 0 /* NULL before the target's finalizer runs */
#define GCX_WEAK_LONG 1  /* NULL when the target is gone */

struct gcx_weak;

/**
 * gcx_weak_create - a weak reference
 * @target: start of an object of the collected heap, gcx's or bdwgc's; or NULL
 * @kind:   GCX_WEAK_SHORT or GCX_WEAK_LONG, for ever
 *
 * Return:    the reference; NULL on failure
 * Errors:    NULL and errno: ENOMEM; EINVAL: @target is not in the collected heap
 *            or points into an object; @kind is neither
 * Fatal:     none
 * Ownership: borrows @target; gcx_dispose() of the result is optional
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_weak *gcx_weak_create(void *target,
                                         int kind) GCX_WARN_UNUSED;

/**
 * gcx_weak_get - strong pointer to the target, or NULL once it was collected
 * @w: weak reference made by gcx_weak_create(), or NULL
 *
 * The pointer is safe from the moment it is returned, also against a collection
 * that runs at the same time.
 *
 * Return:    pointer, valid while reachable; NULL after the target died, or if
 *            @w has no target, is disposed or NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @w is no weak reference
 * Ownership: borrows @w
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void *gcx_weak_get(const struct gcx_weak *w);

/**
 * gcx_weak_set - another target
 * @w:      weak reference made by gcx_weak_create()
 * @target: as there; NULL: none
 *
 * The kind stays. A gcx_weak_get() at the same time returns the one or the other.
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL: @target is not in the collected heap or points into an
 *            object; @w is NULL or disposed; nothing changed
 * Fatal:     GCX-BAD-POINTER if @w is no weak reference
 * Ownership: borrows both
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_weak_set(struct gcx_weak *w, void *target);

#ifdef __cplusplus
}
#endif

#endif
