/* SPDX-License-Identifier: MIT */
/* check_report_policy.c - handlers, what is fatal, what is counted */
#include "reports.h"

#include <errno.h>
#include <fcntl.h>

/* ---- accessors, handlers */

START_TEST(test_accessors)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_USE_AFTER_DISPOSE, "");
    void *const *frames = NULL;

    r.count = 3;
    r.total_bytes = 144;
    ck_assert_str_eq(gcx_report_id(&r), "GCX-USE-AFTER-DISPOSE");
    ck_assert_str_eq(gcx_report_type(&r), "struct conn");
    ck_assert_uint_eq(gcx_report_bytes(&r), 144);
    ck_assert_uint_eq(gcx_report_count(&r), 3);
    ck_assert_ptr_eq(gcx_report_object(&r),
                     (const void *)(uintptr_t)0x7f0000001000);
    ck_assert_uint_eq(gcx_report_stack(&r, GCX_STACK_BIRTH, &frames), 1);
    ck_assert_uint_eq((uintptr_t)frames[0], (uintptr_t)conn_open + 1);
    ck_assert_uint_eq(gcx_report_stack(&r, GCX_STACK_USE, &frames), 1);
    ck_assert_uint_eq((uintptr_t)frames[0], (uintptr_t)conn_read + 1);
    ck_assert_uint_eq(gcx_report_stack(&r, GCX_STACK_DISPOSE, &frames), 0);
    ck_assert_uint_eq(gcx_report_stack(&r, 99, &frames), 0);
    ck_assert_uint_eq((uintptr_t)frames[0],
                      (uintptr_t)conn_read + 1); /* untouched */
    r.use_site = 0;
    r.touches = 1;
    r.touch[0].site = site_in(conn_close);
    ck_assert_uint_eq(gcx_report_stack(&r, GCX_STACK_USE, &frames), 1);
    ck_assert_uint_eq((uintptr_t)frames[0], (uintptr_t)conn_close + 1);
  }
END_TEST

START_TEST(test_print_refuses)
  {
    struct gcx_report r = leak_report();
    int full = open("/dev/full", O_WRONLY);

    ck_assert_int_eq(gcx_report_print(NULL, 2, GCX_FORMAT_TEXT), -EINVAL);
    ck_assert_int_eq(gcx_report_print(&r, -1, GCX_FORMAT_TEXT), -EINVAL);
    ck_assert_int_eq(gcx_report_print(&r, 2, 2), -EINVAL);
    ck_assert_int_eq(gcx_report_print(&r, full, GCX_FORMAT_TEXT), -EIO);
  }
END_TEST

static char trail[128]; /* what handlers have left */

static void leaves_trail(const struct gcx_report *r, void *arg)
{
  (void)r;
  (void)snprintf(trail + strlen(trail), sizeof(trail) - strlen(trail), "%s",
                 (const char *)arg);
}

static void removes_itself(const struct gcx_report *r, void *arg)
{
  leaves_trail(r, arg);
  gcx_handler_remove(removes_itself, arg);
}

static void adds_another(const struct gcx_report *r, void *arg)
{
  static char late[] = "l";

  leaves_trail(r, arg);
  ck_assert_int_eq(gcx_handler_add(leaves_trail, late), 0);
}

static void report_quietly(const struct gcx_report *r)
{
  static char discard[] = "/dev/null";
  int fd = open(discard, O_WRONLY), saved = dup(STDERR_FILENO);

  (void)dup2(fd, STDERR_FILENO);
  gcx__report(r, 1, false);
  (void)dup2(saved, STDERR_FILENO);
  (void)close(saved);
  (void)close(fd);
}

START_TEST(test_handlers_in_order)
  {
    static char a[] = "a", b[] = "b", c[] = "c";
    struct gcx_report r = leak_report();

    ck_assert_int_eq(gcx_handler_add(leaves_trail, a), 0);
    ck_assert_int_eq(gcx_handler_add(removes_itself, b), 0);
    ck_assert_int_eq(gcx_handler_add(leaves_trail, c), 0);
    report_quietly(&r);
    ck_assert_str_eq(trail, "abc");
    report_quietly(&r);
    ck_assert_str_eq(trail, "abcac");
    gcx_handler_remove(leaves_trail, a);
    gcx_handler_remove(leaves_trail, a); /* not there: nothing happens */
    report_quietly(&r);
    ck_assert_str_eq(trail, "abcacc");
  }
