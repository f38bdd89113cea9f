/* SPDX-License-Identifier: MIT */
/* check_exhaust.c - no descriptors left: what counts as room, what is said, and
 * where the collection has its own from. What each function makes of it, in a
 * program: redirect_exhaust.c */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exhaust.h"
#include "finalizer.h"
#include "waits.h"

#define LOST 60
#define ENOUGH (LOST * 7 / 10)

static struct seen *seen;

static void begin(enum gcx__leak leak)
{
  objects_setup(leak);
  objects_be_quiet();
  seen = seen_begin();
}

static GCX_NOINLINE int lose_here(int n)
{
  int opened = 0;

  for (int i = 0; i < n; i++)
    opened += gcx_fd_open("/dev/null", O_RDONLY, 0) != NULL;
  return opened;
}

static GCX_NOINLINE int lose_there(int n)
{
  int opened = 0;

  for (int i = 0; i < n; i++)
    opened += gcx_fd_open("/dev/null", O_RDONLY, 0) != NULL;
  return opened;
}

/* ---- what counts as room */

/* The finalizer thread is done before the one whose call has failed asks: it
 * closed after the call all the same. */
START_TEST(test_closed_in_between)
  {
    uint32_t mark;

    begin(GCX_LEAK_DISPOSE);
    ck_assert_int_eq(lose_here(LOST), LOST);
    mark = gcx__exhaust_mark();
    (void)objects_found();
    errno = 0;
    ck_assert(gcx__exhaust_make_room(EMFILE, mark));
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_EXHAUSTED], 1);
    ck_assert_uint_ge(seen->last.count, ENOUGH);
  }
END_TEST

/* The same while no collection is due, after one in vain. */
START_TEST(test_closed_after_a_collection_in_vain)
  {
    uint32_t mark;

    begin(GCX_LEAK_DISPOSE);
    ck_assert(!gcx__exhaust_make_room(EMFILE, gcx__exhaust_mark()));
    ck_assert_int_eq(lose_here(LOST), LOST);
    mark = gcx__exhaust_mark();
    (void)objects_found();
    ck_assert(gcx__exhaust_make_room(EMFILE, mark));
  }
END_TEST

/* What was closed before the call has not helped it. */
START_TEST(test_closed_before_is_no_room)
  {
    begin(GCX_LEAK_DISPOSE);
    ck_assert_int_eq(lose_here(LOST), LOST);
    for (int i = 0; i < 5; i++)
      (void)objects_found();
    ck_assert(!gcx__exhaust_make_room(EMFILE, gcx__exhaust_mark()));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_EXHAUSTED], 0);
  }
END_TEST

START_TEST(test_other_errors_are_not_its_business)
  {
    begin(GCX_LEAK_DISPOSE);
    ck_assert_int_eq(lose_here(LOST), LOST);
    errno = 0;
    ck_assert(!gcx__exhaust_make_room(ENOENT, gcx__exhaust_mark()));
    ck_assert_int_eq(errno, 0);
    ck_assert_uint_eq(gcx__exhaust_mark(), 0);
  }
END_TEST

/* ---- what is said */

static struct {
  size_t reports;
  size_t sum;
  uint32_t sites[4];
  char details[4][256];
} told;

static void note_told(const struct gcx_report *r, void *unused)
{
  (void)unused;
  if (r->id != GCX_REPORT_EXHAUSTED)
    return;
  if (told.reports < 4) {
    told.sites[told.reports] = r->birth_site;
    memcpy(told.details[told.reports], r->detail, sizeof r->detail);
  }
  told.reports++;
  told.sum += r->count;
}

static void each_site_is_told(enum gcx__leak leak)
{
  char wanted[64];

  begin(leak);
  ck_assert_int_eq(gcx_handler_add(note_told, NULL), 0);
  ck_assert_int_eq(lose_there(LOST / 3), LOST / 3);
  ck_assert_int_eq(lose_here(LOST), LOST);
  ck_assert(gcx__exhaust_make_room(ENFILE, gcx__exhaust_mark()));
  ck_assert_uint_eq(told.reports, 2);
  ck_assert_uint_ne(told.sites[0], told.sites[1]);
  ck_assert_uint_ne(told.sites[0], 0);
  ck_assert_uint_ge(told.sum, LOST);
  (void)snprintf(wanted, sizeof wanted, "ENFILE: %zu of at most ", told.sum);
  for (int i = 0; i < 2; i++) {
    ck_assert_ptr_eq(strstr(told.details[i], wanted), told.details[i]);
    ck_assert_ptr_nonnull(strstr(told.details[i], " of them opened here"));
  }
}

START_TEST(test_each_site_is_told_and_released)
  {
    each_site_is_told(GCX_LEAK_DISPOSE);
  }
END_TEST

START_TEST(test_each_site_is_told)
  {
    each_site_is_told(GCX_LEAK_REPORT);
  }
END_TEST

static GCX_NOINLINE void lose_memory(int n)
{
  for (int i = 0; i < n; i++)
    if (gcx_alloc(40) == NULL)
      ck_abort();
}

