/* SPDX-License-Identifier: MIT */
/* check_finalizer.c - the finalizer thread: waiting, exit, fork */
#include "finalizable.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "waits.h"

#define N 1000

static void setup(void)
{
  finalizable_setup(GCX_LEAK_DISPOSE);
}

static int finalized;

static void counts(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&finalized, 1, __ATOMIC_ACQ_REL);
}

static const struct gcx_type counting_type =
    GCX_TYPE_INIT("counting", 32, GCX_TYPE_OPTIONAL, NULL, NULL, counts, NULL);

/* ---- waiting */

static int hold_on = 1;
static int is_held;

static void holds_up(void *obj)
{
  (void)obj;
  flag_raise(&is_held);
  while (__atomic_load_n(&hold_on, __ATOMIC_ACQUIRE) != 0)
    (void)sched_yield();
}

static const struct gcx_type holding_type =
    GCX_TYPE_INIT("holding", 32, GCX_TYPE_OPTIONAL, NULL, NULL, holds_up, NULL);

START_TEST(test_waiting_honours_its_timeout)
  {
    lose_of_type(&holding_type, 20);
    gcx_collect();
    flag_wait(&is_held);
    ck_assert(!gcx_wait_for_finalizers(0));
    ck_assert(!gcx_wait_for_finalizers(20));
    __atomic_store_n(&hold_on, 0, __ATOMIC_RELEASE);
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert(gcx_wait_for_finalizers(0));
  }
END_TEST

static void waits_inside(void *obj)
{
  (void)obj;
  gcx_collect();
  if (gcx_wait_for_finalizers(UINT64_MAX))
    counts(obj);
}

static const struct gcx_type waiting_type = GCX_TYPE_INIT(
    "waiting", 32, GCX_TYPE_OPTIONAL, NULL, NULL, waits_inside, NULL);

START_TEST(test_on_the_finalizer_thread_waiting_returns_at_once)
  {
    lose_of_type(&waiting_type, 20);
    settle();
    demand_most(finalized, 20);
  }
END_TEST

/* WaitForPendingFinalizersRaces: whoever has dropped, collected and waited, finds
 * that the finalizer of the object has run. A stale word may keep the latest one,
 * never most of them. */
#define RACERS 7

static int race_rounds = 300;

struct raced {
  int *flag;
};

static void raises(void *obj)
{
  const struct raced *r = obj;

  flag_raise(r->flag);
}

static const struct gcx_type raced_type = GCX_TYPE_INIT(
    "raced", sizeof(struct raced), GCX_TYPE_OPTIONAL, NULL, NULL, raises, NULL);

static GCX_NOINLINE void race_drop(int *flag)
{
  struct raced *r = gcx_new(&raced_type);

  if (r != NULL)
    r->flag = flag;
  GCX_KEEP(r);
}

static void *races(void *arg)
{
  size_t *missed = arg;
  int flag;

  for (int i = 0; i < race_rounds; i++) {
    __atomic_store_n(&flag, 0, __ATOMIC_RELEASE);
    race_drop(&flag);
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
    *missed += !flag_is_up(&flag);
    /* its flag must not go before it does */
    for (int k = 0; k < 50 && !flag_is_up(&flag); k++) {
      gcx_collect();
      (void)gcx_wait_for_finalizers(UINT64_MAX);
    }
    if (!flag_is_up(&flag))
      return arg;
  }
  return NULL;
}

START_TEST(test_wait_for_pending_finalizers_races)
  {
    pthread_t threads[RACERS];
    size_t missed[RACERS] = { 0 }, all = 0;

    for (int i = 0; i < RACERS; i++)
      threads[i] = thread_start(races, &missed[i]);
    for (int i = 0; i < RACERS; i++) {
      ck_assert_ptr_null(thread_join(threads[i]));
      all += missed[i];
    }
    ck_assert_uint_le(all, (size_t)(RACERS * race_rounds / 20));
  }
END_TEST

/* ---- what a finalizer may call */

struct holder {
  void *child;
};

static int disposals;

static int counts_disposal(void *obj)
{
  (void)obj;
  disposals++;
  return 0;
}

static void disposes_all(void *obj)
{
  struct holder *h = obj;

  gcx_dispose(h->child);
  gcx_dispose(h); /* itself: its dispose function runs, once */
  gcx_dispose(h);
  counts(obj);
}

static const struct gcx_type child_type =
    GCX_TYPE_INIT("child", 32, 0, NULL, counts_disposal, counts, NULL);
static const struct gcx_type holder_type =
    GCX_TYPE_INIT("holder", sizeof(struct holder), 0, NULL, counts_disposal,
                  disposes_all, NULL);

static GCX_NOINLINE void lose_holders(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct holder *h = gcx_new(&holder_type);

    h->child = gcx_new(&child_type);
    GCX_KEEP(h);
  }
}

