/* SPDX-License-Identifier: MIT */
/*
 * watch.c - slow_finalizer_ms
 *
 * One thread runs finalizers at a time (finalizer.c), so there is one to watch.
 * Each call has a number; whoever sees first that it takes too long, the watching
 * thread or the one that comes out of it after all, reports it. The watching
 * thread is started with the first finalizer, and only if the option asks for it.
 * It also looks where the other one is (peek.h).
 *
 * It sleeps until a call begins; from then on it looks four times in the period
 * that is allowed, for as long as calls begin.
 */
#include "watch.h"

#include "bdw.h"
#include "depot.h"
#include "misuse.h"
#include "options.h"
#include "peek.h"
#include "platform.h"
#include "record.h"
#include "service.h"
#include "type.h"

#define WATCH_FRAMES 64
#define WATCH_PEEK_MS 1000
#define WATCH_SLOW "longer than slow_finalizer_ms allows"
#define WATCH_RUNS WATCH_SLOW "; the stack says where it is now"

static uint32_t watch_started;
static uint32_t watch_call;     /* number of the latest call; odd: it runs */
static uint32_t watch_reported; /* the latest call that was reported */
static uint32_t watch_asleep;   /* the thread waits for a call */
static const struct gcx__thread *watch_thread; /* who makes the calls */

/* Return addresses of what is known: where the thread is, if it still runs that
 * call, and at least which finalizer it is. */
static size_t watch_stack(uint32_t call, const struct gcx__thread *t,
                          uint32_t number, uintptr_t *ret_pcs)
{
  const struct gcx_type *type = gcx__type_at(gcx__record_at(number)->type);
  bool complete = false;
  size_t n = 0;

  if (gcx__tid() != t->tid)
    n = gcx__peek(t, &watch_call, call, WATCH_PEEK_MS, ret_pcs, WATCH_FRAMES,
                  &complete);
  while (type != NULL && type->finalize == NULL)
    type = type->base;
  if (!complete && type != NULL) /* one byte into it, as with calls */
    ret_pcs[n++] = (uintptr_t)type->finalize + 1;
  return n;
}

static void watch_report(uint32_t call, const struct gcx__thread *t,
                         uint32_t number)
{
  uint32_t before = __atomic_load_n(&watch_reported, __ATOMIC_ACQUIRE);
  uintptr_t pcs[WATCH_FRAMES + 1];
  size_t n;

  if (before == call ||
      !__atomic_compare_exchange_n(&watch_reported, &before, call, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return;
  n = watch_stack(call, t, number, pcs);
  gcx__misuse_slow_finalizer(number, t->tid, n > 0 ? gcx__depot_put(pcs, n) : 0,
                             n > 1 ? WATCH_RUNS : WATCH_SLOW);
}

static bool watch_is_slow(const struct gcx__thread *t)
{
  return gcx__now_ms() - t->finalizing_from >= gcx__opt.slow_finalizer_ms;
}

/* ---- the watching thread */

static void watch_look(void)
{
  const struct gcx__thread *t =
      __atomic_load_n(&watch_thread, __ATOMIC_ACQUIRE);
  uint32_t call = __atomic_load_n(&watch_call, __ATOMIC_ACQUIRE);
  uint32_t number = __atomic_load_n(&t->finalizing, __ATOMIC_ACQUIRE);

  /* the same call before and after: number and time belong to it */
  if ((call & 1) != 0 && number != 0 && watch_is_slow(t) &&
      __atomic_load_n(&watch_call, __ATOMIC_ACQUIRE) == call)
    watch_report(call, t, number);
}

static void *watch_sleep(void *arg)
{
  uint32_t call = __atomic_load_n(&watch_call, __ATOMIC_ACQUIRE);

  (void)arg;
  if ((call & 1) != 0) {
    gcx__futex_wait(&watch_call, call,
                    GCX_MAX(gcx__opt.slow_finalizer_ms / 4, 1u));
    return NULL;
  }
  __atomic_store_n(&watch_asleep, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&watch_call, __ATOMIC_SEQ_CST) == call)
    gcx__futex_wait(&watch_call, call, UINT64_MAX);
  __atomic_store_n(&watch_asleep, 0, __ATOMIC_SEQ_CST);
  return NULL;
}

static GCX_NORETURN void *watch_main(void *unused)
{
  struct gcx__thread *self = gcx__thread_self();

  (void)unused;
  gcx__service_begin("gcx-watch");
  if (self != NULL)
    self->is_gcx = true;
  for (;;) {
    (void)gcx__bdw_blocking(watch_sleep, NULL);
    watch_look();
  }
}

/* ---- the thread that runs finalizers */

void gcx__watch_begin(const struct gcx__thread *t)
{
  gcx__peek_allow(t);
  __atomic_store_n(&watch_thread, t, __ATOMIC_RELEASE);
  __atomic_fetch_add(&watch_call, 1, __ATOMIC_SEQ_CST);
  if (__atomic_exchange_n(&watch_started, 1, __ATOMIC_ACQ_REL) == 0)
    (void)gcx__service_start(watch_main, NULL);
  if (__atomic_load_n(&watch_asleep, __ATOMIC_SEQ_CST) != 0)
    gcx__futex_wake(&watch_call);
}

void gcx__watch_end(const struct gcx__thread *t)
{
  uint32_t call = __atomic_fetch_add(&watch_call, 1, __ATOMIC_SEQ_CST);

  if (watch_is_slow(t))
    watch_report(call, t, t->finalizing);
}

/* The call that ran is over, unless it is the one that has forked; it may have been
 * reported, and the next one is another. */
void gcx__watch_after_fork(void)
{
  const struct gcx__thread *self = gcx__thread_current;

  watch_started = watch_asleep = 0;
  if (self == NULL || self->finalizing == 0)
    watch_call = (watch_call + 1) & ~1u;
  gcx__peek_after_fork();
}
