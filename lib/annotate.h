/* SPDX-License-Identifier: MIT */
/*
 * annotate.h - blocks of the program's own allocators; for tests
 */
#ifndef GCX_ANNOTATE_INTERNAL_H
#define GCX_ANNOTATE_INTERNAL_H

#include "assert.h"

/* Entries there are: blocks that were taken, returned or not, and whose region
 * has not ended. */
size_t gcx__annotate_count(void);

#endif
