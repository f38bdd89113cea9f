/* SPDX-License-Identifier: MIT */
/*
 * check_beside.c - what a program does with the collector itself goes on working
 *                  beside gcx: finalizers, links, hooks and procedures of its own
 *
 * Set before gcx starts (a constructor that runs first) as well as after it.
 */
#include "finalizable.h"

#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <gc/javaxfc.h>

#define N 1000
#define MOST (N * 95 / 100)

static struct seen *seen;

static void setup(void)
{
  finalizable_setup(GCX_LEAK_REPORT);
  seen = seen_begin();
}

/* ---- before gcx */

static int early_events, early_pushes, early_warnings;

static void GC_CALLBACK early_event(GC_EventType event)
{
  early_events += event == GC_EVENT_MARK_END;
}

static GC_push_other_roots_proc early_old_push;

static void GC_CALLBACK early_push(void)
{
  early_pushes++;
  if (early_old_push != NULL)
    early_old_push();
}

static void GC_CALLBACK early_warn(char *text, GC_word arg)
{
  (void)text;
  (void)arg;
  early_warnings++;
}

__attribute__((constructor(200))) static void before_gcx(void)
{
  GC_INIT();
  GC_set_on_collection_event(early_event);
  early_old_push = GC_get_push_other_roots();
  GC_set_push_other_roots(early_push);
  GC_set_warn_proc(early_warn);
}

static GCX_NOINLINE void lose_plain(size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(gcx_alloc(48));
}

START_TEST(test_hooks_set_before_gcx)
  {
    early_events = early_pushes = 0;
    lose_plain(N);
    ck_assert_uint_ge(gcx_check(), MOST);
    ck_assert_int_ge(early_events, 1);
    ck_assert_int_ge(early_pushes, 1);
  }
END_TEST

/* ---- hooks that pass on, set after it */

static int late_events, late_pushes;
static GC_on_collection_event_proc late_old_event;
static GC_push_other_roots_proc late_old_push;

static void GC_CALLBACK late_event(GC_EventType event)
{
  late_events += event == GC_EVENT_MARK_END;
  if (late_old_event != NULL)
    late_old_event(event);
}

static void GC_CALLBACK late_push(void)
{
  late_pushes++;
  if (late_old_push != NULL)
    late_old_push();
}

START_TEST(test_hooks_set_after_gcx)
  {
    late_old_event = GC_get_on_collection_event();
    GC_set_on_collection_event(late_event);
    late_old_push = GC_get_push_other_roots();
    GC_set_push_other_roots(late_push);
    early_events = 0;
    lose_plain(N);
    ck_assert_uint_ge(gcx_check(), MOST);
    lose_plain(N);
    ck_assert_uint_ge(gcx_check(), MOST);
    ck_assert_int_ge(late_events, 2);
    ck_assert_int_ge(late_pushes, 2);
    ck_assert_int_ge(early_events, 2);
    /* It may find the one that a stale word kept from the checks before. */
    ck_assert_int_ne(gcx_verdict(), GCX_INDETERMINATE);
  }
END_TEST

/* ---- the four kinds of finalizers, on objects of both */

static int finalized, intact;

struct cell {
  struct cell *next; /* itself, of some */
  size_t value;
};

static void GC_CALLBACK finalizes(void *obj, void *arg)
{
  const struct cell *c = obj;

  ck_assert_ptr_eq(arg, &finalized);
  finalized++;
  intact += c->value == 4711;
}

typedef void(GC_CALLBACK *register_fn)(void *obj, GC_finalization_proc fn,
                                       void *arg, GC_finalization_proc *ret_fn,
                                       void **ret_arg);

static void register_unreachable(void *obj, GC_finalization_proc fn, void *arg,
                                 GC_finalization_proc *ret_fn, void **ret_arg)
{
  GC_register_finalizer_unreachable(obj, fn, arg, ret_fn, ret_arg);
}

/* Which of them finalizes an object that refers to itself. */
static const struct {
  register_fn fn;
  bool cyclic;
} kinds[] = { { GC_register_finalizer, false },
              { GC_register_finalizer_ignore_self, true },
              { GC_register_finalizer_no_order, true },
              { register_unreachable, false } };
#define KINDS ((int)GCX_ARRAY_LENGTH(kinds))

