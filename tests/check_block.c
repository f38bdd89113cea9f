/* SPDX-License-Identifier: MIT */
/* check_block.c - memory of a redirected malloc(): birth, end, queues, and the
 * pointers that are not what they should be */
#include "objects.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>

#include "block.h"
#include "freed.h"
#include "redirect.h"
#include "type.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
  gcx__opt.free_keeps = false;
}

static bool is_tracked(const void *p)
{
  uint32_t number = 0;

  return gcx__object_find(p, &number) == GCX_FOUND;
}

/* ---- as malloc() and its relatives */

START_TEST(test_malloc_gives_what_was_asked_for)
  {
    for (size_t bytes = 0; bytes < 5000; bytes += bytes < 600 ? 1 : 117) {
      unsigned char *p = gcx_redirect_malloc(bytes);

      ck_assert_ptr_nonnull(p);
      ck_assert(is_tracked(p));
      ck_assert_uint_eq((uintptr_t)p % 16, 0);
      ck_assert_uint_eq(gcx_redirect_malloc_usable_size(p), bytes);
      memset(p, 0xa5, bytes);
      gcx_redirect_free(p);
    }
    gcx_redirect_free(NULL);
    ck_assert_uint_eq(gcx_redirect_malloc_usable_size(NULL), 0);
  }
END_TEST

START_TEST(test_zero_bytes_are_a_block)
  {
    void *a = gcx_redirect_malloc(0), *b = gcx_redirect_malloc(0);

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_ne(a, b);
    gcx_redirect_free(b);
    ck_assert_ptr_null(gcx_redirect_realloc(a, 0)); /* frees it */
    ck_assert_uint_eq(gcx__record_state(number_of(a)), GCX_STATE_DISPOSED);
    a = gcx_redirect_calloc(0, 8);
    ck_assert_ptr_nonnull(a);
    gcx_redirect_free(a);
  }
END_TEST

/* AddressSanitizer's own answers to what can't be had end the process. */
#if !defined(__SANITIZE_ADDRESS__)
START_TEST(test_too_much_is_refused)
  {
    size_t huge = opaque_size(SIZE_MAX / 2 + 1);
    void *p = gcx_redirect_malloc(10), *q = NULL;

    errno = 0;
    ck_assert_ptr_null(gcx_redirect_malloc(huge));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_redirect_calloc(huge, 4));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_redirect_realloc(p, huge));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_redirect_reallocarray(p, huge, 4));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_int_eq(gcx_redirect_posix_memalign(&q, 64, huge), ENOMEM);
    ck_assert_ptr_null(q);
    ck_assert_uint_eq(gcx_redirect_malloc_usable_size(p), 10);
    gcx_redirect_free(p);
  }
END_TEST
#endif

START_TEST(test_calloc_is_clean_after_a_late_write)
  {
    void *p[GCX__FREED_KEPT + 50];

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p); i++)
      p[i] = gcx_redirect_malloc(100);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p); i++) {
      gcx_redirect_free(p[i]);
      memset(opaque(p[i]), 0x5a, 100);
    }
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p); i++) {
      p[i] = gcx_redirect_calloc(10, 10);
      ck_assert(is_zero(p[i], 100));
    }
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p); i++)
      gcx_redirect_free(p[i]);
  }
END_TEST

START_TEST(test_realloc_keeps_the_contents)
  {
    unsigned char *p = gcx_redirect_realloc(NULL, 1);
    size_t had = 1;

    p[0] = 7;
    for (size_t bytes = 1; bytes < 300000; bytes = bytes * 3 / 2 + 1) {
      p = gcx_redirect_realloc(p, bytes);
      ck_assert(is_all(p, GCX_MIN(had, bytes), 7));
      memset(p, 7, bytes);
      ck_assert_uint_eq(gcx_redirect_malloc_usable_size(p), bytes);
      had = bytes;
    }
    for (; had > 0; had /= 3) {
      p = gcx_redirect_reallocarray(p, had, 1);
      ck_assert(is_all(p, had, 7));
    }
    gcx_redirect_free(p);
  }
