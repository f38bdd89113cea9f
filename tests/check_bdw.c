/* SPDX-License-Identifier: MIT */
/*
 * check_bdw.c - the collector as gcx uses it: hooks in order, chained and put back;
 *               cells; questions; a program's own finalizers
 *
 * The hooks that are installed are those of the library's own start; seen here
 * through what they count, and through hooks of the program beside them.
 */
#include <stdio.h>
#include <string.h>

#include <gcx.h>

#include "bdw.h"
#include "check_main.h"
#include "holders.h"
#include "options.h"
#include "platform.h"
#include "thread.h"

/* From gc.h, which bdw-gc.h alone may include. */
extern size_t GC_get_heap_size(void);
extern size_t GC_get_unmapped_bytes(void);
typedef void (*event_fn)(int event);
typedef void (*push_fn)(void);
typedef int (*toggle_fn)(void *object);
typedef void (*await_fn)(void *object);
typedef void (*finalizer_fn)(void *object, void *arg);
extern void GC_set_on_collection_event(event_fn fn);
extern event_fn GC_get_on_collection_event(void);
extern void GC_set_push_other_roots(push_fn fn);
extern push_fn GC_get_push_other_roots(void);
extern void GC_set_toggleref_func(toggle_fn fn);
extern toggle_fn GC_get_toggleref_func(void);
extern int GC_toggleref_add(void *object, int is_strong);
extern void GC_set_await_finalize_proc(await_fn fn);
extern await_fn GC_get_await_finalize_proc(void);
extern void GC_register_finalizer_no_order(void *object, finalizer_fn fn,
                                           void *arg, finalizer_fn *ret_fn,
                                           void **ret_arg);
extern int GC_invoke_finalizers(void);
extern void GC_disable(void);
extern void GC_enable(void);
extern void GC_set_find_leak(int value);
extern void GC_set_all_interior_pointers(int value);

enum { EVENT_MARK_END = 2 }; /* GC_EVENT_MARK_END */

static unsigned program_events, program_mark_ends, program_pushes;
static event_fn program_old_event;
static push_fn program_old_push;

static void count_event(int event)
{
  program_events++;
  program_mark_ends += event == EVENT_MARK_END;
}

static void count_event_and_chain(int event)
{
  count_event(event);
  program_old_event(event);
}

static void push_and_chain(void)
{
  program_pushes++;
  program_old_push();
}

/* ---- hooks */

START_TEST(test_seen)
  {
    uint64_t before = gcx__bdw_collections(),
             seen = gcx__bdw_collections_seen();

    ck_assert(gcx__bdw_check_hooks());
    for (int i = 0; i < 10; i++)
      gcx__bdw_collect();
    ck_assert_uint_eq(gcx__bdw_collections(), before + 10);
    ck_assert_uint_eq(gcx__bdw_collections_seen(), seen + 10);
    ck_assert(gcx__bdw_check_hooks());
    ck_assert_ptr_null(gcx__bdw_obstacle());
  }
END_TEST

/* The program's callback takes the place of ours: missed, noticed, repaired; the
 * program's goes on being called. */
START_TEST(test_event_replaced)
  {
    uint64_t seen = gcx__bdw_collections_seen();

    gcx__opt.exit_check = GCX_EXIT_OFF;
    GC_set_on_collection_event(count_event);
    gcx__bdw_collect();
    ck_assert_uint_eq(gcx__bdw_collections_seen(), seen);
    ck_assert(!gcx__bdw_check_hooks());
    ck_assert(gcx__bdw_check_hooks());
    ck_assert_uint_eq(program_mark_ends, 1);
    gcx__bdw_collect(); /* which notices, too, and counts from here */
    ck_assert_uint_gt(gcx__bdw_collections_seen(), seen);
    ck_assert_uint_eq(gcx__bdw_collections_seen(), gcx__bdw_collections());
    ck_assert_uint_eq(program_mark_ends, 2);
  }
END_TEST

/* The program's chains ours, and ours is put in front once more: each event
 * counts once. */
START_TEST(test_event_chained)
  {
    uint64_t seen = gcx__bdw_collections_seen();

    program_old_event = GC_get_on_collection_event();
    GC_set_on_collection_event(count_event_and_chain);
    gcx__bdw_collect();
    ck_assert_uint_eq(gcx__bdw_collections_seen(), seen + 1);
    ck_assert(!gcx__bdw_check_hooks());
    gcx__bdw_collect();
    ck_assert_uint_eq(gcx__bdw_collections_seen(), seen + 2);
    ck_assert_uint_eq(program_mark_ends, 2);
  }
