/* SPDX-License-Identifier: MIT */
/*
 * latch.c - waiting for a latch
 *
 *   0 free <--unlock-- 1 held
 *          --try--->
 *
 * An unlock stores 0 and then looks for waiters; nothing in the processor keeps
 * these two in order. Who waits counts itself and then has every thread of the
 * process execute a barrier (gcx__fence_all()): an unlock that did not see the
 * count has stored its 0 by then, and is seen by the try that follows. So the cost
 * is paid by who sleeps. Where that can't be had, waiters look again after a
 * millisecond.
 */
#include "latch.h"

#include <errno.h>

#include "platform.h"

#define LATCH_SPINS 100
#define LATCH_BLIND_MS 1u

void gcx__latch_wait(struct gcx__latch *l)
{
  uint64_t timeout_ms;
  int saved = errno;

  for (int i = 0; i < LATCH_SPINS; i++)
    if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0 && gcx__latch_try(l))
      return;
  __atomic_fetch_add(&l->waiters, 1, __ATOMIC_SEQ_CST);
  timeout_ms = gcx__fence_all() ? UINT64_MAX : LATCH_BLIND_MS;
  while (!gcx__latch_try(l))
    gcx__futex_wait(&l->word, 1, timeout_ms);
  __atomic_fetch_sub(&l->waiters, 1, __ATOMIC_RELAXED);
  errno = saved;
}

void gcx__latch_wake(struct gcx__latch *l)
{
  gcx__futex_wake(&l->word);
}
