/* SPDX-License-Identifier: MIT */
/* check_handle.c - safe handles: the rules of .NET's and Mono's tests, races on
 * real descriptors, what becomes of lost ones */
#include "objects.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "vm.h"
#include "waits.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- a kind of handle that counts */

static int releases;
static intptr_t released_raw;
static int release_result;

static int count_release(intptr_t raw)
{
  __atomic_fetch_add(&releases, 1, __ATOMIC_RELAXED);
  released_raw = raw;
  errno = EBADF; /* must not get out */
  return release_result;
}

static const struct gcx_handle_type counted = GCX_HANDLE_TYPE_INIT(
    "counted", gcx_handle_zero_or_minus_one_is_invalid, count_release, NULL, 0);
static const struct gcx_handle_type single =
    GCX_HANDLE_TYPE_INIT("single", gcx_handle_minus_one_is_invalid,
                         count_release, NULL, GCX_HANDLE_UNCOUNTED);

static struct gcx_handle *handle(intptr_t raw, bool owns)
{
  struct gcx_handle *h = gcx_handle_create(&counted, raw, owns);

  ck_assert_ptr_nonnull(h);
  return h;
}

static void acquire(struct gcx_handle *h, intptr_t want)
{
  intptr_t raw = 77;

  ck_assert(gcx_handle_acquire(h, &raw));
  ck_assert_int_eq(raw, want);
}

static void demand_refused(struct gcx_handle *h)
{
  intptr_t raw = 77;

  ck_assert(!gcx_handle_acquire(h, &raw));
  ck_assert_int_eq(raw, 77);
}

static void demand(const struct gcx_handle *h, bool closed, bool invalid,
                   int want)
{
  ck_assert_int_eq(gcx_handle_is_closed(h), closed);
  ck_assert_int_eq(gcx_handle_is_invalid(h), invalid);
  ck_assert_int_eq(releases, want);
}

/* ---- one thread, as Mono's SafeHandleTest and .NET's tests have it */

START_TEST(test_dispose_closes_once)
  {
    struct gcx_handle *h = handle(4, true);

    demand(h, false, false, 0);
    gcx_dispose(h);
    demand(h, true, false, 1);
    ck_assert_int_eq(released_raw, 4);
    gcx_dispose(h);
    gcx_dispose(h);
    demand(h, true, false, 1);
    demand_refused(h);
  }
END_TEST

START_TEST(test_the_last_user_closes)
  {
    struct gcx_handle *h = handle(5, true);

    acquire(h, 5);
    acquire(h, 5);
    gcx_dispose(h);
    ck_assert(gcx_is_disposed(h));
    demand(h, false, false, 0);
    acquire(h, 5); /* until it is closed */
    gcx_handle_release(h);
    gcx_handle_release(h);
    demand(h, false, false, 0);
    gcx_handle_release(h);
    demand(h, true, false, 1);
    demand_refused(h);
  }
END_TEST

START_TEST(test_invalid_values_are_not_released)
  {
    static const intptr_t invalid[] = { 0, -1 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(invalid); i++) {
      struct gcx_handle *h = handle(invalid[i], true);

      demand(h, false, true, 0);
      acquire(h, invalid[i]);
      gcx_handle_release(h);
      gcx_dispose(h);
      demand(h, true, true, 0);
    }
    ck_assert(gcx_handle_minus_one_is_invalid(-1));
    ck_assert(!gcx_handle_minus_one_is_invalid(0));
    ck_assert(gcx_handle_zero_or_minus_one_is_invalid(0));
    ck_assert(!gcx_handle_zero_or_minus_one_is_invalid(1));
  }
END_TEST

START_TEST(test_set_invalid_gives_the_value_away)
  {
    struct gcx_handle *h = handle(6, true);

    gcx_handle_set_invalid(h);
    demand(h, true, false, 0); /* the value is what it was */
    demand_refused(h);
    gcx_dispose(h);
    demand(h, true, false, 0);
    gcx_handle_set_invalid(h);
  }
END_TEST

START_TEST(test_set_invalid_with_users)
  {
    struct gcx_handle *h = handle(6, true);

    acquire(h, 6);
    acquire(h, 6);
    gcx_handle_set_invalid(h);
    gcx_handle_release(h);
    gcx_handle_release(h);
    gcx_dispose(h);
    demand(h, true, false, 0);
  }
