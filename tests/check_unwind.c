/* SPDX-License-Identifier: MIT */
/*
 * check_unwind.c - the seam to libunwind
 */
#include "unwind.h"

#include <errno.h>
#include <error.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "platform.h"
#include "support/check_main.h"

#define MAX 256
#define RETURNED \
  40 /* exit status of the child, and whether main had returned */
#define NOT_FOUND 50

static struct gcx__frame starts[2];
static uintptr_t fast[2][MAX], careful[2][MAX];
static size_t fast_n[2], careful_n[2];
static struct gcx__unwind_step steps[MAX];
static size_t steps_n;
static bool steps_hold; /* checked while the stack is there */
static int left;        /* recursions through one call site */

static bool step_holds(size_t i)
{
  const struct gcx__unwind_step *s = &steps[i];

  return s->frame.pc == fast[0][i] && !s->is_signal &&
         s->is_outermost == (i == steps_n - 1) &&
         (i == 0 || (s->frame.pc == steps[i - 1].caller.pc &&
                     s->frame.sp == steps[i - 1].caller.sp)) &&
         (s->fp_saved_at == 0 ||
          *(const uintptr_t *)s->fp_saved_at == s->caller.fp);
}

static void look(size_t which)
{
  fast_n[which] = gcx__unwind(&starts[which], fast[which], MAX, false);
  careful_n[which] = gcx__unwind(&starts[which], careful[which], MAX, true);
  steps_n = gcx__unwind_steps(&starts[which], steps, MAX);
}

static GCX_NOINLINE void entry(void (*again)(void))
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  starts[left > 0] = start;
  if (left-- > 0) {
    again();
  } else {
    look(1);
    look(0);
    steps_hold = true;
    for (size_t i = 0; i < steps_n; i++) {
      steps_hold &= step_holds(i);
    }
  }
  GCX_KEEP(&start);
}

static GCX_NOINLINE void recurse(void)
{
  entry(recurse);
  GCX_KEEP(&left);
}

/* The first walks of a thread are stepped: each test of what is fast comes twice. */
static void prime_if(int wanted)
{
  if (wanted)
    gcx__unwind_prime();
}

START_TEST(fast_and_careful_agree)
  {
    prime_if(_i);
    left = 0;
    recurse();
    ck_assert_uint_gt(fast_n[0], 3);
    ck_assert_uint_eq(fast_n[0], careful_n[0]);
    ck_assert_int_eq(
        memcmp(fast[0], careful[0], fast_n[0] * sizeof(fast[0][0])), 0);
    ck_assert_uint_eq(fast[0][0], starts[0].pc);
  }
END_TEST

START_TEST(a_site_that_is_twice_on_the_stack_is_told_apart)
  {
    prime_if(_i);
    left = 1;
    recurse();
    ck_assert_uint_eq(starts[0].pc, starts[1].pc);
    ck_assert_uint_lt(starts[0].sp, starts[1].sp);
    ck_assert_uint_eq(fast_n[0], fast_n[1] + 2);
    ck_assert_uint_eq(fast_n[0], careful_n[0]);
    ck_assert_uint_eq(fast_n[1], careful_n[1]);
  }
END_TEST

START_TEST(steps_tell_every_frame)
  {
    left = 0;
    recurse();
    ck_assert_uint_gt(steps_n, 3);
    ck_assert_uint_eq(steps_n, fast_n[0]);
    ck_assert_uint_eq(steps[0].frame.sp, starts[0].sp);
    ck_assert_uint_eq(steps[0].frame.fp, starts[0].fp);
    ck_assert(steps_hold);
  }
END_TEST

START_TEST(limits_and_strangers)
  {
    struct gcx__frame nowhere = { 0x1234, 0x5678, 0 };

    prime_if(_i);
    errno = ENOTTY;
    left = 0;
    recurse();
    ck_assert_uint_eq(gcx__unwind(&nowhere, fast[0], MAX, false), 0);
    ck_assert_uint_eq(gcx__unwind(&nowhere, fast[0], MAX, true), 0);
    ck_assert_uint_eq(gcx__unwind_steps(&nowhere, steps, MAX), 0);
    ck_assert_int_eq(errno, ENOTTY);
  }
END_TEST

static GCX_NOINLINE size_t cut(size_t max, bool is_careful)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return gcx__unwind(&start, fast[0], max, is_careful);
}

