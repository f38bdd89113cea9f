/* SPDX-License-Identifier: MIT */
/* check_lifecycle.c - the end of an object: once, seen by all, however it is
 * left */
#include "objects.h"

#include <setjmp.h>

#include "waits.h"
#include "throws.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static const enum gcx__leak modes[] = { GCX_LEAK_ABORT, GCX_LEAK_EXIT,
                                        GCX_LEAK_REPORT, GCX_LEAK_DISPOSE,
                                        GCX_LEAK_OFF };
#define MODES ((int)GCX_ARRAY_LENGTH(modes))

/* ---- once */

static int calls;

static int count_call(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&calls, 1, __ATOMIC_ACQ_REL);
  return -ENOSPC;
}

static const struct gcx_type counted_type =
    GCX_TYPE_INIT("counted", 40, 0, NULL, count_call, NULL, NULL);

START_TEST(test_once_in_every_mode)
  {
    char *p, *q = NULL;

    gcx__opt.leak = modes[_i];
    p = gcx_new(&counted_type);
    q = gcx_alloc(16);
    strcpy(p, "still readable");
    ck_assert(!gcx_is_disposed(p));
    ck_assert_ptr_eq(gcx_require_live(p), p);
    ck_assert_int_eq(gcx_close(p), -ENOSPC);
    ck_assert(gcx_is_disposed(p));
    ck_assert_int_eq(gcx_close(p), 0);
    gcx_dispose(p);
    gcx_discard(p);
    gcx_collect();
    ck_assert(gcx_is_disposed(p));
    ck_assert_uint_eq(gcx_size(p), 40);
    ck_assert_str_eq(p, "still readable");
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(gcx_close(q), 0);
    ck_assert_int_eq(gcx_close(q), 0);
    ck_assert(gcx_is_disposed(q));
    gcx_keep_alive(p);
    gcx_keep_alive(q);
  }
END_TEST

static int dispose_returns;

static int returns(void *obj)
{
  (void)obj;
  return dispose_returns;
}

static const struct gcx_type returning_type =
    GCX_TYPE_INIT("returning", 8, 0, NULL, returns, NULL, NULL);

START_TEST(test_what_close_returns)
  {
    const int results[] = { 0, -1, -EIO, -4095, 7 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(results); i++) {
      dispose_returns = results[i];
      ck_assert_int_eq(gcx_close(gcx_new(&returning_type)),
                       GCX_MIN(results[i], 0));
    }
  }
END_TEST

/* ---- many threads at once */

#define CALLERS 16

static struct {
  pthread_barrier_t start;
  void *object;
  int running; /* calls that are inside the function */
  int finished;
  int early; /* callers that returned before the function had finished */
} crowd;

static int takes_its_time(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&calls, 1, __ATOMIC_ACQ_REL);
  for (int i = 0; i < 50; i++)
    (void)sched_yield();
  __atomic_store_n(&crowd.finished, 1, __ATOMIC_RELEASE);
  return 0;
}

static const struct gcx_type slow_type =
    GCX_TYPE_INIT("slow", 24, 0, NULL, takes_its_time, NULL, NULL);

static void *disposes_with_the_crowd(void *arg)
{
  (void)arg;
  for (int round = 0; round < 100; round++) {
    (void)pthread_barrier_wait(&crowd.start);
    if (round % 2 == 0)
      gcx_dispose(crowd.object);
    else
      (void)gcx_close(crowd.object);
    if (!__atomic_load_n(&crowd.finished, __ATOMIC_ACQUIRE))
      __atomic_fetch_add(&crowd.early, 1, __ATOMIC_ACQ_REL);
    (void)pthread_barrier_wait(&crowd.start);
  }
  return NULL;
}

START_TEST(test_exactly_one_of_many_callers_disposes)
  {
    pthread_t threads[CALLERS];

    (void)pthread_barrier_init(&crowd.start, NULL, CALLERS + 1);
    for (int i = 0; i < CALLERS; i++)
      threads[i] = thread_start(disposes_with_the_crowd, NULL);
    for (int round = 0; round < 100; round++) {
      calls = crowd.finished = 0;
      crowd.object = gcx_new(&slow_type);
      (void)pthread_barrier_wait(&crowd.start);
      (void)pthread_barrier_wait(&crowd.start);
      ck_assert_int_eq(calls, 1);
      ck_assert(gcx_is_disposed(crowd.object));
    }
    for (int i = 0; i < CALLERS; i++)
      (void)thread_join(threads[i]);
    ck_assert_int_eq(crowd.early, 0);
  }
