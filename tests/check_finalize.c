/* SPDX-License-Identifier: MIT */
/* check_finalize.c - finalizers: which run, when, how often, of what */
#include "finalizable.h"

#define N 1000
#define ENOUGH (N * 95 / 100)

static struct seen *seen;

static void setup(void)
{
  finalizable_setup(GCX_LEAK_DISPOSE);
  seen = seen_begin();
}

/* ---- what was called */

struct thing {
  struct thing *other;
  void *last; /* end of the object: intact when its finalizer runs? */
  size_t index;
};

static int finalized;
static int disposed;
static int broken;
static int elsewhere; /* calls on a thread that is not the finalizer thread */

static bool on_finalizer_thread(void)
{
  char name[16] = "";

  (void)pthread_getname_np(pthread_self(), name, sizeof(name));
  return strcmp(name, "gcx") == 0;
}

static void thing_check(const struct thing *t)
{
  if (t->last != (const void *)t)
    __atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED);
  if (t->other != NULL && t->other->last != t->other)
    __atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED);
}

static void thing_finalize(void *obj)
{
  thing_check(obj);
  if (!on_finalizer_thread())
    __atomic_fetch_add(&elsewhere, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&finalized, 1, __ATOMIC_ACQ_REL);
}

static int thing_dispose(void *obj)
{
  thing_check(obj);
  __atomic_fetch_add(&disposed, 1, __ATOMIC_ACQ_REL);
  return 0;
}

/* Column of the decision table. */
#define REQUIRED 0
#define REQUIRED_FINALIZE 1
#define OPTIONAL 2
#define OPTIONAL_FINALIZE 3

static const struct gcx_type thing_types[] = {
  GCX_TYPE_INIT("required", sizeof(struct thing), 0, NULL, thing_dispose, NULL,
                NULL),
  GCX_TYPE_INIT("required, finalize", sizeof(struct thing), 0, NULL,
                thing_dispose, thing_finalize, NULL),
  GCX_TYPE_INIT("optional", sizeof(struct thing), GCX_TYPE_OPTIONAL, NULL,
                thing_dispose, NULL, NULL),
  GCX_TYPE_INIT("optional, finalize", sizeof(struct thing), GCX_TYPE_OPTIONAL,
                NULL, thing_dispose, thing_finalize, NULL),
};
#define COLUMNS ((int)GCX_ARRAY_LENGTH(thing_types))

static GCX_NOINLINE struct thing *thing_new(int column, struct thing *other)
{
  struct thing *t = gcx_new(&thing_types[column]);

  if (t == NULL)
    ck_abort();
  t->other = other;
  t->last = t;
  return t;
}

static GCX_NOINLINE void lose(int column, size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(thing_new(column, NULL));
}

/* ---- the decision table */

enum outcome { COLLECTED, REPORTED, FINALIZED, DISPOSED };

static const enum gcx__leak rows[] = { GCX_LEAK_ABORT, GCX_LEAK_EXIT,
                                       GCX_LEAK_REPORT, GCX_LEAK_DISPOSE,
                                       GCX_LEAK_OFF };
#define ROWS ((int)GCX_ARRAY_LENGTH(rows))

static const enum outcome table[][4] = {
  { REPORTED, REPORTED, COLLECTED, FINALIZED }, /* abort: or dies of it */
  { REPORTED, REPORTED, COLLECTED, FINALIZED },
  { REPORTED, REPORTED, COLLECTED, FINALIZED },
  { DISPOSED, FINALIZED, COLLECTED, FINALIZED },
  { COLLECTED, FINALIZED, COLLECTED, FINALIZED },
};

static void loses_and_checks(void *arg)
{
  const int *column = arg;

  lose(*column, 100);
  settle();
  if (finalized > 0)
    _exit(99);
}

