/* SPDX-License-Identifier: MIT */
/*
 * rules.c - frame rules: how to leave the frame at a return address
 *
 * States of the rule of one return address:
 *
 *     none --what the compiler says, and libunwind agrees--> unsure
 *     unsure --libunwind agrees again--> trusted
 *     none, unsure, trusted --any disagreement, no simple rule--> untrusted
 *     any --flush--> none
 *
 * Why the compiler's word and not only libunwind's: from registers before and
 * after a step alone, "sp + 48" can't be told from "rbx + 16", nor a frame that
 * was realigned from one that happened to be aligned; the description tells.
 * Why libunwind's and not only the compiler's: it may know more of this process
 * (signal trampolines, code with no description), and two programs that agree
 * are better than one.
 *
 * The table is a set of buckets of four words; where a bucket is full the table
 * is copied to one of twice the size, and the old one kept for readers that are
 * in it. Readers take no lock: a word is read whole or not at all. A reader in
 * an old table sees rules that were right when they were written; a flush, or
 * the end of trust in a rule, clears words in old tables too.
 *
 * GCX_RANK_RULES guards all writes.
 */
#include "rules.h"

#include "cfi.h"
#include "lock.h"
#include "modules.h"
#include "vm.h"

#define RULES_BUCKETS_FIRST ((size_t)256)
#define RULES_BUCKETS_MAX ((size_t)1 << 18)
#define RULES_TABLES 12 /* from the first size to the largest, and one more */

struct gcx__rules *gcx__rules_table;
uint32_t gcx__rules_generation;

static struct gcx__lock rules_lock = GCX_LOCK_INIT(GCX_RANK_RULES);
static struct gcx__rules *rules_all[RULES_TABLES]; /* the present one last */
static size_t rules_tables;
static uint64_t rules_learnt;

/* -------------------------------------------------------------------- table */

/* Store in one table; false: its bucket is full. */
static bool table_store(struct gcx__rules *r, uintptr_t pc, uint64_t word)
{
  uint64_t *bucket = &r->words[gcx__rules_bucket(r, pc)];

  for (size_t i = 0; i < GCX_RULES_WAYS; i++) {
    if (bucket[i] == 0 ||
        bucket[i] >> GCX_RULE_TAG_SHIFT == word >> GCX_RULE_TAG_SHIFT) {
      __atomic_store_n(&bucket[i], word, __ATOMIC_RELEASE);
      return true;
    }
  }
  return false;
}

/* The return address of a word: the tag has its upper bits, and those with the
 * number of the bucket give the lower eight. */
static uintptr_t word_pc(uint64_t word, size_t bucket)
{
  uintptr_t pc = (uintptr_t)(word >> GCX_RULE_TAG_SHIFT) << 8;

  return pc | ((bucket ^ (pc >> 9)) & 0xff);
}

/* Each bucket of @old is divided between two of @made: there is always room. */
static void table_copy(struct gcx__rules *made, const struct gcx__rules *old)
{
  size_t words = old == NULL ? 0 : (old->bucket_mask + 1) * GCX_RULES_WAYS;

  for (size_t i = 0; i < words; i++) {
    if (old->words[i] != 0) {
      bool stored = table_store(
          made, word_pc(old->words[i], i / GCX_RULES_WAYS), old->words[i]);

      GCX_ASSERT(stored);
    }
  }
}

static bool table_grow(void)
{
  struct gcx__rules *old = gcx__rules_table;
  size_t buckets =
      old == NULL ? RULES_BUCKETS_FIRST : (old->bucket_mask + 1) * 2;
  struct gcx__rules *made;

  if (buckets > RULES_BUCKETS_MAX || rules_tables == RULES_TABLES) {
    return false;
  }
  made = gcx__vm_map(sizeof(*made) +
                     buckets * GCX_RULES_WAYS * sizeof(made->words[0]));
  if (made == NULL) {
    return false;
  }
  made->bucket_mask = buckets - 1;
  table_copy(made, old);
  rules_all[rules_tables++] = made;
  __atomic_store_n(&gcx__rules_table, made, __ATOMIC_RELEASE);
  return true;
}

static bool rule_store(uintptr_t pc, uint64_t word)
{
  if (gcx__rules_table == NULL && !table_grow()) {
    return false;
  }
  while (!table_store(gcx__rules_table, pc, word)) {
    if (!table_grow()) {
      return false;
    }
  }
  return true;
}

static void tables_clear(void)
{
  for (size_t t = 0; t < rules_tables; t++) {
    size_t words = (rules_all[t]->bucket_mask + 1) * GCX_RULES_WAYS;

    for (size_t i = 0; i < words; i++) {
      if (rules_all[t]->words[i] != 0) {
        __atomic_store_n(&rules_all[t]->words[i], 0, __ATOMIC_RELEASE);
      }
    }
  }
}

/* ----------------------------------------------------------------- learning */

static uint64_t word_untrusted(uintptr_t pc)
{
  return gcx__rules_tag(pc) | GCX_RULE_UNTRUSTED;
}