END_TEST

START_TEST(test_alignment)
  {
    void *p = NULL;

    for (size_t align = 8; align <= 65536; align *= 2) {
      ck_assert_int_eq(gcx_redirect_posix_memalign(&p, align, 100), 0);
      ck_assert_uint_eq((uintptr_t)p % align, 0);
      gcx_redirect_free(p);
      p = gcx_redirect_aligned_alloc(align, align * 2);
      ck_assert_uint_eq((uintptr_t)p % align, 0);
      gcx_redirect_free(p);
      p = gcx_redirect_memalign(align, 10);
      ck_assert_uint_eq((uintptr_t)p % align, 0);
      ck_assert(is_tracked(p) == (align <= 4096));
      gcx_redirect_free(p);
    }
    p = NULL;
#if !defined(__SANITIZE_ADDRESS__)
    ck_assert_int_eq(gcx_redirect_posix_memalign(&p, 24, 10), EINVAL);
    ck_assert_int_eq(gcx_redirect_posix_memalign(&p, 2, 10), EINVAL);
    ck_assert_ptr_null(p);
#endif
    p = gcx_redirect_valloc(10);
    ck_assert_uint_eq((uintptr_t)p % 4096, 0);
    gcx_redirect_free(p);
    p = gcx_redirect_pvalloc(10);
    ck_assert_uint_eq((uintptr_t)p % 4096, 0);
    ck_assert_uint_eq(gcx_redirect_malloc_usable_size(p), 4096);
    gcx_redirect_free(p);
  }
END_TEST

/* ---- queues */

/* The n-th free of the size in which @p comes back; 0: it did not. */
static size_t comes_back(const void *p, size_t bytes, size_t most)
{
  for (size_t i = 1; i <= most; i++) {
    void *q = gcx_redirect_malloc(bytes);

    gcx_redirect_free(q);
    if (opaque(q) == p)
      return i;
  }
  return 0;
}

START_TEST(test_a_cell_rests_for_a_thousand_frees)
  {
    static const size_t sizes[] = { 1, 48, 100, 504 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++) {
      void *p = gcx_redirect_malloc(sizes[i]);
      size_t came;

      gcx_redirect_free(p);
      came = comes_back(opaque(p), sizes[i], 5000);
      ck_assert_uint_gt(came, 1000);
      ck_assert_uint_lt(came, 1100); /* and then it does */
    }
  }
END_TEST

START_TEST(test_a_large_cell_rests_for_a_thousand_frees)
  {
    void *p = gcx_redirect_malloc(3000);

    gcx_redirect_free(p);
    ck_assert_uint_eq(comes_back(opaque(p), 3000, 1000), 0);
  }
END_TEST

/* Memory in use stays what it is: what is freed is used again. */
START_TEST(test_memory_is_used_again)
  {
    static const size_t sizes[] = { 48, 500, 3000, 70000, 3000000 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++) {
      size_t rounds = GCX_MIN(((size_t)256 << 20) / sizes[i], (size_t)100000);
      size_t before;

      for (size_t n = 0; n < rounds / 4 + 10; n++)
        gcx_redirect_free(gcx_redirect_malloc(sizes[i]));
      before = gcx__bdw_heap_bytes();
      for (size_t n = 0; n < rounds; n++)
        gcx_redirect_free(gcx_redirect_malloc(sizes[i]));
      ck_assert_uint_le(gcx__bdw_heap_bytes(), before + ((size_t)64 << 20));
    }
  }
END_TEST

START_TEST(test_queued_blocks_survive_collections)
  {
    void *p = gcx_redirect_malloc(100);
    const uint32_t number = number_of(p);
    uintptr_t hidden = ~(uintptr_t)p;

    gcx_redirect_free(p);
    p = NULL;
    for (int i = 0; i < 3; i++)
      gcx_collect();
    ck_assert_uint_eq(gcx__record_state(number), GCX_STATE_DISPOSED);
    ck_assert_ptr_eq(gcx__record_object(number), (void *)~hidden);
  }
