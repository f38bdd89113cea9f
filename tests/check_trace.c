/* SPDX-License-Identifier: MIT */
/*
 * check_trace.c - captures are exact, whatever the frames look like
 *
 * Random call trees through functions of every kind a compiler makes; each
 * capture is compared with libunwind's walk of the same stack.
 */
#include "trace.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "depot.h"
#include "lock.h"
#include "modules.h"
#include "options.h"
#include "platform.h"
#include "rules.h"
#include "support/check_main.h"
#include "support/plugin.h"
#include "vm.h"

#define STACKS 120000
#define STACKS_PER_THREAD 30000
#define THREADS 4
#define DEPTH 24
#define MAX 256
#define COROUTINE_BYTES ((size_t)256 * 1024)

#if defined(__clang__)
#define UNOPTIMISED __attribute__((noinline, optnone))
#define WITH_FP GCX_NOINLINE
#else
#define UNOPTIMISED __attribute__((noinline, optimize("O0")))
#define WITH_FP __attribute__((noinline, optimize("no-omit-frame-pointer")))
#endif

/* One walk down a random tree. */
struct tree {
  uint64_t seed;
  size_t wrong;
  size_t captures;
  bool careful;
  struct gcx__thread *thread;
  uint32_t last_id;
};

static unsigned random_next(struct tree *t)
{
  t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(t->seed >> 33);
}

/* Stands for a public function of gcx: captures, and compares. */
static GCX_NOINLINE void entry(struct tree *t)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uintptr_t truth[MAX], walked[MAX];
  const uintptr_t *pcs;
  uint32_t epoch;
  uint32_t id = gcx__trace_site(t->thread, &start);
  size_t n = gcx__depot_get(id, &pcs, &epoch);
  size_t true_n = gcx__unwind(&start, truth, gcx__opt.stack_depth, t->careful);
  bool right =
      n == true_n && n > 0 && memcmp(pcs, truth, n * sizeof(truth[0])) == 0;

  if (t->captures % 16 == 0) {
    right = right &&
            gcx__trace_pcs(t->thread, &start, walked, true_n) == true_n &&
            memcmp(walked, truth, true_n * sizeof(truth[0])) == 0;
  }
  t->wrong += !right;
  t->captures++;
  t->last_id = id;
}

typedef void node_fn(struct tree *t, int depth);

static node_fn descend, plain, large, variable, aligned, unoptimised, framed,
    twice, sorting;

static node_fn *const kinds[] = { plain,       large,  variable, aligned,
                                  unoptimised, framed, twice,    sorting };

/* What each does but for its frame. */
#define GO_ON(t, depth)                                              \
  do {                                                               \
    if ((depth) <= 0) {                                              \
      entry(t);                                                      \
    } else {                                                         \
      kinds[random_next(t) % GCX_ARRAY_LENGTH(kinds)](t, (depth)-1); \
    }                                                                \
    GCX_KEEP(t);                                                     \
  } while (0)

static GCX_NOINLINE void plain(struct tree *t, int depth)
{
  GO_ON(t, depth);
}

static GCX_NOINLINE void large(struct tree *t, int depth)
{
  char room[1500];

  GCX_KEEP(room);
  GO_ON(t, depth);
  GCX_KEEP(room);
}

static GCX_NOINLINE void variable(struct tree *t, int depth)
{
  char *room = __builtin_alloca(16 + random_next(t) % 300);

  GCX_KEEP(room);
  GO_ON(t, depth);
  GCX_KEEP(room);
}

/* The compiler realigns the stack. */
static GCX_NOINLINE void aligned(struct tree *t, int depth)
{
  char room[64] __attribute__((aligned(128)));

  GCX_KEEP(room);
  GO_ON(t, depth);
  GCX_KEEP(room);
}

UNOPTIMISED static void unoptimised(struct tree *t, int depth)
{
  GO_ON(t, depth);
}

WITH_FP static void framed(struct tree *t, int depth)
{
  GO_ON(t, depth);
}

static GCX_NOINLINE void twice(struct tree *t, int depth)
{
  GO_ON(t, depth - 3);
  GO_ON(t, depth - 1);
}

