/* SPDX-License-Identifier: MIT */
/* check_pool.c - pools: lending, bounds, what is forgotten, returned twice, still
 *                out when the pool ends */
#include "objects.h"

#include <stdio.h>

#include "pool.h"
#include "vm.h"
#include "waits.h"

#define FORGOTTEN 100
#define ENOUGH 90

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static struct gcx_pool *buffers(size_t max_bytes, size_t max_kept_bytes)
{
  struct gcx_pool_config config = { .name = "blocks",
                                    .max_bytes = max_bytes,
                                    .max_kept_bytes = max_kept_bytes };
  struct gcx_pool *p = gcx_pool_create(&config);

  ck_assert_ptr_nonnull(p);
  return p;
}

static void *take(struct gcx_pool *p, size_t bytes)
{
  void *buf = gcx_pool_take(p, bytes);

  ck_assert_ptr_nonnull(buf);
  ck_assert_uint_eq((uintptr_t)buf % 16, 0);
  ck_assert_uint_eq(gcx_size(buf), bytes);
  return buf;
}

static struct gcx_pool_stats stats(struct gcx_pool *p)
{
  struct gcx_pool_stats s;

  gcx_pool_stats_read(p, &s);
  return s;
}

/* ---- buffers */

START_TEST(test_what_was_given_back_is_lent_again)
  {
    struct gcx_pool *p = buffers(0, 0);
    void *a = take(p, 1000), *b;

    memset(a, 1, 1000);
    gcx_pool_return(p, a);
    ck_assert(gcx_is_disposed(a));
    ck_assert_ptr_eq(take(p, 700), a);
    ck_assert(!gcx_is_disposed(a));
    b = take(p, 1000);
    ck_assert_ptr_ne(b, opaque(a));
    gcx_dispose(b);
    gcx_pool_return(p, NULL);
    ck_assert_uint_eq(stats(p).taken, 3);
    ck_assert_uint_eq(stats(p).created, 2);
    ck_assert_uint_eq(stats(p).returned, 1);
    ck_assert_uint_eq(stats(p).idle, 0);
    gcx_pool_return(p, a);
    gcx_dispose(p);
  }
END_TEST

/* Every size around every power of two, and that sizes do not mix. */
START_TEST(test_size_classes)
  {
    struct gcx_pool *p = buffers((size_t)1 << 18, 0);

    for (size_t power = 1; power <= (size_t)1 << 18; power *= 2)
      for (size_t bytes = power - 1; bytes <= power + 1; bytes++) {
        char *buf = take(p, bytes);

        memset(buf, 0x5a, bytes);
        gcx_pool_return(p, buf);
        if (bytes == 0 || bytes > (size_t)1 << 18)
          continue;
        ck_assert_ptr_eq(take(p, bytes), buf);
        gcx_pool_return(p, buf);
      }
    ck_assert_uint_eq(stats(p).dropped, 1); /* 2^18 + 1 */
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_larger_ones_are_lent_and_not_kept)
  {
    struct gcx_pool *p = buffers(100, 0);
    char *fits = take(p, 100), *large = take(p, 101), *huge = take(p, 70000);

    ck_assert(is_zero(huge, 70000));
    gcx_pool_return(p, fits);
    gcx_pool_return(p, large);
    gcx_pool_return(p, huge);
    ck_assert_uint_eq(stats(p).idle, 1);
    ck_assert_uint_eq(stats(p).dropped, 2);
    ck_assert(gcx_is_disposed(huge));
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_bound_of_what_is_kept)
  {
    enum { N = 40 };
    struct gcx_pool *p = buffers(4096, (size_t)10 * 4096);
    void *buf[N];

    for (int round = 0; round < 3; round++) {
      for (size_t i = 0; i < N; i++)
        buf[i] = take(p, 4096);
      for (size_t i = 0; i < N; i++) {
        gcx_pool_return(p, buf[i]);
        ck_assert_uint_le(stats(p).idle_bytes, 40960);
      }
      ck_assert_uint_eq(stats(p).idle, 10);
    }
    /* small ones take the room of large ones */
    gcx_pool_trim(p, 4096);
    ck_assert_uint_eq(stats(p).idle, 1);
    for (size_t i = 0; i < N; i++)
      buf[i] = take(p, 1000);
    for (size_t i = 0; i < N; i++)
      gcx_pool_return(p, buf[i]);
    ck_assert_uint_eq(stats(p).idle, 1 + 36);
    gcx_pool_trim(p, 0);
    ck_assert_uint_eq(stats(p).idle_bytes, 0);
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_cleared)
  {
    struct gcx_pool_config config = { .flags = GCX_POOL_CLEAR };
    struct gcx_pool *p = gcx_pool_create(&config);
    char *buf = take(p, 5000);

    memset(buf, 's', 5000);
    gcx_pool_return(p, buf);
    ck_assert(is_zero(buf, 5000));
    ck_assert_ptr_eq(take(p, 8000), buf);
    ck_assert(is_zero(buf, 8000));
    memset(buf, 's', 8000);
    gcx_dispose(buf);
    ck_assert(is_zero(buf, 8000));
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_resized_in_between)
  {
    struct gcx_pool *p = buffers(0, 0);
    char *buf = take(p, 100), *again;

    memset(buf, 7, 100);
    again = gcx_realloc(buf, 30000);
    ck_assert_ptr_nonnull(again);
    ck_assert(is_all(again, 100, 7));
    gcx_pool_return(p, again);
    ck_assert_uint_eq(stats(p).idle, 1);
    ck_assert_ptr_eq(take(p, 16384), again);
    again = gcx_realloc(again, 10);
    ck_assert_ptr_nonnull(again);
    gcx_pool_return(p, again);
    ck_assert_uint_eq(stats(p).dropped, 0);
    ck_assert_uint_eq(stats(p).idle, 1);
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_bad_arguments)
  {
    struct gcx_pool_config bad[] = {
      { .flags = 4 },           { .max_bytes = ((size_t)1 << 30) + 1 },
      { .max_kept = SIZE_MAX }, { .type = &(struct gcx_type){ .name = NULL } },
      { .destroy = free },
    };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(bad); i++) {
      errno = 0;
      ck_assert_ptr_null(gcx_pool_create(&bad[i]));
      ck_assert_int_eq(errno, EINVAL);
    }
    gcx_dispose(gcx_pool_create(NULL));
  }
