/* SPDX-License-Identifier: MIT */
/*
 * termination.c - the termination phase
 *
 * Runs in bdwgc's GC_EVENT_MARK_END: marking is complete, the world is stopped,
 * all markers are idle, the collector's lock is held. Nothing here allocates,
 * locks, prints, or calls what is bound lazily.
 *
 *   0  cells on thread caches are marked; strong toggle references, owned
 *      objects of marked owners, and what they reach
 *   1  ephemeron closure                              (steps of weak things)
 *   2  short weak references are cleared              (steps of weak things)
 *   3  finalizables are queued and kept               (steps of weak things)
 *   4  values of dead keys are taken aside            (steps of weak things)
 *   5  every record is looked at once: what is unmarked is listed; of that what
 *      must stay is kept, with all that it reaches; the rest is dropped
 *   6  long weak references are cleared               (steps of weak things)
 *
 * Every record found unmarked is, in this same stop, either kept (marked) or
 * unpublished: a record that pointed to a reused cell would crash the next
 * collection.
 *
 * Listing and keeping are two passes, since keeping marks: an object that only a
 * lost one reaches is itself lost, and would be overlooked.
 *
 * A lost object is kept here, but its verdict is final only at
 * GC_EVENT_RECLAIM_END: what bdwgc has queued for finalizers that gcx knows
 * nothing of, and what they reach, is withdrawn then (foreign.c) and looked at
 * again by the next collection.
 *
 * No verdict is given by a stop in which something was missing: gcx's own roots
 * (a program may have replaced the hook), or memory. Then everything is kept.
 */
#include "termination.h"

#include <string.h>

#include "aux.h"
#include "cells.h"
#include "foreign.h"
#include "object.h"
#include "options.h"
#include "owner.h"
#include "platform.h"
#include "record.h"
#include "roots.h"
#include "vm.h"
#include "window.h"

#define STEPS_MAX 8
#define TOGGLES_MAX 65536

/* Record numbers in vm memory that is reserved before the stop. */
struct termination_numbers {
  uint32_t *at;
  size_t count;
  size_t capacity;
};

static const struct gcx__termination_steps *termination_steps[STEPS_MAX];
static size_t termination_step_count;

static struct gcx__marker termination_marker GCX_NOT_A_ROOT;
static bool termination_can_mark;
static bool termination_can_list;
static void **termination_toggles; /* strong ones of this collection */
static size_t termination_toggle_count;
static struct termination_numbers termination_unmarked;
static size_t termination_corpses; /* at the end of that array */
static struct termination_numbers termination_lost; /* handed over in a batch */
static size_t termination_late;          /* at the end of termination_lost */
static size_t termination_garbage_begin; /* in the marker's queue */
static size_t termination_garbage_end;
static struct gcx__batch *termination_spare; /* prepared before the stop */
static struct gcx__batch *termination_found; /* of this collection */
static struct gcx__batch *termination_queue; /* latest first */
static struct gcx__batch *termination_unused;
static uint32_t termination_watermark;
static uint32_t termination_missed;
static const char *termination_why;
static uint32_t termination_dead_canaries;
static struct gcx__termination_stats termination_stats;

uint32_t gcx__termination_queued;

void gcx__termination_add(const struct gcx__termination_steps *steps)
{
  GCX_ASSERT(termination_step_count < STEPS_MAX);
  termination_steps[termination_step_count++] = steps;
}

/* ---- numbers */

/* Room for every record there is, and those made until the world has stopped. */
static bool termination_reserve(struct termination_numbers *l)
{
  size_t capacity = (size_t)gcx__record_limit + (1u << 20);

  l->count = 0;
  if (l->capacity >= gcx__record_limit + (1u << 19))
    return true;
  if (l->at != NULL)
    gcx__vm_unmap(l->at, l->capacity * sizeof *l->at);
  l->at = gcx__vm_map(capacity * sizeof *l->at);
  l->capacity = l->at != NULL ? capacity : 0;
  return l->at != NULL;
}

/* ---- before the stop */

static struct gcx__batch *termination_new_batch(void)
{
  struct gcx__batch *b = termination_unused;

  if (b != NULL) {
    termination_unused = b->next;
    memset(b, 0, sizeof *b);
    return b;
  }
  return gcx__vm_alloc(sizeof *b);
}

