/* SPDX-License-Identifier: MIT */
/*
 * order.c - in which order things that were lost together end
 *
 * A bitmap says which records are still to be put out. For each of them that is,
 * the tree it belongs to is walked from its root, children before siblings, with
 * no stack but the links of the side table: so every tree is walked once.
 * Under gcx__aux_lock, under which trees change.
 */
#include "order.h"

#include <string.h>

#include "aux.h"
#include "owner.h"
#include "vm.h"

struct order {
  uint8_t *wanted; /* a bit for each record */
  size_t bytes;    /* of that: records may be made meanwhile */
  uint32_t *ret;
  size_t count;
};

static size_t order_bytes(void)
{
  return gcx__record_limit / 8 + 1;
}

static void order_put(struct order *o, uint32_t number)
{
  uint8_t bit = (uint8_t)(1u << (number & 7));

  if (number / 8 >= o->bytes || (o->wanted[number / 8] & bit) == 0)
    return;
  o->wanted[number / 8] &= (uint8_t)~bit;
  o->ret[o->count++] = number;
}

/* Owners can form a ring: no climb is longer than there are entries. */
static uint32_t order_root(uint32_t number)
{
  size_t steps = gcx__aux_count();
  uint32_t at = number;

  while (steps-- > 0) {
    const struct gcx__aux *a = gcx__aux_of(at);

    if (a == NULL || a->owner == 0)
      return at;
    if (a->owner == number)
      return number;
    at = a->owner;
  }
  return number;
}

/* @child or the first behind it that is not @root, to which a ring leads back. */
static uint32_t order_skip(uint32_t child, uint32_t root)
{
  const struct gcx__aux *a = child == root ? gcx__aux_of(child) : NULL;

  return a != NULL ? a->next_sibling : child;
}

/* What comes after @at and all below it; 0: nothing. */
static uint32_t order_behind(uint32_t at, uint32_t root)
{
  while (at != root) {
    const struct gcx__aux *a = gcx__aux_of(at);
    uint32_t next = a != NULL ? order_skip(a->next_sibling, root) : 0;

    if (next != 0)
      return next;
    at = a != NULL ? a->owner : root;
  }
  return 0;
}

static void order_walk(struct order *o, uint32_t root)
{
  uint32_t at = root;

  while (at != 0) {
    const struct gcx__aux *a = gcx__aux_of(at);
    uint32_t child = a != NULL ? order_skip(a->first_child, root) : 0;

    order_put(o, at);
    at = child != 0 ? child : order_behind(at, root);
  }
}

static bool order_is_wanted(const struct order *o, uint32_t number)
{
  return (o->wanted[number / 8] >> (number & 7) & 1) != 0;
}

void gcx__order_by_owner(const uint32_t *numbers, size_t n,
                         uint32_t *ret_numbers)
{
  struct order o = { .ret = ret_numbers, .bytes = order_bytes() };

  if (n > 0 && gcx__owner_any())
    o.wanted = gcx__vm_map(o.bytes);
  if (o.wanted == NULL) {
    memcpy(ret_numbers, numbers, n * sizeof *numbers);
    return;
  }
  for (size_t i = 0; i < n; i++)
    o.wanted[numbers[i] / 8] |= (uint8_t)(1u << (numbers[i] & 7));
  gcx__lock(&gcx__aux_lock);
  for (size_t i = 0; i < n; i++)
    if (order_is_wanted(&o, numbers[i]))
      order_walk(&o, order_root(numbers[i]));
  gcx__unlock(&gcx__aux_lock);
  GCX_ASSERT(o.count <= n);
  gcx__vm_unmap(o.wanted, o.bytes);
}
