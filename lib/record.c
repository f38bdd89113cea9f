/* SPDX-License-Identifier: MIT */
/*
 * record.c - numbers of records: where they come from and go to
 *
 * Numbers are handed to threads in batches. A free number is on one of three
 * chains through the link: a thread's batch (cells.c), record_free
 * (under the lock), or gcx__record_freed_stopped, onto which a collection pushes in
 * the stopped world and which the next refill takes over whole, with one atomic
 * exchange: a thread that was stopped anywhere in here, with the lock held or
 * not, finds either chain whole.
 */
#include "record.h"

#include "lock.h"
#include "vm.h"

struct gcx__record_chunk *gcx__record_chunks[GCX__RECORD_CHUNKS];
GCX_NOT_A_ROOT_FROM(gcx__record_chunks, 0);
uint32_t gcx__record_limit = 1; /* 0 is no record */
uint32_t gcx__record_inherited;

static struct gcx__lock record_lock = GCX_LOCK_INIT(GCX_RANK_RECORDS);
static uint32_t record_free;
uint32_t gcx__record_freed_stopped;

/* A chunk for the numbers from gcx__record_limit on. */
static bool record_have_chunk_locked(void)
{
  uint32_t index = gcx__record_limit >> GCX__RECORD_CHUNK_BITS;

  GCX_ASSERT(gcx__lock_held(&record_lock));
  if (index >= GCX__RECORD_CHUNKS)
    return false;
  if (gcx__record_chunks[index] == NULL) {
    struct gcx__record_chunk *c = gcx__vm_map(sizeof *c);

    if (c == NULL)
      return false;
    __atomic_store_n(&gcx__record_chunks[index], c, __ATOMIC_RELEASE);
  }
  return true;
}

/* Numbers never used before, of one chunk; none without memory. */
static uint32_t record_make_locked(uint32_t *ret_numbers, uint32_t max)
{
  uint32_t made = 0, n = gcx__record_limit;

  if (max == 0 || !record_have_chunk_locked())
    return 0;
  do
    ret_numbers[made++] = n++;
  while (made < max && (n & (GCX__RECORD_CHUNK - 1)) != 0);
  __atomic_store_n(&gcx__record_limit, n, __ATOMIC_RELEASE);
  return made;
}

/* The free number behind @n. Most often that is the next one (judge.c): as a guess
 * it is there at once, where the link has to be waited for, one after the other. */
static inline uint32_t record_next_free(uint32_t n)
{
  uint32_t next = gcx__record_fate(n)->link, guess = n + 1;

  __asm__("" : "+r"(guess)); /* not known to be what is returned */
  if (GCX_LIKELY(next == guess))
    return n + 1;
  __asm__ volatile(""); /* a branch, no choice between two values */
  return next;
}

uint32_t gcx__record_take(uint32_t *ret_numbers, uint32_t max)
{
  uint32_t taken = 0, n;

  gcx__lock(&record_lock);
  if (record_free == 0)
    record_free =
        __atomic_exchange_n(&gcx__record_freed_stopped, 0, __ATOMIC_ACQ_REL);
  for (n = record_free; n != 0 && taken < max; n = record_next_free(n))
    ret_numbers[taken++] = n;
  record_free = n;
  if (taken == 0)
    taken = record_make_locked(ret_numbers, max);
  gcx__unlock(&record_lock);
  return taken;
}

void gcx__record_give(const uint32_t *numbers, uint32_t n)
{
  gcx__lock(&record_lock);
  while (n-- > 0) {
    gcx__record_fate(numbers[n])->link = record_free;
    record_free = numbers[n];
  }
  gcx__unlock(&record_lock);
}

void gcx__record_after_fork(void)
{
  record_free = 0;
  gcx__record_freed_stopped = 0;
  gcx__record_inherited = gcx__record_limit;
}

size_t gcx__record_count(void)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  size_t count = 0;

  for (uint32_t n = 1; n < limit; n++)
    count += *gcx__record_hot(n) != 0;
  return count;
}
