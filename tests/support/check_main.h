/* SPDX-License-Identifier: MIT */
/*
 * check_main.h - the main function of a test program
 *
 * GCX_CHECK_MAIN(suite_fn) defines a main that runs `Suite *suite_fn(void)`.
 * Check's own environment is honoured: CK_FORK, CK_VERBOSITY, CK_RUN_CASE,
 * CK_DEFAULT_TIMEOUT. The line "P%: Checks: N, Failures: F, Errors: E" that Check
 * prints is what tools/run-tests sums up.
 */
#ifndef GCX_TESTS_CHECK_MAIN_H
#define GCX_TESTS_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

#define GCX_CHECK_MAIN(suite_fn)                                               \
  int main(void)                                                               \
  {                                                                            \
    SRunner *runner = srunner_create((suite_fn)());                            \
    int failed;                                                                \
                                                                               \
    srunner_run_all(runner, CK_ENV);                                           \
    failed =                                                                   \
        srunner_ntests_run(runner) == 0 || srunner_ntests_failed(runner) != 0; \
    srunner_free(runner);                                                      \
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;                               \
  }                                                                            \
  typedef int gcx_check_main_needs_a_semicolon

#endif