END_TEST

START_TEST(test_handler_may_add)
  {
    static char a[] = "a";
    struct gcx_report r = leak_report();

    ck_assert_int_eq(gcx_handler_add(adds_another, a), 0);
    report_quietly(&r);
    ck_assert_str_eq(trail, "a");
    report_quietly(&r);
    ck_assert_str_eq(trail, "aal");
  }
END_TEST

START_TEST(test_handlers_limit)
  {
    static char a[] = "a";

    ck_assert_int_eq(gcx_handler_add(NULL, a), -EINVAL);
    for (int i = 0; i < 32; i++)
      ck_assert_int_eq(gcx_handler_add(leaves_trail, a), 0);
    ck_assert_int_eq(gcx_handler_add(leaves_trail, a), -ENOMEM);
    gcx_handler_remove(leaves_trail, a);
    ck_assert_int_eq(gcx_handler_add(leaves_trail, a), 0);
  }
END_TEST

static void prints(const struct gcx_report *r, void *arg)
{
  ck_assert_int_eq(gcx_report_print(r, *(int *)arg, GCX_FORMAT_TEXT), 0);
}

START_TEST(test_print_inside_a_handler)
  {
    struct gcx_report r = leak_report();
    int fd = memfd_create("report", MFD_CLOEXEC);

    ck_assert_int_eq(gcx_handler_add(prints, &fd), 0);
    report_quietly(&r);
    death_read(fd, printed, sizeof(printed));
    ck_assert_ptr_nonnull(strstr(printed, "conn_open"));
  }
END_TEST

static void reports_again(const struct gcx_report *r, void *arg)
{
  struct gcx_report own = misuse_report(GCX_REPORT_CORRUPT, "in the handler");

  (void)r;
  *(int *)arg += 1;
  gcx__report(&own, 1, false);
}

static void reports_with_bad_handler(void *arg)
{
  struct gcx_report r = leak_report();
  int calls = 0;

  (void)arg;
  (void)gcx_handler_add(reports_again, &calls);
  gcx__report(&r, 1, false);
  _exit(calls);
}

/* Its own mistake is reported; it is not told of it, for ever. */
START_TEST(test_misuse_inside_a_handler)
  {
    const struct death *d =
        death_demand_exit(reports_with_bad_handler, NULL, 1);

    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-CORRUPT: "), 1);
    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 1);
  }
END_TEST

static void reports_with_errno(void *arg)
{
  struct gcx_report r = leak_report();

  (void)arg;
  gcx__opt.leak = GCX_LEAK_REPORT;
  errno = ERANGE;
  gcx__report(&r, 1, true);
  gcx__report_note("x");
  gcx__report_summary();
  gcx__report(&r, 0, true);
  _exit(errno == ERANGE ? 0 : 1);
}

START_TEST(test_errno_is_kept)
  {
    ck_assert_ptr_nonnull(strstr(
        death_demand_exit(reports_with_errno, NULL, 0)->err, "GCX-LEAK"));
  }
END_TEST

/* ---- policy */

START_TEST(test_what_is_fatal)
  {
    static const bool fatal_by_default[GCX_REPORT_ID_COUNT] = {
      [GCX_REPORT_LEAK] = true,
      [GCX_REPORT_USE_AFTER_DISPOSE] = true,
      [GCX_REPORT_FD_OWNER] = true,
      [GCX_REPORT_OVER_RELEASE] = true,
      [GCX_REPORT_DOUBLE_FREE] = true,
      [GCX_REPORT_BAD_POINTER] = true,
      [GCX_REPORT_CORRUPT] = true,
      [GCX_REPORT_POOL_RETURN] = true,
      [GCX_REPORT_POOL_OUTSTANDING] = true,
      [GCX_REPORT_CRITICAL_ALLOC] = true,
      [GCX_REPORT_FINALIZER_LEFT] = true,
    };

    for (int id = 0; id < GCX_REPORT_ID_COUNT; id++)
      ck_assert_int_eq(gcx__report_is_fatal((enum gcx__report_id)id),
                       fatal_by_default[id]);
    for (int leak = GCX_LEAK_EXIT; leak <= GCX_LEAK_OFF; leak++) {
      gcx__opt.leak = (enum gcx__leak)leak;
      ck_assert(!gcx__report_is_fatal(GCX_REPORT_LEAK));
      ck_assert(gcx__report_is_fatal(GCX_REPORT_CORRUPT));
    }
    gcx__opt.misuse = GCX_MISUSE_REPORT;
    gcx__opt.double_dispose = GCX_DOUBLE_FATAL;
    for (int id = 0; id < GCX_REPORT_ID_COUNT; id++)
      ck_assert_int_eq(gcx__report_is_fatal((enum gcx__report_id)id),
                       id == GCX_REPORT_DOUBLE_DISPOSE);
  }
