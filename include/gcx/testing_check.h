/* SPDX-License-Identifier: MIT */
/*
 * gcx/testing_check.h - a fixture for Check: a test that leaves an object behind
 *                       fails, by its name; what it left is listed, with stacks,
 *                       on standard error
 *
 *   #include <check.h>
 *   #include <gcx/testing_check.h>
 *
 *   tcase_add_checked_fixture(tcase, gcx_testing_setup, gcx_testing_teardown);
 *
 * Not part of gcx.h: it needs Check, which only the program that includes it
 * links. Works with CK_FORK=yes and =no. Fixtures are undone in reverse order:
 * add it first, and what other fixtures make and end does not matter.
 */
#ifndef GCX_TESTING_CHECK_H
#define GCX_TESTING_CHECK_H

#include <check.h>

#include <gcx/testing.h>

/* Of the test that is running; each file that uses the fixture has its own. */
static struct gcx_testing gcx_testing_scope;

__attribute__((unused)) static void gcx_testing_setup(void)
{
  ck_assert_msg(gcx_testing_begin(&gcx_testing_scope, 0) == 0,
                "gcx_testing_begin");
}

__attribute__((unused)) static void gcx_testing_setup_any_thread(void)
{
  ck_assert_msg(gcx_testing_begin(&gcx_testing_scope, GCX_TESTING_ANY_THREAD) ==
                    0,
                "gcx_testing_begin");
}

__attribute__((unused)) static void gcx_testing_teardown(void)
{
  size_t left = gcx_testing_end(&gcx_testing_scope, 2);

  ck_assert_msg(left == 0,
                "allocated by this test and not disposed: %lu, see standard "
                "error",
                (unsigned long)left);
}

#endif
