/* SPDX-License-Identifier: MIT */
/*
 * gcx/owner.h - ownership: disposing the owner disposes what it owns
 *
 * An object may own others; each has at most one owner. The owner keeps them
 * alive. Disposing it runs its own dispose function first and then disposes what
 * it still owns, latest first; a function that needs its children gone first
 * calls gcx_dispose_owned() in its first line. A child can be disposed alone at
 * any time. Cycles are harmless: each object is disposed once.
 *
 *   struct request *r = gcx_new(&request_type);
 *   r->body = gcx_alloc(n);
 *   gcx_own(r, r->body);
 *   ...
 *   gcx_dispose(r);      the body too
 */
#ifndef GCX_OWNER_H
#define GCX_OWNER_H

#include <gcx/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim.h */

/**
 * gcx_own - @owner holds @child from now on
 * @owner: an object that is not disposed
 * @child: another object that is not disposed and has no owner
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM: nothing changed; -EBUSY: @child has an owner; -EINVAL:
 *            NULL, the same object twice, or one of them is disposed
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: @owner takes over the duty to dispose @child
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_own(void *owner, void *child);

/**
 * gcx_disown - @owner holds @child no more
 * @owner: its owner; anything else is harmless
 * @child: an object, or NULL
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: the caller owes a gcx_dispose(@child) again
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_disown(void *owner, void *child);

/**
 * gcx_dispose_owned - dispose what an object owns, latest first
 * @owner: an object, disposed or not, or NULL
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: the children's duties end
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_dispose_owned(void *owner);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim.h>
#endif

#endif
