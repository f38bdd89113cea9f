/* SPDX-License-Identifier: MIT */
/*
 * shapes.c - one thread's memory of its stacks
 *
 * A *shape* is where the slots of a walk lie: for each frame the distance of its
 * return address from the stack pointer at the start, and for each frame pointer
 * that a rule used, where it was saved and what it has to be (a distance again).
 * Distances, so that the depth of the stack below doesn't matter. The shape at
 * the same return address and stack pointer was usually the same last time: that
 * is the guess.
 *
 * Why a hit is exact, however bad the guess. A descriptor (shape, return
 * addresses, id) comes from a walk. Let a stack have those return addresses in
 * the slots of that shape. A walk of it would begin at the same return address;
 * so by the same rule read the same slot, relative to the start; find the same
 * value there; and so on to the end, by induction over the frames. Where a rule
 * uses the frame pointer, the shape demands the same pointer, relative to the
 * start. So it would arrive at the same id. Rules that are taken back advance
 * gcx__rules_generation, and all descriptors are dropped.
 *
 * The path that is most likely, that of the last times at this guess or the one
 * that came next after the path before, is compared without looking it up.
 *
 * That works without any branch that depends on the path: a thousand paths that
 * differ in call sites only have one shape, and cost one look-up each. Where the
 * shapes differ as well, guesses fail, and are not tried for a while.
 *
 * State: one block of vm memory for each thread, used by no other: no lock.
 * Bounded: what is full is emptied and fills again from the rules, which takes a
 * tenth of a microsecond for each path.
 */
#include "shapes.h"

#include <string.h>

#include "depot.h"

#define SHAPES_PATHS_FIRST 1024
#define SHAPES_WRONG 8    /* guesses that failed, until a rest */
#define SHAPES_REST 255   /* captures */
#define SHAPES_STREAK 2   /* times the same path, until it is expected */
#define SHAPES_EXPECTED 8 /* times, until it is compared before all else */
#define SHAPES_LOOKED 32  /* captures that were looked up, until branches pay */
#define SHAPES_BRANCHED \
  256                  /* that are made at one start, until it is given up */
#define SHAPES_PRICE 8 /* of a branch, in hits */
#define SHAPES_BRANCHES 16 /* slots that tell paths apart */
#define SHAPES_FOLLOWS \
  8 /* times that the path before told, until it is asked */
#define SHAPES_FOLLOWS_MAX 16

static inline uint32_t slot_key(uint64_t hash, uint16_t shape, uint32_t frames)
{
  return (uint32_t)(hash & 0x7f) << 25 | frames << 16 | shape;
}

static inline uint32_t slot_first(const struct gcx__shapes *c, uint64_t hash)
{
  return (uint32_t)(hash >> 20) & c->slot_mask;
}

static inline struct gcx__shape *shape_at(struct gcx__shapes *c, uint16_t place)
{
  return (struct gcx__shape *)&c->area[place];
}

/* ---------------------------------------------------------------------- hit */

static inline const struct gcx__walk_link *shape_links(
    const struct gcx__shape *s)
{
  return (const struct gcx__walk_link *)(const void *)&s->at[s->frames - 1];
}

/* Are the frame pointers where the shape has them? */
GCX_READS_STACK
static inline bool links_hold(const struct gcx__shape *s,
                              const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  const struct gcx__walk_link *l = shape_links(s);
  uintptr_t difference = 0;

  if (s->start_fp != GCX_WALK_NO_FP) {
    difference = (start->fp - start->sp) ^ s->start_fp;
  }
  for (uint32_t i = 0; i < s->links; i++) {
    difference |= (stack[l[i].at] - start->sp) ^ l[i].value;
  }
  return difference == 0;
}

/* Hash of the return addresses in the slots of the shape. Four chains, so that no
 * multiplication waits for another. */
GCX_READS_STACK
static inline uint64_t slots_hash(const struct gcx__shape *s,
                                  const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  uint64_t a = start->pc, b = 0, c = 0, d = 0;
  const uint32_t *at = s->at, *end = at + s->frames - 1u;

  for (; at + 4 <= end; at += 4) {
    a = (a ^ stack[at[0]]) * GCX_WALK_HASH_FACTOR;
    b = (b ^ stack[at[1]]) * GCX_WALK_HASH_FACTOR;
    c = (c ^ stack[at[2]]) * GCX_WALK_HASH_FACTOR;
    d = (d ^ stack[at[3]]) * GCX_WALK_HASH_FACTOR;
  }
  for (; at < end; at++) {
    a = (a ^ stack[*at]) * GCX_WALK_HASH_FACTOR;
    a ^= a >> 32;
  }
  return gcx__walk_hash_end(a, b, c, d);
}

