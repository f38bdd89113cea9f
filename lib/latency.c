/* SPDX-License-Identifier: MIT */
/*
 * latency.c - when collections happen: regions without, notifications
 *
 *             begin                  end: 0
 *   NONE ----------------> OPEN -------------------> NONE
 *     ^                     | a collection was asked for
 *     | end: -ECANCELED     +-----------------------------> COLLECTED --+
 *     |                     | more than the budget                      |
 *     | end: -ENOBUFS       +-----------------------------> EXCEEDED ---+
 *     +-----------------------------------------------------------------+
 *
 * Whoever leads OPEN elsewhere, by compare-and-swap, enables the collector
 * again, once. While a region is open or somebody waits for an approach, each
 * visit to the collector's allocator looks how much was allocated.
 */
#include "../include/gcx/latency.h"

#include <errno.h>

#include "bdw.h"
#include "object.h"
#include "platform.h"
#include "pressure.h"
#include "start.h"
#include "termination.h"

#define BYTES_MAX (SIZE_MAX / 8)
#define SPARE_BYTES ((size_t)1 << 20) /* blocks that are not quite full */

enum region { REGION_NONE, REGION_OPEN, REGION_COLLECTED, REGION_EXCEEDED };

static uint32_t region_state;
static size_t region_budget;
static size_t region_begin; /* bytes allocated by then */

static uint32_t notify_percent;   /* 0: nobody is interested */
static uint32_t notify_approach;  /* counts approaches; woken */
static uint32_t notify_complete;  /* counts collections; woken */
static uint32_t notify_cancelled; /* counts ends */
static uint64_t notify_near;      /* 1 + collections when one was last near */

/* ---- regions */

bool gcx__latency_is_no_gc(void)
{
  return __atomic_load_n(&region_state, __ATOMIC_ACQUIRE) == REGION_OPEN;
}