/* The child's own finalizer runs first, or never. */
START_TEST(test_disposing_in_a_finalizer)
  {
    lose_holders(N);
    settle();
    demand_most(disposals, 2 * N);
    ck_assert_int_ge(finalized, N * 95 / 100);
    ck_assert_int_le(finalized, 2 * N);
  }
END_TEST

static void makes_another(void *obj)
{
  (void)obj;
  if (__atomic_fetch_add(&finalized, 1, __ATOMIC_ACQ_REL) < N)
    lose_of_type(&counting_type, 1);
}

static const struct gcx_type making_type = GCX_TYPE_INIT(
    "making", 32, GCX_TYPE_OPTIONAL, NULL, NULL, makes_another, NULL);

START_TEST(test_allocating_and_losing_in_a_finalizer)
  {
    lose_of_type(&making_type, N);
    settle();
    demand_most(finalized, 2 * N);
  }
END_TEST

static void exits(void *obj)
{
  (void)obj;
  exit(44);
}

static const struct gcx_type exiting_type =
    GCX_TYPE_INIT("exiting", 32, GCX_TYPE_OPTIONAL, NULL, NULL, exits, NULL);

static void loses_and_settles(void *type)
{
  lose_of_type(type, 20);
  gcx_collect();
  (void)gcx_wait_for_finalizers(UINT64_MAX);
  _exit(99); /* comes too late */
}

START_TEST(test_exit_in_a_finalizer)
  {
    (void)death_demand_exit(loses_and_settles, (void *)(uintptr_t)&exiting_type,
                            44);
  }
END_TEST

static void exits_losing(void *obj)
{
  (void)obj;
  for (int i = 0; i < 10; i++)
    GCX_KEEP(gcx_alloc(64));
  exit(0);
}

static const struct gcx_type exit_losing_type = GCX_TYPE_INIT(
    "exiting", 32, GCX_TYPE_OPTIONAL, NULL, NULL, exits_losing, NULL);

static void loses_under_exit(void *type)
{
  gcx__opt.leak = GCX_LEAK_EXIT;
  gcx__opt.exitcode = 45;
  loses_and_settles(type);
}

/* The exit check looks there, too. */
START_TEST(test_exit_in_a_finalizer_is_checked)
  {
    const struct death *d = death_demand_exit(
        loses_under_exit, (void *)(uintptr_t)&exit_losing_type, 45);

    ck_assert_ptr_nonnull(strstr(d->err, "GCX-LEAK"));
  }
END_TEST

/* ---- fork */

static struct {
  int in_child; /* finalizers that ran there after the one that forked */
  int child_status;
  int forks;
} * shared;
static pid_t first_process;

static void forks(void *obj)
{
  pid_t pid;
  int status;

  (void)obj;
  if (getpid() != first_process) {
    __atomic_fetch_add(&shared->in_child, 1, __ATOMIC_ACQ_REL);
    return;
  }
  counts(obj);
  if (shared->forks++ > 0)
    return;
  pid = fork();
  if (pid == 0)
    return; /* the child's only thread: the process ends with it */
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return;
  shared->child_status = status;
}

static const struct gcx_type forking_type =
    GCX_TYPE_INIT("forking", 32, GCX_TYPE_OPTIONAL, NULL, NULL, forks, NULL);

START_TEST(test_fork_in_a_finalizer)
  {
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    shared->child_status = -1;
    first_process = getpid();
    lose_of_type(&forking_type, N);
    settle();
    demand_most(finalized, N);
    ck_assert_int_eq(shared->in_child, 0);
    ck_assert_int_eq(shared->child_status, 0);
  }
END_TEST

/* ---- exit */

