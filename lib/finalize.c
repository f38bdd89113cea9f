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

#include "finding.h"
#include "lifecycle.h"
#include "object.h"
#include "options.h"
#include "type.h"

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

static void finalize_call(uint32_t number, void *object)
{
  const struct gcx_type *type = gcx__type_at(gcx__record_at(number)->type);

  for (; type != NULL; type = type->base)
    if (type->finalize != NULL)
      type->finalize(object);
}

static void finalize_one(uint32_t number)
{
  void *object = gcx__record_object(number);

  if (object == NULL || !finalize_claim(number))
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

  if (object == NULL)
    return;
  do {
    state = gcx__record_state(number);
    if ((state & GCX_FLAG_DUE) == 0)
      return;
  } while (!gcx__record_change(number, state, state & ~GCX_FLAG_DUE));
  (void)gcx__lifecycle_end(number, GCX_END_DISPOSE, 0, NULL);
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

static void finalize_each(const struct gcx__batch *b, bool critical)
{
  const uint32_t *numbers = gcx__batch_finalizable(b);

  for (size_t i = b->finalizable; i-- > 0;)
    if (((gcx__record_state(numbers[i]) & GCX_FLAG_CRITICAL) != 0) == critical)
      finalize_one(numbers[i]);
}

void gcx__finalize_batch(const struct gcx__batch *b)
{
  finalize_each(b, false);
  for (size_t i = 0; i < b->due.count; i++)
    gcx__finalize_dispose_due(b->due.at[i]);
  finalize_each(b, true);
}
