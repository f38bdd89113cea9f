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
#include "shapes-path.h"

#define SHAPES_STREAK 2   /* times the same path, until it is expected */
#define SHAPES_EXPECTED 8 /* times, until it is compared before all else */
#define SHAPES_FOLLOWS \
  8 /* times that the path before told, until it is asked */
#define SHAPES_FOLLOWS_MAX 16

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
  e->told = 0;
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
void gcx__shapes_enter_branch(struct gcx__shapes *c, struct gcx__guess *g,
                              const struct gcx__shape *s, const uintptr_t *pcs,
                              uint32_t id, const struct gcx__frame *start)
{
  struct gcx__expected *e = gcx__shapes_expected(c, start), *a;
  uint64_t branch;

  if (++g->entered >= GCX_SHAPES_GIVEN_UP || s->frames < 2 ||
      !expected_has_room(s)) {
    g->entered = GCX_SHAPES_GIVEN_UP;
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
  if (a != NULL && a->id != id && e->branches < GCX_SHAPES_BRANCHES) {
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
  uint64_t hash = gcx__shapes_hash(gcx__shapes_shape(c, g->shape), start);
  const struct gcx__path *slot = gcx__shapes_path(c, g->shape, hash, start);

  if (slot == NULL) {
    return 0;
  }
  guess_hit(g, slot);
  follow_hit(c, g, slot);
  gcx__shapes_looked_up(c, g, g->shape, slot->pcs, slot->id, start);
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
      gcx__shapes_path_is(f->pcs, gcx__shapes_shape(c, g->shape), start)) {
    gcx__shapes_looked_up(c, g, g->shape, f->pcs, f->id, start);
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
  const struct gcx__shape *s = gcx__shapes_shape(c, g->shape);

  if (GCX_UNLIKELY(g->shape == 0 || !gcx__walk_stack_has(t, start, s->top) ||
                   !links_hold(s, start))) {
    return 0;
  }
  if (g->streak >= SHAPES_STREAK) {
    if (GCX_LIKELY(gcx__shapes_path_is(g->pcs, s, start))) {
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