END_TEST

START_TEST(test_too_much_memory)
  {
    struct gcx_pool *p = buffers(0, 0);

    ck_assert_ptr_null(gcx_pool_take(p, SIZE_MAX));
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert_ptr_null(gcx_pool_take(p, SIZE_MAX / 2));
    gcx_dispose(p);
  }
END_TEST

/* A pool's memory is used again, and the members of the one are no members of the
 * next. */
START_TEST(test_many_pools_one_after_another)
  {
    for (int i = 0; i < 2000; i++) {
      struct gcx_pool *p = buffers(0, 0);
      void *buf = take(p, 300);

      gcx_pool_return(p, buf);
      gcx_dispose(p);
    }
    ck_assert_uint_lt(gcx__pool_new()->type_number, 64);
  }
END_TEST

START_TEST(test_many_pools_at_once)
  {
    enum { N = 20 };
    struct gcx_pool *p[N];
    void *buf[N];

    for (size_t i = 0; i < N; i++)
      p[i] = buffers(0, 0);
    for (int round = 0; round < 50; round++) {
      for (size_t i = 0; i < N; i++)
        buf[i] = take(p[i], 100 * (i + 1));
      for (size_t i = 0; i < N; i++)
        gcx_pool_return(p[i], buf[i]);
    }
    for (size_t i = 0; i < N; i++) {
      ck_assert_uint_eq(stats(p[i]).created, 1);
      ck_assert_uint_eq(stats(p[i]).taken, 50);
      ck_assert_uint_eq(stats(p[i]).returned, 50);
      gcx_dispose(p[i]);
    }
  }
END_TEST

/* ---- what is idle survives, and holds nothing */

/* A frame of its own: no pointer to what was lent is left on this stack. */
static GCX_NOINLINE void use_some(struct gcx_pool *p, size_t n, size_t bytes)
{
  void **buf = calloc(n, sizeof *buf);

  ck_assert_ptr_nonnull(buf);
  for (size_t i = 0; i < n; i++) {
    buf[i] = gcx_pool_take(p, bytes);
    memset(buf[i], (int)i, bytes);
  }
  for (size_t i = 0; i < n; i++)
    gcx_pool_return(p, buf[i]);
  explicit_bzero(buf, n * sizeof *buf);
  free(buf);
}

START_TEST(test_idle_buffers_survive_collections)
  {
    static const size_t sizes[] = { 64, 4096, 100000 };

    for (size_t s = 0; s < GCX_ARRAY_LENGTH(sizes); s++) {
      struct gcx_pool *p = buffers(0, 0);

      use_some(p, 50, sizes[s]);
      for (int i = 0; i < 3; i++)
        gcx_collect();
      for (int i = 0; i < 1000; i++)
        gcx_dispose(gcx_alloc(sizes[s]));
      ck_assert_uint_eq(stats(p).idle, 50);
      use_some(p, 50, sizes[s]);
      ck_assert_uint_eq(stats(p).created, 50);
      gcx_dispose(p);
    }
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

/* A pointer that the last user left in a buffer. */
static GCX_NOINLINE void leave_pointers(struct gcx_pool *p)
{
  for (int i = 0; i < FORGOTTEN; i++) {
    void **buf = gcx_pool_take(p, 256);

    buf[3] = gcx_alloc(32);
    gcx_pool_return(p, buf);
  }
}

START_TEST(test_idle_buffers_hold_nothing)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    leave_pointers(p);
    (void)objects_found();
    ck_assert_uint_ge(seen->direct, ENOUGH);
    gcx_dispose(p);
  }
END_TEST

/* What a buffer holds while it is taken is held. */
START_TEST(test_taken_buffers_hold)
  {
    struct gcx_pool *p = buffers(0, 0);
    void **buf = take(p, 8000);

    for (size_t i = 0; i < 1000; i++)
      buf[i] = gcx_alloc(32);
    ck_assert_uint_eq(objects_found(), 0);
    for (size_t i = 0; i < 1000; i++)
      gcx_dispose(buf[i]);
    gcx_pool_return(p, buf);
    gcx_dispose(p);
  }
END_TEST

/* ---- what is forgotten */

/* From one call site, whatever the compiler makes of loops. */
static GCX_NOINLINE void forget(struct gcx_pool *p, size_t n, size_t bytes)
{
  for (volatile size_t i = 0; i < n; i++)
    GCX_KEEP(gcx_pool_take(p, bytes));
}

START_TEST(test_forgotten_is_reported)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    use_some(p, FORGOTTEN, 1000); /* idle: what is forgotten is not new */
    ck_assert_uint_eq(objects_found(), 0);
    forget(p, FORGOTTEN, 1000);
    (void)objects_found();
    ck_assert_uint_ge(seen->direct, ENOUGH);
    ck_assert(objects_from_sites(seen, 1));
    ck_assert_uint_eq(seen->last.bytes, 1000);
    ck_assert(seen->last.is_lent);
    ck_assert_str_eq(gcx_report_type(&seen->last), "buffer of blocks");
    GCX_KEEP(p);
  }
END_TEST

