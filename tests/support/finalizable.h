/* SPDX-License-Identifier: MIT */
/*
 * finalizable.h - for tests of finalizers: set-up, losing, counting
 */
#ifndef GCX_TESTS_FINALIZABLE_H
#define GCX_TESTS_FINALIZABLE_H

#include "objects.h"

static inline void finalizable_setup(enum gcx__leak leak)
{
  objects_setup(leak);
  gcx__opt.finalizers = GCX_FINALIZERS_ON;
  gcx__opt.slow_finalizer_ms = 0;
  gcx__opt.critical_at_exit = 0;
  objects_be_quiet();
}

/* What was reported under leak=exit would make the exit status of the test. */
static inline void finalizable_teardown(void)
{
  gcx__opt.exitcode = 0;
}

/* A collection, and all that it leads to. */
static inline void collect_and_wait(void)
{
  gcx_collect();
  ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
}

/* Collect until nothing more happens. */
static inline void settle(void)
{
  for (int i = 0; i < 4; i++)
    collect_and_wait();
}

/* Lose @n objects of @type. */
__attribute__((unused)) static GCX_NOINLINE void lose_of_type(
    const struct gcx_type *type, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    void *p = gcx_new(type);

    if (p == NULL)
      ck_abort();
    GCX_KEEP(p);
  }
}

/* Most of @n, never more: what a conservative collector can promise. */
static inline void demand_most(int what, int n)
{
  ck_assert_int_ge(what, n * 95 / 100);
  ck_assert_int_le(what, n);
}

#endif