END_TEST

START_TEST(test_quarantine_keeps_an_address_while_it_is_known)
  {
    void *p = gcx_redirect_malloc(100);

    gcx__opt.free_keeps = true;
    gcx_redirect_free(p);
    for (int i = 0; i < 5000; i++)
      ck_assert_ptr_ne(gcx_redirect_malloc(100), p);
    gcx__opt.leak = GCX_LEAK_OFF;
  }
END_TEST

#define KEPT 200

static size_t kept_bytes(size_t i)
{
  return i % 10 == 9 ? 5000 : 16 + i;
}

static bool is_led_to(const char *p, size_t bytes, char *const kept[KEPT])
{
  for (size_t i = 0; i < KEPT; i++)
    if (kept[i] >= p && kept[i] < p + bytes)
      return true;
  return false;
}

/* Collections and new blocks of the same sizes in between: none may lie where a
 * pointer still leads, be it into the middle. */
START_TEST(test_quarantine_never_reuses_what_a_pointer_leads_to)
  {
    static char *kept[KEPT];
    char *fresh[KEPT];

    gcx__opt.free_keeps = true;
    for (size_t i = 0; i < KEPT; i++) {
      kept[i] = (char *)gcx_redirect_malloc(kept_bytes(i)) + i % 3;
      gcx_redirect_free(kept[i] - i % 3);
    }
    for (int round = 0; round < 10; round++) {
      gcx_collect();
      for (size_t i = 0; i < KEPT; i++)
        fresh[i] = gcx_redirect_malloc(kept_bytes(i));
      for (size_t i = 0; i < KEPT; i++)
        ck_assert(!is_led_to(fresh[i], kept_bytes(i), kept));
      for (size_t i = 0; i < KEPT; i++)
        gcx_redirect_free(fresh[i]);
    }
  }
END_TEST

/* ---- weak things: a freed block is gone, whoever takes its memory back */

START_TEST(test_weak_things_forget_a_freed_block)
  {
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);
    struct gcx_weak *w[2] = { gcx_weak_create(NULL, GCX_WEAK_SHORT),
                              gcx_weak_create(NULL, GCX_WEAK_LONG) };
    struct gcx_dependent *d;
    void *p[2], *keeper = gcx_redirect_malloc(64);

    gcx__opt.free_keeps = _i == 1;
    gcx__opt.quarantine = _i == 2 ? 0 : gcx__opt.quarantine;
    for (size_t i = 0; i < 2; i++) {
      p[i] = gcx_redirect_malloc(i == 0 ? 64 : 100000);
      ck_assert_int_eq(gcx_table_add(t, p[i], p), 0);
      ck_assert_int_eq(gcx_weak_set(w[i], p[i]), 0);
    }
    ck_assert_int_eq(gcx_table_add(t, keeper, p[0]), 0);
    d = gcx_dependent_create(p[0], p);
    for (size_t i = 0; i < 2; i++) {
      gcx_redirect_free(p[i]);
      ck_assert_uint_eq(gcx_table_count(t), 2 - i);
      ck_assert(!gcx_table_find(t, p[i], NULL));
      ck_assert_ptr_null(gcx_weak_get(w[i]));
    }
    ck_assert(!gcx_dependent_get(d, NULL, NULL));
    ck_assert(gcx_table_find(t, keeper, NULL));
    gcx_redirect_free(keeper);
    ck_assert_uint_eq(gcx_table_count(t), 0);
  }
END_TEST