/* Through frames of libc. */
struct sort_call {
  struct tree *tree;
  int depth;
};

static __thread struct sort_call sort_now;

static int compare(const void *a, const void *b)
{
  struct sort_call call = sort_now;

  (void)a;
  (void)b;
  GO_ON(call.tree, call.depth);
  return 0;
}

static GCX_NOINLINE void sorting(struct tree *t, int depth)
{
  int two[2] = { 1, 2 };

  sort_now = (struct sort_call){ t, depth - 2 };
  qsort(two, 2, sizeof(two[0]), compare);
  GCX_KEEP(two);
}

static GCX_NOINLINE void descend(struct tree *t, int depth)
{
  GO_ON(t, depth);
}

static struct tree tree_of(uint64_t seed)
{
  return (struct tree){ .seed = seed, .thread = gcx__thread_self() };
}

static void set_up(void)
{
  gcx__platform_init();
  gcx__options_defaults(&gcx__opt, true);
  gcx__modules_init();
}

/* -------------------------------------------------------------------- tests */

START_TEST(random_stacks_are_exact)
  {
    struct tree t = tree_of(1);
    struct gcx__trace_stats stats;

    while (t.captures < STACKS) {
      descend(&t, (int)(random_next(&t) % DEPTH));
    }
    ck_assert_uint_eq(t.wrong, 0);
    gcx__trace_stats(&stats);
    ck_assert_uint_eq(stats.disagreed, 0);
    ck_assert_uint_gt(stats.rules, 10);
    ck_assert_uint_gt(stats.hits, 1000);
    ck_assert_uint_gt(stats.walks, 1000);
    ck_assert(gcx__depot_check());
  }
END_TEST

/* A loop with one call site, whatever the compiler thinks of unrolling. */
#define REPEAT(i, n) for (volatile int i = 0; i < (n); i++)

/* The same forty trees again and again: soon no capture takes a lock. */
static GCX_NOINLINE void forty_trees(struct tree *t)
{
  REPEAT(seed, 40)
  {
    t->seed = (uint64_t)seed;
    descend(t, 12);
  }
}

START_TEST(recurring_stacks_are_exact_and_take_no_lock)
  {
    struct tree t = tree_of(0);
    uint64_t locks = 0;
    size_t stacks = 0;

    REPEAT(round, 300)
    {
      if (round == 200) {
        locks = gcx__lock_count();
        stacks = gcx__depot_count();
      }
      forty_trees(&t);
    }
    ck_assert_uint_eq(gcx__lock_count(), locks);
    ck_assert_uint_eq(gcx__depot_count(), stacks);
    ck_assert_uint_eq(t.wrong, 0);
  }
END_TEST

static GCX_NOINLINE void one_path(struct tree *t)
{
  REPEAT(i, 1000)
  {
    plain(t, 0);
  }
}

START_TEST(a_hit_takes_no_lock_and_no_memory)
  {
    struct tree t = tree_of(7);
    struct gcx__trace_stats before, after;
    uint64_t locks, calls;
    size_t bytes = 0;

    REPEAT(i, 2)
    {
      gcx__trace_stats(&before);
      locks = gcx__lock_count();
      calls = gcx__vm_calls();
      bytes = gcx__depot_bytes();
      one_path(&t);
    }
    ck_assert_uint_eq(gcx__lock_count(), locks);
    ck_assert_uint_eq(gcx__vm_calls(), calls);
    ck_assert_uint_eq(gcx__depot_bytes(), bytes);
    gcx__trace_stats(&after);
    ck_assert_uint_eq(after.hits - before.hits, 1000);
    ck_assert_uint_eq(after.unwinds, before.unwinds);
    ck_assert_uint_eq(t.wrong, 0);
  }
END_TEST

/* Two captures of a stack one after the other, like an allocation and its disposal;
 * or one of them alone. */
enum captures { FIRST = 1, SECOND = 2, BOTH = 3 };

static GCX_NOINLINE void captures_of(struct tree *t, enum captures which)
{
  if ((which & FIRST) != 0) {
    entry(t);
    GCX_KEEP(t);
  }
  if ((which & SECOND) != 0) {
    entry(t);
    GCX_KEEP(t);
  }
}

