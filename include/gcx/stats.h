/* SPDX-License-Identifier: MIT */
/*
 * gcx/stats.h - numbers: collections, pauses, objects, memory
 *
 *   struct gcx_stats s;
 *   gcx_stats_read(&s);
 *   printf("%llu collections, longest pause %llu us\n", s.collections,
 *          s.pause_max_ns / 1000);
 */
#ifndef GCX_STATS_H
#define GCX_STATS_H

#include <gcx/visibility.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_type;

struct gcx_stats {
  uint64_t collections;     /* since gcx started */
  uint64_t pauses;          /* times that the world was stopped */
  uint64_t pause_total_ns;  /* from the first thread told to the last resumed */
  uint64_t pause_max_ns;    /* the longest */
  uint64_t pause_last_ns;   /* the latest */
  uint64_t induced;         /* collections that pressure asked for */
  uint64_t induced_ns;      /* spent in them */
  uint64_t objects_live;    /* tracked and not disposed */
  uint64_t bytes_live;      /* theirs */
  uint64_t objects_ended;   /* tracked, disposed, and still in memory */
  uint64_t abandoned;       /* found lost since start */
  uint64_t pressure_bytes;  /* see gcx/pressure.h */
  uint64_t heap_bytes;      /* the collector's heap */
  uint64_t heap_free_bytes; /* of that, free */
  uint64_t private_bytes;   /* of the process, resident and shared with nobody;
                               0 if the system does not tell */
};

/* What is known of the objects of one type, or of plain memory. */
struct gcx_type_stats {
  uint64_t live;
  uint64_t live_bytes;
  uint64_t disposed;  /* since start, in whatever way */
  uint64_t abandoned; /* since start */
};

/**
 * gcx_stats_read - numbers of the whole process
 * @ret_stats: receives them
 *
 * Looks at every record, and has the system look at every page (private_bytes):
 * milliseconds for a large process, not for every request of a server.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_stats_read(struct gcx_stats *ret_stats);

/**
 * gcx_stats_read_type - numbers of one type
 * @type:      a type; objects of types that have it as base do not count. NULL:
 *             memory without a type
 * @ret_stats: receives them; zeroes for a type that was never used
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @type
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_stats_read_type(const struct gcx_type *type,
                                 struct gcx_type_stats *ret_stats);

/* @name: of the type; "plain memory" without one. Both end with the call. */
typedef void (*gcx_stats_type_fn)(const char *name,
                                  const struct gcx_type_stats *stats,
                                  void *arg);

/**
 * gcx_stats_visit_types - numbers of each type there is
 * @fn:  called once for each type of which there has been an object
 * @arg: passed to it
 *
 * Also those that have no struct gcx_type of the program's: plain memory, kinds of
 * handle, streams and blocks of a program with gcx/malloc.h.
 *
 * Return:    0
 * Errors:    -ENOMEM: @fn was not called
 * Fatal:     none
 * Ownership: none
 * Threads:   any thread; no lock is held while @fn runs; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_stats_visit_types(gcx_stats_type_fn fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
