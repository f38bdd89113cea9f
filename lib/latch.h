/* SPDX-License-Identifier: MIT */
/*
 * latch.h - a lock of one word, for structures of which there are many
 *
 * Below all ranked locks: a holder takes only ranked ones, and none of them is
 * held while one waits for a latch. Not to be held across a fork by anybody but
 * the forking thread: the child resets those of others.
 */
#ifndef GCX_LATCH_H
#define GCX_LATCH_H

#include "assert.h"

struct gcx__latch {
  uint32_t word; /* 0 free, 1 held, 2 held and somebody may wait */
};

void gcx__latch_wait(struct gcx__latch *l);
void gcx__latch_wake(struct gcx__latch *l);

static inline bool gcx__latch_try(struct gcx__latch *l)
{
  uint32_t expected = 0;

  return __atomic_compare_exchange_n(&l->word, &expected, 1, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void gcx__latch_lock(struct gcx__latch *l)
{
  if (GCX_UNLIKELY(!gcx__latch_try(l)))
    gcx__latch_wait(l);
}

static inline void gcx__latch_unlock(struct gcx__latch *l)
{
  if (GCX_UNLIKELY(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2))
    gcx__latch_wake(l);
}

static inline void gcx__latch_reset(struct gcx__latch *l)
{
  __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

#endif
