/* SPDX-License-Identifier: MIT */
/*
 * check_shim.c - GCX_DISABLE: objects over calloc and free, nothing linked
 *
 * Built with GCX_DISABLE and without the library.
 */
#include "check_main.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

/* ---- what ended, in which order */

static char trail[64];
static size_t trail_length;

static int leave_trail(void *obj)
{
  ck_assert_uint_lt(trail_length, sizeof(trail) - 1);
  trail[trail_length++] = *(char *)obj;
  return 0;
}

static int leave_trail_base(void *obj)
{
  (void)obj;
  trail[trail_length++] = '-';
  return -EIO;
}

static const struct gcx_type base_type =
    GCX_TYPE_INIT("base", 8, 0, NULL, leave_trail_base, NULL, NULL);
static const struct gcx_type named_type =
    GCX_TYPE_INIT("named", 8, 0, NULL, leave_trail, NULL, NULL);
static const struct gcx_type derived_type =
    GCX_TYPE_INIT("derived", 8, 0, &base_type, leave_trail, NULL, NULL);

static char *named(char name)
{
  char *p = gcx_new(&named_type);

  ck_assert_ptr_nonnull(p);
  *p = name;
  return p;
}

static void demand_trail(const char *want)
{
  ck_assert_str_eq(trail, want);
  memset(trail, 0, sizeof(trail));
  trail_length = 0;
}

/* ---- memory */

static bool is_zero(const char *p, size_t bytes)
{
  while (bytes > 0 && p[bytes - 1] == 0)
    bytes--;
  return bytes == 0;
}

static void demand_object(void *p, size_t bytes, size_t align)
{
  ck_assert_ptr_nonnull(p);
  ck_assert_uint_eq((uintptr_t)p % align, 0);
  ck_assert_uint_eq(gcx_size(p), bytes);
  ck_assert(is_zero(p, bytes));
  ck_assert(!gcx_is_disposed(p));
  memset(p, 0xa5, bytes);
  gcx_dispose(p);
}

START_TEST(zeroed_aligned_sized)
  {
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 100000 };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
      demand_object(gcx_alloc(sizes[i]), sizes[i], 16);
      demand_object(gcx_alloc_atomic(sizes[i]), sizes[i], 16);
      demand_object(gcx_calloc(3, sizes[i]), 3 * sizes[i], 16);
      demand_object(gcx_new_extra(&named_type, sizes[i]), 8 + sizes[i], 16);
      for (size_t align = 1; align <= 4096; align *= 2)
        demand_object(gcx_aligned_alloc(align, sizes[i]), sizes[i], align);
    }
  }
END_TEST

static void demand_none(const void *p, int err)
{
  ck_assert_ptr_null(p);
  ck_assert_int_eq(errno, err);
  errno = 0;
}

START_TEST(what_can_t_be_had)
  {
    volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2;
    struct gcx_type odd = { NULL, 8, 0, NULL, NULL, NULL, NULL };

    demand_none(gcx_alloc(huge), ENOMEM);
    demand_none(gcx_alloc(half), ENOMEM);
    demand_none(gcx_calloc(huge, 2), ENOMEM);
    demand_none(gcx_calloc(half, 3), ENOMEM);
    demand_none(gcx_new_extra(&named_type, huge), ENOMEM);
    demand_none(gcx_aligned_alloc(0, 1), EINVAL);
    demand_none(gcx_aligned_alloc(24, 1), EINVAL);
    demand_none(gcx_aligned_alloc(8192, 1), EINVAL);
    demand_none(gcx_aligned_alloc(4096, half), ENOMEM);
    demand_none(gcx_strdup(NULL), EINVAL);
    demand_none(gcx_strndup(NULL, 1), EINVAL);
    demand_none(gcx_new(NULL), EINVAL);
    demand_none(gcx_new(&odd), EINVAL);
    odd.name = "odd";
    odd.flags = 1u << 30;
    demand_none(gcx_new(&odd), EINVAL);
  }
END_TEST

START_TEST(strings)
  {
    char *whole = gcx_strdup("whole"), *part = gcx_strndup("whole", 2);
    char *more = gcx_strndup("ab", 100), *none = gcx_strndup("ab", 0);

    ck_assert_str_eq(whole, "whole");
    ck_assert_str_eq(part, "wh");
    ck_assert_uint_eq(gcx_size(part), 3);
    ck_assert_str_eq(more, "ab");
    ck_assert_str_eq(none, "");
    gcx_dispose(whole);
    gcx_dispose(part);
    gcx_dispose(more);
    gcx_dispose(none);
  }
