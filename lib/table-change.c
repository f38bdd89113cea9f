/* SPDX-License-Identifier: MIT */
/*
 * table-change.c - how a table changes: its entries, and the array they are in
 *
 * A table changes under its latch, one thread at a time; readers take nothing
 * (table-read.c), and a stop may come at any instruction and end entries
 * (ephemeron.c). So:
 *
 *   entry      absent --add--> live --remove--> removed --add, same key--> live
 *                               |                  |
 *                               +-- key dies (stopped): ended, for ever --+
 *
 * - An entry of a key that a public function was called with can't end under it:
 *   the caller holds the key. Others are looked at through gcx__table_reveal().
 * - A full array is copied, living entries only, and replaced. What a stop ended
 *   while it was copied must not come back: the last step, replacing, holds the
 *   collector's lock, and copies again if a stop came in between.
 * - The array replaced is retired: readers may look at it until a stop has found
 *   none of them inside (read.h).
 */
#include "table.h"

#include <errno.h>

#include "later.h"

/* Retired arrays of so many bytes make a table ask for a collection. */
#define RETIRED_MAX ((size_t)8 << 20)
/* Entries of an array that is not worth shrinking. */
#define SHRINK_MIN 64u

static size_t table_retired_bytes;
static uint64_t table_asked; /* epoch in which a collection was asked for */

/* ---- values and arrays */

void gcx__table_let_go(bool borrows, void *value)
{
  uint32_t number;

  if (borrows || !gcx__thing_is_base(value))
    return;
  number = gcx__object_number(value);
  if (number != 0)
    gcx__later_dispose(number);
  GCX_KEEP(value);
}

static void table_retire(struct gcx__table *t, struct gcx__entries *a)
{
  if (a == NULL)
    return;
  a->retired = gcx__read_now();
  a->older = t->retired;
  t->retired = a;
  __atomic_fetch_add(&table_retired_bytes, gcx__entries_bytes(a->capacity),
                     __ATOMIC_RELAXED);
}

static void table_free_array(struct gcx__entries *a)
{
  __atomic_fetch_sub(&table_retired_bytes, gcx__entries_bytes(a->capacity),
                     __ATOMIC_RELAXED);
  gcx__entries_free(a);
}

/* Those that no reader looks at any more; @all: none does. */
static void table_free_retired(struct gcx__table *t, bool all)
{
  struct gcx__entries **at = &t->retired, *a;
  uint64_t safe = __atomic_load_n(&gcx__read_safe, __ATOMIC_ACQUIRE);

  if (!all && t->freed_until == safe)
    return;
  t->freed_until = safe;
  while (*at != NULL && !all && !gcx__read_can_go((*at)->retired))
    at = &(*at)->older;
  a = *at;
  *at = NULL;
  while (a != NULL) {
    struct gcx__entries *older = a->older;

    table_free_array(a);
    a = older;
  }
}

void gcx__table_free_arrays(struct gcx__table *t)
{
  if (t->entries != NULL) {
    table_retire(t, t->entries);
    t->entries = NULL;
  }
  table_free_retired(t, true);
}

/* ---- another array */

struct table_move {
  struct gcx__table *t;
  struct gcx__entries *to;
  uint64_t epoch; /* in which the copy began */
};

/* With the collector's lock: no stop comes. */
static void *table_replace(void *arg)
{
  struct table_move *m = arg;
  struct gcx__entries *from = m->t->entries;

  if (gcx__read_now() != m->epoch) {
    gcx__entries_reset(m->to);
    gcx__entries_copy(m->to, from);
  }
  __atomic_store_n(&m->t->entries, m->to, __ATOMIC_RELEASE);
  table_retire(m->t, from);
  return NULL;
}

/* Room for one more, or less than there is. @locked: the collector's lock is held.
 * False: no memory. */
static bool table_resize(struct gcx__table *t, bool locked)
{
  struct table_move m = { .t = t, .epoch = gcx__read_now() };
  size_t capacity = t->entries != NULL ? t->entries->capacity : 0;

  table_free_retired(t, false);
  m.to = gcx__entries_make(
      gcx__entries_room(gcx__table_live(t), GCX_MAX(capacity, 1u)));
  if (m.to == NULL)
    return false;
  if (t->entries == NULL) {
    __atomic_store_n(&t->entries, m.to, __ATOMIC_RELEASE);
    return true;
  }
  gcx__entries_copy(m.to, t->entries);
  GCX_DELAY();
  if (locked)
    (void)table_replace(&m);
  else
    (void)gcx__bdw_with_lock(table_replace, &m);
  return true;
}

