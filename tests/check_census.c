/* SPDX-License-Identifier: MIT */
/* check_census.c - who is alive: counts, differences, forms, on a signal */
#include "objects.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "census.h"
#include "json.h"
#include "platform.h"
#include "vm.h"
#include "waits.h"

struct thing {
  char room[48];
};

static const struct gcx_type thing_type = GCX_TYPE_INIT(
    "struct thing", sizeof(struct thing), 0, NULL, NULL, NULL, NULL);
static const struct gcx_type free_type =
    GCX_TYPE_INIT("struct free", sizeof(struct thing), GCX_TYPE_OPTIONAL, NULL,
                  NULL, NULL, NULL);

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
  if (getenv("GCX_SYMBOLIZER") == NULL)
    ck_assert_int_eq(setenv("GCX_SYMBOLIZER", "tools/gcx-symbolize", 1), 0);
  gcx__report_init();
}

enum { MANY = 1000 };
static void *held[MANY];

static GCX_NOINLINE void hold_here(size_t from, size_t n)
{
  for (size_t i = from; i < from + n; i++)
    held[i] = gcx_new(&thing_type);
}

static GCX_NOINLINE void hold_there(size_t from, size_t n)
{
  for (size_t i = from; i < from + n; i++)
    held[i] = gcx_new(&thing_type);
}

static void let_go(size_t from, size_t n)
{
  for (size_t i = from; i < from + n; i++)
    gcx_dispose(held[i]);
}

/* Sums of all rows of a type; count of its rows. */
struct sums {
  int64_t count, bytes;
  size_t rows;
};

static struct sums sums_of(const struct gcx_census *c, const char *type)
{
  struct gcx_census_row row;
  struct sums s = { 0, 0, 0 };

  for (size_t i = 0; gcx_census_get(c, i, &row); i++)
    if (row.type == NULL ? type == NULL
                         : type != NULL && strcmp(row.type, type) == 0) {
      s.count += row.count;
      s.bytes += row.bytes;
      s.rows++;
    }
  return s;
}

START_TEST(test_by_type_and_site)
  {
    struct gcx_census *c;
    struct sums s;
    void *plain = gcx_alloc(100);

    hold_here(0, 30);
    hold_there(30, 20);
    c = gcx_census_take();
    ck_assert_ptr_nonnull(c);
    s = sums_of(c, "struct thing");
    ck_assert_int_eq(s.count, 50);
    ck_assert_int_eq(s.bytes, 50 * 48);
    ck_assert_uint_eq(s.rows, 2);
    ck_assert_int_eq(sums_of(c, NULL).bytes, 100);
    let_go(0, 30);
    gcx_dispose(plain);
    c = gcx_census_take();
    s = sums_of(c, "struct thing");
    ck_assert_int_eq(s.count, 20);
    ck_assert_uint_eq(s.rows, 1);
    let_go(30, 20);
    c = gcx_census_take();
    ck_assert_uint_eq(gcx_census_rows(c), 0); /* nor is a census counted */
    gcx_dispose(c);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_order_and_frames)
  {
    struct gcx_census_row row, previous = { .bytes = INT64_MAX };
    struct gcx_census *c;
    size_t rows;

    hold_here(0, 10);
    hold_there(10, 20);
    held[30] = gcx_alloc(5000);
    held[31] = gcx_new(&free_type);
    c = gcx_census_take();
    rows = gcx_census_rows(c);
    ck_assert_uint_eq(rows, 4);
    for (size_t i = 0; i < rows; i++) {
      ck_assert(gcx_census_get(c, i, &row));
      ck_assert_int_le(row.bytes, previous.bytes);
      if (row.type == NULL || strcmp(row.type, "struct free") != 0)
        ck_assert_uint_gt(row.frame_count, 0);
      previous = row;
    }
    ck_assert(gcx_census_get(c, 0, &row));
    ck_assert_ptr_null(row.type);
    ck_assert(!gcx_census_get(c, rows, &row));
    ck_assert(!gcx_census_get(NULL, 0, &row));
    ck_assert_uint_eq(gcx_census_rows(NULL), 0);
    let_go(0, 32);
  }
END_TEST

