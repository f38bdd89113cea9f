/* SPDX-License-Identifier: MIT */
/* check_fd.c - the ledger of descriptors, as a program with gcx/malloc.h meets it */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "fd.h"
#include "redirect.h"
#include "waits.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static int opened(void)
{
  int fd = gcx_redirect_open("/dev/null", O_RDONLY | O_CLOEXEC);

  ck_assert_int_ge(fd, 0);
  return fd;
}

/* ---- each call is entered and taken out */

static int two[2];

static int call_open(void)
{
  return gcx_redirect_open("/dev/null", O_RDONLY);
}

static int call_open_2(void)
{
  return gcx_redirect_open_2("/dev/null", O_RDONLY);
}

static int call_open_tmpfile(void)
{
  return gcx_redirect_open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static int call_openat(void)
{
  return gcx_redirect_openat(AT_FDCWD, "/dev/null", O_RDONLY);
}

static int call_openat_2(void)
{
  return gcx_redirect_openat_2(AT_FDCWD, "/dev/null", O_RDONLY);
}

static int call_creat(void)
{
  return gcx_redirect_creat("/dev/null", 0600);
}

static int call_socket(void)
{
  return gcx_redirect_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int call_socketpair(void)
{
  ck_assert_int_eq(gcx_redirect_socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
  ck_assert_int_eq(gcx_redirect_close(two[1]), 0);
  return two[0];
}

static int call_pipe(void)
{
  ck_assert_int_eq(gcx_redirect_pipe(two), 0);
  ck_assert_int_eq(gcx_redirect_close(two[1]), 0);
  return two[0];
}

static int call_pipe2(void)
{
  ck_assert_int_eq(gcx_redirect_pipe2(two, O_CLOEXEC), 0);
  ck_assert_int_eq(gcx_redirect_close(two[1]), 0);
  return two[0];
}

static int call_dup(void)
{
  return gcx_redirect_dup(STDERR_FILENO);
}

static int call_dup2(void)
{
  return gcx_redirect_dup2(STDERR_FILENO, 77);
}

static int call_dup3(void)
{
  return gcx_redirect_dup3(STDERR_FILENO, 78, O_CLOEXEC);
}

static int call_epoll(void)
{
  return gcx_redirect_epoll_create1(0);
}

static int call_eventfd(void)
{
  return gcx_redirect_eventfd(0, 0);
}

static int call_timerfd(void)
{
  return gcx_redirect_timerfd_create(CLOCK_MONOTONIC, 0);
}

static int call_memfd(void)
{
  return gcx_redirect_memfd_create("x", 0);
}

static int (*const calls[])(void) = {
  call_open,    call_open_2, call_open_tmpfile, call_openat, call_openat_2,
  call_creat,   call_socket, call_socketpair,   call_pipe,   call_pipe2,
  call_dup,     call_dup2,   call_dup3,         call_epoll,  call_eventfd,
  call_timerfd, call_memfd,
};

START_TEST(test_each_call_is_entered)
  {
    size_t before = gcx__fd_open_count();
    int fd = calls[_i]();

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    ck_assert_uint_eq(gcx__fd_open_count(), before + 1);
    ck_assert_int_eq(gcx_redirect_close(fd), 0);
    ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
    ck_assert_uint_eq(gcx__fd_open_count(), before);
  }
END_TEST

START_TEST(test_accepted)
  {
    struct sockaddr_storage a = { .ss_family = AF_UNIX };
    socklen_t bytes = sizeof(sa_family_t);
    int listener = gcx_redirect_socket(AF_UNIX, SOCK_STREAM, 0), client, fd;
    size_t before;

    ck_assert_int_eq(bind(listener, (struct sockaddr *)(void *)&a, bytes), 0);
    ck_assert_int_eq(listen(listener, 2), 0);
    bytes = sizeof a;
    ck_assert_int_eq(
        getsockname(listener, (struct sockaddr *)(void *)&a, &bytes), 0);
    for (int i = 0; i < 2; i++) {
      client = gcx_redirect_socket(AF_UNIX, SOCK_STREAM, 0);
      ck_assert_int_eq(connect(client, (struct sockaddr *)(void *)&a, bytes),
                       0);
      before = gcx__fd_open_count();
      fd = i == 0 ? gcx_redirect_accept(listener, NULL, NULL)
                  : gcx_redirect_accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      ck_assert_int_ge(fd, 0);
      ck_assert_uint_eq(gcx__fd_open_count(), before + 1);
      ck_assert_int_eq(gcx_redirect_close(fd), 0);
      ck_assert_int_eq(gcx_redirect_close(client), 0);
    }
    ck_assert_int_eq(gcx_redirect_close(listener), 0);
  }
END_TEST

START_TEST(test_failures_are_the_c_librarys)
  {
    size_t before = gcx__fd_open_count();

    errno = 0;
    ck_assert_int_eq(gcx_redirect_open("/nowhere", O_RDONLY), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(gcx_redirect_dup(-1), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(gcx_redirect_close(-1), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(gcx_redirect_pipe2(two, -1), -1);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_uint_eq(gcx__fd_open_count(), before);
  }
END_TEST

START_TEST(test_close_range)
  {
    size_t before = gcx__fd_open_count();
    int a = gcx_redirect_dup2(STDERR_FILENO, 100);
    int b = gcx_redirect_dup2(STDERR_FILENO, 101);

    ck_assert_uint_eq(gcx__fd_open_count(), before + 2);
    ck_assert_int_eq(gcx_redirect_close_range(100, 200, 0), 0);
    ck_assert_int_lt(fcntl(a, F_GETFD), 0);
    ck_assert_int_lt(fcntl(b, F_GETFD), 0);
    ck_assert_uint_eq(gcx__fd_open_count(), before);
  }
END_TEST

/* ---- whose is it? */

static GCX_NOINLINE void close_it(int fd)
{
  (void)gcx_redirect_close(fd);
}

static void closes_twice(void *arg)
{
  int fd = opened();

  (void)arg;
  close_it(fd);
  (void)gcx_redirect_close(fd);
}

static void closes_a_handles(void *arg)
{
  struct gcx_handle *h = gcx_fd_open("/etc/passwd", O_RDONLY, 0);
  intptr_t fd;

  (void)arg;
  if (gcx_handle_acquire(h, &fd))
    (void)gcx_redirect_close((int)fd);
}

static void closes_a_streams(void *arg)
{
  struct gcx_file *f = gcx_file_open("/etc/passwd", "r");

  (void)arg;
  (void)gcx_redirect_close(fileno(gcx_file_stream(f)));
}

static void closes_a_libc_streams(void *arg)
{
  (void)arg;
  (void)gcx_redirect_close(fileno(gcx_redirect_fopen("/etc/passwd", "r")));
}

static void closes_a_dirs(void *arg)
{
  (void)arg;
  (void)gcx_redirect_close(dirfd(gcx_redirect_opendir("/etc")));
}

START_TEST(test_misuse)
  {
    static const struct {
      death_fn body;
      const char *says;
      const char *also;
    } cases[] = {
      { closes_twice, "it has been closed already", "  disposed  here\n" },
      { closes_a_handles, "it belongs to a handle", "/etc/passwd, reading" },
      { closes_a_streams, "it belongs to a stream (FILE)", "  opened " },
      { closes_a_libc_streams, "it belongs to a stream (FILE)", "  opened " },
      { closes_a_dirs, "it belongs to a directory stream (DIR)", "  opened " },
    };
    const struct death *d =
        death_demand_abort(cases[_i].body, NULL, "GCX-FD-OWNER");

    ck_assert_ptr_nonnull(strstr(d->err, cases[_i].says));
    ck_assert_ptr_nonnull(strstr(d->err, cases[_i].also));
    ck_assert_ptr_nonnull(strstr(d->err, "  closed    in thread"));
  }
END_TEST

/* The file's name is a line of a report, and clears the screen. */
#define ODD_FILE "/tmp/gcx-check-fd-\n==1== gcx: GCX-LEAK: \033[2J\377"

static void closes_a_handles_odd_file(void *arg)
{
  struct gcx_handle *h = gcx_fd_open(ODD_FILE, O_RDONLY | O_CREAT, 0600);
  intptr_t fd;

  (void)arg;
  (void)unlink(ODD_FILE);
  if (gcx_handle_acquire(h, &fd))
    (void)gcx_redirect_close((int)fd);
}

START_TEST(test_odd_names)
  {
    const struct death *d =
        death_demand_abort(closes_a_handles_odd_file, NULL, "GCX-FD-OWNER");

    ck_assert_ptr_nonnull(strstr(d->err,
                                 "/tmp/gcx-check-fd-\\x0a==1== gcx: GCX-LEAK: "
                                 "\\x1b[2J\\xff (deleted), reading\n"));
    ck_assert_ptr_null(strchr(d->err, '\033'));
  }
END_TEST

static struct seen *quiet_reports(void)
{
  struct seen *seen = seen_begin();

  objects_be_quiet();
  objects_setup(GCX_LEAK_REPORT);
  return seen;
}

START_TEST(test_report_goes_on)
  {
    struct seen *seen = quiet_reports();
    int fd = opened();

    close_it(fd);
    errno = 0;
    ck_assert_int_eq(gcx_redirect_close(fd), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 1);
    ck_assert_uint_ne(seen->last.use_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, 0);
    ck_assert_uint_ne(seen->last.birth_site, 0);
  }
END_TEST

/* As a library does that is not compiled with the header. */
START_TEST(test_behind_the_ledgers_back)
  {
    struct seen *seen = quiet_reports();
    struct gcx_handle *h = gcx_fd_open("/etc/passwd", O_RDONLY, 0);
    intptr_t raw;
    int fd = opened(), other;
    FILE *f;

    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(gcx_redirect_close(fd), -1); /* who closed it? unknown */
    fd = opened();
    ck_assert_int_eq(close(fd), 0);
    other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(other, fd);
    ck_assert_int_eq(gcx_redirect_close(other), 0);
    ck_assert(gcx_handle_acquire(h, &raw));
    ck_assert_int_eq(close((int)raw), 0);
    other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(other, (int)raw); /* somebody else's file by now */
    ck_assert_int_eq(gcx_redirect_close(other), 0);
    gcx_handle_release(h);
    gcx_handle_set_invalid(h);
    f = gcx_redirect_fopen("/etc/passwd", "r");
    other = fileno(f);
    ck_assert_int_eq(fclose(f), 0); /* as a library that was handed it */
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fd, other);
    ck_assert_int_eq(gcx_redirect_close(fd), 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 0);
  }
END_TEST

START_TEST(test_sweeps_are_no_mistakes)
  {
    struct seen *seen = quiet_reports();
    int fds[8];

    for (int i = 0; i < 8; i++)
      fds[i] = gcx_redirect_dup2(STDERR_FILENO, 200 + i);
    for (volatile int i = 0; i < 8; i++)
      ck_assert_int_eq(gcx_redirect_close(fds[i]), 0);
    for (volatile int fd = 190; fd < 220; fd++)
      (void)gcx_redirect_close(fd);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 0);
  }
END_TEST

static void closes_what_the_parent_had(void *arg)
{
  close_it(*(int *)arg);
}

/* Some stay open on the way; but whoever begins again has closed twice. */
START_TEST(test_a_sweep_leaves_some_out)
  {
    struct seen *seen = quiet_reports();

    for (int fd = 200; fd < 240; fd++)
      ck_assert_int_eq(gcx_redirect_dup2(STDERR_FILENO, fd), fd);
    for (volatile int fd = 200; fd < 240; fd++)
      ck_assert_int_eq(gcx_redirect_close(fd), 0);
    for (volatile int i = 0; i < 2; i++)
      for (volatile int fd = 198 + i * 2; fd < 240; fd++)
        if (fd != 205 && (fd < 210 || fd > 215))
          (void)gcx_redirect_close(fd);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 1);
  }
END_TEST

static char vfork_stack[256 << 10] __attribute__((aligned(16)));

static int closes_before_exec(void *arg)
{
  return gcx_redirect_close(*(int *)arg) != 0;
}

/* Memory is the parent's, the descriptors are not: it may close what a stream
 * has, or what it has closed before. */
START_TEST(test_the_child_of_a_vfork)
  {
    struct seen *seen = quiet_reports();
    struct gcx_file *f = gcx_file_open("/etc/passwd", "r");
    int fd = fileno(gcx_file_stream(f)), status;
    pid_t pid = clone(closes_before_exec, vfork_stack + sizeof vfork_stack,
                      CLONE_VM | CLONE_VFORK | SIGCHLD, &fd);

    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 0);
    ck_assert_int_eq(gcx_close(f), 0);
  }
END_TEST

START_TEST(test_the_child_is_another_process)
  {
    struct gcx_file *f = gcx_file_open("/etc/passwd", "r");
    int fd = fileno(gcx_file_stream(f));

    gcx__fd_after_fork(); /* what fork.c does, in a library that is started */
    (void)death_demand_exit(closes_what_the_parent_had, &fd, 0);
    ck_assert_uint_eq(gcx__fd_open_count(), 0);
    gcx_dispose(f);
  }
END_TEST

static GCX_NOINLINE void open_some(int *ret_fds, size_t n)
{
  for (size_t i = 0; i < opaque_size(n); i++)
    ret_fds[i] = opened();
}

START_TEST(test_what_is_left_at_exit)
  {
    struct seen *seen = quiet_reports();
    int gone = opened(), fds[3] = { 0 };
    size_t left;

    open_some(fds, 3);
    ck_assert_int_eq(close(gone), 0);
    left = gcx__fd_undisposed();
    ck_assert_uint_eq(left, 3);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_UNDISPOSED], 1);
    ck_assert_uint_eq(seen->last.count, 3);
    ck_assert_str_eq(seen->last.ended_by, "close");
    ck_assert_ptr_nonnull(strstr(seen->last.description, "/dev/null"));
    for (int i = 0; i < 3; i++)
      ck_assert_int_eq(gcx_redirect_close(fds[i]), 0);
    ck_assert_uint_eq(gcx__fd_undisposed(), 0);
  }
