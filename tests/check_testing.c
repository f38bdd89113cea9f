/* SPDX-License-Identifier: MIT */
/* check_testing.c - scopes for tests, and the fixture for Check */
#include "objects.h"

#include <stdio.h>
#include <unistd.h>

#include <gcx/testing_check.h>

#include "vm.h"
#include "waits.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static void *kept[100];

START_TEST(test_counts_what_is_left)
  {
    struct gcx_testing scope;
    void *before = gcx_alloc(10), *a, *b;

    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    a = gcx_alloc(20);
    b = gcx_alloc(30);
    gcx_dispose(a);
    kept[0] = gcx_alloc_managed(10);
    kept[1] = gcx_alloc(10);
    gcx_suppress_finalize(kept[1]);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 1);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 0); /* closed */
    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 0);
    gcx_dispose(b);
    gcx_dispose(before);
  }
END_TEST

START_TEST(test_lists_what_is_left)
  {
    static char text[1 << 16];
    int fd = memfd_create("list", MFD_CLOEXEC);
    struct gcx_testing scope;
    void *p;

    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    ck_assert_uint_eq(gcx_testing_end(&scope, fd), 0);
    death_read(fd, text, sizeof text);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    p = gcx_alloc(33);
    ck_assert_uint_eq(gcx_testing_end(&scope, fd), 1);
    death_read(fd, text, sizeof text);
    /* between the two, its age, if the clock has moved on */
    ck_assert_msg(strstr(text,
                         "gcx: not disposed: 1 object, 33 bytes in 1 row\n"
                         "  1 object, 33 bytes of plain memory") != NULL &&
                      strstr(text, "\n    #0 ") != NULL,
                  "%s", text);
    gcx_dispose(p);
    (void)close(fd);
  }
END_TEST

/* Duty is what counts: the owner will do it. */
START_TEST(test_owners)
  {
    struct gcx_testing scope;
    void *old = gcx_alloc(1), *owner, *child;

    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    owner = gcx_alloc(10);
    child = gcx_alloc(10);
    ck_assert_int_eq(gcx_own(owner, child), 0);
    ck_assert_int_eq(gcx_own(old, gcx_alloc(10)), 0);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 1);
    gcx_dispose(owner);
    gcx_dispose(old);
    ck_assert(gcx_is_disposed(child));
  }
END_TEST

START_TEST(test_pools)
  {
    struct gcx_pool *p = gcx_pool_create(NULL);
    void *a = gcx_pool_take(p, 100), *b;
    struct gcx_testing scope;

    gcx_pool_return(p, a);
    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    a = gcx_pool_take(p, 100); /* old memory, taken anew */
    b = gcx_pool_take(p, 100);
    gcx_pool_return(p, b);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 1);
    gcx_pool_return(p, a);
    gcx_dispose(p);
  }
END_TEST

static GCX_NOINLINE void lose(int n)
{
  for (int i = 0; i < n; i++)
    GCX_KEEP(gcx_alloc(40));
}

START_TEST(test_lost_counts)
  {
    struct gcx_testing scope;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    ck_assert_int_eq(gcx_testing_begin(&scope, 0), 0);
    lose(10);
    gcx_collect();
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 10);
  }
END_TEST

START_TEST(test_nested)
  {
    struct gcx_testing outer, inner;

    ck_assert_int_eq(gcx_testing_begin(&outer, 0), 0);
    kept[0] = gcx_alloc(1);
    ck_assert_int_eq(gcx_testing_begin(&inner, 0), 0);
    kept[1] = gcx_alloc(1);
    ck_assert_uint_eq(gcx_testing_end(&inner, -1), 1);
    ck_assert_uint_eq(gcx_testing_end(&outer, -1), 2);
    gcx_dispose(kept[0]);
    gcx_dispose(kept[1]);
  }
END_TEST

START_TEST(test_bad_arguments)
  {
    struct gcx_testing scope;

    memset(&scope, 0, sizeof scope);
    ck_assert_int_eq(gcx_testing_begin(NULL, 0), -EINVAL);
    ck_assert_int_eq(gcx_testing_begin(&scope, 2), -EINVAL);
    ck_assert_uint_eq(gcx_testing_end(NULL, -1), 0);
    ck_assert_uint_eq(gcx_testing_end(&scope, -1), 0);
    gcx__vm_fail_here(true);
    ck_assert_int_eq(gcx_testing_begin(&scope, GCX_TESTING_ANY_THREAD),
                     -ENOMEM);
    gcx__vm_fail_here(false);
  }
END_TEST

/* ---- threads */

struct worker {
  int begin, allocated, checked;
  void *left[10];
  size_t own;
};