START_TEST(test_difference)
  {
    struct gcx_census *a, *b, *d;
    struct gcx_census_row row;

    hold_here(0, 30);
    held[MANY - 1] = gcx_alloc(7);
    a = gcx_census_take();
    let_go(0, 30);
    hold_there(0, 50);
    b = gcx_census_take();
    d = gcx_census_diff(a, b);
    ck_assert_uint_eq(gcx_census_rows(d), 2);
    ck_assert(gcx_census_get(d, 0, &row));
    ck_assert_int_eq(row.count, 50);
    ck_assert_int_eq(row.bytes, 50 * 48);
    ck_assert(gcx_census_get(d, 1, &row));
    ck_assert_int_eq(row.count, -30);
    ck_assert_int_eq(row.bytes, -30 * 48);
    d = gcx_census_diff(a, a);
    ck_assert_uint_eq(gcx_census_rows(d), 0);
    let_go(0, 50);
    let_go(MANY - 1, 1);
  }
END_TEST

START_TEST(test_ages)
  {
    struct gcx_census_row row;
    struct gcx_census *c;
    void *old = gcx_alloc(10), *young = gcx_alloc(20);

    gcx__record_at(number_of(old))->birth_ms = gcx__now_ms() - 70000;
    gcx__record_at(number_of(young))->birth_ms = gcx__now_ms() - 3000;
    c = gcx_census_take();
    ck_assert(gcx_census_get(c, 0, &row));
    ck_assert_int_eq(row.bytes, 20);
    ck_assert_uint_ge(row.newest_ms, 3000);
    ck_assert_uint_lt(row.oldest_ms, 60000);
    ck_assert(gcx_census_get(c, 1, &row));
    ck_assert_uint_ge(row.newest_ms, 70000);
    gcx_dispose(old);
    gcx_dispose(young);
  }
END_TEST

/* Pools: what waits is not in use; what is taken is. */
START_TEST(test_pools)
  {
    struct gcx_pool_config config = { .name = "blocks" };
    struct gcx_pool *p = gcx_pool_create(&config);
    void *a = gcx_pool_take(p, 100), *b = gcx_pool_take(p, 50);

    gcx_pool_return(p, a);
    ck_assert_int_eq(sums_of(gcx_census_take(), "buffer of blocks").bytes, 50);
    gcx_pool_return(p, b);
    ck_assert_uint_eq(sums_of(gcx_census_take(), "buffer of blocks").rows, 0);
    gcx_dispose(p);
  }
END_TEST

/* More sites than a table has room for at first. */
static GCX_NOINLINE void *deep(unsigned path, int depth)
{
  void *p;

  if (depth == 0)
    p = gcx_alloc(16);
  else if (path & 1) { /* two call sites, which a compiler would make one */
    __asm__ volatile("# odd" : : : "memory");
    p = deep(path >> 1, depth - 1);
    __asm__ volatile("# odd" : : : "memory");
  } else {
    __asm__ volatile("# even" : : : "memory");
    p = deep(path >> 1, depth - 1);
    __asm__ volatile("# even" : : : "memory");
  }
  GCX_KEEP(p);
  return p;
}

START_TEST(test_many_sites)
  {
    struct gcx_census *c;

    for (unsigned i = 0; i < MANY; i++)
      held[i] = deep(i, 10);
    c = gcx_census_take();
    ck_assert_int_eq(sums_of(c, NULL).count, MANY);
    ck_assert_uint_eq(gcx_census_rows(c), MANY);
    let_go(0, MANY);
  }
END_TEST

START_TEST(test_off)
  {
    struct gcx_census_row row;

    objects_setup(GCX_LEAK_OFF);
    hold_here(0, 10);
    hold_there(10, 10);
    ck_assert(gcx_census_get(gcx_census_take(), 0, &row));
    ck_assert_int_eq(row.count, 20); /* by type alone */
    ck_assert_uint_eq(row.frame_count, 0);
    ck_assert_uint_eq(row.oldest_ms, 0);
    let_go(0, 20);
  }
END_TEST

START_TEST(test_no_memory)
  {
    gcx__vm_fail_here(true);
    errno = 0;
    ck_assert_ptr_null(gcx_census_take());
    ck_assert_int_eq(errno, ENOMEM);
    gcx__vm_fail_here(false);
    for (uint64_t n = 1; n < 4; n++) {
      struct gcx_census *c;

      hold_here(0, 10);
      gcx__vm_fail_at(n);
      errno = 0;
      c = gcx_census_take();
      gcx__vm_fail_at(0);
      ck_assert(c != NULL || errno == ENOMEM);
      let_go(0, 10);
    }
  }
END_TEST

static void ask_no_census(void *arg)
{
  int on_stack = 0;

  (void)arg;
  (void)gcx_census_rows((const struct gcx_census *)(const void *)&on_stack);
}

static void diff_with_other(void *other)
{
  GCX_KEEP(gcx_census_diff(gcx_census_take(), other));
}

