/* SPDX-License-Identifier: MIT */
/*
 * check_latch.c - one holder at a time, and nobody sleeps on
 */
#include "latch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "platform.h"
#include "support/check_main.h"
#include "support/death.h"
#include "support/waits.h"

#define THREADS 4
#define ROUNDS 20000
#define SLEEPS 300

static struct gcx__latch latch;
static volatile size_t count; /* plain on purpose: the latch protects it */
static int inside;
static uint64_t woken;

static void *counts(void *arg)
{
  for (size_t i = 0; i < ROUNDS; i++) {
    gcx__latch_lock(&latch);
    if (__atomic_exchange_n(&inside, 1, __ATOMIC_RELAXED) != 0)
      ck_abort_msg("two holders");
    count++;
    if (i % 16 == 0) /* the others give up spinning, and sleep */
      (void)sched_yield();
    __atomic_store_n(&inside, 0, __ATOMIC_RELAXED);
    gcx__latch_unlock(&latch);
  }
  return arg;
}

static void is_free(void)
{
  ck_assert_uint_eq(latch.word, 0);
  ck_assert_uint_eq(latch.waiters, 0);
  ck_assert(gcx__latch_try(&latch));
  ck_assert(!gcx__latch_try(&latch));
  gcx__latch_unlock(&latch);
}

static void count_together(void)
{
  pthread_t thread[THREADS];

  for (int i = 0; i < THREADS; i++)
    thread[i] = thread_start(counts, NULL);
  for (int i = 0; i < THREADS; i++)
    (void)thread_join(thread[i]);
  ck_assert_uint_eq(count, THREADS * ROUNDS);
  is_free();
}

static void *waits_often(void *arg)
{
  for (int i = 0; i < SLEEPS; i++) {
    gcx__latch_lock(&latch);
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELEASE);
    gcx__latch_unlock(&latch);
    while (__atomic_load_n(&woken, __ATOMIC_ACQUIRE) % 2 != 0)
      (void)sched_yield(); /* until the latch is held again */
  }
  return arg;
}

/* Unlocked when somebody is known to wait: a wake-up that got lost would hang. */
static void wake_often(void)
{
  pthread_t thread;

  gcx__latch_lock(&latch);
  thread = thread_start(waits_often, NULL);
  for (int i = 0; i < SLEEPS; i++) {
    while (__atomic_load_n(&latch.waiters, __ATOMIC_ACQUIRE) == 0)
      (void)sched_yield();
    gcx__latch_unlock(&latch);
    while (__atomic_load_n(&woken, __ATOMIC_ACQUIRE) % 2 == 0)
      (void)sched_yield();
    gcx__latch_lock(&latch);
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELEASE);
  }
  gcx__latch_unlock(&latch);
  (void)thread_join(thread);
  is_free();
}

START_TEST(test_one_holder)
  {
    count_together();
  }
END_TEST

START_TEST(test_waiters_are_woken)
  {
    errno = 77;
    wake_often();
    ck_assert_int_eq(errno, 77);
  }
END_TEST

/* The call is refused from here on, as a sandbox may do. */
static void refuse_membarrier(void)
{
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof code / sizeof code[0], code };

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(2);
  if (gcx__fence_all())
    _exit(3);
}

static void without_membarrier(void *arg)
{
  (void)arg;
  refuse_membarrier();
  count_together();
  wake_often();
}

START_TEST(test_without_barriers_for_others)
  {
    death_demand_exit(without_membarrier, NULL, 0);
  }
END_TEST

START_TEST(test_reset)
  {
    gcx__latch_lock(&latch);
    latch.waiters = 3;
    gcx__latch_reset(&latch);
    is_free();
  }
END_TEST

static Suite *latch_suite(void)
{
  Suite *s = suite_create("latch");
  TCase *c = tcase_create("latch");

  tcase_add_test(c, test_one_holder);
  tcase_add_test(c, test_waiters_are_woken);
  tcase_add_test(c, test_without_barriers_for_others);
  tcase_add_test(c, test_reset);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(latch_suite);
