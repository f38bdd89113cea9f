/* SPDX-License-Identifier: MIT */
/* check_wait.c - calls that wait: a collection does not interrupt them, a signal
 * of the program's own does */
#include "collecting.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "bdw.h"
#include "interpose-signal.h"
#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__) /* has these functions itself */

#define WAIT_MS 20
#define WAIT_NS ((uint64_t)WAIT_MS * 1000000)

static const struct timespec short_time = { 0, (long)WAIT_NS };

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static int pipe_of_silence(void)
{
  int ends[2];

  ck_assert_int_eq(pipe(ends), 0);
  return ends[0];
}

/* ---- the calls: 0 if the time passed, else what went wrong */

static int said(int result, int quiet)
{
  return result == quiet ? 0 : result < 0 ? errno : -1;
}

static int by_poll(void)
{
  struct pollfd p = { .fd = pipe_of_silence(), .events = POLLIN };

  return said(poll(&p, 1, WAIT_MS), 0);
}

static int by_ppoll(void)
{
  struct pollfd p = { .fd = pipe_of_silence(), .events = POLLIN };

  return said(ppoll(&p, 1, &short_time, NULL), 0);
}

static int by_select(void)
{
  struct timeval limit = { 0, WAIT_MS * 1000 };
  int fd = pipe_of_silence();
  fd_set set;

  FD_ZERO(&set);
  FD_SET(fd, &set);
  return said(select(fd + 1, &set, NULL, NULL, &limit), 0);
}

static int by_pselect(void)
{
  int fd = pipe_of_silence();
  fd_set set;
  sigset_t none;

  FD_ZERO(&set);
  FD_SET(fd, &set);
  (void)sigemptyset(&none);
  return said(pselect(fd + 1, &set, NULL, NULL, &short_time, &none), 0);
}

static int by_epoll(void)
{
  struct epoll_event events[4];
  int fd = epoll_create1(EPOLL_CLOEXEC), result;

  result = said(epoll_wait(fd, events, 4, WAIT_MS), 0);
  (void)close(fd);
  return result;
}

static int by_epoll_pwait(void)
{
  struct epoll_event events[4];
  int fd = epoll_create1(EPOLL_CLOEXEC), result;

  result = said(epoll_pwait(fd, events, 4, WAIT_MS, NULL), 0);
  (void)close(fd);
  return result;
}

static int by_epoll_pwait2(void)
{
  struct epoll_event events[4];
  int fd = epoll_create1(EPOLL_CLOEXEC), result;

  result = said(epoll_pwait2(fd, events, 4, &short_time, NULL), 0);
  (void)close(fd);
  return result;
}

static int by_nanosleep(void)
{
  return said(nanosleep(&short_time, NULL), 0);
}

static int by_clock_nanosleep(void)
{
  return clock_nanosleep(CLOCK_MONOTONIC, 0, &short_time, NULL);
}

static struct timespec soon(clockid_t clock)
{
  struct timespec t;