START_TEST(no_more_than_asked_for)
  {
    prime_if(_i);
    for (size_t max = 1; max <= 4; max++) {
      ck_assert_uint_eq(cut(max, false), max);
      ck_assert_uint_eq(cut(max, true), max);
    }
  }
END_TEST

/* By then the thread has come to unw_backtrace() by itself. */
static void *walk_often(void *arg)
{
  for (int i = 0; i < 20; i++) {
    left = 0;
    recurse();
  }
  return arg;
}

START_TEST(many_walks_of_a_new_thread)
  {
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, walk_often, &left), 0);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, &left);
    ck_assert_uint_gt(fast_n[0], 3);
    ck_assert_uint_eq(fast_n[0], careful_n[0]);
    ck_assert_int_eq(
        memcmp(fast[0], careful[0], fast_n[0] * sizeof(fast[0][0])), 0);
  }
END_TEST

/* ------------------------------------------------------------- descriptors */

#define FILES 6

/* The numbers that the next two will have. */
static void lowest_two(int ret_fds[2])
{
  ck_assert_int_eq(pipe(ret_fds), 0);
  (void)close(ret_fds[0]);
  (void)close(ret_fds[1]);
}

START_TEST(no_descriptor_is_kept)
  {
    int before[2], after[2];

    lowest_two(before);
    gcx__unwind_init();
    left = 0;
    recurse();
    lowest_two(after);
    ck_assert_int_eq(after[0], before[0]);
    ck_assert_int_eq(after[1], before[1]);
    ck_assert_uint_gt(careful_n[0], 3);
  }
END_TEST

/* A program that closes what it does not know, and has files of its own at these
 * numbers then, as a daemon does. */
START_TEST(files_at_the_numbers_of_libunwinds_pipe_are_left_alone)
  {
    int was[2], files[FILES];
    struct stat s;

    lowest_two(was);
    gcx__unwind_init();
    left = 0;
    recurse();
    (void)close(was[0]);
    (void)close(was[1]);
    for (int i = 0; i < FILES; i++) {
      files[i] = memfd_create("file", 0);
      ck_assert_int_eq(write(files[i], "12345678", 8), 8);
      ck_assert_int_eq(lseek(files[i], 0, SEEK_SET), 0);
    }
    ck_assert_int_eq(files[0], was[0]);
    for (int i = 0; i < 3; i++) {
      pthread_t thread;

      ck_assert_int_eq(pthread_create(&thread, NULL, walk_often, NULL), 0);
      pthread_join(thread, NULL);
    }
    for (int i = 0; i < FILES; i++) {
      ck_assert_int_eq(fstat(files[i], &s), 0);
      ck_assert_int_eq(s.st_size, 8);
      ck_assert_int_eq(lseek(files[i], 0, SEEK_CUR), 0);
    }
  }
END_TEST

/* What can't be read is asked for, and no signal comes of it. */
START_TEST(a_frame_pointer_into_nothing)
  {
    size_t page = gcx__page_bytes();
    char *hole = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct gcx__frame nowhere = { 0x1234, 0x5678, 0 };

    ck_assert_ptr_ne(hole, MAP_FAILED);
    gcx__unwind_init();
    ck_assert(gcx__unwind_can_read((uintptr_t)hole));
    ck_assert(gcx__unwind_can_read((uintptr_t)hole + page - 4));
    ck_assert_int_eq(munmap(hole + page, page), 0);
    ck_assert(gcx__unwind_can_read((uintptr_t)hole + page - 8));
    ck_assert(!gcx__unwind_can_read((uintptr_t)hole + page - 4));
    ck_assert_int_eq(mprotect(hole, page, PROT_NONE), 0);
    errno = ENOTTY;
    ck_assert(!gcx__unwind_can_read((uintptr_t)hole));
    ck_assert(!gcx__unwind_can_read(8));
    ck_assert(!gcx__unwind_can_read(UINTPTR_MAX - 7));
    ck_assert_int_eq(errno, ENOTTY);
    ck_assert_uint_eq(gcx__unwind(&nowhere, fast[0], MAX, true), 0);
  }
END_TEST

/* -------------------------------------------------------------------- exit */

static uintptr_t above_exit; /* the caller of exit() lies below, if not 0 */

