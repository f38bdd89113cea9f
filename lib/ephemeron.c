/* SPDX-License-Identifier: MIT */
/*
 * ephemeron.c - which entries live: the tables' part of the termination phase
 *
 * An entry holds its value while its table and its key are marked. Stopped, one
 * pass over all entries:
 *
 *   table and key marked            mark the value
 *   table marked, key not           the entry waits, indexed by its key
 *   table not marked                the table waits, indexed by itself
 *
 * From then on the marker asks here about every object that it marks
 * (ephemeron_edges()): what waited for it is dealt with on the spot, by the same
 * rule. So each entry is visited once and dealt with once, whatever the order of
 * a chain, and the closure is complete whenever the marker is drained: also after
 * finalizables, dead values and lost objects were marked.
 *
 * What is dead then, and how it ends: ephemeron-dead.c.
 *
 * Memory: a wait for each entry, an index of twice as many; mapped when needed,
 * in the stop if must be. Without it nothing is ended: every key and value is
 * marked.
 */
#include "ephemeron.h"

#include <string.h>

#include "termination.h"
#include "words.h"

/* Small, and with the value at hand if there is only one: a step along a chain
 * costs one cache miss here. */
struct ephemeron_place {
  uint64_t object; /* its address and the stop, see ephemeron_name(); of another
                      stop: free */
  uintptr_t wait; /* base of the value, even; or 2 x number of a wait + 1, where
                      there are several, or a table */
};
#define STOP_BITS 20
#define STOPS (1u << STOP_BITS)

static struct gcx__ephemeron_wait *ephemeron_waits;
static size_t ephemeron_waits_capacity;
static uint32_t ephemeron_count; /* waits in use */
static struct ephemeron_place *ephemeron_index;
static size_t ephemeron_index_capacity;
static uint32_t ephemeron_mask; /* of the part that this stop uses */
static uint32_t ephemeron_shift;
static uint32_t ephemeron_stop;
static bool ephemeron_closed; /* the first pass of this stop is done */
static bool ephemeron_blind;  /* no memory: nothing ends in this stop */
static struct gcx__marker *ephemeron_marker;
static struct gcx__ephemeron_work ephemeron_work;

/* As good as random, so that the work depends on the number of waits alone. */
static uint32_t ephemeron_hash(const void *object)
{
  uint64_t hash = ((uintptr_t)object >> 4) * UINT64_C(0x9E3779B97F4A7C15);

  hash ^= hash >> 32;
  return (uint32_t)((hash * UINT64_C(0xD6E8FEB86659FD93)) >> ephemeron_shift);
}

/* The marker is going to ask for the place and to read the object: both are on
 * their way together. */
static void ephemeron_mark(struct gcx__marker *m, void *base)
{
  if (base == NULL || gcx__bdw_is_marked(base))
    return;
  ephemeron_work.marked++;
  __builtin_prefetch(base);
  if (ephemeron_closed)
    __builtin_prefetch(&ephemeron_index[ephemeron_hash(base) & ephemeron_mask]);
  gcx__marker_add(m, base);
}

void gcx__ephemeron_mark(struct gcx__marker *m, void *base)
{
  ephemeron_mark(m, base);
}

/* ---- memory */

/* Entries and tables, at most; what is there may wait. Waits take as many again:
 * see ephemeron_chain(). */
static size_t ephemeron_total(void)
{
  struct gcx__link *l;
  size_t total = 0;

  GCX__EACH_TABLE(l)
  {
    const struct gcx__table *t = gcx__ephemeron_table(l);

    total += 1 + (t->entries != NULL ? t->entries->used : 0);
  }
  return total;
}

static bool ephemeron_have_waits(size_t wanted)
{
  void *waits = ephemeron_waits;
  bool have = wanted < UINT32_MAX / 4 &&
              gcx__ephemeron_have(&waits, &ephemeron_waits_capacity, wanted * 2,
                                  sizeof *ephemeron_waits) &&
              gcx__ephemeron_have_dead(wanted);

  ephemeron_waits = waits;
  return have;
}

static bool ephemeron_have_index(size_t waits)
{
  void *memory = ephemeron_index;
  uint32_t bits = 4;
  bool have;

  while (((size_t)1 << bits) < waits * 2)
    bits++;
  have = gcx__ephemeron_have(&memory, &ephemeron_index_capacity,
                             (size_t)1 << bits, sizeof *ephemeron_index);
  ephemeron_index = memory;
  ephemeron_mask = ((uint32_t)1 << bits) - 1;
  ephemeron_shift = 64 - bits;
  return have;
}

