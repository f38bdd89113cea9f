/* SPDX-License-Identifier: MIT */
/*
 * finding.h - from what a collection found to reports
 */
#ifndef GCX_FINDING_H
#define GCX_FINDING_H

#include "batch.h"

/* Deal with one batch as leak= says: report it, or dispose it. On the finalizer
 * thread, or on the thread that asks where there is none. */
void gcx__finding_process(struct gcx__batch *b);

/* Abandoned objects dealt with since start. */
size_t gcx__finding_count(void);
void gcx__finding_add(size_t n); /* that were dealt with elsewhere */

/* exit_check=undisposed: report every live object whose disposal is owed;
 * their number. */
size_t gcx__finding_undisposed(void);

/* leak=dispose: a pool's function that takes back what it has lent; false: it
 * can't. Set by pool.c. */
extern bool (*gcx__finding_on_lent)(uint32_t number);

/* Is the calling thread disposing what was lost? */
bool gcx__finding_is_disposing(void);

#endif
