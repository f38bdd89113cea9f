/* SPDX-License-Identifier: MIT */
/*
 * interpose-ready.c - in front of poll(), select() and epoll_wait()
 *
 * interpose-wait.h says how. The second wait of each is by the form that takes a
 * mask.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "interpose-wait.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  int (*poll)(struct pollfd *fds, nfds_t n, int ms);
  int (*ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *limit,
               const sigset_t *mask);
  int (*select)(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *limit);
  int (*pselect)(int n, fd_set *r, fd_set *w, fd_set *e,
                 const struct timespec *limit, const sigset_t *mask);
  int (*epoll_wait)(int fd, struct epoll_event *events, int n, int ms);
  int (*epoll_pwait)(int fd, struct epoll_event *events, int n, int ms,
                     const sigset_t *mask);
  int (*epoll_pwait2)(int fd, struct epoll_event *events, int n,
                      const struct timespec *limit, const sigset_t *mask);
  bool looked_up;
} ready_real;

static void __attribute__((constructor(101))) ready_look_up(void)
{
  GCX__WAIT_LOOK_UP(ready_real, poll);
  GCX__WAIT_LOOK_UP(ready_real, ppoll);
  GCX__WAIT_LOOK_UP(ready_real, select);
  GCX__WAIT_LOOK_UP(ready_real, pselect);
  GCX__WAIT_LOOK_UP(ready_real, epoll_wait);
  GCX__WAIT_LOOK_UP(ready_real, epoll_pwait);
  GCX__WAIT_LOOK_UP(ready_real, epoll_pwait2);
  ready_real.looked_up = true;
}

/* A library whose constructor runs before ours may wait there. */
static struct gcx__wait ready_begin(uint64_t ns)
{
  if (GCX_UNLIKELY(!ready_real.looked_up))
    ready_look_up();
  return gcx__wait_begin(ns);
}

static uint64_t ready_ms(int ms)
{
  return ms < 0 ? GCX__WAIT_FOREVER : (uint64_t)ms * 1000000;
}

static int ready_poll(struct gcx__wait *w, struct pollfd *fds, nfds_t n,
                      const sigset_t *mask, int result)
{
  struct timespec limit;

  while (result < 0 && gcx__wait_again(w, errno))
    result = ready_real.ppoll(fds, n, gcx__wait_limit(w, &limit),
                              mask != NULL ? mask : &w->mask);
  gcx__wait_end(w);
  return result;
}

GCX__WAIT_EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
  struct gcx__wait w = ready_begin(ready_ms(ms));

  return ready_poll(&w, fds, n, NULL, ready_real.poll(fds, n, ms));
}

GCX__WAIT_EXPORT int ppoll(struct pollfd *fds, nfds_t n,
                           const struct timespec *limit, const sigset_t *mask)
{
  struct gcx__wait w = ready_begin(gcx__wait_ns(limit));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return ready_poll(&w, fds, n, mask, ready_real.ppoll(fds, n, limit, mask));
}

/* glibc's, for programs built with _FORTIFY_SOURCE */
GCX__WAIT_EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms,
                                size_t room);
GCX__WAIT_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
                                 const struct timespec *limit,
                                 const sigset_t *mask, size_t room);

int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
  if (room / sizeof *fds < n)
    __chk_fail();
  return poll(fds, n, ms);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *limit,
                const sigset_t *mask, size_t room)
{
  if (room / sizeof *fds < n)
    __chk_fail();
  return ppoll(fds, n, limit, mask);
}

/* The kernel leaves the sets alone when it fails. */
static int ready_select(struct gcx__wait *w, int n, fd_set *sets[3],
                        const sigset_t *mask, int result)
{
  struct timespec limit;

  while (result < 0 && gcx__wait_again(w, errno))
    result = ready_real.pselect(n, sets[0], sets[1], sets[2],
                                gcx__wait_limit(w, &limit),
                                mask != NULL ? mask : &w->mask);
  gcx__wait_end(w);
  return result;
}

/* As Linux has it, the limit becomes what is left. */
GCX__WAIT_EXPORT int select(int n, fd_set *r, fd_set *x, fd_set *e,
                            struct timeval *limit)
{
  fd_set *sets[3] = { r, x, e };
  struct timespec t = { 0, 0 };
  struct gcx__wait w;
  int result;

  if (limit != NULL) {
    t.tv_sec = limit->tv_sec + limit->tv_usec / 1000000;
    t.tv_nsec = limit->tv_usec % 1000000 * 1000;
  }
  w = ready_begin(limit != NULL ? gcx__wait_ns(&t) : GCX__WAIT_FOREVER);
  result =
      ready_select(&w, n, sets, NULL, ready_real.select(n, r, x, e, limit));
  if (limit != NULL && w.blocked && gcx__wait_limit(&w, &t) != NULL) {
    limit->tv_sec = t.tv_sec;
    limit->tv_usec = t.tv_nsec / 1000;
  }
  return result;
}

GCX__WAIT_EXPORT int pselect(int n, fd_set *r, fd_set *x, fd_set *e,
                             const struct timespec *limit, const sigset_t *mask)
{
  fd_set *sets[3] = { r, x, e };
  struct gcx__wait w = ready_begin(gcx__wait_ns(limit));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return ready_select(&w, n, sets, mask,
                      ready_real.pselect(n, r, x, e, limit, mask));
}

/* Milliseconds, rounded up. */
static int ready_left_ms(const struct gcx__wait *w)
{
  uint64_t left = gcx__wait_left(w);

  return left == GCX__WAIT_FOREVER
             ? -1
             : (int)GCX_MIN(left / 1000000 + (left % 1000000 != 0),
                            (uint64_t)INT32_MAX);
}

static int ready_epoll(struct gcx__wait *w, int fd, struct epoll_event *events,
                       int n, const sigset_t *mask, int result)
{
  while (result < 0 && gcx__wait_again(w, errno))
    result = ready_real.epoll_pwait(fd, events, n, ready_left_ms(w),
                                    mask != NULL ? mask : &w->mask);
  gcx__wait_end(w);
  return result;
}

GCX__WAIT_EXPORT int epoll_wait(int fd, struct epoll_event *events, int n,
                                int ms)
{
  struct gcx__wait w = ready_begin(ready_ms(ms));

  return ready_epoll(&w, fd, events, n, NULL,
                     ready_real.epoll_wait(fd, events, n, ms));
}

GCX__WAIT_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n,
                                 int ms, const sigset_t *mask)
{
  struct gcx__wait w = ready_begin(ready_ms(ms));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return ready_epoll(&w, fd, events, n, mask,
                     ready_real.epoll_pwait(fd, events, n, ms, mask));
}

/* As epoll_pwait(), with a limit in nanoseconds. */
GCX__WAIT_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int n,
                                  const struct timespec *limit,
                                  const sigset_t *mask)
{
  struct gcx__wait w = ready_begin(gcx__wait_ns(limit));
  struct timespec left;
  sigset_t copy;
  int result;

  mask = gcx__signal_spare(mask, &copy);
  result = ready_real.epoll_pwait2(fd, events, n, limit, mask);
  while (result < 0 && gcx__wait_again(&w, errno))
    result = ready_real.epoll_pwait2(fd, events, n, gcx__wait_limit(&w, &left),
                                     mask != NULL ? mask : &w.mask);
  gcx__wait_end(&w);
  return result;
}

#endif
