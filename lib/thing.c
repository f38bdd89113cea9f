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

bool gcx__thing_know(const void *base)
{
  uint32_t number = gcx__object_recall(base), state;

  if (number == 0)
    number = gcx__object_number(base);
  if (number == 0)
    return false;
  do {
    state = gcx__record_state(number);
    if ((state & GCX_FLAG_WEAK) != 0)
      return true;
  } while (!gcx__record_change(number, state, state | GCX_FLAG_WEAK));
  return true;
}
