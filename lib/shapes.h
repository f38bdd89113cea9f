/* SPDX-License-Identifier: MIT */
/*
 * shapes.h - one thread's memory of its stacks: shapes, and the paths known by
 *            them
 */
#ifndef GCX_SHAPES_H
#define GCX_SHAPES_H

#include "walk.h"

#define GCX_SHAPES_GUESSES 1024
#define GCX_SHAPES_INDEX 4096 /* places; at most half are used */
#define GCX_SHAPES_AREA 65536 /* words for shapes */
#define GCX_SHAPES_PATHS 32768
#define GCX_SHAPES_FOLLOWS 8192

struct gcx__shape {
  uint64_t signature; /* hash of what follows */
  uint32_t top;       /* words from sp to the end of the highest slot */
  uint32_t start_fp;  /* bytes from sp to where fp points, or GCX_WALK_NO_FP */
  uint16_t frames;    /* the first is the start itself */
  uint16_t links;
  uint32_t at[]; /* frames - 1 words: return addresses; then the links */
};

struct gcx__guess {
  uint16_t shape;       /* word in the area, 0: none */
  uint8_t wrong;        /* failures in a row */
  uint8_t rest;         /* captures for which it is not tried */
  uint8_t follows;      /* how well the path before tells the next one */
  uint32_t hits;        /* of the thread, at the last failure */
  const uintptr_t *pcs; /* the last path that was hit, and its id */
  uint32_t id;
  uint32_t streak; /* how often it was the same again */
};

/* A path that came right after another one, at some guess. */
struct gcx__follow {
  uint32_t before; /* id */
  uint32_t id;
  const uintptr_t *pcs;
  uint16_t guess;
  uint16_t shape;
};

struct gcx__path {
  const uintptr_t *pcs; /* in the depot */
  uint32_t id;          /* 0: free */
  uint32_t key;         /* shape (0: any), frames, some bits of the hash */
};

/* Lies in vm memory, zero at first; only its thread uses it. */
struct gcx__shapes {
  uint32_t area_used; /* words */
  uint32_t shapes;
  uint32_t slot_mask;
  uint32_t slots_used;
  uint32_t last; /* id of the last hit */
  uint64_t hits;
  struct gcx__follow follows[GCX_SHAPES_FOLLOWS];
  struct gcx__guess guesses[GCX_SHAPES_GUESSES];
  uint16_t index[GCX_SHAPES_INDEX]; /* signature -> word in the area */
  struct gcx__path slots[GCX_SHAPES_PATHS];
  uint64_t area[GCX_SHAPES_AREA];
};

void gcx__shapes_init(struct gcx__shapes *c);
void gcx__shapes_empty(struct gcx__shapes *c);

/* The site id, if the stack at @start has the shape of the last time, and its
 * path is known; else 0. */
uint32_t gcx__shapes_hit(struct gcx__shapes *c, const struct gcx__thread *t,
                         const struct gcx__frame *start);

/* Is it of no use at present to learn the shape at @start? Counts. */
bool gcx__shapes_rest(struct gcx__shapes *c, const struct gcx__frame *start);

/* The id of a walk that is complete: of a shaped one, so that next time it will
 * be a hit; of a plain one. 0: no memory. */
uint32_t gcx__shapes_learn(struct gcx__shapes *c,
                           const struct gcx__frame *start,
                           const struct gcx__walk *w);
uint32_t gcx__shapes_find(struct gcx__shapes *c, const struct gcx__walk *w);

#endif
