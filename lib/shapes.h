/* SPDX-License-Identifier: MIT */
/*
 * shapes.h - one thread's memory of its stacks: shapes, and the paths known by
 *            them
 */
#ifndef GCX_SHAPES_H
#define GCX_SHAPES_H

#include "walk.h"

#define GCX_SHAPES_GUESSES 1024
#define GCX_SHAPES_EXPECTED 256
#define GCX_SHAPES_BRANCHED 1024
#define GCX_SHAPES_BRANCHES 16  /* slots that tell paths apart */
#define GCX_SHAPES_CREDIT 16384 /* at most, and to begin with */
#define GCX_SHAPES_TOLD 8       /* times, until the one before is asked */
#define GCX_SHAPES_INDEX 4096   /* places; at most half are used */
#define GCX_SHAPES_AREA 65536   /* words for shapes */
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
  const uintptr_t *pcs; /* the last path that was hit, and its id */
  uint32_t id;
  uint32_t streak;  /* how often it was the same again */
  uint32_t hits;    /* of the thread, at the last failure */
  uint16_t shape;   /* word in the area, 0: none */
  uint8_t wrong;    /* failures in a row */
  uint8_t rest;     /* captures for which it is not tried */
  uint8_t follows;  /* how well the path before tells the next one */
  uint8_t looked;   /* captures that were looked up, until branches pay */
  uint16_t entered; /* branches made */
};

typedef uint64_t gcx__pair __attribute__((vector_size(16)));

/* A stack that has come several times in a row at one start: all words that make
 * it what it is, return addresses and frame pointers, and where they lie. */
#define GCX_SHAPES_PAIRS 16
struct gcx__expected {
  uintptr_t pc; /* of the start */
  uintptr_t sp; /* 0: nothing is expected */
  uintptr_t fp;
  uintptr_t fp_mask; /* -1 if the shape goes by it, else 0 */
  uint64_t branch;   /* which of several it is */
  uint32_t id;
  uint32_t pairs;
  uint32_t branches; /* not 0: one of several, which so many slots tell apart */
  uint16_t next;     /* of several: which came after it the last time */
  uint16_t told;     /* how often in a row that was so */
  uint32_t at[2 * GCX_SHAPES_PAIRS]; /* words from sp */
  gcx__pair words[GCX_SHAPES_PAIRS];
} __attribute__((aligned(512))); /* found by a shift */

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
  uint32_t credit; /* one for each hit by a branch; making one takes some */
  uint16_t turn;   /* the last hit among @branched */
  struct gcx__expected expected[GCX_SHAPES_EXPECTED];
  struct gcx__expected branched[GCX_SHAPES_BRANCHED];
  struct gcx__follow follows[GCX_SHAPES_FOLLOWS];
  struct gcx__guess guesses[GCX_SHAPES_GUESSES];
  uint16_t index[GCX_SHAPES_INDEX]; /* signature -> word in the area */
  struct gcx__path slots[GCX_SHAPES_PATHS];
  uint64_t area[GCX_SHAPES_AREA];
};

static inline size_t gcx__shapes_place(const struct gcx__frame *start)
{
  return (start->sp >> 4) ^ start->pc;
}

static inline struct gcx__guess *gcx__shapes_guess(
    struct gcx__shapes *c, const struct gcx__frame *start)
{
  return &c->guesses[gcx__shapes_place(start) % GCX_SHAPES_GUESSES];
}

static inline struct gcx__expected *gcx__shapes_expected(
    struct gcx__shapes *c, const struct gcx__frame *start)
{
  struct gcx__expected *e =
      &c->expected[gcx__shapes_place(start) % GCX_SHAPES_EXPECTED];

  __asm__("" : "+r"(e)); /* else it is computed anew for each use */
  return e;
}

/* Two words at a time: three instructions for each frame, and one jump for all.
 * This is what a hit spends its time on. */