static void says_finalized(void *obj)
{
  static const char text[] = "finalized\n";

  (void)obj;
  (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
}

static const struct gcx_type saying_type = GCX_TYPE_INIT(
    "saying", 32, GCX_TYPE_OPTIONAL, NULL, NULL, says_finalized, NULL);
static const struct gcx_type critical_type =
    GCX_TYPE_INIT("critical", 32, GCX_TYPE_OPTIONAL | GCX_TYPE_CRITICAL, NULL,
                  NULL, says_finalized, NULL);

static void *kept[4];

static void exits_with_some(void *type)
{
  if (gcx_shutting_down())
    _exit(98);
  lose_of_type(type, 10);
  kept[0] = gcx_new(type);
  kept[1] = gcx_new(type);
  kept[2] = gcx_new(type);
  gcx_dispose(kept[1]);
  gcx_suppress_finalize(kept[2]);
  exit(0);
}

START_TEST(test_no_finalizer_runs_at_exit)
  {
    const struct death *d;

    gcx__opt.leak = _i % 2 == 0 ? GCX_LEAK_EXIT : GCX_LEAK_OFF;
    gcx__opt.critical_at_exit = 1;
    d = death_demand_exit(exits_with_some, (void *)(uintptr_t)&saying_type, 0);
    ck_assert_str_eq(d->out, "");
    gcx__opt.critical_at_exit = 0;
    d = death_demand_exit(exits_with_some, (void *)(uintptr_t)&critical_type,
                          0);
    ck_assert_str_eq(d->out, "");
  }
END_TEST

START_TEST(test_critical_ones_at_exit)
  {
    const struct death *d;

    gcx__opt.leak = _i % 2 == 0 ? GCX_LEAK_EXIT : GCX_LEAK_OFF;
    gcx__opt.critical_at_exit = 1;
    d = death_demand_exit(exits_with_some, (void *)(uintptr_t)&critical_type,
                          0);
    /* those that were lost and one that was reachable; none twice */
    ck_assert_uint_eq(death_occurrences(d->out, "finalized\n"), 11);
    gcx__opt.finalizers = GCX_FINALIZERS_OFF;
    d = death_demand_exit(exits_with_some, (void *)(uintptr_t)&critical_type,
                          0);
    ck_assert_str_eq(d->out, "");
  }
END_TEST

static void waits_for_the_end(void *obj)
{
  counts(obj);
  flag_raise(&is_held);
  while (!gcx_shutting_down())
    (void)sched_yield();
}

static const struct gcx_type lasting_type = GCX_TYPE_INIT(
    "lasting", 32, GCX_TYPE_OPTIONAL, NULL, NULL, waits_for_the_end, NULL);

static int *finalized_shared;

static void note_finalized(void)
{
  *finalized_shared = finalized;
}

static void exits_while_one_runs(void *arg)
{
  (void)arg;
  gcx__opt.leak = GCX_LEAK_EXIT;
  lose_of_type(&lasting_type, N);
  gcx_collect();
  flag_wait(&is_held);
  exit(0);
}

__attribute__((destructor)) static void at_the_very_end(void)
{
  if (finalized_shared != NULL)
    note_finalized();
}

/* Finalizers that take long don't hold the process up: the one that runs is
 * waited for, the others do not begin. */
START_TEST(test_expensive_finalizers_do_not_block_shutdown)
  {
    finalized_shared = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(finalized_shared, MAP_FAILED);
    (void)death_demand_exit(exits_while_one_runs, NULL, 0);
    ck_assert_int_le(*finalized_shared, 1);
  }
END_TEST

static void never_returns(void *obj)
{
  (void)obj;
  flag_raise(&is_held);
  while (true)
    (void)pause();
}

static const struct gcx_type endless_type = GCX_TYPE_INIT(
    "endless", 32, GCX_TYPE_OPTIONAL, NULL, NULL, never_returns, NULL);

static void exits_while_one_hangs(void *arg)
{
  (void)arg;
  gcx__opt.leak = GCX_LEAK_EXIT;
  gcx__opt.exitcode = 50;
  lose_of_type(&endless_type, 20);
  gcx_collect();
  flag_wait(&is_held);
  lose_of_type(&counting_type, 20); /* there is something to wait for */
  exit(0);
}

START_TEST(test_a_finalizer_that_hangs_is_not_waited_for)
  {
    const struct death *d = death_demand_exit(exits_while_one_hangs, NULL, 51);

    ck_assert_ptr_nonnull(
        strstr(d->err, "indeterminate at exit: a finalizer does not return"));
  }
END_TEST

static Suite *finalizer_suite(void)
{
  Suite *s = suite_create("finalizer");
  TCase *tc = tcase_create("finalizer");
  const char *rounds = getenv("GCX_RACE_ROUNDS");

  if (rounds != NULL)
    race_rounds = atoi(rounds);
  tcase_set_timeout(tc, rounds != NULL ? 3600 : 120);
  tcase_add_checked_fixture(tc, setup, finalizable_teardown);
  tcase_add_test(tc, test_waiting_honours_its_timeout);
  tcase_add_test(tc, test_on_the_finalizer_thread_waiting_returns_at_once);
  tcase_add_test(tc, test_wait_for_pending_finalizers_races);
  tcase_add_test(tc, test_disposing_in_a_finalizer);
  tcase_add_test(tc, test_allocating_and_losing_in_a_finalizer);
  tcase_add_test(tc, test_exit_in_a_finalizer);
  tcase_add_test(tc, test_exit_in_a_finalizer_is_checked);
  tcase_add_test(tc, test_fork_in_a_finalizer);
  tcase_add_loop_test(tc, test_no_finalizer_runs_at_exit, 0, 2);
  tcase_add_loop_test(tc, test_critical_ones_at_exit, 0, 2);
  tcase_add_test(tc, test_expensive_finalizers_do_not_block_shutdown);
  tcase_add_test(tc, test_a_finalizer_that_hangs_is_not_waited_for);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(finalizer_suite);