static void termination_before_stop(void)
{
  termination_can_mark =
      gcx__marker_reserve(&termination_marker, gcx__bdw_heap_bytes());
  termination_can_list = termination_reserve(&termination_unmarked) &&
                         termination_reserve(&termination_lost);
  if (termination_spare == NULL)
    termination_spare = termination_new_batch();
  gcx__foreign_begin();
  gcx__roots_before_stop();
  /* bdwgc has just visited every block: their addresses, which are those of
   * their first objects, lie about in the dead part of this stack, where the
   * frames that push it will come to lie. */
  gcx__bdw_clear_stack();
}

static void termination_toggle_strong(void *object)
{
  if (termination_toggles != NULL && termination_toggle_count < TOGGLES_MAX)
    termination_toggles[termination_toggle_count] = object;
  termination_toggle_count++;
}

/* ---- step 0 */

static void termination_mark_known(struct gcx__marker *m)
{
  size_t i;

  for (i = 0; i < GCX_MIN(termination_toggle_count, (size_t)TOGGLES_MAX); i++)
    gcx__marker_add(m, termination_toggles[i]);
  gcx__marker_drain(m);
  gcx__owner_mark(m);
}

/* Why this stop can't give a verdict; NULL: it can. */
static const char *termination_fault(bool roots_pushed)
{
  if (!roots_pushed)
    return "gcx's roots were not pushed: the program replaced a hook of the "
           "collector";
  if (!gcx__roots_complete())
    return "not all roots could be scanned";
  if (termination_toggle_count > TOGGLES_MAX ||
      (termination_toggle_count > 0 && termination_toggles == NULL))
    return "too many strong toggle references";
  if (termination_spare == NULL || !termination_can_list ||
      termination_unmarked.capacity < gcx__record_limit)
    return "no memory for what was found";
  return NULL;
}

/* ---- step 5 */

/* Calls @fn for every record whose object is unmarked at that moment. Before the
 * first object there is no chunk. */
static void termination_each_unmarked(void (*fn)(uint32_t number))
{
  uint32_t limit = gcx__record_limit > 1 ? gcx__record_limit : 0;

  for (uint32_t base = 0; base < limit; base += GCX__RECORD_CHUNK) {
    const uintptr_t *hot = gcx__record_chunk_of(base)->hot;
    uint32_t n = GCX_MIN(limit - base, GCX__RECORD_CHUNK);

    for (uint32_t i = 0; i < n; i++)
      if (hot[i] != 0 && !gcx__bdw_is_marked(GCX_REVEAL(hot[i])))
        fn(base + i);
  }
}

static bool termination_is_owed(uint32_t number, uint32_t state)
{
  const uint32_t exempt = GCX_FLAG_OPTIONAL | GCX_FLAG_SUPPRESSED |
                          GCX_FLAG_CANARY | GCX_FLAG_FALSE;

  return (state & GCX_STATE_MASK) == GCX_STATE_LIVE && (state & exempt) == 0 &&
         number >= termination_watermark && gcx__opt.leak != GCX_LEAK_OFF;
}

/* Is it a corpse that stays, or an object whose function is running? */
static bool termination_is_kept(uint32_t number, uint32_t state)
{
  switch (state & GCX_STATE_MASK) {
  case GCX_STATE_LOST:
  case GCX_STATE_REPORTED:
  case GCX_STATE_DISPOSING:
    return number >= termination_watermark;
  default:
    return false;
  }
}

/* An unmarked object is newly lost, or a corpse to be kept (those are listed from
 * the end of the array), or goes unless something that is kept reaches it. */
static void termination_list(uint32_t number)
{
  struct termination_numbers *list = &termination_unmarked;
  struct termination_numbers *lost = &termination_lost;
  struct gcx__record *r = gcx__record_at(number);

  if (termination_is_owed(number, r->state)) {
    r->state = (r->state & ~GCX_STATE_MASK) | GCX_STATE_LOST;
    lost->at[lost->count++] = number;
  } else if (termination_is_kept(number, r->state)) {
    list->at[list->capacity - ++termination_corpses] = number;
  } else {
    list->at[list->count++] = number;
  }
}

/* What is found in a chunk lies behind what is listed already; listing catches up
 * with it and overwrites it. */
