/* SPDX-License-Identifier: MIT */
/*
 * shapes-learn.c - what a walk found is entered, so that it is a hit next time
 *
 * The shape is interned, the path entered under it, and the guess at this start
 * corrected. A guess that fails again and again rests: no shape is learnt there
 * for a while. Bounds: shapes.c.
 */
#include "shapes-path.h"

#include <string.h>

#include "depot.h"

#define SHAPES_PATHS_FIRST 1024
#define SHAPES_WRONG 8  /* guesses that failed, until a rest */
#define SHAPES_REST 255 /* captures */

static void slots_empty(struct gcx__shapes *c, uint32_t slots)
{
  memset(c->slots, 0, slots * sizeof(c->slots[0]));
  c->slot_mask = slots - 1;
  c->slots_used = 0;
}

void gcx__shapes_init(struct gcx__shapes *c)
{
  c->slot_mask = SHAPES_PATHS_FIRST - 1;
  c->area_used = 1; /* place 0 is none */
  c->credit = GCX_SHAPES_CREDIT;
}

void gcx__shapes_empty(struct gcx__shapes *c)
{
  for (size_t i = 0; i < GCX_SHAPES_EXPECTED; i++) {
    c->expected[i].sp = 0;
  }
  for (size_t i = 0; i < GCX_SHAPES_BRANCHED; i++) {
    c->branched[i].sp = 0;
  }
  memset(c->guesses, 0, sizeof(c->guesses));
  memset(c->index, 0, sizeof(c->index));
  memset(c->follows, 0, sizeof(c->follows));
  slots_empty(c, c->slot_mask + 1);
  c->area_used = 1; /* place 0 is none */
  c->shapes = 0;
  c->last = 0;
}

