/* SPDX-License-Identifier: MIT */
/*
 * judge.c - every unmarked record: finalized, lost, kept or gone
 *
 * All stopped, but for what judge.h says. Records are looked at once, before
 * anything is kept, and put on one of four lists; keeping marks, and what is
 * marked by then is passed over:
 *
 *   finalizable  its finalizer runs under leak= and finalizers=
 *   candidate    its disposal is owed: lost, unless something that waits for a
 *                finalizer or a disposal reaches it
 *   corpse       stays: found before, or its function is running
 *   rest         goes, unless something that stays reaches it
 *
 * Listing and keeping are two passes, since keeping marks: an object that only a
 * lost one reaches is itself lost, and would be overlooked. Two arrays hold the
 * four lists, filled from both ends; a record is on one of them at most.
 *
 * Under leak=dispose a tree of owners ends in the order of its disposal: what will
 * be disposed by its owner is not finalized before, and an owner that goes without
 * being disposed stays until what it owned has been.
 */
#include "judge.h"

#include <string.h>

#include "aux.h"
#include "bdw.h"
#include "crew.h"
#include "object.h"
#include "options.h"
#include "owner.h"
#include "record.h"

static struct gcx__numbers judge_rest; /* corpses at the end */
static struct gcx__numbers judge_lost; /* candidates; finalizables at the end */
static struct gcx__numbers judge_due;  /* to be disposed later */
static struct gcx__numbers judge_found; /* of each chunk, at its first number */
static uint32_t judge_founds[GCX__RECORD_CHUNKS];
GCX_NOT_A_ROOT_FROM(judge_founds, 0);
static size_t judge_corpses;       /* at the end of judge_rest */
static size_t judge_finalizable;   /* at the end of judge_lost */
static size_t judge_late;          /* last ones of judge_lost */
static size_t judge_marked;        /* by the marker when it was listed */
static size_t judge_garbage_begin; /* in the marker's queue */
static size_t judge_garbage_end;
static size_t judge_listed;
static uint32_t judge_dead_canaries;
static uint32_t judge_stop; /* counts them */

bool gcx__judge_reserve(void)
{
  bool rest = gcx__numbers_reserve(&judge_rest);
  bool lost = gcx__numbers_reserve(&judge_lost);

  judge_stop++;
  (void)gcx__numbers_reserve(&judge_found); /* can do without */
  judge_corpses = judge_finalizable = judge_late = 0;
  judge_garbage_begin = judge_garbage_end = 0;
  return gcx__numbers_reserve(&judge_due) && rest && lost;
}

bool gcx__judge_has_room(void)
{
  return judge_rest.capacity >= gcx__record_limit &&
         judge_lost.capacity >= gcx__record_limit &&
         judge_due.capacity >= gcx__record_limit;
}

/* ---- what is to become of a record */

/* Is it still the program's, and not the parent's of a fork? */
static bool judge_is_live(uint32_t number, uint32_t state)
{
  return (state & GCX_STATE_MASK) == GCX_STATE_LIVE &&
         !gcx__record_is_inherited(number);
}

/* The decision table: finalizers run of what is optional, and of all where
 * nothing is reported. */
static bool judge_is_finalizable(uint32_t number, uint32_t state)
{
  const uint32_t exempt = GCX_FLAG_SUPPRESSED | GCX_FLAG_FINALIZED |
                          GCX_FLAG_PENDING | GCX_FLAG_DUE;

  return (state & GCX_FLAG_FINALIZER) != 0 && judge_is_live(number, state) &&
         (state & exempt) == 0 && gcx__opt.finalizers == GCX_FINALIZERS_ON &&
         ((state & GCX_FLAG_OPTIONAL) != 0 ||
          gcx__opt.leak == GCX_LEAK_DISPOSE || gcx__opt.leak == GCX_LEAK_OFF);
}

static bool judge_is_owed(uint32_t number, uint32_t state)
{
  const uint32_t exempt = GCX_FLAG_OPTIONAL | GCX_FLAG_SUPPRESSED |
                          GCX_FLAG_CANARY | GCX_FLAG_FALSE |
                          GCX_FLAG_FINALIZED | GCX_FLAG_PENDING | GCX_FLAG_DUE;

  return judge_is_live(number, state) && (state & exempt) == 0 &&
         gcx__opt.leak != GCX_LEAK_OFF;
}

/* Will it be disposed, as what has no finalizer? */
static bool judge_is_disposed(uint32_t number)
{
  uint32_t state = gcx__record_fate(number)->state;

  return judge_is_owed(number, state) && !judge_is_finalizable(number, state);
}

/* An owner is unmarked if what it owns is. If it will be disposed, it disposes
 * what it owns: a finalizer of that would run first, and, if it leads back, hold
 * the owner up. */