END_TEST

/* Contents, size, type, owner and children survive any number of moves. */
static void demand_resizes(char *p)
{
  static const size_t sizes[] = { 100000, 8, 0, 40, 200000, 16 };
  size_t kept = gcx_size(p);
  char *owner = named('o'), *child = named('c');

  ck_assert_int_eq(gcx_own(owner, p), 0);
  ck_assert_int_eq(gcx_own(p, child), 0);
  memset(p, 'x', kept);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
    p = gcx_realloc(p, sizes[i]);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(gcx_size(p), sizes[i]);
    if (kept > sizes[i])
      kept = sizes[i];
    for (size_t at = 0; at < kept; at++)
      ck_assert_int_eq(p[at], 'x');
    ck_assert(is_zero(p + kept, sizes[i] - kept));
  }
  p[0] = 'p';
  ck_assert_int_eq(gcx_own(owner, p), -EBUSY);
  gcx_dispose(owner);
}

START_TEST(realloc_keeps_what_it_is)
  {
    static const struct gcx_type secret_type = GCX_TYPE_INIT(
        "secret", 24, GCX_TYPE_SECRET, NULL, leave_trail, NULL, NULL);
    char *aligned;

    demand_resizes(named('p'));
    demand_trail("opc");
    demand_resizes(gcx_new(&secret_type));
    demand_trail("opc");
    aligned = gcx_realloc(gcx_aligned_alloc(1024, 50), 5000);
    demand_resizes(aligned);
    demand_trail("oc");
  }
END_TEST

START_TEST(realloc_edges)
  {
    volatile size_t huge = SIZE_MAX;
    char *p = gcx_realloc(NULL, 10);

    ck_assert_uint_eq(gcx_size(p), 10);
    strcpy(p, "kept");
    demand_none(gcx_realloc(p, huge), ENOMEM);
    ck_assert_str_eq(p, "kept");
    gcx_dispose(p);
    p = gcx_aligned_alloc(512, 10);
    p = gcx_realloc(p, 100000);
    ck_assert_uint_eq((uintptr_t)p % 512, 0);
    gcx_dispose(p);
  }
END_TEST

/* ---- the end */

START_TEST(derived_first_then_base_first_error)
  {
    char *d = gcx_new(&derived_type);

    *d = 'd';
    ck_assert_int_eq(gcx_close(d), -EIO);
    demand_trail("d-");
    ck_assert_int_eq(gcx_close(NULL), 0);
    gcx_dispose(NULL);
    gcx_discard(NULL);
    gcx_dispose_owned(NULL);
  }
END_TEST

START_TEST(discard_runs_nothing_of_its_own)
  {
    char *parent = named('p');

    ck_assert_int_eq(gcx_own(parent, named('c')), 0);
    gcx_discard(parent);
    demand_trail("c");
  }
END_TEST

static int dispose_again(void *obj)
{
  leave_trail(obj);
  ck_assert(gcx_is_disposed(obj));
  ck_assert_int_eq(gcx_close(obj), 0);
  ck_assert_int_eq(gcx_own(obj, NULL), -EINVAL);
  ck_assert_ptr_null(gcx_realloc(obj, 100));
  return 0;
}

START_TEST(again_from_inside)
  {
    static const struct gcx_type again_type =
        GCX_TYPE_INIT("again", 8, 0, NULL, dispose_again, NULL, NULL);
    char *p = gcx_new(&again_type);

    *p = 'a';
    gcx_dispose(p);
    demand_trail("a");
  }
END_TEST

/* ---- owners */

START_TEST(owner_then_children_latest_first)
  {
    char *o = named('o'), *a = named('a'), *b = named('b'), *c = named('c');

    ck_assert_int_eq(gcx_own(o, a), 0);
    ck_assert_int_eq(gcx_own(o, b), 0);
    ck_assert_int_eq(gcx_own(o, c), 0);
    ck_assert_int_eq(gcx_own(b, named('d')), 0);
    ck_assert_int_eq(gcx_own(a, c), -EBUSY);
    ck_assert_int_eq(gcx_own(o, o), -EINVAL);
    ck_assert_int_eq(gcx_own(o, NULL), -EINVAL);
    ck_assert_int_eq(gcx_own(NULL, o), -EINVAL);
    gcx_disown(a, c); /* not its owner: harmless */
    gcx_disown(o, c);
    gcx_disown(o, c);
    gcx_disown(NULL, c);
    gcx_disown(o, NULL);
    gcx_dispose(o);
    demand_trail("obda");
    gcx_dispose(c);
    demand_trail("c");
  }