/* The compiler's word, or GCX_RULE_UNTRUSTED if it is not of the simple form. */
static uint64_t word_from_cfi(uintptr_t pc)
{
  static const enum gcx__rule_kind unsure[] = {
    [GCX_CFI_SP] = GCX_RULE_UNSURE_SP,
    [GCX_CFI_FP] = GCX_RULE_UNSURE_FP,
    [GCX_CFI_END] = GCX_RULE_UNSURE_END,
  };
  struct gcx__cfi c;

  if (!gcx__cfi_find(pc, &c) || c.cfa_offset % 8 != 0 || c.fp_at % 8 != 0 ||
      c.cfa_offset / 8 > 0x7fff || c.fp_at / 8 > 0x3f ||
      c.fp_at > c.cfa_offset) {
    return word_untrusted(pc);
  }
  c.fp_at = c.fp_at == 0 ? 8 * GCX_RULE_FP_KEPT : c.fp_at;
  return gcx__rules_tag(pc) | (uint64_t)(c.fp_at / 8) << 18 |
         (uint64_t)(c.cfa_offset / 8) << 3 | (uint64_t)unsure[c.kind];
}

struct learn_range {
  uintptr_t low;
  uintptr_t high;
};

/* Does libunwind's step arrive where the rule does? */
static bool step_agrees(uint64_t word, const struct gcx__unwind_step *s,
                        const struct learn_range *stack)
{
  enum gcx__rule_kind kind = GCX_RULE_KIND(word);
  bool by_fp = kind == GCX_RULE_FP || kind == GCX_RULE_UNSURE_FP;
  uintptr_t cfa = (by_fp ? s->frame.fp : s->frame.sp) + GCX_RULE_CFA(word) * 8;
  uintptr_t fp = s->frame.fp;

  if (s->is_signal) {
    return false;
  }
  if (kind == GCX_RULE_END || kind == GCX_RULE_UNSURE_END) {
    return s->is_outermost;
  }
  if (s->caller.sp != cfa || s->caller.pc == 0 || cfa % 8 != 0 ||
      cfa <= s->frame.sp || s->frame.sp < stack->low || cfa > stack->high ||
      GCX_RULE_FP_AT(word) * 8 > cfa - s->frame.sp) {
    return false;
  }
  if (GCX_RULE_FP_AT(word) != GCX_RULE_FP_KEPT) {
    fp = ((const uintptr_t *)cfa)[-(intptr_t)GCX_RULE_FP_AT(word)];
  }
  return fp == s->caller.fp && ((const uintptr_t *)cfa)[-1] == s->caller.pc;
}

static bool kind_is_trusted(enum gcx__rule_kind kind)
{
  return kind == GCX_RULE_SP || kind == GCX_RULE_FP || kind == GCX_RULE_END;
}

/* What the word becomes after one more observation. */
static uint64_t word_after(uint64_t word, bool is_new, bool agrees)
{
  enum gcx__rule_kind kind = GCX_RULE_KIND(word);

  if (!agrees || kind == GCX_RULE_UNTRUSTED) {
    return (word >> GCX_RULE_TAG_SHIFT << GCX_RULE_TAG_SHIFT) |
           GCX_RULE_UNTRUSTED;
  }
  if (is_new || kind_is_trusted(kind)) {
    return word;
  }
  return (word & ~(uint64_t)7) | (kind - GCX_RULE_UNSURE_SP + GCX_RULE_SP);
}

/* What was built on rules goes. */
static void rules_advance_locked(void)
{
  __atomic_add_fetch(&gcx__rules_generation, 1, __ATOMIC_RELEASE);
  __atomic_add_fetch(&gcx__modules_doubt, 1, __ATOMIC_RELEASE);
}

/* A rule that was trusted and shouldn't have been: what was built on it goes. */
static void distrust_locked(uintptr_t pc, uint64_t word)
{
  for (size_t t = 0; t < rules_tables; t++) {
    (void)table_store(rules_all[t], pc, word);
  }
  rules_advance_locked();
}

/* True if that told something new. */
static bool observe_locked(const struct gcx__unwind_step *s, uint64_t fresh,
                           const struct learn_range *stack)
{
  uintptr_t pc = s->frame.pc;
  uint64_t word =
      gcx__rules_table == NULL ? 0 : gcx__rules_find(gcx__rules_table, pc);
  bool is_new = word == 0;
  uint64_t next;

  if (is_new) {
    word = fresh;
  }
  if (word == 0) {
    return false; /* forgotten since it was looked up */
  }
  next = word_after(word, is_new, step_agrees(word, s, stack));
  if (kind_is_trusted(GCX_RULE_KIND(word)) && next != word) {
    distrust_locked(pc, next);
    return true;
  }
  if ((is_new || next != word) && rule_store(pc, next)) {
    rules_learnt += kind_is_trusted(GCX_RULE_KIND(next));
    return true;
  }
  return false;
}

size_t gcx__rules_learn(const struct gcx__unwind_step *steps, size_t n,
                        uint32_t generation, uintptr_t low, uintptr_t high)
{
  struct learn_range stack = { low, high };
  size_t news = 0;

  for (size_t i = 0; i < n && steps[i].frame.pc >> 48 == 0; i++) {
    const struct gcx__rules *r =
        __atomic_load_n(&gcx__rules_table, __ATOMIC_ACQUIRE);
    uintptr_t pc = steps[i].frame.pc;
    uint64_t fresh = 0;

    if (r == NULL || gcx__rules_find(r, pc) == 0) {
      fresh = word_from_cfi(pc); /* takes ld.so's lock: not under ours */
    }
    gcx__lock(&rules_lock);
    if (generation == gcx__rules_generation) {
      news += observe_locked(&steps[i], fresh, &stack);
    }
    gcx__unlock(&rules_lock);
  }
  return news;
}

void gcx__rules_flush(void)
{
  gcx__lock(&rules_lock);
  rules_advance_locked();
  tables_clear();
  gcx__unlock(&rules_lock);
}

uint64_t gcx__rules_learnt(void)
{
  return __atomic_load_n(&rules_learnt, __ATOMIC_RELAXED);
}
