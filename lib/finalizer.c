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

#include <pthread.h>
#include <signal.h>

#include "batch.h"
#include "bdw.h"
#include "cells.h"
#include "crew.h"
#include "finalize.h"
#include "finding.h"
#include "later.h"
#include "lock.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "thread.h"

enum finalizer_state { FINALIZER_NONE, FINALIZER_STARTED, FINALIZER_OFF };

static uint32_t finalizer_state;
static uint32_t finalizer_tid;
static uint32_t finalizer_done; /* dealt with, of gcx__batch_queued; woken */
static uint32_t finalizer_turn; /* tid of who is working, 0: nobody */

static struct gcx__batch *finalizer_todo; /* of this pass, oldest first */

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

static void finalizer_deal(struct gcx__batch *b)
{
  /* A hook that the program put in front of ours may have hidden from us what
   * keeps these objects: the next collection looks again. */
  if (!gcx__bdw_check_hooks())
    gcx__batch_withdraw(b, NULL);
  gcx__finding_process(b);
  gcx__finalize_batch(b);
  __atomic_fetch_sub(&gcx__batch_outstanding, b->waiting, __ATOMIC_ACQ_REL);
}

static void finalizer_add_to_pass(void)
{
  struct gcx__batch **end = &finalizer_todo;

  while (*end != NULL)
    end = &(*end)->next;
  *end = gcx__batch_take();
}

/* A pass: all that was queued when it began. The caller has the turn. */
static void finalizer_work(void)
{
  uint32_t seen = __atomic_load_n(&gcx__batch_queued, __ATOMIC_ACQUIRE);
  struct gcx__batch *b;

  finalizer_add_to_pass();
  while ((b = finalizer_todo) != NULL) {
    finalizer_todo = b->next;
    finalizer_deal(b);
    gcx__batch_give(b);
  }
  gcx__later_run();
  if ((int32_t)(seen - finalizer_done) >
      0) /* not so if this is a pass within */
    __atomic_store_n(&finalizer_done, seen, __ATOMIC_RELEASE);
  gcx__futex_wake(&finalizer_done);
}

static bool finalizer_work_in_turn(void)
{
  if (!finalizer_take_turn())
    return false;
  finalizer_work();
  __atomic_store_n(&finalizer_turn, 0, __ATOMIC_RELEASE);
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
  return now - last_ms >= gcx__opt.interval_ms &&
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

static GCX_NORETURN void *finalizer_main(void *arg)
{
  struct gcx__thread *self = gcx__thread_self();

  (void)arg;
  if (self != NULL)
    self->is_gcx = true;
  __atomic_store_n(&finalizer_tid, gcx__tid(), __ATOMIC_RELEASE);
  for (;;) {
    finalizer_wait_for_work();
    if (!finalizer_work_in_turn())
      continue;
    if (gcx__opt.interval_ms != 0 && finalizer_is_idle_collection_due())
      gcx__bdw_collect();
  }
}

/* The program's signals are not for this thread; the collector's are. */
static bool finalizer_start_thread(void)
{
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t blocked, before;
  int suspend, restart;
  bool started;

  if (pthread_attr_init(&attributes) != 0)
    return false;
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  (void)sigfillset(&blocked);
  gcx__bdw_signals(&suspend, &restart);
  (void)sigdelset(&blocked, suspend);
  (void)sigdelset(&blocked, restart);
  (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
  started = pthread_create(&thread, &attributes, finalizer_main, NULL) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  if (started)
    (void)pthread_setname_np(thread, "gcx");
  return started;
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
  if (!finalizer_start_thread())
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

void gcx__finalizer_after_fork(void)
{
  finalizer_state = FINALIZER_NONE;
  finalizer_tid = 0;
  finalizer_turn = 0;
  gcx__crew_after_fork();
  finalizer_done = gcx__batch_queued;
  finalizer_todo = NULL;
  gcx__later_after_fork();
  gcx__clock = (struct gcx__clock){ .ms = 0 }; /* its keeper is gone */
}

void gcx__finalizer_shut_down(void)
{
  uint32_t none = FINALIZER_NONE;

  (void)__atomic_compare_exchange_n(&finalizer_state, &none, FINALIZER_OFF,
                                    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
