/* SPDX-License-Identifier: MIT */
/* check_helper.c - helpers that hang, die and lie; what the program notices of
 * one: nothing */
#include "symbols.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- helpers that are not what they should be */

static void use_script(const char *body)
{
  char text[1024];

  (void)snprintf(text, sizeof(text), "#!/bin/sh\ncd %s\n%s\n", directory, body);
  write_file("helper", text, 0700);
  (void)snprintf(text, sizeof(text), "%s/helper", directory);
  ck_assert_int_eq(setenv("GCX_SYMBOLIZER", text, 1), 0);
  gcx__symbolize_init();
}

static uint64_t timed_look_up(void)
{
  uint64_t start = gcx__now_ns();

  look_up((uintptr_t)conn_open + 1);
  return (gcx__now_ns() - start) / 1000000;
}

START_TEST(test_missing_helper)
  {
    struct gcx__symbolize_stats stats;

    ck_assert_int_eq(setenv("GCX_SYMBOLIZER", "/nonexistent", 1), 0);
    gcx__symbolize_init();
    look_up((uintptr_t)conn_open + 1);
    nothing_is_known((uintptr_t)conn_open + 1);
    problem_has(
        "/nonexistent could not be started (No such file or directory)");
    gcx__symbolize_stats(&stats);
    ck_assert_uint_eq(stats.helpers, 0);
  }
END_TEST

/* It is killed: the pipe that only it holds has an end. */
START_TEST(test_hanging_helper)
  {
    char path[256], c;
    int fd;

    run("mkfifo held");
    (void)snprintf(path, sizeof(path), "%s/held", directory);
    fd = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
    use_script("exec 3>held; echo x >&3; exec sleep 600");
    gcx__opt.symbolize_ms = 500;
    ck_assert_uint_lt(timed_look_up(), 2000);
    problem_has("did not answer within 500 ms");
    ck_assert_int_eq(read(fd, &c, 1), 1);
    ck_assert_int_eq(read(fd, &c, 1), 1);
    ck_assert_int_eq(read(fd, &c, 1), 0);
    nothing_is_known((uintptr_t)conn_open + 1);
    /* Not again: a report must not cost that much each time. */
    look_up((uintptr_t)conn_read + 1);
    ck_assert_uint_lt(timed_look_up(), 400);
    problem_has("did not answer within 500 ms");
  }
END_TEST

START_TEST(test_dying_helper)
  {
    use_script("exit 3");
    ck_assert_uint_lt(timed_look_up(), 4000);
    problem_has("ended before it had answered");
  }
END_TEST

START_TEST(test_babbling_helper)
  {
    use_script(_i == 0 ? "exec yes" : "exec cat /dev/zero");
    gcx__opt.symbolize_ms = 300;
    ck_assert_uint_lt(timed_look_up(), 2000);
    nothing_is_known((uintptr_t)conn_open + 1);
  }
END_TEST

START_TEST(test_answers_before_the_end_count)
  {
    uintptr_t pcs[2] = { (uintptr_t)conn_open + 1, (uintptr_t)conn_read + 1 };

    use_script("read a; printf 'f\\tx.c\\t7\\t0\\n\\ng\\th.c\\t8\\t1\\n'");
    gcx__symbolize_begin();
    gcx__symbolize_add(gcx__depot_put(pcs, 2));
    gcx__symbolize_run();
    source_is(pcs[0], gcx__modules_epoch(), 0, "f", "x.c", 7, false);
    problem_has("ended before");
  }
END_TEST

/* The requests are more than a socket holds: the helper has gone while some are
 * still to be sent. */
START_TEST(test_answers_count_although_requests_are_left)
  {
    uintptr_t pc = (uintptr_t)conn_open + 1;
    uintptr_t base =
        (uintptr_t)gcx__modules_find(pc, gcx__modules_epoch())->low;

    use_script("read a; printf 'f\\tx.c\\t7\\t0\\n\\n'");
    gcx__symbolize_begin();
    gcx__symbolize_add(gcx__depot_put(&pc, 1));
    for (uintptr_t at = base + 1; at < base + 10000; at++)
      gcx__symbolize_add(gcx__depot_put(&at, 1));
    gcx__symbolize_run();
    source_is(pc, gcx__modules_epoch(), 0, "f", "x.c", 7, false);
    problem_has("ended before");
  }
END_TEST

START_TEST(test_no_descriptor_left)
  {
    struct rlimit limit, none;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    look_up((uintptr_t)conn_open + 1);
    nothing_is_known((uintptr_t)conn_open + 1);
    problem_has("no socket for the helper could be had (Too many open files)");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    look_up((uintptr_t)conn_read + 1);
    /* This time both are asked. */
    source_is((uintptr_t)conn_open + 1, gcx__modules_epoch(), 0, "conn_open",
              "reports.h", conn_open_line, false);
  }
END_TEST

START_TEST(test_switched_off)
  {
    struct gcx__symbolize_stats stats;

    gcx__opt.symbolize_ms = 0;
    look_up((uintptr_t)conn_open + 1);
    problem_has("symbolize_ms=0");
    gcx__symbolize_stats(&stats);
    ck_assert_uint_eq(stats.helpers, 0);
  }
END_TEST

/* ---- what the program notices */

static volatile sig_atomic_t signals_seen;

static void count_signal(int sig)
{
  (void)sig;
  signals_seen++;
}

