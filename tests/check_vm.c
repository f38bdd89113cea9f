/* SPDX-License-Identifier: MIT */
/*
 * check_vm.c - memory that gcx owns: every byte of it is told, no other
 */
#include "vm.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform.h"
#include "support/check_main.h"

#define MAPS 600 /* more than one chunk of the table */
#define THREADS 4
#define ROUNDS 2000

static bool owned(const void *p)
{
  uintptr_t boundary;

  return gcx__vm_owns((uintptr_t)p, &boundary);
}

START_TEST(map_is_zero_owned_and_given_back)
  {
    size_t bytes = 3 * gcx__page_bytes() - 5;
    char *p = gcx__vm_map(bytes);
    uintptr_t boundary = 0;

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < bytes; i++) {
      ck_assert_int_eq(p[i], 0);
    }
    ck_assert(gcx__vm_owns((uintptr_t)p, &boundary));
    ck_assert_uint_eq(boundary, (uintptr_t)p + 3 * gcx__page_bytes());
    ck_assert(owned(p + bytes - 1));
    gcx__vm_unmap(p, bytes);
    ck_assert(!owned(p));
  }
END_TEST

START_TEST(foreign_memory_is_not_owned)
  {
    static int in_data;
    int on_stack;
    char *heap = malloc(64);
    char *ours = gcx__vm_map(gcx__page_bytes());
    uintptr_t boundary = 0;

    ck_assert_ptr_nonnull(ours);
    ck_assert(!owned(&in_data));
    ck_assert(!owned(&on_stack));
    ck_assert(!owned(heap));
    ck_assert(!gcx__vm_owns(1, &boundary));
    ck_assert_uint_le(boundary, (uintptr_t)ours);
    ck_assert(!gcx__vm_owns(UINTPTR_MAX - 1, &boundary));
    ck_assert_uint_eq(boundary, UINTPTR_MAX);
    gcx__vm_unmap(ours, gcx__page_bytes());
    free(heap);
  }
END_TEST

START_TEST(boundaries_lead_through_all)
  {
    static char *maps[MAPS];
    size_t page = gcx__page_bytes(), seen = 0;

    for (size_t i = 0; i < MAPS; i++) {
      maps[i] = gcx__vm_map(page);
      ck_assert_ptr_nonnull(maps[i]);
    }
    for (uintptr_t at = 1, next; at != UINTPTR_MAX; at = next) {
      bool inside = gcx__vm_owns(at, &next);

      ck_assert_uint_gt(next, at);
      for (size_t i = 0; i < MAPS && inside; i++) {
        seen += (uintptr_t)maps[i] >= at && (uintptr_t)maps[i] < next;
      }
    }
    ck_assert_uint_eq(seen, MAPS);
    for (size_t i = 0; i < MAPS; i++) {
      gcx__vm_unmap(maps[i], page);
      ck_assert(!owned(maps[i]));
    }
  }
END_TEST

START_TEST(reservation_is_not_committed)
  {
    size_t bytes = (size_t)64 << 30;
    char *p = gcx__vm_map(bytes);

    ck_assert_ptr_nonnull(p);
    p[bytes - 1] = 1;
    ck_assert(owned(p + bytes / 2));
    gcx__vm_unmap(p, bytes);
  }
END_TEST

START_TEST(blocks_are_aligned_zero_and_apart)
  {
    static const size_t sizes[] = { 1, 64, 65, 1000, 32768, 32769, 300000 };
    char *before = NULL;

    for (size_t i = 0; i < 700; i++) {
      size_t bytes = sizes[i % GCX_ARRAY_LENGTH(sizes)];
      char *p = gcx__vm_alloc(bytes);

      ck_assert_ptr_nonnull(p);
      ck_assert_uint_eq((uintptr_t)p % 64, 0);
      ck_assert(owned(p) && owned(p + bytes - 1));
      ck_assert_int_eq(p[0], 0);
      ck_assert_int_eq(p[bytes - 1], 0);
      memset(p, 0xa5, bytes);
      ck_assert(before == NULL || (unsigned char)*before == 0xa5);
      before = p;
    }
  }
END_TEST

START_TEST(impossible_sizes_fail)
  {
    ck_assert_ptr_null(gcx__vm_map(0));
    ck_assert_ptr_null(gcx__vm_map(SIZE_MAX));
    ck_assert_ptr_null(gcx__vm_map((size_t)1 << 62));
    ck_assert_ptr_null(gcx__vm_alloc(0));
    ck_assert_ptr_null(gcx__vm_alloc(SIZE_MAX));
    gcx__vm_unmap(NULL, 1);
  }
END_TEST

START_TEST(failure_on_request_happens_once)
  {
    uint64_t calls = gcx__vm_calls();
    void *p;

    gcx__vm_fail_at(2);
    ck_assert_ptr_nonnull(gcx__vm_alloc(8));
    ck_assert_ptr_null(gcx__vm_map(8));
    p = gcx__vm_map(8);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(gcx__vm_calls(), calls + 3);
    gcx__vm_fail_at(1);
    gcx__vm_fail_at(0);
    ck_assert_ptr_nonnull(gcx__vm_alloc(8));
    gcx__vm_unmap(p, 8);
  }
END_TEST

START_TEST(unmapping_what_is_not_ours_is_a_bug)
  {
    static char page[8192];

    gcx__vm_unmap(page, sizeof(page));
  }
END_TEST

static void *churn(void *arg)
{
  unsigned seed = (unsigned)(uintptr_t)arg;

  for (size_t i = 0; i < ROUNDS; i++) {
    size_t bytes = (size_t)(rand_r(&seed) % 5 + 1) * gcx__page_bytes();
    uintptr_t *p = gcx__vm_map(bytes);
    uintptr_t *block = gcx__vm_alloc(64);

    if (p == NULL || block == NULL || !owned(p) || *p != 0 || *block != 0) {
      return "wrong";
    }
    *p = *block = (uintptr_t)arg;
    if (*p != (uintptr_t)arg || *block != (uintptr_t)arg) {
      return "shared";
    }
    gcx__vm_unmap(p, bytes);
  }
  return NULL;
}

START_TEST(threads_map_and_unmap)
  {
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++) {
      ck_assert_int_eq(
          pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      void *problem;

      pthread_join(threads[i], &problem);
      ck_assert_ptr_null(problem);
    }
  }
END_TEST

static Suite *vm_suite(void)
{
  Suite *s = suite_create("vm");
  TCase *t = tcase_create("vm");

  gcx__platform_init();
  tcase_add_test(t, map_is_zero_owned_and_given_back);
  tcase_add_test(t, foreign_memory_is_not_owned);
  tcase_add_test(t, boundaries_lead_through_all);
  tcase_add_test(t, reservation_is_not_committed);
  tcase_add_test(t, blocks_are_aligned_zero_and_apart);
  tcase_add_test(t, impossible_sizes_fail);
  tcase_add_test(t, failure_on_request_happens_once);
  tcase_add_test_raise_signal(t, unmapping_what_is_not_ours_is_a_bug, SIGABRT);
  tcase_add_test(t, threads_map_and_unmap);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(vm_suite);
