/* SPDX-License-Identifier: MIT */
/*
 * table.c - weak-keyed tables: making and ending them; the public functions
 *
 * The program has a small object; state and arrays lie off-heap. How a table
 * changes: table-change.c.
 *
 * A table ends by gcx_dispose(), or when a stop finds its object dead. Its state
 * is used again when no reader can be inside any more.
 */
#include "table.h"

#include <errno.h>
#include <string.h>

#include "lock.h"
#include "vm.h"

static struct gcx__lock table_lock = GCX_LOCK_INIT(GCX_RANK_TABLES);
struct gcx__link gcx__table_list = { &gcx__table_list, &gcx__table_list };
static struct gcx__table *table_free;  /* states */
static struct gcx__table *table_ended; /* by gcx_dispose(), latest first */
static struct gcx__table *table_dead;  /* chain made in stops */
static size_t table_count;
/* Tables by a number that goes round: the state words of their keys tell the
 * place, and a key that moves or goes is looked up in the tables of that place
 * alone. 0 is none. */
static struct gcx__table *table_places[GCX_TABLES_SEVERAL];
static uint32_t table_place_latest;
static uint64_t table_followed;

static int table_dispose(void *obj);

static const struct gcx_type table_type = GCX_TYPE_INIT(
    "gcx_table", sizeof(struct gcx_table), GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC,
    NULL, table_dispose, NULL, NULL);

const struct gcx__thing_kind gcx__table_kind = { GCX__TABLE_SIGNATURE,
                                                 &table_type, "table" };

/* ---- places; with table_lock */

static void table_enter_locked(struct gcx__table *t)
{
  table_place_latest = table_place_latest % (GCX_TABLES_SEVERAL - 1) + 1;
  t->place = (uint16_t)table_place_latest;
  t->next_in_place = table_places[t->place];
  table_places[t->place] = t;
}

static void table_leave_locked(const struct gcx__table *t)
{
  struct gcx__table **at = &table_places[t->place];

  while (*at != t)
    at = &(*at)->next_in_place;
  *at = t->next_in_place;
}

/* ---- states */

/* Those whose readers are gone; with table_lock. */
static void table_reuse_locked(struct gcx__table *t)
{
  gcx__link_remove(&t->link);
  table_leave_locked(t);
  gcx__table_free_arrays(t);
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

/* The latch goes on: who waited for it when the last table ended may hold it, or
 * wait still, before it finds out. */
static void table_begin(struct gcx__table *t, bool borrows)
{
  size_t after = offsetof(struct gcx__table, latch) + sizeof t->latch;

  memset(t, 0, offsetof(struct gcx__table, latch));
  memset((char *)t + after, 0, sizeof *t - after);
  t->borrows = borrows;
  t->serial = 1;
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
    table_begin(t, borrows);
  return t;
}

void gcx__table_publish(struct gcx__table *t, void *self)
{
  __atomic_store_n(&t->self, GCX_HIDE(self), __ATOMIC_RELEASE);
  gcx__lock(&table_lock);
  gcx__link_add(&gcx__table_list, &t->link);
  table_enter_locked(t);
  table_count++;
  gcx__unlock(&table_lock);
  GCX_KEEP(self);
}

void gcx__table_end(struct gcx__table *t)
{
  gcx__lock(&table_lock);
  gcx__latch_lock(&t->latch);
  gcx__table_clear_locked(t);
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
  t->borrows = (flags & GCX_TABLE_BORROWS) != 0;
  t->state = gcx__table_make(t->borrows);
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
      state != NULL ? gcx__table_put(state, t, key, value, false) : -EINVAL;

  GCX_KEEP(t);
  return result;
}

int gcx_table_set(struct gcx_table *t, const void *key, void *value)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__table *state = gcx__table_of(t, "gcx_table_set", &start);
  int result =
      state != NULL ? gcx__table_put(state, t, key, value, true) : -EINVAL;

  GCX_KEEP(t);
  return result;
}

/* What was @made is added, unless there is a value by now; -EAGAIN: there was, and
 * is gone again. */
static int table_settle(struct gcx_table *table, const void *key, void *made,
                        void **ret_value)
{
  struct gcx__table *t = table->state;
  int result = gcx__table_put(t, table, key, made, false);

  if (result == 0) {
    *ret_value = made;
    return 0;
  }
  if (result != -EEXIST)
    return result;
  if (!gcx__table_lookup(t, GCX_HIDE(key), ret_value) ||
      !gcx__thing_is(table, GCX__TABLE_SIGNATURE)) /* then it has none at all */
    return -EAGAIN;
  if (*ret_value != made)
    gcx__table_let_go(table->borrows, made);
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
      result = table_settle(t, key, made, &value);
    while (result == -EAGAIN);
    if (result != 0)
      gcx__table_let_go(t->borrows, made); /* nobody else knows it */
    GCX_KEEP(made);
  } else if (!gcx__thing_is(t, GCX__TABLE_SIGNATURE)) {
    result = -EINVAL; /* it has ended: that was perhaps another table's */
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
  bool taken = state != NULL && gcx__table_take(state, t, key, &value);

  if (taken) {
    gcx__table_let_go(t->borrows, value);
    gcx__table_ask_for_collection();
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
    gcx__table_clear(state, t);
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

static void table_follow_in_locked(struct gcx__table *t, void *old, void *now)
{
  table_followed++;
  gcx__table_follow_in(t, old, now);
}

static void table_follow_in_all_locked(void *old, void *now)
{
  for (struct gcx__link *l = gcx__table_list.next; l != &gcx__table_list;
       l = l->next)
    table_follow_in_locked(GCX_CONTAINER_OF(l, struct gcx__table, link), old,
                           now);
}

void gcx__table_follow(uint32_t number, void *old, void *now)
{
  uint32_t place = gcx__record_state(number) >> GCX_STATE_TABLES_SHIFT;

  if (place == 0)
    return;
  gcx__lock(&table_lock);
  if (place == GCX_TABLES_SEVERAL)
    table_follow_in_all_locked(old, now);
  else
    for (struct gcx__table *t = table_places[place]; t != NULL;
         t = t->next_in_place)
      table_follow_in_locked(t, old, now);
  gcx__unlock(&table_lock);
}

void gcx__table_trim(void)
{
  if (!gcx__trylock(&table_lock))
    return;
  for (struct gcx__link *l = gcx__table_list.next; l != &gcx__table_list;
       l = l->next)
    gcx__table_trim_arrays(GCX_CONTAINER_OF(l, struct gcx__table, link));
  table_bury_locked();
  gcx__unlock(&table_lock);
}

/* ---- fork */

/* Also of states that wait to be used again: whoever came too late may have had the
 * latch. */
void gcx__table_after_fork(void)
{
  struct gcx__link *l;

  gcx__entries_after_fork();
  for (struct gcx__table *t = table_free; t != NULL; t = t->next_free)
    gcx__latch_reset(&t->latch);
  for (l = gcx__table_list.next; l != &gcx__table_list; l = l->next) {
    struct gcx__table *t = GCX_CONTAINER_OF(l, struct gcx__table, link);

    if (t->latch.word != 0)
      gcx__table_repair(t);
    else
      gcx__latch_reset(&t->latch); /* who waited for it is gone */
  }
}

/* ---- tests */

uint64_t gcx__table_followed(void)
{
  return table_followed;
}

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
