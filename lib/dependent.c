/* SPDX-License-Identifier: MIT */
/*
 * dependent.c - dependent handles: a table of one entry that the program has no
 *               other way to
 */
#include "../include/gcx/dependent.h"

#include <errno.h>

#include "table.h"

#define DEPENDENT_SIGNATURE UINT64_C(0x6763782d64657065) /* "gcx-depe" */

struct gcx_dependent {
  uint64_t signature;
  struct gcx__table *state;
};

static int dependent_dispose(void *obj);

static const struct gcx_type dependent_type = GCX_TYPE_INIT(
    "gcx_dependent", sizeof(struct gcx_dependent),
    GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC, NULL, dependent_dispose, NULL, NULL);

static const struct gcx__thing_kind dependent_kind = { DEPENDENT_SIGNATURE,
                                                       &dependent_type,
                                                       "dependent" };

static struct gcx__table *dependent_of(const struct gcx_dependent *d,
                                       const char *function,
                                       const struct gcx__frame *start)
{
  return gcx__thing_check(d, &dependent_kind, function, start) ? d->state
                                                               : NULL;
}

struct gcx_dependent *gcx_dependent_create(void *target, void *value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_dependent *d;
  int result = ENOMEM;

  if ((target != NULL && !gcx__thing_is_base(target)) ||
      value == (void *)UINTPTR_MAX) {
    errno = EINVAL;
    return NULL;
  }
  d = gcx__thing_new(&dependent_type, &start);
  if (d == NULL)
    return NULL;
  d->state = gcx__table_make(true);
  if (d->state != NULL) {
    gcx__table_publish(d->state, d);
    gcx__thing_sign(d, DEPENDENT_SIGNATURE);
    result =
        target != NULL ? -gcx__table_put(d->state, d, target, value, false) : 0;
  }
  if (result != 0) {
    gcx_dispose(d);
    errno = result;
    return NULL;
  }
  GCX_KEEP(target);
  GCX_KEEP(value);
  return d;
}

bool gcx_dependent_get(struct gcx_dependent *d, void **ret_target,
                       void **ret_value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = dependent_of(d, "gcx_dependent_get", &start);
  void *target, *value;

  if (state == NULL || !gcx__table_first(state, &target, &value) ||
      !gcx__thing_is(d, DEPENDENT_SIGNATURE))
    return false;
  if (ret_target != NULL)
    *ret_target = target;
  if (ret_value != NULL)
    *ret_value = value;
  GCX_KEEP(d);
  return true;
}

int gcx_dependent_set_value(struct gcx_dependent *d, void *value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = dependent_of(d, "gcx_dependent_set_value", &start);
  void *target, *old;
  int result = -EINVAL;

  if (state != NULL && gcx__table_first(state, &target, &old))
    result = gcx__table_change(state, d, target, value);
  GCX_KEEP(d);
  return result;
}

void gcx_dependent_clear(struct gcx_dependent *d)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = dependent_of(d, "gcx_dependent_clear", &start);

  if (state != NULL)
    gcx__table_clear(state, d);
  GCX_KEEP(d);
}

static int dependent_dispose(void *obj)
{
  struct gcx_dependent *d = obj;

  if (!gcx__thing_is(d, DEPENDENT_SIGNATURE))
    return 0;
  gcx__thing_sign(d, 0);
  gcx__table_end(d->state);
  return 0;
}