static void *work(void *arg)
{
  struct worker *w = arg;
  struct gcx_testing scope;

  gcx_dispose(gcx_alloc(1)); /* has a run of orders before the scopes */
  flag_wait(&w->begin);
  if (gcx_testing_begin(&scope, 0) != 0)
    abort();
  for (int i = 0; i < 10; i++)
    w->left[i] = gcx_alloc(8);
  flag_raise(&w->allocated);
  flag_wait(&w->checked);
  w->own = gcx_testing_end(&scope, -1);
  for (int i = 0; i < 10; i++)
    gcx_dispose(w->left[i]);
  return NULL;
}

/* A scope of one thread does not see what others do; one of any thread does,
 * also what they had room for in runs of before. */
START_TEST(test_threads)
  {
    enum { N = 4 };
    static struct worker w[N];
    struct gcx_testing own, any;
    pthread_t id[N];

    for (int i = 0; i < N; i++)
      id[i] = thread_start(work, &w[i]);
    ck_assert_int_eq(gcx_testing_begin(&own, 0), 0);
    ck_assert_int_eq(gcx_testing_begin(&any, GCX_TESTING_ANY_THREAD), 0);
    kept[0] = gcx_alloc(1);
    for (int i = 0; i < N; i++)
      flag_raise(&w[i].begin);
    for (int i = 0; i < N; i++)
      flag_wait(&w[i].allocated);
    ck_assert_uint_eq(gcx_testing_end(&own, -1), 1);
    ck_assert_uint_eq(gcx_testing_end(&any, -1), 1 + 10 * N);
    for (int i = 0; i < N; i++) {
      flag_raise(&w[i].checked);
      (void)thread_join(id[i]);
      ck_assert_uint_eq(w[i].own, 10);
    }
    gcx_dispose(kept[0]);
  }
END_TEST

/* ---- the fixture: a suite of its own, in a process of its own */

START_TEST(inner_clean)
  {
    gcx_dispose(gcx_alloc(10));
  }
END_TEST

START_TEST(inner_forgetful)
  {
    kept[5] = gcx_alloc(77);
  }
END_TEST

START_TEST(inner_elsewhere)
  {
    static struct worker w = { .begin = 1, .checked = 1 };

    (void)thread_join(thread_start(work, &w));
  }
END_TEST

static void setup_inner(void)
{
  objects_setup(GCX_LEAK_REPORT);
}

static Suite *inner_suite(void)
{
  Suite *s = suite_create("inner");
  TCase *t = tcase_create("own"), *any = tcase_create("any");

  tcase_add_checked_fixture(t, setup_inner, NULL);
  tcase_add_checked_fixture(t, gcx_testing_setup, gcx_testing_teardown);
  tcase_add_test(t, inner_clean);
  tcase_add_test(t, inner_forgetful);
  tcase_add_test(t, inner_elsewhere);
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(any, setup_inner, NULL);
  tcase_add_checked_fixture(any, gcx_testing_setup_any_thread,
                            gcx_testing_teardown);
  tcase_add_test(any, inner_forgetful);
  tcase_add_test(any, inner_clean);
  suite_add_tcase(s, any);
  return s;
}

static void run_inner(void *arg)
{
  (void)setenv("GCX_TESTING_INNER", "1", 1);
  (void)setenv("CK_FORK", arg, 1);
  (void)setenv("CK_VERBOSITY", "normal", 1);
  (void)setenv("GCX_OPTIONS", "leak=report", 1);
  (void)unsetenv("CK_RUN_CASE");
  (void)execl("/proc/self/exe", "check_testing", (char *)NULL);
  _exit(127);
}

START_TEST(test_fixture)
  {
    static char fork_yes[] = "yes", fork_no[] = "no";
    char *mode = _i == 0 ? fork_yes : fork_no;
    const struct death *d = death_demand_exit(run_inner, mode, EXIT_FAILURE);

    ck_assert_msg(strstr(d->out, "Checks: 5, Failures: 2, Errors: 0") != NULL,
                  "%s", d->out);
    ck_assert_ptr_nonnull(strstr(d->out, ":S:own:inner_forgetful:"));
    ck_assert_ptr_nonnull(strstr(d->out, ":S:any:inner_forgetful:"));
    ck_assert_ptr_null(strstr(d->out, ":own:inner_clean"));
    ck_assert_ptr_nonnull(
        strstr(d->out, "allocated by this test and not disposed: 1, "));
    ck_assert_ptr_nonnull(strstr(d->err, "1 object, 77 bytes of plain memory"));
  }
END_TEST

static Suite *testing_suite(void)
{
  Suite *s = suite_create("testing");
  TCase *t = tcase_create("testing");

  if (getenv("GCX_TESTING_INNER") != NULL)
    return inner_suite();
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_counts_what_is_left);
  tcase_add_test(t, test_lists_what_is_left);
  tcase_add_test(t, test_owners);
  tcase_add_test(t, test_pools);
  tcase_add_test(t, test_lost_counts);
  tcase_add_test(t, test_nested);
  tcase_add_test(t, test_bad_arguments);
  tcase_add_test(t, test_threads);
  tcase_add_loop_test(t, test_fixture, 0, 2);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(testing_suite);
