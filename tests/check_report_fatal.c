/* SPDX-License-Identifier: MIT */
/* check_report_fatal.c - the end of the process under hard conditions; many
 * findings at once */
#include "reports.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>

#include "symbolize.h"

/* ---- the fatal path */

static void reports(void *arg)
{
  struct gcx_report r = misuse_report(*(const enum gcx__report_id *)arg, "");
  gcx__report(&r, 1, true);
}

START_TEST(test_each_kind_as_fatal)
  {
    enum gcx__report_id id = (enum gcx__report_id)_i;

    gcx__opt.double_dispose = GCX_DOUBLE_FATAL;
    if (!gcx__report_is_fatal(id))
      ck_assert_uint_eq(
          death_occurrences(death_demand_exit(reports, &id, 0)->err,
                            gcx__report_name(id)),
          1);
    else
      ck_assert_ptr_nonnull(
          strstr(death_demand_abort(reports, &id, gcx__report_name(id))->err,
                 "#0 conn_read "));
  }
END_TEST

static void returns_from_sigabrt(int sig)
{
  (void)sig;
}

static void reports_with_sigabrt_caught_and_blocked(void *arg)
{
  sigset_t all;

  (void)signal(SIGABRT, returns_from_sigabrt);
  (void)sigfillset(&all);
  (void)sigprocmask(SIG_SETMASK, &all, NULL);
  reports(arg);
}

START_TEST(test_sigabrt_caught_and_blocked)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d = death_demand_abort(
        reports_with_sigabrt_caught_and_blocked, &id, "GCX-LEAK");
    ck_assert_ptr_nonnull(strstr(d->err, "#0 conn_read "));
  }
END_TEST

static void *reports_on_thread(void *arg)
{
  reports(arg);
  return NULL;
}

static void starts_threads(pthread_t *threads, size_t n, void *(*fn)(void *),
                           void *arg)
{
  for (size_t i = 0; i < n; i++)
    if (pthread_create(&threads[i], NULL, fn, arg) != 0)
      _exit(9);
}

static void reports_on_16_threads(void *arg)
{
  pthread_t threads[16];

  starts_threads(threads, 16, reports_on_thread, arg);
  for (size_t i = 0; i < 16; i++)
    (void)pthread_join(threads[i], NULL);
}

START_TEST(test_many_threads_one_report)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d =
        death_demand_abort(reports_on_16_threads, &id, "GCX-LEAK");

    /* The closing line is the last one. */
    ck_assert_str_eq(strchr(strstr(d->err, "SUMMARY"), '\n'), "\n");
  }
END_TEST

static void reports_on_a_small_stack(void *arg)
{
  pthread_t thread;
  pthread_attr_t attr;

  (void)pthread_attr_init(&attr);
  if (pthread_attr_setstacksize(&attr, 16384) != 0 ||
      pthread_create(&thread, &attr, reports_on_thread, arg) != 0)
    _exit(9);
  (void)pthread_join(thread, NULL);
}

START_TEST(test_small_stack)
  {
    enum gcx__report_id id = GCX_REPORT_CORRUPT;
    const struct death *d =
        death_demand_abort(reports_on_a_small_stack, &id, "GCX-CORRUPT");
    ck_assert_ptr_nonnull(strstr(d->err, "#0 conn_read "));
  }
END_TEST

static int ready[2]; /* a pipe: the other thread is where it should be */

static void tell_ready(void)
{
  if (write(ready[1], "x", 1) != 1)
    _exit(9);
}

static void wait_ready(void)
{
  char c;

  if (read(ready[0], &c, 1) != 1)
    _exit(9);
}

static void *blocks_all_signals(void *arg)
{
  sigset_t all;

  (void)arg;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
  tell_ready();
  while (pause() != 0) {
  }
  return NULL;
}

static void reports_beside(void *arg, void *(*other)(void *))
{
  pthread_t thread;

  if (pipe(ready) != 0)
    _exit(9);
  starts_threads(&thread, 1, other, NULL);
  wait_ready();
  reports(arg);
}

static void reports_beside_blocked_signals(void *arg)
{
  reports_beside(arg, blocks_all_signals);
}

START_TEST(test_other_thread_blocks_all_signals)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    death_demand_abort(reports_beside_blocked_signals, &id, "GCX-LEAK");
  }
END_TEST

