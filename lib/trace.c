/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the calling stack as a site id, fast
 *
 * Three ways, the fastest first:
 *
 *   hit     the shape of the stack is guessed, its slots are read all at once
 *           and looked up together
 *   walk    frame by frame with learnt rules (rules.h), then the depot
 *   unwind  libunwind, then the depot; it teaches rules for return addresses
 *           that have none
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
 * That works without any branch that depends on the path: a thousand paths that
 * differ in call sites only have one shape, and cost one look-up each. Where the
 * shapes differ as well, guesses fail, and are not tried for a while.
 *
 * Slots are read inside [sp, stack_high) of the calling thread only, whatever a
 * guess or a frame pointer says. A stack pointer outside (coroutine, alternate
 * stack) is left to libunwind.
 *
 * State: per thread, in one block of vm memory that only its thread uses: no
 * lock. Bounded: what is full is emptied and fills again from the rules, which
 * takes a tenth of a microsecond for each path.
 */
#include "trace.h"

#include <string.h>

#include "depot.h"
#include "lock.h"
#include "modules.h"
#include "options.h"
#include "rules.h"
#include "vm.h"

#define TRACE_MAX 256 /* frames */
#define TRACE_GUESSES 1024
#define TRACE_SHAPES 4096 /* places in the index; at most half are used */
#define TRACE_AREA 65536  /* words for shapes */
#define TRACE_SLOTS_FIRST 1024
#define TRACE_SLOTS 32768
#define TRACE_NO_FP UINT32_MAX /* the fp at the start is not used */
#define TRACE_FUTILE 64        /* lessons that taught nothing, until we give up */
#define TRACE_WRONG 8          /* guesses that failed, until a rest */
#define TRACE_REST 255         /* captures */
#define TRACE_STREAK 2         /* times the same path, until it is expected */

/* gcx reads the stacks of others: no sanitizer knows that this is meant. */
#define TRACE_READS_STACK \
  __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* A saved frame pointer that a rule needs. */
struct trace_link {
  uint32_t at;    /* words from the start's sp */
  uint32_t value; /* bytes from the start's sp */
};

struct trace_shape {
  uint64_t signature; /* hash of what follows */
  uint32_t top;       /* words from sp to the end of the highest slot */
  uint32_t start_fp;  /* bytes from sp to where fp points, or TRACE_NO_FP */
  uint16_t frames;    /* the first is the start itself */
  uint16_t links;
  uint32_t at[]; /* frames - 1 words: return addresses; then the links */
};

struct trace_guess {
  uint16_t shape;       /* word in the area, 0: none */
  uint8_t wrong;        /* failures in a row */
  uint8_t rest;         /* captures for which it is not tried */
  uint32_t hits;        /* of the thread, at the last failure */
  const uintptr_t *pcs; /* the last path that was hit, and its id */
  uint32_t id;
  uint32_t streak; /* how often it was the same again */
};

struct trace_slot {
  const uintptr_t *pcs; /* in the depot */
  uint32_t id;          /* 0: free */
  uint32_t key;         /* shape (0: any), frames, some bits of the hash */
};

/* One walk: what the depot wants, and the shape. */
struct trace_walk {
  uint32_t n;
  uint32_t links;
  uint32_t start_fp;
  uint64_t hash; /* of the return addresses; not the same as that of a hit */
  uintptr_t pcs[TRACE_MAX];
  uint32_t at[TRACE_MAX]; /* at[i]: slot of pcs[i + 1] */
  struct trace_link link[TRACE_MAX];
};

struct gcx__trace {
  uint32_t generation; /* of the rules, when this was emptied */
  uint32_t depth;      /* gcx__opt.stack_depth then */
  uint32_t area_used;  /* words */
  uint32_t shapes;
  uint32_t slot_mask;
  uint32_t slots_used;
  uint32_t futile;
  struct gcx__trace_stats stats;
  struct trace_guess guesses[TRACE_GUESSES];
  uint16_t index[TRACE_SHAPES]; /* signature -> word in the area */
  struct trace_walk walk;
  struct gcx__unwind_step steps[TRACE_MAX];
  struct trace_slot slots[TRACE_SLOTS];
  uint64_t area[TRACE_AREA];
};

enum walk_end {
  WALK_DONE,
  WALK_UNKNOWN,  /* met a return address without a rule */
  WALK_UNTRUSTED /* or one that will never have one */
};

