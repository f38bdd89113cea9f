/* SPDX-License-Identifier: MIT */
/* check_detect.c - what is lost is found, what is not is not */
#include "objects.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <time.h>

#include "losing.h"
#include "waits.h"

#define N 1000
#define ENOUGH (N * 995 / 1000)
#define MOST (N * 95 / 100)

static struct seen *seen;

static void setup(void)
{
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  seen = seen_begin();
}

static size_t count_state(enum gcx__state state)
{
  size_t count = 0;

  for (uint32_t n = 1; n < gcx__record_limit; n++)
    count += gcx__record_object(n) != NULL &&
             (gcx__record_state(n) & GCX_STATE_MASK) == state;
  return count;
}

/* ---- live objects, of which none may ever be found */

static void *live[N];

static GCX_NOINLINE void live_make(void)
{
  for (size_t i = 0; i < N; i++) {
    live[i] = gcx_alloc(8 + i % 200);
    if (live[i] == NULL)
      ck_abort();
    memset(live[i], (int)i | 1, gcx_size(live[i]));
  }
}

static void live_demand(void)
{
  size_t wrong = 0;

  for (size_t i = 0; i < N; i++) {
    wrong += gcx_is_disposed(live[i]);
    wrong += !is_all(live[i], gcx_size(live[i]), (unsigned char)(i | 1));
  }
  ck_assert_uint_eq(wrong, 0);
  ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
}

static void live_end(void)
{
  live_demand();
  for (size_t i = 0; i < N; i++) {
    gcx_dispose(live[i]);
    live[i] = NULL;
  }
}

/* ---- dropped in functions that have returned */

static const struct {
  void (*lose)(size_t n, size_t bytes);
  size_t bytes;
  enum gcx__roots roots;
} dropped[] = {
  { losing_returned_o0, 0, GCX_ROOTS_ALL },
  { losing_returned_o2, 0, GCX_ROOTS_ALL },
  { losing_returned_o0, 0, GCX_ROOTS_STRICT },
  { losing_returned_o2, 0, GCX_ROOTS_STRICT },
  { losing_returned_o0, 500, GCX_ROOTS_ALL },
  { losing_returned_o2, 2024, GCX_ROOTS_ALL },
  { losing_returned_o0, 4000, GCX_ROOTS_ALL },
  { losing_returned_o2, 5000, GCX_ROOTS_STRICT },
};

START_TEST(test_dropped_in_returned_functions)
  {
    size_t found;

    gcx__opt.roots = dropped[_i].roots;
    live_make();
    dropped[_i].lose(N, dropped[_i].bytes);
    found = gcx_check();
    ck_assert_uint_ge(found, ENOUGH);
    ck_assert_uint_le(found, N);
    ck_assert_uint_eq(seen->direct + seen->indirect, found);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 1); /* one site */
    live_end();
    ck_assert_uint_le(found + gcx_check(), N); /* one or two are found late */
  }
END_TEST

static void *loses_on_a_thread(void *arg)
{
  size_t i = *(const size_t *)arg;

  dropped[i].lose(N, dropped[i].bytes);
  return NULL;
}

START_TEST(test_dropped_on_a_thread_that_has_ended)
  {
    size_t i = (size_t)_i;

    gcx__opt.roots = dropped[i].roots;
    live_make();
    (void)thread_join(thread_start(loses_on_a_thread, &i));
    ck_assert_uint_ge(gcx_check(), ENOUGH);
    ck_assert_uint_le(seen->direct, N);
    live_end();
  }
END_TEST

static void *loses_and_checks(void *arg)
{
  size_t *count = arg;

  losing_returned_o0(N, 0);
  *count = gcx_check();
  return NULL;
}

START_TEST(test_dropped_on_the_thread_that_asks)
  {
    size_t found = 0;

    (void)thread_join(thread_start(loses_and_checks, &found));
    ck_assert_uint_ge(found, ENOUGH);
  }
END_TEST

