/* SPDX-License-Identifier: MIT */
/*
 * redirect-fd.c - descriptors of a program with gcx/malloc.h: the C library's
 *                 calls, entered into the ledger (fd.h)
 *
 * Each tries once more if descriptors had run out and lost objects could be made
 * to give some back (exhaust.h). What a call returns, and errno, is the C
 * library's.
 */
#include "redirect.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "exhaust.h"
#include "fd.h"

/* glibc's, for programs built with _FORTIFY_SOURCE: they end a program that
 * creates a file without a mode */
extern int __open_2(const char *path, int flags);
extern int __openat_2(int dir, const char *path, int flags);

/* Returns @fd, which is -1 or open from now on. */
static int redirect_opened(int fd, const struct gcx__frame *start)
{
  int saved = errno;

  if (fd >= 0)
    gcx__fd_opened(fd, GCX_FD_PLAIN, 0, gcx__fd_site(start));
  errno = saved;
  return fd;
}

static int redirect_opened_two(int result, const int fds[2],
                               const struct gcx__frame *start)
{
  if (result == 0) {
    (void)redirect_opened(fds[0], start);
    (void)redirect_opened(fds[1], start);
  }
  return result;
}

/* @call, entered into the ledger. */
#define REDIRECT_OPEN(call)                        \
  do {                                             \
    struct gcx__frame start = GCX__CALLER_FRAME(); \
    int fd;                                        \
                                                   \
    GCX__WITH_ROOM(fd, call, fd >= 0);             \
    return redirect_opened(fd, &start);            \
  } while (0)

#define REDIRECT_OPEN_TWO(call)                          \
  do {                                                   \
    struct gcx__frame start = GCX__CALLER_FRAME();       \
    int result;                                          \
                                                         \
    GCX__WITH_ROOM(result, call, result == 0);           \
    return redirect_opened_two(result, ret_fds, &start); \
  } while (0)

static bool redirect_has_mode(int flags)
{
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int gcx_redirect_open(const char *path, int flags, ...)
{
  mode_t mode = 0;
  va_list ap;

  if (redirect_has_mode(flags)) {
    va_start(ap, flags);
    mode = va_arg(ap, mode_t);
    va_end(ap);
  }
  REDIRECT_OPEN(open(path, flags, mode));
}

int gcx_redirect_open_2(const char *path, int flags)
{
  REDIRECT_OPEN(__open_2(path, flags));
}

int gcx_redirect_openat(int dir, const char *path, int flags, ...)
{
  mode_t mode = 0;
  va_list ap;

  if (redirect_has_mode(flags)) {
    va_start(ap, flags);
    mode = va_arg(ap, mode_t);
    va_end(ap);
  }
  REDIRECT_OPEN(openat(dir, path, flags, mode));
}

int gcx_redirect_openat_2(int dir, const char *path, int flags)
{
  REDIRECT_OPEN(__openat_2(dir, path, flags));
}

int gcx_redirect_creat(const char *path, mode_t mode)
{
  REDIRECT_OPEN(creat(path, mode));
}

int gcx_redirect_socket(int domain, int type, int protocol)
{
  REDIRECT_OPEN(socket(domain, type, protocol));
}

int gcx_redirect_accept(int fd_listening, struct sockaddr *ret_peer,
                        socklen_t *peer_bytes)
{
  REDIRECT_OPEN(accept(fd_listening, ret_peer, peer_bytes));
}

int gcx_redirect_accept4(int fd_listening, struct sockaddr *ret_peer,
                         socklen_t *peer_bytes, int flags)
{
  REDIRECT_OPEN(accept4(fd_listening, ret_peer, peer_bytes, flags));
}

int gcx_redirect_socketpair(int domain, int type, int protocol, int ret_fds[2])
{
  REDIRECT_OPEN_TWO(socketpair(domain, type, protocol, ret_fds));
}

int gcx_redirect_pipe(int ret_fds[2])
{
  REDIRECT_OPEN_TWO(pipe(ret_fds));
}

int gcx_redirect_pipe2(int ret_fds[2], int flags)
{
  REDIRECT_OPEN_TWO(pipe2(ret_fds, flags));
}

int gcx_redirect_dup(int from)
{
  REDIRECT_OPEN(dup(from));
}

/* What @to was is closed by the same call: if a stream or a handle had it, it
 * has it still, as another file. Of the three errors only ENOMEM can happen, for
 * a table that has to grow: a number beyond the limit is EBADF. */
int gcx_redirect_dup2(int from, int to)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int fd;

  GCX__WITH_ROOM(fd, dup2(from, to), fd >= 0);
  return from == to || gcx__fd_is_owned(to) ? fd : redirect_opened(fd, &start);
}

int gcx_redirect_dup3(int from, int to, int flags)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int fd;

  GCX__WITH_ROOM(fd, dup3(from, to, flags), fd >= 0);
  return gcx__fd_is_owned(to) ? fd : redirect_opened(fd, &start);
}

int gcx_redirect_epoll_create1(int flags)
{
  REDIRECT_OPEN(epoll_create1(flags));
}

int gcx_redirect_eventfd(unsigned value, int flags)
{
  REDIRECT_OPEN(eventfd(value, flags));
}

int gcx_redirect_timerfd_create(int clock, int flags)
{
  REDIRECT_OPEN(timerfd_create(clock, flags));
}

int gcx_redirect_memfd_create(const char *name, unsigned flags)
{
  REDIRECT_OPEN(memfd_create(name, flags));
}

int gcx_redirect_close(int fd)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return gcx__fd_close(fd, &start);
}

/* A sweep, and meant: nothing is reported. */
int gcx_redirect_close_range(unsigned first, unsigned last, int flags)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int result = close_range(first, last, flags);
  int saved = errno;

  if (result == 0 && (flags & (int)CLOSE_RANGE_CLOEXEC) == 0)
    gcx__fd_closed_range(first, last, gcx__fd_site(&start));
  errno = saved;
  return result;
}
