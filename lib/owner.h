/* SPDX-License-Identifier: MIT */
/*
 * owner.h - ownership as the collection sees it
 */
#ifndef GCX_OWNER_INTERNAL_H
#define GCX_OWNER_INTERNAL_H

#include "../include/gcx/owner.h"
#include "marker.h"

/* Has anything been owned so far? If not, there are no edges. Stopped. */
bool gcx__owner_any(void);

/* Edges of one object that has become marked. Stopped. */
void gcx__owner_edges(struct gcx__marker *m, void *base);

/* Mark what marked owners hold, and what that reaches. Stopped. */
void gcx__owner_mark(struct gcx__marker *m);

#endif
