/* SPDX-License-Identifier: MIT */
/* check_low_memory.c - collections when memory is short: the kernel's word for it
 * is POLLPRI, which a socket has for urgent data */
#include "objects.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bdw.h"
#include "low-memory.h"
#include "waits.h"

#define PSI "/proc/pressure/memory"

static void setup(void)
{
  objects_setup(GCX_LEAK_REPORT);
  gcx__opt.low_memory = GCX_LOW_MEMORY_OFF;
}

/* Two ends of a connection on loopback. */
static void connect_ends(int ends[2])
{
  struct sockaddr_in at = { .sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  ck_assert_int_ge(listener, 0);
  ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, size), 0);
  ck_assert_int_eq(listen(listener, 1), 0);
  ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
  ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&at, size), 0);
  ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  ck_assert_int_ge(ends[1], 0);
  (void)close(listener);
}

static void *watches(void *arg)
{
  gcx__low_memory_watch(*(const int *)arg);
  return arg;
}

START_TEST(test_collects_each_time)
  {
    uint64_t before = gcx__bdw_collections();
    int ends[2];
    pthread_t thread;
    char urgent;

    connect_ends(ends);
    thread = thread_start(watches, &ends[1]);
    for (uint32_t i = 1; i <= 3; i++) {
      uint32_t had = gcx__low_memory_reactions();

      ck_assert_int_eq(send(ends[0], "!", 1, MSG_OOB), 1);
      while (gcx__low_memory_reactions() == had)
        (void)sched_yield();
      ck_assert_int_eq(recv(ends[1], &urgent, 1, MSG_OOB), 1);
      ck_assert_uint_ge(gcx__bdw_collections(), before + i);
    }
    /* what fails is watched no more */
    ck_assert_int_eq(shutdown(ends[1], SHUT_RDWR), 0);
    (void)close(ends[0]);
    ck_assert_ptr_eq(thread_join(thread), &ends[1]);
    (void)close(ends[1]);
  }
END_TEST

/* The number is another file's by then, which is not watched. */
START_TEST(test_a_number_used_again)
  {
    uint32_t had = gcx__low_memory_reactions();
    int ends[2], others[2];
    pthread_t thread;

    connect_ends(ends);
    connect_ends(others);
    thread = thread_start(watches, &ends[1]);
    ck_assert_int_eq(send(ends[0], "!", 1, MSG_OOB), 1);
    while (gcx__low_memory_reactions() == had)
      (void)sched_yield();
    ck_assert_int_eq(dup2(others[1], ends[1]), ends[1]);
    /* it may have begun to wait in between */
    ck_assert_int_eq(send(others[0], "!", 1, MSG_OOB), 1);
    ck_assert_ptr_eq(thread_join(thread), &ends[1]);
    for (int i = 0; i < 2; i++) {
      (void)close(ends[i]);
      (void)close(others[i]);
    }
  }
END_TEST

START_TEST(test_files_that_cant_be_had)
  {
    ck_assert_int_eq(gcx__low_memory_open("/nowhere"), -ENOENT);
    ck_assert_int_eq(gcx__low_memory_open("/"), -EISDIR);
    ck_assert_int_lt(gcx__low_memory_open("/proc/self/stat"), 0);
  }
END_TEST

/* Where this kernel tells, it takes what is asked of it. */
START_TEST(test_the_kernels_file)
  {
    int fd = gcx__low_memory_open(PSI);

    if (access(PSI, W_OK) == 0)
      ck_assert_msg(fd >= 0 || fd == -EOPNOTSUPP || fd == -EPERM, "%d", fd);
    else
      ck_assert_int_lt(fd, 0);
    if (fd >= 0)
      (void)close(fd);
  }
END_TEST

static void allocates(void *arg)
{
  gcx__opt.low_memory = GCX_LOW_MEMORY_PSI;
  for (int i = 0; i < 1000; i++)
    gcx_dispose(gcx_alloc(40));
  gcx__low_memory_ensure(); /* once is enough */
  gcx_collect();
  *(int *)arg = 0;
}

static void forks(void *arg)
{
  pid_t child;
  int status;

  allocates(arg);
  child = fork();
  if (child == 0) {
    gcx__low_memory_after_fork();
    allocates(arg);
    _exit(7);
  }
  if (waitpid(child, &status, 0) != child)
    _exit(1);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

/* Told or not, the program goes on, and a child does. */
START_TEST(test_the_program_goes_on)
  {
    int unused = 1;

    (void)death_demand_exit(forks, &unused, 7);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("low_memory");
  TCase *c = tcase_create("low_memory");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_collects_each_time);
  tcase_add_test(c, test_a_number_used_again);
  tcase_add_test(c, test_files_that_cant_be_had);
  tcase_add_test(c, test_the_kernels_file);
  tcase_add_test(c, test_the_program_goes_on);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