static void termination_list_unmarked(void)
{
  struct termination_numbers *list = &termination_unmarked;
  uint32_t limit = gcx__record_limit > 1 ? gcx__record_limit : 0;

  termination_corpses = termination_late = 0;
  for (uint32_t base = 0; base < limit; base += GCX__RECORD_CHUNK) {
    const uint32_t *found = list->at + list->count;
    size_t n = gcx__bdw_unmarked(gcx__record_chunk_of(base)->hot,
                                 GCX_MIN(limit - base, GCX__RECORD_CHUNK), base,
                                 list->at + list->count);

    for (size_t i = 0; i < n; i++)
      termination_list(found[i]);
  }
}

/* Older corpses, and objects whose functions are running. */
static void termination_keep_corpses(void)
{
  const struct termination_numbers *list = &termination_unmarked;
  const uint32_t *end = list->at + list->capacity;

  for (const uint32_t *n = end - termination_corpses; n < end; n++)
    gcx__marker_add(&termination_marker, gcx__record_object(*n));
  gcx__marker_drain(&termination_marker);
}

/* Of the newly lost those that a corpse leads to, marked by now, go to the end:
 * they belong to what was found earlier. Between the rest and the corpses there
 * is room for them in the array of the unmarked. */
static void termination_sort_lost(void)
{
  struct termination_numbers *lost = &termination_lost;
  uint32_t *late = termination_unmarked.at + termination_unmarked.count;
  size_t fresh = 0;

  termination_late = 0;
  for (size_t i = 0; i < lost->count; i++)
    if (gcx__bdw_is_marked(gcx__record_object(lost->at[i])))
      late[termination_late++] = lost->at[i];
    else
      lost->at[fresh++] = lost->at[i];
  memcpy(lost->at + fresh, late, termination_late * sizeof *late);
}

/* What they lead to is the next part of the marker's queue. */
static void termination_keep_lost(void)
{
  struct gcx__marker *m = &termination_marker;
  const struct termination_numbers *lost = &termination_lost;

  termination_garbage_begin = m->marked;
  for (size_t i = 0; i < lost->count - termination_late; i++)
    gcx__marker_add(m, gcx__record_object(lost->at[i]));
  gcx__marker_drain(m);
  termination_garbage_end = m->marked;
}

/* Everything about the newly lost becomes a batch. */
static void termination_hand_over(uint32_t stop)
{
  struct termination_numbers *lost = &termination_lost;
  struct gcx__batch *b = termination_spare;

  if (lost->count == 0)
    return;
  termination_spare = NULL;
  termination_found = b;
  b->numbers = lost->at;
  b->count = lost->count;
  b->late = termination_late;
  b->capacity = lost->capacity;
  *lost = (struct termination_numbers){ NULL, 0, 0 };
  b->stop = stop;
  b->certain = gcx__roots_obstacle() == NULL;
  b->garbage_begin = termination_garbage_begin;
  b->garbage_count = termination_garbage_end - termination_garbage_begin;
  b->garbage = gcx__marker_hand_over(&termination_marker, &b->garbage_capacity);
}

static inline void termination_drop(uint32_t number)
{
  uint32_t state = gcx__record_at(number)->state;

  if ((state & GCX_FLAG_CANARY) != 0)
    termination_dead_canaries++;
  if ((state & GCX_FLAG_AUX) != 0)
    gcx__aux_release_stopped(number);
  gcx__record_unpublish(number);
  /* A number of the parent's is never given out again in the child. */
  if (number >= termination_watermark)
    gcx__record_give_stopped(number);
}

/* What is still unmarked goes; what a kept object reaches stays. If nothing was
 * @kept, all of it is unmarked. From the end: free numbers are given out in
 * ascending order. */
static void termination_drop_rest(bool kept)
{
  const struct termination_numbers *list = &termination_unmarked;

  for (size_t i = list->count; i-- > 0;)
    if (!kept || !gcx__bdw_is_marked(gcx__record_object(list->at[i])))
      termination_drop(list->at[i]);
}

static void termination_judge(uint32_t stop)
{
  size_t marked = termination_marker.marked;

  termination_list_unmarked();
  termination_stats.unmarked =
      termination_unmarked.count + termination_lost.count + termination_corpses;
  termination_keep_corpses();
  if (termination_corpses > 0)
    termination_sort_lost();
  termination_keep_lost();
  termination_drop_rest(termination_marker.marked != marked);
  termination_hand_over(stop);
}