END_TEST

START_TEST(test_not_owned)
  {
    struct gcx_handle *h = handle(7, false);

    acquire(h, 7);
    gcx_handle_release(h);
    gcx_dispose(h);
    demand(h, true, false, 0);
    h = handle(7, false);
    gcx_handle_release(h); /* its own reference */
    demand(h, true, false, 0);
  }
END_TEST

START_TEST(test_own_reference_released)
  {
    struct gcx_handle *h = handle(8, true);

    gcx_handle_release(h);
    demand(h, true, false, 1);
    ck_assert(!gcx_is_disposed(h));
  }
END_TEST

START_TEST(test_close_says_how_it_went)
  {
    struct gcx_handle *h = handle(9, true);

    release_result = -EIO;
    ck_assert_int_eq(gcx_close(h), -EIO);
    ck_assert_int_eq(gcx_close(h), 0);
    h = handle(9, true);
    acquire(h, 9);
    ck_assert_int_eq(gcx_close(h), 0); /* it is still in use */
    gcx_handle_release(h);
    demand(h, true, false, 2);
  }
END_TEST

START_TEST(test_errno_is_kept)
  {
    struct gcx_handle *h = handle(10, true);

    acquire(h, 10);
    errno = ERANGE;
    gcx_dispose(h);
    ck_assert_int_eq(errno, ERANGE);
    gcx_handle_release(h);
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_int_eq(releases, 1);
  }
END_TEST

START_TEST(test_discarded)
  {
    struct gcx_handle *h = handle(11, true);

    gcx_discard(h);
    demand(h, true, false, 0);
    demand_refused(h);
    gcx_handle_release(h);
    gcx_dispose(h);
    demand(h, true, false, 0);
  }
END_TEST

START_TEST(test_null_is_harmless)
  {
    demand_refused(NULL);
    gcx_handle_release(NULL);
    gcx_handle_set_invalid(NULL);
    ck_assert(gcx_handle_is_invalid(NULL));
    ck_assert(gcx_handle_is_closed(NULL));
  }
END_TEST

START_TEST(test_uncounted)
  {
    struct gcx_handle *h = gcx_handle_create(&single, 12, true);

    acquire(h, 12);
    acquire(h, 12);
    gcx_handle_release(h);
    gcx_handle_release(h);
    gcx_handle_release(h); /* nothing is counted */
    acquire(h, 12);
    gcx_dispose(h); /* at once */
    demand(h, true, false, 1);
    demand_refused(h);
    gcx_dispose(h);
    h = gcx_handle_create(&single, -1, true);
    gcx_dispose(h);
    demand(h, true, true, 1);
    h = gcx_handle_create(&single, 12, true);
    gcx_handle_set_invalid(h);
    gcx_dispose(h);
    demand(h, true, false, 1);
  }
END_TEST

/* ---- errors */

static void demand_einval(const struct gcx_handle_type *type, bool owns)
{
  errno = 0;
  ck_assert_ptr_null(gcx_handle_create(type, 3, owns));
  ck_assert_int_eq(errno, EINVAL);
}

START_TEST(test_bad_types)
  {
    const struct gcx_handle_type nameless =
        GCX_HANDLE_TYPE_INIT(NULL, NULL, count_release, NULL, 0);
    const struct gcx_handle_type flagged =
        GCX_HANDLE_TYPE_INIT("flagged", NULL, count_release, NULL, 256);
    static const struct gcx_handle_type endless =
        GCX_HANDLE_TYPE_INIT("endless", NULL, NULL, NULL, 0);
    struct gcx_handle *h;

    demand_einval(NULL, true);
    demand_einval(&nameless, true);
    demand_einval(&flagged, true);
    demand_einval(&endless, true);
    h = gcx_handle_create(&endless, -1, false); /* and no is_invalid */
    ck_assert_ptr_nonnull(h);
    demand(h, false, false, 0);
    gcx_dispose(h);
    ck_assert_int_eq(releases, 0);
  }
END_TEST

