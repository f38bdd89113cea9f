/* SPDX-License-Identifier: MIT */
/* check_latency.c - regions without collections, notifications */
#include "objects.h"

#include "bdw.h"
#include "waits.h"

#define MIB ((size_t)1 << 20)

static void setup(void)
{
  objects_setup(GCX_LEAK_DISPOSE);
}

static void allocate(size_t bytes, size_t piece)
{
  for (size_t done = 0; done < bytes; done += piece)
    gcx_dispose(gcx_alloc(piece));
}

/* ---- regions */

START_TEST(test_bad_budget)
  {
    ck_assert_int_eq(gcx_no_gc_begin(0), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_begin(SIZE_MAX), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
  }
END_TEST

START_TEST(test_too_large_a_budget)
  {
    struct gcx_stats before, after;

    ck_assert_int_eq(gcx_no_gc_begin(SIZE_MAX / 8), -ENOMEM);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
    gcx_stats_read(&before);
    gcx_collect(); /* as ever */
    gcx_stats_read(&after);
    ck_assert_uint_gt(after.collections, before.collections);
  }
END_TEST

/* Nearly all of it, in pieces of any size: no collection. */
START_TEST(test_budget_is_honoured)
  {
    static const size_t pieces[] = { 24, 400, 3000, 100000, 4000000 };
    uint64_t before;

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(pieces); i++) {
      ck_assert_int_eq(gcx_no_gc_begin(64 * MIB), 0);
      before = gcx__bdw_collections();
      allocate(30 * MIB, pieces[i]);
      ck_assert_uint_eq(gcx__bdw_collections(), before);
      ck_assert_int_eq(gcx_no_gc_end(), 0);
    }
  }
END_TEST

START_TEST(test_budget_is_exceeded)
  {
    uint64_t before;

    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    before = gcx__bdw_collections();
    allocate(200 * MIB, 5000);
    ck_assert_uint_gt(gcx__bdw_collections(), before);
    ck_assert_int_eq(gcx_no_gc_end(), -ENOBUFS);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    ck_assert_int_eq(gcx_no_gc_end(), 0);
  }
END_TEST

START_TEST(test_collection_ends_it)
  {
    uint64_t before;

    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    before = gcx__bdw_collections();
    if (_i == 0)
      gcx_collect();
    else if (_i == 1)
      gcx_collect_and_unmap();
    else
      (void)gcx_check();
    ck_assert_uint_gt(gcx__bdw_collections(), before);
    ck_assert_int_eq(gcx_no_gc_end(), -ECANCELED);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
  }
END_TEST

/* A second begin ends the region; the end finds none. */
START_TEST(test_begun_twice)
  {
    uint64_t before;

    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    ck_assert_int_eq(gcx_no_gc_begin(MIB), -EALREADY);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
    before = gcx__bdw_collections();
    gcx_collect();
    ck_assert_uint_gt(gcx__bdw_collections(), before);
  }
END_TEST

static GCX_NOINLINE void lose(int n)
{
  for (int i = 0; i < n; i++)
    GCX_KEEP(gcx_alloc(40));
}

START_TEST(test_nothing_is_missed)
  {
    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    lose(100);
    ck_assert_int_eq(gcx_no_gc_end(), 0);
    ck_assert_uint_ge(objects_found(), 90);
  }
END_TEST

static int stop;

static void *collect_all_the_time(void *arg)
{
  while (!flag_is_up(&stop))
    gcx_collect();
  return arg;
}

/* Whatever happens, collections are on again afterwards. */
START_TEST(test_regions_beside_collections)
  {
    pthread_t id = thread_start(collect_all_the_time, NULL);
    uint64_t before;

    for (int i = 0; i < 50; i++) {
      int r = gcx_no_gc_begin(100000);

      ck_assert_int_eq(r, 0);
      r = gcx_no_gc_end();
      ck_assert(r == 0 || r == -ECANCELED);
    }
    flag_raise(&stop);
    (void)thread_join(id);
    ck_assert(!gcx__bdw_is_disabled());
    before = gcx__bdw_collections();
    gcx_collect();
    ck_assert_uint_gt(gcx__bdw_collections(), before);
  }
END_TEST

/* ---- notifications */

