/* SPDX-License-Identifier: MIT */
/*
 * check_lock.c - ranked locks: order, holder, count, fork
 */
#include "lock.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform.h"
#include "support/check_main.h"

#define THREADS 4
#define ROUNDS 20000

static struct gcx__lock low = GCX_LOCK_INIT(GCX_RANK_OWNERS);
static struct gcx__lock high = GCX_LOCK_INIT(GCX_RANK_TYPES);
static uint64_t guarded;

START_TEST(ascending_order_is_allowed)
  {
    uint64_t count = gcx__lock_count();

    ck_assert(!gcx__lock_any_held());
    gcx__lock(&low);
    gcx__lock(&high);
    ck_assert(gcx__lock_held(&low) && gcx__lock_held(&high));
    gcx__unlock(&low);
    ck_assert(!gcx__lock_held(&low) && gcx__lock_any_held());
    gcx__unlock(&high);
    ck_assert(!gcx__lock_any_held());
    ck_assert_uint_eq(gcx__lock_count(), count + 2);
    ck_assert_uint_eq(low.holder, 0);
  }
END_TEST

START_TEST(descending_order_is_a_bug)
  {
    gcx__lock(&high);
    gcx__lock(&low);
  }
END_TEST

START_TEST(taking_twice_is_a_bug)
  {
    gcx__lock(&low);
    gcx__lock(&low);
  }
END_TEST

START_TEST(releasing_what_is_not_held_is_a_bug)
  {
    gcx__unlock(&low);
  }
END_TEST

static void *try_it(void *arg)
{
  bool got = gcx__trylock(arg);

  if (got) {
    gcx__unlock(arg);
  }
  return got ? arg : NULL;
}

static void *in_thread(void *(*fn)(void *), void *arg)
{
  pthread_t thread;
  void *result;

  ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
  pthread_join(thread, &result);
  return result;
}

START_TEST(trylock_never_waits)
  {
    gcx__lock(&high);
    ck_assert(!gcx__trylock(&high));
    ck_assert(gcx__trylock(&low)); /* against the order: can't deadlock */
    ck_assert_ptr_null(in_thread(try_it, &low));
    gcx__unlock(&low);
    ck_assert_ptr_eq(in_thread(try_it, &low), &low);
    gcx__unlock(&high);
  }
END_TEST

static void *held_here(void *arg)
{
  return gcx__lock_held(arg) || gcx__lock_any_held() ? arg : NULL;
}

START_TEST(held_means_by_this_thread)
  {
    gcx__lock(&low);
    ck_assert_ptr_null(in_thread(held_here, &low));
    ck_assert_uint_eq(low.holder, gcx__tid());
    gcx__unlock(&low);
  }
END_TEST

static void *count_up(void *arg)
{
  (void)arg;
  for (size_t i = 0; i < ROUNDS; i++) {
    gcx__lock(&low);
    guarded++;
    gcx__unlock(&low);
  }
  return NULL;
}

START_TEST(threads_exclude_each_other)
  {
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(guarded, (uint64_t)THREADS * ROUNDS);
  }
END_TEST

/* In the child of a fork that was made with all locks held. */
static int child_works(uint32_t parent_tid)
{
  gcx__lock_reinit_all();
  if (gcx__lock_any_held() || gcx__tid() == parent_tid) {
    return 1;
  }
  gcx__lock(&low);
  gcx__lock(&high);
  gcx__unlock(&high);
  gcx__unlock(&low);
  return 0;
}

START_TEST(fork_takes_all_and_the_child_starts_anew)
  {
    uint32_t tid = gcx__tid();
    int status = -1;
    pid_t child;

    (void)try_it(&low);
    (void)try_it(&high);
    gcx__lock_all();
    ck_assert(gcx__lock_held(&low) && gcx__lock_held(&high));
    child = fork();
    if (child == 0) {
      _exit(child_works(tid));
    }
    gcx__unlock_all();
    ck_assert(!gcx__lock_any_held());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
END_TEST

static Suite *lock_suite(void)
{
  Suite *s = suite_create("lock");
  TCase *t = tcase_create("lock");

  gcx__platform_init();
  tcase_add_test(t, ascending_order_is_allowed);
  tcase_add_test_raise_signal(t, descending_order_is_a_bug, SIGABRT);
  tcase_add_test_raise_signal(t, taking_twice_is_a_bug, SIGABRT);
  tcase_add_test_raise_signal(t, releasing_what_is_not_held_is_a_bug, SIGABRT);
  tcase_add_test(t, trylock_never_waits);
  tcase_add_test(t, held_means_by_this_thread);
  tcase_add_test(t, threads_exclude_each_other);
  tcase_add_test(t, fork_takes_all_and_the_child_starts_anew);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(lock_suite);