START_TEST(test_no_memory)
  {
    static const struct gcx_handle_type fresh =
        GCX_HANDLE_TYPE_INIT("fresh", NULL, count_release, NULL, 0);
    struct gcx_handle *h;

    gcx__vm_fail_here(true);
    errno = 0;
    h = gcx_handle_create(&fresh, 3, true);
    gcx__vm_fail_here(false);
    ck_assert_ptr_null(h);
    ck_assert_int_eq(errno, ENOMEM);
    for (uint64_t n = 1; h == NULL && n < 100; n++) {
      gcx__vm_fail_at(n);
      errno = 0;
      h = gcx_handle_create(&fresh, 3, true);
      gcx__vm_fail_at(0);
      if (h != NULL)
        break;
      ck_assert_int_eq(errno, ENOMEM);
    }
    ck_assert_ptr_nonnull(h);
    ck_assert_int_eq(releases, 0);
    gcx_dispose(h);
    ck_assert_int_eq(releases, 1);
  }
END_TEST

/* ---- misuse */

static void over_twice(void *arg)
{
  struct gcx_handle *h = handle(4, true);

  (void)arg;
  gcx_handle_release(h);
  gcx_handle_release(h);
}

static void over_after_dispose(void *arg)
{
  struct gcx_handle *h = handle(4, true);

  (void)arg;
  gcx_dispose(h);
  gcx_handle_release(h);
}

static void over_by_dispose(void *arg)
{
  struct gcx_handle *h = handle(4, true);

  (void)arg;
  gcx_handle_release(h);
  gcx_dispose(h);
}

static void over_after_set_invalid(void *arg)
{
  struct gcx_handle *h = handle(4, true);

  (void)arg;
  acquire(h, 4);
  gcx_handle_set_invalid(h);
  gcx_handle_release(h);
  gcx_handle_release(h);
  gcx_handle_release(h);
}

static void (*const overs[])(void *arg) = { over_twice, over_after_dispose,
                                            over_by_dispose,
                                            over_after_set_invalid };

START_TEST(test_over_release)
  {
    const struct death *d =
        death_demand_abort(overs[_i], NULL, "GCX-OVER-RELEASE");

    ck_assert_ptr_nonnull(strstr(d->err, "of counted ("));
    if (overs[_i] != over_after_dispose) /* nothing is asked of a dead one */
      ck_assert_ptr_nonnull(strstr(d->err, "\"value 4, closed\""));
    ck_assert_ptr_nonnull(strstr(d->err, "  released  in thread"));
    ck_assert_ptr_nonnull(strstr(d->err, "  disposed  here\n"));
    ck_assert_ptr_nonnull(strstr(d->err, "  born "));
  }
END_TEST

START_TEST(test_over_release_changes_nothing)
  {
    struct seen *seen = seen_begin();
    struct gcx_handle *h;

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    h = handle(4, true);
    gcx_dispose(h);
    gcx_handle_release(h);
    gcx_handle_release(h);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_OVER_RELEASE], 2);
    ck_assert_uint_ne(seen->last.use_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, 0);
    ck_assert_uint_ne(seen->last.birth_site, 0);
    demand(h, true, false, 1);
  }
END_TEST

static void acquire_other(void *arg)
{
  intptr_t raw;

  ck_assert(!gcx_handle_acquire(arg, &raw));
}

static void release_other(void *arg)
{
  gcx_handle_release(arg);
}

static void set_invalid_other(void *arg)
{
  gcx_handle_set_invalid(arg);
}

static void is_invalid_other(void *arg)
{
  (void)gcx_handle_is_invalid(arg);
}

static void is_closed_other(void *arg)
{
  (void)gcx_handle_is_closed(arg);
}

static void (*const uses[])(void *arg) = { acquire_other, release_other,
                                           set_invalid_other, is_invalid_other,
                                           is_closed_other };

START_TEST(test_what_is_no_handle)
  {
    char local[64];
    void *plain = gcx_alloc(64);
    const struct death *d =
        death_demand_abort(uses[_i], plain, "GCX-BAD-POINTER");

    ck_assert_ptr_nonnull(strstr(d->err, "plain memory, no handle"));
    d = death_demand_abort(uses[_i], opaque(local), "GCX-BAD-POINTER");
    ck_assert_ptr_nonnull(strstr(d->err, "not in gcx's heap"));
    gcx_dispose(plain);
  }
END_TEST

/* ---- real descriptors */

static int fd_release(intptr_t raw)
{
  return close((int)raw) == 0 ? 0 : -errno;
}