static void forget_one(void *arg)
{
  struct gcx_pool *p = buffers(0, 0);

  (void)arg;
  objects_setup(GCX_LEAK_ABORT);
  use_some(p, 1, 1000);
  forget(p, FORGOTTEN, 1000);
  (void)gcx_check();
  GCX_KEEP(p);
}

START_TEST(test_forgotten_stops_the_program)
  {
    const struct death *d = death_demand_abort(forget_one, NULL, "GCX-LEAK");

    ck_assert_ptr_nonnull(strstr(d->err, " of buffer of blocks ("));
    ck_assert_ptr_nonnull(strstr(d->err, "\n  taken     "));
    ck_assert_ptr_null(strstr(d->err, "\n  born "));
    ck_assert_ptr_nonnull(
        strstr(d->err, "\n  do        give it back with gcx_pool_return()"));
  }
END_TEST

/* The stack is that of the take that was forgotten, not of earlier ones. */
static GCX_NOINLINE void *take_here(struct gcx_pool *p)
{
  void *buf = gcx_pool_take(p, 2000);

  GCX_KEEP(buf);
  return buf;
}

START_TEST(test_birth_is_the_take)
  {
    struct gcx_pool *p = buffers(0, 0);
    void *buf = take(p, 2000);
    uint32_t first = gcx__record_at(number_of(buf))->site, second;

    gcx_pool_return(p, buf);
    ck_assert_ptr_eq(take_here(p), buf);
    second = gcx__record_at(number_of(buf))->site;
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_ne(second, 0);
    ck_assert_uint_ne(first, second);
    gcx_pool_return(p, buf);
    ck_assert_ptr_eq(take_here(p), buf);
    gcx_pool_return(p, buf);
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_forgotten_goes_back_by_itself)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct gcx_pool_stats s;

    objects_setup(GCX_LEAK_DISPOSE);
    for (int round = 0; round < 3; round++) {
      forget(p, FORGOTTEN, 4096);
      ck_assert_uint_ge(objects_found(), ENOUGH);
    }
    s = stats(p);
    ck_assert_uint_ge(s.reclaimed, (uint64_t)3 * ENOUGH);
    ck_assert_uint_ge(s.idle, ENOUGH);
    ck_assert_uint_le(s.created, (uint64_t)FORGOTTEN + 60);
    gcx_dispose(p); /* what was not found is nobody's: no report */
  }
END_TEST

/* Off: collected, and the pool lives on. */
START_TEST(test_forgotten_when_off)
  {
    struct gcx_pool *p = buffers(0, 0);

    objects_setup(GCX_LEAK_OFF);
    forget(p, FORGOTTEN, 4096);
    ck_assert_uint_eq(objects_found(), 0);
    use_some(p, 10, 4096);
    gcx_pool_trim(p, 0);
    ck_assert_uint_eq(stats(p).idle, 0);
    GCX_KEEP(p);
  }
END_TEST

static GCX_NOINLINE void forget_pool(void)
{
  struct gcx_pool *p = buffers(0, 0);

  use_some(p, 3, 1000);
  forget(p, 3, 1000);
}

/* The pool is lost with all it has lent: each is said, once. */
START_TEST(test_pool_is_forgotten)
  {
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    for (int i = 0; i < FORGOTTEN; i++)
      forget_pool();
    (void)objects_found();
    ck_assert_uint_ge(seen->direct, (size_t)4 * ENOUGH);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_POOL_OUTSTANDING], 0);
  }
END_TEST

START_TEST(test_pool_is_forgotten_and_disposed)
  {
    objects_setup(GCX_LEAK_DISPOSE);
    for (int i = 0; i < FORGOTTEN; i++)
      forget_pool();
    ck_assert_uint_ge(objects_found(), (size_t)4 * ENOUGH);
  }
END_TEST

START_TEST(test_pool_is_forgotten_when_off)
  {
    objects_setup(GCX_LEAK_OFF);
    for (int i = 0; i < FORGOTTEN; i++)
      forget_pool();
    ck_assert_uint_eq(objects_found(), 0);
    for (int i = 0; i < FORGOTTEN; i++)
      forget_pool();
  }
END_TEST

/* ---- given back wrongly */

static GCX_NOINLINE void return_it(struct gcx_pool *p, void *buf)
{
  gcx_pool_return(p, buf);
}

static void return_twice(void *arg)
{
  struct gcx_pool *p = buffers(0, 0);
  void *buf = take(p, 1000);

  objects_setup(*(enum gcx__leak *)arg);
  return_it(p, buf);
  return_it(p, opaque(buf));
}

START_TEST(test_returned_twice)
  {
    enum gcx__leak modes[] = { GCX_LEAK_ABORT, GCX_LEAK_DISPOSE, GCX_LEAK_OFF };
    const struct death *d;

    d = death_demand_abort(return_twice, &modes[_i], "GCX-POOL-RETURN");
    ck_assert_ptr_nonnull(strstr(d->err, "1 object of buffer of blocks (1000 "
                                         "bytes) given back to a pool that has "
                                         "not lent it\n"));
    ck_assert_ptr_nonnull(strstr(d->err, "it was given back before"));
    if (modes[_i] == GCX_LEAK_OFF)
      return;
    ck_assert_ptr_nonnull(strstr(d->err, "\n  passed    in thread "));
    ck_assert_ptr_nonnull(strstr(d->err, "\n  returned  here\n    #0 "));
  }
END_TEST

static char not_in_the_heap[64];

static void return_foreign(void *arg)
{
  struct gcx_pool *p = buffers(0, 0), *other = buffers(0, 0);
  char *buf = take(other, 100);
  void *foreign[] = { not_in_the_heap, gcx_alloc(100), buf, buf + 16, p };

  gcx_pool_return(p, foreign[*(int *)arg]);
}