/* At the end of the process a sanitizer needs malloc(), and so does gcov. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(GCX_COVERAGE)
#define WITH_TEST_INSIDE_MALLOC 1
#else
#define WITH_TEST_INSIDE_MALLOC 0
#endif

#if WITH_TEST_INSIDE_MALLOC
static void stops_for_ever(int sig)
{
  (void)sig;
  tell_ready();
  while (true)
    (void)pause();
}

/* Faults inside malloc(), with the lock of the only arena. */
static void *stops_inside_malloc(void *arg)
{
  char *volatile p = malloc(100000);
  uintptr_t page = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;

  (void)arg;
  free(p);
  (void)signal(SIGSEGV, stops_for_ever);
  if (mprotect((void *)page, 65536, PROT_NONE) != 0)
    _exit(9);
  p = malloc(8192);
  _exit(p != NULL ? 8 : 7);
}

static void reports_beside_stopped_malloc(void *arg)
{
  (void)mallopt(M_ARENA_MAX, 1);
  reports_beside(arg, stops_inside_malloc);
}

START_TEST(test_other_thread_is_inside_malloc)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d =
        death_demand_abort(reports_beside_stopped_malloc, &id, "GCX-LEAK");
    ck_assert_ptr_nonnull(strstr(d->err, "#0 conn_read "));
  }
END_TEST
#endif

static int leaving[2]; /* a pipe: the main thread is in exit() */

/* The finding is claimed by now; it is written when the process is ending. */
static void waits_for_exit(const struct gcx_report *r, void *arg)
{
  char c;

  (void)r;
  (void)arg;
  tell_ready();
  if (read(leaving[0], &c, 1) != 1)
    _exit(9);
}

static void closing_line_at_exit(void)
{
  if (write(leaving[1], "x", 1) != 1)
    _exit(9);
  gcx__report_summary();
}

/* The main thread is in exit() when another one has a fatal finding. */
static void exits_while_reporting(void *arg)
{
  pthread_t thread;

  if (pipe(ready) != 0 || pipe(leaving) != 0 ||
      atexit(closing_line_at_exit) != 0)
    _exit(9);
  (void)gcx_handler_add(waits_for_exit, NULL);
  starts_threads(&thread, 1, reports_on_thread, arg);
  wait_ready();
  exit(0);
}

START_TEST(test_exit_meanwhile)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    death_demand_abort(exits_while_reporting, &id, "GCX-LEAK");
  }
END_TEST

static void reports_again(const struct gcx_report *r, void *arg)
{
  struct gcx_report own = misuse_report(GCX_REPORT_CORRUPT, "in the handler");

  (void)r;
  *(int *)arg += 1;
  gcx__report(&own, 1, false);
}

static void reports_with_fatal_handler(void *arg)
{
  int calls = 0;

  (void)gcx_handler_add(reports_again, &calls);
  reports(arg);
}

/* What the handler did wrong must not hide what was found first. */
START_TEST(test_recursion)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d =
        death_demand_abort(reports_with_fatal_handler, &id, "GCX-LEAK");

    ck_assert_uint_eq(
        death_occurrences(d->err,
                          "gcx: GCX-CORRUPT while a fatal finding is reported"),
        1);
  }
END_TEST

/* ---- handlers that do not return */

static jmp_buf outside;

static void handler_jumps(const struct gcx_report *r, void *arg)
{
  (void)r;
  *(int *)arg += 1;
  longjmp(outside, 1);
}

static void handler_ends_its_thread(const struct gcx_report *r, void *arg)
{
  (void)r;
  *(int *)arg += 1;
  pthread_exit(NULL);
}

static void reports_and_jumps_out(void *arg)
{
  static int calls;

  (void)gcx_handler_add(handler_jumps, &calls);
  if (setjmp(outside) == 0)
    reports(arg);
}

static void reports_on_a_thread_that_ends(void *arg)
{
  static int calls;
  pthread_t thread;

  (void)gcx_handler_add(handler_ends_its_thread, &calls);
  starts_threads(&thread, 1, reports_on_thread, arg);
  (void)pthread_join(thread, NULL);
  gcx__report_summary(); /* as exit() does: it must not wait for that thread */
}

/* A fatal finding can't be called off. */
START_TEST(test_handler_does_not_return)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d = death_demand_abort(
        _i == 0 ? reports_and_jumps_out : reports_on_a_thread_that_ends, &id,
        "GCX-LEAK");

    ck_assert_ptr_nonnull(strstr(d->err, "#0 conn_read "));
  }
END_TEST

/* One that is not fatal is written all the same, and the thread is as before. */
static void reports_twice_and_jumps_out(void *arg)
{
  volatile int rounds = 0;
  int calls = 0, cancel = -1;

  gcx__opt.leak = GCX_LEAK_REPORT;
  errno = 7;
  (void)gcx_handler_add(handler_jumps, &calls);
  (void)setjmp(outside);
  if (rounds++ < 2)
    reports(arg);
  (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel);
  printf("%d %d %d", calls, cancel == PTHREAD_CANCEL_ENABLE, errno);
  (void)fflush(stdout);
}

