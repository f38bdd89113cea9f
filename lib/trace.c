/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the calling stack as a site id, fast
 *
 * Three ways, the fastest first:
 *
 *   hit     the shape of the stack is guessed, its slots are read all at once
 *           and looked up together (shapes.h)
 *   walk    frame by frame with learnt rules (walk.h), then the depot
 *   unwind  libunwind, then the depot; it teaches rules for return addresses
 *           that have none
 *
 * Slots are read inside [sp, stack_high) of the calling thread only, whatever a
 * guess or a frame pointer says. A stack pointer outside (coroutine, alternate
 * stack) is left to libunwind.
 *
 * Rules that are taken back advance gcx__rules_generation; each thread then
 * empties its memory before it uses it again.
 */
#include "trace.h"

#include <string.h>

#include "depot.h"
#include "lock.h"
#include "modules.h"
#include "options.h"
#include "rules.h"
#include "shapes.h"
#include "vm.h"

#define TRACE_FUTILE 64 /* lessons that taught nothing, until we give up */

struct gcx__trace {
  uint32_t doubt; /* gcx__modules_doubt, when all below was last looked at */
  uint32_t generation; /* of the rules, when this was emptied */
  uint32_t depth;      /* gcx__opt.stack_depth then */
  uint32_t futile;
  struct gcx__trace_stats stats; /* but for the hits, which shapes counts */
  struct gcx__walk walk;
  struct gcx__unwind_step steps[GCX_WALK_MAX];
  struct gcx__shapes shapes;
};

/* A library was unloaded: unw_backtrace() is wrong from now on. */
static bool trace_careful;
static uint32_t trace_epoch; /* unloads up to this one have been dealt with */
static struct gcx__trace_stats trace_left; /* of threads that are gone */

/* Emptied if something it was made from has changed. */
static void trace_renew(struct gcx__trace *tr)
{
  uint32_t generation =
      __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE);

  if (tr->generation != generation || tr->depth != gcx__opt.stack_depth) {
    gcx__shapes_empty(&tr->shapes);
    tr->generation = generation;
    tr->depth = (uint32_t)gcx__opt.stack_depth;
    tr->futile = 0;
  }
}

static struct gcx__trace *trace_make(struct gcx__thread *t)
{
  struct gcx__trace *tr = gcx__vm_map(sizeof(*tr));

  if (tr != NULL) {
    gcx__shapes_init(&tr->shapes);
    tr->generation = __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE);
    tr->depth = (uint32_t)gcx__opt.stack_depth;
    t->trace = tr;
  }
  return tr;
}

/* ------------------------------------------------------------------- unwind */

static size_t unwind_guarded(struct gcx__thread *t,
                             const struct gcx__frame *start, uintptr_t *ret_pcs,
                             size_t max)
{
  size_t n;

  t->no_capture++;
  n = gcx__unwind(start, ret_pcs, max,
                  __atomic_load_n(&trace_careful, __ATOMIC_ACQUIRE));
  t->no_capture--;
  if (n == 0) {
    ret_pcs[n++] = start->pc; /* better than nothing: it is known */
  }
  return n;
}

/* Unwind and learn; 0 frames if that can't be done. */
static size_t unwind_teach(struct gcx__thread *t, struct gcx__trace *tr,
                           const struct gcx__frame *start, uintptr_t *ret_pcs,
                           size_t max)
{
  uint32_t generation =
      __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE);
  size_t n;

  t->no_capture++;
  n = gcx__unwind_steps(start, tr->steps, max);
  t->no_capture--;
  for (size_t i = 0; i < n; i++) {
    ret_pcs[i] = tr->steps[i].frame.pc;
  }
  if (gcx__rules_learn(tr->steps, n, generation, t->stack_low, t->stack_high) ==
      0) {
    tr->futile++;
  }
  return n;
}

/* ------------------------------------------------------------------- public */

static size_t depth_limit(void)
{
  return GCX_MIN((size_t)gcx__opt.stack_depth, (size_t)GCX_WALK_MAX);
}

/* Unwind, and teach if something @is_new. */
static uint32_t site_unwind(struct gcx__thread *t, struct gcx__trace *tr,
                            const struct gcx__frame *start, bool is_new)
{
  size_t n = 0;

  tr->stats.unwinds++;
  if (is_new && tr->futile < TRACE_FUTILE) {
    n = unwind_teach(t, tr, start, tr->walk.pcs, depth_limit());
  }
  if (n == 0) {
    n = unwind_guarded(t, start, tr->walk.pcs, depth_limit());
  }
  return gcx__depot_put(tr->walk.pcs, n);
}

