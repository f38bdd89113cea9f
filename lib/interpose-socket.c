/* SPDX-License-Identifier: MIT */
/*
 * interpose-socket.c - in front of sockets with a time limit
 *
 * SO_RCVTIMEO and SO_SNDTIMEO; without one the kernel takes the call up again by
 * itself. interpose-wait.h says how. None of these calls has a mask: after an
 * EINTR it is ppoll() that waits, for the time that is left, and then the call is
 * made again. The limit counts from the beginning; it is asked for only then.
 *
 * A connect() that was interrupted goes on by itself; made again, it tells how it
 * ended. (On a Unix socket it has not begun and waits for its whole limit again,
 * unless that has passed.)
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "interpose-wait.h"
#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  int (*ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *limit,
               const sigset_t *mask);
  ssize_t (*recv)(int fd, void *to, size_t bytes, int flags);
  ssize_t (*recvfrom)(int fd, void *to, size_t bytes, int flags,
                      struct sockaddr *from, socklen_t *ret_bytes);
  ssize_t (*recvmsg)(int fd, struct msghdr *m, int flags);
  int (*accept)(int fd, struct sockaddr *from, socklen_t *ret_bytes);
  int (*accept4)(int fd, struct sockaddr *from, socklen_t *ret_bytes,
                 int flags);
  ssize_t (*send)(int fd, const void *from, size_t bytes, int flags);
  ssize_t (*sendto)(int fd, const void *from, size_t bytes, int flags,
                    const struct sockaddr *to, socklen_t to_bytes);
  ssize_t (*sendmsg)(int fd, const struct msghdr *m, int flags);
  int (*connect)(int fd, const struct sockaddr *to, socklen_t bytes);
  bool looked_up;
} socket_real;

static void __attribute__((constructor(101))) socket_look_up(void)
{
  GCX__WAIT_LOOK_UP(socket_real, ppoll);
  GCX__WAIT_LOOK_UP(socket_real, recv);
  GCX__WAIT_LOOK_UP(socket_real, recvfrom);
  GCX__WAIT_LOOK_UP(socket_real, recvmsg);
  GCX__WAIT_LOOK_UP(socket_real, accept);
  GCX__WAIT_LOOK_UP(socket_real, accept4);
  GCX__WAIT_LOOK_UP(socket_real, send);
  GCX__WAIT_LOOK_UP(socket_real, sendto);
  GCX__WAIT_LOOK_UP(socket_real, sendmsg);
  GCX__WAIT_LOOK_UP(socket_real, connect);
  socket_real.looked_up = true;
}

/* What a call waits for, and what it says when the time has passed. */
struct socket_kind {
  int option;   /* of the limit */
  short events; /* for poll() */
  int timeout;  /* errno */
};
static const struct socket_kind socket_reading = { SO_RCVTIMEO, POLLIN,
                                                   EAGAIN };
static const struct socket_kind socket_writing = { SO_SNDTIMEO, POLLOUT,
                                                   EAGAIN };
static const struct socket_kind socket_connecting = { SO_SNDTIMEO, POLLOUT,
                                                      EINPROGRESS };

struct socket_wait {
  struct gcx__wait w;
  uint64_t begun;
};

/* A library whose constructor runs before ours may wait there. */
static struct socket_wait socket_begin(void)
{
  struct socket_wait s;

  if (GCX_UNLIKELY(!socket_real.looked_up))
    socket_look_up();
  s.w = gcx__wait_begin(GCX__WAIT_FOREVER);
  s.begun = gcx__now_ns();
  return s;
}

static void socket_ask_limit(struct socket_wait *s, int fd,
                             const struct socket_kind *kind)
{
  struct timeval t = { 0, 0 };
  socklen_t bytes = sizeof t;

  if (getsockopt(fd, SOL_SOCKET, kind->option, &t, &bytes) == 0 &&
      (t.tv_sec != 0 || t.tv_usec != 0))
    s->w.until = s->begun + (uint64_t)t.tv_sec * GCX__WAIT_NS +
                 (uint64_t)t.tv_usec * 1000;
}

/* After an EINTR: is the call to be made again? If not, errno is what it would
 * have said. */
static bool socket_is_ready(struct socket_wait *s, int fd,
                            const struct socket_kind *kind)
{
  struct pollfd p = { .fd = fd, .events = kind->events };
  struct timespec limit;
  int result = -1;

  if (s->w.until == GCX__WAIT_FOREVER)
    socket_ask_limit(s, fd, kind);
  while (result < 0 && gcx__wait_again(&s->w, errno))
    result =
        socket_real.ppoll(&p, 1, gcx__wait_limit(&s->w, &limit), &s->w.mask);
  gcx__wait_end(&s->w);
  s->w.blocked = false;
  if (result == 0 || (result > 0 && gcx__wait_left(&s->w) == 0)) {
    errno = kind->timeout;
    return false;
  }
  return result > 0;
}

static inline bool socket_again(struct socket_wait *s, int fd,
                                const struct socket_kind *kind)
{
  return GCX_UNLIKELY(errno == EINTR) && gcx__signal_only_stops(&s->w.mark) &&
         socket_is_ready(s, fd, kind);
}

#define SOCKET_CALL(type, fd, kind, call)                 \
  do {                                                    \
    struct socket_wait s = socket_begin();                \
    type result;                                          \
                                                          \
    do                                                    \
      result = (call);                                    \
    while (result < 0 && socket_again(&s, (fd), (kind))); \
    return result;                                        \
  } while (0)

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

GCX__WAIT_EXPORT int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t bytes)
{
  const struct sockaddr *name = to.__sockaddr__;
  bool is_local = name != NULL && name->sa_family == AF_UNIX;

  SOCKET_CALL(int, fd, is_local ? &socket_writing : &socket_connecting,
              socket_real.connect(fd, name, bytes));
}

#endif