/* Of all functions and pointers: check_bad_things.c. */
START_TEST(test_no_census)
  {
    struct gcx_census *c = gcx_census_take();
    void *other = gcx_alloc(100);

    (void)death_demand_abort(ask_no_census, NULL, "GCX-BAD-POINTER");
    ck_assert_ptr_null(gcx_census_diff(NULL, c));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(gcx_census_diff(c, NULL));
    (void)death_demand_abort(diff_with_other, other, "GCX-BAD-POINTER");
    ck_assert_int_eq(gcx_census_print(NULL, 1, GCX_CENSUS_TEXT), -EINVAL);
    ck_assert_int_eq(gcx_census_print(c, -1, GCX_CENSUS_TEXT), -EINVAL);
    ck_assert_int_eq(gcx_census_print(c, 1, 3), -EINVAL);
    ck_assert_int_eq(gcx_census_print(c, 1, -1), -EINVAL);
    gcx_dispose(other);
  }
END_TEST

/* ---- forms */

static char text[1 << 16];

static const char *printed(const struct gcx_census *c, int format)
{
  int fd = memfd_create("census", MFD_CLOEXEC);

  gcx__opt.symbolize_ms = 60000;
  ck_assert_int_eq(gcx_census_print(c, fd, format), 0);
  death_read(fd, text, sizeof text);
  (void)close(fd);
  return text;
}

START_TEST(test_text)
  {
    struct gcx_census *a, *b;

    a = gcx_census_take();
    hold_here(0, 3);
    b = gcx_census_take();
    printed(b, GCX_CENSUS_TEXT);
    ck_assert_ptr_nonnull(strstr(text,
                                 "gcx: census: 3 objects, 144 bytes in 1 row\n"
                                 "  3 objects, 144 bytes of struct thing"));
    ck_assert_ptr_nonnull(strstr(text, "\n    #0 hold_here "));
    printed(gcx_census_diff(a, b), GCX_CENSUS_TEXT);
    ck_assert_ptr_nonnull(
        strstr(text, "gcx: difference: +3 objects, +144 bytes in 1 row\n"
                     "  +3 objects, +144 bytes of struct thing"));
    printed(gcx_census_diff(b, a), GCX_CENSUS_TEXT);
    ck_assert_ptr_nonnull(
        strstr(text, "gcx: difference: -3 objects, -144 bytes in 1 row\n"));
    let_go(0, 3);
  }
END_TEST

START_TEST(test_json)
  {
    char *sum;

    hold_here(0, 3);
    printed(gcx_census_take(), GCX_CENSUS_JSON);
    sum = strchr(text, '\n') + 1;
    ck_assert_ptr_nonnull(sum);
    json_demand(sum, "event", "\"census sum\"");
    json_demand(sum, "count", "3");
    json_demand(sum, "bytes", "144");
    json_demand(sum, "rows", "1");
    *sum = '\0';
    json_demand(text, "event", "\"census\"");
    json_demand(text, "type", "\"struct thing\"");
    json_demand(text, "count", "3");
    json_demand(text, "bytes", "144");
    json_demand(text, "stack.0.function", "\"hold_here\"");
    let_go(0, 3);
  }
END_TEST

START_TEST(test_folded)
  {
    struct gcx_census *a = gcx_census_take(), *b;
    const char *line;

    hold_here(0, 3);
    held[3] = gcx_new(&free_type);
    b = gcx_census_take();
    printed(b, GCX_CENSUS_FOLDED);
    line = strstr(text, ";hold_here;struct_thing 144\n");
    ck_assert_msg(line != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "main;"));
    ck_assert_ptr_nonnull(strstr(text, "struct_free 48\n"));
    /* what has become fewer has no width */
    ck_assert_str_eq(printed(gcx_census_diff(b, a), GCX_CENSUS_FOLDED), "");
    let_go(0, 4);
  }
END_TEST

START_TEST(test_unwritable)
  {
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
      return;
    hold_here(0, 3);
    ck_assert_int_eq(gcx_census_print(gcx_census_take(), fd, GCX_CENSUS_TEXT),
                     -EIO);
    let_go(0, 3);
    (void)close(fd);
  }
END_TEST

/* ---- on a signal, at exit */

static size_t occurrences_in(int fd, const char *part)
{
  ssize_t n = pread(fd, text, sizeof text - 1, 0);

  text[n > 0 ? n : 0] = '\0';
  return death_occurrences(text, part);
}

/* Until the log has it, or far too long has passed. */
static void wait_for(int fd, const char *part, size_t times)
{
  uint64_t end = gcx__now_ns() + UINT64_C(60000000000);

  while (occurrences_in(fd, part) < times && gcx__now_ns() < end)
    (void)sched_yield();
  ck_assert_msg(occurrences_in(fd, part) == times, "%s", text);
}

