/* SPDX-License-Identifier: MIT */
/*
 * symbolize.h - functions, files and lines of code addresses, from the helper
 *               process gcx-symbolize
 *
 * A batch: add the stacks that are about to be printed, run (the helper is
 * started if an address is new), then ask frame by frame. Answers are kept for
 * later batches: an address is asked once. What is not known after
 * gcx__symbolize_run() stays module+offset, and gcx__symbolize_problem() says
 * why. One user at a time: the caller holds the lock of who prints.
 */
#ifndef GCX_SYMBOLIZE_H
#define GCX_SYMBOLIZE_H

#include "modules.h"

/* A function that was executing at an address. Several, innermost first, if
 * functions were inlined there. Strings live until the next batch begins. */
struct gcx__source {
  const char *function; /* "" if not known */
  const char *file;     /* "" if not known */
  uint32_t line;
  bool inlined; /* into the next one */
};

void gcx__symbolize_init(void);       /* memory; the helper's path */
void gcx__symbolize_after_fork(void); /* the child tries again */

void gcx__symbolize_begin(void);
void gcx__symbolize_add(uint32_t site); /* the stack of the depot; 0: nothing */
void gcx__symbolize_run(void);          /* at most symbolize_ms */

/* The @i-th source frame of the return address @pc; false: there is none. */
bool gcx__symbolize_get(uintptr_t pc, uint32_t epoch, size_t i,
                        struct gcx__source *ret_source);

/* One clause about why the last run left addresses unasked, "" if it didn't. */
const char *gcx__symbolize_problem(void);

/* For tests: helpers started and addresses sent by this process. */
struct gcx__symbolize_stats {
  uint64_t helpers;
  uint64_t asked;
};
void gcx__symbolize_stats(struct gcx__symbolize_stats *ret_stats);

#endif
