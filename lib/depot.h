/* SPDX-License-Identifier: MIT */
/*
 * depot.h - interned stacks: the same return addresses give the same 32-bit id
 *
 * Entries are never freed; a hit takes no lock and no memory. Id 0 is "no
 * stack". Ids are given in ascending order.
 */
#ifndef GCX_DEPOT_H
#define GCX_DEPOT_H

#include "assert.h"

/* Id of @pcs[0..n), n >= 1; 0 if no memory can be had. */
uint32_t gcx__depot_put(const uintptr_t *pcs, size_t n);

/* The stack of @id; 0 frames and NULL for 0 or an id that was never given.
 * @ret_epoch: gcx__modules_epoch() when it was first put. */
size_t gcx__depot_get(uint32_t id, const uintptr_t **ret_pcs,
                      uint32_t *ret_epoch);

/* A library was unloaded: stacks that pass through [low, high) are never given
 * out again for new captures (they keep their id and their meaning). */
void gcx__depot_retire(uintptr_t low, uintptr_t high);

size_t gcx__depot_count(void); /* stacks interned */
size_t gcx__depot_bytes(void); /* memory taken */
bool gcx__depot_check(void);   /* invariants, for tests and deep checks */

#endif
