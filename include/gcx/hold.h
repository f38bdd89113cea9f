/* SPDX-License-Identifier: MIT */
/*
 * gcx/hold.h - holds: an object is kept until the hold is disposed
 *
 * For holders that no collector sees: the data word of epoll, a device, another
 * process. What such a holder gets is the hold; the hold keeps the object and
 * itself, whether anything in the program still points to it or not. That ends
 * with gcx_dispose() of the hold and with nothing else: a hold that is never
 * disposed is never lost, since it still holds. exit_check=undisposed lists it.
 *
 *   struct gcx_hold *h = gcx_hold_create(conn);
 *   struct epoll_event e = { .events = EPOLLIN, .data.ptr = h };
 *   epoll_ctl(ep, EPOLL_CTL_ADD, conn->fd, &e);
 *   ...
 *   struct conn *c = gcx_hold_get(e.data.ptr);
 *   ...
 *   gcx_dispose(h);      conn is kept no more
 */
#ifndef GCX_HOLD_H
#define GCX_HOLD_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_hold;

/**
 * gcx_hold_create - keep an object until the hold is disposed
 * @obj: an object of the collected heap, gcx's or bdwgc's; a pointer into one
 *       keeps the whole object
 *
 * Return:    the hold; NULL on failure
 * Errors:    NULL and errno: ENOMEM; EINVAL: @obj is not in the collected heap
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose() of the result; @obj is shared: its
 *            own disposal is owed as before
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_hold *gcx_hold_create(void *obj) GCX_WARN_UNUSED;

/**
 * gcx_hold_get - what the hold keeps
 * @h: hold made by gcx_hold_create(), or NULL
 *
 * Return:    the object; NULL if @h is disposed or NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @h is no hold
 * Ownership: borrows @h
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void *gcx_hold_get(const struct gcx_hold *h);

#ifdef __cplusplus
}
#endif

#endif