static bool region_leave(enum region to)
{
  uint32_t open = REGION_OPEN;

  if (!__atomic_compare_exchange_n(&region_state, &open, to, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return false;
  gcx__bdw_enable();
  return true;
}

static bool region_is_exceeded(void)
{
  return gcx__bdw_bytes_since() - region_begin > region_budget;
}

int gcx_no_gc_begin(size_t bytes)
{
  uint32_t state;

  if (bytes == 0 || bytes > BYTES_MAX)
    return -EINVAL;
  gcx__start();
  (void)gcx__thread_self();
  if (region_leave(REGION_NONE))
    return -EALREADY;
  gcx__bdw_clear_stack();
  gcx__bdw_collect();
  if (!gcx__bdw_have_free(bytes + bytes / 8 + SPARE_BYTES))
    return -ENOMEM;
  state = __atomic_load_n(&region_state, __ATOMIC_ACQUIRE);
  gcx__bdw_disable();
  region_budget = bytes;
  region_begin = gcx__bdw_bytes_since();
  if (state == REGION_OPEN ||
      !__atomic_compare_exchange_n(&region_state, &state, REGION_OPEN, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    gcx__bdw_enable(); /* another thread was faster */
    return -EALREADY;
  }
  return 0;
}

int gcx_no_gc_end(void)
{
  gcx__start();
  if (gcx__latency_is_no_gc() && region_is_exceeded())
    (void)region_leave(REGION_EXCEEDED);
  if (region_leave(REGION_NONE))
    return 0;
  switch (__atomic_exchange_n(&region_state, REGION_NONE, __ATOMIC_ACQ_REL)) {
  case REGION_COLLECTED:
    return -ECANCELED;
  case REGION_EXCEEDED:
    return -ENOBUFS;
  default:
    return -EINVAL;
  }
}

void gcx_collect_and_unmap(void)
{
  gcx__start();
  (void)gcx__thread_self();
  (void)region_leave(REGION_COLLECTED);
  gcx__bdw_clear_stack();
  gcx__bdw_collect_and_unmap();
}

/* ---- notifications */

static void notify_look(uint32_t percent)
{
  uint64_t now = gcx__bdw_collections() + 1;

  if (__atomic_load_n(&notify_near, __ATOMIC_ACQUIRE) == now ||
      gcx__bdw_bytes_since() < gcx__bdw_trigger_bytes() / 100 * percent)
    return;
  __atomic_store_n(&notify_near, now, __ATOMIC_RELEASE);
  __atomic_fetch_add(&notify_approach, 1, __ATOMIC_ACQ_REL);
  gcx__futex_wake(&notify_approach);
}

static void latency_on_alloc(void)
{
  uint32_t percent = __atomic_load_n(&notify_percent, __ATOMIC_ACQUIRE);

  if (GCX_UNLIKELY(gcx__latency_is_no_gc()) && region_is_exceeded())
    (void)region_leave(REGION_EXCEEDED);
  if (GCX_UNLIKELY(percent != 0))
    notify_look(percent);
}

static void latency_on_collect(void)
{
  (void)region_leave(REGION_COLLECTED);
}

/* In the stop: the wait ends when the collector lets go of its lock. */
static void latency_on_stop(void)
{
  __atomic_fetch_add(&notify_complete, 1, __ATOMIC_ACQ_REL);
  if (__atomic_load_n(&notify_percent, __ATOMIC_ACQUIRE) != 0)
    gcx__futex_wake(&notify_complete);
}

int gcx_notify_begin(unsigned percent)
{
  if (percent < 1 || percent > 99)
    return -EINVAL;
  gcx__start();
  __atomic_store_n(&notify_percent, percent, __ATOMIC_RELEASE);
  return 0;
}

void gcx_notify_end(void)
{
  gcx__start();
  __atomic_store_n(&notify_percent, 0, __ATOMIC_RELEASE);
  __atomic_fetch_add(&notify_cancelled, 1, __ATOMIC_ACQ_REL);
  __atomic_fetch_add(&notify_approach, 1, __ATOMIC_ACQ_REL);
  gcx__futex_wake(&notify_approach);
  gcx__futex_wake(&notify_complete);
}

struct notify_wait {
  uint32_t *word;
  uint32_t seen;
  uint32_t cancelled;
  bool (*is_over)(const struct notify_wait *w);
  uint64_t end_ns; /* UINT64_MAX: never */
  bool was_over;   /* seen asleep: a collection may end it before we are back */
};

static bool notify_is_cancelled(const struct notify_wait *w)
{
  return __atomic_load_n(&notify_cancelled, __ATOMIC_ACQUIRE) != w->cancelled;
}

static bool notify_is_near(const struct notify_wait *w)
{
  (void)w;
  return __atomic_load_n(&notify_near, __ATOMIC_ACQUIRE) ==
         gcx__bdw_collections() + 1;
}

static bool notify_is_complete(const struct notify_wait *w)
{
  return __atomic_load_n(&notify_complete, __ATOMIC_ACQUIRE) != w->seen;
}

/* A wake can get lost between the look and the sleep of whoever is cancelled by
 * the other word: no sleep is longer than this. */
#define SLEEP_MS 100

static void *notify_sleep(void *arg)
{
  struct notify_wait *w = arg;

  while (!notify_is_cancelled(w)) {
    uint64_t now = gcx__now_ns();
    uint32_t value = __atomic_load_n(w->word, __ATOMIC_ACQUIRE);

    w->was_over = w->is_over(w);
    if (w->was_over || now >= w->end_ns || notify_is_cancelled(w))
      break;
    gcx__futex_wait(
        w->word, value,
        GCX_MIN((w->end_ns - now) / 1000000 + 1, (uint64_t)SLEEP_MS));
  }
  return NULL;
}

static int notify_wait(uint32_t *word,
                       bool (*is_over)(const struct notify_wait *w),
                       uint64_t timeout_ms)
{
  uint64_t now = gcx__now_ns();
  struct notify_wait w = {
    .word = word,
    .seen = __atomic_load_n(word, __ATOMIC_ACQUIRE),
    .cancelled = __atomic_load_n(&notify_cancelled, __ATOMIC_ACQUIRE),
    .is_over = is_over,
    .end_ns = timeout_ms > (UINT64_MAX - now) / 1000000
                  ? UINT64_MAX
                  : now + timeout_ms * 1000000,
  };

  if (__atomic_load_n(&notify_percent, __ATOMIC_ACQUIRE) == 0)
    return -EINVAL;
  (void)gcx__thread_self();
  (void)gcx__bdw_blocking(notify_sleep, &w);
  if (notify_is_cancelled(&w))
    return -ECANCELED;
  return w.was_over ? 0 : -ETIMEDOUT;
}

int gcx_notify_wait_approach(uint64_t timeout_ms)
{
  return notify_wait(&notify_approach, notify_is_near, timeout_ms);
}

int gcx_notify_wait_complete(uint64_t timeout_ms)
{
  return notify_wait(&notify_complete, notify_is_complete, timeout_ms);
}

void gcx__latency_init(void)
{
  static const struct gcx__termination_steps steps = { .begin =
                                                           latency_on_stop };

  gcx__termination_add(&steps);
  gcx__bdw_on_alloc = latency_on_alloc;
  gcx__bdw_on_collect = latency_on_collect;
}
