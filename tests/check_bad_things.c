/* SPDX-License-Identifier: MIT */
/* check_bad_things.c - functions that want an object of a kind (a weak reference, a
 * table, a pool, ...) and are given something else: each says so, by a stable id,
 * names what it wanted, and changes nothing; NULL and what has ended are harmless */
#include "pointers.h"

#include "thing.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- the functions */

static void *key;

static void *makes(const void *k, void *arg)
{
  (void)k;
  (void)arg;
  ck_abort_msg("nothing is to be made");
  return NULL;
}

static void weak_get(void *p)
{
  ck_assert_ptr_null(gcx_weak_get(p));
}

static void weak_set(void *p)
{
  ck_assert_int_eq(gcx_weak_set(p, NULL), -EINVAL);
}

static void table_add(void *p)
{
  ck_assert_int_eq(gcx_table_add(p, key, key), -EINVAL);
}

static void table_set(void *p)
{
  ck_assert_int_eq(gcx_table_set(p, key, key), -EINVAL);
}

static void table_get(void *p)
{
  ck_assert_ptr_null(gcx_table_get(p, key));
}

static void table_find(void *p)
{
  void *value = key;

  ck_assert(!gcx_table_find(p, key, &value));
  ck_assert_ptr_eq(value, key);
}

static void table_get_or_add(void *p)
{
  void *value = key;

  ck_assert_int_eq(gcx_table_get_or_add(p, key, makes, NULL, &value), -EINVAL);
  ck_assert_ptr_eq(value, key);
}

static void table_remove(void *p)
{
  ck_assert(!gcx_table_remove(p, key));
}

static void table_clear(void *p)
{
  gcx_table_clear(p);
}

static void table_count(void *p)
{
  ck_assert_uint_eq(gcx_table_count(p), 0);
}

static void table_iter_init(void *p)
{
  struct gcx_table_iter it;

  gcx_table_iter_init(&it, p);
  ck_assert(!gcx_table_iter_next(&it, NULL, NULL));
}

static void dependent_get(void *p)
{
  void *target = key, *value = key;

  ck_assert(!gcx_dependent_get(p, &target, &value));
  ck_assert_ptr_eq(target, key);
  ck_assert_ptr_eq(value, key);
}

static void dependent_set_value(void *p)
{
  ck_assert_int_eq(gcx_dependent_set_value(p, key), -EINVAL);
}

static void dependent_clear(void *p)
{
  gcx_dependent_clear(p);
}

static void hold_get(void *p)
{
  ck_assert_ptr_null(gcx_hold_get(p));
}

static void handle_acquire(void *p)
{
  intptr_t raw = 7;

  ck_assert(!gcx_handle_acquire(p, &raw));
  ck_assert_int_eq(raw, 7);
}

static void handle_release(void *p)
{
  gcx_handle_release(p);
}

static void handle_set_invalid(void *p)
{
  gcx_handle_set_invalid(p);
}

static void handle_is_invalid(void *p)
{
  ck_assert(gcx_handle_is_invalid(p));
}

static void handle_is_closed(void *p)
{
  ck_assert(gcx_handle_is_closed(p));
}

static void collector_add(void *p)
{
  ck_assert_int_eq(gcx_handle_collector_add(p), -EINVAL);
}

static void collector_remove(void *p)
{
  ck_assert_int_eq(gcx_handle_collector_remove(p), -EINVAL);
}

static void collector_count(void *p)
{
  ck_assert_uint_eq(gcx_handle_collector_count(p), 0);
}

static void file_stream(void *p)
{
  ck_assert_ptr_null(gcx_file_stream(p));
}

static void dir_next(void *p)
{
  ck_assert_ptr_null(gcx_dir_next(p));
}

static void map_start(void *p)
{
  ck_assert_ptr_null(gcx_map_start(p));
}

static void map_bytes(void *p)
{
  ck_assert_uint_eq(gcx_map_bytes(p), 0);
}

static void census_rows(void *p)
{
  ck_assert_uint_eq(gcx_census_rows(p), 0);
}

static void census_diff(void *p)
{
  struct gcx_census *c = gcx_census_take();

  ck_assert_ptr_null(gcx_census_diff(c, p));
  gcx_dispose(c);
}

static void census_get(void *p)
{
  struct gcx_census_row row;

  ck_assert(!gcx_census_get(p, 0, &row));
}