END_TEST

/* ---- from inside */

static void *inner;

static int disposes_itself(void *obj)
{
  calls++;
  gcx_dispose(obj);
  ck_assert_int_eq(gcx_close(obj), 0);
  ck_assert(gcx_is_disposed(obj));
  ck_assert_ptr_eq(gcx_require_live(obj), obj); /* not yet over */
  if (inner != NULL)
    gcx_dispose(inner);
  return 0;
}

static const struct gcx_type selfish_type =
    GCX_TYPE_INIT("selfish", 24, 0, NULL, disposes_itself, NULL, NULL);

static void *outer;

static int disposes_outer(void *obj)
{
  (void)obj;
  calls += 10;
  gcx_dispose(outer);
  return 0;
}

static const struct gcx_type inner_type =
    GCX_TYPE_INIT("inner", 24, 0, NULL, disposes_outer, NULL, NULL);

START_TEST(test_from_inside_itself)
  {
    gcx_dispose(gcx_new(&selfish_type));
    ck_assert_int_eq(calls, 1);
    outer = gcx_new(&selfish_type);
    inner = gcx_new(&inner_type);
    gcx_dispose(outer);
    ck_assert_int_eq(calls, 12);
    ck_assert(gcx_is_disposed(inner));
  }
END_TEST

/* ---- threads that would wait for each other */

#define CIRCLE_MAX 5

static struct {
  pthread_barrier_t inside;
  void *object[CIRCLE_MAX];
  int n;
} circle;

static int disposes_next(void *obj)
{
  int i = *(int *)obj;

  __atomic_fetch_add(&calls, 1, __ATOMIC_ACQ_REL);
  (void)pthread_barrier_wait(&circle.inside);
  gcx_dispose(circle.object[(i + 1) % circle.n]);
  return 0;
}

static const struct gcx_type circle_type =
    GCX_TYPE_INIT("circle", sizeof(int), 0, NULL, disposes_next, NULL, NULL);

static void *disposes_own(void *arg)
{
  gcx_dispose(*(void **)arg);
  return NULL;
}

START_TEST(test_circle_of_threads)
  {
    pthread_t threads[CIRCLE_MAX];

    circle.n = _i;
    for (int round = 0; round < 50; round++) {
      calls = 0;
      (void)pthread_barrier_init(&circle.inside, NULL, (unsigned)circle.n);
      for (int i = 0; i < circle.n; i++) {
        circle.object[i] = gcx_new(&circle_type);
        *(int *)circle.object[i] = i;
      }
      for (int i = 0; i < circle.n; i++)
        threads[i] = thread_start(disposes_own, &circle.object[i]);
      for (int i = 0; i < circle.n; i++)
        (void)thread_join(threads[i]);
      ck_assert_int_eq(calls, circle.n);
      for (int i = 0; i < circle.n; i++)
        ck_assert(gcx_is_disposed(circle.object[i]));
      (void)pthread_barrier_destroy(&circle.inside);
    }
  }
END_TEST

/* A waits for B, which waits for nobody: no circle, so A does wait. */
static struct {
  void *a;
  void *b;
  int b_inside;
  int b_may_end;
  int b_ended;
  int a_saw_b_ended;
  uint32_t a_tid;
} chain;

static int chain_b(void *obj)
{
  (void)obj;
  flag_raise(&chain.b_inside);
  flag_wait(&chain.b_may_end);
  flag_raise(&chain.b_ended);
  return 0;
}

static int chain_a(void *obj)
{
  (void)obj;
  flag_wait(&chain.b_inside);
  __atomic_store_n(&chain.a_tid, gcx__tid(), __ATOMIC_RELEASE);
  gcx_dispose(chain.b);
  chain.a_saw_b_ended = flag_is_up(&chain.b_ended);
  return 0;
}

static const struct gcx_type chain_a_type =
    GCX_TYPE_INIT("a", 8, 0, NULL, chain_a, NULL, NULL);
static const struct gcx_type chain_b_type =
    GCX_TYPE_INIT("b", 8, 0, NULL, chain_b, NULL, NULL);