static inline bool pcs_equal(const uintptr_t *a, const uintptr_t *b, uint32_t n)
{
  uintptr_t difference = 0;

  for (uint32_t i = 0; i < n; i++) {
    difference |= a[i] ^ b[i];
  }
  return difference == 0;
}

/* Four instructions for each frame, and one jump for all: this is what a hit
 * spends its time on. */
#define DIFFERS(i)                                \
  case (i) + 1:                                   \
    difference |= stack[s->at[i]] ^ pcs[(i) + 1]; \
    __attribute__((fallthrough));
#define DIFFER_4(i) DIFFERS(i + 3) DIFFERS(i + 2) DIFFERS(i + 1) DIFFERS(i)
#define DIFFER_16(i) \
  DIFFER_4(i + 12) DIFFER_4(i + 8) DIFFER_4(i + 4) DIFFER_4(i)

/* Are the return addresses of the stack those of a path of that shape? */
GCX_READS_STACK
__attribute__((always_inline)) static inline bool path_is(
    const uintptr_t *pcs, const struct gcx__shape *s,
    const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  uintptr_t difference = pcs[0] ^ start->pc;
  uint32_t n = s->frames - 1u;

  for (; n > 32; n--) {
    difference |= stack[s->at[n - 1]] ^ pcs[n];
  }
  switch (n) {
    DIFFER_16(16)
    DIFFER_16(0)
  default:
    break;
  }
  return difference == 0;
}

/* The path of what was walked, whatever its shape, NULL if there is none. */
static const struct gcx__path *slot_find_walk(const struct gcx__shapes *c,
                                              const struct gcx__walk *w)
{
  uint32_t key = slot_key(w->hash, 0, w->n);

  for (uint32_t at = slot_first(c, w->hash);; at = (at + 1) & c->slot_mask) {
    const struct gcx__path *s = &c->slots[at];

    if (s->id == 0) {
      return NULL;
    }
    if (s->key == key && pcs_equal(s->pcs, w->pcs, w->n)) {
      return s;
    }
  }
}

/* The path of the stack at @start, which has the shape at @place. */
GCX_READS_STACK
static inline const struct gcx__path *slot_find(struct gcx__shapes *c,
                                                uint16_t place, uint64_t hash,
                                                const struct gcx__frame *start)
{
  const struct gcx__shape *shape = shape_at(c, place);
  uint32_t key = slot_key(hash, place, shape->frames);

  for (uint32_t at = slot_first(c, hash);; at = (at + 1) & c->slot_mask) {
    const struct gcx__path *s = &c->slots[at];

    if (s->id == 0) {
      return NULL;
    }
    if (s->key == key && path_is(s->pcs, shape, start)) {
      return s;
    }
  }
}

/* The path is known by its slots; expect it next time. */
static inline void guess_hit(struct gcx__guess *g, const struct gcx__path *s)
{
  g->streak = s->id == g->id ? g->streak + 1 : 0;
  if (g->streak == 0) {
    g->id = s->id;
    g->pcs = s->pcs;
  }
}

static inline struct gcx__follow *follow_of(struct gcx__shapes *c,
                                            const struct gcx__guess *g)
{
  uint32_t guess = (uint32_t)(g - c->guesses);

  return &c->follows[(c->last ^ guess << 7) % GCX_SHAPES_FOLLOWS];
}

static inline bool follow_applies(const struct gcx__follow *f,
                                  const struct gcx__shapes *c,
                                  const struct gcx__guess *g)
{
  return f->before == c->last && f->shape == g->shape &&
         f->guess == (uint16_t)(g - c->guesses) && f->id != 0;
}

/* The path is known: did the one before tell? Expect it after that one. */
static inline void follow_hit(struct gcx__shapes *c, struct gcx__guess *g,
                              const struct gcx__path *s)
{
  struct gcx__follow *f = follow_of(c, g);
  bool told = follow_applies(f, c, g) && f->id == s->id;

  g->follows = told ? GCX_MIN(g->follows + 1, SHAPES_FOLLOWS_MAX)
                    : g->follows - (g->follows != 0);
  *f = (struct gcx__follow){ .before = c->last,
                             .id = s->id,
                             .pcs = s->pcs,
                             .guess = (uint16_t)(g - c->guesses),
                             .shape = g->shape };
}