START_TEST(test_a_reused_address_is_another_key)
  {
    size_t rounds = 1000000, known = 0;
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);
    struct gcx_weak *w = gcx_weak_create(NULL, GCX_WEAK_LONG);
    static uintptr_t seen[4096];

    for (size_t i = 0; i < rounds; i++) {
      void *p = gcx_redirect_malloc(32);
      uintptr_t *slot = &seen[(uintptr_t)p / 48 % GCX_ARRAY_LENGTH(seen)];

      known += *slot == ~(uintptr_t)p;
      *slot = ~(uintptr_t)p;
      if (gcx_table_find(t, p, NULL) || gcx_weak_get(w) != NULL)
        ck_abort_msg("round %zu", i);
      if (gcx_table_add(t, p, w) != 0 || gcx_weak_set(w, p) != 0)
        ck_abort_msg("round %zu", i);
      gcx_redirect_free(p);
    }
    ck_assert_uint_ge(known, rounds / 2);
    ck_assert_uint_eq(gcx_table_count(t), 0);
  }
END_TEST

/* ---- misuse */

struct twice {
  size_t bytes;
  size_t between; /* frees of the size */
  bool by_realloc;
};

static void frees_twice(void *arg)
{
  const struct twice *t = arg;
  void *p = gcx_redirect_malloc(t->bytes);

  gcx_redirect_free(p);
  for (size_t i = 0; i < t->between; i++)
    gcx_redirect_free(gcx_redirect_malloc(t->bytes));
  if (t->by_realloc)
    (void)!gcx_redirect_realloc(opaque(p), 10);
  else
    gcx_redirect_free(opaque(p));
}

static const struct twice twices[] = {
  { 48, 0, false },  { 48, 900, false },    { 0, 0, false },
  { 48, 1, true },   { 600, 900, false },   { 5000, 100, false },
  { 5000, 0, true }, { 100000, 10, false }, { 3000000, 0, false },
};

START_TEST(test_double_free)
  {
    struct twice t = twices[_i];

    death_demand_abort(frees_twice, &t, "GCX-DOUBLE-FREE");
  }
END_TEST

START_TEST(test_double_free_is_survived_when_asked)
  {
    struct seen *seen = seen_begin();
    struct twice t = { 48, 10, false };

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    frees_twice(&t);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_DOUBLE_FREE], 1);
    ck_assert(seen->last.is_block);
    ck_assert_uint_eq(seen->last.bytes, 48);
    ck_assert_uint_ne(seen->last.birth_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, 0);
    ck_assert_uint_ne(seen->last.use_site, 0);
  }
END_TEST

static void frees_the_middle(void *arg)
{
  char *p = gcx_redirect_malloc(100);

  (void)arg;
  gcx_redirect_free((char *)opaque(p) + 16);
}

static void resizes_the_middle(void *arg)
{
  char *p = gcx_redirect_malloc(5000);

  (void)arg;
  (void)!gcx_redirect_realloc((char *)opaque(p) + 1, 10);
}

START_TEST(test_a_pointer_into_a_block)
  {
    death_demand_abort(frees_the_middle, NULL, "GCX-BAD-POINTER");
    death_demand_abort(resizes_the_middle, NULL, "GCX-BAD-POINTER");
  }
END_TEST

/* gcx's objects and the C library's memory, ended by free() */
START_TEST(test_free_ends_whatever_it_is)
  {
    void *object = gcx_alloc(40);
    char *foreign = strdup("of the C library");
    int before = errno = 77;

    gcx_redirect_free(object);
    ck_assert(gcx_is_disposed(object));
    foreign = gcx_redirect_realloc(foreign, 1000);
    ck_assert_str_eq(foreign, "of the C library");
    ck_assert(!is_tracked(foreign));
    gcx_redirect_free(foreign);
    ck_assert_int_eq(errno, before);
  }
END_TEST

START_TEST(test_blocks_are_objects)
  {
    void *owner = gcx_alloc(10), *p = gcx_redirect_malloc(20);

    ck_assert_int_eq(gcx_own(owner, p), 0);
    p = gcx_redirect_realloc(p, 5000);
    ck_assert_uint_eq(gcx_size(p), 5000);
    gcx_dispose(owner);
    ck_assert(gcx_is_disposed(p)); /* it followed */
  }
END_TEST

