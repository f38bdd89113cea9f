/* SPDX-License-Identifier: MIT */
/*
 * gcx/report.h - findings: what gcx has to say about the program
 *
 * A report describes one finding: what kind (a stable id such as GCX-LEAK), the
 * object, how many of its kind, the stacks. The same report goes to the log as
 * text or JSON Lines and to every handler. Handlers run on the thread that
 * found it, usually gcx's finalizer thread; they may look and log, and they
 * can't cancel a fatal one.
 *
 *   static void on_report(const struct gcx_report *r, void *arg)
 *   {
 *     fprintf(arg, "%s: %zu bytes\n", gcx_report_id(r), gcx_report_bytes(r));
 *   }
 *   gcx_handler_add(on_report, stderr);
 */
#ifndef GCX_REPORT_PUBLIC_H
#define GCX_REPORT_PUBLIC_H

#include <gcx/visibility.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_report;

enum gcx_stack {
  GCX_STACK_BIRTH = 0,   /* where it was allocated */
  GCX_STACK_DISPOSE = 1, /* where it was disposed */
  GCX_STACK_USE = 2,     /* where the misuse happened, or it was last touched */
};

enum gcx_format { GCX_FORMAT_TEXT = 0, GCX_FORMAT_JSON = 1 };

typedef void (*gcx_report_fn)(const struct gcx_report *r, void *arg);

GCX_API const char *gcx_report_id(const struct gcx_report *r);
GCX_API const char *gcx_report_type(const struct gcx_report *r);
GCX_API size_t gcx_report_bytes(const struct gcx_report *r);
GCX_API size_t gcx_report_count(const struct gcx_report *r);
GCX_API const void *gcx_report_object(const struct gcx_report *r);
GCX_API size_t gcx_report_stack(const struct gcx_report *r, int which,
                                void *const **ret_frames);
GCX_API int gcx_report_print(const struct gcx_report *r, int fd, int format);

GCX_API int gcx_handler_add(gcx_report_fn fn, void *arg);
GCX_API void gcx_handler_remove(gcx_report_fn fn, void *arg);

/* A place for a breakpoint: called once for every finding, after its handlers
 * and before it is printed; does nothing. (gdb) break gcx_on_report */
GCX_API void gcx_on_report(const struct gcx_report *r);

#ifdef __cplusplus
}
#endif

#endif