static inline void expected_add(struct gcx__expected *e, uint32_t *n,
                                uint32_t at, uintptr_t word)
{
  e->at[*n] = at;
  e->words[*n / 2][*n % 2] = word;
  ++*n;
}

static bool expected_has_room(const struct gcx__shape *s)
{
  return s->frames - 1u + s->links <= 2 * GCX_SHAPES_PAIRS;
}

/* The stack at @start is that of a path of this shape, and is expected from now
 * on. */
static void expected_fill(struct gcx__expected *e, const struct gcx__shape *s,
                          const uintptr_t *pcs, uint32_t id,
                          const struct gcx__frame *start)
{
  const struct gcx__walk_link *l = shape_links(s);
  uint32_t n = 0;

  e->sp = 0;
  for (uint32_t i = 1; i < s->frames; i++) {
    expected_add(e, &n, s->at[i - 1], pcs[i]);
  }
  for (uint32_t i = 0; i < s->links; i++) {
    expected_add(e, &n, l[i].at, start->sp + l[i].value);
  }
  if (n % 2 != 0) {
    expected_add(e, &n, e->at[n - 1], e->words[n / 2][0]);
  }
  e->pairs = n / 2;
  e->branches = 0;
  e->id = id;
  e->fp = start->fp;
  e->fp_mask = s->start_fp != GCX_WALK_NO_FP ? UINTPTR_MAX : 0;
  e->pc = start->pc;
  e->sp = start->sp;
}

/* From the next time on one comparison will do, if it is the same again. */
static GCX_NOINLINE void shapes_expect(struct gcx__shapes *c,
                                       const struct gcx__guess *g,
                                       const struct gcx__shape *s,
                                       const struct gcx__frame *start)
{
  struct gcx__expected *e = gcx__shapes_expected(c, start);

  if (expected_has_room(s) &&
      !(gcx__shapes_is_at(e, start) && e->branches != 0)) {
    expected_fill(e, s, g->pcs, g->id, start);
  }
}

/* Another stack came where @a is expected: a slot in which they differ becomes
 * one of those that tell apart. */
GCX_READS_STACK
static void branch_at(struct gcx__expected *e, const struct gcx__expected *a,
                      const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;

  for (uint32_t i = 0; i < 2 * a->pairs; i++) {
    if (stack[a->at[i]] != a->words[i / 2][i % 2]) {
      e->at[e->branches++] = a->at[i];
      return;
    }
  }
}

static struct gcx__expected *branch_find(struct gcx__shapes *c, uint64_t branch,
                                         const struct gcx__frame *start)
{
  struct gcx__expected *a = gcx__shapes_branched(c, branch);

  return gcx__shapes_is_branch(a, start, branch)       ? a
         : gcx__shapes_is_branch(a + 1, start, branch) ? a + 1
                                                       : NULL;
}

/* Several paths come to this start in turns. A few slots are enough to tell which
 * of them it might be; comparing it then is as exact as ever. Where there are too
 * many paths for that, it is given up. */
static void shapes_enter_branch(struct gcx__shapes *c, struct gcx__guess *g,
                                const struct gcx__shape *s,
                                const uintptr_t *pcs, uint32_t id,
                                const struct gcx__frame *start)
{
  struct gcx__expected *e = gcx__shapes_expected(c, start), *a;
  uint64_t branch;

  if (++g->entered >= SHAPES_BRANCHED || s->frames < 2 ||
      !expected_has_room(s)) {
    g->entered = SHAPES_BRANCHED;
    e->sp = 0;
    return;
  }
  if (!gcx__shapes_is_at(e, start) || e->branches == 0) {
    e->pc = start->pc;
    e->sp = start->sp;
    e->branches = 1;
    e->at[0] = s->at[0];
  }
  branch = gcx__shapes_branch(e, start);
  a = branch_find(c, branch, start);
  if (a != NULL && a->id != id && e->branches < SHAPES_BRANCHES) {
    branch_at(e, a, start);
    branch = gcx__shapes_branch(e, start);
    a = branch_find(c, branch, start);
  }
  if (a == NULL) {
    a = gcx__shapes_branched(c, branch);
    a += a->sp != 0 && (a[1].sp == 0 || g->entered % 2 != 0);
  }
  expected_fill(a, s, pcs, id, start);
  a->branch = branch;
}

/* Do branches pay, at this start and altogether? */
static inline bool branches_pay(const struct gcx__shapes *c,
                                const struct gcx__guess *g)
{
  return g->entered < SHAPES_BRANCHED && g->looked >= SHAPES_LOOKED &&
         c->credit >= SHAPES_PRICE;
}

