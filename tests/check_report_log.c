/* SPDX-License-Identifier: MIT */
/* check_report_log.c - where reports go: files, stdout, and stderr when those
 * can't be written */
#include "reports.h"

#include <fcntl.h>
#include <sys/stat.h>

static char directory[] = "/tmp/gcx-check-report-XXXXXX";

static void use_log(const char *name)
{
  (void)snprintf(gcx__opt.log_path, sizeof(gcx__opt.log_path), "%s/%s",
                 directory, name);
}

/* Text of the file "name.pid" in the directory; NULL if there is none. */
static const char *log_text(const char *name, pid_t pid)
{
  char path[256];
  int fd;

  (void)snprintf(path, sizeof(path), "%s/%s.%d", directory, name, (int)pid);
  fd = open(path, O_RDONLY);
  if (fd < 0)
    return NULL;
  death_read(fd, printed, sizeof(printed));
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(unlink(path), 0);
  return printed;
}

static void setup_log(void)
{
  setup();
  ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown_log(void)
{
  ck_assert_int_eq(rmdir(directory), 0);
}

static void reports_to_log(void *arg)
{
  struct gcx_report r = leak_report();
  char link_name[256];

  if (arg != NULL && strcmp(arg, "full") == 0) {
    (void)snprintf(link_name, sizeof(link_name), "%s/full.%d", directory,
                   (int)getpid());
    (void)symlink("/dev/full", link_name);
  }
  if (arg != NULL && strchr(arg, '/') != NULL)
    (void)snprintf(gcx__opt.log_path, sizeof(gcx__opt.log_path), "%s",
                   (const char *)arg);
  else if (arg != NULL)
    use_log(arg);
  gcx__report_init();
  gcx__report(&r, 1, true);
}

START_TEST(test_log_file)
  {
    static char name[] = "log";
    const struct death *d;

    gcx__opt.leak = GCX_LEAK_REPORT;
    d = death_demand_exit(reports_to_log, name, 0);
    ck_assert_str_eq(d->err, "");
    ck_assert_ptr_nonnull(log_text(name, d->pid));
    ck_assert_uint_eq(death_occurrences(printed, "gcx: GCX-LEAK: "), 1);
  }
END_TEST

START_TEST(test_fatal_points_to_the_log)
  {
    static char name[] = "log";
    const struct death *d = death_run(reports_to_log, name);

    ck_assert(WIFSIGNALED(d->status));
    ck_assert_int_eq(WTERMSIG(d->status), SIGABRT);
    ck_assert_ptr_nonnull(strstr(d->err, "gcx: GCX-LEAK: fatal, see "));
    ck_assert_ptr_nonnull(log_text(name, d->pid));
    ck_assert_ptr_nonnull(
        strstr(printed, "\nSUMMARY: gcx: 1 object, 48 bytes lost"));
  }
END_TEST

static void only_starts(void *arg)
{
  use_log(arg);
  gcx__report_init();
  gcx__report_summary();
}

START_TEST(test_no_finding_no_file)
  {
    static char name[] = "log";
    const struct death *d = death_demand_exit(only_starts, name, 0);

    ck_assert_str_eq(d->err, "");
    ck_assert_ptr_null(log_text(name, d->pid));
  }
END_TEST

START_TEST(test_unwritable_log)
  {
    static char nowhere[] = "/nonexistent/dir/log";
    const struct death *d =
        death_demand_abort(reports_to_log, nowhere, "GCX-LEAK");

    ck_assert_uint_eq(
        death_occurrences(d->err, "gcx: the log /nonexistent/dir/log."), 1);
    ck_assert_ptr_nonnull(strstr(
        d->err, "can't be written (No such file or directory): reports go "
                "to stderr\n"));
  }
END_TEST

/* Only the file itself can't be had: found out at the first report. */
static void reports_to_a_directory(void *arg)
{
  struct gcx_report r = leak_report();
  char path[256];

  (void)snprintf(path, sizeof(path), "%s/log.%d", directory, (int)getpid());
  if (mkdir(path, 0700) != 0)
    _exit(9);
  use_log(arg);
  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx__report_init();
  gcx__report(&r, 1, true);
  gcx__report(&r, 1, true);
  _exit(rmdir(path) == 0 ? 0 : 9);
}

START_TEST(test_log_that_is_a_directory)
  {
    static char name[] = "log";
    const struct death *d = death_demand_exit(reports_to_a_directory, name, 0);

    ck_assert_uint_eq(
        death_occurrences(d->err, "(Is a directory): reports go to stderr\n"),
        1);
    ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-LEAK: "), 2);
  }
END_TEST

START_TEST(test_full_log_falls_back)
  {
    static char name[] = "full";
    const struct death *d =
        death_demand_abort(reports_to_log, name, "GCX-LEAK");
    char path[256];

    ck_assert_ptr_nonnull(strstr(
        d->err, "can't be written (a write failed): reports go to stderr\n"));
    (void)snprintf(path, sizeof(path), "%s/full.%d", directory, (int)d->pid);
    ck_assert_int_eq(unlink(path), 0);
  }
END_TEST

/* Every number is taken, also those that could be had beyond the limit. */
static void reports_without_descriptors(void *arg)
{
  struct rlimit few = { 64, 64 };
  int last;

  use_log(arg);
  gcx__report_init();
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
  while ((last = dup(STDIN_FILENO)) >= 0)
    ;
  ck_assert_int_eq(errno, EMFILE);
  for (int i = 0; i < 2; i++) {
    struct gcx_report r = leak_report();

    errno = 0;
    gcx__report(&r, 1, true);
    ck_assert_int_eq(errno, 0);
  }
  gcx__report_note("this is said, too");
  gcx__report_summary();
  ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFD), 0); /* it is still ours */
  ck_assert_int_eq(dup(STDIN_FILENO), -1);
}

