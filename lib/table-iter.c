/* SPDX-License-Identifier: MIT */
/*
 * table-iter.c - walking through a table
 *
 * An iterator keeps numbers only: the order of the entry that comes next, and the
 * serial at which it began. Entries lie in ascending order, also after they were
 * copied to another array: there the place is searched again. An entry whose
 * key was removed and came back has its old place and a younger @since, which
 * excludes it.
 */
#include "table.h"

struct table_found {
  uintptr_t key;
  uintptr_t value;
  uint64_t order;
};

/* Place of the first entry of @order or later. */
static uint32_t iter_search(const struct gcx__entries *a, uint64_t order)
{
  uint32_t low = 0, high = __atomic_load_n(&a->used, __ATOMIC_ACQUIRE);

  while (low < high) {
    uint32_t middle = low + (high - low) / 2;

    if (a->entry[middle].order < order)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Key and value of the entry as they were at one moment; false: it has ended, or
 * came after @end. */
static bool iter_look(const struct gcx__entry *e, uint64_t end,
                      struct table_found *ret_found)
{
  uint64_t since, again = __atomic_load_n(&e->since, __ATOMIC_ACQUIRE);

  do {
    since = again;
    ret_found->key = __atomic_load_n(&e->key, __ATOMIC_ACQUIRE);
    ret_found->value = __atomic_load_n(&e->value, __ATOMIC_ACQUIRE);
    again = __atomic_load_n(&e->since, __ATOMIC_ACQUIRE);
  } while (again != since);
  ret_found->order = e->order;
  return ret_found->key != 0 && ret_found->value != 0 && since < end;
}

/* The next entry in the array that is there now. */
static bool iter_find(struct gcx_table_iter *it, struct gcx__entries *a,
                      struct table_found *ret_found)
{
  uint32_t used = __atomic_load_n(&a->used, __ATOMIC_ACQUIRE);

  if (a->id != it->array) {
    it->place = iter_search(a, it->next);
    it->array = a->id;
  }
  for (; it->place < used; it->place++)
    if (iter_look(&a->entry[it->place], it->end, ret_found))
      return true;
  return false;
}

/* False: a stop came. */
static bool iter_try(struct gcx_table_iter *it, struct gcx__table *t,
                     struct gcx__thread *self, bool *ret_any, void **ret_key,
                     void **ret_value)
{
  uint64_t epoch = gcx__read_begin(self);
  struct gcx__entries *a = __atomic_load_n(&t->entries, __ATOMIC_ACQUIRE);
  struct table_found found = { 0, 0, 0 };
  bool any = a != NULL && iter_find(it, a, &found);
  void *key, *value;

  GCX_DELAY_HIDDEN(found.key);
  GCX_DELAY_HIDDEN(found.value);
  key = GCX_REVEAL(found.key);
  value = GCX_REVEAL(found.value);
  __asm__ volatile("" : "+r"(key), "+r"(value) : : "memory");
  if (gcx__read_now() != epoch)
    return false;
  gcx__read_end(self);
  *ret_any = any;
  *ret_key = key;
  *ret_value = value;
  if (any) {
    it->place++;
    it->next = found.order + 1;
  }
  return true;
}

bool gcx__table_first(struct gcx__table *t, void **ret_key, void **ret_value)
{
  struct gcx_table_iter it = { .end = UINT64_MAX };
  struct gcx__thread *self = gcx__thread_self();
  bool any = false;

  if (self == NULL)
    return false;
  while (!iter_try(&it, t, self, &any, ret_key, ret_value))
    ;
  return any;
}

void gcx_table_iter_init(struct gcx_table_iter *it, struct gcx_table *t)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_iter_init", &start);

  *it = (struct gcx_table_iter){ .table = NULL };
  if (state == NULL)
    return;
  it->table = t;
  it->end = __atomic_load_n(&state->serial, __ATOMIC_ACQUIRE);
}

bool gcx_table_iter_next(struct gcx_table_iter *it, void **ret_key,
                         void **ret_value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__thread *self = gcx__thread_self();
  struct gcx__table *state =
      it->table != NULL
          ? gcx__table_of(it->table, "gcx_table_iter_next", &start)
          : NULL;
  void *key = NULL, *value = NULL;
  bool any = false;

  if (state == NULL || self == NULL)
    return false;
  while (!iter_try(it, state, self, &any, &key, &value))
    ;
  if (!any || !gcx__thing_is(it->table, GCX__TABLE_SIGNATURE))
    return false;
  if (ret_key != NULL)
    *ret_key = key;
  if (ret_value != NULL)
    *ret_value = value;
  return true;
}
