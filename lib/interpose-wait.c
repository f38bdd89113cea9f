/* SPDX-License-Identifier: MIT */
/*
 * interpose-wait.c - calls that wait, and that a collection would interrupt
 *
 * The collector stops threads by a signal. The kernel takes most calls up again
 * by itself, but not these: poll, select, epoll_wait and their kin, sleeps, a
 * semaphore with a time limit, a socket with one. Each is called as it is. If it
 * fails with EINTR and only a collection can have been the cause, it is called
 * again for the time that is left; after a handler of the program's the EINTR is
 * the program's.
 *
 *   call --- EINTR, only stops since ---> all signals blocked, asked again
 *                                            |
 *             wait with the mask as it was <-+-> a handler ran meanwhile: EINTR
 *
 * The second wait lets signals in by its own mask and not before, so that one that
 * comes in between is not slept over. (Semaphores, absolute times and
 * sigtimedwait() have no mask: there it can be.)
 *
 * A mask that a program passes never blocks the collector's signals.
 *
 * May be called in a signal handler: functions are looked up by a constructor.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bdw.h"
#include "interpose-signal.h"
#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__)

#define WAIT_EXPORT __attribute__((visibility("default")))
#define WAIT_FOREVER UINT64_MAX
#define WAIT_NS ((uint64_t)1000000000)

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
  int (*nanosleep)(const struct timespec *time, struct timespec *ret_left);
  int (*clock_nanosleep)(clockid_t clock, int flags,
                         const struct timespec *time,
                         struct timespec *ret_left);
  int (*sem_timedwait)(sem_t *s, const struct timespec *until);
  int (*sem_clockwait)(sem_t *s, clockid_t clock, const struct timespec *until);
  int (*sigsuspend)(const sigset_t *mask);
  int (*sigtimedwait)(const sigset_t *set, siginfo_t *ret_info,
                      const struct timespec *limit);
  ssize_t (*recv)(int fd, void *to, size_t bytes, int flags);
  ssize_t (*recvfrom)(int fd, void *to, size_t bytes, int flags,
                      struct sockaddr *from, socklen_t *ret_bytes);
  ssize_t (*recvmsg)(int fd, struct msghdr *m, int flags);
  int (*accept)(int fd, struct sockaddr *from, socklen_t *ret_bytes);
  int (*accept4)(int fd, struct sockaddr *from, socklen_t *ret_bytes,
                 int flags);
} wait_real;

static bool wait_looked_up;

#define WAIT_LOOK_UP(name) \
  *(void **)(void *)&wait_real.name = dlsym(RTLD_NEXT, #name)

static void __attribute__((constructor(101))) wait_look_up(void)
{
  WAIT_LOOK_UP(poll);
  WAIT_LOOK_UP(ppoll);
  WAIT_LOOK_UP(select);
  WAIT_LOOK_UP(pselect);
  WAIT_LOOK_UP(epoll_wait);
  WAIT_LOOK_UP(epoll_pwait);
  WAIT_LOOK_UP(nanosleep);
  WAIT_LOOK_UP(clock_nanosleep);
  WAIT_LOOK_UP(sem_timedwait);
  WAIT_LOOK_UP(sem_clockwait);
  WAIT_LOOK_UP(sigsuspend);
  WAIT_LOOK_UP(sigtimedwait);
  WAIT_LOOK_UP(recv);
  WAIT_LOOK_UP(recvfrom);
  WAIT_LOOK_UP(recvmsg);
  WAIT_LOOK_UP(accept);
  WAIT_LOOK_UP(accept4);
  wait_looked_up = true;
}

/* ---- one wait */

struct wait {
  struct gcx__signal_mark mark;
  uint64_t until; /* gcx__now_ns() */
  sigset_t mask;  /* of the thread, once it is blocked */
  bool blocked;
};

static struct wait wait_begin(uint64_t ns)
{
  struct wait w = { .mark = gcx__signal_now(), .until = WAIT_FOREVER };

  if (GCX_UNLIKELY(!wait_looked_up))
    wait_look_up();
  if (ns != WAIT_FOREVER && __builtin_add_overflow(gcx__now_ns(), ns, &w.until))
    w.until = WAIT_FOREVER;
  return w;
}

/* The call has failed with @error. True: it is to be made again, with @w->mask.
 * The mark stays: what has been handled since the beginning is what counts. */
static bool wait_again(struct wait *w, int error)
{
  if (GCX_LIKELY(error != EINTR))
    return false;
  if (!w->blocked) {
    if (!gcx__signal_only_stops(&w->mark))
      return false;
    gcx__signal_block(&w->mask);
    w->blocked = true;
  }
  return gcx__signal_only_stops(&w->mark);
}

