/* SPDX-License-Identifier: MIT */
/*
 * table-read.c - reading a table without a lock
 *
 * A reader notes its epoch (read.h), so that the array that it finds stays; looks
 * the entry up; reveals the value; and looks at the epoch again. If no stop came
 * in between, the entry was one of a living key when it was found and its value
 * is held by the revealed pointer from now on. Otherwise it starts over: entries
 * end in stops. The compiler must not reveal the value a second time afterwards:
 * the asm makes it a fact before the epoch is read.
 *
 * Of an array that is being replaced the reader sees the old state, as if it had
 * come a moment earlier; no object of it can be gone without a stop.
 */
#include "table.h"

/* False: a stop came, or there is no thread entry. */
static inline bool table_try(struct gcx__table *t, uintptr_t key,
                             struct gcx__thread *self, bool *ret_found,
                             void **ret_value)
{
  uint64_t epoch = gcx__read_begin(self);
  struct gcx__entries *a = __atomic_load_n(&t->entries, __ATOMIC_ACQUIRE);
  struct gcx__entry *e = a != NULL ? gcx__entries_find(a, key) : NULL;
  uintptr_t h = e != NULL ? __atomic_load_n(&e->value, __ATOMIC_ACQUIRE) : 0;
  void *p;

  GCX_DELAY_HIDDEN(h);
  p = GCX_REVEAL(h);
  __asm__ volatile("" : "+r"(p) : : "memory");
  if (GCX_UNLIKELY(gcx__read_now() != epoch))
    return false;
  gcx__read_end(self);
  *ret_found = h != 0;
  *ret_value = p;
  return true;
}

/* No memory for an entry in the list of threads. */
static GCX_NOINLINE bool table_lookup_locked(struct gcx__table *t,
                                             uintptr_t key, void **ret_value)
{
  struct gcx__entry *e;
  bool found;

  gcx__latch_lock(&t->latch);
  e = t->entries != NULL ? gcx__entries_find(t->entries, key) : NULL;
  found = e != NULL && gcx__table_reveal(&e->value, ret_value);
  gcx__latch_unlock(&t->latch);
  return found;
}

bool gcx__table_lookup(struct gcx__table *t, uintptr_t key, void **ret_value)
{
  struct gcx__thread *self = gcx__thread_self();
  bool found = false;

  if (GCX_UNLIKELY(self == NULL))
    return table_lookup_locked(t, key, ret_value);
  while (GCX_UNLIKELY(!table_try(t, key, self, &found, ret_value)))
    ;
  return found;
}

/* The table ended meanwhile: what was found may be another's. */
static bool table_still_is(const struct gcx_table *t)
{
  return gcx__thing_is(t, GCX__TABLE_SIGNATURE);
}

bool gcx_table_find(struct gcx_table *t, const void *key, void **ret_value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_find", &start);
  void *value;

  if (GCX_UNLIKELY(state == NULL) ||
      !gcx__table_lookup(state, GCX_HIDE(key), &value) || !table_still_is(t))
    return false;
  if (ret_value != NULL)
    *ret_value = value;
  GCX_KEEP(t);
  GCX_KEEP(key);
  return true;
}

void *gcx_table_get(struct gcx_table *t, const void *key)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_get", &start);
  void *value;

  if (GCX_UNLIKELY(state == NULL) ||
      !gcx__table_lookup(state, GCX_HIDE(key), &value) || !table_still_is(t))
    return NULL;
  GCX_KEEP(t);
  GCX_KEEP(key);
  return value;
}

size_t gcx_table_count(struct gcx_table *t)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_count", &start);
  size_t live = state != NULL ? gcx__table_live(state) : 0;

  GCX_KEEP(t);
  return live;
}
