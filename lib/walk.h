/* SPDX-License-Identifier: MIT */
/*
 * walk.h - from frame to frame by learnt rules (rules.h)
 */
#ifndef GCX_WALK_H
#define GCX_WALK_H

#include "thread.h"
#include "unwind.h"

#define GCX_WALK_MAX 256          /* frames */
#define GCX_WALK_NO_FP UINT32_MAX /* in place of a distance: fp is not used */

/* A saved frame pointer that a rule needs. */
struct gcx__walk_link {
  uint32_t at;    /* words from the start's sp */
  uint32_t value; /* bytes from the start's sp */
};

/* One walk: what the depot wants, and the shape. */
struct gcx__walk {
  uint32_t n;
  uint32_t links;
  uint32_t start_fp;
  uint64_t hash; /* of the return addresses; not the same as that of a hit */
  uintptr_t pcs[GCX_WALK_MAX];
  uint32_t at[GCX_WALK_MAX]; /* at[i]: slot of pcs[i + 1] */
  struct gcx__walk_link link[GCX_WALK_MAX];
};

enum gcx__walk_end {
  GCX_WALK_DONE,
  GCX_WALK_UNKNOWN,  /* met a return address without a rule */
  GCX_WALK_UNTRUSTED /* or one that will never have one */
};

/* Walk from @start, at most @max frames, of a stack that ends at @high: return
 * addresses and their hash; shaped: also where everything was found. */
enum gcx__walk_end gcx__walk_plain(const struct gcx__frame *start,
                                   uintptr_t high, size_t max,
                                   struct gcx__walk *w);
enum gcx__walk_end gcx__walk_shaped(const struct gcx__frame *start,
                                    uintptr_t high, size_t max,
                                    struct gcx__walk *w);

/* Does the stack lie in [@start's sp, stack_high), up to @words above sp? */
static inline bool gcx__walk_stack_has(const struct gcx__thread *t,
                                       const struct gcx__frame *start,
                                       uintptr_t words)
{
  uintptr_t room = t->stack_high - start->sp;

  return start->sp >= t->stack_low && start->sp < t->stack_high &&
         start->sp % sizeof(uintptr_t) == 0 &&
         words <= room / sizeof(uintptr_t);
}

#define GCX_WALK_HASH_FACTOR 0x9e3779b97f4a7c15u

static inline uint64_t gcx__walk_hash_end(uint64_t a, uint64_t b, uint64_t c,
                                          uint64_t d)
{
  uint64_t h = (a ^ (b >> 29) ^ (b << 35)) + (c ^ (d >> 31) ^ (d << 33));

  h ^= h >> 32;
  h *= GCX_WALK_HASH_FACTOR;
  return h ^ (h >> 29);
}

#endif
