/* SPDX-License-Identifier: MIT */
/* check_exit.c - what a process says and returns when it ends */
#include "check_main.h"
#include "programs.h"

#define QUICK ":symbolize_ms=0:interval_ms=0"

/* -1: by abort() */
static const struct death *demand(const char *argument, const char *options,
                                  int status)
{
  const struct death *d = program_run("victim", argument, options);

  if (status < 0)
    ck_assert_msg(WIFSIGNALED(d->status) && WTERMSIG(d->status) == SIGABRT,
                  "%s with %s: no abort(): status 0x%x\n%s", argument, options,
                  (unsigned)d->status, d->err);
  else
    ck_assert_msg(WIFEXITED(d->status) && WEXITSTATUS(d->status) == status,
                  "%s with %s: status 0x%x instead of exit %d\n%s", argument,
                  options, (unsigned)d->status, status, d->err);
  return d;
}

static void demand_said(const struct death *d, const char *id, size_t times)
{
  ck_assert_msg(death_occurrences(d->err, id) == times,
                "not %zu times %s in\n%s", times, id, d->err);
}

struct outcome {
  const char *options;
  int status; /* of a program that has lost something */
  bool says;  /* GCX-LEAK */
};

static const struct outcome outcomes[] = {
  { "leak=abort" QUICK, -1, true },
  { "leak=exit" QUICK, 23, true },
  { "leak=exit:exitcode=77" QUICK, 77, true },
  { "leak=report" QUICK, 0, true },
  { "leak=dispose" QUICK, 0, false },
  { "leak=off" QUICK, 0, false },
  { "leak=abort:exit_check=off" QUICK, 0, false },
  { "leak=exit:exit_check=off" QUICK, 0, false },
  { "leak=abort:exit_check=undisposed" QUICK, -1, true },
  { "leak=exit:roots=strict" QUICK, 23, true },
  { NULL, -1, true }, /* victim.c is compiled without NDEBUG */
};

static const char *const losers[] = { "frame", "forget", "exit-forgetting",
                                      "thread" };

START_TEST(test_lost_at_exit)
  {
    const struct outcome *o = &outcomes[_i];

    for (size_t i = 0; i < sizeof(losers) / sizeof(losers[0]); i++) {
      const struct death *d = demand(losers[i], o->options, o->status);

      demand_said(d, "gcx: GCX-LEAK: ", o->says ? (i == 0 ? 2 : 1) : 0);
      demand_said(d, "SUMMARY: gcx: ", o->says ? 1 : 0);
    }
  }
END_TEST

START_TEST(test_nothing_lost_at_exit)
  {
    const char *const clean[] = { "clean", "exit-holding", "handler",
                                  "static" };
    const char *options = outcomes[_i].options;

    for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
      bool undisposed = options != NULL &&
                        strstr(options, "undisposed") != NULL &&
                        (i == 1 || i == 3);
      const struct death *d = demand(clean[i], options, undisposed ? 23 : 0);

      demand_said(d, "GCX-LEAK", 0);
      demand_said(d, "gcx: GCX-UNDISPOSED: ", undisposed ? 1 : 0);
      if (!undisposed)
        ck_assert_str_eq(d->err, "");
    }
  }
END_TEST

START_TEST(test_found_at_exit_always)
  {
    char padding[2048];

    /* the same frames at other addresses */
    for (size_t n = 0; n < 40; n++) {
      struct program p = { "victim", "frame", "leak=exit" QUICK, "PADDING",
                           padding };
      const struct death *d;

      memset(padding, 'x', n * 37);
      padding[n * 37] = '\0';
      d = death_run(program_become, &p);
      ck_assert_int_eq(WEXITSTATUS(d->status), 23);
      demand_said(d, "gcx: GCX-LEAK: ", 2);
    }
  }
END_TEST

START_TEST(test_immediate_exit_says_nothing)
  {
    ck_assert_str_eq(demand("_exit", "leak=abort" QUICK, 0)->err, "");
  }
END_TEST

START_TEST(test_status_of_the_program_stays)
  {
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
      ck_assert_str_eq(demand("exit-status", outcomes[i].options, 5)->err, "");
  }
END_TEST

START_TEST(test_undisposed)
  {
    const struct death *d;

    d = demand("static", "leak=exit:exit_check=undisposed" QUICK, 23);
    demand_said(d, "gcx: GCX-UNDISPOSED: ", 1);
    demand_said(d, "gcx: GCX-LEAK: ", 0);
    d = demand("static", "leak=report:exit_check=undisposed" QUICK, 0);
    demand_said(d, "gcx: GCX-UNDISPOSED: ", 1);
    d = demand("handler", "leak=exit:exit_check=undisposed" QUICK, 0);
    ck_assert_str_eq(d->err, "");
  }
END_TEST

/* What the parent holds is the parent's to dispose. */
START_TEST(test_undisposed_in_a_child)
  {
    const char *options = "leak=exit:exit_check=undisposed" QUICK;

    ck_assert_str_eq(demand("fork", options, 0)->err, "");
    demand_said(demand("fork-adopting", options, 23),
                "gcx: GCX-UNDISPOSED: ", 1);
  }