END_TEST

START_TEST(test_what_makes_the_exit_status)
  {
    struct gcx_report leak = leak_report();
    struct gcx_report corrupt = misuse_report(GCX_REPORT_CORRUPT, "");
    struct gcx_report was_false = misuse_report(GCX_REPORT_FALSE, "");
    struct gcx_report undisposed = conn_report(GCX_REPORT_UNDISPOSED);

    gcx__opt.leak = GCX_LEAK_REPORT;
    report_quietly(&leak);
    report_quietly(&undisposed);
    report_quietly(&was_false);
    ck_assert_uint_eq(gcx__report_count(), 0);
    gcx__opt.leak = GCX_LEAK_EXIT;
    report_quietly(&leak);
    ck_assert_uint_eq(gcx__report_count(), 1);
    report_quietly(&undisposed);
    ck_assert_uint_eq(gcx__report_count(), 2);
    report_quietly(&corrupt);
    ck_assert_uint_eq(gcx__report_count(), 3);
    gcx__report_after_fork();
    ck_assert_uint_eq(gcx__report_count(), 0);
  }
END_TEST

static void reports_by_option(void *arg)
{
  struct gcx_report r = misuse_report(GCX_REPORT_DOUBLE_DISPOSE, "");

  gcx__opt.double_dispose = *(const enum gcx__double_dispose *)arg;
  gcx__report(&r, 1, true);
  gcx__report_summary();
}

START_TEST(test_double_dispose_option)
  {
    enum gcx__double_dispose ignore = GCX_DOUBLE_IGNORE,
                             report = GCX_DOUBLE_REPORT,
                             fatal = GCX_DOUBLE_FATAL;

    ck_assert_str_eq(death_demand_exit(reports_by_option, &ignore, 0)->err, "");
    ck_assert_ptr_nonnull(
        strstr(death_demand_exit(reports_by_option, &report, 0)->err,
               "\nSUMMARY: gcx: 1 finding (GCX-DOUBLE-DISPOSE)\n"));
    death_demand_abort(reports_by_option, &fatal, "GCX-DOUBLE-DISPOSE");
  }
END_TEST

static void reports_many(void *arg)
{
  struct gcx_report r = leak_report();

  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx__opt.max_reports = *(const uint64_t *)arg;
  for (int i = 0; i < 5; i++)
    gcx__report(&r, 1, true);
  gcx__report_summary();
  gcx__report_summary(); /* nothing since */
}

START_TEST(test_max_reports)
  {
    uint64_t all = 0, two = 2;
    const struct death *d = death_demand_exit(reports_many, &all, 0);

    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 5);
    ck_assert_uint_eq(death_occurrences(d->err, "max_reports"), 0);
    d = death_demand_exit(reports_many, &two, 0);
    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 2);
    ck_assert_uint_eq(
        death_occurrences(d->err,
                          "gcx: note: more findings are counted, not shown "
                          "(max_reports=2)\n"),
        1);
    ck_assert_uint_eq(
        death_occurrences(
            d->err, "SUMMARY: gcx: 5 objects, 240 bytes lost in 5 findings "
                    "(GCX-LEAK)\n"),
        1);
  }
END_TEST