END_TEST

START_TEST(test_push_chained)
  {
    program_old_push = GC_get_push_other_roots();
    GC_set_push_other_roots(push_and_chain);
    gcx__bdw_collect();
    ck_assert_uint_ge(program_pushes, 1);
    ck_assert(!gcx__bdw_check_hooks());
    program_pushes = 0;
    gcx__bdw_collect();
    ck_assert_uint_ge(program_pushes, 1);
    ck_assert(gcx__bdw_check_hooks());
  }
END_TEST

static void count_event_too(int event)
{
  count_event(event);
}

START_TEST(test_replaced_often)
  {
    for (int i = 0; i < 100; i++) {
      GC_set_on_collection_event(i % 2 == 0 ? count_event : NULL);
      ck_assert(!gcx__bdw_check_hooks());
    }
    ck_assert_ptr_null(gcx__bdw_obstacle());
    gcx__bdw_collect();
  }
END_TEST

START_TEST(test_replaced_too_often)
  {
    gcx__opt.exit_check = GCX_EXIT_OFF;
    for (int i = 0; i < 20; i++) {
      GC_set_on_collection_event(i % 2 == 0 ? count_event : count_event_too);
      (void)gcx__bdw_check_hooks();
    }
    ck_assert_ptr_nonnull(gcx__bdw_obstacle());
    gcx__bdw_collect();
  }
END_TEST

START_TEST(test_obstacles)
  {
    GC_disable();
    ck_assert_ptr_nonnull(strstr(gcx__bdw_obstacle(), "disabled"));
    GC_enable();
    ck_assert_ptr_null(gcx__bdw_obstacle());
    GC_set_find_leak(1);
    ck_assert_ptr_nonnull(strstr(gcx__bdw_obstacle(), "find-leak"));
    GC_set_find_leak(0);
    GC_set_all_interior_pointers(0);
    ck_assert_ptr_nonnull(strstr(gcx__bdw_obstacle(), "interior"));
    GC_set_all_interior_pointers(1);
    ck_assert_ptr_null(gcx__bdw_obstacle());
  }
END_TEST

/* ---- the program's finalizers and toggle references */

static unsigned finalized, awaited, toggled;

static void count_finalized(void *object, void *arg)
{
  ck_assert_ptr_nonnull(object);
  ck_assert_ptr_eq(arg, &finalized);
  finalized++;
}

static void count_awaited(void *object)
{
  ck_assert_ptr_nonnull(object);
  awaited++;
}

static void put_finalizer(size_t i, void *p)
{
  (void)i;
  GC_register_finalizer_no_order(p, count_finalized, &finalized, NULL, NULL);
}

START_TEST(test_finalizers)
  {
    GC_set_await_finalize_proc(count_awaited);
    ck_assert(!gcx__bdw_check_hooks());
    holders_make(1000, put_finalizer);
    (void)holders_collect();
    (void)GC_invoke_finalizers();
    (void)holders_collect();
    (void)GC_invoke_finalizers();
    ck_assert_uint_ge(finalized, 950);
    ck_assert_uint_eq(finalized, awaited);
  }
END_TEST

static int answer;

static int toggle(void *object)
{
  ck_assert_ptr_nonnull(object);
  toggled++;
  return answer;
}

static void put_toggle(size_t i, void *p)
{
  (void)i;
  (void)GC_toggleref_add(p, 1);
}

START_TEST(test_toggles)
  {
    answer = 1; /* GC_TOGGLE_REF_STRONG */
    GC_set_toggleref_func(toggle);
    ck_assert(!gcx__bdw_check_hooks());
    holders_make(1000, put_toggle);
    (void)holders_collect();
    ck_assert_uint_eq(toggled, 1000);
    holders_reuse();
    ck_assert_uint_eq(holders_intact(), 1000);
    answer = 0; /* GC_TOGGLE_REF_DROP */
    (void)holders_collect();
    ck_assert_uint_le(holders_collect(), 50);
  }
END_TEST

/* With no function of the program's, what is added is not kept. */
START_TEST(test_toggles_unused)
  {
    holders_make(1000, put_toggle);
    (void)holders_collect();
    ck_assert_uint_le(holders_collect(), 50);
  }
END_TEST

/* ---- cells */

