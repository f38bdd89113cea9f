/* SPDX-License-Identifier: MIT */
/*
 * objects.h - objects made, lost and counted by tests
 *
 * Whatever GCX_OPTIONS says, a test sets what it depends on: objects_setup().
 * What is lost, is lost in functions that are not inlined and have returned; how
 * many of N were found is compared with a threshold, since a conservative
 * collector promises nothing about one of them.
 */
#ifndef GCX_TESTS_OBJECTS_H
#define GCX_TESTS_OBJECTS_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gcx.h>
#include "check_main.h"
#include "death.h"
#include "object.h"
#include "options.h"
#include "record.h"
#include "report.h"

/* Options as after the start, but for what the environment said. */
static inline void objects_setup(enum gcx__leak leak)
{
  gcx__opt.leak = leak;
  gcx__opt.misuse =
      leak == GCX_LEAK_REPORT ? GCX_MISUSE_REPORT : GCX_MISUSE_FATAL;
  gcx__opt.double_dispose = GCX_DOUBLE_IGNORE;
  gcx__opt.exit_check = GCX_EXIT_UNREACHABLE;
  gcx__opt.quarantine = 1;
  gcx__opt.interval_ms = 0;
  gcx__opt.symbolize_ms = 0;
  gcx__opt.max_reports = 0;
}

/* ---- what was reported */

struct seen {
  size_t findings[GCX_REPORT_ID_COUNT];
  size_t direct;
  size_t indirect;
  struct gcx_report last;
};

static inline void seen_note(const struct gcx_report *r, void *arg)
{
  struct seen *s = arg;

  s->findings[r->id]++;
  s->last = *r;
  if (r->id == GCX_REPORT_LEAK) {
    s->direct += r->count;
    s->indirect += r->indirect_count;
  }
}

/* From here on findings are counted and not printed. */
static inline struct seen *seen_begin(void)
{
  static struct seen s;

  memset(&s, 0, sizeof(s));
  ck_assert_int_eq(gcx_handler_add(seen_note, &s), 0);
  return &s;
}

/* Findings go to nowhere: the log is standard error, which is a file that is
 * forgotten; what is asserted comes from the handler. GCX_TEST_LOUD shows it. */
static inline void objects_be_quiet(void)
{
  int null;

  if (getenv("GCX_TEST_LOUD") != NULL)
    return;
  null = memfd_create("quiet", MFD_CLOEXEC);
  ck_assert_int_ge(null, 0);
  ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
  (void)close(null);
}

/* Collect until nothing more is found; objects found. What has one call site is one
 * finding in each collection that finds some: one at the least, since a leftover
 * word may keep one of many for a while, OBJECTS_CHECKS at the most. */
#define OBJECTS_CHECKS 3
static inline size_t objects_found(void)
{
  size_t found = 0;

  for (int i = 0; i < OBJECTS_CHECKS; i++)
    found += gcx_check();
  return found;
}

static inline bool objects_from_sites(const struct seen *s, size_t sites)
{
  size_t n = s->findings[GCX_REPORT_LEAK];

  return n >= sites && n <= sites * OBJECTS_CHECKS;
}

static inline uint32_t number_of(const void *p)
{
  uint32_t number = 0;

  ck_assert_int_eq(gcx__object_find(p, &number), GCX_FOUND);
  return number;
}

/* An assertion of Check's costs a system call: not one for each byte. */
static inline bool is_all(const void *p, size_t bytes, unsigned char value)
{
  const unsigned char *at = p;

  for (size_t i = 0; i < bytes; i++)
    if (at[i] != value)
      return false;
  return true;
}

static inline bool is_zero(const void *p, size_t bytes)
{
  return is_all(p, bytes, 0);
}

/* A pointer that the compiler knows nothing about. */
static inline void *opaque(void *p)
{
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

static inline size_t opaque_size(size_t n)
{
  __asm__ volatile("" : "+r"(n));
  return n;
}

#endif
