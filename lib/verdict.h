/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - checks on demand, and what they are worth
 */
#ifndef GCX_VERDICT_H
#define GCX_VERDICT_H

#include "../include/gcx/collector.h"
#include "assert.h"

/* Full collection with a clean stack; what was found is queued. */
void gcx__verdict_collect(void);

/* Canaries lost on purpose: before a collection, and after it: were they found? */
void gcx__verdict_lose_canaries(void);
bool gcx__verdict_canaries_found(void);

/* Why nothing can be said about the time since start; NULL: it can. Also looks
 * after hooks that the program has replaced. */
const char *gcx__verdict_obstacle(void);

#endif