START_TEST(test_not_begun)
  {
    ck_assert_int_eq(gcx_notify_wait_approach(0), -EINVAL);
    ck_assert_int_eq(gcx_notify_wait_complete(0), -EINVAL);
    ck_assert_int_eq(gcx_notify_begin(0), -EINVAL);
    ck_assert_int_eq(gcx_notify_begin(100), -EINVAL);
    gcx_notify_end();
  }
END_TEST

START_TEST(test_timeout)
  {
    gcx_collect();
    ck_assert_int_eq(gcx_notify_begin(99), 0);
    ck_assert_int_eq(gcx_notify_wait_approach(0), -ETIMEDOUT);
    ck_assert_int_eq(gcx_notify_wait_approach(5), -ETIMEDOUT);
    ck_assert_int_eq(gcx_notify_wait_complete(5), -ETIMEDOUT);
    gcx_notify_end();
    ck_assert_int_eq(gcx_notify_wait_approach(0), -EINVAL);
  }
END_TEST

struct waiter {
  int (*wait)(uint64_t timeout_ms);
  uint32_t tid;
  int result;
};

static void *wait_long(void *arg)
{
  struct waiter *w = arg;

  __atomic_store_n(&w->tid, gcx__tid(), __ATOMIC_RELEASE);
  w->result = w->wait(UINT64_MAX);
  return NULL;
}

START_TEST(test_cancel)
  {
    struct waiter a = { .wait = gcx_notify_wait_approach };
    struct waiter c = { .wait = gcx_notify_wait_complete };
    pthread_t id[2];

    gcx_collect();
    ck_assert_int_eq(gcx_notify_begin(99), 0);
    id[0] = thread_start(wait_long, &a);
    id[1] = thread_start(wait_long, &c);
    thread_wait_until_asleep(&a.tid);
    thread_wait_until_asleep(&c.tid);
    gcx_notify_end();
    (void)thread_join(id[0]);
    (void)thread_join(id[1]);
    ck_assert_int_eq(a.result, -ECANCELED);
    ck_assert_int_eq(c.result, -ECANCELED);
  }
END_TEST

START_TEST(test_approach)
  {
    struct waiter a = { .wait = gcx_notify_wait_approach };
    pthread_t id;

    gcx_collect();
    ck_assert_int_eq(gcx_notify_begin(1), 0);
    id = thread_start(wait_long, &a);
    thread_wait_until_asleep(&a.tid);
    for (int i = 0; i < 10000; i++)
      gcx_dispose(gcx_alloc(4000)); /* collections come and go */
    gcx_collect();
    for (int i = 0; i < 200; i++)
      gcx_dispose(gcx_alloc(4000)); /* one is near, and does not come */
    (void)thread_join(id);
    ck_assert_int_eq(a.result, 0);
    gcx_notify_end();
  }
END_TEST

START_TEST(test_complete)
  {
    struct waiter c = { .wait = gcx_notify_wait_complete };
    pthread_t id;

    ck_assert_int_eq(gcx_notify_begin(50), 0);
    id = thread_start(wait_long, &c);
    thread_wait_until_asleep(&c.tid);
    gcx_collect();
    (void)thread_join(id);
    ck_assert_int_eq(c.result, 0);
    gcx_notify_end();
  }
END_TEST

START_TEST(test_unmap)
  {
    struct gcx_stats before, after;

    allocate(64 * MIB, 100000);
    gcx_stats_read(&before);
    gcx_collect_and_unmap();
    gcx_stats_read(&after);
    ck_assert_uint_gt(after.collections, before.collections);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static Suite *latency_suite(void)
{
  Suite *s = suite_create("latency");
  TCase *t = tcase_create("regions");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_bad_budget);
  tcase_add_test(t, test_too_large_a_budget);
  tcase_add_test(t, test_budget_is_honoured);
  tcase_add_test(t, test_budget_is_exceeded);
  tcase_add_loop_test(t, test_collection_ends_it, 0, 3);
  tcase_add_test(t, test_begun_twice);
  tcase_add_test(t, test_nothing_is_missed);
  tcase_add_test(t, test_regions_beside_collections);
  tcase_add_test(t, test_unmap);
  suite_add_tcase(s, t);

  t = tcase_create("notifications");
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_not_begun);
  tcase_add_test(t, test_timeout);
  tcase_add_test(t, test_cancel);
  tcase_add_test(t, test_approach);
  tcase_add_test(t, test_complete);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(latency_suite);