START_TEST(test_waits_inside_a_function_for_another_thread)
  {
    pthread_t ta, tb;

    chain.a = gcx_new(&chain_a_type);
    chain.b = gcx_new(&chain_b_type);
    ta = thread_start(disposes_own, &chain.a);
    tb = thread_start(disposes_own, &chain.b);
    thread_wait_until_asleep(&chain.a_tid);
    flag_raise(&chain.b_may_end);
    (void)thread_join(ta);
    (void)thread_join(tb);
    ck_assert_int_eq(chain.a_saw_b_ended, 1);
  }
END_TEST

/* ---- functions that do not return */

enum way { BY_LONGJMP, BY_EXIT, BY_CANCEL, BY_EXCEPTION, WAYS };

static struct {
  enum way way;
  void *object;
  void *nested; /* disposed by the function of the object, which leaves */
  jmp_buf jump;
  int inside;
  int may_leave;
  uint32_t waiter_tid;
  void *next;
} leaving;

static int leaves(void *obj)
{
  (void)obj;
  flag_raise(&leaving.inside);
  if (leaving.way == BY_CANCEL) {
    char byte;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    (void)!read(fds[0], &byte, 1); /* nobody writes: cancelled here */
    ck_abort();
  }
  flag_wait(&leaving.may_leave);
  if (leaving.way == BY_LONGJMP)
    longjmp(leaving.jump, 1);
  if (leaving.way == BY_EXIT)
    pthread_exit(NULL);
  throws_number(42);
  return 0;
}

static const struct gcx_type leaving_type =
    GCX_TYPE_INIT("leaving", 24, 0, NULL, leaves, NULL, NULL);

static int disposes_nested(void *obj)
{
  (void)obj;
  gcx_dispose(leaving.nested);
  ck_abort_msg("the nested function came back");
  return 0;
}

static const struct gcx_type nesting_type =
    GCX_TYPE_INIT("nesting", 24, 0, NULL, disposes_nested, NULL, NULL);

static void dispose_leaving(void *arg)
{
  (void)arg;
  gcx_dispose(leaving.object);
}

static void dispose_another(void)
{
  calls = 0;
  gcx_dispose(gcx_new(&counted_type));
  ck_assert_int_eq(calls, 1);
}

static void *disposer(void *arg)
{
  switch (leaving.way) {
  case BY_LONGJMP:
    if (setjmp(leaving.jump) == 0)
      dispose_leaving(arg);
    break;
  case BY_EXCEPTION:
    ck_assert_int_eq(throws_caught(dispose_leaving, arg), 42);
    break;
  default:
    dispose_leaving(arg);
  }
  dispose_another();
  return NULL;
}

static void *waiter(void *arg)
{
  void *object = arg;

  flag_wait(&leaving.inside);
  __atomic_store_n(&leaving.waiter_tid, gcx__tid(), __ATOMIC_RELEASE);
  gcx_dispose(object);
  ck_assert(gcx_is_disposed(object));
  return NULL;
}

static void leave_with_a_waiter(void *waited_for)
{
  pthread_t left = thread_start(disposer, NULL);
  pthread_t waits = thread_start(waiter, waited_for);

  thread_wait_until_asleep(&leaving.waiter_tid);
  flag_raise(&leaving.may_leave);
  if (leaving.way == BY_CANCEL)
    ck_assert_int_eq(pthread_cancel(left), 0);
  (void)thread_join(left);
  (void)thread_join(waits);
}

START_TEST(test_waiters_wake_when_a_function_is_left)
  {
    leaving.way = (enum way)_i;
    leaving.object = gcx_new(&leaving_type);
    leave_with_a_waiter(leaving.object);
    ck_assert(gcx_is_disposed(leaving.object));
    gcx_dispose(leaving.object);
    dispose_another();
  }
END_TEST

START_TEST(test_two_functions_are_left_at_once)
  {
    for (int which = 0; which < 2; which++) {
      memset(&leaving, 0, sizeof(leaving));
      leaving.way = (enum way)_i;
      leaving.object = gcx_new(&nesting_type);
      leaving.nested = gcx_new(&leaving_type);
      leave_with_a_waiter(which == 0 ? leaving.object : leaving.nested);
      ck_assert(gcx_is_disposed(leaving.object));
      ck_assert(gcx_is_disposed(leaving.nested));
      dispose_another();
    }
  }
