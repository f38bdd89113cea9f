/* SPDX-License-Identifier: MIT */
/*
 * latch.c - waiting for a latch
 *
 *   0 free --try--> 1 held --somebody waits--> 2 contended --unlock--> 0, wake
 */
#include "latch.h"

#include <errno.h>

#include "platform.h"

#define LATCH_SPINS 100

void gcx__latch_wait(struct gcx__latch *l)
{
  int saved = errno;

  for (int i = 0; i < LATCH_SPINS; i++)
    if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == 0 && gcx__latch_try(l))
      return;
  while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE) != 0)
    gcx__futex_wait(&l->word, 2, UINT64_MAX);
  errno = saved;
}

void gcx__latch_wake(struct gcx__latch *l)
{
  gcx__futex_wake(&l->word);
}