START_TEST(test_decision_table)
  {
    int column = _i % COLUMNS, row = _i / COLUMNS;
    enum outcome outcome = table[row][column];
    size_t found = 0, before = gcx__record_count();

    gcx__opt.leak = rows[row];
    if (rows[row] == GCX_LEAK_ABORT && outcome == REPORTED) {
      (void)death_demand_abort(loses_and_checks, &column, "GCX-LEAK");
      return;
    }
    gcx_handler_remove(seen_note, seen);
    seen = seen_begin();
    lose(column, N);
    for (int i = 0; i < 4; i++)
      found += gcx_check();
    demand_most((int)(seen->direct + seen->indirect),
                outcome == REPORTED ? N : 0);
    demand_most(finalized, outcome == FINALIZED ? N : 0);
    demand_most(disposed, outcome == DISPOSED ? N : 0);
    /* abandoned is what was owed, in whatever way it ended; off looks for none */
    demand_most((int)found,
                column <= REQUIRED_FINALIZE && rows[row] != GCX_LEAK_OFF ? N
                                                                         : 0);
    ck_assert_int_eq(broken, 0);
    ck_assert_int_eq(elsewhere, 0);
    /* what was reported stays for ever, all else is collected in the end */
    if (outcome == REPORTED)
      ck_assert_uint_ge(gcx__record_count(), before + ENOUGH);
    else
      ck_assert_uint_le(gcx__record_count(), before + N / 10);
  }
END_TEST

/* ---- what the process says and how it ends, cell by cell */

static void loses_and_exits(void *arg)
{
  const int *column = arg;

  lose(*column, 100);
  settle();
  exit(0);
}

static int status_of(enum gcx__leak leak, enum outcome outcome)
{
  return leak == GCX_LEAK_EXIT && outcome == REPORTED ? 23 : 0;
}

START_TEST(test_exit_status)
  {
    int column = _i % COLUMNS, row = _i / COLUMNS;
    enum outcome outcome = table[row][column];
    const struct death *d;

    gcx__opt.leak = rows[row];
    gcx__opt.exitcode = 23;
    if (rows[row] == GCX_LEAK_ABORT && outcome == REPORTED) {
      (void)death_demand_abort(loses_and_exits, &column, "GCX-LEAK");
      return;
    }
    d = death_demand_exit(loses_and_exits, &column,
                          status_of(rows[row], outcome));
    if (outcome == REPORTED)
      ck_assert_ptr_nonnull(strstr(d->err, "gcx: GCX-LEAK: "));
    else
      ck_assert_str_eq(d->err, "");
  }
END_TEST

START_TEST(test_finalizers_off)
  {
    int column = _i % COLUMNS, row = _i / COLUMNS;
    enum outcome outcome = table[row][column & ~1];

    gcx__opt.leak = rows[row];
    gcx__opt.finalizers = GCX_FINALIZERS_OFF;
    if (rows[row] == GCX_LEAK_ABORT)
      return;
    lose(column, N);
    settle();
    ck_assert_int_eq(finalized, 0);
    demand_most(disposed, outcome == DISPOSED ? N : 0);
    demand_most((int)(seen->direct + seen->indirect),
                outcome == REPORTED ? N : 0);
  }
END_TEST

/* ---- reachability */

static GCX_NOINLINE void lose_rings(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct thing *a = thing_new(OPTIONAL_FINALIZE, NULL);
    struct thing *b = thing_new(OPTIONAL_FINALIZE, a);

    a->other = b;
    GCX_KEEP(a);
  }
}

START_TEST(test_cycles_are_finalized)
  {
    lose_rings(N / 2);
    settle();
    demand_most(finalized, N);
    ck_assert_int_eq(broken, 0);
  }
END_TEST

static GCX_NOINLINE void lose_holders(size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(thing_new(OPTIONAL_FINALIZE, thing_new(REQUIRED, NULL)));
}

/* Not abandoned while the finalizer of what reaches it is still to run. */
START_TEST(test_what_a_pending_finalizer_reaches_is_not_lost)
  {
    size_t found;

    gcx__opt.leak = GCX_LEAK_REPORT;
    lose_holders(N);
    found = gcx_check();
    demand_most(finalized, N);
    ck_assert_uint_le(found, N / 20);
    ck_assert_int_eq(broken, 0);
    found += gcx_check();
    found += gcx_check();
    demand_most((int)found, N);
  }
END_TEST

static GCX_NOINLINE void lose_held(size_t n)
{
  for (size_t i = 0; i < n; i++)
    GCX_KEEP(thing_new(REQUIRED, thing_new(OPTIONAL_FINALIZE, NULL)));
}

static int order_wrong;

/* It may use what it refers to: that was not finalized before. */
static int disposes_first(void *obj)
{
  struct thing *t = obj;

  (void)thing_dispose(obj);
  order_wrong += t->other != NULL && t->other->index != 0;
  return 0;
}

static void marks_itself(void *obj)
{
  struct thing *t = obj;

  thing_finalize(obj);
  t->index = 1;
}