#if !defined(__SANITIZE_ADDRESS__)
START_TEST(test_the_real_functions_know_blocks)
  {
    char *p = gcx_redirect_malloc(10);
    uint32_t number = number_of(p);

    memcpy(p, "123456789", 10);
    p = realloc(p, 2000); /* cppcheck-suppress memleakOnRealloc */
    ck_assert(is_tracked(p));
    ck_assert_str_eq(p, "123456789");
    ck_assert_uint_eq(malloc_usable_size(p), 2000);
    ck_assert_uint_eq(gcx__record_state(number), GCX_STATE_DISPOSED);
    number = number_of(p);
    free(p);
    ck_assert_uint_eq(gcx__record_state(number), GCX_STATE_DISPOSED);
    ck_assert_ptr_null(realloc(gcx_redirect_malloc(10), 0));
  }
END_TEST
#endif

/* ---- losses */

#define LOST 100

static GCX_NOINLINE void lose_blocks(void)
{
  for (int i = 0; i < LOST; i++)
    memset(opaque(gcx_redirect_malloc(40)), 1, 40);
}

START_TEST(test_lost_blocks_are_reported)
  {
    struct seen *seen = seen_begin();

    gcx__opt.leak = GCX_LEAK_REPORT;
    objects_be_quiet();
    lose_blocks();
    ck_assert_uint_ge(objects_found(), LOST * 9 / 10);
    ck_assert_uint_ge(seen->direct, LOST * 9 / 10);
    ck_assert(seen->last.is_block);
    ck_assert_str_eq(seen->last.type_name, "malloc block");
  }
END_TEST

static void loses(void *arg)
{
  (void)arg;
  lose_blocks();
  (void)objects_found();
}

START_TEST(test_text_of_a_lost_block)
  {
    const struct death *d = death_run(loses, NULL);

    ck_assert(WIFSIGNALED(d->status));
    ck_assert_ptr_nonnull(strstr(d->err, "malloc blocks ("));
    ck_assert_ptr_nonnull(strstr(d->err, "lost without free\n"));
    ck_assert_ptr_nonnull(strstr(d->err, "call free() on every path"));
    ck_assert_ptr_null(strstr(d->err, "gcx_dispose"));
  }
END_TEST

/* ---- threads */

#define WORKERS 3
#define ROUNDS 6000
#define EXCHANGE 256

static void *exchanged[EXCHANGE];

/* Blocks go from thread to thread and are freed where they come to lie. */
static void *work(void *arg)
{
  uint64_t seed = 88172645463325252u + (uintptr_t)arg;

  for (int i = 0; i < ROUNDS; i++) {
    size_t bytes;
    unsigned char *p;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    bytes = seed % 700 + sizeof(bytes);
    p = gcx_redirect_malloc(bytes);
    memset(p, (int)(bytes & 0xff), bytes);
    memcpy(p, &bytes, sizeof(bytes));
    p = __atomic_exchange_n(&exchanged[(seed >> 32) % EXCHANGE], p,
                            __ATOMIC_ACQ_REL);
    if (p == NULL)
      continue;
    memcpy(&bytes, p, sizeof(bytes));
    ck_assert(is_all(p + sizeof(bytes), bytes - sizeof(bytes), bytes & 0xff));
    gcx_redirect_free(p);
  }
  return NULL;
}

START_TEST(test_threads_free_for_each_other)
  {
    pthread_t id[WORKERS];

    gcx__opt.leak = GCX_LEAK_REPORT;
    for (size_t i = 0; i < WORKERS; i++)
      ck_assert_int_eq(pthread_create(&id[i], NULL, work, (void *)i), 0);
    for (int i = 0; i < 8; i++)
      gcx_collect();
    for (size_t i = 0; i < WORKERS; i++)
      ck_assert_int_eq(pthread_join(id[i], NULL), 0);
    for (size_t i = 0; i < EXCHANGE; i++)
      gcx_redirect_free(exchanged[i]);
    ck_assert_uint_eq(gcx_check(), 0);
  }
END_TEST