/* The path at @start, of the shape at @place, had to be looked up or walked. */
static inline void shapes_looked_up(struct gcx__shapes *c, struct gcx__guess *g,
                                    uint16_t place, const uintptr_t *pcs,
                                    uint32_t id, const struct gcx__frame *start)
{
  if (branches_pay(c, g)) {
    c->credit -= SHAPES_PRICE;
    shapes_enter_branch(c, g, shape_at(c, place), pcs, id, start);
  } else if (g->looked < SHAPES_LOOKED) {
    g->looked++;
  }
}

static inline uint32_t shapes_count(struct gcx__shapes *c, uint32_t id)
{
  c->last = id;
  c->hits++;
  return id;
}

/* By all return addresses: 0 if they are not known. */
static GCX_NOINLINE uint32_t shapes_look_up(struct gcx__shapes *c,
                                            struct gcx__guess *g,
                                            const struct gcx__frame *start)
{
  uint64_t hash = slots_hash(shape_at(c, g->shape), start);
  const struct gcx__path *slot = slot_find(c, g->shape, hash, start);

  if (slot == NULL) {
    return 0;
  }
  guess_hit(g, slot);
  follow_hit(c, g, slot);
  shapes_looked_up(c, g, g->shape, slot->pcs, slot->id, start);
  return shapes_count(c, slot->id);
}

/* Not the path of the last times: perhaps the one that comes after the one
 * before. */
static GCX_NOINLINE uint32_t shapes_hit_other(struct gcx__shapes *c,
                                              struct gcx__guess *g,
                                              const struct gcx__frame *start)
{
  const struct gcx__follow *f = follow_of(c, g);

  if (g->follows >= SHAPES_FOLLOWS && follow_applies(f, c, g) &&
      path_is(f->pcs, shape_at(c, g->shape), start)) {
    shapes_looked_up(c, g, g->shape, f->pcs, f->id, start);
    return shapes_count(c, f->id);
  }
  return shapes_look_up(c, g, start);
}

/* It is not the same any more: not worth comparing first. */
static void expected_drop(struct gcx__shapes *c, const struct gcx__frame *start)
{
  struct gcx__expected *e = gcx__shapes_expected(c, start);

  if (gcx__shapes_is_at(e, start) && e->branches == 0) {
    e->sp = 0;
  }
}

/* The id if the guess is right and its path known, else 0. Comparing with what is
 * likely is cheaper than looking up. */
GCX_READS_STACK
uint32_t gcx__shapes_hit(struct gcx__shapes *c, const struct gcx__thread *t,
                         const struct gcx__frame *start)
{
  struct gcx__guess *g = gcx__shapes_guess(c, start);
  const struct gcx__shape *s = shape_at(c, g->shape);

  if (GCX_UNLIKELY(g->shape == 0 || !gcx__walk_stack_has(t, start, s->top) ||
                   !links_hold(s, start))) {
    return 0;
  }
  if (g->streak >= SHAPES_STREAK) {
    if (GCX_LIKELY(path_is(g->pcs, s, start))) {
      if (++g->streak >= SHAPES_EXPECTED) {
        shapes_expect(c, g, s, start);
      }
      return shapes_count(c, g->id);
    }
    g->streak = 0;
    expected_drop(c, start);
  }
  return shapes_hit_other(c, g, start);
}

/* ------------------------------------------------------------------ learning */

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
  s = shape_at(c, (uint16_t)c->area_used);
  shape_write(s, w);
  at = (uint32_t)(s->signature >> 40) % GCX_SHAPES_INDEX;
  while (c->index[at] != 0) {
    if (shape_equal(shape_at(c, c->index[at]), s)) {
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

  slot.key =
      slot_key(hash, shape, (uint32_t)gcx__depot_get(id, &slot.pcs, &epoch));
  if (c->slots_used >= (c->slot_mask + 1) / 8 * 5) {
    slots_empty(c, GCX_MIN((c->slot_mask + 1) * 2, (uint32_t)GCX_SHAPES_PATHS));
  }
  at = slot_first(c, hash);
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
  uint64_t hash = slots_hash(shape_at(c, place), start);

  if (slot_find(c, place, hash, start) == NULL) {
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
    shapes_looked_up(c, g, place, pcs, id, start);
  }
  return id;
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

  if (g->rest == 0 || branches_pay(c, g)) {
    return false; /* branches do without the guess */
  }
  g->rest--;
  return true;
}