START_TEST(test_each_is_reported_once)
  {
    size_t found = 0;

    live_make();
    losing_returned_o2(N, 0);
    for (int i = 0; i < 8; i++)
      found += gcx_check();
    ck_assert_uint_ge(found, ENOUGH);
    ck_assert_uint_le(found, N);
    ck_assert_uint_eq(seen->direct, found);
    ck_assert_uint_eq(count_state(GCX_STATE_REPORTED), found);
    losing_returned_o2(N, 0); /* the next ones, after those */
    found = 0;
    for (int i = 0; i < 3; i++)
      found += gcx_check();
    ck_assert_uint_ge(found, ENOUGH);
    ck_assert_uint_le(found, N);
    live_end();
  }
END_TEST

/* ---- direct and indirect */

struct node {
  struct node *next;
  struct node *other;
};

static struct node *node_make(struct node *next)
{
  struct node *n = gcx_alloc(sizeof(*n));

  if (n == NULL)
    ck_abort();
  n->next = next;
  return n;
}

/* A ring of @n; the oldest of it. */
static GCX_NOINLINE struct node *ring_make(size_t n)
{
  struct node *first = node_make(NULL), *last = first;

  for (size_t i = 1; i < n; i++) {
    last->next = node_make(NULL);
    last = last->next;
  }
  last->next = first;
  return first;
}

#define SHAPES 200

static GCX_NOINLINE void lose_rings(size_t n)
{
  for (size_t i = 0; i < SHAPES; i++)
    (void)ring_make(n);
}

START_TEST(test_rings)
  {
    const size_t sizes[] = { 1, 2, 3, 10, 100 };
    const size_t n = sizes[_i];

    lose_rings(n);
    ck_assert_uint_ge(gcx_check(), SHAPES * n * 95 / 100);
    ck_assert_uint_le(seen->direct, SHAPES);
    ck_assert_uint_eq(seen->indirect, seen->direct * (n - 1));
  }
END_TEST

static GCX_NOINLINE void lose_rings_with_tails(void)
{
  for (size_t i = 0; i < SHAPES; i++) {
    struct node *n = ring_make(4);

    for (int k = 0; k < 4; k++, n = n->next)
      n->other = node_make(node_make(NULL)); /* a tail of two */
    if (i % 2 == 0)
      (void)node_make(ring_make(2)); /* and one that leads to a ring */
  }
}

START_TEST(test_rings_with_tails)
  {
    const size_t all = SHAPES * 12 + SHAPES / 2 * 3;

    lose_rings_with_tails();
    ck_assert_uint_ge(gcx_check(), all * 95 / 100);
    ck_assert_uint_le(seen->direct, SHAPES + SHAPES / 2);
    ck_assert_uint_ge(seen->direct, (SHAPES + SHAPES / 2) * 95 / 100);
  }
END_TEST

static GCX_NOINLINE void lose_leading_rings(bool leader_is_older)
{
  for (size_t i = 0; i < SHAPES; i++) {
    struct node *a = ring_make(5), *b = ring_make(5);
    struct node *leader = leader_is_older ? a : b;
    struct node *led = leader_is_older ? b : a;

    leader->next->next->other = led->next;
  }
}

START_TEST(test_ring_that_leads_to_a_ring)
  {
    lose_leading_rings(_i == 0);
    ck_assert_uint_ge(gcx_check(), SHAPES * 10 * 95 / 100);
    ck_assert_uint_le(seen->direct, SHAPES);
    ck_assert_uint_ge(seen->direct, SHAPES * 95 / 100);
  }
END_TEST

static uintptr_t oldest;

static GCX_NOINLINE void lose_one_ring(void)
{
  oldest = GCX_HIDE(ring_make(7));
}

START_TEST(test_oldest_of_a_ring_stands_for_it)
  {
    int right = 0;

    for (int i = 0; i < 20; i++) {
      seen->last.object = NULL;
      lose_one_ring();
      if (gcx_check() == 7)
        right += seen->last.object == GCX_REVEAL(oldest);
    }
    ck_assert_int_ge(right, 15);
  }
