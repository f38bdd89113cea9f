/* SPDX-License-Identifier: MIT */
/*
 * termination.c - the termination phase
 *
 * Runs in bdwgc's GC_EVENT_MARK_END: marking is complete, the world is stopped,
 * all markers are idle, the collector's lock is held. Nothing here allocates,
 * locks, prints, or calls what is bound lazily.
 *
 *   0  cells on thread caches; strong toggle references; owned objects of marked
 *      owners; what waits for the finalizer thread: marked
 *   1  ephemeron closure: from here on, again after each step that marks
 *   2  short weak references are cleared
 *      every record is looked at once: what is unmarked is listed (judge.c)
 *   3  finalizables of that are queued and kept, with all that they reach
 *   4  values of dead keys are taken aside
 *   5  what is lost is kept, with all that it reaches
 *   6  long weak references are cleared
 *      what is still unmarked is dropped
 *
 * 1, 2, 4 and 6 are called back (struct gcx__termination_steps).
 *
 * Every record found unmarked is, in this same stop, either kept (marked) or
 * unpublished: a record that pointed to a reused cell would crash the next
 * collection.
 *
 * A lost object is kept here, but its verdict is final only at
 * GC_EVENT_RECLAIM_END: what bdwgc has queued for finalizers that gcx knows
 * nothing of, and what they reach, is withdrawn then (foreign.c) and looked at
 * again by the next collection.
 *
 * No verdict is given by a stop in which something was missing: gcx's own roots
 * (a program may have replaced the hook), or memory. Then everything is kept.
 * Where a kind of roots can't be seen at all, a finding is never fatal, and nothing
 * is disposed or finalized.
 */
#include "termination.h"

#include "cells.h"
#include "foreign.h"
#include "freed.h"
#include "judge.h"
#include "loaded.h"
#include "object.h"
#include "owner.h"
#include "platform.h"
#include "roots.h"
#include "segments.h"
#include "vm.h"
#include "window.h"

#define STEPS_MAX 8
#define TOGGLES_MAX 65536

static const struct gcx__termination_steps *termination_steps[STEPS_MAX];
static size_t termination_step_count;
static gcx__marker_edges_fn termination_edges[STEPS_MAX + 1];
static size_t termination_edge_count; /* in this stop */

static struct gcx__marker termination_marker GCX_NOT_A_ROOT;
static bool termination_can_mark;
static bool termination_can_list;
static size_t termination_closed;  /* marked when the closure was complete */
static void **termination_toggles; /* strong ones of this collection */
static size_t termination_toggle_count;
static struct gcx__batch *termination_spare; /* prepared before the stop */
static struct gcx__batch *termination_found; /* of this collection */
static uint32_t termination_missed;
static uint32_t termination_put_off;
static const char *termination_why;
static struct gcx__termination_stats termination_stats;

void gcx__termination_add(const struct gcx__termination_steps *steps)
{
  GCX_ASSERT(termination_step_count < STEPS_MAX);
  termination_steps[termination_step_count] = steps;
  __atomic_store_n(&termination_step_count, termination_step_count + 1,
                   __ATOMIC_RELEASE);
}

/* ---- before the stop */

static void termination_before_stop(void)
{
  termination_can_mark =
      gcx__marker_reserve(&termination_marker, gcx__bdw_heap_bytes());
  termination_can_list = gcx__judge_reserve();
  if (termination_spare == NULL)
    termination_spare = gcx__batch_new();
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

static void termination_follow_edges(struct gcx__marker *m, void *base)
{
  for (size_t i = 0; i < termination_edge_count; i++)
    termination_edges[i](m, base);
}

/* Edges of this stop that do not lie in the objects themselves. */
static gcx__marker_edges_fn termination_begin_edges(void)
{
  termination_edge_count = 0;
  if (gcx__owner_any())
    termination_edges[termination_edge_count++] = gcx__owner_edges;
  for (size_t i = 0; i < termination_step_count; i++) {
    const struct gcx__termination_steps *s = termination_steps[i];

    if (s->edges != NULL && s->has_edges != NULL && s->has_edges())
      termination_edges[termination_edge_count++] = s->edges;
  }
  if (termination_edge_count <= 1)
    return termination_edge_count == 0 ? NULL : termination_edges[0];
  return termination_follow_edges;
}

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
    return "not all roots could be scanned: no memory, or /proc can't be read";
  if (termination_toggle_count > TOGGLES_MAX ||
      (termination_toggle_count > 0 && termination_toggles == NULL))
    return "too many strong toggle references";
  if (termination_spare == NULL || !termination_can_mark ||
      !termination_can_list || !gcx__judge_has_room())
    return "no memory for what was found";
  return NULL;
}

