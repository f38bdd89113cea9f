/* SPDX-License-Identifier: MIT */
/*
 * check_weak.c - weak references
 */
#include <gc/gc.h>

#include "objects.h"
#include "vm.h"
#include "waits.h"
#include "weak.h"

#define MANY 2000
#define MOST (MANY * 95 / 100)

static struct gcx_weak *refs[MANY];
static void *targets[MANY];

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_OFF);
}

static void *(*make)(size_t bytes);

static void *make_bdw(size_t bytes)
{
  return GC_MALLOC(bytes);
}

static GCX_NOINLINE void refer(int kind, size_t bytes, bool hold)
{
  for (int i = 0; i < MANY; i++) {
    void *target = make(bytes);

    refs[i] = gcx_weak_create(target, kind);
    ck_assert_ptr_nonnull(refs[i]);
    targets[i] = hold ? target : NULL;
  }
}

static GCX_NOINLINE size_t alive(void)
{
  size_t n = 0;

  for (int i = 0; i < MANY; i++)
    n += gcx_weak_get(refs[i]) != NULL;
  return n;
}

/* ---- life and death */

static void live_and_die(int kind, size_t bytes)
{
  refer(kind, bytes, true);
  gcx_collect();
  for (int i = 0; i < MANY; i++)
    ck_assert_ptr_eq(gcx_weak_get(refs[i]), targets[i]);
  memset(targets, 0, sizeof(targets));
  gcx_collect();
  gcx_collect();
  ck_assert_uint_le(alive(), MANY - MOST);
  gcx__weak_check();
}

START_TEST(test_dies_with_its_target)
  {
    make = gcx_alloc;
    live_and_die(_i, 48);
    make = gcx_alloc_managed;
    live_and_die(_i, 16);
    make = gcx_alloc_atomic;
    live_and_die(_i, 3000);
    make = make_bdw;
    live_and_die(_i, 32);
  }
END_TEST

START_TEST(test_survives_collections)
  {
    make = _i % 2 == 0 ? gcx_alloc : make_bdw;
    refer(_i < 2 ? GCX_WEAK_SHORT : GCX_WEAK_LONG, 40, true);
    for (int i = 0; i < 20; i++) {
      gcx_collect();
      ck_assert_uint_eq(alive(), MANY);
    }
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), targets[i]);
  }
END_TEST

static GCX_NOINLINE struct gcx_weak *refer_to_big(void **ret_target)
{
  *ret_target = gcx_alloc_managed((size_t)3 << 20);
  return gcx_weak_create(*ret_target, GCX_WEAK_LONG);
}

START_TEST(test_big_target)
  {
    size_t dead = 0;

    for (int i = 0; i < 20; i++)
      refs[i] = refer_to_big(&targets[i]);
    gcx_collect();
    for (int i = 0; i < 20; i++)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), targets[i]);
    memset(targets, 0, sizeof(targets));
    gcx_collect();
    for (int i = 0; i < 20; i++)
      dead += gcx_weak_get(refs[i]) == NULL;
    ck_assert_uint_ge(dead, 15);
  }
END_TEST

/* A weak reference keeps nothing, and nothing keeps it: both kinds go. */
static GCX_NOINLINE void forget_both(void)
{
  for (int i = 0; i < MANY; i++)
    (void)!gcx_weak_create(gcx_alloc_managed(32), i & 1);
}

START_TEST(test_dead_references_give_their_cells_back)
  {
    size_t cells;

    for (int i = 0; i < 3; i++) {
      forget_both();
      gcx_collect();
    }
    cells = gcx__weak_cells();
    for (int i = 0; i < 30; i++) {
      forget_both();
      gcx_collect();
    }
    ck_assert_uint_le(gcx__weak_cells(), cells + MANY);
    ck_assert_uint_le(gcx__weak_count(), MANY);
    gcx__weak_check();
  }
END_TEST