END_TEST

static GCX_NOINLINE void lose_list(size_t n)
{
  struct node *head = NULL;

  for (size_t i = 0; i < n; i++)
    head = node_make(head);
}

START_TEST(test_list_of_a_million)
  {
    lose_list(1000000);
    losing_returned_o2(N, 0); /* overwrites what points into the list */
    ck_assert_uint_ge(gcx_check(), 990000);
    ck_assert_uint_le(seen->direct, N + 1);
    ck_assert_uint_ge(seen->indirect, 990000);
  }
END_TEST

static GCX_NOINLINE struct node *tree_make(int depth)
{
  struct node *n = node_make(NULL);

  if (depth > 0) {
    n->next = tree_make(depth - 1);
    n->other = tree_make(depth - 1);
  }
  return n;
}

static GCX_NOINLINE void lose_trees(size_t n)
{
  while (n-- > 0)
    (void)tree_make(7);
}

START_TEST(test_trees)
  {
    lose_trees(100);
    ck_assert_uint_ge(gcx_check(), 100 * 255 * 95 / 100);
    ck_assert_uint_le(seen->direct, 100);
    ck_assert_uint_ge(seen->direct, 95);
  }
END_TEST

/* What is held by a lost object in malloc or the collector's own memory, or
 * through an object that needs no disposal, is lost with it. */
static GCX_NOINLINE void lose_through_others(void)
{
  for (size_t i = 0; i < N; i++) {
    void **between = i % 2 == 0 ? gcx_alloc_managed(16) : GC_MALLOC(16);
    struct node *holder = node_make(NULL);

    *between = node_make(NULL);
    holder->other = (struct node *)(void *)between;
  }
}

START_TEST(test_indirect_through_memory_without_a_duty)
  {
    lose_through_others();
    ck_assert_uint_ge(gcx_check(), 2 * MOST);
    ck_assert_uint_le(seen->direct, N);
    ck_assert_uint_ge(seen->direct, MOST);
    ck_assert_uint_ge(seen->indirect, MOST);
  }
END_TEST

/* ---- collections that nobody asked for */

static GCX_NOINLINE void allocate_until_found(size_t enough)
{
  for (size_t i = 0;
       i < 3000000 && __atomic_load_n(&seen->direct, __ATOMIC_ACQUIRE) < enough;
       i++)
    (void)!gcx_alloc_managed(512);
}

START_TEST(test_automatic_collections)
  {
    if (_i == 1)
      GC_enable_incremental();
    live_make();
    losing_returned_o2(N, 0);
    allocate_until_found(MOST);
    ck_assert_uint_ge(seen->direct, MOST);
    ck_assert_uint_le(seen->direct, N);
    live_end();
  }
END_TEST

START_TEST(test_incremental)
  {
    GC_enable_incremental();
    live_make();
    for (int round = 0; round < 5; round++) {
      losing_returned_o0(N, 0);
      for (size_t i = 0; i < 20000; i++) {
        void *p = gcx_alloc(100);

        gcx_dispose(p);
      }
      live_demand();
    }
    ck_assert_uint_ge(objects_found() + seen->direct, 5 * MOST);
    ck_assert_uint_le(seen->direct, 5 * N);
    ck_assert_int_ne(gcx_verdict(), GCX_INDETERMINATE);
    live_end();
  }
END_TEST

static void nap(void)
{
  const struct timespec ten_ms = { 0, 10000000 };

  (void)nanosleep(&ten_ms, NULL);
}

/* 1: what is lost right behind a collection, before anybody has looked whether
 * there was one. */
START_TEST(test_sleeping_program_reports)
  {
    uint64_t end = gcx__now_ns() + UINT64_C(60000000000);

    gcx__opt.interval_ms = 20;
    live_make();
    if (_i == 1)
      gcx_collect();
    losing_returned_o2(N, 0);
    while (__atomic_load_n(&seen->direct, __ATOMIC_ACQUIRE) < MOST &&
           gcx__now_ns() < end)
      nap();
    ck_assert_uint_ge(seen->direct, MOST);
    live_end();
  }
