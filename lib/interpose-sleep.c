/* SPDX-License-Identifier: MIT */
/*
 * interpose-sleep.c - in front of sleeps, waits for a signal, and semaphores with
 *                     a time limit
 *
 * interpose-wait.h says how. A sleep is taken up again by ppoll(), for its mask.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "bdw.h"
#include "interpose-wait.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  int (*ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *limit,
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
  bool looked_up;
} sleep_real;

static void __attribute__((constructor(101))) sleep_look_up(void)
{
  GCX__WAIT_LOOK_UP(sleep_real, ppoll);
  GCX__WAIT_LOOK_UP(sleep_real, nanosleep);
  GCX__WAIT_LOOK_UP(sleep_real, clock_nanosleep);
  GCX__WAIT_LOOK_UP(sleep_real, sem_timedwait);
  GCX__WAIT_LOOK_UP(sleep_real, sem_clockwait);
  GCX__WAIT_LOOK_UP(sleep_real, sigsuspend);
  GCX__WAIT_LOOK_UP(sleep_real, sigtimedwait);
  sleep_real.looked_up = true;
}

/* A library whose constructor runs before ours may wait there. */
static struct gcx__wait sleep_begin(uint64_t ns)
{
  if (GCX_UNLIKELY(!sleep_real.looked_up))
    sleep_look_up();
  return gcx__wait_begin(ns);
}

/* ---- time */

/* The rest of a sleep; 0, or EINTR. */
static int sleep_rest(struct gcx__wait *w, int error)
{
  struct timespec limit;

  while (error != 0 && gcx__wait_again(w, error))
    error = sleep_real.ppoll(NULL, 0, gcx__wait_limit(w, &limit), &w->mask) < 0
                ? errno
                : 0;
  gcx__wait_end(w);
  return error;
}

static void sleep_tell_left(const struct gcx__wait *w,
                            struct timespec *ret_left)
{
  if (ret_left != NULL && w->blocked)
    (void)gcx__wait_limit(w, ret_left);
}

GCX__WAIT_EXPORT int nanosleep(const struct timespec *time,
                               struct timespec *ret_left)
{
  struct gcx__wait w = sleep_begin(gcx__wait_ns(time));
  int error = sleep_real.nanosleep(time, ret_left) == 0 ? 0 : errno;

  error = sleep_rest(&w, error);
  if (error == 0)
    return 0;
  sleep_tell_left(&w, ret_left);
  errno = error;
  return -1;
}

/* Until a point in time: the same call again is the rest of it. */
static int sleep_until(clockid_t clock, const struct timespec *time)
{
  struct gcx__wait w = sleep_begin(GCX__WAIT_FOREVER);
  int error;

  do
    error = sleep_real.clock_nanosleep(clock, TIMER_ABSTIME, time, NULL);
  while (gcx__wait_again_unmasked(&w, error));
  return error;
}

GCX__WAIT_EXPORT int clock_nanosleep(clockid_t clock, int flags,
                                     const struct timespec *time,
                                     struct timespec *ret_left)
{
  struct gcx__wait w = sleep_begin(gcx__wait_ns(time));
  int error;

  if ((flags & TIMER_ABSTIME) != 0)
    return sleep_until(clock, time);
  error = sleep_real.clock_nanosleep(clock, flags, time, ret_left);
  /* A clock that stands still while the thread sleeps can't be another's. */
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC &&
      clock != CLOCK_BOOTTIME && clock != CLOCK_TAI)
    return error;
  error = sleep_rest(&w, error);
  if (error == EINTR)
    sleep_tell_left(&w, ret_left);
  return error;
}

GCX__WAIT_EXPORT int usleep(useconds_t us)
{
  const struct timespec time = { (time_t)(us / 1000000),
                                 (long)(us % 1000000) * 1000 };

  return nanosleep(&time, NULL);
}

GCX__WAIT_EXPORT unsigned sleep(unsigned seconds)
{
  const struct timespec time = { (time_t)seconds, 0 };
  struct timespec left = { 0, 0 };
  int saved = errno;

  if (nanosleep(&time, &left) == 0) {
    errno = saved;
    return 0;
  }
  return (unsigned)left.tv_sec;
}

static int sleep_suspend(const sigset_t *mask)
{
  struct gcx__wait w = sleep_begin(GCX__WAIT_FOREVER);
  sigset_t copy;
  int result;

  mask = gcx__signal_spare(mask, &copy);
  do
    result = sleep_real.sigsuspend(mask);
  while (gcx__wait_again(&w, errno));
  gcx__wait_end(&w);
  return result;
}

/* Returns only when a handler has run. That is how a thread that is stopped waits
 * to be let go, inside bdwgc's own handler: none of our business. */
GCX__WAIT_EXPORT int sigsuspend(const sigset_t *mask)
{
  if (gcx__bdw_is_own_code((uintptr_t)__builtin_return_address(0)))
    return sleep_real.sigsuspend(mask);
  return sleep_suspend(mask);
}

GCX__WAIT_EXPORT int pause(void)
{
  sigset_t mask;

  (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
  return sleep_suspend(&mask);
}

/* Signals that are waited for have no handlers that run. */
GCX__WAIT_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *ret_info,
                                  const struct timespec *limit)
{
  struct gcx__wait w = sleep_begin(gcx__wait_ns(limit));
  int result = sleep_real.sigtimedwait(set, ret_info, limit);
  struct timespec left;

  while (result < 0 && gcx__wait_again_unmasked(&w, errno))
    result = sleep_real.sigtimedwait(set, ret_info, gcx__wait_limit(&w, &left));
  return result;
}

GCX__WAIT_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *ret_info)
{
  return sigtimedwait(set, ret_info, NULL);
}

/* ---- semaphores */

GCX__WAIT_EXPORT int sem_timedwait(sem_t *s, const struct timespec *until)
{
  struct gcx__wait w = sleep_begin(GCX__WAIT_FOREVER);
  int result;

  do
    result = sleep_real.sem_timedwait(s, until);
  while (result < 0 && gcx__wait_again_unmasked(&w, errno));
  return result;
}

GCX__WAIT_EXPORT int sem_clockwait(sem_t *s, clockid_t clock,
                                   const struct timespec *until)
{
  struct gcx__wait w = sleep_begin(GCX__WAIT_FOREVER);
  int result;

  do
    result = sleep_real.sem_clockwait(s, clock, until);
  while (result < 0 && gcx__wait_again_unmasked(&w, errno));
  return result;
}

#endif