static bool table_is_too_large(const struct gcx__table *t)
{
  return t->entries != NULL && t->entries->capacity > SHRINK_MIN &&
         gcx__table_live(t) * 8 < t->entries->capacity;
}

void gcx__table_trim_arrays(struct gcx__table *t)
{
  if ((t->retired == NULL && !table_is_too_large(t)) ||
      !gcx__latch_try(&t->latch))
    return;
  table_free_retired(t, false);
  if (t->self != 0 && table_is_too_large(t))
    (void)table_resize(t, true);
  gcx__latch_unlock(&t->latch);
}

/* No latch is held. Retired arrays go after a stop: much of them is a reason for
 * one, as garbage is. Once an epoch, for the case that none can come. */
static GCX_NOINLINE void table_ask(size_t retired)
{
  uint64_t now = gcx__read_now();

  if (retired < gcx__entries_mapped() / 2 ||
      __atomic_exchange_n(&table_asked, now, __ATOMIC_RELAXED) == now)
    return;
  gcx__bdw_collect();
}

static inline void table_ask_for_collection(void)
{
  size_t retired = __atomic_load_n(&table_retired_bytes, __ATOMIC_RELAXED);

  if (GCX_UNLIKELY(retired >= RETIRED_MAX))
    table_ask(retired);
}

void gcx__table_ask_for_collection(void)
{
  table_ask_for_collection();
}

/* ---- changing; the latch is held */

static GCX_NOINLINE void table_revive(struct gcx__table *t,
                                      struct gcx__entry *e, uintptr_t value)
{
  uint64_t since = t->serial;

  __atomic_store_n(&t->serial, since + 1, __ATOMIC_RELEASE);
  __atomic_store_n(&e->since, since, __ATOMIC_RELEASE);
  GCX_DELAY();
  __atomic_store_n(&e->value, value, __ATOMIC_RELEASE);
  t->added++;
}

static int table_append(struct gcx__table *t, uintptr_t key, uintptr_t value)
{
  uint64_t serial = t->serial;

  if ((t->entries == NULL || t->entries->used == t->entries->capacity) &&
      !table_resize(t, false))
    return -ENOMEM;
  __atomic_store_n(&t->serial, serial + 1, __ATOMIC_RELEASE);
  gcx__entries_add(t->entries, key, value, serial, serial);
  t->added++;
  return 0;
}

/* The caller waited for the latch: is it still the state of that table? */
static bool table_is_of(const struct gcx__table *t, const void *self)
{
  return t->self == GCX_HIDE(self);
}

static struct gcx__entry *table_entry(const struct gcx__table *t,
                                      const void *self, const void *key)
{
  return table_is_of(t, self) && t->entries != NULL
             ? gcx__entries_find(t->entries, GCX_HIDE(key))
             : NULL;
}

/* The key has none yet. */
static GCX_NOINLINE int table_put_new(struct gcx__table *t, const void *key,
                                      uintptr_t value)
{
  if (!gcx__thing_is_base(key))
    return -EINVAL;
  (void)gcx__thing_know_key(key, t->place);
  return table_append(t, GCX_HIDE(key), value);
}

/* -EEXIST: there is a value, *ret_old; it was replaced if @replace. */
static int table_put_locked(struct gcx__table *t, const void *self,
                            const void *key, uintptr_t value, bool replace,
                            void **ret_old)
{
  struct gcx__entry *e = table_entry(t, self, key);

  if (e == NULL)
    return table_is_of(t, self) ? table_put_new(t, key, value) : -EINVAL;
  if (!gcx__table_reveal(&e->value, ret_old)) {
    table_revive(t, e, value);
    return 0;
  }
  if (replace)
    __atomic_store_n(&e->value, value, __ATOMIC_RELEASE);
  return -EEXIST;
}

