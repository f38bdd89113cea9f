/* SPDX-License-Identifier: MIT */
/*
 * type.h - types that objects were made of, numbered
 */
#ifndef GCX_TYPE_TABLE_H
#define GCX_TYPE_TABLE_H

#include "../include/gcx/type.h"
#include "assert.h"

/* Number of @type, given at its first use; 0 if there is no memory. A hit takes
 * no lock. The shared object that defines it stays mapped from then on. */
uint32_t gcx__type_number(const struct gcx_type *type);

/* The shared object that @data lies in stays mapped from now on. */
void gcx__type_pin(const void *data);

/* What a redirected malloc() returns; see block.c. */
extern const struct gcx_type gcx__type_block;

/* The same, 0 if it was never used. */
uint32_t gcx__type_known(const struct gcx_type *type);

/* The highest number given so far. */
uint32_t gcx__type_last(void);

/* What happens to objects of a type, counted; @number 0: plain memory. Objects of
 * plain memory, and blocks, that end the quick way are counted elsewhere:
 * gcx__thread_count_ended(). */
enum gcx__type_count { GCX_TYPE_COUNT_DISPOSED, GCX_TYPE_COUNT_ABANDONED };
void gcx__type_count_up(uint32_t number, enum gcx__type_count which);
uint64_t gcx__type_count(uint32_t number, enum gcx__type_count which);

/* NULL for 0. */
const struct gcx_type *gcx__type_at(uint32_t number);

/* NULL if @type can be used, else what is wrong with it. */
const char *gcx__type_fault(const struct gcx_type *type);

/* Does a type of the chain have one? */
bool gcx__type_has_dispose(const struct gcx_type *type);

#endif
