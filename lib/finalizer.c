/* SPDX-License-Identifier: MIT */
/*
 * finalizer.c - gcx's own thread
 *
 *   none --ensure--> starting --> waiting <--> working
 *     ^                                          |
 *     +---------------- fork (child) ------------+
 *
 * The thread sleeps in gcx__bdw_blocking(), so a collection neither signals it
 * nor waits for it; meanwhile it helps in stops (crew.h). The hook queues batches and wakes it; it takes all there
 * are, deals with them, and then says up to which batch it has come. A program
 * in which the thread can't be started (or that is exiting) is served by the
 * threads that wait: finalizer_turn decides who works, so that a batch is never
 * dealt with twice.
 *
 * With interval_ms it wakes by itself and collects, if something was allocated
 * and nothing has collected for that long: a sleeping server reports too.
 */
#include "finalizer.h"

#include "../include/gcx/collector.h"

#include "batch.h"
#include "bdw.h"
#include "cells.h"
#include "crash.h"
#include "crew.h"
#include "finalize.h"
#include "finding.h"
#include "later.h"
#include "left.h"
#include "lock.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "service.h"
#include "thread.h"
#include "watch.h"

enum finalizer_state { FINALIZER_NONE, FINALIZER_STARTED, FINALIZER_OFF };

static uint32_t finalizer_state;
static uint32_t finalizer_tid;
static uint32_t finalizer_done; /* dealt with, of gcx__batch_queued; woken */
static uint32_t finalizer_turn; /* tid of who is working, 0: nobody */

static struct gcx__batch *finalizer_todo; /* of this pass, oldest first */
static uint32_t finalizer_depth; /* passes within passes; by who has the turn */
static uint32_t finalizer_epoch; /* counts forks: this process was the child */
static uint32_t finalizer_shutting_down;

bool gcx__finalizer_is_self(void)
{
  uint32_t self = gcx__tid();

  return __atomic_load_n(&finalizer_tid, __ATOMIC_ACQUIRE) == self ||
         __atomic_load_n(&finalizer_turn, __ATOMIC_ACQUIRE) == self;
}

/* ---- work */