START_TEST(test_memory_without_descriptors)
  {
    begin(GCX_LEAK_DISPOSE);
    lose_memory(LOST);
    ck_assert(gcx__exhaust_make_room(ENOMEM, gcx__exhaust_mark()));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_EXHAUSTED], 1);
    ck_assert_uint_ge(seen->last.count, ENOUGH);
    ck_assert_ptr_nonnull(strstr(seen->last.detail, "ENOMEM: "));
    ck_assert_ptr_nonnull(
        strstr(seen->last.detail,
               " lost objects were found, none of which held a descriptor"));
  }
END_TEST

/* ---- descriptors for the collection */

static int open_descriptors(void)
{
  DIR *d = opendir("/proc/self/fd");
  int n = 0;

  ck_assert_ptr_nonnull(d);
  while (readdir(d) != NULL)
    n++;
  (void)closedir(d);
  return n - 3; /* ".", "..", its own */
}

static void limit_descriptors(bool hard)
{
  struct rlimit limit;

  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)open_descriptors() + LOST;
  if (hard)
    limit.rlim_max = limit.rlim_cur;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* As many as ever, all of them lost, below one limit or both. */
START_TEST(test_below_a_limit)
  {
    begin(GCX_LEAK_DISPOSE);
    limit_descriptors(_i == 1);
    ck_assert_int_eq(lose_here(10 * LOST), 10 * LOST);
    ck_assert_uint_ge(seen->findings[GCX_REPORT_EXHAUSTED], 5);
    ck_assert_ptr_nonnull(strstr(seen->last.detail, "EMFILE: "));
  }
END_TEST

/* A thread of gcx's closes some of its own: the process's are as they were, its
 * record locks too, which a close() of the process would give up. */
START_TEST(test_the_programs_own_stay_open)
  {
    char name[] = "/tmp/gcx-exhaust-XXXXXX";
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fds[10 * LOST], n = 0;
    pid_t child;
    int file, status;

    begin(GCX_LEAK_REPORT);
    file = mkstemp(name);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(fcntl(file, F_SETLK, &lock), 0);
    limit_descriptors(true);
    while (n < 10 * LOST && (fds[n] = fcntl(file, F_DUPFD_CLOEXEC, 0)) >= 0)
      n++;
    ck_assert_int_lt(n, 10 * LOST);
    ck_assert(!gcx__exhaust_make_room(EMFILE, gcx__exhaust_mark()));
    for (int i = 0; i < n; i++)
      ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
    child = fork();
    if (child == 0) {
      lock.l_pid = 0;
      _exit(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? 7 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 7);
  }
END_TEST

#define ASKERS 4

static pthread_barrier_t asked;

static void *asks_for_room(void *unused)
{
  uint32_t mark = gcx__exhaust_mark();

  (void)pthread_barrier_wait(&asked);
  (void)gcx__exhaust_make_room(EMFILE, mark);
  return unused;
}

/* Several at once, and a child that was born meanwhile. */
START_TEST(test_the_limit_is_as_it_was)
  {
    pthread_t threads[ASKERS];
    struct rlimit before, after;

    begin(GCX_LEAK_DISPOSE);
    limit_descriptors(false);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(pthread_barrier_init(&asked, NULL, ASKERS), 0);
    for (int round = 0; round < 10; round++) {
      ck_assert_int_eq(lose_here(10), 10);
      for (int i = 0; i < ASKERS; i++)
        threads[i] = thread_start(asks_for_room, NULL);
      for (int i = 0; i < ASKERS; i++)
        ck_assert_ptr_null(thread_join(threads[i]));
      ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &after), 0);
      ck_assert_uint_eq(after.rlim_cur, before.rlim_cur);
    }
    gcx__exhaust_after_fork(); /* when nobody was there */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &after), 0);
    ck_assert_uint_eq(after.rlim_cur, before.rlim_cur);
  }
END_TEST

static void in_dispose(void *arg)
{
  *(int *)arg = gcx__exhaust_make_room(EMFILE, gcx__exhaust_mark());
}

static int dispose_asks(void *obj)
{
  in_dispose(*(void **)obj);
  return 0;
}

static const struct gcx_type asks =
    GCX_TYPE_INIT("asks", sizeof(void *), 0, NULL, dispose_asks, NULL, NULL);

static GCX_NOINLINE void lose_one_that_asks(int *ret_made)
{
  int **p = gcx_new(&asks);

  *p = ret_made;
}

/* On the finalizer thread nothing is waited for. */
START_TEST(test_in_a_dispose)
  {
    static int made = -1;

    begin(GCX_LEAK_DISPOSE);
    for (int i = 0; i < 20; i++)
      lose_one_that_asks(&made);
    (void)objects_found();
    ck_assert_int_eq(made, 0);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("exhaust");
  TCase *c = tcase_create("exhaust");

  tcase_add_test(c, test_closed_in_between);
  tcase_add_test(c, test_closed_after_a_collection_in_vain);
  tcase_add_test(c, test_closed_before_is_no_room);
  tcase_add_test(c, test_other_errors_are_not_its_business);
  tcase_add_test(c, test_each_site_is_told_and_released);
  tcase_add_test(c, test_each_site_is_told);
  tcase_add_test(c, test_memory_without_descriptors);
  tcase_add_loop_test(c, test_below_a_limit, 0, 2);
  tcase_add_test(c, test_the_programs_own_stay_open);
  tcase_add_test(c, test_the_limit_is_as_it_was);
  tcase_add_test(c, test_in_a_dispose);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
