/* SPDX-License-Identifier: MIT */
/*
 * memory.h - all the program's memory as roots (roots=all)
 */
#ifndef GCX_MEMORY_H
#define GCX_MEMORY_H

#include "assert.h"

/* Not a root, as long as the process lives. Any thread, at any time, also before
 * constructors have run; waits for nothing. */
void gcx__memory_exclude(uintptr_t low, uintptr_t high);

void gcx__memory_reserve(void); /* before a stop */

/* In the stop: scans (words.h) all resident private memory but dead stack, gcx's
 * and bdwgc's own. False if some can't be told. */
bool gcx__memory_scan(void);

#endif
