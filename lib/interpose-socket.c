/* SPDX-License-Identifier: MIT */
/*
 * interpose-socket.c - in front of sockets with a time limit
 *
 * SO_RCVTIMEO and SO_SNDTIMEO; without one the kernel takes the call up again by
 * itself. interpose-limit.h says how.
 *
 * A connect() that was interrupted goes on by itself; made again, it tells how it
 * ended. (On a Unix socket it has not begun and waits for its whole limit again,
 * unless that has passed.)
 */
#include <sys/socket.h>

#include "interpose-limit.h"
#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  ssize_t (*recv)(int fd, void *to, size_t bytes, int flags);
  ssize_t (*recvfrom)(int fd, void *to, size_t bytes, int flags,
                      struct sockaddr *from, socklen_t *ret_bytes);
  ssize_t (*recvmsg)(int fd, struct msghdr *m, int flags);
  int (*recvmmsg)(int fd, struct mmsghdr *m, unsigned n, int flags,
                  struct timespec *limit);
  int (*accept)(int fd, struct sockaddr *from, socklen_t *ret_bytes);
  int (*accept4)(int fd, struct sockaddr *from, socklen_t *ret_bytes,
                 int flags);
  ssize_t (*send)(int fd, const void *from, size_t bytes, int flags);
  ssize_t (*sendto)(int fd, const void *from, size_t bytes, int flags,
                    const struct sockaddr *to, socklen_t to_bytes);
  ssize_t (*sendmsg)(int fd, const struct msghdr *m, int flags);
  int (*sendmmsg)(int fd, struct mmsghdr *m, unsigned n, int flags);
  int (*connect)(int fd, const struct sockaddr *to, socklen_t bytes);
  bool looked_up;
} socket_real;

static void __attribute__((constructor(101))) socket_look_up(void)
{
  GCX__WAIT_LOOK_UP(socket_real, recv);
  GCX__WAIT_LOOK_UP(socket_real, recvfrom);
  GCX__WAIT_LOOK_UP(socket_real, recvmsg);
  GCX__WAIT_LOOK_UP(socket_real, recvmmsg);
  GCX__WAIT_LOOK_UP(socket_real, accept);
  GCX__WAIT_LOOK_UP(socket_real, accept4);
  GCX__WAIT_LOOK_UP(socket_real, send);
  GCX__WAIT_LOOK_UP(socket_real, sendto);
  GCX__WAIT_LOOK_UP(socket_real, sendmsg);
  GCX__WAIT_LOOK_UP(socket_real, sendmmsg);
  GCX__WAIT_LOOK_UP(socket_real, connect);
  socket_real.looked_up = true;
}

static const struct gcx__limit_kind socket_reading = { SO_RCVTIMEO, POLLIN,
                                                       EAGAIN, false };
static const struct gcx__limit_kind socket_writing = { SO_SNDTIMEO, POLLOUT,
                                                       EAGAIN, false };
static const struct gcx__limit_kind socket_connecting = { SO_SNDTIMEO, POLLOUT,
                                                          EINPROGRESS, false };

/* A library whose constructor runs before ours may wait there. */
static struct gcx__limit socket_begin(void)
{
  if (GCX_UNLIKELY(!socket_real.looked_up))
    socket_look_up();
  return gcx__limit_begin();
}

#define SOCKET_CALL(type, fd, kind, call) \
  GCX__LIMIT_CALL(type, socket_begin(), fd, kind, call)

/* ---- reading */

GCX__WAIT_EXPORT ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
  SOCKET_CALL(ssize_t, fd, &socket_reading,
              socket_real.recv(fd, to, bytes, flags));
}

GCX__WAIT_EXPORT ssize_t recvfrom(int fd, void *to, size_t bytes, int flags,
                                  __SOCKADDR_ARG from, socklen_t *ret_bytes)
{
  SOCKET_CALL(
      ssize_t, fd, &socket_reading,
      socket_real.recvfrom(fd, to, bytes, flags, from.__sockaddr__, ret_bytes));
}

GCX__WAIT_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
  SOCKET_CALL(ssize_t, fd, &socket_reading, socket_real.recvmsg(fd, m, flags));
}

/* The kernel looks at @limit after each message, and makes it what is left. */
GCX__WAIT_EXPORT int recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags,
                              struct timespec *limit)
{
  struct gcx__limit l = socket_begin();
  uint64_t ns = gcx__wait_ns(limit);
  struct timespec left;
  int result = socket_real.recvmmsg(fd, m, n, flags, limit);

  while (result < 0 && gcx__limit_again(&l, fd, &socket_reading)) {
    if (ns == GCX__WAIT_FOREVER) {
      result = socket_real.recvmmsg(fd, m, n, flags, limit);
      continue;
    }
    left = gcx__limit_rest(&l, ns);
    result = socket_real.recvmmsg(fd, m, n, flags, &left);
    if (result >= 0)
      *limit = left;
  }
  return result;
}

GCX__WAIT_EXPORT int accept(int fd, __SOCKADDR_ARG from, socklen_t *ret_bytes)
{
  SOCKET_CALL(int, fd, &socket_reading,
              socket_real.accept(fd, from.__sockaddr__, ret_bytes));
}

GCX__WAIT_EXPORT int accept4(int fd, __SOCKADDR_ARG from, socklen_t *ret_bytes,
                             int flags)
{
  SOCKET_CALL(int, fd, &socket_reading,
              socket_real.accept4(fd, from.__sockaddr__, ret_bytes, flags));
}

/* glibc's, for programs built with _FORTIFY_SOURCE */
GCX__WAIT_EXPORT ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room,
                                    int flags);
GCX__WAIT_EXPORT ssize_t __recvfrom_chk(int fd, void *to, size_t bytes,
                                        size_t room, int flags,
                                        struct sockaddr *from,
                                        socklen_t *ret_bytes);

ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room, int flags)
{
  if (bytes > room)
    __chk_fail();
  return recv(fd, to, bytes, flags);
}

ssize_t __recvfrom_chk(int fd, void *to, size_t bytes, size_t room, int flags,
                       struct sockaddr *from, socklen_t *ret_bytes)
{
  if (bytes > room)
    __chk_fail();
  return recvfrom(fd, to, bytes, flags, from, ret_bytes);
}

/* ---- writing */

GCX__WAIT_EXPORT ssize_t send(int fd, const void *from, size_t bytes, int flags)
{
  SOCKET_CALL(ssize_t, fd, &socket_writing,
              socket_real.send(fd, from, bytes, flags));
}

GCX__WAIT_EXPORT ssize_t sendto(int fd, const void *from, size_t bytes,
                                int flags, __CONST_SOCKADDR_ARG to,
                                socklen_t to_bytes)
{
  SOCKET_CALL(
      ssize_t, fd, &socket_writing,
      socket_real.sendto(fd, from, bytes, flags, to.__sockaddr__, to_bytes));
}

GCX__WAIT_EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
  SOCKET_CALL(ssize_t, fd, &socket_writing, socket_real.sendmsg(fd, m, flags));
}

GCX__WAIT_EXPORT int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
  SOCKET_CALL(int, fd, &socket_writing, socket_real.sendmmsg(fd, m, n, flags));
}

GCX__WAIT_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t bytes)
{
  const struct sockaddr *name = to.__sockaddr__;
  bool is_local = name != NULL && name->sa_family == AF_UNIX;

  SOCKET_CALL(int, fd, is_local ? &socket_writing : &socket_connecting,
              socket_real.connect(fd, name, bytes));
}

#endif
