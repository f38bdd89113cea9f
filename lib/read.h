/* SPDX-License-Identifier: MIT */
/*
 * read.h - readers that take no lock, and when memory they may look at can go
 *
 * The epoch counts stops of the world. A reader notes in its thread's entry the
 * epoch in which it began; a plain store, since whoever looks at it does so in a
 * stop, which orders everything. What was taken out of reach in an epoch can go
 * when every reader of that epoch or an earlier one has left.
 *
 * A reader that finds the epoch unchanged at its end knows that no stop came
 * between: what it revealed is a root by now and was not collected before.
 */
#ifndef GCX_READ_H
#define GCX_READ_H

#include "thread.h"

extern uint64_t gcx__read_epoch GCX_HIDDEN;
/* What was retired in an epoch below it can go. */
extern uint64_t gcx__read_safe GCX_HIDDEN;

static inline uint64_t gcx__read_now(void)
{
  return __atomic_load_n(&gcx__read_epoch, __ATOMIC_ACQUIRE);
}

/* The calling thread reads until gcx__read_end(); not nested. */
static inline uint64_t gcx__read_begin(struct gcx__thread *t)
{
  uint64_t epoch = gcx__read_now();

  __atomic_store_n(&t->reading, epoch, __ATOMIC_RELAXED);
  __asm__ volatile("" : : : "memory");
  return epoch;
}

static inline void gcx__read_end(struct gcx__thread *t)
{
  __asm__ volatile("" : : : "memory");
  __atomic_store_n(&t->reading, 0, __ATOMIC_RELEASE);
}

static inline bool gcx__read_can_go(uint64_t retired)
{
  return retired < __atomic_load_n(&gcx__read_safe, __ATOMIC_ACQUIRE);
}

/* Stopped, in each stop: the next epoch. */
void gcx__read_stop(void);

#endif
