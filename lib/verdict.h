/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - checks on demand, and what they are worth
 */
#ifndef GCX_VERDICT_H
#define GCX_VERDICT_H

#include "../include/gcx/collector.h"
#include "assert.h"

/* Full collection; what was found is queued. Of the calling thread's stack what
 * lies above @sp counts, and @registers. */
void gcx__verdict_collect(uintptr_t sp, const uintptr_t *registers, size_t n);
/* The same from the caller on. */
void gcx__verdict_collect_here(void);

/* Canaries lost on purpose: before a collection, and after it: were they found? */
void gcx__verdict_lose_canaries(void);
bool gcx__verdict_canaries_found(void);

/* Why nothing can be said about the time since start; NULL: it can. Also looks
 * after hooks that the program has replaced. */
const char *gcx__verdict_obstacle(void);

/* In the child of a fork: what was found before is the parent's. */
void gcx__verdict_after_fork(void);

#endif
