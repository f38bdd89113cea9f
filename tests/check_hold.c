/* SPDX-License-Identifier: MIT */
/*
 * check_hold.c - holds: what they keep, and for how long
 */
#include <gcx.h>
#include "objects.h"
#include "vm.h"

#define MANY 3000

/* Addresses of holds where no scan finds them. */
static uintptr_t hidden[MANY];
static struct gcx_weak *seen_by[MANY];

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_OFF);
}

static struct gcx_hold *hold_at(int i)
{
  return GCX_REVEAL(hidden[i]);
}

static GCX_NOINLINE void hold_some(void)
{
  for (int i = 0; i < MANY; i++) {
    char *p = gcx_alloc_managed(48);
    struct gcx_hold *h = gcx_hold_create(i % 2 == 0 ? p : p + 5);

    ck_assert_ptr_nonnull(h);
    hidden[i] = GCX_HIDE(h);
    seen_by[i] = gcx_weak_create(p, GCX_WEAK_LONG);
  }
}

static GCX_NOINLINE size_t alive(void)
{
  size_t n = 0;

  for (int i = 0; i < MANY; i++)
    n += gcx_weak_get(seen_by[i]) != NULL;
  return n;
}

static GCX_NOINLINE void let_go(void)
{
  for (int i = 0; i < MANY; i++)
    gcx_dispose(hold_at(i));
}

START_TEST(test_keeps_until_it_is_disposed)
  {
    hold_some();
    for (int i = 0; i < 5; i++)
      gcx_collect();
    ck_assert_uint_eq(alive(), MANY);
    for (int i = 0; i < MANY; i++) {
      char *p = gcx_hold_get(hold_at(i));

      ck_assert_ptr_eq(i % 2 == 0 ? p : p - 5, gcx_weak_get(seen_by[i]));
    }
    let_go();
    gcx_collect();
    gcx_collect();
    ck_assert_uint_le(alive(), MANY * 5 / 100);
  }
END_TEST

/* Never lost: it holds itself. */
START_TEST(test_undisposed_is_not_lost)
  {
    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    hold_some();
    ck_assert_uint_eq(objects_found(), 0);
    let_go();
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_disposed)
  {
    void *p = gcx_alloc_managed(16);
    struct gcx_hold *h = gcx_hold_create(p);

    ck_assert_ptr_eq(gcx_hold_get(h), p);
    gcx_dispose(h);
    ck_assert_ptr_null(gcx_hold_get(h));
    gcx_dispose(h);
    ck_assert_ptr_null(gcx_hold_get(NULL));
  }
END_TEST

START_TEST(test_arguments)
  {
    int local = 0;

    errno = 0;
    ck_assert_ptr_null(gcx_hold_create(NULL));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_hold_create(&local));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

START_TEST(test_no_memory)
  {
    void *p = gcx_alloc_managed(16);
    struct gcx_hold *h;

    gcx__vm_fail_here(true);
    errno = 0;
    h = gcx_hold_create(p);
    gcx__vm_fail_here(false);
    ck_assert_ptr_null(h);
    ck_assert_int_eq(errno, ENOMEM);
    h = gcx_hold_create(p);
    ck_assert_ptr_eq(gcx_hold_get(h), p);
    gcx_dispose(h);
  }
END_TEST

/* Cells are used again: no memory but the first. */
START_TEST(test_many_times)
  {
    void *p = gcx_alloc_managed(16);
    uint64_t calls;

    gcx_dispose(gcx_hold_create(p));
    calls = gcx__vm_calls();
    for (int i = 0; i < 20000; i++) {
      struct gcx_hold *h = gcx_hold_create(p);

      ck_assert_ptr_eq(gcx_hold_get(h), p);
      gcx_dispose(h);
    }
    ck_assert_uint_le(gcx__vm_calls() - calls, 200);
  }
END_TEST

static void exits_with_a_hold(void *arg)
{
  (void)arg;
  objects_setup(GCX_LEAK_EXIT);
  gcx__opt.exit_check = GCX_EXIT_UNDISPOSED;
  gcx__opt.exitcode = 23;
  hidden[0] = GCX_HIDE(gcx_hold_create(gcx_alloc_managed(32)));
  exit(0);
}

START_TEST(test_listed_at_exit)
  {
    const struct death *d = death_demand_exit(exits_with_a_hold, NULL, 23);

    ck_assert_ptr_nonnull(strstr(d->err, "GCX-UNDISPOSED"));
    ck_assert_ptr_nonnull(strstr(d->err, "gcx_hold"));
    ck_assert_ptr_nonnull(strstr(d->err, "keeps 0x"));
  }
END_TEST

static Suite *hold_suite(void)
{
  Suite *s = suite_create("hold");
  TCase *c = tcase_create("hold");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_keeps_until_it_is_disposed);
  tcase_add_test(c, test_undisposed_is_not_lost);
  tcase_add_test(c, test_disposed);
  tcase_add_test(c, test_arguments);
  tcase_add_test(c, test_no_memory);
  tcase_add_test(c, test_many_times);
  tcase_add_test(c, test_listed_at_exit);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(hold_suite);