START_TEST(test_no_descriptor_for_the_log)
  {
    static char name[] = "log";
    const struct death *d;

    gcx__opt.leak = GCX_LEAK_REPORT;
    d = death_demand_exit(reports_without_descriptors, name, 0);
    ck_assert_str_eq(d->err, "");
    ck_assert_ptr_nonnull(log_text(name, d->pid));
    ck_assert_uint_eq(death_occurrences(printed, "gcx: GCX-LEAK: "), 2);
    ck_assert_uint_eq(death_occurrences(printed, "this is said, too"), 1);
    ck_assert_ptr_nonnull(
        strstr(printed, "\nSUMMARY: gcx: 2 objects, 96 bytes lost"));
  }
END_TEST

static void reports_from_elsewhere(void *arg)
{
  struct gcx_report r = leak_report();

  gcx__opt.leak = GCX_LEAK_REPORT;
  if (chdir(directory) != 0)
    _exit(9);
  (void)snprintf(gcx__opt.log_path, sizeof(gcx__opt.log_path), "%s",
                 (const char *)arg);
  gcx__report_init();
  if (chdir("/") != 0)
    _exit(9);
  for (int fd = 3; fd < 64; fd++) /* as daemons do */
    (void)close(fd);
  gcx__report(&r, 1, true);
}

START_TEST(test_relative_log_of_a_daemon)
  {
    static char name[] = "relative";
    const struct death *d = death_demand_exit(reports_from_elsewhere, name, 0);

    ck_assert_ptr_nonnull(log_text(name, d->pid));
  }
END_TEST

START_TEST(test_log_to_stdout)
  {
    const struct death *d;

    gcx__opt.leak = GCX_LEAK_REPORT;
    (void)snprintf(gcx__opt.log_path, sizeof(gcx__opt.log_path), "stdout");
    d = death_demand_exit(reports_to_log, NULL, 0);
    ck_assert_str_eq(d->err, "");
    ck_assert_uint_eq(death_occurrences(d->out, "gcx: GCX-LEAK: "), 1);
  }
END_TEST

static void reports_twice_over_fork(void *arg)
{
  struct gcx_report r = leak_report();
  int status;
  pid_t child;

  use_log(arg);
  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx__report_init();
  gcx__report(&r, 1, true);
  child = fork();
  if (child == 0)
    gcx__report_after_fork();
  r.count = child == 0 ? 2 : 3;
  gcx__report(&r, 1, true);
  gcx__report_summary();
  if (child == 0)
    _exit(0);
  (void)waitpid(child, &status, 0);
  printf("%d", (int)child);
  (void)fflush(stdout);
}

START_TEST(test_child_has_its_own_log)
  {
    static char name[] = "forked";
    const struct death *d = death_demand_exit(reports_twice_over_fork, name, 0);

    ck_assert_ptr_nonnull(log_text(name, (pid_t)atoi(d->out)));
    ck_assert_uint_eq(death_occurrences(printed, "gcx: GCX-LEAK: 2 objects"),
                      1);
    ck_assert_ptr_nonnull(strstr(printed, "SUMMARY: gcx: 2 objects"));
    ck_assert_ptr_nonnull(log_text(name, d->pid));
    ck_assert_uint_eq(death_occurrences(printed, "gcx: GCX-LEAK: "), 2);
    ck_assert_ptr_nonnull(strstr(printed, "SUMMARY: gcx: 4 objects"));
  }
END_TEST

/* ---- suite */

static void add_log(Suite *s)
{
  TCase *t = tcase_create("log");

  tcase_add_checked_fixture(t, setup_log, teardown_log);
  tcase_add_test(t, test_log_file);
  tcase_add_test(t, test_fatal_points_to_the_log);
  tcase_add_test(t, test_no_finding_no_file);
  tcase_add_test(t, test_unwritable_log);
  tcase_add_test(t, test_log_that_is_a_directory);
  tcase_add_test(t, test_full_log_falls_back);
  tcase_add_test(t, test_no_descriptor_for_the_log);
  tcase_add_test(t, test_relative_log_of_a_daemon);
  tcase_add_test(t, test_log_to_stdout);
  tcase_add_test(t, test_child_has_its_own_log);
  suite_add_tcase(s, t);
}

static Suite *report_log_suite(void)
{
  Suite *s = suite_create("report_log");

  add_log(s);
  return s;
}

GCX_CHECK_MAIN(report_log_suite);