  (void)clock_gettime(clock, &t);
  t.tv_nsec += (long)WAIT_NS;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static int by_clock_nanosleep_until(void)
{
  struct timespec t = soon(CLOCK_MONOTONIC);

  return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int by_usleep(void)
{
  return said(usleep(WAIT_MS * 1000), 0);
}

static int by_sem_timedwait(void)
{
  struct timespec t = soon(CLOCK_REALTIME);
  sem_t s;

  ck_assert_int_eq(sem_init(&s, 0, 0), 0);
  return sem_timedwait(&s, &t) == -1 && errno == ETIMEDOUT ? 0 : errno;
}

static int by_sem_clockwait(void)
{
  struct timespec t = soon(CLOCK_MONOTONIC);
  sem_t s;

  ck_assert_int_eq(sem_init(&s, 0, 0), 0);
  return sem_clockwait(&s, CLOCK_MONOTONIC, &t) == -1 && errno == ETIMEDOUT
             ? 0
             : errno;
}

static int by_sigtimedwait(void)
{
  sigset_t set;

  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGUSR2);
  return sigtimedwait(&set, NULL, &short_time) == -1 && errno == EAGAIN ? 0
                                                                        : errno;
}

static const struct {
  const char *name;
  int (*wait)(void);
} calls[] = {
  { "poll", by_poll },
  { "ppoll", by_ppoll },
  { "select", by_select },
  { "pselect", by_pselect },
  { "epoll_wait", by_epoll },
  { "epoll_pwait", by_epoll_pwait },
  { "epoll_pwait2", by_epoll_pwait2 },
  { "nanosleep", by_nanosleep },
  { "clock_nanosleep", by_clock_nanosleep },
  { "clock_nanosleep, until", by_clock_nanosleep_until },
  { "usleep", by_usleep },
  { "sem_timedwait", by_sem_timedwait },
  { "sem_clockwait", by_sem_clockwait },
  { "sigtimedwait", by_sigtimedwait },
};
#define CALLS ((int)GCX_ARRAY_LENGTH(calls))

/* ---- collections, all the time */

START_TEST(test_a_collection_interrupts_nothing)
  {
    pthread_t id = start_collecting();
    uint32_t with_stops = 0;

    for (int i = 0; i < 100 && with_stops < 2; i++) {
      uint32_t stops = gcx__bdw_stops();
      uint64_t begin = gcx__now_ns();
      int error = calls[_i].wait();

      ck_assert_msg(error == 0, "%s: %s", calls[_i].name, strerror(error));
      /* not less than it was asked for, but for the clocks' grain */
      ck_assert_uint_ge(gcx__now_ns() - begin, WAIT_NS - 5000000);
      with_stops += gcx__bdw_stops() != stops;
    }
    stop_collecting(id);
    ck_assert_uint_eq(with_stops, 2);
  }
END_TEST

/* ---- the program's own signals */

static int forever_by_poll(void)
{
  return poll(NULL, 0, -1);
}

static int forever_by_select(void)
{
  return select(0, NULL, NULL, NULL, NULL);
}

static int forever_by_epoll(void)
{
  struct epoll_event event;

  return epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, -1);
}

static int long_by_nanosleep(void)
{
  const struct timespec hour = { 3600, 0 };
  struct timespec left = { 0, 0 };
  int result = nanosleep(&hour, &left);

  ck_assert_int_gt(left.tv_sec, 3000);
  ck_assert_int_le(left.tv_sec, 3600);
  return result;
}

static int long_by_clock_nanosleep(void)
{
  const struct timespec hour = { 3600, 0 };

  errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, NULL);
  return errno == 0 ? 0 : -1;
}

static int long_by_sleep(void)
{
  unsigned left = sleep(3600);

  ck_assert_uint_gt(left, 3000);
  errno = EINTR;
  return -1;
}

static int forever_by_pause(void)
{
  return pause();
}

static int forever_by_sigsuspend(void)
{
  sigset_t none;

  (void)sigemptyset(&none);
  return sigsuspend(&none);
}

static int (*const long_waits[])(void) = {
  forever_by_poll,   forever_by_select,     forever_by_epoll,
  long_by_nanosleep, long_by_sleep,         long_by_clock_nanosleep,
  forever_by_pause,  forever_by_sigsuspend,
};

/* Collections and signals, both: the signal is the program's to see. */
START_TEST(test_a_signal_interrupts)
  {
    pthread_t id;

    take_signal();
    id = start_collecting();
    for (int i = 0; i < 5; i++) {
      errno = 0;
      ck_assert_int_eq(long_waits[_i](), -1);
      ck_assert_int_eq(errno, EINTR);
    }
    stop_collecting(id);
    ck_assert_int_gt(handled, 0);
  }
END_TEST

/* What is left of a second is none: whole ones count. */
START_TEST(test_sleep_says_what_is_left)
  {
    const struct itimerval soon = { .it_value = { 0, 50000 } };

    take_signal();
    (void)signal(SIGALRM, on_signal);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    ck_assert_uint_eq(sleep(1), 0);
  }
END_TEST

/* A program that lets nothing in while it waits must not hold up a collection. */
START_TEST(test_a_mask_does_not_stop_collections)
  {
    struct pollfd p = { .events = POLLIN };
    sigset_t all;
    int ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    (void)sigfillset(&all);
    p.fd = ends[0];
    pid = fork(); /* ends the wait however it goes */
    if (pid == 0) {
      (void)sleep(1);
      _exit(write(ends[1], "", 1) != 1);
    }
    pthread_t id = start_collecting();
    uint32_t stops = gcx__bdw_stops();
    ck_assert_int_eq(ppoll(&p, 1, NULL, &all), 1);
    ck_assert_uint_gt(gcx__bdw_stops() - stops, 1);
    stop_collecting(id);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
  }