END_TEST

START_TEST(child_alone_and_in_the_middle)
  {
    char *o = named('o'), *a = named('a'), *b = named('b'), *c = named('c');

    gcx_own(o, a);
    gcx_own(o, b);
    gcx_own(o, c);
    gcx_dispose(b);
    demand_trail("b");
    gcx_dispose_owned(o);
    demand_trail("ca");
    gcx_own(o, named('e'));
    gcx_dispose(o);
    demand_trail("oe");
  }
END_TEST

START_TEST(circle_of_owners)
  {
    char *a = named('a'), *b = named('b'), *c = named('c');

    ck_assert_int_eq(gcx_own(a, b), 0);
    ck_assert_int_eq(gcx_own(b, c), 0);
    ck_assert_int_eq(gcx_own(c, a), 0);
    gcx_dispose(b);
    demand_trail("bca");
  }
END_TEST

static size_t ended;

static int count_end(void *obj)
{
  (void)obj;
  ended++;
  return 0;
}

static const struct gcx_type counted_type =
    GCX_TYPE_INIT("counted", 8, 0, NULL, count_end, NULL, NULL);

/* Recursion would overflow the stack. */
START_TEST(long_chain)
  {
    const size_t links = 100000;
    void *head = gcx_new(&counted_type), *at = head;

    for (size_t i = 1; i < links; i++) {
      void *next = gcx_new(&counted_type);

      ck_assert_int_eq(gcx_own(at, next), 0);
      at = next;
    }
    gcx_dispose(head);
    ck_assert_uint_eq(ended, links);
  }
END_TEST

#define THREADS 4
#define ROUNDS 2000

static void *own_and_leave(void *owner)
{
  for (int i = 0; i < ROUNDS; i++) {
    void *stays = gcx_alloc(8), *leaves = gcx_alloc(8), *ends = gcx_alloc(8);

    if (gcx_own(owner, stays) != 0 || gcx_own(owner, leaves) != 0 ||
        gcx_own(owner, ends) != 0)
      return owner;
    gcx_dispose(ends);
    gcx_disown(owner, leaves);
    gcx_dispose(leaves);
  }
  return NULL;
}

START_TEST(one_owner_many_threads)
  {
    pthread_t thread[THREADS];
    void *owner = gcx_new(&counted_type), *failed;
    size_t children = 0;

    for (int i = 0; i < THREADS; i++)
      ck_assert_int_eq(pthread_create(&thread[i], NULL, own_and_leave, owner),
                       0);
    for (int i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
      ck_assert_ptr_null(failed);
    }
    for (struct gcx_shim_family *f = gcx_shim_of(owner)->family->children;
         f != NULL; f = f->older)
      children++;
    ck_assert_uint_eq(children, THREADS * ROUNDS);
    gcx_dispose(owner);
  }
END_TEST

/* ---- handles */

static int released, release_result;

static int count_release(intptr_t raw)
{
  released += raw == 7;
  errno = ENOTTY;
  return release_result;
}

static const struct gcx_handle_type raw_type = GCX_HANDLE_TYPE_INIT(
    "raw", gcx_handle_minus_one_is_invalid, count_release, NULL, 0);
static const struct gcx_handle_type uncounted_type =
    GCX_HANDLE_TYPE_INIT("uncounted", gcx_handle_zero_or_minus_one_is_invalid,
                         count_release, NULL, GCX_HANDLE_UNCOUNTED);

START_TEST(handle_is_closed_once)
  {
    struct gcx_handle *h = gcx_handle_create(&raw_type, 7, true);
    intptr_t raw = 0, again = 0;

    ck_assert(!gcx_handle_is_closed(h) && !gcx_handle_is_invalid(h));
    ck_assert(gcx_handle_acquire(h, &raw) && gcx_handle_acquire(h, &again));
    ck_assert_int_eq(raw, 7);
    ck_assert_int_eq(again, 7);
    gcx_dispose(h);
    ck_assert_int_eq(released, 0);
    ck_assert(!gcx_handle_is_closed(h));
    gcx_handle_release(h);
    ck_assert_int_eq(released, 0);
    errno = 0;
    gcx_handle_release(h);
    ck_assert_int_eq(released, 1);
    ck_assert_int_eq(errno, 0);
    release_result = -EIO;
    ck_assert_int_eq(gcx_close(gcx_handle_create(&raw_type, 7, true)), -EIO);
    ck_assert_int_eq(released, 2);
  }
END_TEST

