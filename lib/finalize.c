/* SPDX-License-Identifier: MIT */
/*
 * finalize.c - finalizers of a batch, and disposals that were put off
 *
 *   registered --found unreachable--> PENDING --its turn--> FINALIZED
 *       ^                                |                     |
 *       |                                | suppressed, disposed|
 *       +---- gcx_reregister_finalize() -+---------------------+
 *
 * The flag PENDING says that the object is in exactly one batch, which keeps it
 * alive; whoever clears it runs the finalizer, so that it runs once for each
 * registration. FINALIZED is set before the function is called: a function that
 * registers its object again takes effect.
 */
#include "finalize.h"

#include "../include/gcx/collector.h"
#include "call.h"
#include "finding.h"
#include "judge.h"
#include "lifecycle.h"
#include "object.h"
#include "options.h"
#include "order.h"
#include "vm.h"

static uint32_t finalize_running;

/* ---- one object */

/* PENDING -> FINALIZED; false if there is nothing to run any more. */
static bool finalize_claim(uint32_t number)
{
  uint32_t state = gcx__record_state(number), next;
  bool run;

  do {
    if ((state & GCX_FLAG_PENDING) == 0)
      return false;
    run = (state & GCX_STATE_MASK) == GCX_STATE_LIVE &&
          (state & GCX_FLAG_SUPPRESSED) == 0;
    next = (state & ~GCX_FLAG_PENDING) | (run ? GCX_FLAG_FINALIZED : 0);
    if (gcx__record_change(number, state, next))
      return run;
    state = gcx__record_state(number);
  } while (true);
}

bool gcx__finalize_is_running(void)
{
  return __atomic_load_n(&finalize_running, __ATOMIC_ACQUIRE) != 0;
}

void gcx__finalize_over(void)
{
  __atomic_store_n(&finalize_running, 0, __ATOMIC_RELEASE);
}

static void finalize_call(uint32_t number, void *object)
{
  __atomic_store_n(&finalize_running, 1, __ATOMIC_RELEASE);
  gcx__call_finalizer(number, object);
  gcx__finalize_over();
}

/* Nothing runs at exit: what is pending stays so. Nor what is the parent's, in
 * the child of a fork that a finalizer or a dispose function made. */
static bool finalize_is_over(uint32_t number)
{
  return gcx_shutting_down() || gcx__record_is_inherited(number);
}

static void finalize_one(uint32_t number)
{
  void *object = gcx__record_object(number);

  if (object == NULL || finalize_is_over(number) || !finalize_claim(number))
    return;
  if ((gcx__record_state(number) & GCX_FLAG_OPTIONAL) == 0 &&
      gcx__opt.leak == GCX_LEAK_DISPOSE)
    gcx__finding_add(1);
  finalize_call(number, object);
  GCX_KEEP(object);
}

/* ---- disposals */

void gcx__finalize_dispose_due(uint32_t number)
{
  void *object = gcx__record_object(number);
  uint32_t state;

  if (object == NULL || finalize_is_over(number))
    return;
  do {
    state = gcx__record_state(number);
    if ((state & GCX_FLAG_DUE) == 0)
      return;
  } while (!gcx__record_change(number, state, state & ~GCX_FLAG_DUE));
  __atomic_store_n(&finalize_running, 1, __ATOMIC_RELEASE);
  (void)gcx__lifecycle_end(number, GCX_END_DISPOSE, 0, NULL);
  gcx__finalize_over();
  GCX_KEEP(object);
}

void gcx__finalize_dispose_all_due(void)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);

  for (uint32_t n = 1; n < limit; n++)
    if ((gcx__record_state(n) & GCX_FLAG_DUE) != 0)
      gcx__finalize_dispose_due(n);
}

/* ---- a batch */

static void finalize_each(const uint32_t *numbers, size_t n, bool critical)
{
  for (size_t i = 0; i < n; i++)
    if (((gcx__record_state(numbers[i]) & GCX_FLAG_CRITICAL) != 0) == critical)
      finalize_one(numbers[i]);
}

/* In no promised order, but owners before what they own; found out once. */
static const uint32_t *finalize_order(struct gcx__batch *b)
{
  size_t bytes = (b->finalizable + 1) * sizeof(uint32_t);
  uint32_t *ordered = b->memory[GCX_BATCH_ORDER].at;

  if (ordered != NULL || b->finalizable == 0)
    return ordered;
  ordered = gcx__vm_map(bytes);
  if (ordered == NULL)
    return gcx__batch_finalizable(b);
  gcx__batch_keep(b, GCX_BATCH_ORDER, ordered, bytes);
  gcx__order_by_owner(gcx__batch_finalizable(b), b->finalizable, ordered);
  return ordered;
}

void gcx__finalize_batch(struct gcx__batch *b)
{
  const uint32_t *numbers = finalize_order(b);

  finalize_each(numbers, b->finalizable, false);
  for (size_t i = 0; i < b->due.count; i++)
    gcx__finalize_dispose_due(b->due.at[i]);
  finalize_each(numbers, b->finalizable, true);
}

/* ---- at exit */

/* Claims @number for the last time; its object must not have gone meanwhile. */
static bool finalize_claim_critical(uint32_t number, const void *object)
{
  const uint32_t wanted = GCX_FLAG_FINALIZER | GCX_FLAG_CRITICAL;
  const uint32_t exempt =
      GCX_FLAG_SUPPRESSED | GCX_FLAG_FINALIZED | GCX_FLAG_DUE;
  uint32_t state;

  do {
    state = gcx__record_state(number);
    if ((state & wanted) != wanted || (state & exempt) != 0 ||
        (state & GCX_STATE_MASK) != GCX_STATE_LIVE ||
        gcx__record_object(number) != object)
      return false;
  } while (!gcx__record_change(
      number, state, (state & ~GCX_FLAG_PENDING) | GCX_FLAG_FINALIZED));
  return true;
}

void gcx__finalize_critical(void)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);

  if (gcx__opt.finalizers == GCX_FINALIZERS_OFF)
    return;
  for (uint32_t n = gcx__record_inherited; n < limit; n++) {
    void *object = n != 0 ? gcx__record_object(n) : NULL;

    GCX_KEEP(object);
    if (object != NULL && finalize_claim_critical(n, object))
      gcx__call_finalizer(n, object);
    GCX_KEEP(object);
  }
}