static void census_print(void *p)
{
  ck_assert_int_eq(gcx_census_print(p, STDOUT_FILENO, GCX_CENSUS_TEXT),
                   -EINVAL);
}

static void pool_take(void *p)
{
  errno = 0;
  ck_assert_ptr_null(gcx_pool_take(p, 10));
  ck_assert_int_eq(errno, EINVAL);
}

static void pool_return(void *p)
{
  gcx_pool_return(p, key);
}

static void pool_trim(void *p)
{
  gcx_pool_trim(p, 0);
}

static void pool_stats(void *p)
{
  struct gcx_pool_stats stats;

  gcx_pool_stats_read(p, &stats);
}

/* Where any object will do, there is no "no". */
static void pressure_attach(void *p)
{
  ck_assert_int_eq(gcx_pressure_attach(p, 10), -EINVAL);
}

static const struct {
  const char *name;
  void (*call)(void *p);
  const char *wanted;
  bool null_is_bad;
} functions[] = {
  { "gcx_weak_get(", weak_get, "no weak reference", false },
  { "gcx_weak_set(", weak_set, "no weak reference", false },
  { "gcx_table_add(", table_add, "no table", false },
  { "gcx_table_set(", table_set, "no table", false },
  { "gcx_table_get(", table_get, "no table", false },
  { "gcx_table_find(", table_find, "no table", false },
  { "gcx_table_get_or_add(", table_get_or_add, "no table", false },
  { "gcx_table_remove(", table_remove, "no table", false },
  { "gcx_table_clear(", table_clear, "no table", false },
  { "gcx_table_count(", table_count, "no table", false },
  { "gcx_table_iter_init(", table_iter_init, "no table", false },
  { "gcx_dependent_get(", dependent_get, "no dependent", false },
  { "gcx_dependent_set_value(", dependent_set_value, "no dependent", false },
  { "gcx_dependent_clear(", dependent_clear, "no dependent", false },
  { "gcx_hold_get(", hold_get, "no hold", false },
  { "gcx_handle_acquire(", handle_acquire, "no handle", false },
  { "gcx_handle_release(", handle_release, "no handle", false },
  { "gcx_handle_set_invalid(", handle_set_invalid, "no handle", false },
  { "gcx_handle_is_invalid(", handle_is_invalid, "no handle", false },
  { "gcx_handle_is_closed(", handle_is_closed, "no handle", false },
  { "gcx_handle_collector_add(", collector_add, "no handle collector", false },
  { "gcx_handle_collector_remove(", collector_remove, "no handle collector",
    false },
  { "gcx_handle_collector_count(", collector_count, "no handle collector",
    false },
  { "gcx_file_stream(", file_stream, "no file", false },
  { "gcx_dir_next(", dir_next, "no dir", false },
  { "gcx_map_start(", map_start, "no map", false },
  { "gcx_map_bytes(", map_bytes, "no map", false },
  { "gcx_census_rows(", census_rows, "no census", false },
  { "gcx_census_diff(", census_diff, "no census", false },
  { "gcx_census_get(", census_get, "no census", false },
  { "gcx_census_print(", census_print, "no census", false },
  { "gcx_pool_take(", pool_take, "no pool", true },
  { "gcx_pool_return(", pool_return, "no pool", true },
  { "gcx_pool_trim(", pool_trim, "no pool", true },
  { "gcx_pool_stats_read(", pool_stats, "no pool", true },
  { "gcx_pressure_attach(", pressure_attach, NULL, false },
};
#define FUNCTIONS ((int)GCX_ARRAY_LENGTH(functions))

/* A page that nobody may read can lie in a hole of the heap, which is not noticed:
 * then it can't be had here. */
static void *make(int i)
{
  void *p = pointers[i].make();

  return pointers[i].make == unmapped && gcx__thing_may_be(p) ? small_number()
                                                              : p;
}

struct misuse {
  int function;
  int pointer;
};

/* So that the bounds of the heap are known. */
static void use_things(void)
{
  struct gcx_weak *w = gcx_weak_create(key, GCX_WEAK_SHORT);

  ck_assert_ptr_eq(gcx_weak_get(w), key);
  gcx_dispose(w);
}

static void misuses(void *arg)
{
  const struct misuse *m = arg;

  key = gcx_alloc(8);
  use_things();
  functions[m->function].call(make(m->pointer));
}

