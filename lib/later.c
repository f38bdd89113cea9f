/* SPDX-License-Identifier: MIT */
/*
 * later.c - disposals that are put off while the world runs
 *
 * A ring of record numbers that takes no lock and no memory, so that anybody may
 * put something in. An entry that is reserved and not yet written ends the
 * reading: its writer announces it afterwards. When the ring is full, all records
 * are looked at instead: GCX_FLAG_DUE tells, and it alone decides whether there
 * is still something to do. Each entry, and the flag that some found no room,
 * counts as one in gcx__batch_outstanding, so that collections keep the objects.
 */
#include "later.h"

#include "batch.h"
#include "finalize.h"
#include "record.h"

#define LATER 65536u

static uint32_t later_ring[LATER];
GCX_NOT_A_ROOT_FROM(later_ring, 0);
static uint32_t later_head; /* next to be read; by who has the turn */
static uint32_t later_tail; /* next to be written */
static uint32_t later_full; /* some did not find room */

static bool later_put(uint32_t number)
{
  uint32_t at = __atomic_load_n(&later_tail, __ATOMIC_ACQUIRE);

  do
    if (at - __atomic_load_n(&later_head, __ATOMIC_ACQUIRE) >= LATER)
      return false;
  while (!__atomic_compare_exchange_n(&later_tail, &at, at + 1, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  GCX_DELAY();
  __atomic_store_n(&later_ring[at % LATER], number, __ATOMIC_RELEASE);
  return true;
}

/* The flag GCX_FLAG_DUE; false if there is nothing to dispose, or it is due. */
static bool later_claim(uint32_t number)
{
  uint32_t state;

  do {
    state = gcx__record_state(number);
    if ((state & GCX_FLAG_DUE) != 0 ||
        (state & GCX_STATE_MASK) == GCX_STATE_DISPOSED ||
        (state & GCX_STATE_MASK) == GCX_STATE_FREE)
      return false;
  } while (!gcx__record_change(number, state, state | GCX_FLAG_DUE));
  return true;
}

static void later_count(int32_t by)
{
  __atomic_fetch_add(&gcx__batch_outstanding, (uint32_t)by, __ATOMIC_ACQ_REL);
}

/* Counted before the flag is set: a collection in between keeps it. */
void gcx__later_dispose(uint32_t number)
{
  later_count(1);
  if (!later_claim(number)) {
    later_count(-1);
    return;
  }
  GCX_DELAY();
  if (!later_put(number) &&
      __atomic_exchange_n(&later_full, 1, __ATOMIC_ACQ_REL) != 0)
    later_count(-1); /* it counts already */
  gcx__batch_announce();
}

void gcx__later_run(void)
{
  uint32_t at, number;

  if (__atomic_exchange_n(&later_full, 0, __ATOMIC_ACQ_REL) != 0) {
    gcx__finalize_dispose_all_due();
    later_count(-1);
  }
  while ((at = later_head) != __atomic_load_n(&later_tail, __ATOMIC_ACQUIRE)) {
    number = __atomic_exchange_n(&later_ring[at % LATER], 0, __ATOMIC_ACQ_REL);
    if (number == 0)
      return;
    __atomic_store_n(&later_head, at + 1, __ATOMIC_RELEASE);
    gcx__finalize_dispose_due(number);
    later_count(-1);
  }
}

/* What was read is 0 already: most of the ring was never touched. */
void gcx__later_after_fork(void)
{
  for (uint32_t at = later_head; at != later_tail; at++)
    later_ring[at % LATER] = 0;
  later_head = later_tail = later_full = 0;
}