static int fd_describe(intptr_t raw, char *buf, size_t n)
{
  return snprintf(buf, n, "descriptor %d", (int)raw);
}

static const struct gcx_handle_type fds = GCX_HANDLE_TYPE_INIT(
    "descriptor", gcx_handle_minus_one_is_invalid, fd_release, fd_describe, 0);

#define RACE_ROUNDS 200
#define RACE_USERS 2

static struct gcx_handle *race_handle;
static ino_t race_inode;
static int race_uses;
static pthread_barrier_t race_begin, race_end;

static int memory_file(void)
{
  int fd = memfd_create("race", MFD_CLOEXEC);

  ck_assert_int_ge(fd, 0);
  return fd;
}

static ino_t inode_of(int fd)
{
  struct stat st;

  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* A call on its way: for as long as it holds the handle, the number is the file
 * that was opened, whatever is closed and opened meanwhile. */
static void *race_user(void *unused)
{
  char *wrong = unused;

  for (int round = 0; round < RACE_ROUNDS; round++) {
    intptr_t raw;

    (void)pthread_barrier_wait(&race_begin);
    /* two that never pause between them would keep it open for ever */
    while (!gcx_is_disposed(race_handle) &&
           gcx_handle_acquire(race_handle, &raw)) {
      bool same = inode_of((int)raw) == race_inode;

      (void)sched_yield();
      if (!same || inode_of((int)raw) != race_inode)
        wrong = "another file";
      __atomic_fetch_add(&race_uses, 1, __ATOMIC_RELAXED);
      gcx_handle_release(race_handle);
    }
    (void)pthread_barrier_wait(&race_end);
  }
  return wrong;
}

/* Disposes while they use it, and opens files that would get its number. */
static void race_round(void)
{
  int fd = memory_file(), taken[4], before = race_uses;

  race_inode = inode_of(fd);
  race_handle = gcx_handle_create(&fds, fd, true);
  ck_assert_ptr_nonnull(race_handle);
  (void)pthread_barrier_wait(&race_begin);
  while (__atomic_load_n(&race_uses, __ATOMIC_RELAXED) == before)
    (void)sched_yield();
  gcx_dispose(race_handle);
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(taken); i++)
    taken[i] = memory_file();
  (void)pthread_barrier_wait(&race_end);
  ck_assert(gcx_handle_is_closed(race_handle));
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(taken); i++)
    ck_assert_int_eq(close(taken[i]), 0);
}

START_TEST(test_use_versus_close)
  {
    pthread_t users[RACE_USERS];

    ck_assert_int_eq(pthread_barrier_init(&race_begin, NULL, RACE_USERS + 1),
                     0);
    ck_assert_int_eq(pthread_barrier_init(&race_end, NULL, RACE_USERS + 1), 0);
    for (int i = 0; i < RACE_USERS; i++)
      users[i] = thread_start(race_user, NULL);
    for (int round = 0; round < RACE_ROUNDS; round++)
      race_round();
    for (int i = 0; i < RACE_USERS; i++)
      ck_assert_ptr_null(thread_join(users[i]));
  }
END_TEST

#define CLOSERS 4
#define CLOSE_ROUNDS 500

static struct gcx_handle *closed_handle;

static void *close_it(void *unused)
{
  for (int round = 0; round < CLOSE_ROUNDS; round++) {
    intptr_t raw;

    (void)pthread_barrier_wait(&race_begin);
    if (gcx_handle_acquire(closed_handle, &raw)) {
      gcx_dispose(closed_handle);
      gcx_handle_release(closed_handle);
    } else {
      gcx_dispose(closed_handle);
    }
    (void)pthread_barrier_wait(&race_end);
  }
  return unused;
}

START_TEST(test_many_closers_close_once)
  {
    pthread_t closers[CLOSERS];

    ck_assert_int_eq(pthread_barrier_init(&race_begin, NULL, CLOSERS + 1), 0);
    ck_assert_int_eq(pthread_barrier_init(&race_end, NULL, CLOSERS + 1), 0);
    for (int i = 0; i < CLOSERS; i++)
      closers[i] = thread_start(close_it, NULL);
    for (int round = 0; round < CLOSE_ROUNDS; round++) {
      closed_handle = handle(4, true);
      (void)pthread_barrier_wait(&race_begin);
      (void)pthread_barrier_wait(&race_end);
      demand(closed_handle, true, false, round + 1);
    }
    for (int i = 0; i < CLOSERS; i++)
      ck_assert_ptr_null(thread_join(closers[i]));
  }