static bool trace_careful; /* a library was unloaded: unw_backtrace() is wrong */
static struct gcx__trace_stats trace_left; /* of threads that are gone */

/* --------------------------------------------------------------------- hash */

#define HASH_FACTOR 0x9e3779b97f4a7c15u

static inline uint64_t hash_end(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
  uint64_t h = (a ^ (b >> 29) ^ (b << 35)) + (c ^ (d >> 31) ^ (d << 33));

  h ^= h >> 32;
  h *= HASH_FACTOR;
  return h ^ (h >> 29);
}

static inline struct trace_guess *guess_of(struct gcx__trace *tr,
                                           const struct gcx__frame *start)
{
  uint64_t h = ((start->sp >> 3) ^ (start->pc << 20)) * HASH_FACTOR;

  return &tr->guesses[h >> 54];
}

static inline uint32_t slot_key(uint64_t hash, uint16_t shape, uint32_t frames)
{
  return (uint32_t)(hash & 0x7f) << 25 | frames << 16 | shape;
}

static inline uint32_t slot_first(const struct gcx__trace *tr, uint64_t hash)
{
  return (uint32_t)(hash >> 20) & tr->slot_mask;
}

static inline struct trace_shape *shape_at(struct gcx__trace *tr,
                                           uint16_t place)
{
  return (struct trace_shape *)&tr->area[place];
}

/* ---------------------------------------------------------------------- hit */

/* Are the frame pointers where the shape has them? */
TRACE_READS_STACK
static inline bool links_hold(const struct trace_shape *s,
                              const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  const struct trace_link *l =
      (const struct trace_link *)(const void *)&s->at[s->frames - 1];
  uintptr_t difference = 0;

  if (s->start_fp != TRACE_NO_FP) {
    difference = (start->fp - start->sp) ^ s->start_fp;
  }
  for (uint32_t i = 0; i < s->links; i++) {
    difference |= (stack[l[i].at] - start->sp) ^ l[i].value;
  }
  return difference == 0;
}

/* Return addresses from the slots of the shape, and their hash. Four chains,
 * so that no multiplication waits for another. */
TRACE_READS_STACK
static inline uint64_t slots_gather(const struct trace_shape *s,
                                    const struct gcx__frame *start,
                                    uintptr_t *ret_pcs)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  uint64_t a = start->pc, b = 0, c = 0, d = 0;
  uint32_t n = s->frames - 1u, i = 0;

  for (; i + 4 <= n; i += 4) {
    uintptr_t p = stack[s->at[i]], q = stack[s->at[i + 1]];
    uintptr_t r = stack[s->at[i + 2]], t = stack[s->at[i + 3]];

    ret_pcs[i] = p;
    ret_pcs[i + 1] = q;
    ret_pcs[i + 2] = r;
    ret_pcs[i + 3] = t;
    a = (a ^ p) * HASH_FACTOR;
    b = (b ^ q) * HASH_FACTOR;
    c = (c ^ r) * HASH_FACTOR;
    d = (d ^ t) * HASH_FACTOR;
  }
  for (; i < n; i++) {
    ret_pcs[i] = stack[s->at[i]];
    a = (a ^ ret_pcs[i]) * HASH_FACTOR;
    a ^= a >> 32;
  }
  return hash_end(a, b, c, d);
}

static inline bool pcs_equal(const uintptr_t *a, const uintptr_t *b, uint32_t n)
{
  uintptr_t difference = 0;

  for (uint32_t i = 0; i < n; i++) {
    difference |= a[i] ^ b[i];
  }
  return difference == 0;
}

/* The descriptor, NULL if there is none. Shape 0: what was walked, whatever its
 * shape. */
static inline const struct trace_slot *slot_find(const struct gcx__trace *tr,
                                                 uint16_t shape,
                                                 uint32_t frames, uintptr_t pc,
                                                 uint64_t hash,
                                                 const uintptr_t *outer_pcs)
{
  uint32_t key = slot_key(hash, shape, frames);

  for (uint32_t at = slot_first(tr, hash);; at = (at + 1) & tr->slot_mask) {
    const struct trace_slot *s = &tr->slots[at];

    if (s->id == 0) {
      return NULL;
    }
    if (s->key == key && s->pcs[0] == pc &&
        pcs_equal(s->pcs + 1, outer_pcs, frames - 1)) {
      return s;
    }
  }
}