#define GCX__DIFFERS(i)                                                   \
  case (i) + 1:                                                           \
    difference |=                                                         \
        (gcx__pair){ stack[e->at[2 * (i)]], stack[e->at[2 * (i) + 1]] } ^ \
        e->words[i];                                                      \
    __attribute__((fallthrough));
#define GCX__DIFFER_4(i) \
  GCX__DIFFERS(i + 3) GCX__DIFFERS(i + 2) GCX__DIFFERS(i + 1) GCX__DIFFERS(i)

static inline bool gcx__shapes_is_at(const struct gcx__expected *e,
                                     const struct gcx__frame *start)
{
  return e->sp == start->sp && e->pc == start->pc;
}

/* Is the stack the one that is expected at just this start? Same thread, same
 * stack pointer: its slots lie on the stack, as they did when it was entered. */
GCX_READS_STACK
__attribute__((always_inline)) static inline bool gcx__shapes_is(
    const struct gcx__expected *e, const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  gcx__pair difference = { 0, 0 };

  if (GCX_UNLIKELY(((e->fp ^ start->fp) & e->fp_mask) != 0))
    return false;
  switch (e->pairs) {
    GCX__DIFFER_4(12)
    GCX__DIFFER_4(8)
    GCX__DIFFER_4(4)
    GCX__DIFFER_4(0)
  case 0:
    break;
  default:
    __builtin_unreachable(); /* expected_has_room() */
  }
  return (difference[0] | difference[1]) == 0;
}

/* Several stacks are expected at this start, and @e has the slots that tell them
 * apart: the words in those, in one. Odd factors that fit into an instruction. */
#define GCX__BRANCH(i)                                               \
  case (i) + 1:                                                      \
    h += stack[e->at[i]] * ((0x9E3779B1u * (2 * (i) + 1) >> 1) | 1); \
    __attribute__((fallthrough));
#define GCX__BRANCH_4(i) \
  GCX__BRANCH(i + 3) GCX__BRANCH(i + 2) GCX__BRANCH(i + 1) GCX__BRANCH(i)

GCX_READS_STACK
__attribute__((always_inline)) static inline uint64_t gcx__shapes_branch(
    const struct gcx__expected *e, const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  uint64_t h = gcx__shapes_place(start);

  switch (e->branches) {
    GCX__BRANCH_4(12)
    GCX__BRANCH_4(8)
    GCX__BRANCH_4(4)
    GCX__BRANCH_4(0)
  case 0:
    break;
  default:
    __builtin_unreachable(); /* GCX_SHAPES_BRANCHES */
  }
  return h * GCX_WALK_HASH_FACTOR;
}

/* The two places where the stack of that branch may be. */
static inline struct gcx__expected *gcx__shapes_branched(struct gcx__shapes *c,
                                                         uint64_t branch)
{
  return &c->branched[(branch >> 40) % (GCX_SHAPES_BRANCHED / 2) * 2];
}

static inline bool gcx__shapes_is_branch(const struct gcx__expected *e,
                                         const struct gcx__frame *start,
                                         uint64_t branch)
{
  return e->branch == branch && gcx__shapes_is_at(e, start);
}

/* What the branch before tells about the next one: a disposal often comes after its
 * allocation. NULL: nothing of late. */
static inline struct gcx__expected *gcx__shapes_told(struct gcx__shapes *c)
{
  const struct gcx__expected *before = &c->branched[c->turn];

  return before->told >= GCX_SHAPES_TOLD ? &c->branched[before->next] : NULL;
}

/* @e is the branch after the last one: did that tell? */
static inline void gcx__shapes_take_turn(struct gcx__shapes *c,
                                         const struct gcx__expected *e)
{
  struct gcx__expected *before = &c->branched[c->turn];
  uint16_t turn = (uint16_t)(e - c->branched);

  if (before->next != turn) {
    before->next = turn;
    before->told = 0;
  } else if (before->told < GCX_SHAPES_TOLD) {
    before->told++;
  }
  c->turn = turn;
}

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