/* The call is over; errno stays. */
static void wait_end(const struct wait *w)
{
  int saved = errno;

  if (w->blocked)
    gcx__signal_restore(&w->mask);
  errno = saved;
}

static uint64_t wait_left(const struct wait *w)
{
  uint64_t now;

  if (w->until == WAIT_FOREVER)
    return WAIT_FOREVER;
  now = gcx__now_ns();
  return now < w->until ? w->until - now : 0;
}

static uint64_t wait_ns(const struct timespec *t)
{
  uint64_t ns;

  if (t == NULL || t->tv_sec < 0 || t->tv_nsec < 0 ||
      __builtin_mul_overflow((uint64_t)t->tv_sec, WAIT_NS, &ns) ||
      __builtin_add_overflow(ns, (uint64_t)t->tv_nsec, &ns))
    return WAIT_FOREVER;
  return ns;
}

static uint64_t wait_ms(int ms)
{
  return ms < 0 ? WAIT_FOREVER : (uint64_t)ms * 1000000;
}

/* What is left, for a call that takes NULL for ever. */
static struct timespec *wait_limit(const struct wait *w,
                                   struct timespec *ret_limit)
{
  uint64_t left = wait_left(w);

  if (left == WAIT_FOREVER)
    return NULL;
  ret_limit->tv_sec = (time_t)(left / WAIT_NS);
  ret_limit->tv_nsec = (long)(left % WAIT_NS);
  return ret_limit;
}

/* ---- descriptors */

static int wait_poll(struct wait *w, struct pollfd *fds, nfds_t n,
                     const sigset_t *mask, int result)
{
  struct timespec limit;

  while (result < 0 && wait_again(w, errno))
    result = wait_real.ppoll(fds, n, wait_limit(w, &limit),
                             mask != NULL ? mask : &w->mask);
  wait_end(w);
  return result;
}

WAIT_EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
  struct wait w = wait_begin(wait_ms(ms));

  return wait_poll(&w, fds, n, NULL, wait_real.poll(fds, n, ms));
}

WAIT_EXPORT int ppoll(struct pollfd *fds, nfds_t n,
                      const struct timespec *limit, const sigset_t *mask)
{
  struct wait w = wait_begin(wait_ns(limit));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return wait_poll(&w, fds, n, mask, wait_real.ppoll(fds, n, limit, mask));
}

/* glibc's, for programs built with _FORTIFY_SOURCE */
extern void __chk_fail(void) __attribute__((noreturn));
WAIT_EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
WAIT_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n,
                            const struct timespec *limit, const sigset_t *mask,
                            size_t room);

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
static int wait_select(struct wait *w, int n, fd_set *sets[3],
                       const sigset_t *mask, int result)
{
  struct timespec limit;

  while (result < 0 && wait_again(w, errno))
    result =
        wait_real.pselect(n, sets[0], sets[1], sets[2], wait_limit(w, &limit),
                          mask != NULL ? mask : &w->mask);
  wait_end(w);
  return result;
}

/* As Linux has it, the limit becomes what is left. */
WAIT_EXPORT int select(int n, fd_set *r, fd_set *x, fd_set *e,
                       struct timeval *limit)
{
  fd_set *sets[3] = { r, x, e };
  struct timespec t = { 0, 0 };
  struct wait w;
  int result;

  if (limit != NULL) {
    t.tv_sec = limit->tv_sec + limit->tv_usec / 1000000;
    t.tv_nsec = limit->tv_usec % 1000000 * 1000;
  }
  w = wait_begin(limit != NULL ? wait_ns(&t) : WAIT_FOREVER);
  result = wait_select(&w, n, sets, NULL, wait_real.select(n, r, x, e, limit));
  if (limit != NULL && w.blocked && wait_limit(&w, &t) != NULL) {
    limit->tv_sec = t.tv_sec;
    limit->tv_usec = t.tv_nsec / 1000;
  }
  return result;
}

WAIT_EXPORT int pselect(int n, fd_set *r, fd_set *x, fd_set *e,
                        const struct timespec *limit, const sigset_t *mask)
{
  fd_set *sets[3] = { r, x, e };
  struct wait w = wait_begin(wait_ns(limit));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return wait_select(&w, n, sets, mask,
                     wait_real.pselect(n, r, x, e, limit, mask));
}

