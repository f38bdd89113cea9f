/* SPDX-License-Identifier: MIT */
/*
 * thing.c - what weak references, tables, dependents and holds have in common
 */
#include "thing.h"

#include "type.h"

void *gcx__thing_new(const struct gcx_type *type,
                     const struct gcx__frame *start)
{
  uint32_t flags = 0;

  if ((type->flags & GCX_TYPE_OPTIONAL) != 0)
    flags |= GCX_FLAG_OPTIONAL;
  if ((type->flags & GCX_TYPE_ATOMIC) != 0)
    flags |= GCX_FLAG_ATOMIC;
  return gcx__object_alloc_of(type, type->size, flags, start);
}

uintptr_t gcx__thing_low;
uintptr_t gcx__thing_span;

/* The heap only grows at its ends. Of two threads that are here at once the bounds
 * of one may meet those of the other: too far by what it grew meanwhile. */
void gcx__thing_note_heap(void)
{
  uintptr_t low, high;

  gcx__bdw_heap_bounds(&low, &high);
  if (high == UINTPTR_MAX)
    return; /* this libgc hides them: always the slow way */
  __atomic_store_n(&gcx__thing_low, low, __ATOMIC_RELAXED);
  __atomic_store_n(&gcx__thing_span, high - low, __ATOMIC_RELAXED);
}

GCX_NOINLINE bool gcx__thing_look(const void *p,
                                  const struct gcx__thing_kind *kind,
                                  const char *function,
                                  const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(p, function, false, start);

  if (number == 0)
    return false;
  if (gcx__type_at(gcx__record_at(number)->type) != kind->type) {
    gcx__misuse_other_type(number, function, kind->what, start);
    return false;
  }
  gcx__thing_note_heap();
  return gcx__thing_is(p, kind->signature);
}

/* @state with what is known from now on; @place 0: of no table. */
static uint32_t thing_known(uint32_t state, uint32_t place)
{
  uint32_t had = state >> GCX_STATE_TABLES_SHIFT;

  if (place != 0 && had != 0 && had != place)
    place = GCX_TABLES_SEVERAL;
  return state | GCX_FLAG_WEAK | place << GCX_STATE_TABLES_SHIFT;
}

bool gcx__thing_know_key(const void *base, uint32_t place)
{
  uint32_t number = gcx__object_recall(base), state, known;

  if (number == 0)
    number = gcx__object_number(base);
  if (number == 0)
    return false;
  do {
    state = gcx__record_state(number);
    known = thing_known(state, place);
  } while (known != state && !gcx__record_change(number, state, known));
  return true;
}

bool gcx__thing_know(const void *base)
{
  return gcx__thing_know_key(base, 0);
}