static const struct gcx_type first_type = GCX_TYPE_INIT(
    "first", sizeof(struct thing), 0, NULL, disposes_first, NULL, NULL);
static const struct gcx_type marking_type =
    GCX_TYPE_INIT("marking", sizeof(struct thing), GCX_TYPE_OPTIONAL, NULL,
                  NULL, marks_itself, NULL);

static GCX_NOINLINE void lose_first(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct thing *a = gcx_new(&first_type), *b = gcx_new(&marking_type);

    a->last = a;
    b->last = b;
    a->other = b;
    GCX_KEEP(a);
  }
}

START_TEST(test_disposal_comes_before_the_finalizer_of_what_it_uses)
  {
    lose_first(N);
    settle();
    demand_most(finalized, N);
    demand_most(disposed, N);
    ck_assert_int_eq(order_wrong, 0);
  }
END_TEST

START_TEST(test_what_is_lost_holds_a_finalizable)
  {
    gcx__opt.leak = GCX_LEAK_REPORT;
    lose_held(N);
    settle();
    demand_most(finalized, N);
    demand_most((int)seen->direct, N);
    ck_assert_int_eq(disposed, 0);
  }
END_TEST

/* ---- registration */

static struct thing *saved[N];

static void saves_itself(void *obj)
{
  struct thing *t = obj;

  thing_finalize(obj);
  saved[t->index] = t;
}

static void registers_again(void *obj)
{
  thing_finalize(obj);
  gcx_reregister_finalize(obj);
}

static const struct gcx_type saving_type = GCX_TYPE_INIT(
    "saving", sizeof(struct thing), 0, NULL, thing_dispose, saves_itself, NULL);
static const struct gcx_type eternal_type =
    GCX_TYPE_INIT("eternal", sizeof(struct thing), GCX_TYPE_OPTIONAL, NULL,
                  NULL, registers_again, NULL);

static GCX_NOINLINE void lose_of(const struct gcx_type *type, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct thing *t = gcx_new(type);

    t->last = t;
    t->index = i;
    GCX_KEEP(t);
  }
}

static GCX_NOINLINE size_t forget_saved(bool again)
{
  size_t n = 0;

  for (size_t i = 0; i < N; i++) {
    if (saved[i] == NULL)
      continue;
    n++;
    if (saved[i]->last != saved[i])
      broken++;
    if (again)
      gcx_reregister_finalize(saved[i]);
    saved[i] = NULL;
  }
  return n;
}