/* Milliseconds, rounded up. */
static int wait_left_ms(const struct wait *w)
{
  uint64_t left = wait_left(w);

  return left == WAIT_FOREVER
             ? -1
             : (int)GCX_MIN(left / 1000000 + (left % 1000000 != 0),
                            (uint64_t)INT32_MAX);
}

static int wait_epoll(struct wait *w, int fd, struct epoll_event *events, int n,
                      const sigset_t *mask, int result)
{
  while (result < 0 && wait_again(w, errno))
    result = wait_real.epoll_pwait(fd, events, n, wait_left_ms(w),
                                   mask != NULL ? mask : &w->mask);
  wait_end(w);
  return result;
}

WAIT_EXPORT int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
  struct wait w = wait_begin(wait_ms(ms));

  return wait_epoll(&w, fd, events, n, NULL,
                    wait_real.epoll_wait(fd, events, n, ms));
}

WAIT_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int n, int ms,
                            const sigset_t *mask)
{
  struct wait w = wait_begin(wait_ms(ms));
  sigset_t copy;

  mask = gcx__signal_spare(mask, &copy);
  return wait_epoll(&w, fd, events, n, mask,
                    wait_real.epoll_pwait(fd, events, n, ms, mask));
}

/* ---- time */

/* The rest of a sleep; 0, or EINTR. */
static int wait_sleep(struct wait *w, int error)
{
  struct timespec limit;

  while (error != 0 && wait_again(w, error))
    error = wait_real.ppoll(NULL, 0, wait_limit(w, &limit), &w->mask) < 0
                ? errno
                : 0;
  wait_end(w);
  return error;
}

static void wait_tell_left(const struct wait *w, struct timespec *ret_left)
{
  if (ret_left != NULL && w->blocked)
    (void)wait_limit(w, ret_left);
}

WAIT_EXPORT int nanosleep(const struct timespec *time,
                          struct timespec *ret_left)
{
  struct wait w = wait_begin(wait_ns(time));
  int error = wait_real.nanosleep(time, ret_left) == 0 ? 0 : errno;

  error = wait_sleep(&w, error);
  if (error == 0)
    return 0;
  wait_tell_left(&w, ret_left);
  errno = error;
  return -1;
}

/* Until a point in time: the same call again is the rest of it. */
static int wait_sleep_until(clockid_t clock, const struct timespec *time)
{
  struct wait w = wait_begin(WAIT_FOREVER);
  int error;

  do
    error = wait_real.clock_nanosleep(clock, TIMER_ABSTIME, time, NULL);
  while (error == EINTR && gcx__signal_only_stops(&w.mark));
  return error;
}

WAIT_EXPORT int clock_nanosleep(clockid_t clock, int flags,
                                const struct timespec *time,
                                struct timespec *ret_left)
{
  struct wait w = wait_begin(wait_ns(time));
  int error;

  if ((flags & TIMER_ABSTIME) != 0)
    return wait_sleep_until(clock, time);
  error = wait_real.clock_nanosleep(clock, flags, time, ret_left);
  /* A clock that stands still while the thread sleeps can't be another's. */
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC &&
      clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
    return error;
  error = wait_sleep(&w, error);
  if (error == EINTR)
    wait_tell_left(&w, ret_left);
  return error;
}

WAIT_EXPORT int usleep(useconds_t us)
{
  const struct timespec time = { (time_t)(us / 1000000),
                                 (long)(us % 1000000) * 1000 };

  return nanosleep(&time, NULL);
}

WAIT_EXPORT unsigned sleep(unsigned seconds)
{
  const struct timespec time = { (time_t)seconds, 0 };
  struct timespec left = { 0, 0 };
  int saved = errno;

  if (nanosleep(&time, &left) == 0) {
    errno = saved;
    return 0;
  }
  return (unsigned)left.tv_sec + (left.tv_nsec >= 500000000);
}

static int wait_suspend(const sigset_t *mask)
{
  struct wait w = wait_begin(WAIT_FOREVER);
  sigset_t copy;
  int result;

  mask = gcx__signal_spare(mask, &copy);
  do
    result = wait_real.sigsuspend(mask);
  while (wait_again(&w, errno));
  wait_end(&w);
  return result;
}

/* Returns only when a handler has run. That is how a thread that is stopped waits
 * to be let go, inside bdwgc's own handler: none of our business. */
WAIT_EXPORT int sigsuspend(const sigset_t *mask)
{
  if (gcx__bdw_is_own_code((uintptr_t)__builtin_return_address(0)))
    return wait_real.sigsuspend(mask);
  return wait_suspend(mask);
}