/* @path: which of two call sites, at each level. */
static GCX_NOINLINE void on_path(struct tree *t, unsigned path, int depth,
                                 enum captures which)
{
  if (depth == 0) {
    captures_of(t, which);
  } else if (path % 2 != 0) {
    on_path(t, path / 2, depth - 1, which);
    __asm__ volatile("nop" : : : "memory");
  } else {
    on_path(t, path / 2, depth - 1, which);
    __asm__ volatile("nop;nop" : : : "memory");
  }
  GCX_KEEP(t);
}

/* What the path before tells about the next one holds for thousands of captures,
 * and then no more. */
START_TEST(paths_in_turns_are_exact)
  {
    struct tree t = tree_of(11);
    struct gcx__trace_stats before, after;

    gcx__trace_stats(&before);
    REPEAT(round, 6)
    {
      REPEAT(i, 4000)
      {
        on_path(&t, (unsigned)random_next(&t) % 16, 4, BOTH);
      }
      REPEAT(i, 400)
      {
        on_path(&t, (unsigned)random_next(&t) % 16, 4, FIRST);
        on_path(&t, (unsigned)random_next(&t) % 16, 4, SECOND);
      }
      REPEAT(i, 4000)
      {
        on_path(&t, (unsigned)i % 16, 4, BOTH);
      }
    }
    gcx__trace_stats(&after);
    ck_assert_uint_eq(t.wrong, 0);
    ck_assert_uint_eq(after.disagreed, before.disagreed);
    ck_assert_uint_gt(after.hits - before.hits, t.captures / 10 * 9);
  }
END_TEST

static void *in_thread(void *arg)
{
  struct tree t = tree_of((uint64_t)(uintptr_t)arg);

  while (t.captures < STACKS_PER_THREAD) {
    descend(&t, (int)(random_next(&t) % DEPTH));
  }
  gcx__trace_thread_leave(t.thread);
  return t.wrong == 0 ? NULL : "wrong";
}

