/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim-hints.h - what has nothing to do without a collector
 *
 * Not for direct use: the other headers include it where GCX_DISABLE is
 * defined. These functions tell the collector or the reports something that
 * changes nothing for the program; without either they do nothing, and the
 * program that calls them means the same. No report is ever made, so no handler
 * is ever called.
 */
#ifndef GCX_SHIM_HINTS_H
#define GCX_SHIM_HINTS_H
#ifdef GCX_DISABLE

#include <gcx/report.h>
#include <gcx/visibility.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- objects */

static inline void gcx_suppress_finalize(void *p)
{
  (void)p;
}

static inline void gcx_reregister_finalize(void *p)
{
  (void)p;
}

static inline void gcx_keep_alive(const void *p)
{
  __asm__ volatile("" : : "r"(p) : "memory");
}

static inline void gcx_touch(const void *p, const char *hint)
{
  (void)p;
  (void)hint;
}

/* ---- the collector */

static inline void gcx_init(void)
{
}

__attribute__((format(printf, 1, 2))) static inline void gcx_breadcrumb(
    const char *fmt, ...)
{
  (void)fmt;
}

static inline void gcx_fork_adopt(void)
{
}

static inline bool gcx_shutting_down(void)
{
  return false; /* nothing happens at exit */
}

static inline int gcx_root_add(void *start, size_t bytes)
{
  return start == NULL || bytes == 0 ? -EINVAL : 0;
}

static inline void gcx_root_remove(void *start, size_t bytes)
{
  (void)start;
  (void)bytes;
}

/* ---- findings: there are none */

static inline const char *gcx_report_id(const struct gcx_report *r)
{
  (void)r;
  return "";
}

static inline const char *gcx_report_type(const struct gcx_report *r)
{
  (void)r;
  return NULL;
}

static inline size_t gcx_report_bytes(const struct gcx_report *r)
{
  (void)r;
  return 0;
}

static inline size_t gcx_report_count(const struct gcx_report *r)
{
  (void)r;
  return 0;
}

static inline const void *gcx_report_object(const struct gcx_report *r)
{
  (void)r;
  return NULL;
}

static inline size_t gcx_report_stack(const struct gcx_report *r, int which,
                                      void *const **ret_frames)
{
  (void)r;
  (void)which;
  (void)ret_frames;
  return 0;
}

static inline int gcx_report_print(const struct gcx_report *r, int fd,
                                   int format)
{
  (void)r;
  (void)fd;
  (void)format;
  return -EINVAL;
}

static inline int gcx_handler_add(gcx_report_fn fn, void *arg)
{
  (void)arg;
  return fn == NULL ? -EINVAL : 0;
}

static inline void gcx_handler_remove(gcx_report_fn fn, void *arg)
{
  (void)fn;
  (void)arg;
}

static inline void gcx_on_report(const struct gcx_report *r)
{
  (void)r;
}

#ifdef __cplusplus
}
#endif

#endif
#endif