static void reports_batch_beyond_max(void *arg)
{
  struct gcx_report r[3] = { conn_report(GCX_REPORT_UNDISPOSED), leak_report(),
                             leak_report() };

  (void)arg;
  gcx__opt.max_reports = 1;
  gcx__report(r, 3, true);
}

START_TEST(test_fatal_one_is_shown_beyond_max)
  {
    const struct death *d =
        death_demand_abort(reports_batch_beyond_max, NULL, "GCX-LEAK");

    ck_assert_uint_eq(
        death_occurrences(
            d->err, "SUMMARY: gcx: 2 objects, 96 bytes lost in 2 findings "
                    "(GCX-LEAK); 1 object, 48 bytes not disposed at exit "
                    "in 1 finding (GCX-UNDISPOSED)\n"),
        1);
  }
END_TEST

static void reports_uncertain(void *arg)
{
  struct gcx_report r = leak_report();

  (void)arg;
  gcx__report(&r, 1, false);
}

START_TEST(test_uncertain_is_never_fatal)
  {
    const struct death *d = death_demand_exit(reports_uncertain, NULL, 0);
    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 1);
  }
END_TEST

START_TEST(test_summary_of_everything)
  {
    struct gcx_report r = leak_report();
    static char text[TEXT_BYTES];
    int fd = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);

    r.indirect_count = 1;
    r.indirect_bytes = 1;
    (void)dup2(fd, STDERR_FILENO);
    for (int id = 0; id < GCX_REPORT_ID_COUNT; id++) {
      r.id = (enum gcx__report_id)id;
      gcx__opt.double_dispose = GCX_DOUBLE_REPORT;
      gcx__report(&r, 1, false);
    }
    gcx__report_summary();
    (void)dup2(saved, STDERR_FILENO);
    death_read(fd, text, sizeof(text));
    ck_assert_str_eq(
        strstr(text, "SUMMARY: "),
        "SUMMARY: gcx: 1 object, 48 bytes lost in 1 finding (GCX-LEAK) and 1 "
        "object, "
        "1 byte with them; 1 finding (GCX-USE-AFTER-DISPOSE); 1 finding "
        "(GCX-DOUBLE-DISPOSE); 1 finding (GCX-FD-OWNER); 1 finding "
        "(GCX-EXHAUSTED); 1 finding (GCX-OVER-RELEASE); 1 finding "
        "(GCX-DOUBLE-FREE); 1 finding "
        "(GCX-BAD-POINTER); 1 finding (GCX-CORRUPT); "
        "1 finding (GCX-FALSE-REPORT); 1 object, 48 bytes not disposed at exit "
        "in "
        "1 finding (GCX-UNDISPOSED); 1 finding (GCX-POOL-RETURN); 1 finding "
        "(GCX-POOL-OUTSTANDING); 1 finding (GCX-CRITICAL-ALLOC); 1 finding "
        "(GCX-FINALIZER-LEFT); 1 finding (GCX-FINALIZER-CRASH); 1 finding "
        "(GCX-SLOW-FINALIZER)\n");
  }
END_TEST

/* ---- suite */

static void add_handlers_and_policy(Suite *s)
{
  TCase *t = tcase_create("policy");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_accessors);
  tcase_add_test(t, test_print_refuses);
  tcase_add_test(t, test_handlers_in_order);
  tcase_add_test(t, test_handler_may_add);
  tcase_add_test(t, test_handlers_limit);
  tcase_add_test(t, test_print_inside_a_handler);
  tcase_add_test(t, test_misuse_inside_a_handler);
  tcase_add_test(t, test_errno_is_kept);
  tcase_add_test(t, test_what_is_fatal);
  tcase_add_test(t, test_what_makes_the_exit_status);
  tcase_add_test(t, test_double_dispose_option);
  tcase_add_test(t, test_max_reports);
  tcase_add_test(t, test_fatal_one_is_shown_beyond_max);
  tcase_add_test(t, test_uncertain_is_never_fatal);
  tcase_add_test(t, test_summary_of_everything);
  suite_add_tcase(s, t);
}

static Suite *report_policy_suite(void)
{
  Suite *s = suite_create("report_policy");

  add_handlers_and_policy(s);
  return s;
}

GCX_CHECK_MAIN(report_policy_suite);