static void say_where_main_was_left(void)
{
  uintptr_t regs[12], sp = 0;
  bool returned = false;

  if (!gcx__unwind_find_exit(&sp, regs, &returned) ||
      (above_exit != 0 && sp > above_exit) || sp < (uintptr_t)&sp) {
    _exit(NOT_FOUND);
  }
  _exit(RETURNED + returned);
}

static GCX_NOINLINE void leave_deep(int how)
{
  if (how == 1) {
    error(3, 0, "leaving through libc");
  }
  exit(3);
}

static int status_of(void (*child)(int how), int how)
{
  int status = -1;
  pid_t pid = fork();

  if (pid == 0) {
    above_exit = (uintptr_t)__builtin_frame_address(0);
    atexit(say_where_main_was_left);
    child(how);
    _exit(99);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(exit_called_by_the_program)
  {
    ck_assert_int_eq(status_of(leave_deep, 0), RETURNED);
  }
END_TEST

START_TEST(exit_called_by_libc_for_the_program)
  {
    ck_assert_int_eq(status_of(leave_deep, 1), RETURNED);
  }
END_TEST

/* This program again, with no test to run: main returns. */
static void run_again(int how)
{
  (void)how;
  setenv("GCX_TEST_LEAVE", "1", 1);
  setenv("CK_RUN_CASE", "none of these", 1);
  execl("/proc/self/exe", "check_unwind", (char *)NULL);
}

__attribute__((constructor)) static void leave_if_told(void)
{
  if (getenv("GCX_TEST_LEAVE") != NULL) {
    atexit(say_where_main_was_left);
  }
}

START_TEST(main_has_returned)
  {
    ck_assert_int_eq(status_of(run_again, 0), RETURNED + 1);
  }
END_TEST

/* libunwind opens, reads and writes files. */
static bool arrived[2];

/* AddressSanitizer takes the frame that is left by the cancellation for alive. */
__attribute__((no_sanitize_address)) static GCX_NOINLINE void *
walks_while_to_be_cancelled(void *arg)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uintptr_t pcs[MAX], regs[12], sp;
  bool returned;

  (void)pthread_cancel(pthread_self()); /* at the next cancellation point */
  (void)gcx__unwind(&start, pcs, MAX, true);
  (void)gcx__unwind(&start, pcs, MAX, false);
  (void)gcx__unwind_steps(&start, steps, MAX);
  (void)gcx__unwind_find_exit(&sp, regs, &returned);
  arrived[0] = true;
  pthread_testcancel();
  arrived[1] = true;
  return arg;
}

START_TEST(a_walk_is_not_cancelled)
  {
    pthread_t thread;
    void *result = NULL;

    ck_assert_int_eq(
        pthread_create(&thread, NULL, walks_while_to_be_cancelled, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert(arrived[0]);
    ck_assert(!arrived[1]); /* it is cancelled behind it */
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
  }
END_TEST

/* All ways to walk, from here. */
static GCX_NOINLINE void walk_every_way(void)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uintptr_t pcs[MAX], regs[12], sp;
  bool returned;

  (void)gcx__unwind(&start, pcs, MAX, true);
  (void)gcx__unwind(&start, pcs, MAX, false);
  (void)gcx__unwind_steps(&start, steps, MAX);
  (void)gcx__unwind_find_exit(&sp, regs, &returned);
  GCX_KEEP(&start);
}

START_TEST(a_walk_leaves_the_mask_as_it_was)
  {
    sigset_t before, after;

    (void)sigemptyset(&before);
    (void)sigaddset(&before, SIGUSR2);
    (void)sigaddset(&before, SIGTERM);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    walk_every_way();
    ck_assert(!gcx__unwind_masked);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int s = 1; s < NSIG; s++)
      ck_assert_int_eq(sigismember(&after, s), sigismember(&before, s));
  }
END_TEST

static volatile sig_atomic_t signals, inside, masks_lost;

/* A handler's own change of the mask takes effect. */
static void on_signal_while_walking(int number)
{
  sigset_t set, now;

  inside += gcx__unwind_masked;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGUSR2);
  (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
  (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
  masks_lost += sigismember(&now, SIGUSR2) != 1;
  (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
  signals += number == SIGUSR1;
}

static bool walking;

static void *send_signals(void *walker)
{
  while (__atomic_load_n(&walking, __ATOMIC_ACQUIRE))
    (void)pthread_kill(*(pthread_t *)walker, SIGUSR1);
  return NULL;
}

START_TEST(signals_come_between_walks)
  {
    const struct sigaction action = { .sa_handler = on_signal_while_walking };
    pthread_t self = pthread_self(), sender;

    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    __atomic_store_n(&walking, true, __ATOMIC_RELEASE);
    ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, &self), 0);
    while (signals < 200)
      walk_every_way();
    __atomic_store_n(&walking, false, __ATOMIC_RELEASE);
    ck_assert_int_eq(pthread_join(sender, NULL), 0);
    ck_assert_int_eq(inside, 0);
    ck_assert_int_eq(masks_lost, 0);
  }
END_TEST

#if defined(__x86_64__)

static volatile sig_atomic_t
    forked; /* by a handler that came inside libunwind */
static pid_t child;

static void on_signal_fork(int number, siginfo_t *info, void *context)
{
  const ucontext_t *c = context;

  (void)number;
  (void)info;
  if (forked ||
      !gcx__unwind_is_own_code((uintptr_t)c->uc_mcontext.gregs[REG_RIP]))
    return;
  gcx__unwind_before_fork();
  child = fork();
  gcx__unwind_after_fork(child == 0);
  forked = 1;
}

static void walk_until_forked(void)
{
  while (!forked) {
    left = 0;
    recurse();
  }
}

static void *walk_in_child(void *arg)
{
  walk_every_way();
  return arg;
}

/* The child goes on where its handler returns to: inside, and out of it. Then it
 * walks again, and another thread does, and it forks. */
START_TEST(a_handler_forks_inside)
  {
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
    pthread_t self = pthread_self(), sender;
    int status = 0;

    action.sa_sigaction = on_signal_fork;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    gcx__unwind_prime();
    walk_every_way();
    __atomic_store_n(&walking, true, __ATOMIC_RELEASE);
    ck_assert_int_eq(pthread_create(&sender, NULL, send_signals, &self), 0);
    walk_until_forked();
    if (child == 0) {
      (void)alarm(20); /* instead of waiting for ever */
      walk_every_way();
      if (pthread_create(&sender, NULL, walk_in_child, NULL) != 0 ||
          pthread_join(sender, NULL) != 0)
        _exit(1);
      gcx__unwind_before_fork();
      gcx__unwind_after_fork(false);
      walk_every_way();
      _exit(RETURNED);
    }
    __atomic_store_n(&walking, false, __ATOMIC_RELEASE);
    ck_assert_int_eq(pthread_join(sender, NULL), 0);
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == RETURNED,
                  "status 0x%x", (unsigned)status);
    walk_every_way();
  }