START_TEST(test_returned_foreign)
  {
    static const char *const why[] = { "not in the collected heap",
                                       "no pool has lent, or another one",
                                       "no pool has lent, or another one",
                                       "not the address that was taken",
                                       "no pool has lent, or another one" };
    const struct death *d;

    d = death_demand_abort(return_foreign, &_i, "GCX-POOL-RETURN");
    ck_assert_msg(strstr(d->err, why[_i]) != NULL, "%s", d->err);
  }
END_TEST

/* misuse=report: each is said, and nothing happens to the pool. */
START_TEST(test_returned_wrongly_goes_on)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct seen *seen = seen_begin();
    void *buf = take(p, 1000), *other = gcx_alloc(10);

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    gcx_pool_return(p, buf);
    gcx_pool_return(p, opaque(buf));
    gcx_pool_return(p, other);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_POOL_RETURN], 2);
    ck_assert(!gcx_is_disposed(other));
    ck_assert_ptr_eq(take(p, 1000), buf);
    ck_assert_ptr_ne(take(p, 1000), opaque(buf));
    ck_assert_uint_eq(stats(p).returned, 1);
    gcx_dispose(buf); /* once disposed it can't be given back */
    gcx_pool_return(p, opaque(buf));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_POOL_RETURN], 3);
  }
END_TEST

/* A pointer to what was given back is as dead as one to a disposed object. */
START_TEST(test_used_after_return)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct seen *seen = seen_begin();
    void *buf = take(p, 1000);

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    gcx_touch(buf, "before");
    gcx_pool_return(p, buf);
    ck_assert(gcx_is_disposed(buf));
    (void)gcx_require_live(opaque(buf));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_USE_AFTER_DISPOSE], 1);
    gcx_dispose(buf); /* a second end, and harmless */
    gcx_touch(buf, "late");
    ck_assert_ptr_null(gcx_realloc(buf, 2000));
    ck_assert_int_eq(gcx_own(p, buf), -EINVAL);
    ck_assert_ptr_eq(take(p, 1000), buf);
    gcx_pool_return(p, buf);
    gcx_dispose(p);
  }
END_TEST

static void overrun(void *arg)
{
  struct gcx_pool *p = buffers(0, 0);
  char *buf = take(p, 1000);
  size_t room = gcx__object_room(buf);

  (void)arg;
  memset(opaque(buf), 'x', room + 8);
  gcx_pool_return(p, buf);
}

START_TEST(test_overrun)
  {
    (void)death_demand_abort(overrun, NULL, "GCX-CORRUPT");
  }
END_TEST

static void use_disposed_pool(void *arg)
{
  struct gcx_pool *p = buffers(0, 0);

  gcx_dispose(p);
  if (*(int *)arg == 0)
    GCX_KEEP(gcx_pool_take(p, 10));
  else if (*(int *)arg == 1)
    gcx_pool_return(p, p);
  else if (*(int *)arg == 2)
    gcx_pool_trim(p, 0);
  else
    (void)stats(p);
}

START_TEST(test_disposed_pool)
  {
    (void)death_demand_abort(use_disposed_pool, &_i, "GCX-USE-AFTER-DISPOSE");
  }
END_TEST

static void use_no_pool(void *arg)
{
  void *none[] = { NULL, not_in_the_heap, not_in_the_heap + 1 };

  GCX_KEEP(gcx_pool_take(none[*(int *)arg], 10));
}

START_TEST(test_no_pool)
  {
    (void)death_demand_abort(use_no_pool, &_i, "GCX-BAD-POINTER");
  }
END_TEST

/* ---- outstanding */

static void dispose_early(void *arg)
{
  struct gcx_pool *p = buffers(0, 0);
  void *a = take(p, 1000), *b = take_here(p);

  (void)arg;
  gcx_pool_return(p, take(p, 500));
  gcx_dispose(p);
  GCX_KEEP(a);
  GCX_KEEP(b);
}

START_TEST(test_outstanding)
  {
    const struct death *d = death_run(dispose_early, NULL);

    ck_assert(WIFSIGNALED(d->status) && WTERMSIG(d->status) == SIGABRT);
    ck_assert_msg(death_occurrences(d->err,
                                    "gcx: GCX-POOL-OUTSTANDING: 1 object of "
                                    "buffer of blocks (") == 2,
                  "%s", d->err);
    ck_assert_ptr_nonnull(strstr(d->err, "(1000 bytes) still taken when its "
                                         "pool was disposed\n"));
    ck_assert_ptr_nonnull(strstr(d->err, "pool \"blocks\" is disposed, and 2 "
                                         "of its members are taken"));
    ck_assert_ptr_nonnull(strstr(d->err, "\n  pool ends in thread "));
    ck_assert_ptr_nonnull(strstr(d->err, "\n  taken     "));
  }
END_TEST

/* Everything was given back, or disposed: nothing is outstanding. */
START_TEST(test_nothing_outstanding)
  {
    struct gcx_pool *p = buffers(0, 0);
    void *a = take(p, 10), *b = take(p, 10), *c = take(p, 10);

    gcx_pool_return(p, a);
    gcx_dispose(b);
    gcx_suppress_finalize(c);
    gcx_dispose(p);
    ck_assert(gcx_is_disposed(a));
  }
END_TEST

/* Of more sites than there are reports: calls from different places. */
#define SITE(n)                        \
  case n:                              \
    buf = gcx_pool_take(p, 100 + (n)); \
    GCX_KEEP(buf);                     \
    break

enum { SITES = 19 };