static bool judge_ends_with_owner(uint32_t number, uint32_t state)
{
  return (state & GCX_FLAG_AUX) != 0 && gcx__opt.leak == GCX_LEAK_DISPOSE &&
         gcx__owner_ends_it(number, judge_stop, judge_is_disposed);
}

/* Does it wait for the finalizer thread, to be finalized or disposed? */
static bool judge_is_waiting(uint32_t number, uint32_t state)
{
  if ((state & GCX_STATE_MASK) == GCX_STATE_LOST)
    return gcx__opt.leak == GCX_LEAK_DISPOSE &&
           !gcx__record_is_inherited(number);
  return judge_is_live(number, state) &&
         (state & (GCX_FLAG_PENDING | GCX_FLAG_DUE)) != 0;
}

/* Is it a corpse that stays, or an object whose function is running or will? */
static bool judge_is_kept(uint32_t number, uint32_t state)
{
  switch (state & GCX_STATE_MASK) {
  case GCX_STATE_LOST:
  case GCX_STATE_REPORTED:
  case GCX_STATE_DISPOSING:
    return !gcx__record_is_inherited(number);
  default:
    return judge_is_waiting(number, state);
  }
}

/* ---- listing */

/* Before the first object there is no chunk. */
static uint32_t judge_limit(void)
{
  return gcx__record_limit > 1 ? gcx__record_limit : 0;
}

void gcx__judge_each_unmarked(void (*fn)(uint32_t number))
{
  uint32_t limit = judge_limit();

  for (uint32_t base = 0; base < limit; base += GCX__RECORD_CHUNK) {
    const uintptr_t *hot = gcx__record_chunk_of(base)->hot;
    uint32_t n = GCX_MIN(limit - base, GCX__RECORD_CHUNK);

    for (uint32_t i = 0; i < n; i++)
      if (hot[i] != 0 && !gcx__bdw_is_marked(GCX_REVEAL(hot[i])))
        fn(base + i);
  }
}

static struct gcx__marker *judge_marker; /* of the functions that keep */

static void judge_keep_if_waiting(uint32_t number)
{
  if (judge_is_waiting(number, gcx__record_fate(number)->state))
    gcx__marker_add(judge_marker, gcx__record_object(number));
}

void gcx__judge_keep_waiting(struct gcx__marker *m)
{
  if (__atomic_load_n(&gcx__batch_outstanding, __ATOMIC_ACQUIRE) == 0)
    return;
  judge_marker = m;
  gcx__judge_each_unmarked(judge_keep_if_waiting);
  gcx__marker_drain(m);
}

static void judge_keep_if_would_end(uint32_t number)
{
  uint32_t state = gcx__record_fate(number)->state;

  if (judge_is_finalizable(number, state) ||
      (gcx__opt.leak == GCX_LEAK_DISPOSE && judge_is_owed(number, state)))
    gcx__marker_add(judge_marker, gcx__record_object(number));
}

void gcx__judge_keep_undisposed(struct gcx__marker *m)
{
  judge_marker = m;
  gcx__judge_each_unmarked(judge_keep_if_would_end);
  gcx__marker_drain(m);
}

/* False: it goes, unless something that stays reaches it. */
static bool judge_put_aside(uint32_t number, uint32_t state)
{
  if (judge_is_finalizable(number, state) &&
      !judge_ends_with_owner(number, state))
    judge_lost.at[judge_lost.capacity - ++judge_finalizable] = number;
  else if (judge_is_owed(number, state))
    judge_lost.at[judge_lost.count++] = number;
  else if (judge_is_kept(number, state))
    judge_rest.at[judge_rest.capacity - ++judge_corpses] = number;
  else
    return false;
  return true;
}

/* @found: numbers of the chunk @c. They may lie in judge_rest itself, behind what
 * is listed there, which catches up with them and overwrites them. */
static void judge_put_all(struct gcx__record_chunk *c, const uint32_t *found,
                          size_t n)
{
  uint32_t *rest = judge_rest.at + judge_rest.count;

  for (size_t i = 0; i < n; i++) {
    uint32_t number = found[i];
    uint32_t state = gcx__record_fate_in(c, number)->state;

    if (GCX_LIKELY((state & GCX_STATE_MASK) == GCX_STATE_DISPOSED) ||
        !judge_put_aside(number, state))
      *rest++ = number;
  }
  judge_rest.count = (size_t)(rest - judge_rest.at);
}

/* How many chunks it takes until it is worth waking somebody to help. */
#define JUDGE_SHARED 4

static void judge_look(size_t chunk)
{
  uint32_t base = (uint32_t)chunk << GCX__RECORD_CHUNK_BITS;

  judge_founds[chunk] = (uint32_t)gcx__bdw_unmarked(
      gcx__record_chunk_of(base)->hot,
      GCX_MIN(judge_limit() - base, GCX__RECORD_CHUNK), base,
      judge_found.at + base);
}

