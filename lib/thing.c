/* SPDX-License-Identifier: MIT */
/*
 * thing.c - what weak references, tables, dependents and holds have in common
 */
#include "thing.h"

#include <errno.h>

#include "type.h"

void *gcx__thing_new(const struct gcx_type *type,
                     const struct gcx__frame *start)
{
  uint32_t number = gcx__type_number(type), flags = 0;

  if (number == 0) {
    errno = ENOMEM;
    return NULL;
  }
  if ((type->flags & GCX_TYPE_OPTIONAL) != 0)
    flags |= GCX_FLAG_OPTIONAL;
  if ((type->flags & GCX_TYPE_ATOMIC) != 0)
    flags |= GCX_FLAG_ATOMIC;
  return gcx__object_alloc(type->size, GCX__ALIGN_MIN, number, flags, start);
}

GCX_NOINLINE bool gcx__thing_refuse(const void *p, const char *function,
                                    const struct gcx__frame *start)
{
  (void)gcx__misuse_object(p, function, false, start);
  return false;
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
