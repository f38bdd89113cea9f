/* SPDX-License-Identifier: MIT */
/*
 * report.h - one finding, from any module, to text, JSON Lines and handlers
 *
 * Knows no object: whoever has a finding fills a struct gcx_report with values
 * and calls gcx__report(). What happens then (print, count, abort, exit status)
 * is decided here and nowhere else.
 */
#ifndef GCX_REPORT_H
#define GCX_REPORT_H

#include "../include/gcx/report.h"
#include "assert.h"

enum gcx__report_id {
  GCX_REPORT_LEAK,              /* GCX-LEAK */
  GCX_REPORT_USE_AFTER_DISPOSE, /* GCX-USE-AFTER-DISPOSE */
  GCX_REPORT_DOUBLE_DISPOSE,    /* GCX-DOUBLE-DISPOSE */
  GCX_REPORT_FD_OWNER,          /* GCX-FD-OWNER */
  GCX_REPORT_EXHAUSTED,         /* GCX-EXHAUSTED: out of descriptors, and lost
                                   objects hold some */
  GCX_REPORT_OVER_RELEASE,      /* GCX-OVER-RELEASE */
  GCX_REPORT_DOUBLE_FREE,       /* GCX-DOUBLE-FREE */
  GCX_REPORT_BAD_POINTER,       /* GCX-BAD-POINTER */
  GCX_REPORT_CORRUPT,           /* GCX-CORRUPT */
  GCX_REPORT_FALSE,             /* GCX-FALSE-REPORT: an object that was reported
                                   as lost has been used: the report was false */
  GCX_REPORT_UNDISPOSED,        /* GCX-UNDISPOSED: exit_check=undisposed, still
                                   reachable at exit */
  GCX_REPORT_POOL_RETURN, /* GCX-POOL-RETURN: given back to a pool that has not
                             lent it */
  GCX_REPORT_POOL_OUTSTANDING, /* GCX-POOL-OUTSTANDING: still taken when its
                                  pool is disposed */
  GCX_REPORT_CRITICAL_ALLOC,   /* GCX-CRITICAL-ALLOC: by a critical finalizer */
  GCX_REPORT_FINALIZER_LEFT,   /* GCX-FINALIZER-LEFT: not by returning */
  GCX_REPORT_FINALIZER_CRASH,  /* GCX-FINALIZER-CRASH: a signal ends the
                                   process while it runs */
  GCX_REPORT_SLOW_FINALIZER,   /* GCX-SLOW-FINALIZER: slow_finalizer_ms */
  GCX_REPORT_ID_COUNT
};

/* A moment of the run. */
struct gcx__moment {
  uint32_t ms;         /* since start */
  uint64_t collection; /* collections completed by then */
  char breadcrumb[96]; /* latest at that moment, "" if none */
};

struct gcx__touch {
  uint32_t site;
  uint32_t ms;
  uint32_t tid;
  char hint[64];
};
#define GCX__REPORT_TOUCHES 4

/* All strings are copies or static; 0 and "" mean unknown. */
struct gcx_report {
  enum gcx__report_id id;
  const char *type_name; /* NULL: plain memory */
  bool is_block;         /* memory of a redirected malloc() */
  const char *ended_by;  /* "fclose": no object of gcx's, but a stream of libc's
                            or a descriptor, which that function ends */
  const void *object;    /* one of them; the pointer in question */
  size_t bytes;          /* size of that one */
  size_t count;          /* objects of this finding, direct ones */
  size_t total_bytes;    /* of those */
  size_t indirect_count; /* held only by them */
  size_t indirect_bytes;
  char description[256]; /* what the type's describe said */
  char detail[256];      /* one more sentence: "points 16 bytes into ..." */

  uint32_t birth_site;
  uint32_t birth_ms;
  uint32_t birth_tid;
  char birth_thread[16]; /* its name */
  uint32_t dispose_site; /* where it was disposed */
  uint32_t use_site;     /* where the misuse happened */
  uint32_t use_tid;

  bool is_lent;    /* by a pool: born is when it was taken */
  bool finalized;  /* USE_AFTER_DISPOSE: not disposed, but finalized */
  bool has_window; /* lost after @last_seen, before @gone */
  struct gcx__moment last_seen;
  struct gcx__moment gone;
  size_t touches;
  struct gcx__touch touch[GCX__REPORT_TOUCHES]; /* latest first */
};

/* The stack of a site as reports show it: without gcx's own frames. */
size_t gcx__report_stack(uint32_t site, const uintptr_t **ret_pcs,
                         uint32_t *ret_epoch);

const char *gcx__report_name(enum gcx__report_id id); /* "GCX-LEAK" */

/*
 * Hand @n findings of one occasion over: handlers, then the log, then policy.
 * Returns if policy lets the program go on; otherwise prints one report per
 * process (other threads that come here park) and aborts. Allocates nothing
 * from the program's heap and waits for no lock of the program's.
 * @fatal_allowed false: the verdict is not certain; reported, never fatal.
 */
void gcx__report(const struct gcx_report *reports, size_t n,
                 bool fatal_allowed);

/* Is a finding of this kind fatal under the options in force? */
bool gcx__report_is_fatal(enum gcx__report_id id);

/* Findings reported so far that make the exit status (leak=exit and misuse). */
size_t gcx__report_count(void);

/* Closing line, "SUMMARY: gcx: ...", for everything reported since the last one;
 * nothing if there was nothing. */
void gcx__report_summary(void);

/* A note in the log beside findings: what could not be checked, and why. */
void gcx__report_note(const char *fmt, ...) GCX_PRINTF(1, 2);

struct gcx__out;

/* A listing beside findings, to @fd (-1: the log): functions and lines of the
 * sites that @site names for 0..n-1 are looked up, then @write writes, while
 * nobody else does. False: it could not be written. */
bool gcx__report_list(int fd, size_t n, uint32_t (*site)(size_t i, void *arg),
                      void (*write)(struct gcx__out *o, void *arg), void *arg);

void gcx__report_init(void); /* after the options: where the log is */

void gcx__report_after_fork(void); /* in the child: own log file, no claim */

#endif