WAIT_EXPORT int pause(void)
{
  sigset_t mask;

  (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
  return wait_suspend(&mask);
}

/* Signals that are waited for have no handlers that run. */
WAIT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *ret_info,
                             const struct timespec *limit)
{
  struct wait w = wait_begin(wait_ns(limit));
  int result = wait_real.sigtimedwait(set, ret_info, limit);
  struct timespec left;

  while (result < 0 && errno == EINTR && gcx__signal_only_stops(&w.mark))
    result = wait_real.sigtimedwait(set, ret_info, wait_limit(&w, &left));
  return result;
}

WAIT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
  return sigtimedwait(set, ret_info, NULL);
}

/* ---- semaphores */

WAIT_EXPORT int sem_timedwait(sem_t *s, const struct timespec *until)
{
  struct wait w = wait_begin(WAIT_FOREVER);
  int result;

  do
    result = wait_real.sem_timedwait(s, until);
  while (result < 0 && errno == EINTR && gcx__signal_only_stops(&w.mark));
  return result;
}

WAIT_EXPORT int sem_clockwait(sem_t *s, clockid_t clock,
                              const struct timespec *until)
{
  struct wait w = wait_begin(WAIT_FOREVER);
  int result;

  do
    result = wait_real.sem_clockwait(s, clock, until);
  while (result < 0 && errno == EINTR && gcx__signal_only_stops(&w.mark));
  return result;
}

/* ---- sockets with a time limit */

/* The limit counts from the beginning; asked only after a first EINTR. */
static void wait_socket_limit(struct wait *w, int fd, uint64_t begun)
{
  struct timeval t = { 0, 0 };
  socklen_t bytes = sizeof t;

  if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, &bytes) == 0 &&
      (t.tv_sec != 0 || t.tv_usec != 0))
    w->until =
        begun + (uint64_t)t.tv_sec * WAIT_NS + (uint64_t)t.tv_usec * 1000;
}

/* After an EINTR: is there something to read within the time that is left? The
 * call is then made again; if not, errno is what it would have said. */
static bool wait_readable(struct wait *w, int fd, uint64_t begun)
{
  struct pollfd p = { .fd = fd, .events = POLLIN };
  struct timespec limit;
  int result = -1;

  if (w->until == WAIT_FOREVER)
    wait_socket_limit(w, fd, begun);
  while (result < 0 && wait_again(w, errno))
    result = wait_real.ppoll(&p, 1, wait_limit(w, &limit), &w->mask);
  wait_end(w);
  w->blocked = false;
  if (result == 0)
    errno = EAGAIN;
  return result > 0;
}

#define WAIT_SOCKET(type, fd, call)                                          \
  do {                                                                       \
    struct wait w = wait_begin(WAIT_FOREVER);                                \
    uint64_t begun = 0;                                                      \
    type result;                                                             \
    begun = gcx__now_ns();                                                   \
    do                                                                       \
      result = (call);                                                       \
    while (GCX_UNLIKELY(result < 0 && errno == EINTR) &&                     \
           gcx__signal_only_stops(&w.mark) && wait_readable(&w, fd, begun)); \
    return result;                                                           \
  } while (0)

WAIT_EXPORT ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
  WAIT_SOCKET(ssize_t, fd, wait_real.recv(fd, to, bytes, flags));
}

WAIT_EXPORT ssize_t recvfrom(int fd, void *to, size_t bytes, int flags,
                             __SOCKADDR_ARG from, socklen_t *ret_bytes)
{
  WAIT_SOCKET(
      ssize_t, fd,
      wait_real.recvfrom(fd, to, bytes, flags, from.__sockaddr__, ret_bytes));
}

WAIT_EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
  WAIT_SOCKET(ssize_t, fd, wait_real.recvmsg(fd, m, flags));
}

WAIT_EXPORT int accept(int fd, __SOCKADDR_ARG from, socklen_t *ret_bytes)
{
  WAIT_SOCKET(int, fd, wait_real.accept(fd, from.__sockaddr__, ret_bytes));
}

WAIT_EXPORT int accept4(int fd, __SOCKADDR_ARG from, socklen_t *ret_bytes,
                        int flags)
{
  WAIT_SOCKET(int, fd,
              wait_real.accept4(fd, from.__sockaddr__, ret_bytes, flags));
}

WAIT_EXPORT ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room,
                               int flags);
WAIT_EXPORT ssize_t __recvfrom_chk(int fd, void *to, size_t bytes, size_t room,
                                   int flags, struct sockaddr *from,
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

#endif
