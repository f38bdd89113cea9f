/* SPDX-License-Identifier: MIT */
/*
 * rules.h - frame rules: how to leave the frame at a return address
 *
 * A rule says where the caller's frame begins (CFA = sp + offset, or fp +
 * offset) and where the caller's frame pointer was saved. It is what the
 * compiler wrote down (cfi.h), believed only after libunwind has twice arrived
 * at the same on a real stack.
 */
#ifndef GCX_RULES_H
#define GCX_RULES_H

#include "unwind.h"

/*
 * One rule is one 64-bit word, so that it can be read and replaced without a
 * lock: kind, offset of the CFA and place of the saved fp (in words), and the
 * upper bits of the return address (the lower ones follow from the place in the
 * table).
 */
enum gcx__rule_kind {
  GCX_RULE_NONE = 0,  /* nothing known */
  GCX_RULE_SP,        /* trusted */
  GCX_RULE_FP,        /* trusted */
  GCX_RULE_END,       /* trusted: outermost frame */
  GCX_RULE_UNSURE_SP, /* seen once */
  GCX_RULE_UNSURE_FP,
  GCX_RULE_UNSURE_END,
  GCX_RULE_UNTRUSTED /* for good */
};

#define GCX_RULE_KIND(w) ((enum gcx__rule_kind)((w)&7))
#define GCX_RULE_CFA(w) (((w) >> 3) & 0x7fff) /* words */
#define GCX_RULE_FP_AT(w) (((w) >> 18) & 0x3f)
#define GCX_RULE_FP_KEPT \
  1 /* as FP_AT: fp is unchanged (the return address lies
                              there, so that the slot can always be read) */
#define GCX_RULE_TAG_SHIFT 24
#define GCX_RULES_WAYS 4

struct gcx__rules {
  size_t bucket_mask; /* at least 255: see gcx__rules_find() */
  uint64_t words[];   /* buckets of GCX_RULES_WAYS */
};

extern struct gcx__rules *gcx__rules_table
    GCX_HIDDEN; /* NULL before the first rule */
/* Advances when something that was trusted no longer is. */
extern uint32_t gcx__rules_generation GCX_HIDDEN;

/* The tag holds bits 8.. of the address and determines, with the bucket, the
 * lower 8: two addresses never share a word. */
static inline uint64_t gcx__rules_tag(uintptr_t pc)
{
  return ((uint64_t)pc >> 8) << GCX_RULE_TAG_SHIFT;
}

static inline size_t gcx__rules_bucket(const struct gcx__rules *r, uintptr_t pc)
{
  return ((pc * GCX_RULES_WAYS) ^ (pc / (512 / GCX_RULES_WAYS))) &
         (r->bucket_mask * GCX_RULES_WAYS);
}

/* The word for @pc, 0 (GCX_RULE_NONE) if there is none. Lock-free. */
static inline uint64_t gcx__rules_find(const struct gcx__rules *r, uintptr_t pc)
{
  const uint64_t *bucket = &r->words[gcx__rules_bucket(r, pc)];
  uint64_t tag = (uint64_t)pc >> 8;

  for (size_t i = 0; i < GCX_RULES_WAYS; i++) {
    uint64_t word = __atomic_load_n(&bucket[i], __ATOMIC_RELAXED);

    if (GCX_LIKELY(word >> GCX_RULE_TAG_SHIFT == tag)) {
      return word;
    }
  }
  return 0;
}

/* Learn from an unwind that was made in @generation, of a stack that lies in
 * [low, high). How many rules that made or changed. */
size_t gcx__rules_learn(const struct gcx__unwind_step *steps, size_t n,
                        uint32_t generation, uintptr_t low, uintptr_t high);

/* Forget all (a library was unloaded). */
void gcx__rules_flush(void);

/* How many were ever trusted. */
uint64_t gcx__rules_learnt(void);

#endif
