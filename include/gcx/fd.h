/* SPDX-License-Identifier: MIT */
/*
 * gcx/fd.h - descriptors and sockets as safe handles
 *
 * Handles of gcx/handle.h whose raw value is the number; reports show the path
 * and the mode, or the peer. The descriptors are opened close-on-exec.
 *
 *   struct gcx_handle *h = gcx_fd_open("/etc/hosts", O_RDONLY, 0);
 *   intptr_t fd;
 *   if (gcx_handle_acquire(h, &fd)) {
 *     n = read((int)fd, buf, sizeof buf);
 *     gcx_handle_release(h);
 *   }
 *   gcx_dispose(h);
 */
#ifndef GCX_FD_H
#define GCX_FD_H

#include <gcx/handle.h>
#include <gcx/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim-file.h */

/**
 * gcx_fd_open - open(), as a handle
 * @path:  of the file
 * @flags: as for open(); O_CLOEXEC is added
 * @mode:  of a file that is created
 *
 * Return:    the handle; NULL
 * Errors:    NULL and errno: ENOMEM, and what open() sets
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose(); gcx_close() tells how closing went
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle *gcx_fd_open(const char *path, int flags,
                                       unsigned mode) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_fd_wrap - a descriptor that is open already, as a handle
 * @fd:   the descriptor; -1 gives a handle that is invalid
 * @owns: is it closed with the handle?
 *
 * Return:    the handle; NULL: @fd is still the caller's to close
 * Errors:    NULL and errno ENOMEM
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose() if @owns
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle *gcx_fd_wrap(int fd, bool owns) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_socket_open - socket(), as a handle
 * @domain:   as for socket()
 * @type:     as for socket(); SOCK_CLOEXEC is added
 * @protocol: as for socket()
 *
 * Return:    the handle; NULL
 * Errors:    NULL and errno: ENOMEM, and what socket() sets
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle *gcx_socket_open(int domain, int type,
                                           int protocol) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_socket_accept - accept(), from handle to handle
 * @listener: handle of a listening socket
 *
 * Waits as accept() does; the listener is not closed meanwhile.
 *
 * Return:    the handle of the connection; NULL
 * Errors:    NULL and errno: ENOMEM; EBADF (@listener is closed or NULL); what
 *            accept() sets
 * Fatal:     GCX-BAD-POINTER when @listener is no handle
 * Ownership: the caller owes a gcx_dispose(); borrows @listener
 * Threads:   any thread; in a finalizer: no, it waits; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle *gcx_socket_accept(struct gcx_handle *listener)
    GCX_WARN_UNUSED GCX_ENDED_BY(gcx_dispose);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-file.h>
#endif

#endif
