/* SPDX-License-Identifier: MIT */
/*
 * foreign.h - objects that bdwgc has queued for finalizers gcx knows nothing of
 *
 * They are unmarked when the termination phase runs and kept only afterwards.
 * Everything here runs with the collector's lock held, world running.
 */
#ifndef GCX_FOREIGN_H
#define GCX_FOREIGN_H

#include "assert.h"

void gcx__foreign_init(void);
void gcx__foreign_begin(void);       /* before a stop: forget the last ones */
void gcx__foreign_add(void *object); /* hook of bdw.h */
bool gcx__foreign_any(void);

/* Find what they reach; then ask. */
void gcx__foreign_trace(void);
bool gcx__foreign_reaches(const void *object); /* true also when unknown */

#endif
