/* SPDX-License-Identifier: MIT */
/*
 * assert.h - assertions about gcx itself; a failure is a gcx bug, and says so
 *
 * GCX_ASSERT       O(1), on in every build
 * GCX_ASSERT_DEBUG on per-allocation paths, on with --enable-deep-checks
 * GCX_ASSERT_DEEP  O(n), on with --enable-deep-checks
 * A disabled assertion still type-checks; no side effects in the argument.
 */
#ifndef GCX_ASSERT_H
#define GCX_ASSERT_H

#include "base.h"

GCX_NORETURN void gcx__assert_fail(const char *file, int line,
                                   const char *condition);

#define GCX_ASSERT(e) \
  (GCX_LIKELY(e) ? (void)0 : gcx__assert_fail(__FILE__, __LINE__, #e))

#ifdef GCX_DEEP_CHECKS
#define GCX_ASSERT_DEBUG(e) GCX_ASSERT(e)
#define GCX_ASSERT_DEEP(e) GCX_ASSERT(e)
#else
#define GCX_ASSERT_DEBUG(e) ((void)sizeof(!(e)))
#define GCX_ASSERT_DEEP(e) ((void)sizeof(!(e)))
#endif

#endif