START_TEST(test_many)
  {
    for (size_t bytes = 16; bytes <= GCX__BDW_MANY_MAX; bytes += 16)
      for (int kind = GCX_KIND_ATOMIC; kind <= GCX_KIND_NORMAL; kind++) {
        static void *list; /* a root */
        size_t n = 0;
        gcx__bdw_alloc_many(bytes, (enum gcx__kind)kind, &list);
        ck_assert_ptr_nonnull(list);
        for (void **p = list; p != NULL; p = *p, n++) {
          ck_assert_ptr_eq(gcx__bdw_base(p), p);
          ck_assert_uint_eq(gcx__bdw_cell_bytes(p), bytes);
          ck_assert(gcx__bdw_is_atomic(p) == (kind == GCX_KIND_ATOMIC));
          for (size_t w = 1; kind == GCX_KIND_NORMAL && w < bytes / 8; w++)
            ck_assert_ptr_null(p[w]);
        }
        ck_assert_uint_ge(n, 1);
        list = NULL;
      }
  }
END_TEST

START_TEST(test_one)
  {
    static const size_t sizes[] = { 1,    8,    16,    48,     2000,   2048,
                                    4000, 4096, 10000, 100000, 1000000 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++)
      for (int kind = GCX_KIND_ATOMIC; kind <= GCX_KIND_NORMAL; kind++) {
        void **p = gcx__bdw_alloc(sizes[i], (enum gcx__kind)kind);
        ck_assert_ptr_nonnull(p);
        ck_assert_ptr_null(*p);
        ck_assert_ptr_eq(gcx__bdw_base((char *)p + sizes[i] - 1), p);
        ck_assert_uint_ge(gcx__bdw_cell_bytes(p), sizes[i]);
        ck_assert(gcx__bdw_is_atomic(p) == (kind == GCX_KIND_ATOMIC));
        for (size_t w = 0; kind == GCX_KIND_NORMAL && w < sizes[i] / 8; w++)
          ck_assert_ptr_null(p[w]);
        gcx__bdw_free(p);
      }
    ck_assert_uint_eq(gcx__bdw_cell_bytes(gcx__bdw_alloc(64, GCX_KIND_NORMAL)),
                      64);
  }
END_TEST

START_TEST(test_questions)
  {
    char *p = gcx__bdw_alloc(64, GCX_KIND_NORMAL);
    uintptr_t low, high;
    int local;

    gcx__bdw_heap_bounds(&low, &high);
    ck_assert_uint_le(low, (uintptr_t)p);
    ck_assert_uint_lt((uintptr_t)p, high);
    ck_assert_ptr_eq(gcx__bdw_base(p + 63), p);
    ck_assert_ptr_null(gcx__bdw_base(&local));
    ck_assert_ptr_null(gcx__bdw_base(NULL));
    gcx__bdw_collect();
    ck_assert(gcx__bdw_is_marked(p));
    gcx__bdw_set_mark(p);
    ck_assert(gcx__bdw_is_marked(p));
    ck_assert(!gcx__bdw_is_incremental());
    ck_assert_uint_ge(gcx__bdw_heap_bytes(), (size_t)1 << 20);
    GCX_KEEP(p);
  }
END_TEST

/* ---- control */

static void *add_one(void *arg)
{
  return (char *)arg + 1;
}

START_TEST(test_control)
  {
    char c[2];
    uint64_t before = gcx__bdw_collections();
    int suspend, restart;

    ck_assert_ptr_eq(gcx__bdw_with_lock(add_one, c), c + 1);
    ck_assert_ptr_eq(gcx__bdw_blocking(add_one, c), c + 1);
    gcx__bdw_collect();
    ck_assert_uint_eq(gcx__bdw_collections(), before + 1);
    gcx__bdw_signals(&suspend, &restart);
    ck_assert(suspend > 0 && restart > 0 && suspend != restart);
    ck_assert(!gcx__bdw_is_starting());
    ck_assert(gcx__bdw_has_begun());
  }
END_TEST

START_TEST(test_own_code)
  {
    ck_assert(gcx__bdw_is_own_code((uintptr_t)GC_invoke_finalizers));
    ck_assert(gcx__bdw_is_own_code((uintptr_t)GC_disable));
    ck_assert(!gcx__bdw_is_own_code((uintptr_t)suite_create));
    ck_assert(!gcx__bdw_is_own_code((uintptr_t)&suite_create + 1));
    ck_assert(!gcx__bdw_is_own_code((uintptr_t)gcx__bdw_collect));
  }
END_TEST

/* What a returned function left below is gone. */
static GCX_NOINLINE uintptr_t leave_pattern(void)
{
  volatile uintptr_t dead[512];
  uintptr_t at = (uintptr_t)dead;

  for (size_t i = 0; i < GCX_ARRAY_LENGTH(dead); i++)
    dead[i] = HOLDERS_PATTERN;
  __asm__ volatile("" : "+r"(at)); /* or clang warns of what is meant */
  return at;
}