static void termination_keep(uint32_t number)
{
  gcx__marker_add(&termination_marker, gcx__record_object(number));
}

/* ---- the hook */

enum termination_step {
  STEP_BEGIN,
  STEP_CLOSE,
  STEP_SHORT,
  STEP_FINAL,
  STEP_DEAD,
  STEP_LONG,
  STEP_KEEP,
  STEP_FORGET
};

static void termination_step_of(const struct gcx__termination_steps *s,
                                enum termination_step which)
{
  struct gcx__marker *m = &termination_marker;

  if (which == STEP_BEGIN && s->begin != NULL)
    s->begin();
  else if (which == STEP_CLOSE && s->close != NULL)
    s->close(m);
  else if (which == STEP_SHORT && s->clear_short != NULL)
    s->clear_short();
  else if (which == STEP_FINAL && s->finalizables != NULL)
    s->finalizables(m);
  else if (which == STEP_DEAD && s->dead_values != NULL)
    s->dead_values(m);
  else if (which == STEP_LONG && s->clear_long != NULL)
    s->clear_long();
  else if (which == STEP_KEEP && s->keep != NULL)
    s->keep(m);
  else if (which == STEP_FORGET && s->forget != NULL)
    s->forget();
}

static void termination_step(enum termination_step which)
{
  for (size_t i = 0; i < termination_step_count; i++)
    termination_step_of(termination_steps[i], which);
}

static bool termination_step_has_edges(const struct gcx__termination_steps *s)
{
  return s->edges != NULL && s->has_edges != NULL && s->has_edges();
}

static void termination_edges(struct gcx__marker *m, void *base)
{
  if (gcx__owner_any())
    gcx__owner_edges(m, base);
  for (size_t i = 0; i < termination_step_count; i++)
    if (termination_step_has_edges(termination_steps[i]))
      termination_steps[i]->edges(m, base);
}

/* What finds the edges of this stop; NULL: there are none. */
static gcx__marker_edges_fn termination_edges_fn(void)
{
  for (size_t i = 0; i < termination_step_count; i++)
    if (termination_step_has_edges(termination_steps[i]))
      return termination_edges;
  return gcx__owner_any() ? gcx__owner_edges : NULL;
}

static void termination_with_verdict(uint32_t stop)
{
  termination_step(STEP_CLOSE);
  termination_step(STEP_SHORT);
  termination_step(STEP_FINAL);
  termination_step(STEP_DEAD);
  termination_judge(stop);
  termination_step(STEP_LONG);
}

static void termination_no_verdict(const char *why)
{
  termination_why = why;
  termination_missed++;
}

/* Collections went unseen: objects were freed and perhaps used again behind the
 * records. Only a record whose object is alive and points back is believed. */
static void termination_after_unseen(void)
{
  uint32_t limit = gcx__record_limit;

  for (uint32_t n = 1; n < limit; n++) {
    void *p = gcx__record_object(n);

    if (p != NULL && (gcx__bdw_base(p) != p || !gcx__bdw_is_marked(p) ||
                      gcx__object_number(p) != n))
      termination_drop(n);
  }
  gcx__bdw_resync();
  termination_no_verdict("there were collections that gcx did not see");
}

static void termination_mark_end(bool roots_pushed)
{
  uint64_t begin = gcx__now_ns();
  uint32_t stop = gcx__window_stop();
  const char *fault = termination_fault(roots_pushed);

  gcx__cells_mark_all();
  termination_step(STEP_BEGIN);
  if (gcx__bdw_collections() != gcx__bdw_collections_seen()) {
    termination_step(STEP_FORGET);
    termination_after_unseen();
  } else if (!termination_can_mark) {
    /* The records must go, the collector frees the objects. */
    termination_no_verdict("no memory for marking what is kept");
    termination_step(STEP_FORGET);
    termination_each_unmarked(termination_drop);
  } else {
    gcx__marker_begin(&termination_marker, termination_edges_fn());
    termination_mark_known(&termination_marker);
    if (fault == NULL) {
      termination_with_verdict(stop);
    } else {
      termination_no_verdict(fault);
      termination_each_unmarked(termination_keep);
      termination_step(STEP_KEEP);
      gcx__marker_drain(&termination_marker);
    }
  }
  termination_toggle_count = 0;
  termination_stats.kept = termination_marker.marked;
  termination_stats.ns = gcx__now_ns() - begin;
}

