/* SPDX-License-Identifier: MIT */
/*
 * owner.h - ownership as the collection sees it
 */
#ifndef GCX_OWNER_INTERNAL_H
#define GCX_OWNER_INTERNAL_H

#include "../include/gcx/owner.h"
#include "marker.h"
#include "record.h"

/* Has anything been owned so far? If not, there are no edges. Stopped. */
bool gcx__owner_any(void);

/* Edges of one object that has become marked. Stopped. */
void gcx__owner_edges(struct gcx__marker *m, void *base);

/* Mark what marked owners hold, and what that reaches. Stopped. */
void gcx__owner_mark(struct gcx__marker *m);

/* Stopped: does an owner of @number, or an owner of its owner, end by its disposal
 * (@ends), and this with it? @stop: number of the stop. Linear for all together. */
bool gcx__owner_ends_it(uint32_t number, uint32_t stop,
                        bool (*ends)(uint32_t owner));

/* Stopped: does @number own an object in @state? */
bool gcx__owner_has(uint32_t number, enum gcx__state state);

/* Of a lost object: what will end it? */
enum gcx__heir {
  GCX_HEIR_FREE, /* it has no owner */
  GCX_HEIR_OF_LOST,
  GCX_HEIR_OF_OTHER /* the owner is not lost: finalized, or optional */
};
enum gcx__heir gcx__owner_heir(uint32_t number);

#endif