int gcx__table_put(struct gcx__table *t, const void *self, const void *key,
                   void *value, bool replace)
{
  bool borrows;
  void *old = NULL;
  int result;

  if (key == NULL || value == (void *)UINTPTR_MAX)
    return -EINVAL;
  gcx__latch_lock(&t->latch);
  result = table_put_locked(t, self, key, GCX_HIDE(value), replace, &old);
  borrows = t->borrows;
  gcx__latch_unlock(&t->latch);
  if (result == -EEXIST && replace) {
    result = 0;
    if (old != value && !borrows)
      gcx__table_let_go(borrows, old);
  }
  table_ask_for_collection();
  GCX_KEEP(key);
  GCX_KEEP(value);
  return result;
}

int gcx__table_change(struct gcx__table *t, const void *self, const void *key,
                      void *value)
{
  struct gcx__entry *e;
  void *old = NULL;
  bool found, borrows;

  if (value == (void *)UINTPTR_MAX)
    return -EINVAL;
  gcx__latch_lock(&t->latch);
  e = table_entry(t, self, key);
  found = e != NULL && gcx__table_reveal(&e->value, &old);
  if (found)
    __atomic_store_n(&e->value, GCX_HIDE(value), __ATOMIC_RELEASE);
  borrows = t->borrows;
  gcx__latch_unlock(&t->latch);
  if (found && old != value)
    gcx__table_let_go(borrows, old);
  GCX_KEEP(key);
  GCX_KEEP(value);
  return found ? 0 : -EINVAL;
}

bool gcx__table_take(struct gcx__table *t, const void *self, const void *key,
                     void **ret_value)
{
  struct gcx__entry *e;
  bool taken;

  gcx__latch_lock(&t->latch);
  e = table_entry(t, self, key);
  taken = e != NULL && gcx__table_reveal(&e->value, ret_value);
  if (taken) {
    __atomic_store_n(&e->value, 0, __ATOMIC_RELEASE);
    t->removed++;
    if (table_is_too_large(t))
      (void)table_resize(t, false);
  }
  gcx__latch_unlock(&t->latch);
  return taken;
}

void gcx__table_clear_locked(struct gcx__table *t)
{
  struct gcx__entries *a = t->entries;
  void *value;

  if (a == NULL)
    return;
  for (uint32_t i = 0; i < a->used; i++)
    if (gcx__table_reveal(&a->entry[i].value, &value)) {
      __atomic_store_n(&a->entry[i].value, 0, __ATOMIC_RELEASE);
      t->removed++;
      gcx__table_let_go(t->borrows, value);
    }
  __atomic_store_n(&t->entries, NULL, __ATOMIC_RELEASE);
  table_retire(t, a);
}

void gcx__table_clear(struct gcx__table *t, const void *self)
{
  gcx__latch_lock(&t->latch);
  if (table_is_of(t, self))
    gcx__table_clear_locked(t);
  gcx__latch_unlock(&t->latch);
  gcx__table_ask_for_collection();
}

/* ---- objects that move or go; fork */

void gcx__table_follow_in(struct gcx__table *t, void *old, void *now)
{
  struct gcx__entry *e;
  void *value = NULL;
  bool had;

  gcx__latch_lock(&t->latch);
  e = t->entries != NULL ? gcx__entries_find(t->entries, GCX_HIDE(old)) : NULL;
  if (e != NULL) {
    had = gcx__table_reveal(&e->value, &value);
    __atomic_store_n(&e->value, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&e->key, 0, __ATOMIC_RELEASE);
    if (had)
      t->removed++;
    if (had &&
        (now == NULL || table_append(t, GCX_HIDE(now), GCX_HIDE(value)) != 0))
      gcx__table_let_go(t->borrows, value);
  }
  gcx__latch_unlock(&t->latch);
}

/* A thread that is gone may have been changing the table: an entry without an
 * index, or not counted. */
void gcx__table_repair(struct gcx__table *t)
{
  uint64_t live = 0;

  gcx__latch_reset(&t->latch);
  for (uint32_t i = 0; t->entries != NULL && i < t->entries->used; i++)
    live += t->entries->entry[i].key != 0 && t->entries->entry[i].value != 0;
  t->added = t->removed + t->ended + live;
  if (t->entries != NULL)
    (void)table_resize(t, true);
}