static void works(void)
{
  look_up((uintptr_t)conn_open + 1);
  source_is((uintptr_t)conn_open + 1, gcx__modules_epoch(), 0, "conn_open",
            "reports.h", conn_open_line, false);
}

START_TEST(test_no_child_to_be_seen)
  {
    sigset_t before, after;

    (void)signal(SIGCHLD, count_signal);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &before), 0);
    works();
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    for (int sig = 1; sig < 32; sig++)
      ck_assert_int_eq(sigismember(&before, sig), sigismember(&after, sig));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_int_eq(signals_seen, 0);
  }
END_TEST

START_TEST(test_children_ignored)
  {
    (void)signal(SIGCHLD, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    works();
    (void)signal(SIGCHLD, SIG_DFL); /* the end of the test needs it */
  }
END_TEST

/* A process that adopts orphans, as the first one of a container does. */
START_TEST(test_reaper)
  {
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    works();
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
  }
END_TEST

START_TEST(test_standard_descriptors_closed)
  {
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    (void)close(STDERR_FILENO);
    works();
  }
END_TEST

/* ---- a program that closes what it does not know, and opens files of its own */

static int own_pair[2], next_number, started;

static void *takes_the_number(void *arg)
{
  char c;

  if (read(started, &c, 1) != 1 || fcntl(next_number, F_GETFD) < 0 ||
      dup2(own_pair[0], next_number) < 0)
    return NULL;
  return arg;
}

START_TEST(test_number_is_taken_meanwhile)
  {
    uintptr_t pc = (uintptr_t)conn_open + 1;
    struct stat own, now;
    pthread_t thread;
    char path[256], byte;
    void *result;

    run("mkfifo started");
    (void)snprintf(path, sizeof(path), "%s/started", directory);
    started = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(started, 0);
    /* It answers nothing; by then the request has left, all of it. */
    use_script("while read line; do :; done; echo x > started; exec sleep 4");
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, own_pair), 0);
    ck_assert_int_eq(fstat(own_pair[0], &own), 0);
    next_number = dup(own_pair[0]);
    ck_assert_int_eq(close(next_number), 0);
    gcx__opt.symbolize_ms = 1500;
    ck_assert_int_eq(pthread_create(&thread, NULL, takes_the_number, &own), 0);
    look_up(pc);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    if (result == NULL)
      return; /* it came too late: gcx was done */
    nothing_is_known(pc);
    ck_assert_int_eq(fstat(next_number, &now), 0);
    ck_assert_uint_eq(now.st_ino, own.st_ino);
    ck_assert_int_eq(recv(own_pair[1], &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
  }
END_TEST

static void ignore_all_signals(void)
{
  for (int sig = 1; sig <= SIGRTMAX; sig++)
    if (sig != SIGCHLD) /* the end of the test needs it */
      (void)signal(sig, SIG_IGN);
}

/* What the helper is born with: see the file that it writes. */
START_TEST(test_helper_inherits_nothing)
  {
    static char text[8192];
    char path[256];
    int fd, leaked = open("/dev/null", O_RDONLY);

    ck_assert_int_ge(leaked, 3);
    ck_assert_int_eq(setenv("GCX_OPTIONS", "leak=abort", 1), 0);
    ck_assert_int_eq(setenv("LD_PRELOAD", "", 1), 0);
    ignore_all_signals();
    gcx__opt.symbolize_ms = 60000; /* until it has written all */
    use_script("{ env; ls -l /proc/$$/fd; grep -E 'Sig(Blk|Ign)' "
               "/proc/self/status; } > seen");
    look_up((uintptr_t)conn_open + 1);
    (void)snprintf(path, sizeof(path), "%s/seen", directory);
    fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    death_read(fd, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "GCX_"));
    ck_assert_ptr_null(strstr(text, "LD_PRELOAD"));
    ck_assert_uint_eq(death_occurrences(text, "/dev/null"), 1); /* its stderr */
    ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000\n") != NULL, "%s",
                  text);
    ck_assert_msg(strstr(text, "SigIgn:\t0000000000000000\n") != NULL, "%s",
                  text);
  }
END_TEST

static Suite *helper_suite(void)
{
  Suite *s = suite_create("helper");
  TCase *helpers = tcase_create("helpers");

  tcase_add_checked_fixture(helpers, setup_directory, teardown_directory);
  tcase_add_test(helpers, test_missing_helper);
  tcase_add_test(helpers, test_hanging_helper);
  tcase_add_test(helpers, test_dying_helper);
  tcase_add_loop_test(helpers, test_babbling_helper, 0, 2);
  tcase_add_test(helpers, test_answers_before_the_end_count);
  tcase_add_test(helpers, test_answers_count_although_requests_are_left);
  tcase_add_test(helpers, test_no_descriptor_left);
  tcase_add_test(helpers, test_number_is_taken_meanwhile);
  tcase_add_test(helpers, test_switched_off);
  tcase_add_test(helpers, test_no_child_to_be_seen);
  tcase_add_test(helpers, test_children_ignored);
  tcase_add_test(helpers, test_reaper);
  tcase_add_test(helpers, test_standard_descriptors_closed);
  tcase_add_test(helpers, test_helper_inherits_nothing);
  suite_add_tcase(s, helpers);
  return s;
}

GCX_CHECK_MAIN(helper_suite);
