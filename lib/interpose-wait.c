/* SPDX-License-Identifier: MIT */
/*
 * interpose-wait.c - calls that wait, and that a collection would interrupt
 *
 * The collector stops threads by a signal. The kernel takes most calls up again
 * by itself, but not these: poll, select, epoll_wait and their kin
 * (interpose-ready.c), sleeps and semaphores with a time limit (-sleep.c), sockets
 * with one (-socket.c, -file.c), System V queues and semaphores (-sysv.c). Each is
 * called as it is. If it fails with EINTR and only a collection can have been the cause, it is called
 * again for the time that is left; after a handler of the program's the EINTR is
 * the program's.
 *
 *   call --- EINTR, only stops since ---> all signals blocked, asked again
 *                                            |
 *             wait with the mask as it was <-+-> a handler ran meanwhile: EINTR
 *
 * The second wait lets signals in by its own mask and not before, so that one that
 * comes in between is not slept over. (Semaphores, queues, absolute times and
 * sigtimedwait() have no mask: there it can be.)
 *
 * A mask that a program passes never blocks the collector's signals.
 *
 * May be called in a signal handler: functions are looked up by a constructor.
 */
#include "interpose-wait.h"

#include <errno.h>

#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__)

struct gcx__wait gcx__wait_begin(uint64_t ns)
{
  struct gcx__wait w = { .mark = gcx__signal_now(),
                         .until = GCX__WAIT_FOREVER };

  if (ns != GCX__WAIT_FOREVER &&
      __builtin_add_overflow(gcx__now_ns(), ns, &w.until))
    w.until = GCX__WAIT_FOREVER;
  return w;
}

bool gcx__wait_again(struct gcx__wait *w, int error)
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

bool gcx__wait_again_unmasked(const struct gcx__wait *w, int error)
{
  return GCX_UNLIKELY(error == EINTR) && gcx__signal_only_stops(&w->mark);
}

void gcx__wait_end(const struct gcx__wait *w)
{
  int saved = errno;

  if (w->blocked)
    gcx__signal_restore(&w->mask);
  errno = saved;
}

uint64_t gcx__wait_left(const struct gcx__wait *w)
{
  uint64_t now;

  if (w->until == GCX__WAIT_FOREVER)
    return GCX__WAIT_FOREVER;
  now = gcx__now_ns();
  return now < w->until ? w->until - now : 0;
}

uint64_t gcx__wait_ns(const struct timespec *t)
{
  uint64_t ns;

  if (t == NULL || t->tv_sec < 0 || t->tv_nsec < 0 ||
      __builtin_mul_overflow((uint64_t)t->tv_sec, GCX__WAIT_NS, &ns) ||
      __builtin_add_overflow(ns, (uint64_t)t->tv_nsec, &ns))
    return GCX__WAIT_FOREVER;
  return ns;
}

struct timespec *gcx__wait_limit(const struct gcx__wait *w,
                                 struct timespec *ret_limit)
{
  uint64_t left = gcx__wait_left(w);

  if (left == GCX__WAIT_FOREVER)
    return NULL;
  ret_limit->tv_sec = (time_t)(left / GCX__WAIT_NS);
  ret_limit->tv_nsec = (long)(left % GCX__WAIT_NS);
  return ret_limit;
}

#endif
