/* SPDX-License-Identifier: MIT */
/*
 * check_annotate.c - blocks of the program's own allocators
 */
#include "objects.h"

#include <pthread.h>
#include <sys/mman.h>

#include "annotate.h"
#include "vm.h"

#define BLOCKS 2000
#define BLOCK 64
#define BYTES ((size_t)BLOCKS * BLOCK)

static char *region;

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  region = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(region, MAP_FAILED);
}

static char *block(int i)
{
  return region + (size_t)i * BLOCK;
}

static GCX_NOINLINE void take(int from, int to)
{
  for (int i = from; i < to; i++)
    GCX_BLOCK_TAKEN(block(i), BLOCK);
}

static GCX_NOINLINE void give_back(int from, int to)
{
  for (int i = from; i < to; i++)
    GCX_BLOCK_RETURNED(block(i));
}

START_TEST(test_what_is_taken_at_the_end_is_lost)
  {
    struct seen *seen = seen_begin();

    GCX_REGION_BEGIN(region, BYTES);
    take(0, BLOCKS);
    give_back(0, BLOCKS / 2);
    ck_assert_uint_eq(objects_found(), 0);
    GCX_REGION_END(region);
    ck_assert_uint_ge(objects_found(), BLOCKS / 2 - 5);
    ck_assert_uint_le(seen->direct, BLOCKS / 2);
    ck_assert_str_eq(seen->last.type_name, "block");
    ck_assert_uint_eq(gcx__annotate_count(), 0);
  }
END_TEST