/* ---- the steps of others */

/* @first: also if nothing was marked, since bdwgc has marked. */
static void termination_close(bool first)
{
  struct gcx__marker *m = &termination_marker;

  gcx__marker_drain(m);
  if (!first && m->marked == termination_closed)
    return;
  for (size_t i = 0; i < termination_step_count; i++)
    if (termination_steps[i]->close != NULL) {
      termination_steps[i]->close(m);
      gcx__marker_drain(m);
    }
  termination_closed = m->marked;
}

enum termination_step {
  STEP_BEGIN,
  STEP_SHORT,
  STEP_DEAD,
  STEP_LONG,
  STEP_KEEP,
  STEP_FORGET,
  STEP_UNSEEN,
  STEP_AFTER
};

static void termination_step_of(const struct gcx__termination_steps *s,
                                enum termination_step which)
{
  struct gcx__marker *m = &termination_marker;

  if (which == STEP_BEGIN && s->begin != NULL)
    s->begin();
  else if (which == STEP_SHORT && s->clear_short != NULL)
    s->clear_short();
  else if (which == STEP_DEAD && s->dead_values != NULL)
    s->dead_values(m);
  else if (which == STEP_LONG && s->clear_long != NULL)
    s->clear_long();
  else if (which == STEP_KEEP && s->keep != NULL)
    s->keep(m);
  else if (which == STEP_FORGET && s->forget != NULL)
    s->forget();
  else if (which == STEP_UNSEEN && s->unseen != NULL)
    s->unseen();
  else if (which == STEP_AFTER && s->after != NULL)
    s->after();
}

static void termination_step(enum termination_step which)
{
  for (size_t i = 0; i < termination_step_count; i++)
    termination_step_of(termination_steps[i], which);
}

/* ---- the hook */

/* Everything that was found becomes a batch. */
static void termination_hand_over(uint32_t stop)
{
  struct gcx__batch *b = termination_spare;

  if (!gcx__judge_hand_over(&termination_marker, b))
    return;
  termination_spare = NULL;
  termination_found = b;
  b->stop = stop;
  b->certain = gcx__roots_obstacle() == NULL;
}

static void termination_with_verdict(uint32_t stop)
{
  struct gcx__marker *m = &termination_marker;

  gcx__judge_keep_waiting(m);
  if (gcx__roots_are_hidden())
    gcx__judge_keep_undisposed(m);
  termination_close(true);
  termination_step(STEP_SHORT);
  gcx__judge_list(m);
  gcx__judge_finalizables(m);
  termination_close(false);
  termination_step(STEP_DEAD);
  termination_close(false);
  gcx__judge_corpses(m);
  termination_close(false);
  gcx__judge_lost(m);
  termination_close(false);
  termination_step(STEP_LONG);
  gcx__judge_drop_rest(m);
  termination_hand_over(stop);
}

static void termination_no_verdict(const char *why)
{
  termination_why = why;
  termination_missed++;
}

/* What weak things know was a root while nobody looked, and is whole; if not, the
 * memory of keys, values and targets may have been given to others. */
static void termination_weak_after_unseen(void)
{
  struct gcx__marker *m = &termination_marker;

  if (!gcx__bdw_all_pushed()) {
    termination_step(STEP_FORGET);
    return;
  }
  gcx__marker_begin(m, termination_begin_edges());
  termination_mark_known(m);
  termination_step(STEP_KEEP);
  gcx__marker_drain(m);
}

/* Collections went unseen: objects were freed and perhaps used again behind the
 * records. Only a record whose object is alive and points back is believed. */
static void termination_after_unseen(void)
{
  uint32_t limit = gcx__record_limit;

  termination_weak_after_unseen();
  for (uint32_t n = 1; n < limit; n++) {
    void *p = gcx__record_object(n);

    if (p != NULL && (gcx__bdw_base(p) != p || !gcx__bdw_is_marked(p) ||
                      gcx__object_number(p) != n))
      gcx__judge_drop(n);
  }
  gcx__bdw_resync();
  termination_no_verdict("there were collections that gcx did not see");
}