START_TEST(test_handler_does_not_return_and_nothing_is_fatal)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d =
        death_demand_exit(reports_twice_and_jumps_out, &id, 0);

    ck_assert_str_eq(d->out, "2 1 7");
    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 2);
  }
END_TEST

static void reports_without_descriptors(void *arg)
{
  for (int fd = 0; fd < 64; fd++)
    (void)close(fd);
  reports(arg);
}

START_TEST(test_closed_descriptors)
  {
    enum gcx__report_id id = GCX_REPORT_LEAK;
    const struct death *d = death_run(reports_without_descriptors, &id);

    ck_assert(WIFSIGNALED(d->status));
    ck_assert_int_eq(WTERMSIG(d->status), SIGABRT);
  }
END_TEST

static void *reports_cancelled(void *arg)
{
  (void)pthread_cancel(pthread_self());
  gcx__report(arg, 1, true);
  pthread_testcancel();
  return NULL;
}

static void reports_on_cancelled_thread(void *arg)
{
  struct gcx_report r = leak_report();
  pthread_t thread;

  (void)arg;
  starts_threads(&thread, 1, reports_cancelled, &r);
  (void)pthread_join(thread, NULL);
}

START_TEST(test_cancelled_thread)
  {
    death_demand_abort(reports_on_cancelled_thread, NULL, "GCX-LEAK");
    gcx__opt.leak = GCX_LEAK_REPORT;
    ck_assert_ptr_nonnull(
        strstr(death_demand_exit(reports_on_cancelled_thread, NULL, 0)->err,
               "  born "));
  }
END_TEST

/* ---- many */

/* What this process has worked: on a busy machine the clock says nothing. */
static int worked_ms(void)
{
  struct timespec t;

  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

static void reports_10000(void *arg)
{
  static struct gcx_report r[10000];
  struct gcx__symbolize_stats stats;
  int start = worked_ms();

  (void)arg;
  gcx__opt.leak = GCX_LEAK_REPORT;
  for (size_t i = 0; i < 10000; i++) {
    uintptr_t pcs[16];

    for (size_t k = 0; k < 16; k++)
      pcs[k] = (uintptr_t)conn_open + 1 + i % 10 + k * 16;
    r[i] = leak_report();
    r[i].birth_site = gcx__depot_put(pcs, 16);
  }
  gcx__report(r, 10000, true);
  gcx__symbolize_stats(&stats);
  printf("%d %d %d", (int)stats.helpers, (int)stats.asked, worked_ms() - start);
  (void)fflush(stdout);
}

START_TEST(test_10000_findings_from_10_sites)
  {
    const struct death *d = death_demand_exit(reports_10000, NULL, 0);
    int helpers, asked, ms;

    ck_assert_int_eq(sscanf(d->out, "%d %d %d", &helpers, &asked, &ms), 3);
    ck_assert_int_eq(helpers, 1);
    ck_assert_int_eq(asked, 160);
    ck_assert_msg(ms < 2000, "%d ms", ms);
  }
END_TEST

/* ---- suite */

static void add_fatal(Suite *s)
{
  TCase *t = tcase_create("fatal");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_loop_test(t, test_each_kind_as_fatal, 0, GCX_REPORT_ID_COUNT);
  tcase_add_test(t, test_sigabrt_caught_and_blocked);
  tcase_add_test(t, test_many_threads_one_report);
  tcase_add_test(t, test_small_stack);
  tcase_add_test(t, test_other_thread_blocks_all_signals);
#if WITH_TEST_INSIDE_MALLOC
  tcase_add_test(t, test_other_thread_is_inside_malloc);
#endif
  tcase_add_test(t, test_exit_meanwhile);
  tcase_add_test(t, test_recursion);
  tcase_add_loop_test(t, test_handler_does_not_return, 0, 2);
  tcase_add_test(t, test_handler_does_not_return_and_nothing_is_fatal);
  tcase_add_test(t, test_closed_descriptors);
  tcase_add_test(t, test_cancelled_thread);
  tcase_add_test(t, test_10000_findings_from_10_sites);
  suite_add_tcase(s, t);
}

static Suite *report_fatal_suite(void)
{
  Suite *s = suite_create("report_fatal");

  add_fatal(s);
  return s;
}

GCX_CHECK_MAIN(report_fatal_suite);