static bool finalizer_take_turn(void)
{
  uint32_t nobody = 0;

  return __atomic_compare_exchange_n(&finalizer_turn, &nobody, gcx__tid(),
                                     false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Also what is left of one whose finalizer did not return. */
static void finalizer_deal(struct gcx__batch *b)
{
  /* A hook that the program put in front of ours may have hidden from us what
   * keeps these objects: the next collection looks again. */
  if (!gcx__bdw_check_hooks())
    gcx__batch_withdraw(b, NULL);
  gcx__finding_process(b);
  gcx__batch_keep(b, GCX_BATCH_LOST, NULL, 0);
  gcx__batch_keep(b, GCX_BATCH_DISPOSALS, NULL, 0);
  b->count = 0;
  gcx__finalize_batch(b);
}

static void finalizer_add_to_pass(void)
{
  struct gcx__batch **end = &finalizer_todo;

  while (*end != NULL)
    end = &(*end)->next;
  *end = gcx__batch_take();
}

/* A pass: all that was queued when it began. The caller has the turn. A batch
 * stays in the list until it is done with: what a finalizer that does not return
 * leaves behind is taken up by the next pass. In the child of a fork that a
 * finalizer made nothing of this is there any more. */
static void finalizer_work(void)
{
  uint32_t seen = __atomic_load_n(&gcx__batch_queued, __ATOMIC_ACQUIRE);
  uint32_t epoch = finalizer_epoch;
  struct gcx__batch *b;

  finalizer_depth++;
  finalizer_add_to_pass();
  while ((b = finalizer_todo) != NULL) {
    finalizer_deal(b);
    if (epoch != finalizer_epoch)
      return;
    finalizer_todo = b->next;
    __atomic_fetch_sub(&gcx__batch_outstanding, b->waiting, __ATOMIC_ACQ_REL);
    gcx__batch_give(b);
  }
  gcx__later_run();
  if (epoch != finalizer_epoch)
    return;
  if (--finalizer_depth > 0)
    return; /* the pass around this one is not over */
  __atomic_store_n(&finalizer_done, seen, __ATOMIC_RELEASE);
  gcx__futex_wake(&finalizer_done);
}

/* The thread ends, and whoever waits sleeps: the next one is started at once. At
 * exit those that wait do the work. */
static void finalizer_leave(void)
{
  gcx__crash_thread_end();
  __atomic_store_n(&finalizer_tid, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&finalizer_state, FINALIZER_NONE, __ATOMIC_RELEASE);
  if (!gcx_shutting_down())
    gcx__finalizer_ensure();
}

/* Also when a finalizer is left for good: then the thread, if it is gcx's, ends. */
static void finalizer_end_turn(void *arg)
{
  const bool *left = arg;
  uint32_t self = gcx__tid();

  if (__atomic_load_n(&finalizer_turn, __ATOMIC_ACQUIRE) != self)
    return;
  finalizer_depth = 0;
  gcx__finalize_over();
  __atomic_store_n(&finalizer_turn, 0, __ATOMIC_RELEASE);
  if (*left && __atomic_load_n(&finalizer_tid, __ATOMIC_ACQUIRE) == self)
    finalizer_leave();
}

struct finalizer_turn_frame {
  bool left;
};

static void finalizer_turn_left(struct finalizer_turn_frame *f)
{
  finalizer_end_turn(&f->left);
}

static bool finalizer_work_in_turn(void)
{
  struct finalizer_turn_frame frame
      __attribute__((cleanup(finalizer_turn_left))) = { .left = true };
  struct _pthread_cleanup_buffer buffer;

  if (!finalizer_take_turn())
    return false;
  _pthread_cleanup_push(&buffer, finalizer_end_turn, &frame.left);
  finalizer_work();
  _pthread_cleanup_pop(&buffer, 0);
  frame.left = false;
  return true;
}

/* ---- interval_ms */

static bool finalizer_is_idle_collection_due(void)
{
  static uint64_t last_collections;
  static uint32_t last_ms;
  uint64_t collections = gcx__bdw_collections();
  uint32_t now = gcx__now_ms();

  if (collections != last_collections) {
    last_collections = collections;
    last_ms = now;
  }
  return !gcx__bdw_is_disabled() && now - last_ms >= gcx__opt.interval_ms &&
         gcx__cells_order() != gcx__cells_order_at_stop();
}

/* ---- the thread */

struct finalizer_sleep {
  uint32_t seen;
  uint64_t timeout_ms;
};

/* Keeps the clock of births while somebody asks for it. */
#define CLOCK_TICK_MS 4
#define CLOCK_IDLE_TICKS 8

static void finalizer_keep_clock(uint32_t *idle_ticks)
{
  __atomic_store_n(&gcx__clock.ms, gcx__now_ms(), __ATOMIC_RELAXED);
  if (__atomic_exchange_n(&gcx__clock.asked, 0, __ATOMIC_ACQ_REL) != 0)
    *idle_ticks = 0;
  else if (++*idle_ticks >= CLOCK_IDLE_TICKS)
    __atomic_store_n(&gcx__clock.is_kept, 0, __ATOMIC_RELEASE);
}

/* Until a batch is queued, or the time is over. Only while it sleeps here does
 * this thread keep the clock: work can take any time. */
static void *finalizer_sleep(void *arg)
{
  const struct finalizer_sleep *s = arg;
  uint32_t begin = gcx__now_ms(), idle_ticks = 0;

  __atomic_store_n(&gcx__clock.keeper, &gcx__batch_queued, __ATOMIC_RELEASE);
  gcx__crew_rest(&gcx__batch_queued);
  while (__atomic_load_n(&gcx__batch_queued, __ATOMIC_ACQUIRE) == s->seen) {
    uint64_t spent = gcx__now_ms() - begin;
    bool kept = __atomic_load_n(&gcx__clock.is_kept, __ATOMIC_ACQUIRE) != 0;

    if (spent >= s->timeout_ms)
      break;
    gcx__futex_wait(&gcx__batch_queued, s->seen,
                    kept ? CLOCK_TICK_MS : s->timeout_ms - spent);
    /* What it looked at are objects, also unreachable ones. */
    if (gcx__crew_help())
      gcx__bdw_clear_stack();
    if (kept)
      finalizer_keep_clock(&idle_ticks);
    else
      idle_ticks = 0;
  }
  gcx__crew_rest(NULL);
  __atomic_store_n(&gcx__clock.keeper, NULL, __ATOMIC_RELEASE);
  __atomic_store_n(&gcx__clock.is_kept, 0, __ATOMIC_RELEASE);
  return NULL;
}

static void finalizer_wait_for_work(void)
{
  struct finalizer_sleep s = {
    .seen = __atomic_load_n(&gcx__batch_queued, __ATOMIC_ACQUIRE),
    .timeout_ms = gcx__opt.interval_ms != 0 ? gcx__opt.interval_ms : UINT64_MAX,
  };

  if (s.seen != __atomic_load_n(&finalizer_done, __ATOMIC_ACQUIRE))
    return;
  /* The frames of a blocking call have holes, and this stack is a root. */
  gcx__bdw_clear_stack();
  (void)gcx__bdw_blocking(finalizer_sleep, &s);
}

/* Returns in the child of a fork that a finalizer made: as with any thread that
 * forks, the process ends with it. */
static void *finalizer_main(void *unused)
{
  struct gcx__thread *self = gcx__thread_self();
  uint32_t epoch = finalizer_epoch;

  (void)unused;
  gcx__service_begin("gcx");
  gcx__crash_thread();
  if (self != NULL)
    self->is_gcx = true;
  __atomic_store_n(&finalizer_tid, gcx__tid(), __ATOMIC_RELEASE);
  while (epoch == finalizer_epoch) {
    finalizer_wait_for_work();
    if (finalizer_work_in_turn() && epoch == finalizer_epoch &&
        gcx__opt.interval_ms != 0 && finalizer_is_idle_collection_due())
      gcx__bdw_collect();
  }
  return NULL;
}

void gcx__finalizer_ensure(void)
{
  uint32_t none = FINALIZER_NONE;

  if (GCX_LIKELY(__atomic_load_n(&finalizer_state, __ATOMIC_ACQUIRE) !=
                 FINALIZER_NONE))
    return;
  if (!__atomic_compare_exchange_n(&finalizer_state, &none, FINALIZER_STARTED,
                                   false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return;
  if (!gcx__service_start(finalizer_main, NULL))
    __atomic_store_n(&finalizer_state, FINALIZER_NONE, __ATOMIC_RELEASE);
}

/* ---- waiting */

/* It may not have begun yet. */
static bool finalizer_has_thread(void)
{
  gcx__finalizer_ensure();
  return __atomic_load_n(&finalizer_state, __ATOMIC_ACQUIRE) ==
         FINALIZER_STARTED;
}

static void *finalizer_sleep_done(void *arg)
{
  const struct finalizer_sleep *s = arg;

  gcx__futex_wait(&finalizer_done, s->seen, s->timeout_ms);
  return NULL;
}

bool gcx__finalizer_wait(uint64_t timeout_ms)
{
  uint32_t goal = __atomic_load_n(&gcx__batch_queued, __ATOMIC_ACQUIRE);
  uint64_t begin = gcx__now_ns();
  struct finalizer_sleep s;

  if (gcx__finalizer_is_self())
    return true;
  (void)gcx__thread_self();
  for (;;) {
    uint64_t spent_ms = (gcx__now_ns() - begin) / 1000000;

    s.seen = __atomic_load_n(&finalizer_done, __ATOMIC_ACQUIRE);
    if ((int32_t)(s.seen - goal) >= 0)
      return true;
    if (timeout_ms != UINT64_MAX && spent_ms >= timeout_ms)
      return false;
    if (!finalizer_has_thread() && finalizer_work_in_turn())
      continue;
    s.timeout_ms =
        timeout_ms == UINT64_MAX ? 100 : GCX_MIN(timeout_ms - spent_ms, 100u);
    (void)gcx__bdw_blocking(finalizer_sleep_done, &s);
  }
}

/* ---- fork, exit */

void gcx__finalizer_after_fork(void)
{
  finalizer_epoch++;
  finalizer_depth = 0;
  finalizer_state = FINALIZER_NONE;
  finalizer_tid = 0;
  finalizer_turn = 0;
  gcx__crew_after_fork();
  finalizer_done = gcx__batch_queued;
  finalizer_todo = NULL;
  finalizer_shutting_down = 0;
  gcx__finalize_over(); /* what ran in the parent */
  gcx__later_after_fork();
  gcx__watch_after_fork();
  gcx__clock = (struct gcx__clock){ .ms = 0 }; /* its keeper is gone */
}

void gcx__finalizer_shut_down(void)
{
  uint32_t none = FINALIZER_NONE;

  __atomic_store_n(&finalizer_shutting_down, 1, __ATOMIC_RELEASE);
  (void)__atomic_compare_exchange_n(&finalizer_state, &none, FINALIZER_OFF,
                                    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool gcx__finalizer_finish(uint64_t timeout_ms)
{
  uint64_t begin = gcx__now_ns();

  if (gcx__finalizer_is_self()) { /* a finalizer called exit() */
    finalizer_work();
    return true;
  }
  while (!gcx__finalizer_wait(GCX_MIN(timeout_ms, (uint64_t)100)))
    if (gcx__finalize_is_running() &&
        (gcx__now_ns() - begin) / 1000000 >= timeout_ms)
      return false;
  return true;
}

bool gcx_shutting_down(void)
{
  return __atomic_load_n(&finalizer_shutting_down, __ATOMIC_ACQUIRE) != 0;
}