START_TEST(test_signal)
  {
    int fd = memfd_create("log", MFD_CLOEXEC);

    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    gcx__opt.census_signal = SIGUSR2;
    gcx__census_signal_init();
    gcx__census_signal_ensure();
    hold_here(0, 3);
    ck_assert_int_eq(raise(SIGUSR2), 0);
    wait_for(fd, "gcx: census: ", 1);
    ck_assert_uint_eq(occurrences_in(fd, "gcx: difference: "), 0);
    hold_there(3, 5);
    ck_assert_int_eq(raise(SIGUSR2), 0);
    wait_for(fd, "gcx: difference: +5 objects, +240 bytes in 1 row\n", 1);
    ck_assert_uint_eq(occurrences_in(fd, "gcx: census: "), 2);
    let_go(0, 8);
  }
END_TEST

/* A signal that the program has taken is left alone, and that is said. */
static void take_signal(void *arg)
{
  (void)arg;
  (void)signal(SIGUSR2, SIG_IGN);
  gcx__opt.census_signal = SIGUSR2;
  gcx__census_signal_init();
  (void)raise(SIGUSR2);
  gcx__opt.census_signal = SIGKILL;
  gcx__census_signal_init();
}

START_TEST(test_signal_is_taken)
  {
    const struct death *d = death_demand_exit(take_signal, NULL, 0);

    ck_assert_uint_eq(death_occurrences(d->err, "that signal can't be had"), 2);
  }
END_TEST

static void end_with_census(void *arg)
{
  gcx__opt.census = *(enum gcx__census_at_exit *)arg;
  gcx__opt.leak = GCX_LEAK_DISPOSE;
  hold_here(0, 3);
  exit(0);
}

START_TEST(test_at_exit)
  {
    enum gcx__census_at_exit off = GCX_CENSUS_AT_EXIT_OFF,
                             all = GCX_CENSUS_AT_EXIT_TEXT,
                             json = GCX_CENSUS_AT_EXIT_JSON,
                             folded = GCX_CENSUS_AT_EXIT_FOLDED;

    ck_assert_str_eq(death_demand_exit(end_with_census, &off, 0)->err, "");
    ck_assert_ptr_nonnull(
        strstr(death_demand_exit(end_with_census, &all, 0)->err,
               "gcx: census: 3 objects, 144 bytes in 1 row"));
    ck_assert_ptr_nonnull(
        strstr(death_demand_exit(end_with_census, &json, 0)->err,
               "{\"event\":\"census sum\",\"pid\":"));
    ck_assert_ptr_nonnull(
        strstr(death_demand_exit(end_with_census, &folded, 0)->err,
               ";struct_thing 144\n"));
  }
END_TEST

/* ---- beside a program that runs */

static int stop;

static void *churn(void *arg)
{
  while (!flag_is_up(&stop)) {
    void *p = gcx_new(&thing_type), *q = gcx_alloc(20);

    gcx_dispose(p);
    gcx_dispose(q);
  }
  return arg;
}

START_TEST(test_beside_others)
  {
    pthread_t id[2];

    hold_here(0, 100);
    for (int i = 0; i < 2; i++)
      id[i] = thread_start(churn, NULL);
    for (int i = 0; i < 30; i++) {
      struct gcx_census *c = gcx_census_take();

      ck_assert_int_ge(sums_of(c, "struct thing").count, 100);
      ck_assert_int_le(sums_of(c, "struct thing").count, 110);
      if (i % 10 == 0)
        gcx_collect();
    }
    flag_raise(&stop);
    for (int i = 0; i < 2; i++)
      (void)thread_join(id[i]);
    let_go(0, 100);
  }
END_TEST

static Suite *census_suite(void)
{
  Suite *s = suite_create("census");
  TCase *t = tcase_create("census");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_by_type_and_site);
  tcase_add_test(t, test_order_and_frames);
  tcase_add_test(t, test_difference);
  tcase_add_test(t, test_ages);
  tcase_add_test(t, test_pools);
  tcase_add_test(t, test_many_sites);
  tcase_add_test(t, test_off);
  tcase_add_test(t, test_no_memory);
  tcase_add_test(t, test_no_census);
  tcase_add_test(t, test_text);
  tcase_add_test(t, test_json);
  tcase_add_test(t, test_folded);
  tcase_add_test(t, test_unwritable);
  tcase_add_test(t, test_signal);
  tcase_add_test(t, test_signal_is_taken);
  tcase_add_test(t, test_at_exit);
  tcase_add_test(t, test_beside_others);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(census_suite);
