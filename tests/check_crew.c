/* SPDX-License-Identifier: MIT */
/*
 * check_crew.c - each piece of a job is done once, by whomever
 */
#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "platform.h"
#include "support/check_main.h"

#define PIECES 64
#define JOBS 2000

static uint32_t done[PIECES];
static uint32_t by_helper;
static uint32_t bed;
static uint32_t end;
static pthread_t caller;

static void do_piece(size_t piece)
{
  __atomic_fetch_add(&done[piece], 1, __ATOMIC_RELAXED);
  if (!pthread_equal(pthread_self(), caller))
    __atomic_fetch_add(&by_helper, 1, __ATOMIC_RELAXED);
}

/* Takes a piece only when the helper has come, or can't be had. */
static void do_piece_together(size_t piece)
{
  do_piece(piece);
  while (pthread_equal(pthread_self(), caller) && gcx__cpus() > 1 &&
         __atomic_load_n(&by_helper, __ATOMIC_RELAXED) == 0)
    (void)sched_yield();
}

static void *help(void *arg)
{
  gcx__crew_rest(&bed);
  while (!__atomic_load_n(&end, __ATOMIC_ACQUIRE)) {
    gcx__futex_wait(&bed, 0, 1);
    (void)gcx__crew_help();
  }
  gcx__crew_rest(NULL);
  return arg;
}

static void run_and_check(gcx__crew_fn fn, size_t pieces)
{
  memset(done, 0, sizeof done);
  gcx__crew_run(fn, pieces);
  for (size_t i = 0; i < PIECES; i++)
    ck_assert_uint_eq(__atomic_load_n(&done[i], __ATOMIC_RELAXED),
                      i < pieces ? 1 : 0);
}

START_TEST(alone_all_is_done)
  {
    caller = pthread_self();
    run_and_check(do_piece, PIECES);
    run_and_check(do_piece, 1);
    run_and_check(do_piece, 0);
    ck_assert_uint_eq(by_helper, 0);
    ck_assert(!gcx__crew_help()); /* there is no job */
  }
END_TEST

START_TEST(with_help_all_is_done_once)
  {
    pthread_t helper;

    caller = pthread_self();
    ck_assert_int_eq(pthread_create(&helper, NULL, help, NULL), 0);
    for (size_t i = 0; i < JOBS; i++)
      run_and_check(do_piece, i % PIECES);
    by_helper = 0;
    run_and_check(do_piece_together, PIECES);
    if (gcx__cpus() > 1)
      ck_assert_uint_gt(by_helper, 0);
    __atomic_store_n(&end, 1, __ATOMIC_RELEASE);
    gcx__futex_wake(&bed);
    ck_assert_int_eq(pthread_join(helper, NULL), 0);
    run_and_check(do_piece, PIECES);
  }
END_TEST

START_TEST(the_child_of_a_fork_works_alone)
  {
    caller = pthread_self();
    gcx__crew_rest(&bed);
    gcx__crew_after_fork();
    run_and_check(do_piece, PIECES);
    ck_assert_uint_eq(by_helper, 0);
  }
END_TEST

static Suite *crew_suite(void)
{
  Suite *s = suite_create("crew");
  TCase *t = tcase_create("crew");

  gcx__platform_init();
  tcase_add_test(t, alone_all_is_done);
  tcase_add_test(t, with_help_all_is_done_once);
  tcase_add_test(t, the_child_of_a_fork_works_alone);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(crew_suite);
