/* SPDX-License-Identifier: MIT */
/*
 * weak.h - weak references as other modules see them
 */
#ifndef GCX_WEAK_INTERNAL_H
#define GCX_WEAK_INTERNAL_H

#include "../include/gcx/weak.h"
#include "assert.h"

void gcx__weak_init(void); /* hangs its steps into the termination phase */

/* The object at @old is at @now from here on; NULL: its memory goes back. */
void gcx__weak_follow(void *old, void *now);

/* References alive, and memory for so many, for tests. */
size_t gcx__weak_count(void);
size_t gcx__weak_cells(void);
void gcx__weak_check(void); /* tests: every chain is whole */

#endif
