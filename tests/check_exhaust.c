/* SPDX-License-Identifier: MIT */
/* check_exhaust.c - no descriptors left: what counts as room, what is said, and
 * where the collection has its own from. What each function makes of it, in a
 * program: redirect_exhaust.c */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <wchar.h>

#include "exhaust.h"
#include "finalizer.h"
#include "redirect.h"
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

/* ---- an address space that lost resources fill */

#define MIB ((size_t)1 << 20)
#define MAP_BYTES (32 * MIB)

static char map_path[32];
static struct rlimit memory_before, descriptors_before;

static GCX_NOINLINE bool lose_map(void)
{
  return gcx_map_file(map_path, false) != NULL;
}

#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
/* A wide one: its buffers are 20 KiB. */
static GCX_NOINLINE bool lose_stream(void)
{
  FILE *f = gcx_redirect_fopen("/etc/passwd", "r");

  if (f != NULL)
    (void)fgetwc(f);
  return f != NULL;
}

/* 32 KiB. */
static GCX_NOINLINE bool lose_dir(void)
{
  return gcx_redirect_opendir("/") != NULL;
}
#endif

/* In a room for a part of them @n are lost. */
static const struct memory_case {
  bool (*lose)(void);
  size_t room;
  int n;
  const char *said;
} memory_cases[] = {
  { lose_map, 20 * MAP_BYTES + MAP_BYTES / 2, 100, "none of which" },
#ifndef __SANITIZE_ADDRESS__
  { lose_stream, 12 * MIB, 1500, "descriptors were held by lost objects" },
  { lose_dir, 12 * MIB, 1000, "descriptors were held by lost objects" },
#endif
};

static size_t mapped_bytes(void)
{
  FILE *f = fopen("/proc/self/statm", "re");
  size_t pages = 0;

  ck_assert_ptr_nonnull(f);
  ck_assert_int_eq(fscanf(f, "%zu", &pages), 1);
  (void)fclose(f);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void make_map_file(void)
{
  int fd = memfd_create("map", MFD_CLOEXEC);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(ftruncate(fd, (off_t)MAP_BYTES), 0);
  (void)snprintf(map_path, sizeof map_path, "/proc/self/fd/%d", fd);
}

/* Memory is what runs out first: of descriptors there are enough. */
static void limit_memory(size_t room)
{
  struct rlimit limit;

  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &descriptors_before), 0);
  limit = descriptors_before;
  limit.rlim_cur = GCX_MIN(limit.rlim_max, (rlim_t)4096);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ck_assert_int_eq(getrlimit(RLIMIT_AS, &memory_before), 0);
  limit = memory_before;
  limit.rlim_cur = mapped_bytes() + room;
  ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

static void unlimit_memory(void)
{
  ck_assert_int_eq(setrlimit(RLIMIT_AS, &memory_before), 0);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &descriptors_before), 0);
}

/* How many could be opened before one could not. */
static int lose_in_a_room(enum gcx__leak leak, const struct memory_case *m)
{
  int lost = 0, error;

  begin(leak);
  make_map_file();
  ck_assert(m->lose());
  (void)objects_found();
  limit_memory(m->room);
  errno = 0;
  while (lost < m->n && m->lose())
    lost++;
  error = errno;
  unlimit_memory();
  ck_assert_int_eq(lost < m->n ? error : ENOMEM, ENOMEM);
  ck_assert_uint_ge(seen->findings[GCX_REPORT_EXHAUSTED], 1);
  ck_assert_int_eq(strncmp(seen->last.detail, "ENOMEM: ", 8), 0);
  ck_assert_ptr_nonnull(strstr(seen->last.detail, m->said));
  ck_assert_uint_ge(strtoul(seen->last.detail + strlen("ENOMEM: "), NULL, 10),
                    10);
  return lost;
}

START_TEST(test_memory_is_released)
  {
    const struct memory_case *m = &memory_cases[_i];

    ck_assert_int_eq(lose_in_a_room(GCX_LEAK_DISPOSE, m), m->n);
  }
END_TEST

/* What is only reported stays; the call fails as ever. */
START_TEST(test_lost_memory_is_reported)
  {
    const struct memory_case *m = &memory_cases[_i];

    ck_assert_int_lt(lose_in_a_room(GCX_LEAK_REPORT, m), m->n);
    ck_assert_uint_ge(seen->findings[GCX_REPORT_LEAK], 1);
    ck_assert(m->lose());
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
  tcase_add_loop_test(c, test_memory_is_released, 0,
                      (int)GCX_ARRAY_LENGTH(memory_cases));
  tcase_add_loop_test(c, test_lost_memory_is_reported, 0,
                      (int)GCX_ARRAY_LENGTH(memory_cases));
  tcase_add_loop_test(c, test_below_a_limit, 0, 2);
  tcase_add_test(c, test_the_programs_own_stay_open);
  tcase_add_test(c, test_the_limit_is_as_it_was);
  tcase_add_test(c, test_in_a_dispose);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