END_TEST

#endif

START_TEST(no_exit_on_the_stack)
  {
    uintptr_t regs[12], sp = 7;
    bool returned = true;

    ck_assert(!gcx__unwind_find_exit(&sp, regs, &returned));
    ck_assert_uint_eq(sp, 7);
    ck_assert(returned);
  }
END_TEST

static Suite *unwind_suite(void)
{
  Suite *s = suite_create("unwind");
  TCase *t = tcase_create("unwind");

  gcx__platform_init();
  tcase_add_loop_test(t, fast_and_careful_agree, 0, 2);
  tcase_add_loop_test(t, a_site_that_is_twice_on_the_stack_is_told_apart, 0, 2);
  tcase_add_test(t, steps_tell_every_frame);
  tcase_add_loop_test(t, limits_and_strangers, 0, 2);
  tcase_add_loop_test(t, no_more_than_asked_for, 0, 2);
  tcase_add_test(t, many_walks_of_a_new_thread);
  tcase_add_test(t, no_descriptor_is_kept);
  tcase_add_test(t, files_at_the_numbers_of_libunwinds_pipe_are_left_alone);
  tcase_add_test(t, a_frame_pointer_into_nothing);
  tcase_add_test(t, exit_called_by_the_program);
  tcase_add_test(t, exit_called_by_libc_for_the_program);
  tcase_add_test(t, main_has_returned);
  tcase_add_test(t, no_exit_on_the_stack);
  tcase_add_test(t, a_walk_is_not_cancelled);
  tcase_add_test(t, a_walk_leaves_the_mask_as_it_was);
  tcase_add_test(t, signals_come_between_walks);
#if defined(__x86_64__)
  tcase_add_test(t, a_handler_forks_inside);
#endif
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(unwind_suite);