static GCX_NOINLINE void *take_at(struct gcx_pool *p, size_t site)
{
  void *buf = NULL;

  switch (site) {
    SITE(0);
    SITE(1);
    SITE(2);
    SITE(3);
    SITE(4);
    SITE(5);
    SITE(6);
    SITE(7);
    SITE(8);
    SITE(9);
    SITE(10);
    SITE(11);
    SITE(12);
    SITE(13);
    SITE(14);
    SITE(15);
    SITE(16);
    SITE(17);
    SITE(18);
  default:
    break;
  }
  return buf;
}

START_TEST(test_outstanding_from_many_sites)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct seen *seen = seen_begin();
    void *buf[SITES];

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    for (size_t i = 0; i < SITES; i++)
      buf[i] = take_at(p, i);
    gcx_dispose(p);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_POOL_OUTSTANDING], 16);
    ck_assert_uint_eq(seen->last.count, 4);
    /* they live on, without a pool */
    for (size_t i = 0; i < SITES; i++)
      gcx_dispose(buf[i]);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

/* ---- objects */

struct conn {
  int number;
  bool broken;
  void *part; /* an object of its own */
};

static int conns_made, conns_reset, conns_destroyed, conns_disposed;
static int conn_create_result;

static int conn_create(void *obj, void *arg)
{
  struct conn *c = obj;

  ck_assert(is_zero(c, sizeof *c));
  ck_assert_str_eq(arg, "host");
  if (conn_create_result != 0)
    return conn_create_result;
  c->number = ++conns_made;
  c->part = gcx_alloc(10);
  return gcx_own(c, c->part);
}

/* What the functions get is live, and can be used like any object. */
static void conn_use(struct conn *c)
{
  ck_assert_ptr_eq(gcx_require_live(c), c);
  gcx_touch(c, "looked at");
}

static bool conn_check(void *obj, void *arg)
{
  ck_assert_str_eq(arg, "host");
  conn_use(obj);
  return !((struct conn *)obj)->broken;
}

static int conn_reset(void *obj, void *arg)
{
  ck_assert_str_eq(arg, "host");
  conns_reset++;
  conn_use(obj);
  if (((struct conn *)obj)->number == 1212)
    gcx_dispose(obj);
  return ((struct conn *)obj)->number == 1313 ? -EIO : 0;
}

static void conn_destroy(void *obj)
{
  ck_assert_int_gt(((struct conn *)obj)->number, 0);
  conns_destroyed++;
}

static int conn_dispose(void *obj)
{
  (void)obj;
  conns_disposed++;
  return 0;
}

static int conn_describe(const void *obj, char *buf, size_t n)
{
  return snprintf(buf, n, "number %d", ((const struct conn *)obj)->number);
}

static const struct gcx_type conn_type =
    GCX_TYPE_INIT("struct conn", sizeof(struct conn), 0, NULL, conn_dispose,
                  NULL, conn_describe);

static struct gcx_pool *conns(size_t max_kept)
{
  static char host[] = "host";
  struct gcx_pool_config config = { .name = "connections",
                                    .max_kept = max_kept,
                                    .type = &conn_type,
                                    .create = conn_create,
                                    .check = conn_check,
                                    .reset = conn_reset,
                                    .destroy = conn_destroy,
                                    .arg = host };
  struct gcx_pool *p = gcx_pool_create(&config);

  ck_assert_ptr_nonnull(p);
  conns_made = conns_reset = conns_destroyed = conns_disposed = 0;
  conn_create_result = 0;
  return p;
}