END_TEST

/* ---- sigaction() and signal() as ever */

static siginfo_t last_info;

static void on_info(int number, siginfo_t *info, void *context)
{
  handled += number == SIGUSR1 && context != NULL;
  last_info = *info;
}

START_TEST(test_handlers_are_the_programs)
  {
    struct sigaction a = { .sa_flags = SA_SIGINFO | SA_RESETHAND }, old;
    const union sigval value = { .sival_int = 4711 };

    a.sa_sigaction = on_info;
    ck_assert_int_eq(sigaction(SIGUSR1, NULL, &old), 0);
    ck_assert(old.sa_handler == SIG_DFL);
    ck_assert_int_eq(sigaction(SIGUSR1, &a, &old), 0);
    ck_assert(old.sa_handler == SIG_DFL);
    ck_assert_int_eq(sigaction(SIGUSR1, NULL, &old), 0);
    ck_assert(old.sa_sigaction == on_info);
    ck_assert_int_eq(old.sa_flags & SA_SIGINFO, SA_SIGINFO);
    ck_assert_int_eq(sigqueue(getpid(), SIGUSR1, value), 0);
    ck_assert_int_eq(handled, 1);
    ck_assert_int_eq(last_info.si_value.sival_int, 4711);
    ck_assert_int_eq(sigaction(SIGUSR1, NULL, &old), 0);
    ck_assert(old.sa_handler == SIG_DFL); /* SA_RESETHAND */
  }
END_TEST

START_TEST(test_signal_returns_the_old_handler)
  {
    struct sigaction old;

    ck_assert(signal(SIGUSR1, on_signal) == SIG_DFL);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert_int_eq(handled, 1);
    ck_assert(signal(SIGUSR1, SIG_IGN) == on_signal);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    ck_assert(signal(SIGUSR1, on_signal) == SIG_IGN);
    ck_assert_int_eq(sigaction(SIGUSR1, NULL, &old), 0);
    ck_assert(old.sa_handler == on_signal);
    ck_assert(signal(SIGUSR1, SIG_DFL) == on_signal);
    ck_assert(signal(NSIG + 1, on_signal) == SIG_ERR);
    ck_assert_int_eq(sigaction(0, NULL, &old), -1);
    ck_assert_int_eq(sigaction(SIGKILL, &old, NULL), -1);
    errno = 0;
    ck_assert(signal(SIGKILL, on_signal) == SIG_ERR);
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

#endif

START_TEST(test_masks_spare_the_collector)
  {
    sigset_t all, spared;
    int suspend, restart;

    gcx__bdw_signals(&suspend, &restart);
    (void)sigfillset(&all);
    ck_assert_ptr_null(gcx__signal_spare(NULL, &spared));
    ck_assert_ptr_eq(gcx__signal_spare(&all, &spared), &spared);
    ck_assert_int_eq(sigismember(&spared, suspend), 0);
    ck_assert_int_eq(sigismember(&spared, restart), 0);
    ck_assert_int_eq(sigismember(&spared, SIGINT), 1);
    gcx__signal_block(&spared);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &all);
    ck_assert_int_eq(sigismember(&all, SIGINT), 1);
    ck_assert_int_eq(sigismember(&all, suspend), 0);
    gcx__signal_restore(&spared);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &all);
    ck_assert_int_eq(sigismember(&all, SIGINT), 0);
  }
END_TEST

static Suite *wait_suite(void)
{
  Suite *s = suite_create("wait");
  TCase *c = tcase_create("wait");

  tcase_add_test(c, test_masks_spare_the_collector);
#if !defined(__SANITIZE_ADDRESS__)
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_a_collection_interrupts_nothing, 0, CALLS);
  tcase_add_loop_test(c, test_a_signal_interrupts, 0,
                      (int)GCX_ARRAY_LENGTH(long_waits));
  tcase_add_test(c, test_sleep_says_what_is_left);
  tcase_add_test(c, test_a_mask_does_not_stop_collections);
  tcase_add_test(c, test_handlers_are_the_programs);
  tcase_add_test(c, test_signal_returns_the_old_handler);
#endif
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(wait_suite);