/* Does the stack lie in [@start's sp, stack_high), up to @words above sp? */
static inline bool stack_has(const struct gcx__thread *t,
                             const struct gcx__frame *start, uintptr_t words)
{
  uintptr_t room = t->stack_high - start->sp;

  return start->sp >= t->stack_low && start->sp < t->stack_high &&
         start->sp % sizeof(uintptr_t) == 0 &&
         words <= room / sizeof(uintptr_t);
}

/* Is it the path of the last time? */
TRACE_READS_STACK
static inline bool guess_repeats(const struct trace_guess *g,
                                 const struct trace_shape *s,
                                 const struct gcx__frame *start)
{
  const uintptr_t *stack = (const uintptr_t *)start->sp;
  uintptr_t difference = g->pcs[0] ^ start->pc;

  for (uint32_t i = 1; i < s->frames; i++) {
    difference |= stack[s->at[i - 1]] ^ g->pcs[i];
  }
  return difference == 0;
}

/* The path is known by its slots; expect it next time. */
static inline void guess_hit(struct trace_guess *g, const struct trace_slot *s)
{
  g->streak = s->id == g->id ? g->streak + 1 : 0;
  if (g->streak == 0) {
    g->id = s->id;
    g->pcs = s->pcs;
  }
}

/* The id if the guess is right and its path known, else 0. */
static inline uint32_t guess_try(struct gcx__trace *tr,
                                 const struct gcx__thread *t,
                                 const struct gcx__frame *start)
{
  struct trace_guess *g = guess_of(tr, start);
  const struct trace_shape *s = shape_at(tr, g->shape);
  const struct trace_slot *slot;
  uintptr_t pcs[TRACE_MAX];
  uint64_t hash;

  if (g->shape == 0 || !stack_has(t, start, s->top) || !links_hold(s, start)) {
    return 0;
  }
  if (g->streak >= TRACE_STREAK) {
    if (GCX_LIKELY(guess_repeats(g, s, start))) {
      return g->id;
    }
    g->streak = 0;
  }
  hash = slots_gather(s, start, pcs);
  slot = slot_find(tr, g->shape, s->frames, start->pc, hash, pcs);
  if (slot == NULL) {
    return 0;
  }
  guess_hit(g, slot);
  return slot->id;
}

/* ------------------------------------------------------------------ learning */

static void slots_empty(struct gcx__trace *tr, uint32_t slots)
{
  memset(tr->slots, 0, slots * sizeof(tr->slots[0]));
  tr->slot_mask = slots - 1;
  tr->slots_used = 0;
}

static void trace_empty(struct gcx__trace *tr)
{
  memset(tr->guesses, 0, sizeof(tr->guesses));
  memset(tr->index, 0, sizeof(tr->index));
  slots_empty(tr, tr->slot_mask + 1);
  tr->area_used = 1; /* place 0 is none */
  tr->shapes = 0;
}

/* Emptied if something it was made from has changed. */
static void trace_renew(struct gcx__trace *tr)
{
  uint32_t generation =
      __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE);

  if (tr->generation != generation || tr->depth != gcx__opt.stack_depth) {
    trace_empty(tr);
    tr->generation = generation;
    tr->depth = (uint32_t)gcx__opt.stack_depth;
    tr->futile = 0;
  }
}

static struct gcx__trace *trace_make(struct gcx__thread *t)
{
  struct gcx__trace *tr = gcx__vm_map(sizeof(*tr));

  if (tr != NULL) {
    tr->slot_mask = TRACE_SLOTS_FIRST - 1;
    tr->area_used = 1;
    tr->generation = __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE);
    tr->depth = (uint32_t)gcx__opt.stack_depth;
    t->trace = tr;
  }
  return tr;
}