START_TEST(test_a_child_has_blocks_of_its_own)
  {
    void *p[100];
    int status;
    pid_t pid;

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p); i++)
      p[i] = gcx_redirect_malloc(64);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(p) / 2; i++)
      gcx_redirect_free(p[i]);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      for (size_t i = GCX_ARRAY_LENGTH(p) / 2; i < GCX_ARRAY_LENGTH(p); i++)
        gcx_redirect_free(p[i]);
      for (int i = 0; i < 5000; i++)
        gcx_redirect_free(gcx_redirect_malloc(64));
      gcx_collect();
      _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    for (size_t i = GCX_ARRAY_LENGTH(p) / 2; i < GCX_ARRAY_LENGTH(p); i++)
      gcx_redirect_free(p[i]);
  }
END_TEST

#define INHERITED 3000

static GCX_NOINLINE void forget_blocks(size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(gcx_redirect_malloc(64));
}

/* It frees what its parent had allocated, and loses as many of its own: a cell of
 * the parent's must not come back with them. */
START_TEST(test_a_child_answers_for_its_own_blocks)
  {
    static void *p[INHERITED];
    int status;
    pid_t pid;

    gcx__opt.quarantine = _i == 0 ? gcx__opt.quarantine : 0;
    for (size_t i = 0; i < INHERITED; i++)
      p[i] = gcx_redirect_malloc(64);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
      gcx__opt.leak = GCX_LEAK_REPORT;
      for (size_t i = 0; i < INHERITED; i++)
        gcx_redirect_free(p[i]);
      forget_blocks(INHERITED);
      _exit(gcx_check() >= INHERITED * 9 / 10 ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    for (size_t i = 0; i < INHERITED; i++)
      gcx_redirect_free(p[i]);
  }
END_TEST

static Suite *block_suite(void)
{
  Suite *s = suite_create("block");
  TCase *c = tcase_create("malloc");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_malloc_gives_what_was_asked_for);
  tcase_add_test(c, test_zero_bytes_are_a_block);
#if !defined(__SANITIZE_ADDRESS__)
  tcase_add_test(c, test_too_much_is_refused);
#endif
  tcase_add_test(c, test_calloc_is_clean_after_a_late_write);
  tcase_add_test(c, test_realloc_keeps_the_contents);
  tcase_add_test(c, test_alignment);
  suite_add_tcase(s, c);

  c = tcase_create("queues");
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_a_cell_rests_for_a_thousand_frees);
  tcase_add_test(c, test_a_large_cell_rests_for_a_thousand_frees);
  tcase_add_test(c, test_memory_is_used_again);
  tcase_add_test(c, test_queued_blocks_survive_collections);
  tcase_add_test(c, test_quarantine_keeps_an_address_while_it_is_known);
  tcase_add_test(c, test_quarantine_never_reuses_what_a_pointer_leads_to);
  suite_add_tcase(s, c);

  c = tcase_create("weak");
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_weak_things_forget_a_freed_block, 0, 3);
  tcase_add_test(c, test_a_reused_address_is_another_key);
  suite_add_tcase(s, c);

  c = tcase_create("misuse");
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_double_free, 0, (int)GCX_ARRAY_LENGTH(twices));
  tcase_add_test(c, test_double_free_is_survived_when_asked);
  tcase_add_test(c, test_a_pointer_into_a_block);
  tcase_add_test(c, test_free_ends_whatever_it_is);
  tcase_add_test(c, test_blocks_are_objects);
#if !defined(__SANITIZE_ADDRESS__)
  tcase_add_test(c, test_the_real_functions_know_blocks);
#endif
  suite_add_tcase(s, c);

  c = tcase_create("losses");
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_lost_blocks_are_reported);
  tcase_add_test(c, test_text_of_a_lost_block);
  suite_add_tcase(s, c);

  c = tcase_create("threads");
  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_threads_free_for_each_other);
  tcase_add_test(c, test_a_child_has_blocks_of_its_own);
  tcase_add_loop_test(c, test_a_child_answers_for_its_own_blocks, 0, 2);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(block_suite);