END_TEST

START_TEST(test_output_is_not_lost)
  {
    const struct death *d = demand("print", "leak=exit" QUICK, 23);
    size_t length = strlen(d->out);

    ck_assert_uint_eq(death_occurrences(d->out, " of the output\n"), 20000);
    ck_assert_uint_gt(length, 12);
    ck_assert_str_eq(d->out + length - 12, "the last one");
  }
END_TEST

/* ---- what would stop detection in silence */

static const struct death *run_with(const char *argument, const char *options,
                                    const char *variable, const char *value)
{
  struct program p = { "victim", argument, options, variable, value };

  return death_run(program_become, &p);
}

START_TEST(test_collector_that_does_not_collect)
  {
    const struct death *d;

    d = run_with("forget", "leak=abort" QUICK, "GC_DONT_GC", "1");
    ck_assert_int_eq(WIFEXITED(d->status) ? WEXITSTATUS(d->status) : -1, 24);
    demand_said(d, "indeterminate at exit: ", 1);
    demand_said(d, "GC_DONT_GC", 2); /* at the start, too */
    d = run_with("forget", "leak=report" QUICK, "GC_DONT_GC", "1");
    ck_assert_int_eq(WEXITSTATUS(d->status), 0);
    demand_said(d, "indeterminate at exit: ", 1);
    d = run_with("verdict", "leak=report" QUICK, "GC_DONT_GC", "1");
    ck_assert_ptr_nonnull(strstr(d->out, "verdict 2\n"));
  }
END_TEST

/* Much is still found then; but nothing that is not found is called clean. */
START_TEST(test_find_leak_mode)
  {
    const struct death *d;

    d = run_with("clean", "leak=abort" QUICK, "GC_FIND_LEAK", "1");
    ck_assert_int_eq(WIFEXITED(d->status) ? WEXITSTATUS(d->status) : -1, 24);
    demand_said(d, "indeterminate at exit: ", 1);
    ck_assert_uint_ge(death_occurrences(d->err, "GC_FIND_LEAK"), 2);
    d = run_with("forget", "leak=report" QUICK, "GC_FIND_LEAK", "1");
    ck_assert_int_eq(WIFEXITED(d->status) ? WEXITSTATUS(d->status) : -1, 0);
    demand_said(d, "indeterminate at exit: ", 1);
  }
END_TEST

/* What roots=all has to scan can't be told then: no verdict, and why. */
START_TEST(test_process_that_proc_hides)
  {
    const struct death *d = program_run("victim", "private", "leak=off");

    if (WIFEXITED(d->status) && WEXITSTATUS(d->status) == 97)
      return; /* root without another user to become */
    d = demand("private", "leak=abort" QUICK, 24);
    demand_said(d,
                "indeterminate at exit: not all roots could be scanned: ", 1);
    demand_said(d, "GCX-LEAK", 0);
    d = demand("private", "leak=exit:roots=strict" QUICK, 23);
    demand_said(d, "gcx: GCX-LEAK: ", 1);
    demand_said(d, "indeterminate", 0);
  }
END_TEST

START_TEST(test_verdict_of_a_program)
  {
    ck_assert_str_eq(demand("verdict", "leak=report" QUICK, 0)->out,
                     "verdict 1\n");
    ck_assert_str_eq(demand("verdict", "leak=dispose" QUICK, 0)->out,
                     "verdict 1\n");
    ck_assert_str_eq(demand("verdict", "leak=off" QUICK, 0)->out,
                     "verdict 2\n");
  }
END_TEST

START_TEST(test_what_gcx_says_about_itself)
  {
    const struct death *d = demand("clean", "leak=abort:verbosity=1" QUICK, 0);

    ck_assert_str_eq(d->err, "");
    d = demand("static", "leak=exit:verbosity=2" QUICK, 0);
    demand_said(d, "gcx: until exit: 0 collections, 1 objects allocated, ", 1);
    d = demand("forget", "leak=exit:verbosity=2" QUICK, 23);
    demand_said(d, "gcx: until exit: 0 collections, 100 objects allocated, ",
                1);
  }
END_TEST

static Suite *exit_suite(void)
{
  const int n = (int)(sizeof(outcomes) / sizeof(outcomes[0]));
  Suite *s = suite_create("exit");
  TCase *c = tcase_create("exit");

  tcase_add_loop_test(c, test_lost_at_exit, 0, n);
  tcase_add_loop_test(c, test_nothing_lost_at_exit, 0, n);
  tcase_add_test(c, test_found_at_exit_always);
  tcase_add_test(c, test_immediate_exit_says_nothing);
  tcase_add_test(c, test_status_of_the_program_stays);
  tcase_add_test(c, test_undisposed);
  tcase_add_test(c, test_undisposed_in_a_child);
  tcase_add_test(c, test_output_is_not_lost);
  tcase_add_test(c, test_collector_that_does_not_collect);
  tcase_add_test(c, test_find_leak_mode);
  tcase_add_test(c, test_process_that_proc_hides);
  tcase_add_test(c, test_verdict_of_a_program);
  tcase_add_test(c, test_what_gcx_says_about_itself);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(exit_suite);