static size_t shape_words(uint32_t frames, uint32_t links)
{
  size_t bytes = sizeof(struct gcx__shape) + (frames - 1) * sizeof(uint32_t) +
                 links * sizeof(struct gcx__walk_link);

  return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static uint32_t walk_top(const struct gcx__walk *w)
{
  uint32_t top = w->n > 1 ? w->at[w->n - 2] + 1 : 0;

  for (uint32_t i = 0; i < w->links; i++) {
    top = GCX_MAX(top, w->link[i].at + 1);
  }
  return top;
}

/* Write the shape of @w behind the last one. */
static void shape_write(struct gcx__shape *s, const struct gcx__walk *w)
{
  size_t bytes = (w->n - 1) * sizeof(uint32_t);
  char *links = (char *)s->at + bytes;

  s->top = walk_top(w);
  s->start_fp = w->start_fp;
  s->frames = (uint16_t)w->n;
  s->links = (uint16_t)w->links;
  memcpy(s->at, w->at, bytes);
  memcpy(links, w->link, w->links * sizeof(w->link[0]));
  s->signature = (uint64_t)w->start_fp * GCX_WALK_HASH_FACTOR + w->n;
  for (size_t i = 0; i < w->n - 1 + 2 * w->links; i++) {
    s->signature = (s->signature ^ s->at[i]) * GCX_WALK_HASH_FACTOR;
    s->signature ^= s->signature >> 32;
  }
}

static bool shape_equal(const struct gcx__shape *a, const struct gcx__shape *b)
{
  return a->signature == b->signature && a->start_fp == b->start_fp &&
         a->frames == b->frames && a->links == b->links &&
         memcmp(a->at, b->at,
                (a->frames - 1u + 2u * a->links) * sizeof(a->at[0])) == 0;
}

/* Place of @w's shape, made if it is new. */
static uint16_t shape_intern(struct gcx__shapes *c, const struct gcx__walk *w)
{
  size_t words = shape_words(w->n, w->links);
  struct gcx__shape *s;
  uint32_t at;

  if (c->area_used + words > GCX_SHAPES_AREA ||
      c->shapes >= GCX_SHAPES_INDEX / 2) {
    gcx__shapes_empty(c);
  }
  s = gcx__shapes_shape(c, (uint16_t)c->area_used);
  shape_write(s, w);
  at = (uint32_t)(s->signature >> 40) % GCX_SHAPES_INDEX;
  while (c->index[at] != 0) {
    if (shape_equal(gcx__shapes_shape(c, c->index[at]), s)) {
      return c->index[at];
    }
    at = (at + 1) % GCX_SHAPES_INDEX;
  }
  c->index[at] = (uint16_t)c->area_used;
  c->area_used += (uint32_t)words;
  c->shapes++;
  return c->index[at];
}

/* Enter (shape, frames) -> id, which isn't there. */
static void slot_add(struct gcx__shapes *c, uint16_t shape, uint64_t hash,
                     uint32_t id)
{
  struct gcx__path slot = { .id = id };
  uint32_t epoch, at;

  slot.key = gcx__shapes_key(hash, shape,
                             (uint32_t)gcx__depot_get(id, &slot.pcs, &epoch));
  if (c->slots_used >= (c->slot_mask + 1) / 8 * 5) {
    slots_empty(c, GCX_MIN((c->slot_mask + 1) * 2, (uint32_t)GCX_SHAPES_PATHS));
  }
  at = gcx__shapes_first(c, hash);
  while (c->slots[at].id != 0) {
    at = (at + 1) & c->slot_mask;
  }
  c->slots[at] = slot;
  c->slots_used++;
}

/* Enter the path of @start under the shape at @place. */
static void slot_add_shaped(struct gcx__shapes *c, uint16_t place,
                            const struct gcx__frame *start, uint32_t id)
{
  uint64_t hash = gcx__shapes_hash(gcx__shapes_shape(c, place), start);

  if (gcx__shapes_path(c, place, hash, start) == NULL) {
    slot_add(c, place, hash, id);
  }
}

/* The guess was wrong: is it worth trying? */
static void guess_correct(struct gcx__shapes *c, struct gcx__guess *g,
                          uint16_t place)
{
  uint32_t hits = (uint32_t)c->hits;

  g->wrong = hits - g->hits > 1 ? 1 : (uint8_t)(g->wrong + 1);
  g->hits = hits;
  g->shape = place;
  g->streak = 0;
  g->follows = 0;
  g->id = 0;
  if (g->wrong >= SHAPES_WRONG) {
    g->shape = 0;
    g->wrong = SHAPES_WRONG - 2;
    g->rest = SHAPES_REST;
  }
}

/* The id of a walk's return addresses; next time it shall be a hit. */
uint32_t gcx__shapes_learn(struct gcx__shapes *c,
                           const struct gcx__frame *start,
                           const struct gcx__walk *w)
{
  struct gcx__guess *g = gcx__shapes_guess(c, start);
  uint32_t id = gcx__depot_put(w->pcs, w->n), epoch;
  const uintptr_t *pcs;
  uint16_t place;

  if (id != 0) {
    place = shape_intern(c, w);
    slot_add_shaped(c, place, start, id);
    if (g->shape != place) {
      guess_correct(c, g, place);
    }
    (void)gcx__depot_get(id, &pcs, &epoch);
    gcx__shapes_looked_up(c, g, place, pcs, id, start);
  }
  return id;
}

static inline bool pcs_equal(const uintptr_t *a, const uintptr_t *b, uint32_t n)
{
  uintptr_t difference = 0;

  for (uint32_t i = 0; i < n; i++) {
    difference |= a[i] ^ b[i];
  }
  return difference == 0;
}

/* The path of what was walked, whatever its shape, NULL if there is none. */
static const struct gcx__path *slot_find_walk(const struct gcx__shapes *c,
                                              const struct gcx__walk *w)
{
  uint32_t key = gcx__shapes_key(w->hash, 0, w->n);

  for (uint32_t at = gcx__shapes_first(c, w->hash);;
       at = (at + 1) & c->slot_mask) {
    const struct gcx__path *s = &c->slots[at];

    if (s->id == 0) {
      return NULL;
    }
    if (s->key == key && pcs_equal(s->pcs, w->pcs, w->n)) {
      return s;
    }
  }
}

/* The id of a walk's return addresses, by the thread's own table: it is nearer
 * than the depot's. */
uint32_t gcx__shapes_find(struct gcx__shapes *c, const struct gcx__walk *w)
{
  const struct gcx__path *slot = slot_find_walk(c, w);
  uint32_t id;

  if (slot != NULL) {
    return slot->id;
  }
  id = gcx__depot_put(w->pcs, w->n);
  if (id != 0) {
    slot_add(c, 0, w->hash, id);
  }
  return id;
}

bool gcx__shapes_rest(struct gcx__shapes *c, const struct gcx__frame *start)
{
  struct gcx__guess *g = gcx__shapes_guess(c, start);

  if (g->rest == 0 || gcx__shapes_branches_pay(c, g)) {
    return false; /* branches do without the guess */
  }
  g->rest--;
  return true;
}