static size_t shape_words(uint32_t frames, uint32_t links)
{
  size_t bytes = sizeof(struct trace_shape) +
                 (frames - 1) * sizeof(uint32_t) +
                 links * sizeof(struct trace_link);

  return (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static uint32_t walk_top(const struct trace_walk *w)
{
  uint32_t top = w->n > 1 ? w->at[w->n - 2] + 1 : 0;

  for (uint32_t i = 0; i < w->links; i++) {
    top = GCX_MAX(top, w->link[i].at + 1);
  }
  return top;
}

/* Write the shape of @w behind the last one. */
static void shape_write(struct trace_shape *s, const struct trace_walk *w)
{
  size_t bytes = (w->n - 1) * sizeof(uint32_t);
  char *links = (char *)s->at + bytes;

  s->top = walk_top(w);
  s->start_fp = w->start_fp;
  s->frames = (uint16_t)w->n;
  s->links = (uint16_t)w->links;
  memcpy(s->at, w->at, bytes);
  memcpy(links, w->link, w->links * sizeof(w->link[0]));
  s->signature = (uint64_t)w->start_fp * HASH_FACTOR + w->n;
  for (size_t i = 0; i < w->n - 1 + 2 * w->links; i++) {
    s->signature = (s->signature ^ s->at[i]) * HASH_FACTOR;
    s->signature ^= s->signature >> 32;
  }
}

static bool shape_equal(const struct trace_shape *a,
                        const struct trace_shape *b)
{
  return a->signature == b->signature && a->start_fp == b->start_fp &&
         a->frames == b->frames && a->links == b->links &&
         memcmp(a->at, b->at,
                (a->frames - 1u + 2u * a->links) * sizeof(a->at[0])) == 0;
}

/* Place of @w's shape, made if it is new. */
static uint16_t shape_intern(struct gcx__trace *tr, const struct trace_walk *w)
{
  size_t words = shape_words(w->n, w->links);
  struct trace_shape *s;
  uint32_t at;

  if (tr->area_used + words > TRACE_AREA || tr->shapes >= TRACE_SHAPES / 2) {
    trace_empty(tr);
  }
  s = shape_at(tr, (uint16_t)tr->area_used);
  shape_write(s, w);
  at = (uint32_t)(s->signature >> 40) % TRACE_SHAPES;
  while (tr->index[at] != 0) {
    if (shape_equal(shape_at(tr, tr->index[at]), s)) {
      return tr->index[at];
    }
    at = (at + 1) % TRACE_SHAPES;
  }
  tr->index[at] = (uint16_t)tr->area_used;
  tr->area_used += (uint32_t)words;
  tr->shapes++;
  return tr->index[at];
}

/* Enter (shape, frames) -> id, which isn't there. */
static void slot_add(struct gcx__trace *tr, uint16_t shape, uint64_t hash,
                     uint32_t id)
{
  struct trace_slot slot = { .id = id };
  uint32_t epoch, at;

  slot.key = slot_key(
      hash, shape, (uint32_t)gcx__depot_get(id, &slot.pcs, &epoch));
  if (tr->slots_used >= (tr->slot_mask + 1) / 8 * 5) {
    slots_empty(tr, GCX_MIN((tr->slot_mask + 1) * 2, (uint32_t)TRACE_SLOTS));
  }
  at = slot_first(tr, hash);
  while (tr->slots[at].id != 0) {
    at = (at + 1) & tr->slot_mask;
  }
  tr->slots[at] = slot;
  tr->slots_used++;
}

/* Enter the path of @start under the shape at @place. */
static void slot_add_shaped(struct gcx__trace *tr, uint16_t place,
                            const struct gcx__frame *start, uint32_t id)
{
  const struct trace_shape *s = shape_at(tr, place);
  uintptr_t pcs[TRACE_MAX];
  uint64_t hash = slots_gather(s, start, pcs);

  if (slot_find(tr, place, s->frames, start->pc, hash, pcs) == NULL) {
    slot_add(tr, place, hash, id);
  }
}

/* The guess was wrong: is it worth trying? */
static void guess_correct(struct gcx__trace *tr, struct trace_guess *g,
                          uint16_t place)
{
  uint32_t hits = (uint32_t)tr->stats.hits;

  g->wrong = hits - g->hits > 1 ? 1 : (uint8_t)(g->wrong + 1);
  g->hits = hits;
  g->shape = place;
  g->streak = 0;
  g->id = 0;
  if (g->wrong >= TRACE_WRONG) {
    g->shape = 0;
    g->wrong = TRACE_WRONG - 2;
    g->rest = TRACE_REST;
  }
}

/* The id of a walk's return addresses; next time it shall be a hit. */
static uint32_t walk_remember(struct gcx__trace *tr,
                              const struct gcx__frame *start,
                              const struct trace_walk *w)
{
  struct trace_guess *g = guess_of(tr, start);
  uint32_t id = gcx__depot_put(w->pcs, w->n);
  uint16_t place;

  if (id != 0) {
    place = shape_intern(tr, w);
    slot_add_shaped(tr, place, start, id);
    if (g->shape != place) {
      guess_correct(tr, g, place);
    }
  }
  return id;
}

/* The id of a walk's return addresses, by the thread's own table: it is nearer
 * than the depot's. */
static uint32_t walk_find(struct gcx__trace *tr, const struct trace_walk *w)
{
  const struct trace_slot *slot =
      slot_find(tr, 0, w->n, w->pcs[0], w->hash, w->pcs + 1);
  uint32_t id;

  if (slot != NULL) {
    return slot->id;
  }
  id = gcx__depot_put(w->pcs, w->n);
  if (id != 0) {
    slot_add(tr, 0, w->hash, id);
  }
  return id;
}

/* --------------------------------------------------------------------- walk */

/* Record that the rule of this frame uses @fp, which came from @at. False: too
 * far away to be described. */
static inline bool walk_link(struct trace_walk *w, uint32_t at, uintptr_t value)
{
  if (value >= TRACE_NO_FP) {
    return false;
  }
  if (at == TRACE_NO_FP) {
    w->start_fp = (uint32_t)value;
  } else {
    w->link[w->links].at = at;
    w->link[w->links].value = (uint32_t)value;
    w->links++;
  }
  return true;
}

/*
 * Walk by rules alone. Every slot read lies in [sp, high): a CFA must be above
 * the frame's sp and not above high, and a rule never looks further below its
 * CFA than the frame (or, by fp, than fp, which is checked) reaches.
 */
TRACE_READS_STACK
__attribute__((always_inline)) static inline enum walk_end
walk_rules(const struct gcx__frame *start,
                                       uintptr_t high, size_t max,
                                       struct trace_walk *w, bool shaped)
{
  const struct gcx__rules *rules =
      __atomic_load_n(&gcx__rules_table, __ATOMIC_ACQUIRE);
  uintptr_t pc = start->pc, sp = start->sp, fp = start->fp;
  uint32_t fp_from = TRACE_NO_FP, n = 1;
  uint64_t hash = pc * HASH_FACTOR;

  if (rules == NULL) {
    return WALK_UNKNOWN;
  }
  w->links = 0;
  w->start_fp = TRACE_NO_FP;
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
        return WALK_UNTRUSTED;
      }
      cfa = fp + GCX_RULE_CFA(word) * 8;
    } else {
      w->n = n;
      w->hash = hash_end(hash, n, 0, 0);
      return kind == GCX_RULE_END         ? WALK_DONE
             : kind == GCX_RULE_UNTRUSTED ? WALK_UNTRUSTED
                                          : WALK_UNKNOWN;
    }
    if (GCX_UNLIKELY(cfa - sp - 1 >= high - sp || cfa % 8 != 0)) {
      return WALK_UNTRUSTED;
    }
    fp_slot = cfa - GCX_RULE_FP_AT(word) * 8;
    fp_read = *(const uintptr_t *)fp_slot;
    if (GCX_RULE_FP_AT(word) != GCX_RULE_FP_KEPT) {
      fp = fp_read;
      fp_from = (uint32_t)((fp_slot - start->sp) / 8);
    }
    pc = ((const uintptr_t *)cfa)[-1];
    hash = (hash ^ pc) * HASH_FACTOR;
    hash ^= hash >> 32;
    if (shaped) {
      w->at[n - 1] = (uint32_t)((cfa - start->sp) / 8 - 1);
    }
    w->pcs[n++] = pc;
    sp = cfa;
  }
  w->n = n;
  w->hash = hash_end(hash, n, 0, 0);
  return WALK_DONE;
}