START_TEST(test_resurrected_and_finalized_again_only_if_registered)
  {
    lose_of(&saving_type, N);
    settle();
    demand_most(finalized, N);
    settle(); /* alive: nothing happens */
    demand_most(finalized, N);
    demand_most((int)forget_saved(true), N);
    settle();
    demand_most(finalized, 2 * N);
    demand_most((int)forget_saved(false), N);
    settle();
    ck_assert_int_le(finalized, 2 * N);
    ck_assert_int_eq(disposed, 0);
    ck_assert_int_eq(broken, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
  }
END_TEST

START_TEST(test_registered_again_by_its_own_finalizer)
  {
    int before;

    lose_of(&eternal_type, 100);
    collect_and_wait();
    before = finalized;
    demand_most(before, 100);
    for (int i = 2; i < 6; i++) {
      collect_and_wait();
      demand_most(finalized, 100 * i);
    }
  }
END_TEST

static GCX_NOINLINE void lose_suppressed(bool back)
{
  for (size_t i = 0; i < N; i++) {
    struct thing *t = thing_new(REQUIRED_FINALIZE, NULL);

    gcx_suppress_finalize(t);
    gcx_suppress_finalize(t);
    if (back)
      gcx_reregister_finalize(t);
  }
}

START_TEST(test_suppressed_is_not_finalized_and_not_reported)
  {
    gcx__opt.leak = rows[_i];
    lose_suppressed(false);
    settle();
    ck_assert_int_eq(finalized, 0);
    ck_assert_int_eq(disposed, 0);
    ck_assert_uint_eq(seen->direct + seen->indirect, 0);
  }
END_TEST

START_TEST(test_suppressed_and_registered_again)
  {
    lose_suppressed(true);
    settle();
    demand_most(finalized, N);
  }
END_TEST

static GCX_NOINLINE void lose_registered_twice(void)
{
  for (size_t i = 0; i < N; i++) {
    struct thing *t = thing_new(OPTIONAL_FINALIZE, NULL);

    gcx_reregister_finalize(t);
    gcx_reregister_finalize(t);
  }
}

/* Registration is a state, not a count. */
START_TEST(test_registering_what_is_registered_changes_nothing)
  {
    lose_registered_twice();
    settle();
    demand_most(finalized, N);
  }
END_TEST

static GCX_NOINLINE void lose_disposed(void)
{
  for (size_t i = 0; i < N; i++)
    gcx_dispose(thing_new(REQUIRED_FINALIZE, NULL));
}

START_TEST(test_disposed_is_not_finalized)
  {
    lose_disposed();
    settle();
    ck_assert_int_eq(disposed, N);
    ck_assert_int_eq(finalized, 0);
  }
END_TEST

/* ---- types: chains, critical ones */

static char trail[3 * N + 1];
static size_t trail_length;

static void base_finalize(void *obj)
{
  (void)obj;
  trail[trail_length++] = 'b';
}

static void derived_finalize(void *obj)
{
  (void)obj;
  trail[trail_length++] = 'd';
}

static const struct gcx_type base_type = GCX_TYPE_INIT(
    "base", 16, GCX_TYPE_OPTIONAL, NULL, NULL, base_finalize, NULL);
static const struct gcx_type between_type = GCX_TYPE_INIT(
    "between", 16, GCX_TYPE_OPTIONAL, &base_type, NULL, NULL, NULL);
static const struct gcx_type derived_type =
    GCX_TYPE_INIT("derived", 16, GCX_TYPE_OPTIONAL, &between_type, NULL,
                  derived_finalize, NULL);

START_TEST(test_finalizers_of_base_types_follow)
  {
    lose_of_type(&derived_type, 100);
    settle();
    ck_assert_uint_ge(trail_length, 190);
    for (size_t i = 0; i < trail_length; i += 2)
      ck_assert_int_eq(strncmp(&trail[i], "db", 2), 0);
  }
END_TEST

static void critical_finalize(void *obj)
{
  (void)obj;
  trail[trail_length++] = 'c';
}

static const struct gcx_type critical_type =
    GCX_TYPE_INIT("critical", 16, GCX_TYPE_OPTIONAL | GCX_TYPE_CRITICAL, NULL,
                  NULL, critical_finalize, NULL);

static GCX_NOINLINE void lose_critical(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    GCX_KEEP(gcx_new(&critical_type));
    GCX_KEEP(gcx_new(&base_type));
  }
}

START_TEST(test_critical_after_ordinary)
  {
    size_t first_critical, last_ordinary = 0;

    lose_critical(N);
    collect_and_wait();
    first_critical = strcspn(trail, "c");
    for (size_t i = 0; i < trail_length; i++)
      if (trail[i] == 'b')
        last_ordinary = i;
    ck_assert_uint_ge(trail_length, 2 * ENOUGH);
    ck_assert_uint_lt(last_ordinary, first_critical);
  }
END_TEST

static Suite *finalize_suite(void)
{
  Suite *s = suite_create("finalize");
  TCase *tc = tcase_create("finalizers");

  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, finalizable_teardown);
  tcase_add_loop_test(tc, test_decision_table, 0, ROWS * COLUMNS);
  tcase_add_loop_test(tc, test_exit_status, 0, ROWS * COLUMNS);
  tcase_add_loop_test(tc, test_finalizers_off, 0, ROWS * COLUMNS);
  tcase_add_test(tc, test_cycles_are_finalized);
  tcase_add_test(tc, test_what_a_pending_finalizer_reaches_is_not_lost);
  tcase_add_test(tc, test_disposal_comes_before_the_finalizer_of_what_it_uses);
  tcase_add_test(tc, test_what_is_lost_holds_a_finalizable);
  tcase_add_test(tc, test_resurrected_and_finalized_again_only_if_registered);
  tcase_add_test(tc, test_registered_again_by_its_own_finalizer);
  tcase_add_loop_test(tc, test_suppressed_is_not_finalized_and_not_reported, 0,
                      ROWS);
  tcase_add_test(tc, test_suppressed_and_registered_again);
  tcase_add_test(tc, test_registering_what_is_registered_changes_nothing);
  tcase_add_test(tc, test_disposed_is_not_finalized);
  tcase_add_test(tc, test_finalizers_of_base_types_follow);
  tcase_add_test(tc, test_critical_after_ordinary);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(finalize_suite);