END_TEST

/* ---- threads: each number has one owner at a time */

#define THREADS 4
#define ROUNDS 2000

static void *opens_and_closes(void *unused)
{
  for (int i = 0; i < ROUNDS; i++)
    if (gcx_redirect_close(gcx_redirect_dup(STDERR_FILENO)) != 0)
      return "not closed";
  return unused;
}

START_TEST(test_threads)
  {
    struct seen *seen = quiet_reports();
    pthread_t threads[THREADS];
    size_t before = gcx__fd_open_count();

    for (int i = 0; i < THREADS; i++)
      threads[i] = thread_start(opens_and_closes, NULL);
    for (int i = 0; i < THREADS; i++)
      ck_assert_ptr_null(thread_join(threads[i]));
    ck_assert_uint_eq(gcx__fd_open_count(), before);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FD_OWNER], 0);
  }
END_TEST

static Suite *fd_suite(void)
{
  Suite *s = suite_create("fd");
  TCase *c = tcase_create("fd");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_each_call_is_entered, 0,
                      (int)GCX_ARRAY_LENGTH(calls));
  tcase_add_test(c, test_accepted);
  tcase_add_test(c, test_failures_are_the_c_librarys);
  tcase_add_test(c, test_close_range);
  tcase_add_loop_test(c, test_misuse, 0, 5);
  tcase_add_test(c, test_odd_names);
  tcase_add_test(c, test_report_goes_on);
  tcase_add_test(c, test_behind_the_ledgers_back);
  tcase_add_test(c, test_sweeps_are_no_mistakes);
  tcase_add_test(c, test_a_sweep_leaves_some_out);
  tcase_add_test(c, test_the_child_of_a_vfork);
  tcase_add_test(c, test_the_child_is_another_process);
  tcase_add_test(c, test_what_is_left_at_exit);
  tcase_add_test(c, test_threads);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(fd_suite);
