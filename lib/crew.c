/* SPDX-License-Identifier: MIT */
/*
 * crew.c - work of a stop, shared with a thread of gcx's own
 *
 *   closed --run--> open --no piece left--> closed, helper inside --it leaves--> closed
 *
 * The helper counts itself in, and only then looks whether the job is open; the
 * caller closes the job, and only then looks whether somebody is inside. So a
 * helper that has seen it open is waited for, and one that has not touches
 * nothing. A helper that has no processor while it holds a piece is what bdwgc's
 * markers can be, too: the caller yields.
 */
#include "crew.h"

#include <sched.h>

#include "platform.h"

#define CREW_SPINS 2000

static uint32_t *crew_bed;
static gcx__crew_fn crew_fn;
static size_t crew_next, crew_pieces;
static uint32_t crew_open;
static uint32_t crew_inside;

static void crew_work(void)
{
  size_t piece;

  while ((piece = __atomic_fetch_add(&crew_next, 1, __ATOMIC_RELAXED)) <
         crew_pieces)
    crew_fn(piece);
}

void gcx__crew_run(gcx__crew_fn fn, size_t pieces)
{
  uint32_t *bed = __atomic_load_n(&crew_bed, __ATOMIC_ACQUIRE);

  crew_fn = fn;
  crew_pieces = pieces;
  __atomic_store_n(&crew_next, 0, __ATOMIC_RELAXED);
  if (bed != NULL && pieces > 1) {
    __atomic_store_n(&crew_open, 1, __ATOMIC_SEQ_CST);
    gcx__futex_wake(bed);
  }
  crew_work();
  __atomic_store_n(&crew_open, 0, __ATOMIC_SEQ_CST);
  for (uint32_t i = 0; __atomic_load_n(&crew_inside, __ATOMIC_SEQ_CST) != 0;
       i++)
    if (i >= CREW_SPINS)
      (void)sched_yield();
}

void gcx__crew_rest(uint32_t *bed)
{
  if (gcx__cpus() > 1)
    __atomic_store_n(&crew_bed, bed, __ATOMIC_RELEASE);
}

bool gcx__crew_help(void)
{
  bool open;

  __atomic_fetch_add(&crew_inside, 1, __ATOMIC_SEQ_CST);
  open = __atomic_load_n(&crew_open, __ATOMIC_SEQ_CST) != 0;
  if (open)
    crew_work();
  __atomic_fetch_sub(&crew_inside, 1, __ATOMIC_SEQ_CST);
  return open;
}

void gcx__crew_after_fork(void)
{
  crew_bed = NULL;
  crew_open = crew_inside = 0;
}