static GCX_NOINLINE size_t count_pattern(uintptr_t at)
{
  size_t n = 0;

  for (size_t i = 0; i < 512; i++)
    n += ((volatile uintptr_t *)at)[i] == HOLDERS_PATTERN;
  return n;
}

START_TEST(test_clear_stack)
  {
    uintptr_t at = leave_pattern();

    gcx__bdw_clear_stack();
    ck_assert_uint_le(count_pattern(at), 4); /* its own use of the constant */
  }
END_TEST

static void *clear_small_stack(void *arg)
{
  gcx__bdw_clear_stack();
  return arg;
}

START_TEST(test_clear_small_stack)
  {
    pthread_attr_t attributes;
    pthread_t id;

    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, 32768), 0);
    ck_assert_int_eq(pthread_create(&id, &attributes, clear_small_stack, NULL),
                     0);
    ck_assert_int_eq(pthread_join(id, NULL), 0);
  }
END_TEST

/* ---- how far the heap grows from one collection to the next */

#define ROOM_LIVE ((size_t)40 << 20)
#define ROOM_GARBAGE ((size_t)32 << 20)
#define ROOM_CELL ((size_t)64)

struct node {
  struct node *next;
  size_t number;
  char room[40];
};

static struct node *nodes;

START_TEST(test_room_where_all_is_in_use)
  {
    uint64_t before = gcx__bdw_collections();

    gcx__opt.interval_ms = 0;
    for (size_t i = 0; i < ROOM_LIVE / ROOM_CELL; i++) {
      struct node *one = gcx_alloc(sizeof *one);
      ck_assert_ptr_nonnull(one);
      one->next = nodes;
      nodes = one;
    }
    /* One when the 8 MiB are full; three if it had to make do with two thirds more. */
    ck_assert_uint_ge(gcx__bdw_collections() - before, 1);
    ck_assert_uint_le(gcx__bdw_collections() - before, 2);
    gcx_collect();
    for (struct node *at = nodes; at != NULL; at = at->next)
      gcx_dispose(at);
    nodes = NULL;
  }
END_TEST

/* What bdwgc gives back to the system, after some collections that did not need
 * it, is not made up for by more. */
START_TEST(test_room_is_made_once)
  {
    static void *kept[20000];
    size_t first = 0;

    gcx__opt.interval_ms = 0;
    for (size_t k = 0; k < GCX_ARRAY_LENGTH(kept); k++)
      kept[k] = gcx_alloc_managed(48);
    for (int i = 0; i < 200; i++) {
      for (size_t k = 0; k < GCX_ARRAY_LENGTH(kept) / 16; k++)
        GCX_KEEP(gcx_alloc_managed(48)); /* refills, which make room */
      gcx_collect();
      if (i == 19)
        first = GC_get_heap_size() + GC_get_unmapped_bytes();
    }
    ck_assert_uint_le(GC_get_heap_size() + GC_get_unmapped_bytes(),
                      first + ROOM_LIVE);
  }
END_TEST

START_TEST(test_no_room_where_there_is_garbage)
  {
    uint64_t before = gcx__bdw_collections();

    gcx__opt.interval_ms = 0;
    for (size_t i = 0; i < ROOM_GARBAGE / ROOM_CELL; i++)
      gcx_dispose(gcx_alloc(sizeof(struct node)));
    ck_assert_uint_ge(gcx__bdw_collections() - before, 2);
    ck_assert_uint_lt(gcx__bdw_heap_bytes(), ROOM_LIVE);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("bdw");
  TCase *c = tcase_create("bdw");

  tcase_add_test(c, test_seen);
  tcase_add_test(c, test_event_replaced);
  tcase_add_test(c, test_event_chained);
  tcase_add_test(c, test_push_chained);
  tcase_add_test(c, test_replaced_often);
  tcase_add_test(c, test_replaced_too_often);
  tcase_add_test(c, test_obstacles);
  tcase_add_test(c, test_finalizers);
  tcase_add_test(c, test_toggles);
  tcase_add_test(c, test_toggles_unused);
  tcase_add_test(c, test_many);
  tcase_add_test(c, test_one);
  tcase_add_test(c, test_questions);
  tcase_add_test(c, test_control);
  tcase_add_test(c, test_own_code);
  tcase_add_test(c, test_clear_stack);
  tcase_add_test(c, test_clear_small_stack);
  tcase_add_test(c, test_room_where_all_is_in_use);
  tcase_add_test(c, test_room_is_made_once);
  tcase_add_test(c, test_no_room_where_there_is_garbage);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