/* ---- after the stop */

/* What a foreign finalizer is about to get hold of was not lost. */
static void termination_withdraw(struct gcx__batch *b)
{
  size_t kept = 0, fresh_kept = 0, fresh = b->count - b->late;

  if (!gcx__foreign_any())
    return;
  gcx__foreign_trace();
  for (size_t i = 0; i < b->count; i++) {
    uint32_t n = b->numbers[i];
    uint32_t state = gcx__record_state(n);

    if ((state & GCX_STATE_MASK) == GCX_STATE_LOST &&
        gcx__foreign_reaches(gcx__record_object(n)))
      (void)gcx__record_change(n, state,
                               (state & ~GCX_STATE_MASK) | GCX_STATE_LIVE);
    else
      b->numbers[kept++] = n;
    if (i < fresh)
      fresh_kept = kept;
  }
  b->count = kept;
  b->late = kept - fresh_kept;
}

static void termination_reclaim_end(void)
{
  struct gcx__batch *b = termination_found;

  if (b != NULL) {
    termination_found = NULL;
    termination_withdraw(b);
    do
      b->next = __atomic_load_n(&termination_queue, __ATOMIC_ACQUIRE);
    while (!__atomic_compare_exchange_n(&termination_queue, &b->next, b, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    __atomic_fetch_add(&gcx__termination_queued, 1, __ATOMIC_ACQ_REL);
    gcx__futex_wake(&gcx__termination_queued);
  }
}

/* A collection whose end will not be seen: what live objects need all the same.
 * Cells on thread caches would be given out twice. */
static void termination_push_unseen(void)
{
  gcx__cells_mark_all();
  gcx__roots_push_unseen();
}

const struct gcx__bdw_hooks gcx__termination_hooks = {
  .before_stop = termination_before_stop,
  .push_roots = gcx__roots_push,
  .push_roots_unseen = termination_push_unseen,
  .thread_suspended = gcx__roots_note_suspended,
  .mark_end = termination_mark_end,
  .reclaim_end = termination_reclaim_end,
  .toggle_strong = termination_toggle_strong,
  .foreign_finalizer = gcx__foreign_add,
};

struct gcx__batch *gcx__termination_take(void)
{
  struct gcx__batch *b, *next, *oldest = NULL;

  b = __atomic_exchange_n(&termination_queue, NULL, __ATOMIC_ACQ_REL);
  for (; b != NULL; b = next) {
    next = b->next;
    b->next = oldest;
    oldest = b;
  }
  return oldest;
}

static void *termination_put_back(void *arg)
{
  struct gcx__batch *b = arg;

  b->next = termination_unused;
  termination_unused = b;
  return NULL;
}

void gcx__termination_give(struct gcx__batch *batch)
{
  if (batch->garbage != NULL)
    gcx__vm_unmap(batch->garbage,
                  batch->garbage_capacity * sizeof *batch->garbage);
  if (batch->numbers != NULL)
    gcx__vm_unmap(batch->numbers, batch->capacity * sizeof *batch->numbers);
  (void)gcx__bdw_with_lock(termination_put_back, batch);
}

void gcx__termination_init(void)
{
  termination_toggles = gcx__vm_map(TOGGLES_MAX * sizeof *termination_toggles);
  gcx__foreign_init();
}

uint32_t gcx__termination_without_verdict(void)
{
  return __atomic_load_n(&termination_missed, __ATOMIC_ACQUIRE);
}

const char *gcx__termination_obstacle(void)
{
  return termination_why;
}

uint32_t gcx__termination_canaries(void)
{
  return __atomic_load_n(&termination_dead_canaries, __ATOMIC_ACQUIRE);
}

void gcx__termination_after_fork(uint32_t watermark)
{
  termination_queue = NULL;
  termination_found = NULL;
  termination_watermark = watermark;
}

void gcx__termination_adopt(void)
{
  __atomic_store_n(&termination_watermark, 0, __ATOMIC_RELEASE);
}

void gcx__termination_last(struct gcx__termination_stats *ret_stats)
{
  *ret_stats = termination_stats;
}
