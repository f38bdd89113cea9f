/* SPDX-License-Identifier: MIT */
/*
 * table.c - weak-keyed tables: making, changing and ending them
 *
 * The program has a small object; state and arrays lie off-heap. A table changes
 * under its latch, one thread at a time; readers take nothing (table-read.c), and
 * a stop may come at any instruction and end entries (ephemeron.c). So:
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
 *
 * A table ends by gcx_dispose(), or when a stop finds its object dead. Its state
 * is used again when no reader can be inside any more.
 */
#include "table.h"

#include <errno.h>

#include "later.h"
#include "lock.h"
#include "vm.h"

/* Retired arrays of so many bytes make a table ask for a collection. */
#define RETIRED_MAX ((size_t)8 << 20)
/* Entries of an array that is not worth shrinking. */
#define SHRINK_MIN 64u

static struct gcx__lock table_lock = GCX_LOCK_INIT(GCX_RANK_TABLES);
struct gcx__link gcx__table_list = { &gcx__table_list, &gcx__table_list };
static struct gcx__table *table_free;  /* states */
static struct gcx__table *table_ended; /* by gcx_dispose(), latest first */
static struct gcx__table *table_dead;  /* chain made in stops */
static size_t table_count;
static size_t table_retired_bytes;
static uint64_t table_asked; /* epoch in which a collection was asked for */

static int table_dispose(void *obj);

static const struct gcx_type table_type = GCX_TYPE_INIT(
    "gcx_table", sizeof(struct gcx_table), GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC,
    NULL, table_dispose, NULL, NULL);

/* ---- values and arrays */