/* Finding them is most of it: a look at the mark of each object. */
static void judge_list_shared(size_t chunks)
{
  gcx__crew_run(judge_look, chunks);
  for (size_t i = 0; i < chunks; i++)
    judge_put_all(gcx__record_chunks[i],
                  judge_found.at + (i << GCX__RECORD_CHUNK_BITS),
                  judge_founds[i]);
}

static void judge_list_alone(size_t chunks)
{
  for (size_t i = 0; i < chunks; i++) {
    uint32_t base = (uint32_t)i << GCX__RECORD_CHUNK_BITS;
    struct gcx__record_chunk *c = gcx__record_chunks[i];
    uint32_t *found = judge_rest.at + judge_rest.count;

    judge_put_all(c, found,
                  gcx__bdw_unmarked(
                      c->hot, GCX_MIN(judge_limit() - base, GCX__RECORD_CHUNK),
                      base, found));
  }
}

void gcx__judge_list(const struct gcx__marker *m)
{
  size_t chunks =
      ((size_t)judge_limit() + GCX__RECORD_CHUNK - 1) >> GCX__RECORD_CHUNK_BITS;

  if (chunks >= JUDGE_SHARED && judge_found.capacity >= judge_limit())
    judge_list_shared(chunks);
  else
    judge_list_alone(chunks);
  judge_marked = m->marked;
  judge_listed =
      judge_rest.count + judge_lost.count + judge_corpses + judge_finalizable;
}

size_t gcx__judge_unmarked(void)
{
  return judge_listed;
}

/* ---- keeping */

static bool judge_is_marked(uint32_t number)
{
  return gcx__bdw_is_marked(gcx__record_object(number));
}

void gcx__judge_finalizables(struct gcx__marker *m)
{
  const uint32_t *end = judge_lost.at + judge_lost.capacity;

  for (const uint32_t *n = end - judge_finalizable; n < end; n++) {
    gcx__record_fate(*n)->state |= GCX_FLAG_PENDING;
    gcx__marker_add(m, gcx__record_object(*n));
  }
  gcx__marker_drain(m);
}

void gcx__judge_dispose_later(struct gcx__marker *m, void *object)
{
  uint32_t number = gcx__object_number(object);
  uint32_t state = number != 0 ? gcx__record_fate(number)->state : 0;

  gcx__marker_add(m, object);
  if (!judge_is_live(number, state) || (state & GCX_FLAG_DUE) != 0)
    return;
  gcx__record_fate(number)->state |= GCX_FLAG_DUE;
  judge_due.at[judge_due.count++] = number;
}

/* Candidates that something reaches after all; most often nothing was marked. */
static void judge_spare(const struct gcx__marker *m)
{
  size_t kept = 0;

  if (m->marked == judge_marked)
    return;
  for (size_t i = 0; i < judge_lost.count; i++)
    if (!judge_is_marked(judge_lost.at[i]))
      judge_lost.at[kept++] = judge_lost.at[i];
  judge_lost.count = kept;
}

/* Of the newly lost those that a corpse leads to, marked by now, go to the end:
 * they belong to what was found earlier. Between the rest and the corpses there
 * is room for them in the other array. */
static void judge_sort_lost(void)
{
  uint32_t *late = judge_rest.at + judge_rest.count;
  size_t fresh = 0;

  for (size_t i = 0; i < judge_lost.count; i++)
    if (judge_is_marked(judge_lost.at[i]))
      late[judge_late++] = judge_lost.at[i];
    else
      judge_lost.at[fresh++] = judge_lost.at[i];
  memcpy(judge_lost.at + fresh, late, judge_late * sizeof *late);
}

void gcx__judge_corpses(struct gcx__marker *m)
{
  const uint32_t *end = judge_rest.at + judge_rest.capacity;

  judge_spare(m);
  for (const uint32_t *n = end - judge_corpses; n < end; n++)
    gcx__marker_add(m, gcx__record_object(*n));
  gcx__marker_drain(m);
}

/* What they lead to is the next part of the marker's queue. */
void gcx__judge_lost(struct gcx__marker *m)
{
  if (judge_corpses > 0)
    judge_sort_lost();
  for (size_t i = 0; i < judge_lost.count; i++) {
    struct gcx__fate *f = gcx__record_fate(judge_lost.at[i]);

    f->state = (f->state & ~GCX_STATE_MASK) | GCX_STATE_LOST;
  }
  judge_garbage_begin = m->marked;
  for (size_t i = 0; i < judge_lost.count - judge_late; i++)
    gcx__marker_add(m, gcx__record_object(judge_lost.at[i]));
  gcx__marker_drain(m);
}

