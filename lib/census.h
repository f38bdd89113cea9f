/* SPDX-License-Identifier: MIT */
/*
 * census.h - live objects by type and stack, between the files that count, print
 *            and ask
 */
#ifndef GCX_CENSUS_INTERNAL_H
#define GCX_CENSUS_INTERNAL_H

#include "../include/gcx/census.h"
#include "assert.h"

struct gcx__census_row {
  uint32_t type; /* gcx__type_at() */
  uint32_t site;
  int64_t count;
  int64_t bytes;
  uint64_t oldest_ms;
  uint64_t newest_ms;
};

/* In collected memory that is not scanned: rows follow. */
struct gcx_census {
  uint64_t signature;
  uint64_t at_ms; /* since start */
  bool is_difference;
  size_t rows;
  struct gcx__census_row row[];
};

/* Rows in the making, in vm memory, found through a table. */
struct gcx__census_set {
  struct gcx__census_row *rows;
  size_t count;
  size_t capacity;
  uint32_t *slots; /* 1 + index */
  size_t slot_count;
};

bool gcx__census_set_init(struct gcx__census_set *s);
void gcx__census_set_fini(struct gcx__census_set *s);
/* The row of (@type, @site), made if there is none; NULL: no memory. */
struct gcx__census_row *gcx__census_set_row(struct gcx__census_set *s,
                                            uint32_t type, uint32_t site);
/* Count one object. */
bool gcx__census_set_add(struct gcx__census_set *s, uint32_t number,
                         uint64_t now_ms);
/* Most bytes first. */
void gcx__census_set_sort(struct gcx__census_set *s);

/* Every live object for which @wants says so (NULL: all). */
bool gcx__census_count(struct gcx__census_set *s,
                       bool (*wants)(uint32_t number, void *arg), void *arg);
/* How many there are; needs no memory. */
size_t gcx__census_count_only(bool (*wants)(uint32_t number, void *arg),
                              void *arg);

/* @fd -1: the log of the reports. */
int gcx__census_write(const struct gcx__census_row *rows, size_t n,
                      const char *what, bool signs, int fd, int format);

/* census= at exit. */
void gcx__census_at_exit(void);

/* census_signal: once at start, and when a thread allocates for the first time
 * (the child of a fork has none of the threads). */
void gcx__census_signal_init(void);
void gcx__census_signal_ensure(void);
void gcx__census_signal_after_fork(void);

#endif