static struct cell *cell_make(bool of_gcx)
{
  struct cell *c = of_gcx ? gcx_alloc_managed(sizeof *c) : GC_MALLOC(sizeof *c);

  ck_assert_ptr_nonnull(c);
  c->value = 4711;
  return c;
}

static GCX_NOINLINE void lose_cells(int kind, bool of_gcx)
{
  for (size_t i = 0; i < N; i++) {
    struct cell *c = cell_make(of_gcx);

    c->next = kinds[kind].cyclic ? c : NULL;
    kinds[kind].fn(c, finalizes, &finalized, NULL, NULL);
  }
}

static void settle_both(void)
{
  for (int i = 0; i < 4; i++) {
    collect_and_wait();
    (void)GC_invoke_finalizers();
  }
}

START_TEST(test_finalizers_of_bdwgc)
  {
    GC_set_java_finalization(1); /* for the last kind */
    lose_cells(_i / 2, _i % 2 != 0);
    settle_both();
    demand_most(finalized, N);
    ck_assert_int_eq(intact, finalized);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
  }
END_TEST

/* Ordered: who refers comes first, one step each collection. */
static size_t order_broken;

static void GC_CALLBACK in_order(void *obj, void *arg)
{
  struct cell *c = obj;

  (void)arg;
  finalized++;
  order_broken += c->next != NULL && c->next->value == 0;
  c->value = 0;
}

static GCX_NOINLINE void lose_chains(void)
{
  for (size_t i = 0; i < N; i++) {
    struct cell *c = cell_make(i % 2 != 0);

    c->next = cell_make(i % 2 == 0);
    GC_register_finalizer(c, in_order, NULL, NULL, NULL);
    GC_register_finalizer(c->next, in_order, NULL, NULL, NULL);
  }
}

START_TEST(test_ordered_finalizers_keep_their_order)
  {
    lose_chains();
    settle_both();
    demand_most(finalized, 2 * N);
    ck_assert_uint_eq(order_broken, 0);
  }
END_TEST

/* gcx's finalizer and bdwgc's on one object: both run. */
static int own_ran;

static void own_finalize(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&own_ran, 1, __ATOMIC_ACQ_REL);
}

static const struct gcx_type own_type =
    GCX_TYPE_INIT("own", sizeof(struct cell), GCX_TYPE_OPTIONAL, NULL, NULL,
                  own_finalize, NULL);

static GCX_NOINLINE void lose_with_both(void)
{
  for (size_t i = 0; i < N; i++) {
    struct cell *c = gcx_new(&own_type);

    c->value = 4711;
    GC_register_finalizer_no_order(c, finalizes, &finalized, NULL, NULL);
  }
}

START_TEST(test_both_finalizers_on_one_object)
  {
    lose_with_both();
    settle_both();
    demand_most(own_ran, N);
    demand_most(finalized, N);
    ck_assert_int_eq(intact, finalized);
  }
END_TEST

START_TEST(test_an_unregistered_finalizer_does_not_run)
  {
    for (size_t i = 0; i < N; i++) {
      struct cell *c = cell_make(i % 2 != 0);

      GC_register_finalizer_no_order(c, finalizes, &finalized, NULL, NULL);
      GC_register_finalizer_no_order(c, NULL, NULL, NULL, NULL);
    }
    settle_both();
    ck_assert_int_eq(finalized, 0);
  }
END_TEST

/* ---- when they run is the program's choice */

static int notified;

static void GC_CALLBACK notify(void)
{
  notified++;
}

START_TEST(test_finalize_on_demand_and_notifier)
  {
    GC_set_finalize_on_demand(1);
    GC_set_finalizer_notifier(notify);
    lose_cells(2, false);
    collect_and_wait();
    collect_and_wait();
    ck_assert_int_ge(notified, 1);
    ck_assert_int_eq(finalized, 0); /* gcx runs none of them */
    ck_assert(GC_should_invoke_finalizers());
    ck_assert_int_ge(GC_invoke_finalizers(), MOST);
    ck_assert_int_ge(finalized, MOST);
    ck_assert_ptr_eq((void *)(uintptr_t)GC_get_finalizer_notifier(),
                     (void *)(uintptr_t)notify);
    ck_assert_int_eq(GC_get_finalize_on_demand(), 1);
  }