/* ---- waiting */

/* Addresses have 47 bits, the lowest 4 are 0. */
static uint64_t ephemeron_name(const void *object)
{
  return (uint64_t)(uintptr_t)object << (STOP_BITS - 4) | ephemeron_stop;
}

static bool ephemeron_is_taken(const struct ephemeron_place *p)
{
  return (p->object & (STOPS - 1)) == ephemeron_stop;
}

/* Place of an object, or the free one where it belongs. */
static struct ephemeron_place *ephemeron_find(const void *object)
{
  uint64_t name = ephemeron_name(object);
  uint32_t i = ephemeron_hash(object);

  for (;; i++) {
    struct ephemeron_place *p = &ephemeron_index[i & ephemeron_mask];

    ephemeron_work.probes++;
    if (p->object == name || !ephemeron_is_taken(p))
      return p;
  }
}

static void ephemeron_new(struct gcx__table *t, struct gcx__entry *e)
{
  struct gcx__ephemeron_wait *w = &ephemeron_waits[ephemeron_count];

  GCX_ASSERT(ephemeron_count < ephemeron_waits_capacity);
  *w = (struct gcx__ephemeron_wait){
    .table = t,
    .entry = e,
    .value = e != NULL ? gcx__ephemeron_base(e->value) : NULL,
  };
  ephemeron_count++;
}

/* One more at a place. A value that was there alone gets a wait without a table,
 * for the chain. */
static void ephemeron_chain(struct ephemeron_place *p, uint32_t number)
{
  if ((p->wait & 1) == 0) {
    struct gcx__ephemeron_wait *alone = &ephemeron_waits[ephemeron_count++];

    GCX_ASSERT(ephemeron_count <= ephemeron_waits_capacity);
    *alone = (struct gcx__ephemeron_wait){ .value = (void *)p->wait };
    p->wait = (uintptr_t)ephemeron_count << 1 | 1;
  }
  ephemeron_waits[number - 1].next = (uint32_t)(p->wait >> 1);
  p->wait = (uintptr_t)number << 1 | 1;
}

static void ephemeron_enter(uint32_t number)
{
  struct gcx__ephemeron_wait *w = &ephemeron_waits[number - 1];
  const void *object =
      GCX_REVEAL(w->entry != NULL ? w->entry->key : w->table->self);
  struct ephemeron_place *p = ephemeron_find(object);

  if (!ephemeron_is_taken(p)) {
    p->object = ephemeron_name(object);
    p->wait = w->entry != NULL ? (uintptr_t)w->value : 1;
    if (w->entry != NULL)
      return;
  }
  ephemeron_chain(p, number);
}

/* ---- the closure */

/* All entries of a marked table. Before the index is there, they are entered
 * later. */
static void ephemeron_open(struct gcx__marker *m, struct gcx__table *t)
{
  struct gcx__entries *a = t->entries;

  t->visited = true;
  for (uint32_t i = 0; a != NULL && i < a->used; i++) {
    struct gcx__entry *e = &a->entry[i];

    if (e->key == 0 || e->value == 0)
      continue;
    ephemeron_work.entries++;
    if (gcx__ephemeron_key_is_marked(e)) {
      ephemeron_mark(m, gcx__ephemeron_base(e->value));
    } else {
      ephemeron_work.waited++;
      ephemeron_new(t, e);
      if (ephemeron_closed)
        ephemeron_enter(ephemeron_count);
    }
  }
}

static void ephemeron_edges(struct gcx__marker *m, void *base)
{
  struct ephemeron_place *p;
  uintptr_t wait;
  uint32_t number;

  if (!ephemeron_closed || ephemeron_count == 0)
    return;
  p = ephemeron_find(base);
  if (!ephemeron_is_taken(p))
    return;
  wait = p->wait;
  p->wait = 0;
  if ((wait & 1) == 0) {
    ephemeron_mark(m, (void *)wait);
    return;
  }
  for (number = (uint32_t)(wait >> 1); number != 0;) {
    const struct gcx__ephemeron_wait *w = &ephemeron_waits[number - 1];

    number = w->next;
    if (w->table == NULL || w->entry != NULL)
      ephemeron_mark(m, w->value);
    else if (!w->table->visited)
      ephemeron_open(m, w->table);
  }
}

