/* SPDX-License-Identifier: MIT */
/*
 * reports.h - findings made by hand, and what is printed of them without what
 *             differs from run to run
 */
#ifndef GCX_TESTS_REPORTS_H
#define GCX_TESTS_REPORTS_H

#include "report.h"

#include <stdlib.h>

#include "check_main.h"
#include "death.h"
#include "depot.h"
#include "modules.h"
#include "options.h"
#include "platform.h"

#define TEXT_BYTES ((size_t)256 * 1024)

/* Functions whose addresses are in the stacks, each on one line that is known;
 * bodies differ, or the compiler makes one of them. */
#define STACK_FUNCTION(name, n)                          \
  enum { name##_line = __LINE__ };                       \
  __attribute__((noinline, used)) static int name(int x) \
  {                                                      \
    return x + (n);                                      \
  }                                                      \
  enum { name##_is_a_stack_function }

STACK_FUNCTION(conn_open, 1);
STACK_FUNCTION(conn_close, 2);
STACK_FUNCTION(conn_read, 3);

/* A stack of one frame: what returned to just behind the function's start. */
static inline uint32_t site_in(int (*fn)(int))
{
  uintptr_t pc = (uintptr_t)fn + 1;
  uint32_t site = gcx__depot_put(&pc, 1);

  ck_assert_uint_ne(site, 0);
  return site;
}

/* ---- reports made by hand */

static inline struct gcx_report conn_report(enum gcx__report_id id)
{
  struct gcx_report r = {
    .id = id,
    .type_name = "struct conn",
    .object = (const void *)(uintptr_t)0x7f0000001000,
    .bytes = 48,
    .count = 1,
    .total_bytes = 48,
    .description = "peer 127.0.0.1:80",
    .birth_site = site_in(conn_open),
    .birth_ms = 12,
    .birth_tid = 4711,
    .birth_thread = "main",
  };
  return r;
}

static inline struct gcx_report leak_report(void)
{
  struct gcx_report r = conn_report(GCX_REPORT_LEAK);

  r.has_window = true;
  r.last_seen = (struct gcx__moment){ 12031, 41, "parse header" };
  r.gone = (struct gcx__moment){ 12044, 42, "" };
  return r;
}

static inline struct gcx_report misuse_report(enum gcx__report_id id,
                                              const char *detail)
{
  struct gcx_report r = conn_report(id);

  r.use_site = site_in(conn_read);
  r.use_tid = 4712;
  (void)snprintf(r.detail, sizeof(r.detail), "%s", detail);
  return r;
}

/* ---- what was printed, without what differs from run to run */

static char printed[TEXT_BYTES];

static inline const char *print(const struct gcx_report *r, int format)
{
  int fd = memfd_create("report", MFD_CLOEXEC);

  ck_assert_int_eq(gcx_report_print(r, fd, format), 0);
  death_read(fd, printed, sizeof(printed));
  ck_assert_int_eq(close(fd), 0);
  return printed;
}

/* One line of a stack: directories, offsets and build-ids are not the point. */
static inline void scrub_frame(const char *line, char *to, size_t bytes)
{
  const char *file = strstr(line, "reports.h:");
  const char *offset = strstr(line, "+0x");
  int head = (int)(strcspn(line, "#") + strcspn(strchr(line, '#'), " "));

  if (offset != NULL)
    (void)snprintf(to, bytes, "%.*s MODULE+0xOFFSET%s\n", head, line,
                   strstr(line, "(BuildId ") != NULL ? " (BuildId ID)" : "");
  else if (file != NULL)
    (void)snprintf(to, bytes, "%.*s %s",
                   (int)strcspn(line + head + 1, " ") + head + 1, line, file);
  else
    (void)snprintf(to, bytes, "%s", line);
}

static inline const char *scrub(const char *text)
{
  static char result[TEXT_BYTES], pid[32], line[4096];
  size_t used = 0;

  (void)snprintf(pid, sizeof(pid), "==%d== ", (int)getpid());
  while (*text != '\0') {
    size_t n = strcspn(text, "\n") + 1;

    (void)snprintf(line, sizeof(line), "%.*s", (int)n, text);
    if (strncmp(line, pid, strlen(pid)) == 0)
      (void)snprintf(result + used, sizeof(result) - used, "==PID== %s",
                     line + strlen(pid));
    else if (strncmp(line, "    #", 5) == 0)
      scrub_frame(line, result + used, sizeof(result) - used);
    else
      (void)snprintf(result + used, sizeof(result) - used, "%s", line);
    used += strlen(result + used);
    text += n;
  }
  return result;
}

/* A frame as the helper finds it. */
#define FRAME(fn) "    #0 " #fn " reports.h:%d\n"
#define RAW_FRAME "    #0 MODULE+0xOFFSET (BuildId ID)\n"

/* @want is a format for the lines of the functions, in order. */
static inline void text_is(const struct gcx_report *r, const char *want,
                           int line1, int line2, int line3)
{
  static char expected[TEXT_BYTES];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  (void)snprintf(expected, sizeof(expected), want, line1, line2, line3);
#pragma GCC diagnostic pop
  ck_assert_str_eq(scrub(print(r, GCX_FORMAT_TEXT)), expected);
}

static inline void setup(void)
{
  gcx__platform_init();
  gcx__modules_init();
  gcx__options_defaults(&gcx__opt, true);
  gcx__options_finish(&gcx__opt);
  if (getenv("GCX_SYMBOLIZER") == NULL)
    ck_assert_int_eq(setenv("GCX_SYMBOLIZER", "tools/gcx-symbolize", 1), 0);
  gcx__report_init();
}

#endif