END_TEST

static int awaited;

static void GC_CALLBACK awaits(void *obj)
{
  awaited += obj != NULL;
}

START_TEST(test_await_finalize_proc)
  {
    GC_set_await_finalize_proc(awaits);
    lose_cells(2, false);
    settle_both();
    ck_assert_int_eq(awaited, finalized);
    demand_most(awaited, N);
  }
END_TEST

/* ---- disappearing links: in memory that is not scanned */

struct links {
  GC_hidden_pointer at[N];
};

static struct links *links, *moved;

static void *link_address(struct links *l, size_t i)
{
  return &l->at[i];
}

static size_t links_set(const struct links *l)
{
  size_t set = 0;

  for (size_t i = 0; i < N; i++)
    set += l->at[i] != 0;
  return set;
}

static GCX_NOINLINE void links_make(bool of_gcx, bool is_long, void *held[N])
{
  links = GC_MALLOC_ATOMIC(sizeof *links);
  for (size_t i = 0; i < N; i++) {
    struct cell *c = cell_make(of_gcx);
    void **link = link_address(links, i);

    if (held != NULL)
      held[i] = c;
    links->at[i] = GC_HIDE_POINTER(c);
    ck_assert_int_eq(is_long ? GC_register_long_link(link, c)
                             : GC_general_register_disappearing_link(link, c),
                     GC_SUCCESS);
  }
}

static void *held_cells[N];

START_TEST(test_links)
  {
    bool of_gcx = _i % 2 != 0, is_long = _i / 2 != 0;

    links_make(of_gcx, is_long, held_cells);
    collect_and_wait();
    ck_assert_uint_eq(links_set(links), N);
    memset(held_cells, 0, sizeof held_cells);
    settle_both();
    ck_assert_uint_le(links_set(links), N - MOST);
  }
END_TEST

/* Short links go when the object is first found dead, long ones when it is gone. */
START_TEST(test_short_and_long_links_of_what_is_finalized)
  {
    GC_set_finalize_on_demand(1);
    links_make(_i == 0, true, held_cells);
    moved = GC_MALLOC_ATOMIC(sizeof *moved);
    for (size_t i = 0; i < N; i++) {
      moved->at[i] = links->at[i];
      ck_assert_int_eq(GC_general_register_disappearing_link(
                           link_address(moved, i), held_cells[i]),
                       GC_SUCCESS);
      GC_register_finalizer_no_order(held_cells[i], finalizes, &finalized, NULL,
                                     NULL);
    }
    memset(held_cells, 0, sizeof held_cells);
    collect_and_wait();
    collect_and_wait();
    ck_assert_uint_le(links_set(moved), N - MOST);
    ck_assert_uint_eq(links_set(links), N);
    settle_both();
    ck_assert_uint_le(links_set(links), N - MOST);
    demand_most(finalized, N);
  }
END_TEST

START_TEST(test_moved_and_unregistered_links)
  {
    links_make(_i % 2 != 0, false, held_cells);
    moved = GC_MALLOC_ATOMIC(sizeof *moved);
    for (size_t i = 0; i < N; i++) {
      if (i % 2 != 0) {
        ck_assert_int_ne(
            GC_unregister_disappearing_link(link_address(links, i)), 0);
        continue;
      }
      moved->at[i] = links->at[i];
      ck_assert_int_eq(GC_move_disappearing_link(link_address(links, i),
                                                 link_address(moved, i)),
                       GC_SUCCESS);
    }
    memset(held_cells, 0, sizeof held_cells);
    settle_both();
    ck_assert_uint_eq(links_set(links), N); /* neither is one any more */
    ck_assert_uint_le(links_set(moved), N / 2 - MOST / 2 + N / 20);
  }
END_TEST

/* A link and gcx's weak reference to one object agree. */
START_TEST(test_links_beside_weak_references)
  {
    static struct gcx_weak *weak[N];
    size_t live = 0;

    links_make(true, false, held_cells);
    for (size_t i = 0; i < N; i++)
      weak[i] = gcx_weak_create(held_cells[i], GCX_WEAK_SHORT);
    collect_and_wait();
    ck_assert_uint_eq(links_set(links), N);
    memset(held_cells, 0, sizeof held_cells);
    settle_both();
    for (size_t i = 0; i < N; i++) {
      bool is_live = gcx_weak_get(weak[i]) != NULL;

      ck_assert_int_eq(is_live, links->at[i] != 0);
      live += is_live;
    }
    ck_assert_uint_le(live, N - MOST);
  }