static void termination_keep(uint32_t number)
{
  gcx__marker_add(&termination_marker, gcx__record_object(number));
}

static void termination_keep_everything(void)
{
  gcx__judge_each_unmarked(termination_keep);
  termination_step(STEP_KEEP);
  gcx__marker_drain(&termination_marker);
}

/* What was loaded since bdwgc made its list is not scanned in this stop. The next
 * one sees it: nothing has been missed then. */
static void termination_judge(const char *fault, uint32_t stop)
{
  bool put_off = fault == NULL && gcx__loaded_grew();

  if (fault != NULL)
    termination_no_verdict(fault);
  else if (put_off)
    __atomic_fetch_add(&termination_put_off, 1, __ATOMIC_RELEASE);
  if (fault != NULL || put_off)
    termination_keep_everything();
  else
    termination_with_verdict(stop);
}

/* Cells that lie on a cache, and what is held for the program elsewhere. */
static void termination_mark_own(void)
{
  gcx__cells_mark_all();
  gcx__freed_mark_all();
  for (size_t i = 0; i < termination_step_count; i++)
    if (termination_steps[i]->known != NULL)
      termination_steps[i]->known();
}

static void termination_mark_end(bool roots_pushed)
{
  uint64_t begin = gcx__now_ns();
  uint32_t stop = gcx__window_stop();
  const char *fault = termination_fault(roots_pushed);

  gcx__segments_release();
  termination_mark_own();
  termination_step(STEP_BEGIN);
  if (gcx__bdw_collections() != gcx__bdw_collections_seen()) {
    termination_after_unseen();
  } else {
    gcx__marker_begin(&termination_marker, termination_begin_edges());
    termination_mark_known(&termination_marker);
    termination_judge(fault, stop);
  }
  termination_toggle_count = 0;
  termination_stats.unmarked = gcx__judge_unmarked();
  termination_stats.kept = termination_marker.marked;
  termination_stats.ns = gcx__now_ns() - begin;
}

/* ---- after the stop */

static void termination_reclaim_end(void)
{
  struct gcx__batch *b = termination_found;

  termination_step(STEP_AFTER);
  if (b == NULL)
    return;
  termination_found = NULL;
  if (gcx__foreign_any()) {
    gcx__foreign_trace();
    gcx__batch_withdraw(b, gcx__foreign_reaches);
  }
  gcx__batch_queue(b);
}

/* A collection whose end will not be seen: what live objects need all the same.
 * Cells on thread caches would be given out twice. */
static void termination_add_weak(void)
{
  termination_step(STEP_UNSEEN);
}

static bool termination_push_unseen(void)
{
  termination_mark_own();
  return gcx__roots_push_unseen(termination_add_weak);
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

void gcx__termination_init(void)
{
  termination_toggles = gcx__vm_map(TOGGLES_MAX * sizeof *termination_toggles);
  gcx__foreign_init();
}

void gcx__termination_dispose_later(struct gcx__marker *m, void *object)
{
  gcx__judge_dispose_later(m, object);
}

bool gcx__termination_will_be_lost(const void *object)
{
  return gcx__judge_will_be_lost(object);
}

uint32_t gcx__termination_without_verdict(void)
{
  return __atomic_load_n(&termination_missed, __ATOMIC_ACQUIRE);
}

uint32_t gcx__termination_put_offs(void)
{
  return __atomic_load_n(&termination_put_off, __ATOMIC_ACQUIRE);
}

const char *gcx__termination_obstacle(void)
{
  return termination_why;
}

uint32_t gcx__termination_canaries(void)
{
  return gcx__judge_canaries();
}

void gcx__termination_after_fork(void)
{
  gcx__batch_after_fork();
  termination_found = NULL;
}

void gcx__termination_adopt(void)
{
  gcx__judge_adopt();
}

/* An eighth of the records is as much as a program leaves behind that frees what it
 * allocates. */
bool gcx__termination_was_futile(void)
{
  return termination_stats.unmarked <
         __atomic_load_n(&gcx__record_limit, __ATOMIC_RELAXED) / 8;
}

void gcx__termination_last(struct gcx__termination_stats *ret_stats)
{
  *ret_stats = termination_stats;
}
