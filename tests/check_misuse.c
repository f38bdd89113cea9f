/* SPDX-License-Identifier: MIT */
/* check_misuse.c - pointers that are not what they should be: every public
 * function says so, by its stable id, and goes on only with misuse=report */
#include "pointers.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- the functions */

static void call_dispose(void *p)
{
  gcx_dispose(p);
}

static void call_close(void *p)
{
  ck_assert_int_eq(gcx_close(p), 0);
}

static void call_discard(void *p)
{
  gcx_discard(p);
}

static void call_realloc(void *p)
{
  errno = 0;
  ck_assert_ptr_null(gcx_realloc(p, 100));
  ck_assert_int_eq(errno, EINVAL);
}

static void call_size(void *p)
{
  ck_assert_uint_eq(gcx_size(p), 0);
}

static void call_is_disposed(void *p)
{
  ck_assert(gcx_is_disposed(p));
}

static void call_require_live(void *p)
{
  ck_assert_ptr_eq(gcx_require_live(p), p);
}

static void call_suppress(void *p)
{
  gcx_suppress_finalize(p);
}

static void call_reregister(void *p)
{
  gcx_reregister_finalize(p);
}

static void call_touch(void *p)
{
  gcx_touch(p, "bad");
}

static void call_own_as_owner(void *p)
{
  void *other = gcx_alloc(8);

  ck_assert_int_eq(gcx_own(p, other), -EINVAL);
  gcx_dispose(other);
}

static void call_own_as_child(void *p)
{
  void *other = gcx_alloc(8);

  ck_assert_int_eq(gcx_own(other, p), -EINVAL);
  gcx_dispose(other);
}

static void call_disown_as_owner(void *p)
{
  void *other = gcx_alloc(8);

  gcx_disown(p, other);
  gcx_dispose(other);
}

static void call_disown_as_child(void *p)
{
  void *other = gcx_alloc(8);

  gcx_disown(other, p);
  gcx_dispose(other);
}

static void call_dispose_owned(void *p)
{
  gcx_dispose_owned(p);
}

static void call_auto(void *p)
{
  gcx_auto void *ends = p;

  gcx_keep_alive(ends);
}

static const struct {
  const char *name;
  void (*call)(void *p);
} functions[] = {
  { "gcx_dispose(", call_dispose },
  { "gcx_close(", call_close },
  { "gcx_discard(", call_discard },
  { "gcx_realloc(", call_realloc },
  { "gcx_size(", call_size },
  { "gcx_is_disposed(", call_is_disposed },
  { "gcx_require_live(", call_require_live },
  { "gcx_suppress_finalize(", call_suppress },
  { "gcx_reregister_finalize(", call_reregister },
  { "gcx_touch(", call_touch },
  { "gcx_own(", call_own_as_owner },
  { "gcx_own(", call_own_as_child },
  { "gcx_disown(", call_disown_as_owner },
  { "gcx_disown(", call_disown_as_child },
  { "gcx_dispose_owned(", call_dispose_owned },
  { "gcx_auto(", call_auto },
};
#define FUNCTIONS ((int)GCX_ARRAY_LENGTH(functions))

struct misuse {
  int function;
  int pointer;
};

static void misuses(void *arg)
{
  const struct misuse *m = arg;

  functions[m->function].call(pointers[m->pointer].make());
}

START_TEST(test_every_function_refuses_every_pointer)
  {
    for (int f = 0; f < FUNCTIONS; f++) {
      struct misuse m = { f, _i };
      const struct death *d =
          death_demand_abort(misuses, &m, "GCX-BAD-POINTER");

      ck_assert_msg(strstr(d->err, functions[f].name) != NULL, "no %s in\n%s",
                    functions[f].name, d->err);
      ck_assert_msg(strstr(d->err, pointers[_i].says) != NULL,
                    "no \"%s\" in\n%s", pointers[_i].says, d->err);
    }
  }
END_TEST

START_TEST(test_report_goes_on)
  {
    struct seen *seen = seen_begin();

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    for (int f = 0; f < FUNCTIONS; f++) {
      functions[f].call(pointers[_i].make());
      end_held();
      ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], (size_t)f + 1);
      ck_assert_uint_ne(seen->last.use_site, 0);
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_CORRUPT], 0);
  }
