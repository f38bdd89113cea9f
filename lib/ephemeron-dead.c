/* SPDX-License-Identifier: MIT */
/*
 * ephemeron-dead.c - which entries are dead after the closure, and how they end
 *
 *   find_dead     entries that still wait are dead, and so are all those of
 *                 tables that wait. The values that their tables own are marked,
 *                 with all that they reach: they will be disposed. Keys that
 *                 become marked by that are dead all the same, else a chain
 *                 would lose one link a collection, and value->key cycles would
 *                 stay for ever.
 *   end_dead      what only lost objects have kept lives on. The rest ends: key
 *                 and value go, the finalizer thread disposes the value.
 */
#include "ephemeron.h"

#include "termination.h"

struct ephemeron_dead {
  struct gcx__table *table;
  struct gcx__entry *entry;
  bool certainly; /* whatever is marked now */
};

static struct ephemeron_dead *ephemeron_dead;
static size_t ephemeron_dead_capacity;
static size_t ephemeron_dead_count;

void gcx__ephemeron_begin_dead(void)
{
  ephemeron_dead_count = 0;
}

bool gcx__ephemeron_have_dead(size_t wanted)
{
  void *dead = ephemeron_dead;
  bool have = gcx__ephemeron_have(&dead, &ephemeron_dead_capacity, wanted,
                                  sizeof *ephemeron_dead);

  ephemeron_dead = dead;
  return have;
}

static void ephemeron_add_dead(struct gcx__table *t, struct gcx__entry *e)
{
  GCX_ASSERT(ephemeron_dead_count < ephemeron_dead_capacity);
  ephemeron_dead[ephemeron_dead_count++] =
      (struct ephemeron_dead){ .table = t, .entry = e };
}

static void ephemeron_add_dead_table(struct gcx__table *t)
{
  struct gcx__entries *a = t->entries;

  for (uint32_t i = 0; a != NULL && i < a->used; i++)
    if (a->entry[i].key != 0 && a->entry[i].value != 0)
      ephemeron_add_dead(t, &a->entry[i]);
}

static void ephemeron_list_dead(const struct gcx__ephemeron_wait *waits,
                                uint32_t n)
{
  for (uint32_t i = 0; i < n; i++) {
    const struct gcx__ephemeron_wait *w = &waits[i];

    if (w->table == NULL)
      continue;
    if (w->entry == NULL) {
      if (!w->table->visited)
        ephemeron_add_dead_table(w->table);
    } else if (!gcx__ephemeron_key_is_marked(w->entry)) {
      ephemeron_add_dead(w->table, w->entry);
    }
  }
}

/* Key and table are marked: it would live. */
static bool ephemeron_lives(const struct ephemeron_dead *d)
{
  return gcx__ephemeron_key_is_marked(d->entry) &&
         gcx__ephemeron_table_is_marked(d->table);
}

void gcx__ephemeron_find_dead(struct gcx__marker *m,
                              const struct gcx__ephemeron_wait *waits,
                              uint32_t n)
{
  ephemeron_list_dead(waits, n);
  for (size_t i = 0; i < ephemeron_dead_count; i++)
    if (!ephemeron_dead[i].table->borrows)
      gcx__ephemeron_mark(m,
                          gcx__ephemeron_base(ephemeron_dead[i].entry->value));
  gcx__marker_drain(m);
  for (size_t i = 0; i < ephemeron_dead_count; i++) {
    struct ephemeron_dead *d = &ephemeron_dead[i];

    d->certainly = !d->table->borrows && ephemeron_lives(d);
  }
}

/* ---- the end */

static void ephemeron_end_entry(struct gcx__table *t, struct gcx__entry *e)
{
  __atomic_store_n(&e->value, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&e->key, 0, __ATOMIC_RELEASE);
  t->ended++;
}

/* The value is marked, gcx__ephemeron_find_dead() has seen to that. */
static void ephemeron_end(struct gcx__marker *m, const struct ephemeron_dead *d)
{
  void *value = GCX_REVEAL(d->entry->value);

  ephemeron_end_entry(d->table, d->entry);
  if (!d->table->borrows && gcx__thing_is_base(value) &&
      gcx__object_number(value) != 0)
    gcx__termination_dispose_later(m, value);
}

static void ephemeron_end_tables(void)
{
  struct gcx__link *l;

  GCX__EACH_TABLE(l)
  {
    struct gcx__table *t = gcx__ephemeron_table(l);

    if (t->self != 0 && !gcx__ephemeron_table_is_marked(t))
      gcx__table_note_dead(t);
  }
}

void gcx__ephemeron_end_dead(struct gcx__marker *m)
{
  for (size_t i = 0; i < ephemeron_dead_count; i++) {
    const struct ephemeron_dead *d = &ephemeron_dead[i];

    if (d->certainly || !ephemeron_lives(d))
      ephemeron_end(m, d);
  }
  ephemeron_end_tables();
}

/* Is the object still the table's (or the dependent's)? Both begin alike. */
static bool ephemeron_has_table(const struct gcx__table *t)
{
  const struct gcx_table *object = GCX_REVEAL(t->self);

  return gcx__thing_is_marked(object) && object->state == t;
}

static void ephemeron_end_strayed_tables(void)
{
  struct gcx__link *l;

  GCX__EACH_TABLE(l)
  {
    struct gcx__table *t = gcx__ephemeron_table(l);

    if (t->self != 0 && !ephemeron_has_table(t))
      gcx__table_note_dead(t);
  }
}

void gcx__ephemeron_forget(void)
{
  struct gcx__link *l;

  GCX__EACH_TABLE(l)
  {
    struct gcx__table *t = gcx__ephemeron_table(l);
    struct gcx__entries *a = t->entries;

    for (uint32_t i = 0; a != NULL && i < a->used; i++)
      if (a->entry[i].key != 0 && a->entry[i].value != 0)
        ephemeron_end_entry(t, &a->entry[i]);
  }
  ephemeron_end_strayed_tables();
  ephemeron_end_tables();
}