START_TEST(test_objects)
  {
    struct gcx_pool *p = conns(2);
    struct conn *c[4];

    for (int i = 0; i < 4; i++)
      c[i] = take(p, sizeof(struct conn));
    for (int i = 0; i < 4; i++)
      gcx_pool_return(p, c[i]);
    ck_assert_int_eq(conns_made, 4);
    ck_assert_int_eq(conns_reset, 4);
    ck_assert_int_eq(conns_destroyed, 2); /* more than are kept */
    ck_assert_int_eq(conns_disposed, 2);
    ck_assert_ptr_eq(gcx_pool_take(p, 0), c[1]);
    ck_assert_uint_eq(gcx_size(c[1]), sizeof(struct conn));
    ck_assert(!gcx_is_disposed(c[1]->part)); /* what it owns stays */
    ck_assert(gcx_is_disposed(c[3]->part));
    c[0]->broken = true; /* idle, and the peer went away */
    c[0] = gcx_pool_take(p, 0);
    ck_assert_int_eq(c[0]->number, 5);
    ck_assert_int_eq(conns_destroyed, 3);
    gcx_dispose(c[1]); /* it broke while it was out */
    ck_assert_int_eq(conns_destroyed, 4);
    gcx_pool_return(p, c[0]);
    gcx_dispose(p);
    ck_assert_int_eq(conns_destroyed, 5);
    ck_assert_int_eq(conns_disposed, 5);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_objects_unfit)
  {
    struct gcx_pool *p = conns(0);
    struct conn *c = gcx_pool_take(p, 0);

    errno = 0;
    ck_assert_ptr_null(gcx_pool_take(p, sizeof(struct conn) + 1));
    ck_assert_int_eq(errno, EINVAL);
    conn_create_result = -ECONNREFUSED;
    ck_assert_ptr_null(gcx_pool_take(p, 0));
    ck_assert_int_eq(errno, ECONNREFUSED);
    conn_create_result = 0;
    ck_assert_int_eq(conns_disposed, 0);
    c->number = 1313; /* its reset fails */
    gcx_pool_return(p, c);
    ck_assert(gcx_is_disposed(c));
    ck_assert_uint_eq(stats(p).dropped, 1);
    c = gcx_pool_take(p, 0);
    c->number = 1212; /* its reset disposes it */
    gcx_pool_return(p, c);
    ck_assert(gcx_is_disposed(c));
    ck_assert_uint_eq(stats(p).idle, 0);
    gcx_dispose(p);
    ck_assert_int_eq(conns_disposed, 2);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static GCX_NOINLINE void use_conns(struct gcx_pool *p, size_t n)
{
  struct conn *c[64];

  for (size_t i = 0; i < n; i++)
    c[i] = gcx_pool_take(p, 0);
  for (size_t i = 0; i < n; i++)
    gcx_pool_return(p, c[i]);
  memset(c, 0, sizeof c);
  GCX_KEEP(c);
}

START_TEST(test_idle_objects_survive_collections)
  {
    struct gcx_pool *p = conns(0);

    use_conns(p, 50);
    for (int i = 0; i < 3; i++)
      gcx_collect();
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_uint_eq(stats(p).idle, 50);
    use_conns(p, 50);
    ck_assert_int_eq(conns_made, 50);
    ck_assert_int_eq(conns_destroyed, 0);
    gcx_dispose(p);
    ck_assert_int_eq(conns_destroyed, 50);
  }
END_TEST

static GCX_NOINLINE void forget_conns(struct gcx_pool *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(gcx_pool_take(p, 0));
}

START_TEST(test_forgotten_objects)
  {
    struct gcx_pool *p = conns(200);
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    forget_conns(p, FORGOTTEN);
    (void)objects_found();
    ck_assert_uint_ge(seen->direct, ENOUGH);
    ck_assert_str_eq(gcx_report_type(&seen->last), "struct conn");
    ck_assert(strncmp(seen->last.description, "number ", 7) == 0);
    ck_assert(seen->last.is_lent);
    GCX_KEEP(p);
  }
END_TEST

START_TEST(test_forgotten_objects_go_back)
  {
    struct gcx_pool *p = conns(2 * FORGOTTEN);

    objects_setup(GCX_LEAK_DISPOSE);
    forget_conns(p, FORGOTTEN);
    (void)objects_found();
    ck_assert_uint_ge(stats(p).reclaimed, ENOUGH);
    ck_assert_uint_ge(stats(p).idle, ENOUGH);
    ck_assert_int_ge(conns_reset, ENOUGH);
    ck_assert_int_eq(conns_destroyed, 0);
    use_conns(p, 50);
    ck_assert_int_eq(conns_made, FORGOTTEN);
    gcx_dispose(p);
  }
END_TEST

/* An object that refers to its pool does not keep a pool that is forgotten. */
struct back {
  struct gcx_pool *pool;
};

static int back_create(void *obj, void *arg)
{
  (void)arg;
  ((struct back *)obj)->pool = NULL;
  return 0;
}

static GCX_NOINLINE void forget_circle(void)
{
  struct gcx_pool_config config = { .object_bytes = sizeof(struct back),
                                    .create = back_create };
  struct gcx_pool *p = gcx_pool_create(&config);
  struct back *b = gcx_pool_take(p, 0);

  b->pool = p;
  gcx_pool_return(p, b);
}

START_TEST(test_circle_of_pool_and_object)
  {
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    for (int i = 0; i < FORGOTTEN; i++)
      forget_circle();
    (void)objects_found();
    ck_assert_uint_ge(seen->direct, ENOUGH);
    ck_assert_uint_eq(seen->indirect, 0);
  }
END_TEST

/* ---- owners, wrappers */

START_TEST(test_owner_ends_with_the_return)
  {
    struct gcx_pool *p = buffers(0, 0);
    void *owner = gcx_alloc(16), *buf = take(p, 100);

    ck_assert_int_eq(gcx_own(owner, buf), 0);
    gcx_pool_return(p, buf);
    ck_assert_ptr_eq(take(p, 100), buf);
    gcx_dispose(owner);
    ck_assert(!gcx_is_disposed(buf));
    gcx_pool_return(p, buf);
    gcx_dispose(p);
  }
END_TEST

/* A weak reference is to the memory, whoever has it; and what weak things know
 * is no obstacle on the quick way. */
START_TEST(test_weak_reference)
  {
    struct gcx_pool *p = buffers(0, 0);
    void *buf = take(p, 1000);
    struct gcx_weak *w = gcx_weak_create(buf, GCX_WEAK_SHORT);

    for (int i = 0; i < 3; i++) {
      gcx_pool_return(p, buf);
      gcx_collect();
      ck_assert_ptr_eq(gcx_weak_get(w), buf);
      ck_assert_ptr_eq(take(p, 1000), buf);
    }
    gcx_pool_return(p, buf);
    gcx_dispose(w);
    gcx_dispose(p);
  }
END_TEST

struct lease {
  struct gcx_pool *pool;
  void *buf;
};

static int lease_dispose(void *obj)
{
  struct lease *l = obj;

  gcx_pool_return(l->pool, l->buf);
  return 0;
}

static const struct gcx_type lease_type = GCX_TYPE_INIT(
    "lease", sizeof(struct lease), 0, NULL, lease_dispose, NULL, NULL);

static GCX_NOINLINE struct lease *lease(struct gcx_pool *p)
{
  struct lease *l = gcx_new(&lease_type);

  ck_assert_ptr_nonnull(l);
  l->pool = p;
  l->buf = take(p, 1000);
  return l;
}

static GCX_NOINLINE void forget_leases(struct gcx_pool *p)
{
  for (int i = 0; i < FORGOTTEN; i++)
    GCX_KEEP(lease(p));
}

START_TEST(test_wrapper_returns_it)
  {
    struct gcx_pool *p = buffers(0, 0);
    struct lease *l = lease(p);
    struct gcx_pool_stats s;

    gcx_dispose(l);
    gcx_dispose(l);
    ck_assert_uint_eq(stats(p).idle, 1);
    objects_setup(GCX_LEAK_DISPOSE);
    forget_leases(p);
    ck_assert_uint_ge(objects_found(), ENOUGH);
    s = stats(p);
    ck_assert_uint_ge(s.returned + s.reclaimed, ENOUGH);
    ck_assert_uint_ge(s.idle, ENOUGH);
    gcx_dispose(p);
  }
END_TEST

/* ---- threads */

enum { THREADS = 4, ROUNDS = 2000 };

struct worker {
  struct gcx_pool *pool;
  uint64_t seed;
};

static void *work(void *arg)
{
  struct worker *w = arg;
  unsigned char *held[8] = { NULL };
  size_t bytes[8] = { 0 };

  for (int i = 0; i < ROUNDS; i++) {
    size_t k;

    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    k = (w->seed >> 40) % 8;
    if (held[k] != NULL) {
      if (!is_all(held[k], bytes[k], (unsigned char)(uintptr_t)w))
        abort();
      gcx_pool_return(w->pool, held[k]);
    }
    bytes[k] = (w->seed >> 33) % 9000;
    held[k] = gcx_pool_take(w->pool, bytes[k]);
    if (held[k] == NULL)
      abort();
    memset(held[k], (unsigned char)(uintptr_t)w, bytes[k]);
  }
  for (size_t k = 0; k < 8; k++)
    gcx_pool_return(w->pool, held[k]);
  return NULL;
}

/* No buffer is lent twice at a time; collections all the while; threads end, and
 * what they had at hand is there for others. */
START_TEST(test_threads)
  {
    struct gcx_pool *p = buffers(8192, (size_t)1 << 20);
    struct worker worker[THREADS];
    pthread_t id[THREADS];

    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < THREADS; i++) {
        worker[i] = (struct worker){ p, (uint64_t)i * 77 + 1 };
        id[i] = thread_start(work, &worker[i]);
      }
      for (int i = 0; i < 5; i++)
        gcx_collect();
      for (int i = 0; i < THREADS; i++)
        (void)thread_join(id[i]);
      ck_assert_uint_le(stats(p).idle_bytes, (size_t)1 << 20);
    }
    ck_assert_uint_eq(stats(p).taken, stats(p).returned);
    ck_assert_uint_eq(stats(p).taken, 3u * THREADS * ROUNDS);
    gcx_dispose(p);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

