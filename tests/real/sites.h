/* SPDX-License-Identifier: MIT */
/*
 * sites.h - which calls of free() does a suite reach, with something to free?
 *
 * Forced into every file of a package for one run. check-real has put
 * REAL_SITE(arguments) in front of each call that it could remove.
 */
#ifndef GCX_TESTS_REAL_SITES_H
#define GCX_TESTS_REAL_SITES_H

/* in files of any standard, with any warnings */
#pragma GCC system_header

extern void real_note(const char *file, int line);

/* The pointer: free(p), FREE(parser, p), luaM_freearray(L, p, n). */
#define REAL_FIRST_(p, ...) (p)
#define REAL_SECOND_(context, p, ...) (p)
#define REAL_POINTER(...) \
  REAL_PASTE_(REAL_, REAL_COUNT_(__VA_ARGS__))(__VA_ARGS__, 0)
#define REAL_COUNT_(...) REAL_NTH_(__VA_ARGS__, SECOND_, SECOND_, FIRST_, 0)
#define REAL_NTH_(a, b, c, n, ...) n
#define REAL_PASTE2_(a, b) a##b
#define REAL_PASTE_(a, b) REAL_PASTE2_(a, b)

#define REAL_SITE(...)                                             \
  do {                                                             \
    static char real_noted;                                        \
                                                                   \
    if (!real_noted && (REAL_POINTER(__VA_ARGS__)) != (void *)0) { \
      real_noted = 1;                                              \
      real_note(__FILE__, __LINE__);                               \
    }                                                              \
  } while (0)

#endif