/* An entry with this value has ended. The caller holds @value. */
static void table_let_go(const struct gcx__table *t, void *value)
{
  uint32_t number;

  if (t->borrows || !gcx__thing_is_base(value))
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

/* No latch is held. Retired arrays go after a stop: much of them is a reason for
 * one, as garbage is. Once an epoch, for the case that none can come. */
static void table_ask_for_collection(void)
{
  size_t retired = __atomic_load_n(&table_retired_bytes, __ATOMIC_RELAXED);
  uint64_t now = gcx__read_now();

  if (GCX_LIKELY(retired < RETIRED_MAX) ||
      retired < gcx__entries_mapped() / 2 ||
      __atomic_exchange_n(&table_asked, now, __ATOMIC_RELAXED) == now)
    return;
  gcx__bdw_collect();
}

/* ---- changing; the latch is held */

static void table_revive(struct gcx__table *t, struct gcx__entry *e,
                         uintptr_t value)
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

/* -EEXIST: there is a value, *ret_old; it was replaced if @replace. */
static int table_put_locked(struct gcx__table *t, const void *key,
                            uintptr_t value, bool replace, void **ret_old)
{
  struct gcx__entry *e = NULL;

  if (t->self == 0)
    return -EINVAL;
  if (t->entries != NULL)
    e = gcx__entries_find(t->entries, GCX_HIDE(key));
  if (e == NULL) {
    if (!gcx__thing_is_base(key))
      return -EINVAL;
    (void)gcx__thing_know(key);
    return table_append(t, GCX_HIDE(key), value);
  }
  if (!gcx__table_reveal(&e->value, ret_old)) {
    table_revive(t, e, value);
    return 0;
  }
  if (replace)
    __atomic_store_n(&e->value, value, __ATOMIC_RELEASE);
  return -EEXIST;
}

int gcx__table_put(struct gcx__table *t, const void *key, void *value,
                   bool replace)
{
  void *old = NULL;
  int result;

  if (key == NULL || value == (void *)UINTPTR_MAX)
    return -EINVAL;
  gcx__latch_lock(&t->latch);
  result = table_put_locked(t, key, GCX_HIDE(value), replace, &old);
  gcx__latch_unlock(&t->latch);
  if (result == -EEXIST && replace) {
    result = 0;
    if (old != value)
      table_let_go(t, old);
  }
  table_ask_for_collection();
  GCX_KEEP(key);
  GCX_KEEP(value);
  return result;
}

int gcx__table_change(struct gcx__table *t, const void *key, void *value)
{
  struct gcx__entry *e = NULL;
  void *old = NULL;
  bool found;

  if (value == (void *)UINTPTR_MAX)
    return -EINVAL;
  gcx__latch_lock(&t->latch);
  if (t->entries != NULL)
    e = gcx__entries_find(t->entries, GCX_HIDE(key));
  found = e != NULL && gcx__table_reveal(&e->value, &old);
  if (found)
    __atomic_store_n(&e->value, GCX_HIDE(value), __ATOMIC_RELEASE);
  gcx__latch_unlock(&t->latch);
  if (found && old != value)
    table_let_go(t, old);
  GCX_KEEP(key);
  GCX_KEEP(value);
  return found ? 0 : -EINVAL;
}

static bool table_take(struct gcx__table *t, const void *key, void **ret_value)
{
  struct gcx__entry *e = NULL;
  bool taken;

  gcx__latch_lock(&t->latch);
  if (t->entries != NULL)
    e = gcx__entries_find(t->entries, GCX_HIDE(key));
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

static void table_clear_locked(struct gcx__table *t)
{
  struct gcx__entries *a = t->entries;
  void *value;

  if (a == NULL)
    return;
  for (uint32_t i = 0; i < a->used; i++)
    if (gcx__table_reveal(&a->entry[i].value, &value)) {
      __atomic_store_n(&a->entry[i].value, 0, __ATOMIC_RELEASE);
      t->removed++;
      table_let_go(t, value);
    }
  __atomic_store_n(&t->entries, NULL, __ATOMIC_RELEASE);
  table_retire(t, a);
}

void gcx__table_clear(struct gcx__table *t)
{
  gcx__latch_lock(&t->latch);
  table_clear_locked(t);
  gcx__latch_unlock(&t->latch);
  table_ask_for_collection();
}

/* ---- states */

/* Those whose readers are gone; with table_lock. */
static void table_reuse_locked(struct gcx__table *t)
{
  gcx__link_remove(&t->link);
  if (t->entries != NULL) {
    table_retire(t, t->entries);
    t->entries = NULL;
  }
  table_free_retired(t, true);
  t->next_free = table_free;
  table_free = t;
  table_count--;
}

static void table_bury_locked(void)
{
  struct gcx__table *t =
      __atomic_exchange_n(&table_dead, NULL, __ATOMIC_ACQ_REL);
  struct gcx__table *next, **at = &table_ended;

  for (; t != NULL; t = next) {
    next = t->next_free;
    table_reuse_locked(t);
  }
  while ((t = *at) != NULL)
    if (gcx__read_can_go(t->ended_in)) {
      *at = t->next_free;
      table_reuse_locked(t);
    } else {
      at = &t->next_free;
    }
}

struct gcx__table *gcx__table_make(bool borrows)
{
  struct gcx__table *t;

  gcx__lock(&table_lock);
  table_bury_locked();
  t = table_free;
  if (t != NULL)
    table_free = t->next_free;
  gcx__unlock(&table_lock);
  if (t == NULL)
    t = gcx__vm_alloc(sizeof *t);
  if (t != NULL)
    *t = (struct gcx__table){ .borrows = borrows, .serial = 1 };
  return t;
}

void gcx__table_publish(struct gcx__table *t, void *self)
{
  __atomic_store_n(&t->self, GCX_HIDE(self), __ATOMIC_RELEASE);
  gcx__lock(&table_lock);
  gcx__link_add(&gcx__table_list, &t->link);
  table_count++;
  gcx__unlock(&table_lock);
  GCX_KEEP(self);
}

void gcx__table_end(struct gcx__table *t)
{
  gcx__lock(&table_lock);
  gcx__latch_lock(&t->latch);
  table_clear_locked(t);
  __atomic_store_n(&t->self, 0, __ATOMIC_RELEASE);
  t->ended_in = gcx__read_now();
  t->next_free = table_ended;
  table_ended = t;
  gcx__latch_unlock(&t->latch);
  gcx__unlock(&table_lock);
}

void gcx__table_note_dead(struct gcx__table *t)
{
  t->self = 0;
  t->next_free = table_dead;
  table_dead = t;
}

/* ---- public */

struct gcx_table *gcx_table_create(unsigned flags)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_table *t;

  if ((flags & ~GCX_TABLE_BORROWS) != 0) {
    errno = EINVAL;
    return NULL;
  }
  t = gcx__thing_new(&table_type, &start);
  if (t == NULL)
    return NULL;
  t->state = gcx__table_make((flags & GCX_TABLE_BORROWS) != 0);
  if (t->state == NULL) {
    gcx_discard(t);
    errno = ENOMEM;
    return NULL;
  }
  gcx__table_publish(t->state, t);
  gcx__thing_sign(t, GCX__TABLE_SIGNATURE);
  return t;
}

int gcx_table_add(struct gcx_table *t, const void *key, void *value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_add", &start);
  int result =
      state != NULL ? gcx__table_put(state, key, value, false) : -EINVAL;

  GCX_KEEP(t);
  return result;
}

int gcx_table_set(struct gcx_table *t, const void *key, void *value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_set", &start);
  int result =
      state != NULL ? gcx__table_put(state, key, value, true) : -EINVAL;

  GCX_KEEP(t);
  return result;
}

/* What was @made is added, unless there is a value by now; -EAGAIN: there was, and
 * is gone again. */
static int table_settle(struct gcx__table *t, const void *key, void *made,
                        void **ret_value)
{
  int result = gcx__table_put(t, key, made, false);

  if (result == 0) {
    *ret_value = made;
    return 0;
  }
  if (result != -EEXIST)
    return result;
  if (!gcx__table_lookup(t, GCX_HIDE(key), ret_value))
    return -EAGAIN;
  if (*ret_value != made)
    table_let_go(t, made);
  return 0;
}

int gcx_table_get_or_add(struct gcx_table *t, const void *key, gcx_make_fn make,
                         void *arg, void **ret_value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_get_or_add", &start);
  void *value = NULL, *made;
  int result = 0;

  if (state == NULL || make == NULL || !gcx__thing_is_base(key))
    return -EINVAL;
  if (!gcx__table_lookup(state, GCX_HIDE(key), &value)) {
    made = make(key, arg);
    if (made == NULL)
      return -ENOMEM;
    do
      result = table_settle(state, key, made, &value);
    while (result == -EAGAIN);
    if (result != 0)
      table_let_go(state, made); /* nobody else knows it */
    GCX_KEEP(made);
  }
  if (result == 0 && ret_value != NULL)
    *ret_value = value;
  GCX_KEEP(t);
  GCX_KEEP(key);
  return result;
}

bool gcx_table_remove(struct gcx_table *t, const void *key)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_remove", &start);
  void *value = NULL;
  bool taken = state != NULL && table_take(state, key, &value);

  if (taken) {
    table_let_go(state, value);
    table_ask_for_collection();
  }
  GCX_KEEP(t);
  GCX_KEEP(key);
  return taken;
}