static GCX_NOINLINE enum walk_end walk_shaped(const struct gcx__frame *start,
                                              uintptr_t high, size_t max,
                                              struct trace_walk *w)
{
  return walk_rules(start, high, max, w, true);
}

static GCX_NOINLINE enum walk_end walk_plain(const struct gcx__frame *start,
                                             uintptr_t high, size_t max,
                                             struct trace_walk *w)
{
  return walk_rules(start, high, max, w, false);
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
  if (gcx__rules_learn(tr->steps, n, generation, t->stack_low,
                       t->stack_high) == 0) {
    tr->futile++;
  }
  return n;
}

/* ------------------------------------------------------------------- public */

static size_t depth_limit(void)
{
  return GCX_MIN((size_t)gcx__opt.stack_depth, (size_t)TRACE_MAX);
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

/* Not a hit: walk, or unwind. */
static GCX_NOINLINE uint32_t site_slow(struct gcx__thread *t,
                                       const struct gcx__frame *start)
{
  struct gcx__trace *tr = t->trace != NULL ? t->trace : trace_make(t);
  size_t max = depth_limit();
  enum walk_end end = WALK_UNTRUSTED;
  struct trace_guess *g;

  if (tr == NULL) {
    uintptr_t pcs[TRACE_MAX];

    return gcx__depot_put(pcs, unwind_guarded(t, start, pcs, max));
  }
  trace_renew(tr);
  g = guess_of(tr, start);
  if (stack_has(t, start, 0)) {
    bool resting = g->rest > 0;

    g->rest -= resting;
    end = resting ? walk_plain(start, t->stack_high, max, &tr->walk)
                  : walk_shaped(start, t->stack_high, max, &tr->walk);
    if (end == WALK_DONE) {
      tr->stats.walks++;
      return resting ? walk_find(tr, &tr->walk)
                     : walk_remember(tr, start, &tr->walk);
    }
  }
  return site_unwind(t, tr, start, end == WALK_UNKNOWN);
}

#ifdef GCX_DEEP_CHECKS
/* Each 64th answer is compared with libunwind's. */
static void site_verify(struct gcx__thread *t, const struct gcx__frame *start,
                        uint32_t id)
{
  struct gcx__trace *tr = t->trace;
  const uintptr_t *pcs;
  uintptr_t truth[TRACE_MAX];
  uint32_t epoch;
  size_t n = gcx__depot_get(id, &pcs, &epoch);

  if (n == 0 || tr == NULL || (tr->stats.hits + tr->stats.walks) % 64 != 0) {
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

uint32_t gcx__trace_site(struct gcx__thread *t, const struct gcx__frame *start)
{
  struct gcx__trace *tr = t->trace;
  uint32_t id = 0;

  if (gcx__opt.unwind == GCX_UNWIND_NONE || t->no_capture != 0 ||
      gcx__lock_any_held()) {
    return 0;
  }
  if (GCX_LIKELY(tr != NULL) && tr->depth == gcx__opt.stack_depth &&
      tr->generation ==
          __atomic_load_n(&gcx__rules_generation, __ATOMIC_ACQUIRE)) {
    id = guess_try(tr, t, start);
    tr->stats.hits += id != 0;
  }
  if (GCX_UNLIKELY(id == 0)) {
    id = site_slow(t, start);
  }
  site_verify(t, start, id);
  return id;
}

size_t gcx__trace_pcs(struct gcx__thread *t, const struct gcx__frame *start,
                      uintptr_t *ret_pcs, size_t max)
{
  if (gcx__opt.unwind == GCX_UNWIND_NONE || t->no_capture != 0 ||
      gcx__lock_any_held() || max == 0) {
    return 0;
  }
  max = GCX_MIN(max, (size_t)TRACE_MAX);
  if (t->trace != NULL && stack_has(t, start, 0) &&
      walk_plain(start, t->stack_high, max, &t->trace->walk) == WALK_DONE) {
    memcpy(ret_pcs, t->trace->walk.pcs, t->trace->walk.n * sizeof(*ret_pcs));
    return t->trace->walk.n;
  }
  return unwind_guarded(t, start, ret_pcs, max);
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

bool gcx__trace_refresh(void)
{
  uint32_t before = gcx__modules_epoch();

  if (!gcx__modules_refresh()) {
    return false;
  }
  gcx__modules_unloaded(before, retire_module, NULL);
  gcx__trace_flush();
  return true;
}

static void stats_add(struct gcx__trace_stats *sum,
                      const struct gcx__trace_stats *s)
{
  __atomic_add_fetch(&sum->hits, s->hits, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->walks, s->walks, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->unwinds, s->unwinds, __ATOMIC_RELAXED);
  __atomic_add_fetch(&sum->disagreed, s->disagreed, __ATOMIC_RELAXED);
}

void gcx__trace_thread_leave(struct gcx__thread *t)
{
  struct gcx__trace *tr = t->trace;

  t->trace = NULL;
  if (tr != NULL) {
    stats_add(&trace_left, &tr->stats);
    gcx__vm_unmap(tr, sizeof(*tr));
  }
}

void gcx__trace_stats(struct gcx__trace_stats *ret_stats)
{
  struct gcx__trace_stats sum = { .rules = gcx__rules_learnt() };

  stats_add(&sum, &trace_left);
  gcx__thread_lock();
  for (struct gcx__thread *t = gcx__thread_first(); t != NULL;
       t = gcx__thread_next(t)) {
    if (t->trace != NULL) {
      stats_add(&sum, &t->trace->stats);
    }
  }
  gcx__thread_unlock();
  *ret_stats = sum;
}