START_TEST(handle_that_closes_nothing)
  {
    struct gcx_handle *h = gcx_handle_create(&raw_type, 7, false);
    intptr_t raw = 3;

    gcx_dispose(h);
    h = gcx_handle_create(&raw_type, -1, true);
    ck_assert(gcx_handle_is_invalid(h));
    gcx_dispose(h);
    h = gcx_handle_create(&raw_type, 7, true);
    gcx_handle_set_invalid(h);
    ck_assert(gcx_handle_is_closed(h) && !gcx_handle_acquire(h, &raw));
    ck_assert_int_eq(raw, 3);
    gcx_dispose(h);
    ck_assert_int_eq(released, 0);
    ck_assert(!gcx_handle_acquire(NULL, &raw));
    ck_assert(gcx_handle_is_closed(NULL) && gcx_handle_is_invalid(NULL));
    gcx_handle_release(NULL);
    gcx_handle_set_invalid(NULL);
    demand_none(gcx_handle_create(NULL, 7, true), EINVAL);
  }
END_TEST

START_TEST(handle_without_a_count)
  {
    struct gcx_handle *h = gcx_handle_create(&uncounted_type, 7, true);
    intptr_t raw = 0;

    ck_assert(gcx_handle_acquire(h, &raw));
    gcx_handle_release(h);
    gcx_handle_release(h);
    ck_assert(!gcx_handle_is_closed(h));
    gcx_dispose(h);
    ck_assert_int_eq(released, 1);
  }
END_TEST

static void *use_handle(void *arg)
{
  struct gcx_handle *h = arg;
  intptr_t raw;

  for (int i = 0; i < ROUNDS; i++) {
    if (!gcx_handle_acquire(h, &raw) || released != 0)
      return arg;
    gcx_handle_release(h);
  }
  gcx_handle_release(h); /* the one that was acquired for this thread */
  return NULL;
}

START_TEST(handle_disposed_while_threads_use_it)
  {
    struct gcx_handle *h = gcx_handle_create(&raw_type, 7, true);
    pthread_t thread[THREADS];
    intptr_t raw;
    void *failed;

    for (int i = 0; i < THREADS; i++)
      ck_assert(gcx_handle_acquire(h, &raw));
    for (int i = 0; i < THREADS; i++)
      ck_assert_int_eq(pthread_create(&thread[i], NULL, use_handle, h), 0);
    gcx_dispose(h);
    for (int i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_join(thread[i], &failed), 0);
      ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(released, 1);
  }
END_TEST

/* ---- pools */

START_TEST(pool_of_buffers)
  {
    struct gcx_pool_config config = { .max_bytes = 4096,
                                      .flags = GCX_POOL_CLEAR };
    struct gcx_pool *pool = gcx_pool_create(&config);
    struct gcx_pool_stats stats;
    char *a = gcx_pool_take(pool, 100), *b, *large, *out;

    ck_assert_uint_eq(gcx_size(a), 100);
    memset(a, 'x', 100);
    gcx_pool_return(pool, a);
    b = gcx_pool_take(pool, 120); /* the same power of two */
    ck_assert_ptr_eq(a, b);
    ck_assert(is_zero(b, 120));
    large = gcx_pool_take(pool, 100000);
    memset(large, 'x', 100000);
    gcx_pool_return(pool, large);
    gcx_pool_return(pool, b);
    gcx_pool_return(pool, NULL);
    out = gcx_pool_take(pool, 1000);
    gcx_pool_stats_read(pool, &stats);
    ck_assert_uint_eq(stats.taken, 4);
    ck_assert_uint_eq(stats.created, 3);
    ck_assert_uint_eq(stats.dropped, 1);
    ck_assert_uint_eq(stats.idle, 1);
    gcx_pool_trim(pool, 0);
    gcx_pool_stats_read(pool, &stats);
    ck_assert_uint_eq(stats.idle_bytes, 0);
    gcx_dispose(pool);
    out[999] = 'o'; /* what was taken outlives the pool */
    gcx_dispose(out);
  }
END_TEST

static int made, fit = 1;

static int pooled_create(void *obj, void *arg)
{
  *(char *)obj = *(char *)arg;
  return ++made > 3 ? -EMFILE : 0;
}

static bool pooled_check(void *obj, void *arg)
{
  (void)obj;
  (void)arg;
  return fit != 0;
}

static void pooled_destroy(void *obj)
{
  *(char *)obj = 'D';
}

