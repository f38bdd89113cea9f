/* SPDX-License-Identifier: MIT */
/*
 * check_depot.c - interned stacks
 */
#include "depot.h"

#include <pthread.h>
#include <string.h>

#include "lock.h"
#include "modules.h"
#include "platform.h"
#include "support/check_main.h"
#include "vm.h"

#define STACKS 60000
#define FRAMES_MAX 40
#define THREADS 4

/* Stack number @k: any two differ, many in one frame only. */
static size_t make_stack(uint32_t k, uintptr_t pcs[FRAMES_MAX])
{
  size_t n = 1 + k % FRAMES_MAX;

  for (size_t i = 0; i < n; i++) {
    pcs[i] = 0x400000 + 16 * i;
  }
  pcs[(k / FRAMES_MAX) % n] += (uintptr_t)0x1000000 * (1 + k / FRAMES_MAX);
  return n;
}

static uint32_t put(uint32_t k)
{
  uintptr_t pcs[FRAMES_MAX];
  size_t n = make_stack(k, pcs);

  return gcx__depot_put(pcs, n);
}

static bool holds(uint32_t id, uint32_t k)
{
  uintptr_t expected[FRAMES_MAX];
  const uintptr_t *pcs;
  uint32_t epoch;
  size_t n = make_stack(k, expected);

  return gcx__depot_get(id, &pcs, &epoch) == n &&
         memcmp(pcs, expected, n * sizeof(expected[0])) == 0;
}

START_TEST(same_frames_give_the_same_id)
  {
    size_t bytes;
    uint64_t locks;

    for (uint32_t k = 0; k < STACKS; k++) {
      ck_assert_uint_eq(put(k), k + 1); /* ascending */
    }
    bytes = gcx__depot_bytes();
    locks = gcx__lock_count();
    for (uint32_t k = 0; k < STACKS; k++) {
      ck_assert_uint_eq(put(k), k + 1);
      ck_assert(holds(k + 1, k));
    }
    ck_assert_uint_eq(gcx__lock_count(), locks);  /* hits take no lock */
    ck_assert_uint_eq(gcx__depot_bytes(), bytes); /* and no memory */
    ck_assert_uint_eq(gcx__depot_count(), STACKS);
    ck_assert(gcx__depot_check());
  }
END_TEST

START_TEST(unknown_ids_have_no_frames)
  {
    const uintptr_t *pcs = &(uintptr_t){ 0 };
    uint32_t epoch;

    ck_assert_uint_eq(gcx__depot_get(0, &pcs, &epoch), 0);
    ck_assert_ptr_null(pcs);
    ck_assert_uint_eq(gcx__depot_get(1, &pcs, &epoch), 0);
    ck_assert_uint_eq(put(0), 1);
    ck_assert_uint_eq(gcx__depot_get(1, &pcs, &epoch), 1);
    ck_assert_uint_eq(epoch, gcx__modules_epoch());
    ck_assert_uint_eq(gcx__depot_get(2, &pcs, &epoch), 0);
    ck_assert_uint_eq(gcx__depot_get(UINT32_MAX, &pcs, &epoch), 0);
  }
END_TEST

START_TEST(a_part_of_a_stack_is_another_stack)
  {
    static const uintptr_t pcs[] = { 0x1000, 0x2000, 0x3000 };
    uint32_t three = gcx__depot_put(pcs, 3);
    uint32_t two = gcx__depot_put(pcs, 2);
    uint32_t outer = gcx__depot_put(pcs + 1, 2);

    ck_assert(three != two && two != outer && three != outer);
    ck_assert_uint_eq(gcx__depot_put(pcs, 2), two);
  }
END_TEST

START_TEST(retired_stacks_keep_meaning_and_are_not_given_again)
  {
    static const uintptr_t in[] = { 0x1000, 0x7005, 0x3000 };
    static const uintptr_t out[] = { 0x1000, 0x8001, 0x3000 };
    static const uintptr_t edge[] = {
      0x8000
    }; /* after a call at the very end */
    uint32_t in_id = gcx__depot_put(in, 3), out_id = gcx__depot_put(out, 3);
    uint32_t edge_id = gcx__depot_put(edge, 1), again;
    const uintptr_t *pcs;
    uint32_t epoch;

    gcx__depot_retire(0x7000, 0x8000);
    again = gcx__depot_put(in, 3);
    ck_assert_uint_ne(again, in_id);
    ck_assert_uint_eq(gcx__depot_put(in, 3), again);
    ck_assert_uint_ne(gcx__depot_put(edge, 1), edge_id);
    ck_assert_uint_eq(gcx__depot_put(out, 3), out_id);
    ck_assert_uint_eq(gcx__depot_get(in_id, &pcs, &epoch), 3);
    ck_assert_uint_eq(pcs[1], 0x7005);
    for (uint32_t k = 0; k < 2000; k++) { /* grow past the retired ones */
      (void)put(k);
    }
    ck_assert_uint_eq(gcx__depot_put(in, 3), again);
    ck_assert(gcx__depot_check());
  }
END_TEST

static void *put_all(void *arg)
{
  uint32_t *ids = arg;

  for (uint32_t k = 0; k < STACKS / 4; k++) {
    ids[k] = put(k);
    if (!holds(ids[k], k)) {
      return "wrong stack";
    }
  }
  return NULL;
}

START_TEST(threads_agree)
  {
    static uint32_t ids[THREADS][STACKS / 4];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_create(&threads[i], NULL, put_all, ids[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      void *problem;

      pthread_join(threads[i], &problem);
      ck_assert_ptr_null(problem);
      ck_assert_int_eq(memcmp(ids[0], ids[i], sizeof(ids[0])), 0);
    }
    ck_assert_uint_eq(gcx__depot_count(), STACKS / 4);
    ck_assert(gcx__depot_check());
  }
END_TEST

START_TEST(without_memory_nothing_changes)
  {
    uint32_t failures = 0;

    for (uint32_t k = 0; k < STACKS; k++) {
      size_t count = gcx__depot_count();
      uint32_t id;

      gcx__vm_fail_at(1);
      id = put(k);
      if (id == 0) {
        failures++;
        ck_assert_uint_eq(gcx__depot_count(), count);
        id = put(k);
      }
      gcx__vm_fail_at(0);
      while (id == 0) { /* several maps are needed for the first of all */
        id = put(k);
      }
      ck_assert(holds(id, k));
    }
    ck_assert_uint_ge(failures, 3);
    ck_assert_uint_eq(gcx__depot_count(), STACKS);
    ck_assert(gcx__depot_check());
  }
END_TEST

static Suite *depot_suite(void)
{
  Suite *s = suite_create("depot");
  TCase *t = tcase_create("depot");

  gcx__platform_init();
  tcase_set_timeout(t, 60);
  tcase_add_test(t, same_frames_give_the_same_id);
  tcase_add_test(t, unknown_ids_have_no_frames);
  tcase_add_test(t, a_part_of_a_stack_is_another_stack);
  tcase_add_test(t, retired_stacks_keep_meaning_and_are_not_given_again);
  tcase_add_test(t, threads_agree);
  tcase_add_test(t, without_memory_nothing_changes);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(depot_suite);