END_TEST

static jmp_buf inner_jump;

static int jumps_out(void *obj)
{
  (void)obj;
  longjmp(inner_jump, 1);
}

static const struct gcx_type jumping_type =
    GCX_TYPE_INIT("jumping", 24, 0, NULL, jumps_out, NULL, NULL);

static int catches_a_jump(void *obj)
{
  void *volatile jumping = gcx_new(&jumping_type);

  if (setjmp(inner_jump) == 0)
    gcx_dispose(jumping);
  ck_assert(gcx_is_disposed(jumping));
  ck_assert_ptr_eq(gcx_require_live(obj), obj); /* this one is not over */
  gcx_dispose(obj);
  calls++;
  return 0;
}

static const struct gcx_type catching_type =
    GCX_TYPE_INIT("catching", 24, 0, NULL, catches_a_jump, NULL, NULL);

START_TEST(test_jump_out_of_the_inner_function_alone)
  {
    for (int i = 0; i < 100; i++)
      gcx_dispose(gcx_new(&catching_type));
    ck_assert_int_eq(calls, 100);
    dispose_another();
  }
END_TEST

/* ---- reachable until it has returned */

#define HELD 200

static int derived_collects(void *obj)
{
  memset(obj, 0x77, 40);
  obj = NULL;
  gcx_collect();
  for (int i = 0; i < 50; i++)
    gcx_dispose(memset(gcx_alloc(40), 0xee, 40));
  return 0;
}

static int base_verifies(void *obj)
{
  calls += is_all(obj, 40, 0x77);
  return 0;
}

static const struct gcx_type verifying_type =
    GCX_TYPE_INIT("verifying", 40, 0, NULL, base_verifies, NULL, NULL);
static const struct gcx_type collecting_type = GCX_TYPE_INIT(
    "collecting", 40, 0, &verifying_type, derived_collects, NULL, NULL);

START_TEST(test_reachable_until_its_functions_have_returned)
  {
    for (int i = 0; i < HELD; i++)
      gcx_dispose(gcx_new(&collecting_type));
    ck_assert_int_eq(calls, HELD);
  }
END_TEST

START_TEST(test_owned_only_and_reachable_until_then)
  {
    for (int i = 0; i < HELD; i++) {
      void *owner = gcx_alloc(8);

      ck_assert_int_eq(gcx_own(owner, gcx_new(&collecting_type)), 0);
      ck_assert_int_eq(gcx_own(owner, gcx_new(&collecting_type)), 0);
      gcx_dispose(owner);
    }
    ck_assert_int_eq(calls, 2 * HELD);
  }
END_TEST

/* ---- discard */

START_TEST(test_discard)
  {
    void *p = gcx_new(&counted_type), *child = gcx_new(&counted_type);

    ck_assert_int_eq(gcx_own(p, child), 0);
    gcx_discard(p);
    ck_assert(gcx_is_disposed(p));
    ck_assert(gcx_is_disposed(child));
    ck_assert_int_eq(calls, 1); /* the child's */
    gcx_dispose(p);
    gcx_discard(p);
    ck_assert_int_eq(gcx_close(p), 0);
    ck_assert_int_eq(calls, 1);
  }
END_TEST

#define LOST 1000

enum fate {
  FATE_DISCARD,
  FATE_SUPPRESS,
  FATE_BACK,
  FATE_MANAGED,
  FATE_DISPOSE
};

static GCX_NOINLINE void lose(enum fate fate)
{
  for (int i = 0; i < LOST; i++) {
    void *p = fate == FATE_MANAGED ? gcx_alloc_managed(40) : gcx_alloc(40);

    if (fate == FATE_DISCARD)
      gcx_discard(p);
    if (fate == FATE_DISPOSE)
      gcx_dispose(p);
    if (fate == FATE_SUPPRESS || fate == FATE_BACK)
      gcx_suppress_finalize(p);
    if (fate == FATE_BACK)
      gcx_reregister_finalize(p);
  }
}

START_TEST(test_what_is_not_owed_is_not_reported)
  {
    const enum fate fates[] = { FATE_DISCARD, FATE_SUPPRESS, FATE_MANAGED,
                                FATE_DISPOSE };
    size_t before;

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(fates); i++) {
      gcx_collect();
      before = gcx__record_count();
      lose(fates[i]);
      ck_assert_uint_eq(objects_found(), 0);
      ck_assert_uint_lt(gcx__record_count(), before + LOST / 10);
    }
  }
