/* SPDX-License-Identifier: MIT */
/*
 * gcx/testing.h - scopes for tests: what was allocated and not disposed?
 *
 * A test that leaves an object behind should fail by its own name, even if the
 * object is still reachable and nobody would call it lost. A scope is a struct
 * on the test's stack; scopes of several threads know nothing of each other, so
 * tests may run in parallel.
 *
 *   struct gcx_testing scope;
 *   gcx_testing_begin(&scope, 0);
 *   parse("input");
 *   assert(gcx_testing_end(&scope, STDERR_FILENO) == 0);
 *
 * gcx/testing_check.h makes a fixture for the library Check of it.
 */
#ifndef GCX_TESTING_H
#define GCX_TESTING_H

#include <gcx/visibility.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Also what other threads have allocated meanwhile. */
#define GCX_TESTING_ANY_THREAD 1u

/* Room for gcx; begin fills it. */
struct gcx_testing {
  uint64_t signature;
  uint32_t flags;
  uint32_t tid;
  uint32_t order;
  uint32_t own_order;
  uint32_t own_end;
  uint32_t spare;
  void *others; /* GCX_TESTING_ANY_THREAD, while it is open */
};

#ifndef GCX_DISABLE /* else: nothing is counted, below */

/**
 * gcx_testing_begin - objects from here on count
 * @scope: a struct on the caller's stack, or in memory of its own
 * @flags: 0: allocated by the calling thread; GCX_TESTING_ANY_THREAD
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM; -EINVAL (an unknown flag, NULL)
 * Fatal:     none
 * Ownership: @scope is the caller's; gcx_testing_end() ends it
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_testing_begin(struct gcx_testing *scope, unsigned flags);

/**
 * gcx_testing_end - how many were allocated and not disposed?
 * @scope: begun, by the same thread unless it counts those of any
 * @fd:    where they are listed as gcx_census_print() does it; -1: nowhere
 *
 * What was lost in between counts, unless leak=dispose has disposed it. Objects
 * without a duty do not count (optional ones, suppressed ones), nor what an
 * owner will dispose: the owner counts. What was taken from a pool in between
 * and not given back does.
 *
 * Return:    number of objects; 0 for a scope that is not open
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @scope, which may be begun again
 * Threads:   see @scope; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API size_t gcx_testing_end(struct gcx_testing *scope, int fd);

#else

static inline int gcx_testing_begin(struct gcx_testing *scope, unsigned flags)
{
  (void)scope;
  (void)flags;
  return 0;
}

static inline size_t gcx_testing_end(struct gcx_testing *scope, int fd)
{
  (void)scope;
  (void)fd;
  return 0;
}

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#endif