/* One thread takes, the other gives back. */
struct relay {
  struct gcx_pool *pool;
  void *slot;
  int done;
};

static void *give_back(void *arg)
{
  struct relay *r = arg;

  while (!flag_is_up(&r->done)) {
    void *buf = __atomic_exchange_n(&r->slot, NULL, __ATOMIC_ACQ_REL);

    if (buf != NULL)
      gcx_pool_return(r->pool, buf);
    else
      (void)sched_yield();
  }
  return NULL;
}

START_TEST(test_taken_here_returned_there)
  {
    struct relay r = { .pool = buffers(4096, (size_t)64 * 4096) };
    pthread_t id = thread_start(give_back, &r);

    for (int i = 0; i < 3000; i++) {
      void *buf = take(r.pool, 4000);

      while (__atomic_load_n(&r.slot, __ATOMIC_ACQUIRE) != NULL)
        (void)sched_yield();
      __atomic_store_n(&r.slot, buf, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&r.slot, __ATOMIC_ACQUIRE) != NULL)
      (void)sched_yield();
    flag_raise(&r.done);
    (void)thread_join(id);
    ck_assert_uint_lt(stats(r.pool).created, 200);
    ck_assert_uint_eq(stats(r.pool).returned, 3000);
    gcx_dispose(r.pool);
  }
END_TEST

/* Several threads give back the same buffer: one of them does it. */
struct rivals {
  struct gcx_pool *pool;
  void *buf;
  pthread_barrier_t begin;
};

static void *rival(void *arg)
{
  struct rivals *r = arg;

  (void)pthread_barrier_wait(&r->begin);
  gcx_pool_return(r->pool, r->buf);
  return NULL;
}

START_TEST(test_returned_by_several_at_once)
  {
    struct rivals r = { .pool = buffers(0, 0) };
    struct seen *seen = seen_begin();
    pthread_t id[THREADS];

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    r.buf = take(r.pool, 1000);
    ck_assert_int_eq(pthread_barrier_init(&r.begin, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
      id[i] = thread_start(rival, &r);
    for (int i = 0; i < THREADS; i++)
      (void)thread_join(id[i]);
    ck_assert_uint_eq(stats(r.pool).returned, 1);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_POOL_RETURN], THREADS - 1);
    gcx_dispose(r.pool);
  }
END_TEST

/* ---- fork */

static void in_the_child(void *arg)
{
  struct gcx_pool *p = arg;
  void *buf;

  ck_assert_uint_eq(stats(p).idle, 0);
  buf = gcx_pool_take(p, 1000);
  if (buf == NULL)
    _exit(1);
  gcx_pool_return(p, buf);
  for (int i = 0; i < 3; i++)
    gcx_collect();
  if (gcx_pool_take(p, 1000) != buf)
    _exit(2);
  _exit(gcx_check() == 0 ? 0 : 3);
}

START_TEST(test_fork)
  {
    struct gcx_pool *p = buffers(0, 0);

    use_some(p, 20, 1000);
    (void)death_demand_exit(in_the_child, p, 0);
    ck_assert_uint_eq(stats(p).idle, 20);
    use_some(p, 20, 1000);
    ck_assert_uint_eq(stats(p).created, 20);
    gcx_dispose(p);
  }
END_TEST

#define INHERITED 50

struct inheritance {
  struct gcx_pool *pool;
  void *taken[INHERITED]; /* by the parent, before it forked */
};

