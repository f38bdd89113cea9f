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

/* What gcx_handler_add() takes: called for each finding, with the @arg that was
 * given there. It may not keep @r. */
typedef void (*gcx_report_fn)(const struct gcx_report *r, void *arg);

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */

/**
 * gcx_report_id - which kind of finding
 * @r: the report a handler was called with
 *
 * Stable: scripts and handlers may compare it. docs/reports.md explains each.
 *
 * Return:    a static string: "GCX-LEAK"
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @r; the string is gcx's
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API const char *gcx_report_id(const struct gcx_report *r);

/**
 * gcx_report_type - name of the object's type
 * @r: the report a handler was called with
 *
 * Return:    struct gcx_type's name; NULL for plain memory, or if unknown
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @r; the string is the type's
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API const char *gcx_report_type(const struct gcx_report *r);

/**
 * gcx_report_bytes - size of all objects of the finding
 * @r: the report a handler was called with
 *
 * As they were asked for, without objects that are held only by them.
 *
 * Return:    bytes; 0 if unknown, or of a stream or descriptor
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @r
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_report_bytes(const struct gcx_report *r);

/**
 * gcx_report_count - number of objects of the finding
 * @r: the report a handler was called with
 *
 * Findings of one collection with the same type and the same allocation stack
 * are one report.
 *
 * Return:    objects; 0 for a leak of objects that only other lost objects hold
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @r
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_report_count(const struct gcx_report *r);

/**
 * gcx_report_object - one of the objects
 * @r: the report a handler was called with
 *
 * A lost object is kept whole, with all it refers to: the handler may look at
 * it. Disposing or using it later says that it was not lost after all
 * (GCX-FALSE-REPORT).
 *
 * Return:    the object (of a FILE or DIR of gcx/malloc.h: that, still open); for GCX-BAD-POINTER the pointer in question
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows the object, until the handler returns
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API const void *gcx_report_object(const struct gcx_report *r);

/**
 * gcx_report_stack - return addresses of a stack of the report
 * @r:          the report a handler was called with
 * @which:      GCX_STACK_BIRTH, GCX_STACK_DISPOSE or GCX_STACK_USE
 * @ret_frames: where the address of the first one goes, innermost first; readable
 *              for the rest of the process
 *
 * Return:    number of frames; 0 if there is no such stack
 * Errors:    0 and *@ret_frames untouched for a stack that was not recorded, and
 *            for any other @which
 * Fatal:     none
 * Ownership: borrows @r; the frames are gcx's
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_report_stack(const struct gcx_report *r, int which,
                                void *const **ret_frames);

/**
 * gcx_report_print - write a report to a file descriptor
 * @r:      the report a handler was called with
 * @fd:     an open file descriptor
 * @format: GCX_FORMAT_TEXT or GCX_FORMAT_JSON
 *
 * The same text as in the log, or one line of JSON; functions and lines are
 * looked up first.
 *
 * Return:    0, or a negative errno
 * Errors:    -EINVAL: @r is NULL, @fd negative or @format unknown; -EIO: it could not
 *            be written whole
 * Fatal:     none
 * Ownership: borrows @r and @fd
 * Threads:   the thread that runs the handler; in a signal handler: no
 * Allocates: not from the program's heap
 */
GCX_API int gcx_report_print(const struct gcx_report *r, int fd, int format);

/**
 * gcx_handler_add - call a function for every finding from now on
 * @fn:  the function; before the report is written to the log, in the order in
 *       which handlers were added
 * @arg: passed to it
 *
 * Handlers run on the thread that has the finding: gcx's finalizer thread for
 * lost objects, the calling thread for misuse. gcx holds no lock of its own
 * meanwhile; the handler may use gcx, and may add and remove handlers. After a
 * fatal finding the process ends when they have returned.
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM: there are 32 already; -EINVAL: @fn is NULL
 * Fatal:     none
 * Ownership: borrows @arg until gcx_handler_remove()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_handler_add(gcx_report_fn fn, void *arg);

/**
 * gcx_handler_remove - undo a gcx_handler_add()
 * @fn:  as given there
 * @arg: as given there
 *
 * One call undoes one call with the same arguments, the latest; others are
 * harmless. A finding that another thread has at that moment may still call it.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: gives @arg back
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_handler_remove(gcx_report_fn fn, void *arg);

/**
 * gcx_on_report - a place for a breakpoint
 * @r: the report
 *
 * Called once for every finding, after its handlers and before it is printed;
 * does nothing. (gdb) break gcx_on_report
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @r
 * Threads:   the thread that has the finding
 * Allocates: no
 */
GCX_API void gcx_on_report(const struct gcx_report *r);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-hints.h>
#endif

#endif