START_TEST(pool_of_objects)
  {
    char name = 'n';
    struct gcx_pool_config config = {
      .type = &named_type,
      .create = pooled_create,
      .check = pooled_check,
      .destroy = pooled_destroy,
      .max_kept = 1,
      .arg = &name,
    };
    struct gcx_pool *pool = gcx_pool_create(&config);
    char *a = gcx_pool_take(pool, 0), *b = gcx_pool_take(pool, 8), *c;

    ck_assert_int_eq(*a, 'n');
    ck_assert_uint_eq(gcx_size(a), 8);
    demand_none(gcx_pool_take(pool, 9), EINVAL);
    gcx_pool_return(pool, a);
    gcx_pool_return(pool, b); /* one too many */
    demand_trail("D");
    ck_assert_ptr_eq(gcx_pool_take(pool, 0), a);
    gcx_pool_return(pool, a);
    fit = 0;
    c = gcx_pool_take(pool, 0); /* the idle one is not good any more */
    demand_trail("D");
    ck_assert_int_eq(*c, 'n');
    demand_none(gcx_pool_take(pool, 0), EMFILE);
    gcx_dispose(pool);
    gcx_dispose(c);
    demand_trail("D");
    config.flags = 1u << 20;
    demand_none(gcx_pool_create(&config), EINVAL);
  }
END_TEST

/* ---- scopes */

static char *hand_on(void)
{
  gcx_auto char *a = named('a');
  gcx_auto char *b = named('b');

  return *a == 'a' ? gcx_steal(b) : NULL;
}

START_TEST(scopes)
  {
    char *kept = hand_on();

    demand_trail("a");
    GCX_USING (char *c = named('c')) {
      GCX_USING (char *d = named('d')) {
        if (*d != *c)
          break;
      }
      demand_trail("d");
    }
    demand_trail("c");
    ck_assert_int_eq(*kept, 'b');
    gcx_dispose(kept);
  }
END_TEST

/* ---- hints */

static void never(const struct gcx_report *r, void *arg)
{
  (void)r;
  (void)arg;
  ck_abort_msg("a report without a collector");
}

START_TEST(hints_do_nothing)
  {
    char *p = gcx_alloc(8);

    gcx_init();
    gcx_touch(p, "used");
    gcx_breadcrumb("at %d", 1);
    gcx_keep_alive(p);
    gcx_suppress_finalize(p);
    gcx_reregister_finalize(p);
    ck_assert_ptr_eq(gcx_require_live(p), p);
    ck_assert_int_eq(gcx_root_add(p, 8), 0);
    ck_assert_int_eq(gcx_root_add(NULL, 8), -EINVAL);
    gcx_root_remove(p, 8);
    ck_assert_int_eq(gcx_handler_add(never, NULL), 0);
    ck_assert_int_eq(gcx_handler_add(NULL, NULL), -EINVAL);
    gcx_handler_remove(never, NULL);
    gcx_fork_adopt();
    ck_assert_str_eq(gcx_version(), GCX_VERSION);
    gcx_dispose(p);
  }
END_TEST

static Suite *shim_suite(void)
{
  Suite *suite = suite_create("shim");
  TCase *memory = tcase_create("memory");
  TCase *ends = tcase_create("ends");
  TCase *owners = tcase_create("owners");
  TCase *handles = tcase_create("handles");
  TCase *other = tcase_create("other");

  tcase_add_test(memory, zeroed_aligned_sized);
  tcase_add_test(memory, what_can_t_be_had);
  tcase_add_test(memory, strings);
  tcase_add_test(memory, realloc_keeps_what_it_is);
  tcase_add_test(memory, realloc_edges);
  tcase_add_test(ends, derived_first_then_base_first_error);
  tcase_add_test(ends, discard_runs_nothing_of_its_own);
  tcase_add_test(ends, again_from_inside);
  tcase_add_test(owners, owner_then_children_latest_first);
  tcase_add_test(owners, child_alone_and_in_the_middle);
  tcase_add_test(owners, circle_of_owners);
  tcase_add_test(owners, long_chain);
  tcase_add_test(owners, one_owner_many_threads);
  tcase_add_test(handles, pool_of_buffers);
  tcase_add_test(handles, pool_of_objects);
  tcase_add_test(handles, handle_is_closed_once);
  tcase_add_test(handles, handle_that_closes_nothing);
  tcase_add_test(handles, handle_without_a_count);
  tcase_add_test(handles, handle_disposed_while_threads_use_it);
  tcase_add_test(other, scopes);
  tcase_add_test(other, hints_do_nothing);
  suite_add_tcase(suite, memory);
  suite_add_tcase(suite, ends);
  suite_add_tcase(suite, owners);
  suite_add_tcase(suite, handles);
  suite_add_tcase(suite, other);
  return suite;
}

GCX_CHECK_MAIN(shim_suite);
