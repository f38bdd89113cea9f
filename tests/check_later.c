/* SPDX-License-Identifier: MIT */
/* check_later.c - disposals that are put off; the steps of the termination phase
 */
#include "objects.h"

#include "batch.h"
#include "later.h"
#include "termination.h"
#include "waits.h"

#define N 1000

static int disposed;
static int broken;

struct part {
  struct part *self;
  struct part *next;
};

static int part_dispose(void *obj)
{
  struct part *p = obj;

  broken += p->self != p;
  broken += p->next != NULL && p->next->self != p->next;
  __atomic_fetch_add(&disposed, 1, __ATOMIC_ACQ_REL);
  return 0;
}

static const struct gcx_type part_type = GCX_TYPE_INIT(
    "part", sizeof(struct part), 0, NULL, part_dispose, NULL, NULL);

static struct seen *seen;

static void setup(void)
{
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  seen = seen_begin();
}

static GCX_NOINLINE struct part *part_new(struct part *next)
{
  struct part *p = gcx_new(&part_type);

  if (p == NULL)
    ck_abort();
  p->self = p;
  p->next = next;
  return p;
}

/* ---- while the world runs */

static GCX_NOINLINE void put_off(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct part *p = part_new(NULL);

    gcx__later_dispose(number_of(p));
    gcx__later_dispose(number_of(p)); /* once is enough */
    GCX_KEEP(p);
  }
}

START_TEST(test_put_off_and_done)
  {
    put_off((size_t)_i);
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_int_eq(disposed, _i);
    ck_assert_int_eq(broken, 0);
    ck_assert_uint_eq(gcx__batch_outstanding, 0);
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
  }
END_TEST

/* More than there is room for while the thread is held up; collections come in
 * between: nothing is lost, nothing forgotten. */
static int hold_on = 1;
static int is_held;

static int holds_up(void *obj)
{
  (void)obj;
  flag_raise(&is_held);
  while (__atomic_load_n(&hold_on, __ATOMIC_ACQUIRE) != 0)
    (void)sched_yield();
  return 0;
}

static const struct gcx_type holding_type =
    GCX_TYPE_INIT("holding", 8, 0, NULL, holds_up, NULL, NULL);

static GCX_NOINLINE void put_off_holding(void)
{
  void *p = gcx_new(&holding_type);

  gcx__later_dispose(number_of(p));
  GCX_KEEP(p);
}

#define MANY 100000

START_TEST(test_more_than_the_ring_holds)
  {
    put_off_holding();
    flag_wait(&is_held);
    put_off(MANY);
    ck_assert(!gcx_wait_for_finalizers(0));
    gcx_collect();
    gcx_collect();
    ck_assert_int_eq(disposed, 0);
    __atomic_store_n(&hold_on, 0, __ATOMIC_RELEASE);
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_int_eq(disposed, MANY);
    ck_assert_int_eq(broken, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_eq(gcx__batch_outstanding, 0);
  }
END_TEST

static GCX_NOINLINE void *puts_off_on_a_thread(void *arg)
{
  (void)arg;
  put_off(N);
  return NULL;
}

START_TEST(test_from_many_threads)
  {
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
      threads[i] = thread_start(puts_off_on_a_thread, NULL);
    for (int i = 0; i < 4; i++)
      (void)thread_join(threads[i]);
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_int_eq(disposed, 4 * N);
    ck_assert_uint_eq(gcx__batch_outstanding, 0);
  }
END_TEST

/* ---- in the stopped world: a table of hidden pointers that owns its values */

static uintptr_t values[N];  /* hidden */
static uintptr_t targets[N]; /* hidden; of short references */
static int closes, shorts, deads, longs, edges;
static int short_dead, long_dead, lost_seen;

static void count_edge(struct gcx__marker *m, void *base)
{
  (void)m;
  (void)base;
  edges++;
}

static bool steps_have_edges(void)
{
  return true;
}

static void steps_close(struct gcx__marker *m)
{
  (void)m;
  closes++;
}

static int count_unmarked(const uintptr_t *hidden)
{
  int n = 0;

  for (size_t i = 0; i < N; i++)
    n += hidden[i] != 0 && !gcx__bdw_is_marked(GCX_REVEAL(hidden[i]));
  return n;
}

static void steps_short(void)
{
  shorts++;
  short_dead = count_unmarked(targets);
}

static void steps_dead(struct gcx__marker *m)
{
  deads++;
  for (size_t i = 0; i < N; i++) {
    if (targets[i] != 0 &&
        gcx__termination_will_be_lost(GCX_REVEAL(targets[i])))
      lost_seen++;
    if (values[i] == 0 || gcx__bdw_is_marked(GCX_REVEAL(values[i])))
      continue;
    gcx__termination_dispose_later(m, GCX_REVEAL(values[i]));
    gcx__termination_dispose_later(m, GCX_REVEAL(values[i]));
    values[i] = 0;
  }
}

static void steps_long(void)
{
  longs++;
  long_dead = count_unmarked(targets);
  memset(targets, 0, sizeof(targets)); /* once */
}

static const struct gcx__termination_steps steps = {
  .has_edges = steps_have_edges,
  .edges = count_edge,
  .close = steps_close,
  .clear_short = steps_short,
  .dead_values = steps_dead,
  .clear_long = steps_long,
};

static GCX_NOINLINE void fill(void)
{
  for (size_t i = 0; i < N; i++) {
    values[i] = GCX_HIDE(part_new(part_new(NULL)));
    targets[i] = GCX_HIDE(part_new(NULL));
  }
}

START_TEST(test_values_are_taken_aside_and_not_lost)
  {
    size_t found;

    gcx__opt.roots = GCX_ROOTS_STRICT;
    gcx__termination_add(&steps);
    fill();
    found = gcx_check();
    ck_assert_int_eq(shorts, 1);
    ck_assert_int_eq(deads, 1);
    ck_assert_int_eq(longs, 1);
    ck_assert_int_ge(short_dead, N * 95 / 100);
    ck_assert_int_ge(lost_seen, N * 95 / 100);
    ck_assert_int_eq(long_dead, 0); /* kept, since they are lost */
    ck_assert_int_ge(disposed, N * 95 / 100);
    ck_assert_int_le(disposed, N); /* the values, not what they hold */
    ck_assert_uint_le(found, N);   /* the targets */
    ck_assert_uint_ge(found, N * 95 / 100);
    ck_assert_int_eq(broken, 0);
    ck_assert_int_ge(closes, 3); /* at first, and after what has marked */
    ck_assert_int_ge(edges, 2 * disposed);
    found = gcx_check(); /* what the values held */
    ck_assert_uint_ge(found, N * 90 / 100);
  }
END_TEST

static Suite *later_suite(void)
{
  Suite *s = suite_create("later");
  TCase *tc = tcase_create("later");

  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_loop_test(tc, test_put_off_and_done, 1, 3);
  tcase_add_test(tc, test_more_than_the_ring_holds);
  tcase_add_test(tc, test_from_many_threads);
  tcase_add_test(tc, test_values_are_taken_aside_and_not_lost);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(later_suite);
