/* SPDX-License-Identifier: MIT */
/*
 * walk.c - from frame to frame by learnt rules
 *
 * Every slot that is read lies in [sp of the start, high): a CFA must be above
 * its frame's sp and not above high; a rule never looks further below the CFA
 * than the frame, or, where it goes by fp, than fp reaches, which is checked.
 *
 * The speed is that of one chain: return address, rule, next return address.
 * All else (hash, record) is done in its shadow. No lock, no memory.
 */
#include "walk.h"

#include "rules.h"

/* Record that the rule of this frame uses @fp, which came from @at. False: too
 * far away to be described. */
static inline bool walk_link(struct gcx__walk *w, uint32_t at, uintptr_t value)
{
  if (value >= GCX_WALK_NO_FP) {
    return false;
  }
  if (at == GCX_WALK_NO_FP) {
    w->start_fp = (uint32_t)value;
  } else {
    w->link[w->links].at = at;
    w->link[w->links].value = (uint32_t)value;
    w->links++;
  }
  return true;
}

GCX_READS_STACK
__attribute__((always_inline)) static inline enum gcx__walk_end walk_rules(
    const struct gcx__frame *start, uintptr_t high, size_t max,
    struct gcx__walk *w, bool shaped)
{
  const struct gcx__rules *rules =
      __atomic_load_n(&gcx__rules_table, __ATOMIC_ACQUIRE);
  uintptr_t pc = start->pc, sp = start->sp, fp = start->fp;
  uint32_t fp_from = GCX_WALK_NO_FP, n = 1;
  uint64_t hash = pc * GCX_WALK_HASH_FACTOR;

  if (rules == NULL) {
    return GCX_WALK_UNKNOWN;
  }
  w->links = 0;
  w->start_fp = GCX_WALK_NO_FP;
  w->pcs[0] = pc;
  while (n < max) {
    uint64_t word = gcx__rules_find(rules, pc);
    enum gcx__rule_kind kind = GCX_RULE_KIND(word);
    uintptr_t cfa, fp_slot, fp_read;

    if (GCX_LIKELY(kind == GCX_RULE_SP)) {
      cfa = sp + GCX_RULE_CFA(word) * 8;
    } else if (kind == GCX_RULE_FP) {
      if (fp - sp >= high - sp ||
          (shaped && !walk_link(w, fp_from, fp - start->sp))) {
        return GCX_WALK_UNTRUSTED;
      }
      cfa = fp + GCX_RULE_CFA(word) * 8;
    } else {
      w->n = n;
      w->hash = gcx__walk_hash_end(hash, n, 0, 0);
      return kind == GCX_RULE_END         ? GCX_WALK_DONE
             : kind == GCX_RULE_UNTRUSTED ? GCX_WALK_UNTRUSTED
                                          : GCX_WALK_UNKNOWN;
    }
    if (GCX_UNLIKELY(cfa - sp - 1 >= high - sp || cfa % 8 != 0)) {
      return GCX_WALK_UNTRUSTED;
    }
    fp_slot = cfa - GCX_RULE_FP_AT(word) * 8;
    fp_read = *(const uintptr_t *)fp_slot;
    if (GCX_RULE_FP_AT(word) != GCX_RULE_FP_KEPT) {
      fp = fp_read;
      fp_from = (uint32_t)((fp_slot - start->sp) / 8);
    }
    pc = ((const uintptr_t *)cfa)[-1];
    hash = (hash ^ pc) * GCX_WALK_HASH_FACTOR;
    hash ^= hash >> 32;
    if (shaped) {
      w->at[n - 1] = (uint32_t)((cfa - start->sp) / 8 - 1);
    }
    w->pcs[n++] = pc;
    sp = cfa;
  }
  w->n = n;
  w->hash = gcx__walk_hash_end(hash, n, 0, 0);
  return GCX_WALK_DONE;
}

enum gcx__walk_end gcx__walk_shaped(const struct gcx__frame *start,
                                    uintptr_t high, size_t max,
                                    struct gcx__walk *w)
{
  return walk_rules(start, high, max, w, true);
}

enum gcx__walk_end gcx__walk_plain(const struct gcx__frame *start,
                                   uintptr_t high, size_t max,
                                   struct gcx__walk *w)
{
  return walk_rules(start, high, max, w, false);
}