END_TEST

static void requires_null(void *arg)
{
  (void)gcx_require_live(arg);
}

START_TEST(test_null_is_not_live)
  {
    (void)death_demand_abort(requires_null, NULL, "GCX-BAD-POINTER");
  }
END_TEST

/* ---- writing beyond the end */

static const size_t corrupt_sizes[] = {
  0, 8, 24, 40, 1000, 2024, 5000, 100000
};
#define CORRUPT_SIZES ((int)GCX_ARRAY_LENGTH(corrupt_sizes))

/* Up to the end of the cell: the first bytes beyond may be unused. */
static void *overrun(size_t bytes)
{
  char *p = gcx_alloc(bytes);
  size_t room = gcx__object_room(p) - bytes;

  memset(opaque(p + bytes), 0xab, room + 4);
  return p;
}

static void overruns(void *arg)
{
  const struct misuse *m = arg;

  functions[m->function].call(overrun(corrupt_sizes[m->pointer]));
}

START_TEST(test_overrun)
  {
    for (int f = 0; f < FUNCTIONS; f++) {
      struct misuse m = { f, _i };
      const struct death *d = death_demand_abort(overruns, &m, "GCX-CORRUPT");

      ck_assert_ptr_nonnull(strstr(d->err, functions[f].name));
    }
  }
END_TEST

START_TEST(test_overrun_by_little_at_every_place)
  {
    struct seen *seen = seen_begin();

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    for (size_t i = 0; i < 8; i++) {
      unsigned char *p = gcx_alloc(24);

      ck_assert_uint_eq(gcx__object_room(p), 24);
      ck_assert_uint_eq(gcx_size(p), 24);
      ((unsigned char *)opaque(p))[24 + i] ^= 0x55;
      ck_assert_uint_eq(gcx_size(p), 0);
      ck_assert_uint_eq(seen->findings[GCX_REPORT_CORRUPT], i + 1);
      ((unsigned char *)opaque(p))[24 + i] ^= 0x55; /* whole again */
      ck_assert_uint_eq(gcx_size(p), 24);
      gcx_dispose(p);
    }
  }
END_TEST

static GCX_NOINLINE void lose_overrun(void)
{
  for (int i = 0; i < 1000; i++)
    gcx_keep_alive(overrun(24));
}

START_TEST(test_corrupt_objects_are_lost_like_others)
  {
    struct seen *seen;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    lose_overrun();
    ck_assert_uint_ge(objects_found(), 950);
    ck_assert_uint_ge(seen->direct, 950);
    gcx_collect();
  }
END_TEST

/* ---- after the end */

static GCX_NOINLINE void *disposed(void)
{
  void *p = gcx_alloc(32);

  gcx_dispose(p);
  return p;
}

static void uses_disposed(void *arg)
{
  (void)arg;
  gcx_collect();
  (void)gcx_require_live(disposed());
}

START_TEST(test_use_after_dispose)
  {
    struct seen *seen = seen_begin();
    void *p;

    (void)death_demand_abort(uses_disposed, NULL, "GCX-USE-AFTER-DISPOSE");
    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    p = disposed();
    ck_assert_ptr_eq(gcx_require_live(p), p);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_USE_AFTER_DISPOSE], 1);
    ck_assert_uint_ne(seen->last.birth_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, 0);
    ck_assert_uint_ne(seen->last.use_site, 0);
    ck_assert_ptr_eq(seen->last.object, p);
  }
END_TEST

/* The old pointer of an object that has moved: gcx_realloc() ended it. */
START_TEST(test_use_after_move)
  {
    struct seen *seen = seen_begin();
    void *p = gcx_alloc(40), *moved = gcx_realloc(p, 4000);

    objects_setup(GCX_LEAK_REPORT);
    ck_assert_ptr_nonnull(moved);
    ck_assert_ptr_ne(moved, p);
    ck_assert_ptr_eq(gcx_require_live(p), p);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_USE_AFTER_DISPOSE], 1);
    ck_assert_uint_ne(seen->last.birth_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, 0);
    ck_assert_uint_ne(seen->last.dispose_site, seen->last.birth_site);
    ck_assert_ptr_eq(seen->last.object, p);
    gcx_dispose(moved);
  }
