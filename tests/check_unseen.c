/* SPDX-License-Identifier: MIT */
/*
 * check_unseen.c - weak things in collections that gcx does not see
 *
 * A program that takes the collector's hook for events has collections in which no
 * entry ends and no weak reference is cleared. What they know must not be freed
 * either: a read would give away what is somebody else's by then.
 */
#include <gc/gc.h>
#include <gc/gc_mark.h>

#include "objects.h"
#include "table.h"
#include "waits.h"
#include "weak.h"

#define MANY 2000
#define FEW (MANY * 5 / 100)
#define TAG UINT64_C(0x7a67617461676731)

struct value {
  uint64_t tag;
  uintptr_t key; /* hidden */
};

static struct gcx_table *table;
static void *keys[MANY];
static struct gcx_weak *refs[MANY]; /* to values that nothing else holds */
static struct gcx_dependent *dependents[MANY];
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

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_OFF);
  table = gcx_table_create(GCX_TABLE_BORROWS);
  ck_assert_ptr_nonnull(table);
}

static void *make(size_t bytes, bool plain)
{
  return plain ? GC_MALLOC(bytes) : gcx_alloc_managed(bytes);
}

static struct value *make_value(const void *key, bool plain)
{
  struct value *v = make(sizeof(*v), plain);

  v->tag = TAG;
  v->key = GCX_HIDE(key);
  return v;
}

static GCX_NOINLINE void fill(bool all_plain)
{
  for (int i = 0; i < MANY; i++) {
    bool plain = all_plain || i % 3 == 0;

    keys[i] = make(32, plain);
    ck_assert_int_eq(gcx_table_add(table, keys[i], make_value(keys[i], plain)),
                     0);
    refs[i] = gcx_weak_create(make_value(NULL, plain), i % 2);
    dependents[i] = gcx_dependent_create(keys[i], make_value(keys[i], plain));
  }
}

/* What was freed is used again, for something else. */
static GCX_NOINLINE void use_again(bool plain)
{
  for (int i = 0; i < 20 * MANY; i++) {
    size_t bytes = i % 2 == 0 ? sizeof(struct value) : 32;

    memset(make(bytes, plain), 0xee, bytes);
  }
}

static bool is_right(const void *value, const void *key)
{
  const struct value *v = value;

  return v != NULL && v->tag == TAG && v->key == GCX_HIDE(key);
}

/* All that can be read is right; @n keys are held, and have their entries. */
static GCX_NOINLINE void demand(int n)
{
  struct gcx_table_iter it;
  void *key, *value;
  size_t wrong = 0;

  for (int i = 0; i < n; i++) {
    wrong += !is_right(gcx_table_get(table, keys[i]), keys[i]);
    wrong += !gcx_dependent_get(dependents[i], &key, &value) ||
             key != keys[i] || !is_right(value, key);
  }
  for (int i = 0; i < MANY; i++) {
    value = gcx_weak_get(refs[i]);
    wrong += value != NULL && !is_right(value, NULL);
  }
  gcx_table_iter_init(&it, table);
  while (gcx_table_iter_next(&it, &key, &value))
    wrong += !is_right(value, key);
  ck_assert_uint_eq(wrong, 0);
}

static size_t alive(void)
{
  size_t n = 0;

  for (int i = 0; i < MANY; i++)
    n += gcx_weak_get(refs[i]) != NULL;
  return n;
}

static int standing_by, stand_down;

static void *stands_by(void *arg)
{
  gcx_dispose(gcx_alloc(40)); /* known to the collector, and suspended by it */
  flag_raise(&standing_by);
  flag_wait(&stand_down);
  return arg;
}

/* 1: in incremental mode, in which a suspended thread tells of the stop. */
START_TEST(test_nothing_is_freed_unseen)
  {
    pthread_t thread = thread_start(stands_by, NULL);

    flag_wait(&standing_by);
    if (_i == 1)
      GC_enable_incremental();
    fill(false);
    GC_set_on_collection_event(own_event);
    memset(&keys[MANY / 2], 0, sizeof(keys) / 2);
    for (int i = 0; i < 3; i++) {
      GC_gcollect();
      use_again(i % 2 == 0);
      demand(MANY / 2);
    }
    ck_assert_int_gt(events, 0);
    gcx_collect(); /* seen, without a verdict */
    use_again(false);
    demand(MANY / 2);
    gcx_collect(); /* with one */
    gcx_collect();
    use_again(false);
    demand(MANY / 2);
    ck_assert_uint_ge(gcx_table_count(table), MANY / 2);
    ck_assert_uint_le(gcx_table_count(table), MANY / 2 + FEW);
    ck_assert_uint_le(alive(), FEW);
    gcx__table_check(table);
    gcx__weak_check();
    flag_raise(&stand_down);
    (void)thread_join(thread);
  }
END_TEST

/* A reader that loaded a word before such a collection has to look again. */
START_TEST(test_an_unseen_stop_is_an_epoch)
  {
    uint64_t epoch = gcx__read_now();

    GC_set_on_collection_event(own_event);
    GC_gcollect();
    ck_assert_uint_gt(gcx__read_now(), epoch);
  }
END_TEST

/* Both hooks are gone: objects were freed, and others have their addresses. All
 * that weak things knew is forgotten as soon as a collection is seen. */
START_TEST(test_what_was_freed_unseen_is_forgotten)
  {
    size_t found = 0;

    fill(true);
    memset(keys, 0, sizeof(keys));
    GC_set_on_collection_event(own_event);
    GC_set_push_other_roots(own_push);
    GC_gcollect();
    for (int i = 0; i < MANY; i++)
      keys[i] = GC_MALLOC(32);
    gcx_collect();
    for (int i = 0; i < MANY; i++)
      found += gcx_table_find(table, keys[i], NULL);
    ck_assert_uint_eq(found, 0);
    ck_assert_uint_eq(gcx_table_count(table), 0);
    ck_assert_uint_eq(alive(), 0);
    gcx__table_check(table);
    gcx__weak_check();
  }
END_TEST

static Suite *unseen_suite(void)
{
  Suite *s = suite_create("unseen");
  TCase *c = tcase_create("unseen");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_nothing_is_freed_unseen, 0, 2);
  tcase_add_test(c, test_an_unseen_stop_is_an_epoch);
  tcase_add_test(c, test_what_was_freed_unseen_is_forgotten);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(unseen_suite);