START_TEST(test_disposed)
  {
    void *target = gcx_alloc_managed(16);
    struct gcx_weak *w = gcx_weak_create(target, GCX_WEAK_SHORT);
    size_t count = gcx__weak_count();

    gcx_dispose(w);
    ck_assert_uint_eq(gcx__weak_count(), count - 1);
    ck_assert_ptr_null(gcx_weak_get(w));
    ck_assert_int_eq(gcx_weak_set(w, target), -EINVAL);
    gcx_dispose(w);
    ck_assert_uint_eq(gcx__weak_count(), count - 1);
    GCX_KEEP(target);
  }
END_TEST

/* A disposed target is an object like any other until it is unreachable. */
START_TEST(test_disposed_target)
  {
    void *target = gcx_alloc(16);
    struct gcx_weak *w = gcx_weak_create(target, GCX_WEAK_SHORT);

    gcx_dispose(target);
    gcx_collect();
    ck_assert_ptr_eq(gcx_weak_get(w), target);
  }
END_TEST

/* ---- arguments */

START_TEST(test_arguments)
  {
    char *p = gcx_alloc_managed(64);
    char local[16];
    struct gcx_weak *w = gcx_weak_create(NULL, GCX_WEAK_LONG);

    ck_assert_ptr_nonnull(w);
    ck_assert_ptr_null(gcx_weak_get(w));
    ck_assert_ptr_null(gcx_weak_get(NULL));
    ck_assert_int_eq(gcx_weak_set(NULL, p), -EINVAL);
    ck_assert_int_eq(gcx_weak_set(w, p + 1), -EINVAL);
    ck_assert_int_eq(gcx_weak_set(w, p + 16), -EINVAL);
    ck_assert_int_eq(gcx_weak_set(w, local), -EINVAL);
    ck_assert_int_eq(gcx_weak_set(w, p), 0);
    ck_assert_int_eq(gcx_weak_set(w, local), -EINVAL);
    ck_assert_ptr_eq(gcx_weak_get(w), p);
    ck_assert_int_eq(gcx_weak_set(w, NULL), 0);
    ck_assert_ptr_null(gcx_weak_get(w));
    errno = 0;
    ck_assert_ptr_null(gcx_weak_create(p + 8, GCX_WEAK_SHORT));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_weak_create(local, GCX_WEAK_SHORT));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_weak_create(p, 2));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_weak_create(p, -1));
    ck_assert_int_eq(errno, EINVAL);
    GCX_KEEP(p);
  }
END_TEST

static void asks_a_string(void *arg)
{
  (void)arg;
  (void)gcx_weak_get((const struct gcx_weak *)(const void *)"no reference");
}

static void asks(void *other)
{
  (void)gcx_weak_get(other);
}

static void sets(void *other)
{
  (void)gcx_weak_set(other, NULL);
}

/* Of all functions and pointers: check_bad_things.c. */
START_TEST(test_no_reference)
  {
    void *other = gcx_alloc_managed(64);

    objects_setup(GCX_LEAK_OFF);
    death_demand_abort(asks_a_string, NULL, "GCX-BAD-POINTER");
    death_demand_abort(asks, other, "GCX-BAD-POINTER");
    death_demand_abort(sets, other, "GCX-BAD-POINTER");
    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    ck_assert_ptr_null(gcx_weak_get(other));
    ck_assert_int_eq(gcx_weak_set(other, NULL), -EINVAL);
  }
END_TEST

START_TEST(test_no_memory)
  {
    void *target = gcx_alloc_managed(16);
    size_t refused = 0, made = 0;

    /* A collection would give cells back, for which no memory is needed. */
    gcx__bdw_disable();
    for (int n = 1; n <= 40000; n++) {
      struct gcx_weak *w;

      gcx__vm_fail_here(true);
      w = gcx_weak_create(target, GCX_WEAK_SHORT);
      gcx__vm_fail_here(false);
      if (w == NULL) {
        ck_assert_int_eq(errno, ENOMEM);
        refused++;
        w = gcx_weak_create(target, GCX_WEAK_SHORT);
      } else {
        made++;
      }
      ck_assert_ptr_eq(gcx_weak_get(w), target);
    }
    gcx__bdw_enable();
    ck_assert_uint_ge(refused, 2); /* cells come by 16,384 */
    ck_assert_uint_eq(made, 40000 - refused);
    gcx__weak_check();
  }