bool gcx__judge_will_be_lost(const void *object)
{
  uint32_t number = gcx__object_number(object);

  return number != 0 && !gcx__bdw_is_marked(object) &&
         judge_is_owed(number, gcx__record_fate(number)->state);
}

/* ---- the end of a stop */

/* Its order is that in which what it owned will be disposed: it stays until then,
 * though nothing that it refers to does. */
static GCX_NOINLINE bool judge_has_heirs(uint32_t number)
{
  if (gcx__opt.leak != GCX_LEAK_DISPOSE ||
      !gcx__owner_has(number, GCX_STATE_LOST))
    return false;
  gcx__bdw_set_mark(gcx__record_object(number));
  return true;
}

static inline bool judge_stays(uint32_t number)
{
  return GCX_UNLIKELY((gcx__record_fate(number)->state & GCX_FLAG_AUX) != 0) &&
         judge_has_heirs(number);
}

static GCX_NOINLINE void judge_drop_extras(uint32_t number, uint32_t state)
{
  if ((state & GCX_FLAG_CANARY) != 0)
    judge_dead_canaries++;
  if ((state & GCX_FLAG_AUX) != 0)
    gcx__aux_release_stopped(number);
}

static inline void judge_drop(uint32_t number, uint32_t *chain)
{
  struct gcx__record_chunk *c = gcx__record_chunk_of(number);
  uint32_t state = gcx__record_fate_in(c, number)->state;

  if (GCX_UNLIKELY((state & (GCX_FLAG_CANARY | GCX_FLAG_AUX)) != 0))
    judge_drop_extras(number, state);
  /* A number of the parent's is never given out again in the child. */
  if (GCX_LIKELY(!gcx__record_is_inherited(number)))
    gcx__record_drop_stopped(c, number, chain);
  else
    gcx__record_unpublish(number);
}

void gcx__judge_drop(uint32_t number)
{
  judge_drop(number, &gcx__record_freed_stopped);
}

/* If nothing was kept since, all that is listed is unmarked. From the end: free
 * numbers are given out in ascending order. */
void gcx__judge_drop_rest(const struct gcx__marker *m)
{
  bool kept = m->marked != judge_marked;
  uint32_t chain = gcx__record_freed_stopped;
  const uint32_t *rest = judge_rest.at;

  judge_garbage_end = m->marked;
  for (size_t i = judge_rest.count; i-- > 0;)
    if (!kept || !(judge_is_marked(rest[i]) || judge_stays(rest[i])))
      judge_drop(rest[i], &chain);
  gcx__record_freed_stopped = chain;
}

bool gcx__judge_hand_over(struct gcx__marker *m, struct gcx__batch *b)
{
  size_t waiting = judge_finalizable + judge_due.count;

  if (judge_lost.count + waiting == 0)
    return false;
  if (gcx__opt.leak == GCX_LEAK_DISPOSE)
    waiting += judge_lost.count;
  __atomic_fetch_add(&gcx__batch_outstanding, (uint32_t)waiting,
                     __ATOMIC_ACQ_REL);
  b->numbers = judge_lost.at;
  b->count = judge_lost.count;
  b->late = judge_late;
  b->capacity = judge_lost.capacity;
  b->finalizable = judge_finalizable;
  b->waiting = (uint32_t)waiting;
  judge_lost = (struct gcx__numbers){ NULL, 0, 0 };
  if (judge_due.count > 0) {
    b->due = judge_due;
    judge_due = (struct gcx__numbers){ NULL, 0, 0 };
  }
  if (b->count > 0) {
    b->garbage_begin = judge_garbage_begin;
    b->garbage_count = judge_garbage_end - judge_garbage_begin;
    b->garbage = gcx__marker_hand_over(m, &b->garbage_capacity);
  }
  return true;
}

uint32_t gcx__judge_canaries(void)
{
  return __atomic_load_n(&judge_dead_canaries, __ATOMIC_ACQUIRE);
}

/* ---- fork */

/* What the parent's finalizer thread was to do is found anew. */
static void judge_find_again(uint32_t number)
{
  const uint32_t queued = GCX_FLAG_PENDING | GCX_FLAG_DUE;
  uint32_t state, next;

  do {
    state = gcx__record_state(number);
    next = state & ~queued;
    if ((state & GCX_STATE_MASK) == GCX_STATE_LOST)
      next = (next & ~GCX_STATE_MASK) | GCX_STATE_LIVE;
  } while (next != state && !gcx__record_change(number, state, next));
}

void gcx__judge_adopt(void)
{
  uint32_t inherited = gcx__record_inherited;

  for (uint32_t n = 1; n < inherited; n++)
    judge_find_again(n);
  __atomic_store_n(&gcx__record_inherited, 0, __ATOMIC_RELEASE);
}