/* Every key and value there is. */
static void ephemeron_keep(struct gcx__marker *m)
{
  struct gcx__link *l;

  GCX__EACH_TABLE(l)
  {
    const struct gcx__entries *a = gcx__ephemeron_table(l)->entries;

    for (uint32_t i = 0; a != NULL && i < a->used; i++)
      if (a->entry[i].key != 0 && a->entry[i].value != 0) {
        ephemeron_mark(m, gcx__ephemeron_base(a->entry[i].key));
        ephemeron_mark(m, gcx__ephemeron_base(a->entry[i].value));
      }
  }
}

/* The stop counts for readers, too: what was overwritten can be freed in it. */
static void ephemeron_add_words(void)
{
  struct gcx__link *l;

  gcx__read_stop();
  GCX__EACH_TABLE(l)
  {
    const struct gcx__table *t = gcx__ephemeron_table(l);
    const struct gcx__entries *a = t->entries;

    if (t->self != 0)
      gcx__words_add(~t->self);
    for (uint32_t i = 0; a != NULL && i < a->used; i++)
      if (a->entry[i].key != 0 && a->entry[i].value != 0) {
        gcx__words_add(~a->entry[i].key);
        gcx__words_add((uintptr_t)gcx__ephemeron_base(a->entry[i].value));
      }
  }
}

static void ephemeron_first_pass(struct gcx__marker *m)
{
  struct gcx__link *l;
  size_t waiting = 0;
  uint32_t waits;

  GCX__EACH_TABLE(l)
  {
    struct gcx__table *t = gcx__ephemeron_table(l);

    t->visited = false;
    if (t->self == 0)
      continue;
    if (gcx__ephemeron_table_is_marked(t)) {
      ephemeron_open(m, t);
    } else {
      ephemeron_new(t, NULL);
      waiting += t->entries != NULL ? t->entries->used : 0;
    }
  }
  if (!ephemeron_have_index(ephemeron_count + waiting)) {
    ephemeron_blind = true;
    return;
  }
  waits = ephemeron_count;
  for (uint32_t number = 1; number <= waits; number++)
    ephemeron_enter(number);
}

/* What the marker marks later is followed when it is marked. */
static void ephemeron_close(struct gcx__marker *m)
{
  if (ephemeron_closed || ephemeron_blind)
    return;
  ephemeron_marker = m;
  ephemeron_blind = !ephemeron_have_waits(ephemeron_total());
  if (!ephemeron_blind)
    ephemeron_first_pass(m);
  if (ephemeron_blind) {
    ephemeron_count = 0;
    ephemeron_keep(m);
  }
  ephemeron_closed = !ephemeron_blind;
}

/* ---- the phase */

static void ephemeron_begin(void)
{
  gcx__read_stop();
  ephemeron_stop = (ephemeron_stop + 1) % STOPS;
  if (ephemeron_stop == 0 && ephemeron_index != NULL)
    memset(ephemeron_index, 0,
           ephemeron_index_capacity * sizeof *ephemeron_index);
  ephemeron_stop = GCX_MAX(ephemeron_stop, 1u); /* 0: never written */
  ephemeron_count = 0;
  gcx__ephemeron_begin_dead();
  ephemeron_closed = ephemeron_blind = false;
  memset(&ephemeron_work, 0, sizeof ephemeron_work);
}

static void ephemeron_dead_values(struct gcx__marker *m)
{
  if (ephemeron_closed)
    gcx__ephemeron_find_dead(m, ephemeron_waits, ephemeron_count);
}

static void ephemeron_clear_long(void)
{
  if (ephemeron_closed)
    gcx__ephemeron_end_dead(ephemeron_marker);
}

static bool ephemeron_any(void)
{
  return !gcx__link_is_alone(&gcx__table_list);
}

static const struct gcx__termination_steps ephemeron_steps = {
  .begin = ephemeron_begin,
  .has_edges = ephemeron_any,
  .edges = ephemeron_edges,
  .close = ephemeron_close,
  .dead_values = ephemeron_dead_values,
  .clear_long = ephemeron_clear_long,
  .keep = ephemeron_keep,
  .forget = gcx__ephemeron_forget,
  .unseen = ephemeron_add_words,
  .after = gcx__table_trim,
};

void gcx__ephemeron_init(void)
{
  gcx__termination_add(&ephemeron_steps);
}

void gcx__ephemeron_last(struct gcx__ephemeron_work *ret_work)
{
  *ret_work = ephemeron_work;
}
