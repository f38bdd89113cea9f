/* SPDX-License-Identifier: MIT */
/*
 * latch.h - a lock of one word, for structures of which there are many
 *
 * A holder takes ranked locks, of those that are not held while one waits for a
 * latch. Held then is the lock of the list of tables alone, which no holder of a
 * latch takes. Not to be held across a fork by anybody but
 * the forking thread: the child resets those of others.
 */
#ifndef GCX_LATCH_H
#define GCX_LATCH_H

#include "assert.h"

struct gcx__latch {
  uint32_t word;    /* 0 free, 1 held */
  uint32_t waiters; /* threads that sleep, or are about to */
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

/* No locked instruction: who is going to sleep makes the two accesses happen in
 * this order (latch.c). */
static inline void gcx__latch_unlock(struct gcx__latch *l)
{
  __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
  __asm__ volatile("" : : : "memory");
  if (GCX_UNLIKELY(__atomic_load_n(&l->waiters, __ATOMIC_RELAXED) != 0))
    gcx__latch_wake(l);
}

static inline void gcx__latch_reset(struct gcx__latch *l)
{
  __atomic_store_n(&l->waiters, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

#endif