END_TEST

START_TEST(test_idle_program_is_left_alone)
  {
    uint64_t before;
    uint64_t end;

    gcx__opt.interval_ms = 20;
    live_make();
    end = gcx__now_ns() + UINT64_C(60000000000);
    while (gcx__bdw_collections() == 0 && gcx__now_ns() < end)
      nap();
    ck_assert_uint_ge(gcx__bdw_collections(), 1);
    before = gcx__bdw_collections();
    for (int i = 0; i < 30; i++)
      nap(); /* nothing is allocated: 15 intervals */
    ck_assert_uint_le(gcx__bdw_collections(), before + 1);
    live_end();
  }
END_TEST

/* ---- what a register alone holds while this thread collects */

#ifdef __x86_64__

/* The registers that a function leaves to its callers as they were. */
#define HELD_IN(name)                              \
  static GCX_NOINLINE size_t held_in_##name(void)  \
  {                                                \
    char *made = gcx_strdup("held in a register"); \
    register char *p __asm__(#name) = made;        \
    size_t found;                                  \
                                                   \
    __asm__ volatile("" : "+r"(p));                \
    found = gcx_check() + gcx_check();             \
    __asm__ volatile("" : "+r"(p));                \
    found += strcmp(p, "held in a register") != 0; \
    gcx_dispose(p);                                \
    return found;                                  \
  }
HELD_IN(rbx)
HELD_IN(r12)
HELD_IN(r13)
HELD_IN(r14)
HELD_IN(r15)

START_TEST(test_held_by_a_register)
  {
    ck_assert_uint_eq(held_in_rbx(), 0);
    ck_assert_uint_eq(held_in_r12(), 0);
    ck_assert_uint_eq(held_in_r13(), 0);
    ck_assert_uint_eq(held_in_r14(), 0);
    ck_assert_uint_eq(held_in_r15(), 0);
    ck_assert_uint_eq(seen->direct, 0);
  }
END_TEST

#endif

/* ---- foreign finalizers and toggle references */

static void *resurrected[N];
static int finalized;

static void GC_CALLBACK finalizer(void *obj, void *resurrect)
{
  if (resurrect != NULL)
    resurrected[finalized] = *(void **)obj;
  finalized++;
}

static GCX_NOINLINE void lose_behind_finalizers(bool resurrect)
{
  for (size_t i = 0; i < N; i++) {
    void **holder = GC_MALLOC(32);

    *holder = node_make(node_make(NULL));
    GC_register_finalizer(holder, finalizer, resurrect ? &finalized : NULL,
                          NULL, NULL);
  }
}

START_TEST(test_what_a_foreign_finalizer_reaches_is_not_lost)
  {
    GC_set_finalize_on_demand(1);
    lose_behind_finalizers(false);
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
    ck_assert_uint_eq(gcx_check(), 0); /* still queued */
    ck_assert_uint_eq(seen->direct, 0);
    ck_assert_int_ge(GC_invoke_finalizers(), MOST);
    ck_assert_int_ge(finalized, MOST);
    ck_assert_uint_ge(objects_found(), 2 * MOST); /* now they are */
  }
END_TEST

START_TEST(test_what_a_foreign_finalizer_brings_back_is_not_lost)
  {
    GC_set_finalize_on_demand(1);
    lose_behind_finalizers(true);
    gcx_collect();
    ck_assert_int_ge(GC_invoke_finalizers(), MOST);
    ck_assert_uint_eq(objects_found(), 0);
    for (int i = 0; i < finalized; i++) {
      gcx_dispose(((struct node *)resurrected[i])->next);
      gcx_dispose(resurrected[i]);
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
  }
END_TEST

static GC_ToggleRefStatus toggle_answer = GC_TOGGLE_REF_STRONG;

static GC_ToggleRefStatus GC_CALLBACK toggle(void *obj)
{
  (void)obj;
  return toggle_answer;
}

static GCX_NOINLINE void lose_behind_toggles(void)
{
  for (size_t i = 0; i < N; i++) {
    void **holder = i % 2 == 0 ? GC_MALLOC(32) : (void *)node_make(NULL);

    *holder = node_make(NULL);
    ck_assert_int_eq(GC_toggleref_add(holder, 1), GC_SUCCESS);
  }
}

START_TEST(test_strong_toggle_references)
  {
    GC_set_toggleref_func(toggle);
    gcx_init();
    lose_behind_toggles();
    for (int i = 0; i < 3; i++)
      ck_assert_uint_eq(gcx_check(), 0);
    toggle_answer = GC_TOGGLE_REF_WEAK;
    ck_assert_uint_ge(objects_found(), N + N / 2 - N / 10);
  }
END_TEST

/* ---- programs that take the collector's hooks */

static int events;

static void GC_CALLBACK own_event(GC_EventType event)
{
  (void)event;
  events++;
}

static void GC_CALLBACK own_push(void)
{
  events++;
}

static __thread void *held_by_tls[N];

static GCX_NOINLINE void hold_by_tls(void)
{
  for (size_t i = 0; i < N; i++) {
    held_by_tls[i] = gcx_alloc(40);
    memset(held_by_tls[i], 0x3c, 40);
  }
}

static void tls_demand(void)
{
  size_t wrong = 0;

  for (size_t i = 0; i < N; i++)
    wrong +=
        gcx_is_disposed(held_by_tls[i]) || !is_all(held_by_tls[i], 40, 0x3c);
  ck_assert_uint_eq(wrong, 0);
}

static GCX_NOINLINE void churn(void)
{
  for (size_t i = 0; i < 20000; i++) {
    void *p = gcx_alloc(i % 300);

    memset(p, 0xee, i % 300);
    gcx_dispose(p);
  }
}

static int standing_by, stand_down;

static void *stands_by(void *arg)
{
  gcx_dispose(gcx_alloc(40)); /* it is known to the collector, and suspended */
  flag_raise(&standing_by);
  flag_wait(&stand_down);
  return arg;
}

/* 1: in incremental mode, with a thread whose suspension tells of the stop. */
START_TEST(test_program_takes_the_event_hook)
  {
    pthread_t thread = thread_start(stands_by, NULL);

    flag_wait(&standing_by);
    if (_i == 1)
      GC_enable_incremental();
    live_make();
    hold_by_tls();
    GC_set_on_collection_event(own_event);
    losing_returned_o2(N, 0);
    for (int i = 0; _i == 1 && i < 300000; i++)
      (void)!gcx_alloc_managed(512); /* collections a little at a time */
    GC_gcollect(); /* unseen: they are freed, and their cells used again */
    GC_gcollect();
    churn();
    ck_assert_int_gt(events, 0);
    ck_assert_int_eq(gcx_verdict(), GCX_INDETERMINATE);
    churn();
    live_demand();
    tls_demand();
    losing_returned_o2(N, 0); /* from here on as usual, with both */
    events = 0;
    ck_assert_uint_ge(objects_found(), ENOUGH);
    ck_assert_int_gt(events, 0);
    live_end();
    flag_raise(&stand_down);
    (void)thread_join(thread);
  }
END_TEST

START_TEST(test_program_takes_the_hook_for_roots)
  {
    live_make();
    hold_by_tls();
    GC_set_push_other_roots(own_push);
    for (int i = 0; i < 3; i++)
      GC_gcollect(); /* what TLS holds is not marked */
    churn();
    ck_assert_int_gt(events, 0);
    (void)gcx_wait_for_finalizers(UINT64_MAX);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_int_eq(gcx_verdict(), GCX_INDETERMINATE);
    live_demand();
    tls_demand();
    losing_returned_o2(N, 0);
    ck_assert_uint_ge(objects_found(), ENOUGH);
    tls_demand();
    live_end();
  }
END_TEST

START_TEST(test_program_takes_a_hook_again_and_again)
  {
    live_make();
    hold_by_tls();
    for (int i = 0; i < 30; i++) {
      if (i % 2 == 0)
        GC_set_on_collection_event(i % 4 == 0 ? own_event : NULL);
      else
        GC_set_push_other_roots(i % 4 == 1 ? own_push : NULL);
      GC_gcollect();
      (void)gcx_check();
      churn();
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    live_demand();
    tls_demand();
    live_end();
  }
END_TEST

/* ---- what would stop detection in silence */

START_TEST(test_disabled_collector_is_no_clean_answer)
  {
    live_make();
    ck_assert_int_eq(gcx_verdict(), GCX_CLEAN);
    GC_disable();
    losing_returned_o2(N, 0);
    ck_assert_uint_eq(gcx_check(), 0);
    ck_assert_int_eq(gcx_verdict(), GCX_INDETERMINATE);
    GC_enable();
    ck_assert_int_eq(gcx_verdict(), GCX_ABANDONED);
    (void)objects_found();
    ck_assert_int_eq(gcx_verdict(), GCX_CLEAN);
    GC_set_find_leak(1);
    ck_assert_int_eq(gcx_verdict(), GCX_INDETERMINATE);
    GC_set_find_leak(0);
    live_end();
  }
END_TEST

START_TEST(test_verdicts)
  {
    for (int i = 0; i < 20; i++)
      ck_assert_int_eq(gcx_verdict(), GCX_CLEAN);
    live_make();
    ck_assert_int_eq(gcx_verdict(), GCX_CLEAN);
    losing_returned_o0(N, 0);
    ck_assert_int_eq(gcx_verdict(), GCX_ABANDONED);
    (void)objects_found();
    ck_assert_int_eq(gcx_verdict(), GCX_CLEAN);
    live_end();
    gcx__opt.leak = GCX_LEAK_OFF;
    ck_assert_int_eq(gcx_verdict(), GCX_INDETERMINATE);
  }
END_TEST

/* ---- what leak= makes of it */

static int disposals;

static int count_disposal(void *obj)
{
  disposals += is_all(obj, 24, 0x5a);
  return 0;
}

static const struct gcx_type required_type =
    GCX_TYPE_INIT("required", 24, 0, NULL, count_disposal, NULL, NULL);
static const struct gcx_type optional_type = GCX_TYPE_INIT(
    "optional", 24, GCX_TYPE_OPTIONAL, NULL, count_disposal, NULL, NULL);

static uintptr_t lost_hidden[N];

static GCX_NOINLINE void lose_typed(const struct gcx_type *type)
{
  for (size_t i = 0; i < N; i++) {
    void *p = gcx_new(type);

    memset(p, 0x5a, 24);
    lost_hidden[i] = GCX_HIDE(p);
  }
}

static void loses_and_asks(void *arg)
{
  lose_typed(arg);
  (void)gcx_check();
}

START_TEST(test_abort)
  {
    struct gcx_type type = required_type;
    const struct death *d;

    gcx__opt.leak = GCX_LEAK_ABORT;
    d = death_demand_abort(loses_and_asks, &type, "GCX-LEAK");
    ck_assert_ptr_nonnull(strstr(d->err, "required"));
  }
END_TEST

static GCX_NOINLINE size_t kept_and_whole(void)
{
  size_t whole = 0;

  for (size_t i = 0; i < N; i++) {
    uint32_t number;

    if (gcx__object_find(GCX_REVEAL(lost_hidden[i]), &number) == GCX_FOUND &&
        (gcx__record_state(number) & GCX_STATE_MASK) == GCX_STATE_REPORTED)
      whole += is_all(GCX_REVEAL(lost_hidden[i]), 24, 0x5a);
  }
  return whole;
}

static void demand_kept_for_ever(void *arg)
{
  size_t found;

  (void)arg;
  lose_typed(&required_type);
  found = objects_found();
  ck_assert_uint_ge(found, ENOUGH);
  churn();
  gcx_collect();
  churn();
  ck_assert_uint_eq(kept_and_whole(), found);
  ck_assert_uint_eq(seen->direct, found);
  ck_assert_int_eq(disposals, 0);
  exit(0);
}

START_TEST(test_exit_and_report_keep_it_for_ever)
  {
    gcx__opt.leak = GCX_LEAK_REPORT;
    (void)death_demand_exit(demand_kept_for_ever, NULL, 0);
    gcx__opt.leak = GCX_LEAK_EXIT;
    gcx__opt.exitcode = 77;
    (void)death_demand_exit(demand_kept_for_ever, NULL, 77);
  }
END_TEST

START_TEST(test_dispose_disposes_and_says_nothing)
  {
    size_t before = gcx__record_count(), found;

    gcx__opt.leak = GCX_LEAK_DISPOSE;
    lose_typed(&required_type);
    found = objects_found();
    ck_assert_uint_ge(found, ENOUGH);
    ck_assert_uint_eq((size_t)disposals, found);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    gcx_collect();
    ck_assert_uint_le(gcx__record_count(), before + N / 10); /* collected */
  }
END_TEST

START_TEST(test_off_lets_it_be_collected)
  {
    size_t before = gcx__record_count();

    gcx__opt.leak = GCX_LEAK_OFF;
    lose_typed(&required_type);
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_int_eq(disposals, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_le(gcx__record_count(), before + N / 10);
  }
END_TEST

START_TEST(test_optional_is_collected_in_every_mode)
  {
    const enum gcx__leak modes[] = { GCX_LEAK_ABORT, GCX_LEAK_EXIT,
                                     GCX_LEAK_REPORT, GCX_LEAK_DISPOSE,
                                     GCX_LEAK_OFF };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(modes); i++) {
      size_t before = gcx__record_count();

      gcx__opt.leak = modes[i];
      lose_typed(&optional_type);
      ck_assert_uint_eq(objects_found(), 0);
      ck_assert_uint_le(gcx__record_count(), before + N / 10);
    }
    ck_assert_int_eq(disposals, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
  }
END_TEST

/* ---- what a report says */

static GCX_NOINLINE void let_go(void)
{
  for (size_t i = 0; i < N; i++)
    live[i] = NULL;
}

START_TEST(test_window_between_two_collections)
  {
    live_make();
    gcx_breadcrumb("before %d", 1);
    gcx_collect();
    gcx_breadcrumb("letting go of %s", "them");
    let_go();
    ck_assert_uint_ge(gcx_check(), MOST);
    ck_assert(seen->last.has_window);
    ck_assert_str_eq(seen->last.last_seen.breadcrumb, "before 1");
    ck_assert_str_eq(seen->last.gone.breadcrumb, "letting go of them");
    ck_assert_uint_eq(seen->last.gone.collection,
                      seen->last.last_seen.collection + 1);
    ck_assert_uint_ge(seen->last.gone.ms, seen->last.last_seen.ms);
  }
END_TEST

START_TEST(test_window_since_birth)
  {
    gcx_breadcrumb("old");
    gcx_collect();
    losing_returned_o2(N, 0);
    ck_assert_uint_ge(gcx_check(), ENOUGH);
    ck_assert_uint_ge(seen->last.last_seen.ms, seen->last.birth_ms);
    ck_assert_str_eq(seen->last.gone.breadcrumb, "old");
    ck_assert_uint_eq(seen->last.birth_tid, gcx__tid());
    ck_assert_uint_ne(seen->last.birth_site, 0);
  }
END_TEST

static GCX_NOINLINE void lose_touched(void)
{
  char long_hint[100];

  memset(long_hint, 'x', sizeof(long_hint) - 1);
  long_hint[sizeof(long_hint) - 1] = '\0';
  for (size_t i = 0; i < 20; i++) {
    void *p = gcx_alloc(77);

    gcx_touch(p, "one");
    gcx_touch(p, "two");
    gcx_touch(p, NULL);
    gcx_touch(p, "four");
    gcx_touch(p, long_hint);
    gcx_touch(p, "six");
  }
}

START_TEST(test_touches)
  {
    lose_touched();
    ck_assert_uint_ge(objects_found(), 15);
    ck_assert_uint_eq(seen->last.touches, 4);
    ck_assert_str_eq(seen->last.touch[0].hint, "six");
    ck_assert_uint_eq(strlen(seen->last.touch[1].hint), 63);
    ck_assert_str_eq(seen->last.touch[2].hint, "four");
    ck_assert_str_eq(seen->last.touch[3].hint, "");
    ck_assert_uint_ne(seen->last.touch[0].site, 0);
    ck_assert_uint_ne(seen->last.touch[0].site, seen->last.touch[2].site);
    ck_assert_uint_eq(seen->last.touch[0].tid, gcx__tid());
  }
END_TEST

static int describe(const void *obj, char *buf, size_t n)
{
  return snprintf(buf, n, "described %s", (const char *)obj);
}

static const struct gcx_type described_type =
    GCX_TYPE_INIT("described", 24, 0, NULL, NULL, NULL, describe);

static GCX_NOINLINE void lose_described(void)
{
  for (size_t i = 0; i < 20; i++)
    strcpy(gcx_new(&described_type), "by itself");
}

START_TEST(test_description)
  {
    lose_described();
    ck_assert_uint_ge(objects_found(), 15);
    ck_assert_str_eq(seen->last.description, "described by itself");
    ck_assert_str_eq(seen->last.type_name, "described");
    ck_assert_uint_eq(seen->last.bytes, 24);
  }
END_TEST

static Suite *detect_suite(void)
{
  const int drops = (int)GCX_ARRAY_LENGTH(dropped);
  Suite *s = suite_create("detect");
  TCase *c = tcase_create("detect");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_dropped_in_returned_functions, 0, drops);
  tcase_add_loop_test(c, test_dropped_on_a_thread_that_has_ended, 0, drops);
  tcase_add_test(c, test_dropped_on_the_thread_that_asks);
  tcase_add_test(c, test_each_is_reported_once);
  tcase_add_loop_test(c, test_rings, 0, 5);
  tcase_add_test(c, test_rings_with_tails);
  tcase_add_loop_test(c, test_ring_that_leads_to_a_ring, 0, 2);
  tcase_add_test(c, test_oldest_of_a_ring_stands_for_it);
  tcase_add_test(c, test_list_of_a_million);
  tcase_add_test(c, test_trees);
  tcase_add_test(c, test_indirect_through_memory_without_a_duty);
  tcase_add_loop_test(c, test_automatic_collections, 0, 2);
  tcase_add_test(c, test_incremental);
  tcase_add_loop_test(c, test_sleeping_program_reports, 0, 2);
#ifdef __x86_64__
  tcase_add_test(c, test_held_by_a_register);
#endif
  tcase_add_test(c, test_idle_program_is_left_alone);
  tcase_add_test(c, test_what_a_foreign_finalizer_reaches_is_not_lost);
  tcase_add_test(c, test_what_a_foreign_finalizer_brings_back_is_not_lost);
  tcase_add_test(c, test_strong_toggle_references);
  tcase_add_loop_test(c, test_program_takes_the_event_hook, 0, 2);
  tcase_add_test(c, test_program_takes_the_hook_for_roots);
  tcase_add_test(c, test_program_takes_a_hook_again_and_again);
  tcase_add_test(c, test_disabled_collector_is_no_clean_answer);
  tcase_add_test(c, test_verdicts);
  tcase_add_test(c, test_abort);
  tcase_add_test(c, test_exit_and_report_keep_it_for_ever);
  tcase_add_test(c, test_dispose_disposes_and_says_nothing);
  tcase_add_test(c, test_off_lets_it_be_collected);
  tcase_add_test(c, test_optional_is_collected_in_every_mode);
  tcase_add_test(c, test_window_between_two_collections);
  tcase_add_test(c, test_window_since_birth);
  tcase_add_test(c, test_touches);
  tcase_add_test(c, test_description);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(detect_suite);
