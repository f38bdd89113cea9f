/* SPDX-License-Identifier: MIT */
/*
 * batch.c - batches: made before a stop, filled in it, queued after it
 *
 * Those that are not in use wait on a chain under the collector's lock; those
 * that are queued, on a stack that is written under that lock and emptied by one
 * exchange.
 */
#include "batch.h"

#include <string.h>

#include "bdw.h"
#include "platform.h"
#include "record.h"
#include "vm.h"

static struct gcx__batch *batch_queue; /* latest first */
static struct gcx__batch *batch_unused;

uint32_t gcx__batch_queued;
uint32_t gcx__batch_outstanding;

bool gcx__numbers_reserve(struct gcx__numbers *l)
{
  size_t capacity = (size_t)gcx__record_limit + (1u << 20);

  l->count = 0;
  if (l->capacity >= gcx__record_limit + (1u << 19))
    return true;
  if (l->at != NULL)
    gcx__vm_unmap(l->at, l->capacity * sizeof *l->at);
  l->at = gcx__vm_map(capacity * sizeof *l->at);
  l->capacity = l->at != NULL ? capacity : 0;
  return l->at != NULL;
}

struct gcx__batch *gcx__batch_new(void)
{
  struct gcx__batch *b = batch_unused;

  if (b != NULL) {
    batch_unused = b->next;
    memset(b, 0, sizeof *b);
    return b;
  }
  return gcx__vm_alloc(sizeof *b);
}

void gcx__batch_announce(void)
{
  __atomic_fetch_add(&gcx__batch_queued, 1, __ATOMIC_ACQ_REL);
  gcx__futex_wake(&gcx__batch_queued);
}

void gcx__batch_queue(struct gcx__batch *b)
{
  do
    b->next = __atomic_load_n(&batch_queue, __ATOMIC_ACQUIRE);
  while (!__atomic_compare_exchange_n(&batch_queue, &b->next, b, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  gcx__batch_announce();
}

struct gcx__batch *gcx__batch_take(void)
{
  struct gcx__batch *b, *next, *oldest = NULL;

  b = __atomic_exchange_n(&batch_queue, NULL, __ATOMIC_ACQ_REL);
  for (; b != NULL; b = next) {
    next = b->next;
    b->next = oldest;
    oldest = b;
  }
  return oldest;
}

/* ---- second thoughts */

static bool batch_is_withdrawn(uint32_t number, uint32_t state,
                               bool (*which)(const void *object))
{
  return (state & GCX_STATE_MASK) == GCX_STATE_LOST &&
         (which == NULL || which(gcx__record_object(number)));
}

static void batch_withdraw_lost(struct gcx__batch *b,
                                bool (*which)(const void *object))
{
  size_t kept = 0, fresh_kept = 0, fresh = b->count - b->late;

  for (size_t i = 0; i < b->count; i++) {
    uint32_t n = b->numbers[i];
    uint32_t state = gcx__record_state(n);
    bool back = batch_is_withdrawn(n, state, which);

    while (back && !gcx__record_change(
                       n, state, (state & ~GCX_STATE_MASK) | GCX_STATE_LIVE)) {
      state = gcx__record_state(n);
      back = (state & GCX_STATE_MASK) == GCX_STATE_LOST;
    }
    if (!back)
      b->numbers[kept++] = n;
    if (i < fresh)
      fresh_kept = kept;
  }
  b->count = kept;
  b->late = kept - fresh_kept;
}

void gcx__batch_withdraw(struct gcx__batch *b,
                         bool (*which)(const void *object))
{
  const uint32_t *n = gcx__batch_finalizable(b);

  batch_withdraw_lost(b, which);
  for (size_t i = 0; i < b->finalizable; i++) {
    uint32_t state = gcx__record_state(n[i]);

    if (which != NULL && !which(gcx__record_object(n[i])))
      continue;
    while ((state & GCX_FLAG_PENDING) != 0 &&
           !gcx__record_change(n[i], state, state & ~GCX_FLAG_PENDING))
      state = gcx__record_state(n[i]);
  }
}

/* ---- back */

static void *batch_put_back(void *arg)
{
  struct gcx__batch *b = arg;

  b->next = batch_unused;
  batch_unused = b;
  return NULL;
}

static void batch_free_numbers(uint32_t *at, size_t capacity)
{
  if (at != NULL)
    gcx__vm_unmap(at, capacity * sizeof *at);
}

void gcx__batch_keep(struct gcx__batch *b, enum gcx__batch_slot slot, void *at,
                     size_t bytes)
{
  struct gcx__batch_memory *m = &b->memory[slot];

  if (m->at != NULL)
    gcx__vm_unmap(m->at, m->bytes);
  *m = (struct gcx__batch_memory){ at, bytes };
}

void gcx__batch_give(struct gcx__batch *b)
{
  for (int slot = 0; slot < GCX_BATCH_SLOTS; slot++)
    gcx__batch_keep(b, (enum gcx__batch_slot)slot, NULL, 0);
  if (b->garbage != NULL)
    gcx__vm_unmap(b->garbage, b->garbage_capacity * sizeof *b->garbage);
  batch_free_numbers(b->numbers, b->capacity);
  batch_free_numbers(b->due.at, b->due.capacity);
  (void)gcx__bdw_with_lock(batch_put_back, b);
}

void gcx__batch_after_fork(void)
{
  batch_queue = NULL;
  gcx__batch_outstanding = 0;
}