END_TEST

/* ---- another target */

START_TEST(test_set)
  {
    void *a = gcx_alloc_managed(16), *b = GC_MALLOC(32);
    struct gcx_weak *w = gcx_weak_create(a, GCX_WEAK_SHORT);

    ck_assert_int_eq(gcx_weak_set(w, b), 0);
    ck_assert_ptr_eq(gcx_weak_get(w), b);
    gcx_collect();
    ck_assert_ptr_eq(gcx_weak_get(w), b);
    ck_assert_int_eq(gcx_weak_set(w, a), 0);
    gcx_collect();
    ck_assert_ptr_eq(gcx_weak_get(w), a);
    gcx__weak_check();
    GCX_KEEP(a);
    GCX_KEEP(b);
  }
END_TEST

START_TEST(test_set_after_the_target_died)
  {
    void *a = gcx_alloc_managed(16);

    make = gcx_alloc_managed;
    refer(GCX_WEAK_SHORT, 24, false);
    gcx_collect();
    ck_assert_uint_le(alive(), MANY - MOST);
    for (int i = 0; i < MANY; i++)
      ck_assert_int_eq(gcx_weak_set(refs[i], a), 0);
    gcx_collect();
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), a);
    gcx__weak_check();
  }
END_TEST

/* ---- many references to one */

START_TEST(test_many_references_to_one_target)
  {
    void *target = gcx_alloc_managed(16);

    for (int i = 0; i < MANY; i++)
      refs[i] = gcx_weak_create(target, i & 1);
    gcx_collect();
    ck_assert_uint_eq(alive(), MANY);
    for (int i = 0; i < MANY; i += 2)
      gcx_dispose(refs[i]);
    gcx__weak_check();
    ck_assert_uint_eq(alive(), MANY / 2);
    GCX_KEEP(target);
  }
END_TEST

/* ---- memory that goes back at once; realloc */

/* The address is used again at once, and no reference finds the new object. */
START_TEST(test_a_reused_address_is_another_object)
  {
    size_t rounds = 1000000, again = 0;
    const void *before = NULL;

    gcx__opt.quarantine = 0;
    for (size_t i = 0; i < rounds; i++) {
      void *p = gcx_alloc(32);
      struct gcx_weak *w = gcx_weak_create(p, (int)(i & 1));

      again += p == before;
      before = p;
      gcx_dispose(p);
      if (gcx_weak_get(w) != NULL)
        ck_abort_msg("round %zu", i);
      gcx_dispose(w);
    }
    ck_assert_uint_ge(again, rounds / 2);
    gcx__weak_check();
  }
END_TEST

START_TEST(test_freed_among_many)
  {
    gcx__opt.quarantine = 0;
    make = gcx_alloc;
    refer(GCX_WEAK_LONG, 32, true);
    for (int i = 0; i < MANY; i += 2)
      gcx_dispose(targets[i]);
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), i % 2 == 0 ? NULL : targets[i]);
    gcx_collect();
    for (int i = 1; i < MANY; i += 2)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), targets[i]);
    gcx__weak_check();
  }
END_TEST

START_TEST(test_follows_realloc)
  {
    make = gcx_alloc;
    refer(GCX_WEAK_SHORT, 32, true);
    for (int i = 0; i < MANY; i++) {
      void *moved = gcx_realloc(targets[i], 2000);

      ck_assert_ptr_ne(moved, targets[i]);
      targets[i] = moved;
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), moved);
    }
    gcx_collect();
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(gcx_weak_get(refs[i]), targets[i]);
    gcx__weak_check();
  }