START_TEST(test_all_returned_nothing_lost)
  {
    GCX_REGION_BEGIN(region, BYTES);
    for (int round = 0; round < 3; round++) {
      take(0, BLOCKS);
      give_back(0, BLOCKS);
    }
    ck_assert_uint_eq(gcx__annotate_count(), BLOCKS);
    GCX_REGION_END(region);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_other_regions_stay)
  {
    GCX_REGION_BEGIN(region, BYTES / 2);
    GCX_REGION_BEGIN(block(BLOCKS / 2), BYTES / 2);
    take(0, BLOCKS);
    GCX_REGION_END(block(BLOCKS / 2));
    ck_assert_uint_ge(objects_found(), BLOCKS / 2 - 5);
    ck_assert_uint_eq(gcx__annotate_count(), BLOCKS / 2);
    GCX_REGION_END(block(1)); /* no region begins there */
    GCX_REGION_END(block(BLOCKS / 2));
    GCX_REGION_END(NULL);
    give_back(0, BLOCKS / 2);
    GCX_REGION_END(region);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

/* An allocator that resets itself: the last take counts. */
START_TEST(test_taken_again)
  {
    GCX_REGION_BEGIN(region, BYTES);
    for (int round = 0; round < 5; round++)
      take(0, BLOCKS);
    ck_assert_uint_eq(objects_found(), 0);
    GCX_REGION_END(region);
    ck_assert_uint_le(objects_found(), BLOCKS);
  }
END_TEST

START_TEST(test_ignored)
  {
    void *object = gcx_alloc(8);

    GCX_REGION_BEGIN(region, BYTES);
    take(0, BLOCKS);
    for (int i = 0; i < BLOCKS; i++)
      GCX_BLOCK_IGNORE(block(i));
    GCX_BLOCK_IGNORE(object);
    GCX_BLOCK_IGNORE(&object);
    GCX_BLOCK_IGNORE(NULL);
    object = NULL;
    GCX_REGION_END(region);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static void returns_twice(void *arg)
{
  (void)arg;
  objects_setup(GCX_LEAK_ABORT);
  gcx__opt.double_dispose = GCX_DOUBLE_FATAL;
  take(0, 1);
  give_back(0, 1);
  give_back(0, 1);
}

START_TEST(test_returned_twice)
  {
    death_demand_abort(returns_twice, NULL, "GCX-DOUBLE-DISPOSE");
    gcx__opt.double_dispose = GCX_DOUBLE_IGNORE;
    take(0, 1);
    give_back(0, 1);
    give_back(0, 1);
    GCX_BLOCK_RETURNED(block(7)); /* never taken */
    GCX_BLOCK_RETURNED(NULL);
    GCX_BLOCK_TAKEN(NULL, 3);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

/* What lies in the region is held by it, also where nobody else looks. */
START_TEST(test_region_is_a_root)
  {
    void **slot = (void **)(void *)region;

    gcx__opt.roots = GCX_ROOTS_STRICT;
    GCX_REGION_BEGIN(region, BYTES);
    for (int i = 0; i < 500; i++)
      slot[i] = gcx_alloc(32);
    ck_assert_uint_eq(objects_found(), 0);
    GCX_REGION_END(region);
    memset(region, 0, BYTES);
    ck_assert_uint_ge(objects_found(), 490);
    GCX_ROOT_BEGIN(region, BYTES);
    slot[0] = gcx_alloc(32);
    ck_assert_uint_eq(objects_found(), 0);
    gcx_dispose(slot[0]);
    GCX_ROOT_END(region, BYTES);
  }
END_TEST

static GCX_NOINLINE void forget_chunks(void)
{
  for (int i = 0; i < 200; i++) {
    char *chunk = gcx_alloc_managed(4096);

    GCX_REGION_BEGIN(chunk, 4096);
    GCX_BLOCK_TAKEN(chunk + 64, 64);
    GCX_BLOCK_RETURNED(chunk + 64);
  }
}

/* Memory of the collected heap is not kept by what is known of it. */
START_TEST(test_region_of_the_collected_heap)
  {
    size_t before = gcx__annotate_count();

    forget_chunks();
    ck_assert_uint_gt(gcx__annotate_count(), before);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_without_memory)
  {
    for (uint64_t n = 1; n < 4; n++) {
      gcx__vm_fail_at(n);
      GCX_REGION_BEGIN(region, BYTES);
      take(0, BLOCKS);
      gcx__vm_fail_at(0);
      give_back(0, BLOCKS);
      GCX_REGION_END(region);
    }
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static void *use_blocks(void *arg)
{
  const int first = *(int *)arg;

  for (int round = 0; round < 20; round++) {
    take(first, first + 100);
    give_back(first, first + 100);
  }
  take(first, first + 10);
  return NULL;
}

START_TEST(test_threads)
  {
    pthread_t thread[4];
    int first[4];

    GCX_REGION_BEGIN(region, BYTES);
    for (int i = 0; i < 4; i++) {
      first[i] = i * 100;
      ck_assert_int_eq(pthread_create(&thread[i], NULL, use_blocks, &first[i]),
                       0);
    }
    for (int i = 0; i < 4; i++)
      ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(gcx__annotate_count(), 400);
    ck_assert_uint_eq(objects_found(), 0);
    GCX_REGION_END(region);
    ck_assert_uint_ge(objects_found(), 36);
  }
END_TEST

static Suite *annotate_suite(void)
{
  Suite *suite = suite_create("annotate");
  TCase *tcase = tcase_create("annotate");

  tcase_add_checked_fixture(tcase, setup, NULL);
  tcase_add_test(tcase, test_what_is_taken_at_the_end_is_lost);
  tcase_add_test(tcase, test_all_returned_nothing_lost);
  tcase_add_test(tcase, test_other_regions_stay);
  tcase_add_test(tcase, test_taken_again);
  tcase_add_test(tcase, test_ignored);
  tcase_add_test(tcase, test_returned_twice);
  tcase_add_test(tcase, test_region_is_a_root);
  tcase_add_test(tcase, test_region_of_the_collected_heap);
  tcase_add_test(tcase, test_without_memory);
  tcase_add_test(tcase, test_threads);
  suite_add_tcase(suite, tcase);
  return suite;
}

GCX_CHECK_MAIN(annotate_suite);