END_TEST

static void given_back(void *arg)
{
  void *p = gcx_alloc(32);

  (void)arg;
  gcx__opt.quarantine = 0;
  gcx_dispose(p);
  gcx_dispose(opaque(p));
}

START_TEST(test_given_back)
  {
    (void)death_demand_abort(given_back, NULL, "GCX-BAD-POINTER");
  }
END_TEST

/* ---- reported and used after all */

#define HIDDEN 100

static uintptr_t hidden[HIDDEN];

static GCX_NOINLINE void hide(void)
{
  for (int i = 0; i < HIDDEN; i++) {
    void *p = gcx_alloc(40);

    memset(p, 0x21, 40);
    hidden[i] = GCX_HIDE(p); /* where no collector looks */
  }
}

static void *reported_object(void)
{
  for (int i = 0; i < HIDDEN; i++) {
    void *p = GCX_REVEAL(hidden[i]);

    if (hidden[i] != 0 && (gcx__record_state(number_of(p)) & GCX_STATE_MASK) ==
                              GCX_STATE_REPORTED) {
      hidden[i] = 0;
      return p;
    }
  }
  ck_abort_msg("none was found");
  return NULL;
}

static void use_dispose(void *p)
{
  gcx_dispose(p);
  ck_assert(gcx_is_disposed(p));
}

static void use_size(void *p)
{
  ck_assert_uint_eq(gcx_size(p), 40);
}

static void use_require(void *p)
{
  ck_assert_ptr_eq(gcx_require_live(p), p);
}

static void use_touch(void *p)
{
  gcx_touch(p, "here");
}

static void use_realloc(void *p)
{
  void *moved = gcx_realloc(p, 4000);

  ck_assert_ptr_nonnull(moved);
  gcx_dispose(moved);
}

static void use_own(void *p)
{
  ck_assert_int_eq(gcx_own(held, p), 0);
}

static void (*const uses[])(void *p) = { use_dispose, use_size,    use_require,
                                         use_touch,   use_realloc, use_own };

START_TEST(test_false_report)
  {
    struct seen *seen;
    void *p;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    held = gcx_alloc(8);
    hide();
    ck_assert_uint_ge(objects_found(), HIDDEN * 8 / 10);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(uses); i++) {
      p = reported_object();
      ck_assert(is_all(p, 40, 0x21)); /* whole */
      uses[i](p);
      ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], i + 1);
      gcx_dispose(p);
      ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], i + 1);
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], 0);
    gcx_dispose(held);
  }
END_TEST

static GCX_NOINLINE void use_reported(void)
{
  for (int i = 0; i < HIDDEN; i++)
    (void)gcx_size(GCX_REVEAL(hidden[i]));
}

START_TEST(test_what_was_reported_falsely_is_not_reported_again)
  {
    struct seen *seen;
    size_t found;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    hide();
    found = objects_found();
    ck_assert_uint_ge(found, HIDDEN * 8 / 10);
    use_reported();
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], found);
    ck_assert_uint_eq(seen->direct, found);
  }
END_TEST

static Suite *misuse_suite(void)
{
  Suite *s = suite_create("misuse");
  TCase *c = tcase_create("misuse");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_every_function_refuses_every_pointer, 0,
                      POINTERS);
  tcase_add_loop_test(c, test_report_goes_on, 0, POINTERS);
  tcase_add_test(c, test_null_is_not_live);
  tcase_add_loop_test(c, test_overrun, 0, CORRUPT_SIZES);
  tcase_add_test(c, test_overrun_by_little_at_every_place);
  tcase_add_test(c, test_corrupt_objects_are_lost_like_others);
  tcase_add_test(c, test_use_after_dispose);
  tcase_add_test(c, test_use_after_move);
  tcase_add_test(c, test_given_back);
  tcase_add_test(c, test_false_report);
  tcase_add_test(c, test_what_was_reported_falsely_is_not_reported_again);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(misuse_suite);