END_TEST

/* ---- threads */

#define SLOTS 64

static struct gcx_weak *shared[SLOTS];
static int stop_reading;
static size_t wrong;

struct tagged {
  uint64_t tag;
  uint64_t rest[3];
};
#define TAG UINT64_C(0x123456789abcdef1)

static GCX_NOINLINE void renew(unsigned i)
{
  struct tagged *t = gcx_alloc_managed(sizeof(*t));

  t->tag = TAG;
  ck_assert_int_eq(gcx_weak_set(shared[i], t), 0);
}

/* The same memory with something else in it, if it was given back. */
static GCX_NOINLINE void litter(void)
{
  for (int i = 0; i < 64; i++) {
    struct tagged *t = gcx_alloc_managed(sizeof(*t));

    t->tag = ~TAG;
  }
}

static void *reads(void *arg)
{
  unsigned i = 0;

  (void)arg;
  while (!flag_is_up(&stop_reading)) {
    const struct tagged *t = gcx_weak_get(shared[i++ % SLOTS]);

    if (t != NULL && t->tag != TAG)
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static void *collects(void *arg)
{
  (void)arg;
  while (!flag_is_up(&stop_reading))
    gcx_collect();
  return NULL;
}

START_TEST(test_readers_a_writer_and_collections)
  {
    uint64_t end;
    pthread_t thread[4];
    unsigned i = 0;

    for (i = 0; i < SLOTS; i++)
      shared[i] = gcx_weak_create(NULL, GCX_WEAK_SHORT);
    for (i = 0; i < 3; i++)
      thread[i] = thread_start(reads, NULL);
    thread[3] = thread_start(collects, NULL);
    end = gcx__now_ns() + UINT64_C(700000000);
    while (gcx__now_ns() < end) {
      renew(i++ % SLOTS);
      litter();
    }
    flag_raise(&stop_reading);
    for (i = 0; i < 4; i++)
      (void)thread_join(thread[i]);
    ck_assert_uint_eq(wrong, 0);
    gcx__weak_check();
  }
END_TEST

/* ---- fork */

static void in_a_child(void *arg)
{
  (void)arg;
  if (alive() != MANY)
    _exit(2);
  memset(targets, 0, sizeof(targets));
  gcx_collect();
  gcx_collect();
  if (alive() > MANY - MOST)
    _exit(3);
  gcx__weak_check();
  refer(GCX_WEAK_SHORT, 16, true);
  gcx_collect();
  if (alive() != MANY)
    _exit(4);
}

START_TEST(test_fork)
  {
    make = gcx_alloc_managed;
    refer(GCX_WEAK_SHORT, 32, true);
    death_demand_exit(in_a_child, NULL, 0);
    gcx_collect();
    ck_assert_uint_eq(alive(), MANY);
  }
END_TEST

static Suite *weak_suite(void)
{
  Suite *s = suite_create("weak");
  TCase *c = tcase_create("weak");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_dies_with_its_target, 0, 2);
  tcase_add_loop_test(c, test_survives_collections, 0, 4);
  tcase_add_test(c, test_big_target);
  tcase_add_test(c, test_dead_references_give_their_cells_back);
  tcase_add_test(c, test_disposed);
  tcase_add_test(c, test_disposed_target);
  tcase_add_test(c, test_arguments);
  tcase_add_test(c, test_no_reference);
  tcase_add_test(c, test_no_memory);
  tcase_add_test(c, test_set);
  tcase_add_test(c, test_set_after_the_target_died);
  tcase_add_test(c, test_many_references_to_one_target);
  tcase_add_test(c, test_a_reused_address_is_another_object);
  tcase_add_test(c, test_freed_among_many);
  tcase_add_test(c, test_follows_realloc);
  tcase_add_test(c, test_readers_a_writer_and_collections);
  tcase_add_test(c, test_fork);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(weak_suite);
