/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - checks on demand, and what they are worth
 *
 * "Nothing was found" means something only if something would have been found.
 * So a verdict first loses objects of its own, plain ones and cycles, as a
 * program would, and looks whether the collection finds most of them (a
 * conservative collector may miss one or two); and it asks whether all
 * collections were seen, with all roots, in a mode in which the collector tells
 * the truth. Anything else is GCX_INDETERMINATE.
 */
#include "verdict.h"

#include <string.h>
#include <ucontext.h>

#include "bdw.h"
#include "finalizer.h"
#include "finding.h"
#include "object.h"
#include "options.h"
#include "report.h"
#include "roots.h"
#include "termination.h"
#include "thread.h"
#include "window.h"

#define CANARIES 16
#define CANARIES_ENOUGH 12
#define VERDICT_TRIES 8 /* while others load libraries */

static size_t verdict_checked; /* findings counted by earlier checks */
static uint32_t verdict_canaries_before;
static uint32_t verdict_missed; /* stops without a verdict, already told */

/* ---- collecting */

/* A function of its own: below the part of the stack that counts. */
static GCX_NOINLINE void verdict_collect_until_judged(void)
{
  uint32_t before;

  for (int i = 0; i < VERDICT_TRIES; i++) {
    before = gcx__termination_put_offs();
    gcx__bdw_collect();
    if (gcx__termination_put_offs() == before)
      return;
  }
}

void gcx__verdict_collect(uintptr_t sp, const uintptr_t *registers, size_t n)
{
  (void)
      gcx__thread_self(); /* a thread that bdwgc does not know can't collect */
  (void)gcx__bdw_check_hooks();
  gcx__roots_scan_from(sp, registers, n);
  gcx__bdw_clear_stack();
  verdict_collect_until_judged();
  gcx__roots_scan_from(0, NULL, 0);
}

/* The registers of all callers are in @context, or saved in frames from here on: in
 * this one above its variables or, on other machines, above its frame pointer.
 * AddressSanitizer would move @context away from there. */
__attribute__((no_sanitize_address)) GCX_NOINLINE void
gcx__verdict_collect_here(void)
{
  ucontext_t context;
  uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

  memset(&context, 0, sizeof context); /* nothing stale where it has holes */
  (void)getcontext(&context);
  gcx__verdict_collect(GCX_MIN(frame, (uintptr_t)&context),
                       (const uintptr_t *)(const void *)&context,
                       sizeof context / sizeof(uintptr_t));
  GCX_KEEP(&context);
}

void gcx_collect(void)
{
  gcx__verdict_collect_here();
}

bool gcx_wait_for_finalizers(uint64_t timeout_ms)
{
  return gcx__finalizer_wait(timeout_ms);
}

static size_t verdict_new_findings(void)
{
  size_t now = gcx__finding_count();
  size_t before = __atomic_exchange_n(&verdict_checked, now, __ATOMIC_ACQ_REL);

  return now - before;
}

size_t gcx_check(void)
{
  gcx__verdict_collect_here();
  (void)gcx__finalizer_wait(UINT64_MAX);
  return verdict_new_findings();
}

/* ---- canaries */

/* A frame that is gone when it returns; every second canary is half of a pair
 * that point to each other. */
static GCX_NOINLINE void verdict_lose_one(bool pair)
{
  static const struct gcx__frame nowhere;
  void **a = gcx__object_alloc(sizeof(void *) * 3, GCX__ALIGN_MIN, 0,
                               GCX_FLAG_CANARY | GCX_FLAG_OPTIONAL, &nowhere);
  void **b =
      pair ? gcx__object_alloc(sizeof(void *) * 3, GCX__ALIGN_MIN, 0,
                               GCX_FLAG_CANARY | GCX_FLAG_OPTIONAL, &nowhere)
           : NULL;

  if (a != NULL && b != NULL) {
    a[0] = b;
    b[0] = a;
  }
  GCX_KEEP(a);
  GCX_KEEP(b);
}

static GCX_NOINLINE void verdict_lose_deep(int depth)
{
  char room[256];

  GCX_KEEP(room);
  if (depth > 0)
    verdict_lose_deep(depth - 1);
  else
    for (int i = 0; i < CANARIES; i += 2) {
      verdict_lose_one((i & 2) != 0);
      if ((i & 2) == 0)
        verdict_lose_one(false);
    }
  GCX_KEEP(room);
}

void gcx__verdict_lose_canaries(void)
{
  verdict_canaries_before = gcx__termination_canaries();
  verdict_lose_deep(16);
}

bool gcx__verdict_canaries_found(void)
{
  return gcx__termination_canaries() - verdict_canaries_before >=
         CANARIES_ENOUGH;
}

/* ---- obstacles */

const char *gcx__verdict_obstacle(void)
{
  const char *why = gcx__bdw_obstacle();
  uint32_t missed = gcx__termination_without_verdict();

  if (why == NULL)
    why = gcx__roots_obstacle();
  if (why == NULL && !gcx__bdw_check_hooks())
    why = "the program had replaced a hook of the collector";
  if (why == NULL && gcx__bdw_collections() != gcx__bdw_collections_seen())
    why = "there were collections that gcx did not see";
  if (why == NULL &&
      missed != __atomic_exchange_n(&verdict_missed, missed, __ATOMIC_ACQ_REL))
    why = gcx__termination_obstacle();
  if (why == NULL && gcx__opt.leak == GCX_LEAK_OFF)
    why = "leak=off: nothing is looked for";
  return why;
}

void gcx__verdict_after_fork(void)
{
  verdict_checked = gcx__finding_count();
}

int gcx_verdict(void)
{
  uint64_t before = gcx__bdw_collections();
  const char *why = gcx__verdict_obstacle();
  bool found;

  if (why == NULL)
    gcx__verdict_lose_canaries();
  gcx__verdict_collect_here();
  if (why == NULL && !gcx__verdict_canaries_found())
    gcx__verdict_collect_here();
  found = gcx__verdict_canaries_found();
  (void)gcx__finalizer_wait(UINT64_MAX);
  if (verdict_new_findings() > 0)
    return GCX_ABANDONED;
  if (why == NULL && gcx__bdw_collections() == before)
    why = "no collection took place";
  if (why == NULL)
    why = gcx__verdict_obstacle();
  if (why == NULL && !found)
    why = "objects that gcx lost on purpose were not found";
  if (why == NULL)
    return GCX_CLEAN;
  gcx__report_note("indeterminate: %s", why);
  return GCX_INDETERMINATE;
}

void gcx_breadcrumb(const char *fmt, ...)
{
  va_list ap;

  va_start(ap, fmt);
  gcx__window_breadcrumb(fmt, ap);
  va_end(ap);
}
