/* SPDX-License-Identifier: MIT */
/*
 * crew.h - work of a stop, shared with a thread of gcx's own
 *
 * The finalizer thread sleeps where a collection neither stops it nor waits for
 * it. While it does, it takes a part of what would keep the world stopped for
 * long. Nobody waits for it to wake: what it does not take, the caller does.
 */
#ifndef GCX_CREW_H
#define GCX_CREW_H

#include "assert.h"

/* Called once for each piece, by one thread or the other, in any order. */
typedef void (*gcx__crew_fn)(size_t piece);

/* All @pieces, before it returns. Callers exclude each other: the collector's
 * lock. No allocation, no lock. */
void gcx__crew_run(gcx__crew_fn fn, size_t pieces);

/* The thread that helps: from now on it sleeps on @bed; NULL: no more. */
void gcx__crew_rest(uint32_t *bed);
/* Woken up: is there something to do? Then it is done. */
bool gcx__crew_help(void);

void gcx__crew_after_fork(void); /* the child has no such thread */

#endif
