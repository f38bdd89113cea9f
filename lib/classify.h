/* SPDX-License-Identifier: MIT */
/*
 * classify.h - direct or indirect: which lost objects are held only by others
 */
#ifndef GCX_CLASSIFY_H
#define GCX_CLASSIFY_H

#include "batch.h"

struct gcx__lost {
  uint32_t number;
  uint32_t head; /* index of the direct one that it was reached from; its own
                    index if it is direct; GCX__LOST_LATE */
  uint32_t rank; /* under leak=dispose: what refers before what it refers to;
                    unknown: UINT32_MAX */
};
#define GCX__LOST_LATE UINT32_MAX /* held by what was found earlier */

/* One entry per object of @b that is still lost, in vm memory, oldest first, late
 * ones last; to be given to gcx__vm_unmap() with gcx__classify_bytes(). NULL
 * without memory.
 * *@ret_count: entries. Without memory for the graph all count as direct. */
struct gcx__lost *gcx__classify(const struct gcx__batch *b, size_t *ret_count);
size_t gcx__classify_bytes(const struct gcx__batch *b);

#endif