START_TEST(threads_are_exact)
  {
    pthread_t threads[THREADS];
    struct gcx__trace_stats stats;

    for (uintptr_t i = 0; i < THREADS; i++) {
      ck_assert_int_eq(
          pthread_create(&threads[i], NULL, in_thread, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      void *problem;

      pthread_join(threads[i], &problem);
      ck_assert_ptr_null(problem);
    }
    gcx__trace_stats(&stats);
    ck_assert_uint_ge(stats.hits + stats.walks + stats.unwinds,
                      (uint64_t)THREADS * STACKS_PER_THREAD);
  }
END_TEST

START_TEST(every_depth_is_exact)
  {
    static const uint64_t depths[] = { 1, 2, 3, 5, 30, 255, 256 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(depths); i++) {
      struct tree t = tree_of(i);

      gcx__opt.stack_depth = depths[i];
      gcx__rules_flush(); /* an option does not change, but here */
      while (t.captures < 4000) {
        descend(&t, (int)(random_next(&t) % (2 * DEPTH)));
      }
      ck_assert_uint_eq(t.wrong, 0);
    }
  }
END_TEST

START_TEST(no_capture_when_there_must_be_none)
  {
    static struct gcx__lock lock = GCX_LOCK_INIT(GCX_RANK_TYPES);
    struct gcx__frame start = GCX__CALLER_FRAME();
    struct gcx__thread *t = gcx__thread_self();
    uintptr_t pcs[4];

    ck_assert_uint_ne(gcx__trace_site(t, &start), 0);
    gcx__lock(&lock);
    ck_assert_uint_eq(gcx__trace_site(t, &start), 0);
    ck_assert_uint_eq(gcx__trace_pcs(t, &start, pcs, 4), 0);
    gcx__unlock(&lock);
    t->no_capture++;
    ck_assert_uint_eq(gcx__trace_site(t, &start), 0);
    t->no_capture--;
    gcx__opt.unwind = GCX_UNWIND_NONE;
    ck_assert_uint_eq(gcx__trace_site(t, &start), 0);
    ck_assert_uint_eq(gcx__trace_pcs(t, &start, pcs, 4), 0);
    gcx__opt.unwind = GCX_UNWIND_AUTO;
    ck_assert_uint_ne(gcx__trace_site(t, &start), 0);
  }
END_TEST

/* ------------------------------------------------------------------ unloading */

static size_t from_plugin(void *arg)
{
  plain(arg, 0);
  return 0;
}

/* Captures through the library; its code lies where the other one's did. That it
 * is gone is noticed here, or @elsewhere. */
static void *through_plugin(const char *name, struct tree *t, bool elsewhere,
                            uint32_t *ret_id)
{
  struct plugin p = plugin_open(name);
  void *code = (void *)(uintptr_t)p.call;

  for (int i = 0; i < 200; i++) {
    (void)p.call(from_plugin, t);
  }
  *ret_id = t->last_id;
  dlclose(p.handle);
  ck_assert(elsewhere ? gcx__modules_refresh() : gcx__trace_refresh());
  ck_assert(!gcx__trace_refresh());
  t->careful = true; /* what it is compared with */
  return code;
}

START_TEST(a_library_in_the_place_of_another)
  {
    struct tree t = tree_of(3);
    uint32_t small, large_id;
    size_t same = 0;

    for (int round = 0; round < 4; round++) {
      void *first = through_plugin("small", &t, round % 2 == 0, &small);
      void *second = through_plugin("large", &t, round < 2, &large_id);

      same += first == second;
      ck_assert_uint_ne(small, large_id); /* same addresses, other meaning */
    }
    ck_assert_uint_gt(same, 0);
    ck_assert_uint_eq(t.wrong, 0);
    while (t.captures < 8000) { /* and life goes on */
      descend(&t, 8);
    }
    ck_assert_uint_eq(t.wrong, 0);
  }
END_TEST

/* ----------------------------------------------------------------- coroutines */

static ucontext_t co_main, co_self;
static struct tree *co_tree;

static void co_body(void)
{
  for (int i = 0; i < 20; i++) {
    descend(co_tree, 6);
  }
  swapcontext(&co_self, &co_main);
}

/* On a stack of its own, which vanishes afterwards. */
static void co_run(struct tree *t)
{
  void *stack = mmap(NULL, COROUTINE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne(stack, MAP_FAILED);
  co_tree = t;
  ck_assert_int_eq(getcontext(&co_self), 0);
  co_self.uc_stack.ss_sp = stack;
  co_self.uc_stack.ss_size = COROUTINE_BYTES;
  co_self.uc_link = &co_main;
  makecontext(&co_self, co_body, 0);
  swapcontext(&co_main, &co_self);
  munmap(stack, COROUTINE_BYTES);
}

START_TEST(coroutine_stacks_come_and_go)
  {
    struct tree t = tree_of(11);

    for (int i = 0; i < 100; i++) {
      co_run(&t);
      descend(&t, 10);
    }
    ck_assert_uint_gt(t.captures, 2000);
    ck_assert_uint_eq(t.wrong, 0);
  }
END_TEST

/* Garbage as frame pointer and stack pointer: nothing outside is read. */
START_TEST(absurd_frames_do_not_crash)
  {
    struct gcx__thread *t = gcx__thread_self();
    struct gcx__frame good = GCX__CALLER_FRAME();
    struct tree tree = tree_of(5);

    for (int i = 0; i < 2000; i++) {
      struct gcx__frame f = good;

      plain(&tree, 2);
      switch (i % 5) {
      case 0:
        f.fp = random_next(&tree);
        break;
      case 1:
        f.fp = t->stack_high - 8;
        break;
      case 2:
        f.sp = t->stack_high - 8 * (random_next(&tree) % 64);
        break;
      case 3:
        f.sp = random_next(&tree);
        break;
      default:
        f.sp += random_next(&tree) % 64;
        break;
      }
      (void)gcx__trace_site(t, &f);
    }
    ck_assert_uint_eq(tree.wrong, 0);
  }
END_TEST

/* --------------------------------------------------------------------- rules */

START_TEST(one_disagreement_is_for_good)
  {
    struct tree t = tree_of(2);
    struct gcx__unwind_step lie = { .frame = { 0, 0, 0 } };
    const uintptr_t *pcs;
    uint32_t epoch, generation;
    size_t n;

    REPEAT(i, 10)
    {
      plain(&t, 0);
    }
    n = gcx__depot_get(t.last_id, &pcs, &epoch);
    ck_assert_uint_gt(n, 2);
    ck_assert(GCX_RULE_KIND(gcx__rules_find(gcx__rules_table, pcs[1])) ==
                  GCX_RULE_SP ||
              GCX_RULE_KIND(gcx__rules_find(gcx__rules_table, pcs[1])) ==
                  GCX_RULE_FP);
    generation = gcx__rules_generation;
    lie.frame.pc = pcs[1];
    (void)gcx__rules_learn(&lie, 1, generation, 0, 0);
    ck_assert_uint_ne(gcx__rules_generation, generation);
    for (int i = 0; i < 10; i++) {
      plain(&t, 0);
      ck_assert_int_eq(GCX_RULE_KIND(gcx__rules_find(gcx__rules_table, pcs[1])),
                       GCX_RULE_UNTRUSTED);
    }
    ck_assert_uint_eq(t.wrong, 0);
  }
END_TEST

/* The table grows through several sizes and forgets nothing. */
START_TEST(many_rules)
  {
    struct tree t = tree_of(2);
    struct gcx__unwind_step strange = { .is_signal = true };
    size_t missing = 0;

    plain(&t, 0);
    for (uintptr_t i = 0; i < 50000; i++) {
      strange.frame.pc = 0x10000000 + 13 * i;
      (void)gcx__rules_learn(&strange, 1, gcx__rules_generation, 0, 0);
    }
    for (uintptr_t i = 0; i < 50000; i++) {
      missing += GCX_RULE_KIND(
                     gcx__rules_find(gcx__rules_table, 0x10000000 + 13 * i)) !=
                 GCX_RULE_UNTRUSTED;
    }
    ck_assert_uint_eq(missing, 0);
    ck_assert_uint_eq(
        gcx__rules_find(gcx__rules_table, 0x10000000 + 13 * 50000), 0);
    gcx__rules_flush();
    ck_assert_uint_eq(gcx__rules_find(gcx__rules_table, 0x10000000), 0);
  }
END_TEST

START_TEST(without_memory_captures_go_on)
  {
    for (uint64_t at = 1; at <= 12; at++) {
      struct tree t = tree_of(at);
      size_t lost = 0;

      gcx__trace_thread_leave(t.thread);
      gcx__rules_flush();
      gcx__vm_fail_at(at);
      for (int i = 0; i < 50; i++) {
        size_t wrong = t.wrong;

        plain(&t, 5);
        if (t.last_id == 0) { /* the depot had none */
          t.wrong = wrong;
          lost++;
        }
      }
      gcx__vm_fail_at(0);
      ck_assert_uint_le(lost, 1);
      ck_assert_uint_eq(t.wrong, 0);
    }
  }
END_TEST

static Suite *trace_suite(void)
{
  Suite *s = suite_create("trace");
  TCase *t = tcase_create("trace");

  tcase_set_timeout(t, 120);
  tcase_add_checked_fixture(t, set_up, NULL);
  tcase_add_test(t, random_stacks_are_exact);
  tcase_add_test(t, recurring_stacks_are_exact_and_take_no_lock);
  tcase_add_test(t, a_hit_takes_no_lock_and_no_memory);
  tcase_add_test(t, paths_in_turns_are_exact);
  tcase_add_test(t, threads_are_exact);
  tcase_add_test(t, every_depth_is_exact);
  tcase_add_test(t, no_capture_when_there_must_be_none);
  tcase_add_test(t, a_library_in_the_place_of_another);
  tcase_add_test(t, coroutine_stacks_come_and_go);
  tcase_add_test(t, absurd_frames_do_not_crash);
  tcase_add_test(t, one_disagreement_is_for_good);
  tcase_add_test(t, many_rules);
  tcase_add_test(t, without_memory_captures_go_on);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(trace_suite);
