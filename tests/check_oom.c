/* SPDX-License-Identifier: MIT */
/* check_oom.c - every allocation of gcx's own fails once: an error comes back,
 * nothing has changed, and the next attempt works */
#include "objects.h"

#include <gc/gc.h>

#include "vm.h"

static int disposals;

static int count_disposal(void *obj)
{
  (void)obj;
  disposals++;
  return 0;
}

static const struct gcx_type counted_type =
    GCX_TYPE_INIT("counted", 24, 0, NULL, count_disposal, NULL, NULL);

static char region[64];

/* Whatever may fail does, somewhere; what was made is ended again. */
static size_t everything_once(void)
{
  size_t failures = 0;
  unsigned char *p = gcx_alloc(100), *q = gcx_new(&counted_type), *moved;

  if (p == NULL || q == NULL) {
    ck_assert_int_eq(errno, ENOMEM);
    failures++;
  }
  if (p != NULL) {
    ck_assert(is_zero(p, 100));
    memset(p, 0x61, 100);
    moved = gcx_realloc(p, 5000);
    failures += moved == NULL;
    p = moved != NULL ? moved : p;
    ck_assert(is_all(p, 100, 0x61));
    ck_assert_uint_eq(gcx_size(p), moved != NULL ? 5000 : 100);
    gcx_touch(p, "touched");
  }
  if (p != NULL && q != NULL) {
    int owned = gcx_own(p, q);

    ck_assert(owned == 0 || owned == -ENOMEM);
    failures += owned != 0;
    gcx_dispose(p);
    ck_assert_int_eq(gcx_is_disposed(q), owned == 0);
  }
  gcx_dispose(p);
  gcx_dispose(q);
  if (gcx_root_add(region, sizeof(region)) == 0)
    gcx_root_remove(region, sizeof(region));
  else
    failures++;
  gcx_collect();
  (void)gcx_wait_for_finalizers(UINT64_MAX);
  return failures;
}

static void fail_at(void *arg)
{
  uint64_t n = *(const uint64_t *)arg;

  gcx__vm_fail_at_any(n);
  (void)everything_once();
  gcx__vm_fail_at_any(0);
  if (everything_once() != 0)
    _exit(3);
}

START_TEST(test_each_allocation_fails_once)
  {
    uint64_t calls;

    objects_setup(GCX_LEAK_ABORT);
    for (uint64_t n = 1; n <= 60; n++)
      (void)death_demand_exit(fail_at, &n, 0);
    calls = gcx__vm_calls();
    (void)everything_once();
    ck_assert_uint_le(gcx__vm_calls() - calls, 60); /* none was left out */
  }
END_TEST

START_TEST(test_full_heap)
  {
    static void *kept[4096];
    size_t n = 0;

    objects_setup(GCX_LEAK_ABORT);
    objects_be_quiet();
    kept[n++] = gcx_alloc(1000);
    GC_set_max_heap_size(GC_get_heap_size() + (1u << 20));
    while (n < 4096 && (kept[n] = gcx_alloc(100000)) != NULL)
      n++;
    ck_assert_uint_lt(n, 4096);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_ptr_null(gcx_realloc(kept[0], 50000000));
    ck_assert_uint_eq(gcx_size(kept[0]), 1000);
    while (n > 0)
      gcx_dispose(kept[--n]);
    memset(kept, 0, sizeof(kept));
    gcx_collect();
    kept[0] = gcx_alloc(100000); /* there is room again */
    ck_assert_ptr_nonnull(kept[0]);
    gcx_dispose(kept[0]);
  }
END_TEST

static Suite *oom_suite(void)
{
  Suite *s = suite_create("oom");
  TCase *c = tcase_create("oom");

  tcase_add_test(c, test_each_allocation_fails_once);
  tcase_add_test(c, test_full_heap);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(oom_suite);