END_TEST

/* ---- lost */

#define LOST 100

static GCX_NOINLINE void lose(const struct gcx_handle_type *type, bool owns,
                              int n)
{
  for (int i = 0; i < n; i++)
    ck_assert_ptr_nonnull(gcx_handle_create(type, 1000 + i, owns));
}

static GCX_NOINLINE void lose_descriptors(int *ret_numbers, int n)
{
  for (int i = 0; i < n; i++) {
    ret_numbers[i] = memory_file();
    ck_assert_ptr_nonnull(gcx_handle_create(&fds, ret_numbers[i], true));
  }
}

START_TEST(test_lost_descriptors_are_closed)
  {
    int numbers[LOST], closed = 0;

    objects_setup(GCX_LEAK_DISPOSE);
    lose_descriptors(numbers, LOST);
    (void)objects_found();
    for (int i = 0; i < LOST; i++)
      closed += fcntl(numbers[i], F_GETFD) < 0 && errno == EBADF;
    ck_assert_int_ge(closed, LOST * 8 / 10);
  }
END_TEST

START_TEST(test_lost_handles_are_reported)
  {
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    lose(&fds, true, LOST);
    ck_assert_uint_ge(objects_found(), LOST * 8 / 10);
    ck_assert(objects_from_sites(seen, 1));
    ck_assert_str_eq(seen->last.type_name, "descriptor");
    ck_assert_ptr_nonnull(strstr(seen->last.description, "descriptor 1"));
    ck_assert_int_eq(releases, 0);
  }
END_TEST

static GCX_NOINLINE void lose_what_is_nothing(int n)
{
  for (int i = 0; i < n; i++) {
    struct gcx_handle *h = handle(4, true);
    struct gcx_handle *closed = handle(4, true);

    (void)handle(4, false);
    (void)handle(-1, true);
    gcx_handle_set_invalid(h);
    gcx_handle_release(closed);
  }
}

START_TEST(test_what_stands_for_nothing_is_not_reported)
  {
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    lose_what_is_nothing(LOST);
    lose(&fds, false, LOST);
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_int_eq(releases, LOST); /* the ones given back */
  }
END_TEST

START_TEST(test_a_held_handle_is_kept)
  {
    struct gcx_handle *h = handle(4, true);

    objects_setup(GCX_LEAK_DISPOSE);
    (void)objects_found();
    demand(h, false, false, 0);
    gcx_dispose(h);
    demand(h, true, false, 1);
  }
END_TEST

static Suite *handle_suite(void)
{
  Suite *s = suite_create("handle");
  TCase *c = tcase_create("handle");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_dispose_closes_once);
  tcase_add_test(c, test_the_last_user_closes);
  tcase_add_test(c, test_invalid_values_are_not_released);
  tcase_add_test(c, test_set_invalid_gives_the_value_away);
  tcase_add_test(c, test_set_invalid_with_users);
  tcase_add_test(c, test_not_owned);
  tcase_add_test(c, test_own_reference_released);
  tcase_add_test(c, test_close_says_how_it_went);
  tcase_add_test(c, test_errno_is_kept);
  tcase_add_test(c, test_discarded);
  tcase_add_test(c, test_null_is_harmless);
  tcase_add_test(c, test_uncounted);
  tcase_add_test(c, test_bad_types);
  tcase_add_test(c, test_no_memory);
  tcase_add_loop_test(c, test_over_release, 0, (int)GCX_ARRAY_LENGTH(overs));
  tcase_add_test(c, test_over_release_changes_nothing);
  tcase_add_loop_test(c, test_what_is_no_handle, 0,
                      (int)GCX_ARRAY_LENGTH(uses));
  tcase_add_test(c, test_use_versus_close);
  tcase_add_test(c, test_many_closers_close_once);
  tcase_add_test(c, test_lost_descriptors_are_closed);
  tcase_add_test(c, test_lost_handles_are_reported);
  tcase_add_test(c, test_what_stands_for_nothing_is_not_reported);
  tcase_add_test(c, test_a_held_handle_is_kept);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(handle_suite);