void gcx_table_clear(struct gcx_table *t)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_clear", &start);

  if (state != NULL)
    gcx__table_clear(state);
  GCX_KEEP(t);
}

static int table_dispose(void *obj)
{
  struct gcx_table *t = obj;

  if (!gcx__thing_is(t, GCX__TABLE_SIGNATURE))
    return 0;
  gcx__thing_sign(t, 0);
  gcx__table_end(t->state);
  return 0;
}

/* ---- objects that move or go; memory */

static void table_follow_in(struct gcx__table *t, void *old, void *now)
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
      table_let_go(t, value);
  }
  gcx__latch_unlock(&t->latch);
}

void gcx__table_follow(void *old, void *now)
{
  gcx__lock(&table_lock);
  for (struct gcx__link *l = gcx__table_list.next; l != &gcx__table_list;
       l = l->next)
    table_follow_in(GCX_CONTAINER_OF(l, struct gcx__table, link), old, now);
  gcx__unlock(&table_lock);
}

void gcx__table_trim(void)
{
  if (!gcx__trylock(&table_lock))
    return;
  for (struct gcx__link *l = gcx__table_list.next; l != &gcx__table_list;
       l = l->next) {
    struct gcx__table *t = GCX_CONTAINER_OF(l, struct gcx__table, link);

    if ((t->retired == NULL && !table_is_too_large(t)) ||
        !gcx__latch_try(&t->latch))
      continue;
    table_free_retired(t, false);
    if (t->self != 0 && table_is_too_large(t))
      (void)table_resize(t, true);
    gcx__latch_unlock(&t->latch);
  }
  table_bury_locked();
  gcx__unlock(&table_lock);
}

/* ---- fork */

/* A thread that is gone may have been changing the table: an entry without an
 * index, or not counted. */
static void table_repair(struct gcx__table *t)
{
  uint64_t live = 0;

  gcx__latch_reset(&t->latch);
  for (uint32_t i = 0; t->entries != NULL && i < t->entries->used; i++)
    live += t->entries->entry[i].key != 0 && t->entries->entry[i].value != 0;
  t->added = t->removed + t->ended + live;
  if (t->entries != NULL)
    (void)table_resize(t, true);
}

void gcx__table_after_fork(void)
{
  struct gcx__link *l;

  gcx__entries_after_fork();
  for (l = gcx__table_list.next; l != &gcx__table_list; l = l->next) {
    struct gcx__table *t = GCX_CONTAINER_OF(l, struct gcx__table, link);

    if (t->latch.word != 0)
      table_repair(t);
  }
}

/* ---- tests */

size_t gcx__table_tables(void)
{
  size_t count;

  gcx__lock(&table_lock);
  table_bury_locked();
  count = table_count;
  gcx__unlock(&table_lock);
  return count;
}

void gcx__table_check(struct gcx_table *t)
{
  struct gcx__table *state = t->state;
  size_t live = 0;

  gcx__latch_lock(&state->latch);
  for (uint32_t i = 0; state->entries != NULL && i < state->entries->used; i++)
    live += state->entries->entry[i].key != 0 &&
            state->entries->entry[i].value != 0;
  if (state->entries != NULL)
    gcx__entries_check(state->entries);
  GCX_ASSERT(live == gcx__table_live(state));
  gcx__latch_unlock(&state->latch);
}