END_TEST

/* ---- toggle references */

static GC_ToggleRefStatus toggle_status = GC_TOGGLE_REF_STRONG;
static int toggled;

static GC_ToggleRefStatus GC_CALLBACK toggle(void *obj)
{
  (void)obj;
  toggled++;
  return toggle_status;
}

static GCX_NOINLINE void lose_toggles(bool of_gcx)
{
  for (size_t i = 0; i < N; i++) {
    struct cell *c = cell_make(of_gcx);

    ck_assert_int_eq(GC_toggleref_add(c, 1), GC_SUCCESS);
    GC_register_finalizer_no_order(c, finalizes, &finalized, NULL, NULL);
  }
}

START_TEST(test_toggle_references)
  {
    GC_set_toggleref_func(toggle);
    lose_toggles(_i != 0);
    settle_both();
    ck_assert_int_ge(toggled, N);
    ck_assert_int_eq(finalized, 0); /* held */
    toggle_status = GC_TOGGLE_REF_WEAK;
    settle_both();
    demand_most(finalized, N);
    ck_assert_int_eq(intact, finalized);
  }
END_TEST

/* ---- procedures */

static int late_warnings;

static void GC_CALLBACK late_warn(char *text, GC_word arg)
{
  (void)text;
  (void)arg;
  late_warnings++;
}

START_TEST(test_warn_proc)
  {
    if (_i == 1)
      GC_set_warn_proc(late_warn);
    lose_plain(N);
    ck_assert_uint_ge(gcx_check(), MOST);
    ck_assert_ptr_eq((void *)(uintptr_t)GC_get_warn_proc(),
                     (void *)(uintptr_t)(_i == 1 ? late_warn : early_warn));
  }
END_TEST

static int out_of_memory;

static void *GC_CALLBACK own_oom(size_t bytes)
{
  (void)bytes;
  out_of_memory++;
  return NULL;
}

/* Both ways into it, the program's and gcx's, and NULL is what comes back. */
START_TEST(test_oom_fn)
  {
    GC_set_oom_fn(own_oom);
    errno = 0;
    ck_assert_ptr_null(gcx_alloc((size_t)1 << 46));
    ck_assert_int_eq(errno, ENOMEM);
    out_of_memory = 0;
    ck_assert_ptr_null(GC_MALLOC((size_t)1 << 46));
    ck_assert_int_eq(out_of_memory, 1);
    ck_assert_ptr_eq((void *)(uintptr_t)GC_get_oom_fn(),
                     (void *)(uintptr_t)own_oom);
    lose_plain(N);
    ck_assert_uint_ge(gcx_check(), MOST);
  }
END_TEST

static Suite *beside_suite(void)
{
  Suite *s = suite_create("beside");
  TCase *tc = tcase_create("beside");

  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, finalizable_teardown);
  tcase_add_test(tc, test_hooks_set_before_gcx);
  tcase_add_test(tc, test_hooks_set_after_gcx);
  tcase_add_loop_test(tc, test_finalizers_of_bdwgc, 0, 2 * KINDS);
  tcase_add_test(tc, test_ordered_finalizers_keep_their_order);
  tcase_add_test(tc, test_both_finalizers_on_one_object);
  tcase_add_test(tc, test_an_unregistered_finalizer_does_not_run);
  tcase_add_test(tc, test_finalize_on_demand_and_notifier);
  tcase_add_test(tc, test_await_finalize_proc);
  tcase_add_loop_test(tc, test_links, 0, 4);
  tcase_add_loop_test(tc, test_short_and_long_links_of_what_is_finalized, 0, 2);
  tcase_add_loop_test(tc, test_moved_and_unregistered_links, 0, 2);
  tcase_add_test(tc, test_links_beside_weak_references);
  tcase_add_loop_test(tc, test_toggle_references, 0, 2);
  tcase_add_loop_test(tc, test_warn_proc, 0, 2);
  tcase_add_test(tc, test_oom_fn);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(beside_suite);