START_TEST(test_every_pointer_is_fatal)
  {
    struct misuse m = { _i, 0 };

    for (m.pointer = 0; m.pointer < POINTERS; m.pointer += 3) {
      const struct death *d =
          death_demand_abort(misuses, &m, "GCX-BAD-POINTER");

      ck_assert_msg(strstr(d->err, functions[_i].name) != NULL, "no %s in\n%s",
                    functions[_i].name, d->err);
      ck_assert_msg(strstr(d->err, pointers[m.pointer].says) != NULL,
                    "no \"%s\" in\n%s", pointers[m.pointer].says, d->err);
    }
  }
END_TEST

START_TEST(test_report_goes_on)
  {
    struct seen *seen = seen_begin();
    size_t reports = 0;

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    key = gcx_alloc(8);
    use_things();
    for (int i = 0; i < POINTERS; i++) {
      functions[_i].call(make(i));
      ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], ++reports);
      ck_assert_ptr_nonnull(strstr(seen->last.detail, functions[_i].name));
      ck_assert_uint_ne(seen->last.use_site, 0);
      end_held();
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_CORRUPT], 0);
    ck_assert(!gcx_is_disposed(key));
    gcx_dispose(key);
  }
END_TEST

static void check_other(struct seen *seen, int function, void *p)
{
  size_t reports = seen->findings[GCX_REPORT_BAD_POINTER];

  if (functions[function].wanted == NULL)
    return;
  functions[function].call(p);
  ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], reports + 1);
  ck_assert_ptr_nonnull(strstr(seen->last.detail, functions[function].wanted));
  ck_assert_ptr_nonnull(strstr(seen->last.detail, functions[function].name));
}

START_TEST(test_objects_of_other_kinds)
  {
    static const struct gcx_type own =
        GCX_TYPE_INIT("own", 64, 0, NULL, NULL, NULL, NULL);
    struct seen *seen = seen_begin();
    void *plain, *typed, *managed;

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    key = gcx_alloc(8);
    plain = gcx_alloc(64);
    typed = gcx_new(&own);
    managed = gcx_alloc_managed(64);
    check_other(seen, _i, plain);
    check_other(seen, _i, typed);
    check_other(seen, _i, managed);
    gcx_dispose(plain); /* also of one that has ended */
    check_other(seen, _i, plain);
    gcx_dispose(typed);
    gcx_dispose(key);
  }
END_TEST

START_TEST(test_null)
  {
    struct seen *seen = seen_begin();

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    key = gcx_alloc(8);
    functions[_i].call(NULL);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER],
                      functions[_i].null_is_bad);
    gcx_dispose(key);
  }
END_TEST

/* Ended by gcx_dispose(): defined, and no report. */
START_TEST(test_ended_things)
  {
    struct seen *seen = seen_begin();
    void *things[4];

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    key = gcx_alloc(8);
    things[0] = gcx_weak_create(key, GCX_WEAK_LONG);
    things[1] = gcx_table_create(0);
    things[2] = gcx_dependent_create(key, key);
    things[3] = gcx_hold_create(key);
    for (int i = 0; i < 4; i++) {
      ck_assert_ptr_nonnull(things[i]);
      gcx_dispose(things[i]);
    }
    for (int f = 0; f < FUNCTIONS; f++) {
      if (functions[f].wanted == NULL)
        continue;
      if (strstr(functions[f].wanted, "weak") != NULL)
        functions[f].call(things[0]);
      else if (strcmp(functions[f].wanted, "no table") == 0)
        functions[f].call(things[1]);
      else if (strstr(functions[f].wanted, "dependent") != NULL)
        functions[f].call(things[2]);
      else if (strstr(functions[f].wanted, "hold") != NULL)
        functions[f].call(things[3]);
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], 0);
    gcx_dispose(key);
  }
END_TEST

static Suite *bad_things_suite(void)
{
  Suite *s = suite_create("bad_things");
  TCase *c = tcase_create("bad_things");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_every_pointer_is_fatal, 0, FUNCTIONS);
  tcase_add_loop_test(c, test_report_goes_on, 0, FUNCTIONS);
  tcase_add_loop_test(c, test_objects_of_other_kinds, 0, FUNCTIONS);
  tcase_add_loop_test(c, test_null, 0, FUNCTIONS);
  tcase_add_test(c, test_ended_things);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(bad_things_suite);
