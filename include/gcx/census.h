/* SPDX-License-Identifier: MIT */
/*
 * gcx/census.h - who is alive, from where, how many, how old
 *
 * Nothing of this is a leak: these objects are reachable. A cache that keeps
 * everything never loses anything, and the process grows all the same. A census
 * counts live objects by type and allocation stack; the difference of two tells
 * what has come and not gone in between.
 *
 *   struct gcx_census *before = gcx_census_take();
 *   serve(1000);
 *   struct gcx_census *after = gcx_census_take();
 *   struct gcx_census *grown = gcx_census_diff(before, after);
 *   gcx_census_print(grown, STDERR_FILENO, GCX_CENSUS_TEXT);
 *
 * The options census_signal and census make one on a signal and at exit, in a
 * program that has not been changed.
 */
#ifndef GCX_CENSUS_H
#define GCX_CENSUS_H

#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_census; /* an object without a duty: it need not be disposed */

/* Forms of gcx_census_print(). */
#define GCX_CENSUS_TEXT 0
#define GCX_CENSUS_JSON 1 /* a line for each row, and one for the sum */
#define GCX_CENSUS_FOLDED \
  2 /* "outermost;...;innermost BYTES", for flame graphs */

/* Objects of one type from one stack. In a difference count and bytes may be
 * negative, and ages are those of the later census. */
struct gcx_census_row {
  const char *type; /* NULL: plain memory */
  int64_t count;
  int64_t bytes;
  uint64_t oldest_ms; /* age, when the census was taken */
  uint64_t newest_ms;
  void *const *frames; /* return addresses, innermost first */
  size_t frame_count;  /* 0 with leak=off, and for objects without a duty */
};

/**
 * gcx_census_take - count what is alive
 *
 * Every tracked object that is not disposed: also those without a duty to
 * dispose; not what waits in pools. Objects that other threads make or end
 * meanwhile may be in or not. What is lost and not yet found is counted:
 * gcx_collect() first, if that matters.
 *
 * Return:    the census; NULL when there is no memory
 * Errors:    NULL and errno ENOMEM
 * Fatal:     none
 * Ownership: the collector's
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_census *gcx_census_take(void) GCX_WARN_UNUSED;

/**
 * gcx_census_diff - what has come, less what has gone
 * @before: a census
 * @after:  a later one
 *
 * Rows in which neither count nor bytes changed are left out.
 *
 * Return:    the difference, a census of its own; NULL
 * Errors:    NULL and errno: ENOMEM; EINVAL (one of them is NULL)
 * Fatal:     GCX-BAD-POINTER for what is no census
 * Ownership: borrows both; the result is the collector's
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_census *gcx_census_diff(const struct gcx_census *before,
                                           const struct gcx_census *after)
    GCX_WARN_UNUSED;

/**
 * gcx_census_rows - how many rows it has
 * @c: a census, or NULL
 *
 * Return:    number of rows; 0 for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER for what is no census
 * Ownership: borrows @c
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_census_rows(const struct gcx_census *c);

/**
 * gcx_census_get - one row; those with the most bytes come first
 * @c:       a census, or NULL
 * @i:       which one, from 0 on
 * @ret_row: receives it; untouched if there is none
 *
 * Return:    false if there is no such row
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER for what is no census
 * Ownership: borrows @c; type and frames are gcx's, for ever
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_census_get(const struct gcx_census *c, size_t i,
                            struct gcx_census_row *ret_row);

/**
 * gcx_census_print - write it
 * @c:      a census
 * @fd:     a file descriptor
 * @format: GCX_CENSUS_TEXT, GCX_CENSUS_JSON or GCX_CENSUS_FOLDED
 *
 * Functions and lines are looked up as for reports (symbolize_ms).
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL; -EIO when it could not be written
 * Fatal:     GCX-BAD-POINTER for what is no census
 * Ownership: borrows @c
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_census_print(const struct gcx_census *c, int fd, int format);

#ifdef __cplusplus
}
#endif

#endif