static GCX_NOINLINE void forget_some(struct gcx_pool *p)
{
  for (int i = 0; i < INHERITED; i++)
    GCX_KEEP(gcx_pool_take(p, 1000));
}

static GCX_NOINLINE void return_all(struct inheritance *i)
{
  for (int n = 0; n < INHERITED; n++) {
    gcx_pool_return(i->pool, i->taken[n]);
    i->taken[n] = NULL;
  }
}

/* What it is lent is its own, whoever had it before. */
static void child_recycles_and_forgets(void *arg)
{
  struct inheritance *i = arg;

  gcx__opt.leak = GCX_LEAK_REPORT;
  return_all(i);
  ck_assert_uint_eq(stats(i->pool).idle, 0);
  forget_some(i->pool);
  _exit(gcx_check() >= INHERITED * 9 / 10 ? 0 : 3);
}

static void child_adopts_and_forgets(void *arg)
{
  struct inheritance *i = arg;

  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx_fork_adopt();
  return_all(i);
  ck_assert_uint_eq(stats(i->pool).idle, INHERITED);
  forget_some(i->pool);
  _exit(gcx_check() >= INHERITED * 9 / 10 ? 0 : 3);
}

/* The parent owes what it has taken, the child does not. */
static void child_ends_the_pool(void *arg)
{
  struct inheritance *i = arg;

  gcx_dispose(i->pool);
  _exit(gcx_check() == 0 ? 0 : 3);
}

START_TEST(test_fork_with_buffers_taken)
  {
    death_fn children[] = { child_recycles_and_forgets,
                            child_adopts_and_forgets, child_ends_the_pool };
    struct inheritance i = { .pool = buffers(0, 0) };

    for (int n = 0; n < INHERITED; n++)
      i.taken[n] = gcx_pool_take(i.pool, 1000);
    (void)death_demand_exit(children[_i], &i, 0);
    ck_assert_uint_eq(stats(i.pool).idle, 0);
    return_all(&i);
    ck_assert_uint_eq(stats(i.pool).idle, INHERITED);
    gcx_dispose(i.pool);
  }
END_TEST

/* ---- without memory */

START_TEST(test_no_memory)
  {
    for (uint64_t n = 1; n < 12; n++) {
      struct gcx_pool_config config = { .name = "small" };
      struct gcx_pool *p;
      void *buf;

      gcx__vm_fail_at(n);
      p = gcx_pool_create(&config);
      buf = p != NULL ? gcx_pool_take(p, 3000) : NULL;
      if (buf != NULL)
        gcx_pool_return(p, buf);
      gcx__vm_fail_at(0);
      gcx_dispose(p);
    }
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static Suite *pool_suite(void)
{
  Suite *s = suite_create("pool");
  TCase *t = tcase_create("buffers");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_what_was_given_back_is_lent_again);
  tcase_add_test(t, test_size_classes);
  tcase_add_test(t, test_larger_ones_are_lent_and_not_kept);
  tcase_add_test(t, test_bound_of_what_is_kept);
  tcase_add_test(t, test_cleared);
  tcase_add_test(t, test_resized_in_between);
  tcase_add_test(t, test_bad_arguments);
  tcase_add_test(t, test_too_much_memory);
  tcase_add_test(t, test_many_pools_one_after_another);
  tcase_add_test(t, test_many_pools_at_once);
  tcase_add_test(t, test_idle_buffers_survive_collections);
  tcase_add_test(t, test_idle_buffers_hold_nothing);
  tcase_add_test(t, test_taken_buffers_hold);
  suite_add_tcase(s, t);

  t = tcase_create("forgotten");
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_forgotten_is_reported);
  tcase_add_test(t, test_forgotten_stops_the_program);
  tcase_add_test(t, test_birth_is_the_take);
  tcase_add_test(t, test_forgotten_goes_back_by_itself);
  tcase_add_test(t, test_forgotten_when_off);
  tcase_add_test(t, test_pool_is_forgotten);
  tcase_add_test(t, test_pool_is_forgotten_and_disposed);
  tcase_add_test(t, test_pool_is_forgotten_when_off);
  suite_add_tcase(s, t);

  t = tcase_create("wrong");
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_loop_test(t, test_returned_twice, 0, 3);
  tcase_add_loop_test(t, test_returned_foreign, 0, 5);
  tcase_add_test(t, test_returned_wrongly_goes_on);
  tcase_add_test(t, test_used_after_return);
  tcase_add_test(t, test_overrun);
  tcase_add_loop_test(t, test_disposed_pool, 0, 4);
  tcase_add_loop_test(t, test_no_pool, 0, 3);
  tcase_add_test(t, test_outstanding);
  tcase_add_test(t, test_nothing_outstanding);
  tcase_add_test(t, test_outstanding_from_many_sites);
  suite_add_tcase(s, t);

  t = tcase_create("objects");
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_objects);
  tcase_add_test(t, test_objects_unfit);
  tcase_add_test(t, test_idle_objects_survive_collections);
  tcase_add_test(t, test_forgotten_objects);
  tcase_add_test(t, test_forgotten_objects_go_back);
  tcase_add_test(t, test_circle_of_pool_and_object);
  tcase_add_test(t, test_owner_ends_with_the_return);
  tcase_add_test(t, test_weak_reference);
  tcase_add_test(t, test_wrapper_returns_it);
  suite_add_tcase(s, t);

  t = tcase_create("threads");
  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_threads);
  tcase_add_test(t, test_taken_here_returned_there);
  tcase_add_test(t, test_returned_by_several_at_once);
  tcase_add_test(t, test_fork);
  tcase_add_loop_test(t, test_fork_with_buffers_taken, 0, 3);
  tcase_add_test(t, test_no_memory);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(pool_suite);