END_TEST

START_TEST(test_reregistered_is_owed_again)
  {
    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    lose(FATE_BACK);
    ck_assert_uint_ge(objects_found(), LOST * 95 / 100);
  }
END_TEST

START_TEST(test_suppressed_may_still_be_disposed)
  {
    void *p = gcx_new(&counted_type);

    gcx_suppress_finalize(p);
    ck_assert(!gcx_is_disposed(p));
    gcx_dispose(p);
    ck_assert_int_eq(calls, 1);
    gcx_reregister_finalize(p); /* harmless now */
    gcx_suppress_finalize(p);
    ck_assert(gcx_is_disposed(p));
  }
END_TEST

/* ---- use after the end */

static GCX_NOINLINE void *born_and_disposed(void)
{
  void *p = gcx_new(&counted_type);

  gcx_dispose(p);
  return p;
}

static void requires_disposed(void *arg)
{
  (void)arg;
  (void)gcx_require_live(born_and_disposed());
}

static void requires_null(void *arg)
{
  (void)gcx_require_live(arg);
}

START_TEST(test_require_live)
  {
    const struct death *d;

    d = death_demand_abort(requires_disposed, NULL, "GCX-USE-AFTER-DISPOSE");
    ck_assert_ptr_nonnull(strstr(d->err, "counted"));
    ck_assert_uint_ge(death_occurrences(d->err, "    #0 "), 3);
    (void)death_demand_abort(requires_null, NULL, "GCX-BAD-POINTER");
  }
END_TEST

static void disposes_twice(void *arg)
{
  void *p = born_and_disposed();

  if (arg == NULL)
    gcx_dispose(p);
  else
    (void)gcx_close(p);
  gcx_discard(p); /* never a second disposal */
  ck_assert_int_eq(calls, 1);
}

START_TEST(test_double_dispose)
  {
    const struct death *d;

    for (int i = 0; i < 2; i++) {
      void *arg = i == 0 ? NULL : &calls;

      gcx__opt.double_dispose = GCX_DOUBLE_IGNORE;
      ck_assert_str_eq(death_demand_exit(disposes_twice, arg, 0)->err, "");
      gcx__opt.double_dispose = GCX_DOUBLE_REPORT;
      d = death_demand_exit(disposes_twice, arg, 0);
      ck_assert_uint_eq(death_occurrences(d->err, "gcx: GCX-DOUBLE-DISPOSE: "),
                        1);
      gcx__opt.double_dispose = GCX_DOUBLE_FATAL;
      d = death_demand_abort(disposes_twice, arg, "GCX-DOUBLE-DISPOSE");
      ck_assert_uint_ge(death_occurrences(d->err, "    #0 "), 3);
    }
  }
END_TEST

static Suite *lifecycle_suite(void)
{
  Suite *s = suite_create("lifecycle");
  TCase *c = tcase_create("lifecycle");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_once_in_every_mode, 0, MODES);
  tcase_add_test(c, test_what_close_returns);
  tcase_add_test(c, test_exactly_one_of_many_callers_disposes);
  tcase_add_test(c, test_from_inside_itself);
  tcase_add_loop_test(c, test_circle_of_threads, 2, CIRCLE_MAX + 1);
  tcase_add_test(c, test_waits_inside_a_function_for_another_thread);
  tcase_add_loop_test(c, test_waiters_wake_when_a_function_is_left, 0, WAYS);
  tcase_add_loop_test(c, test_two_functions_are_left_at_once, 0, WAYS);
  tcase_add_test(c, test_jump_out_of_the_inner_function_alone);
  tcase_add_test(c, test_reachable_until_its_functions_have_returned);
  tcase_add_test(c, test_owned_only_and_reachable_until_then);
  tcase_add_test(c, test_discard);
  tcase_add_test(c, test_what_is_not_owed_is_not_reported);
  tcase_add_test(c, test_reregistered_is_owed_again);
  tcase_add_test(c, test_suppressed_may_still_be_disposed);
  tcase_add_test(c, test_require_live);
  tcase_add_test(c, test_double_dispose);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(lifecycle_suite);
