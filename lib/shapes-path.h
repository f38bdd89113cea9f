/* SPDX-License-Identifier: MIT */
/*
 * shapes-path.h - shapes and paths: what a stack at some start has to be like
 *
 * Between shapes.c, which compares and looks up, and shapes-learn.c, which enters
 * what was walked. Inline, since a capture is little more than this.
 */
#ifndef GCX_SHAPES_PATH_H
#define GCX_SHAPES_PATH_H

#include "shapes.h"

/* Captures that were looked up, until branches pay. */
#define GCX_SHAPES_LOOKED 32
/* Branches that are made at one start, until it is given up. */
#define GCX_SHAPES_GIVEN_UP 256
/* Of a branch, in hits. */
#define GCX_SHAPES_PRICE 8

static inline uint32_t gcx__shapes_key(uint64_t hash, uint16_t shape,
                                       uint32_t frames)
{
  return (uint32_t)(hash & 0x7f) << 25 | frames << 16 | shape;
}

static inline uint32_t gcx__shapes_first(const struct gcx__shapes *c,
                                         uint64_t hash)
{
  return (uint32_t)(hash >> 20) & c->slot_mask;
}

static inline struct gcx__shape *gcx__shapes_shape(struct gcx__shapes *c,
                                                   uint16_t place)
{
  return (struct gcx__shape *)&c->area[place];
}

/* Hash of the return addresses in the slots of the shape. Four chains, so that no
 * multiplication waits for another. */
GCX_READS_STACK
static inline uint64_t gcx__shapes_hash(const struct gcx__shape *s,
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

/* Four instructions for each frame, and one jump for all: this is what a hit
 * spends its time on. */
#define GCX__SHAPES_DIFFERS(i)                    \
  case (i) + 1:                                   \
    difference |= stack[s->at[i]] ^ pcs[(i) + 1]; \
    __attribute__((fallthrough));
#define GCX__SHAPES_DIFFER_4(i) \
  GCX__SHAPES_DIFFERS(i + 3)    \
  GCX__SHAPES_DIFFERS(i + 2) GCX__SHAPES_DIFFERS(i + 1) GCX__SHAPES_DIFFERS(i)
#define GCX__SHAPES_DIFFER_16(i) \
  GCX__SHAPES_DIFFER_4(i + 12)   \
  GCX__SHAPES_DIFFER_4(i + 8)    \
  GCX__SHAPES_DIFFER_4(i + 4) GCX__SHAPES_DIFFER_4(i)

/* Are the return addresses of the stack those of a path of that shape? */
GCX_READS_STACK
__attribute__((always_inline)) static inline bool gcx__shapes_path_is(
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
    GCX__SHAPES_DIFFER_16(16)
    GCX__SHAPES_DIFFER_16(0)
  default:
    break;
  }
  return difference == 0;
}

/* The path of the stack at @start, which has the shape at @place. */
GCX_READS_STACK
static inline const struct gcx__path *gcx__shapes_path(
    struct gcx__shapes *c, uint16_t place, uint64_t hash,
    const struct gcx__frame *start)
{
  const struct gcx__shape *shape = gcx__shapes_shape(c, place);
  uint32_t key = gcx__shapes_key(hash, place, shape->frames);

  for (uint32_t at = gcx__shapes_first(c, hash);;
       at = (at + 1) & c->slot_mask) {
    const struct gcx__path *s = &c->slots[at];

    if (s->id == 0) {
      return NULL;
    }
    if (s->key == key && gcx__shapes_path_is(s->pcs, shape, start)) {
      return s;
    }
  }
}

/* Do branches pay, at this start and altogether? */
static inline bool gcx__shapes_branches_pay(const struct gcx__shapes *c,
                                            const struct gcx__guess *g)
{
  return g->entered < GCX_SHAPES_GIVEN_UP && g->looked >= GCX_SHAPES_LOOKED &&
         c->credit >= GCX_SHAPES_PRICE;
}

/* shapes.c: several paths come to this start in turns; this one, too. */
void gcx__shapes_enter_branch(struct gcx__shapes *c, struct gcx__guess *g,
                              const struct gcx__shape *s, const uintptr_t *pcs,
                              uint32_t id, const struct gcx__frame *start);

/* The path at @start, of the shape at @place, had to be looked up or walked. */
static inline void gcx__shapes_looked_up(struct gcx__shapes *c,
                                         struct gcx__guess *g, uint16_t place,
                                         const uintptr_t *pcs, uint32_t id,
                                         const struct gcx__frame *start)
{
  if (gcx__shapes_branches_pay(c, g)) {
    c->credit -= GCX_SHAPES_PRICE;
    gcx__shapes_enter_branch(c, g, gcx__shapes_shape(c, place), pcs, id, start);
  } else if (g->looked < GCX_SHAPES_LOOKED) {
    g->looked++;
  }
}

#endif