void gcx__trace_flush(void)
{
  __atomic_store_n(&trace_careful, true, __ATOMIC_RELEASE);
  gcx__rules_flush();
}

static void retire_module(const struct gcx__module *m, void *arg)
{
  (void)arg;
  gcx__depot_retire(m->low, m->high);
}

/* Deal with unloads, whoever noticed them. Two threads may both do it: the
 * second time changes nothing that matters. */
static void trace_catch_up(void)
{
  uint32_t before = __atomic_load_n(&trace_epoch, __ATOMIC_ACQUIRE);
  uint32_t now = gcx__modules_epoch();

  if (now != before) {
    gcx__modules_unloaded(before, retire_module, NULL);
    gcx__trace_flush();
    (void)__atomic_compare_exchange_n(&trace_epoch, &before, now, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  }
}

/* Not a hit: walk, or unwind. */
static GCX_NOINLINE uint32_t site_slow(struct gcx__thread *t,
                                       const struct gcx__frame *start)
{
  uint32_t doubt = __atomic_load_n(&gcx__modules_doubt, __ATOMIC_ACQUIRE);
  struct gcx__trace *tr = t->trace != NULL ? t->trace : trace_make(t);
  size_t max = depth_limit();
  enum gcx__walk_end end = GCX_WALK_UNTRUSTED;

  trace_catch_up();
  if (tr == NULL) {
    uintptr_t pcs[GCX_WALK_MAX];

    return gcx__depot_put(pcs, unwind_guarded(t, start, pcs, max));
  }
  trace_renew(tr);
  tr->doubt = doubt; /* as it was before: a later one is seen next time */
  if (gcx__walk_stack_has(t, start, 0)) {
    bool resting = gcx__shapes_rest(&tr->shapes, start);

    end = resting ? gcx__walk_plain(start, t->stack_high, max, &tr->walk)
                  : gcx__walk_shaped(start, t->stack_high, max, &tr->walk);
    if (end == GCX_WALK_DONE) {
      tr->stats.walks++;
      return resting ? gcx__shapes_find(&tr->shapes, &tr->walk)
                     : gcx__shapes_learn(&tr->shapes, start, &tr->walk);
    }
  }
  return site_unwind(t, tr, start, end == GCX_WALK_UNKNOWN);
}

static inline bool trace_may(const struct gcx__thread *t)
{
  return gcx__opt.unwind != GCX_UNWIND_NONE && t->no_capture == 0 &&
         !gcx__lock_any_held();
}

#ifdef GCX_DEEP_CHECKS
/* Each 64th answer is compared with libunwind's. */
static void site_verify(struct gcx__thread *t, const struct gcx__frame *start,
                        uint32_t id)
{
  struct gcx__trace *tr = t->trace;
  const uintptr_t *pcs;
  uintptr_t truth[GCX_WALK_MAX];
  uint32_t epoch;
  size_t n = gcx__depot_get(id, &pcs, &epoch);

  if (n == 0 || tr == NULL || !trace_may(t) ||
      (tr->shapes.hits + tr->stats.walks) % 64 != 0) {
    return;
  }
  if (unwind_guarded(t, start, truth, depth_limit()) != n ||
      memcmp(truth, pcs, n * sizeof(truth[0])) != 0) {
    tr->stats.disagreed++;
  }
}
#else
#define site_verify(t, start, id) ((void)0)
#endif

/* Nothing has changed since all was last looked at. */
static inline bool trace_is_sure(const struct gcx__trace *tr)
{
  return GCX_LIKELY(tr->doubt ==
                    __atomic_load_n(&gcx__modules_doubt, __ATOMIC_ACQUIRE));
}

/* Not the stack of the last times. */
static GCX_NOINLINE uint32_t site_other(struct gcx__thread *t,
                                        const struct gcx__frame *start)
{
  struct gcx__trace *tr = t->trace;
  uint32_t id = 0;

  if (GCX_UNLIKELY(!trace_may(t))) {
    return 0;
  }
  if (GCX_LIKELY(tr != NULL && trace_is_sure(tr))) {
    id = gcx__shapes_hit(&tr->shapes, t, start);
  }
  if (GCX_UNLIKELY(id == 0)) {
    id = site_slow(t, start);
  }
  site_verify(t, start, id);
  return id;
}

/* Where the stack of the branch at @start is, if it is known. */
GCX_READS_STACK
static inline const struct gcx__expected *site_branch(
    struct gcx__shapes *c, const struct gcx__frame *start)
{
  uint64_t branch = gcx__shapes_branch(gcx__shapes_expected(c, start), start);
  const struct gcx__expected *e = gcx__shapes_branched(c, branch);

  e += e->branch != branch;
  return GCX_LIKELY(e->branch == branch) ? e : NULL;
}

/* One of several that come in turns? Comparing decides, whatever has led to it. */
GCX_READS_STACK
static GCX_NOINLINE uint32_t site_branched(struct gcx__thread *t,
                                           const struct gcx__frame *start)
{
  struct gcx__shapes *c = &t->trace->shapes;
  const struct gcx__expected *told = gcx__shapes_told(c);
  const struct gcx__expected *e = told != NULL ? told : site_branch(c, start);

  if (GCX_LIKELY(e != NULL && gcx__shapes_is_at(e, start) &&
                 gcx__shapes_is(e, start))) {
    gcx__shapes_take_turn(c, e);
    c->last = e->id;
    c->hits++;
    c->credit += c->credit < GCX_SHAPES_CREDIT;
    site_verify(t, start, e->id);
    return e->id;
  }
  if (told != NULL) {
    c->branched[c->turn].told = 0;
    return site_branched(t, start); /* by its slots, then */
  }
  return site_other(t, start);
}

/* A leaf, which saves no register: what is not the same as the last times is done
 * elsewhere. */
GCX_READS_STACK
uint32_t gcx__trace_site(struct gcx__thread *t, const struct gcx__frame *start)
{
  struct gcx__trace *tr = t->trace;
  const struct gcx__expected *e;

  if (GCX_UNLIKELY(tr == NULL || !trace_is_sure(tr))) {
    return site_other(t, start);
  }
  e = gcx__shapes_expected(&tr->shapes, start);
  if (GCX_UNLIKELY(!gcx__shapes_is_at(e, start))) {
    return site_other(t, start);
  }
  if (GCX_UNLIKELY(e->branches != 0)) {
    return site_branched(t, start);
  }
  if (GCX_UNLIKELY(!gcx__shapes_is(e, start))) {
    return site_other(t, start);
  }
  __asm__("" : "+m"(t->trace)); /* read again: a register less to save */
  tr = t->trace;
  tr->shapes.last = e->id;
  tr->shapes.hits++;
  site_verify(t, start, e->id);
  return e->id;
}

size_t gcx__trace_pcs(struct gcx__thread *t, const struct gcx__frame *start,
                      uintptr_t *ret_pcs, size_t max)
{
  if (gcx__opt.unwind == GCX_UNWIND_NONE || t->no_capture != 0 ||
      gcx__lock_any_held() || max == 0) {
    return 0;
  }
  trace_catch_up();
  max = GCX_MIN(max, (size_t)GCX_WALK_MAX);
  if (t->trace != NULL && gcx__walk_stack_has(t, start, 0) &&
      gcx__walk_plain(start, t->stack_high, max, &t->trace->walk) ==
          GCX_WALK_DONE) {
    memcpy(ret_pcs, t->trace->walk.pcs, t->trace->walk.n * sizeof(*ret_pcs));
    return t->trace->walk.n;
  }
  return unwind_guarded(t, start, ret_pcs, max);
}

bool gcx__trace_refresh(void)
{
  bool unloaded = gcx__modules_refresh();

  trace_catch_up();
  return unloaded;
}

/* Threads leave at the same time, and with locks held. */
static void stats_add(struct gcx__trace_stats *sum, const struct gcx__trace *tr)
{
  __atomic_add_fetch(&sum->hits, tr->shapes.hits, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->walks, tr->stats.walks, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->unwinds, tr->stats.unwinds, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->disagreed, tr->stats.disagreed, __ATOMIC_RELAXED);
}

void gcx__trace_thread_leave(struct gcx__thread *t)
{
  struct gcx__trace *tr = t->trace;

  t->trace = NULL;
  if (tr != NULL) {
    stats_add(&trace_left, tr);
    gcx__vm_unmap(tr, sizeof(*tr));
  }
}

void gcx__trace_stats(struct gcx__trace_stats *ret_stats)
{
  struct gcx__trace_stats sum;

  gcx__thread_lock();
  sum = trace_left;
  for (struct gcx__thread *t = gcx__thread_first(); t != NULL;
       t = gcx__thread_next(t)) {
    if (t->trace != NULL) {
      stats_add(&sum, t->trace);
    }
  }
  gcx__thread_unlock();
  sum.rules = gcx__rules_learnt();
  *ret_stats = sum;
}
