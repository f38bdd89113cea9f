/* SPDX-License-Identifier: MIT */
/* check_scope.c - disposal at the end of a scope, whichever way it is left */
#include "objects.h"

#include "scope_cxx.h"

static char trail[64];
static size_t trail_length;

static int leave_trail(void *obj)
{
  trail[trail_length++] = *(char *)obj;
  return 0;
}

static const struct gcx_type named_type =
    GCX_TYPE_INIT("named", 8, 0, NULL, leave_trail, NULL, NULL);

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

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

static int returns_early(int when)
{
  gcx_auto char *a = named('a');

  if (when == 1)
    return *a;
  {
    gcx_auto char *b = named('b');

    if (when == 2)
      return *b;
  }
  return 0;
}

START_TEST(test_auto_return)
  {
    ck_assert_int_eq(returns_early(1), 'a');
    demand_trail("a");
    ck_assert_int_eq(returns_early(2), 'b');
    demand_trail("ba");
    ck_assert_int_eq(returns_early(3), 0);
    demand_trail("ba");
  }
END_TEST

static char *steals(bool success)
{
  gcx_auto char *a = named('a');
  gcx_auto char *none = NULL;

  gcx_keep_alive(none);
  if (!success)
    return NULL;
  none = gcx_steal(a);
  ck_assert_ptr_null(a);
  return gcx_steal(none);
}

START_TEST(test_auto_steal)
  {
    char *p;

    ck_assert_ptr_null(steals(false));
    demand_trail("a");
    p = steals(true);
    demand_trail("");
    ck_assert(!gcx_is_disposed(p));
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_auto_in_loops)
  {
    for (char name = 'a'; name < 'f'; name++) {
      gcx_auto char *p = named(name);

      if (*p == 'b')
        continue;
      if (*p == 'd')
        break;
    }
    demand_trail("abcd");
  }
END_TEST

START_TEST(test_auto_goto)
  {
    int round = 0;

  again : {
    gcx_auto char *p = named((char)('a' + round));

    gcx_keep_alive(p);
    if (++round < 3)
      goto again;
  }
    demand_trail("abc");
  }
END_TEST

static int using_returns(void)
{
  GCX_USING (char *a = named('a')) {
    GCX_USING (char *b = named('b')) {
      return *b + *a;
    }
  }
  return 0;
}

START_TEST(test_using)
  {
    int rounds = 0;

    GCX_USING (char *a = named('a')) {
      rounds += *a == 'a';
    }
    ck_assert_int_eq(rounds, 1);
    demand_trail("a");
    GCX_USING (char *b = named('b')) {
      if (*b == 'b')
        break;
      rounds++;
    }
    demand_trail("b");
    GCX_USING (char *c = named('c')) {
      if (*c == 'c')
        continue;
      rounds++;
    }
    demand_trail("c");
    ck_assert_int_eq(rounds, 1);
    ck_assert_int_eq(using_returns(), 'a' + 'b');
    demand_trail("ba");
  }
END_TEST

START_TEST(test_using_on_one_line_and_goto)
  {
    GCX_USING (char *a = named('a'))
      GCX_USING (char *b = named('b')) {
        ck_assert_int_ne(*a, *b);
        goto out;
      }
    ck_abort();
  out:
    demand_trail("ba");
    GCX_USING (char *nothing = NULL) {
      gcx_keep_alive(nothing);
    }
    demand_trail("");
  }
END_TEST

START_TEST(test_using_inside_a_loop)
  {
    for (char name = 'a'; name < 'e'; name++) {
      GCX_USING (char *p = named(name)) {
        if (*p == 'b')
          break; /* leaves the block, not the loop */
      }
    }
    demand_trail("abcd");
  }
END_TEST

/* ---- the same in C++ */

START_TEST(test_cxx_auto)
  {
    char *p;

    scope_cxx_auto_return(named, 1);
    demand_trail("a");
    scope_cxx_auto_return(named, 2);
    demand_trail("ba");
    scope_cxx_auto_return(named, 3);
    demand_trail("ba");
    ck_assert_ptr_null(scope_cxx_auto_steal(named, 0));
    demand_trail("a");
    p = scope_cxx_auto_steal(named, 1);
    demand_trail("");
    ck_assert(!gcx_is_disposed(p));
    gcx_dispose(p);
    demand_trail("a");
    scope_cxx_auto_loop(named);
    demand_trail("abcd");
    scope_cxx_auto_goto(named);
    demand_trail("abc");
  }
END_TEST

START_TEST(test_cxx_using)
  {
    ck_assert_int_eq(scope_cxx_using_return(named), 'a' + 'b');
    demand_trail("ba");
    ck_assert_int_eq(scope_cxx_using_break(named), 1);
    demand_trail("ba");
    ck_assert_int_eq(scope_cxx_using_continue(named), 1);
    demand_trail("a");
    scope_cxx_using_goto(named);
    demand_trail("bac");
    scope_cxx_using_loop(named);
    demand_trail("abcd");
    ck_assert_int_eq(scope_cxx_using_null(), 1);
    demand_trail("");
  }
END_TEST

START_TEST(test_cxx_throw)
  {
    scope_cxx_auto_throw(named);
    demand_trail("bac");
  }
END_TEST

static Suite *scope_suite(void)
{
  Suite *s = suite_create("scope");
  TCase *c = tcase_create("scope");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_auto_return);
  tcase_add_test(c, test_auto_steal);
  tcase_add_test(c, test_auto_in_loops);
  tcase_add_test(c, test_auto_goto);
  tcase_add_test(c, test_using);
  tcase_add_test(c, test_using_on_one_line_and_goto);
  tcase_add_test(c, test_using_inside_a_loop);
  tcase_add_test(c, test_cxx_auto);
  tcase_add_test(c, test_cxx_using);
  tcase_add_test(c, test_cxx_throw);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(scope_suite);
