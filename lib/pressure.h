/* SPDX-License-Identifier: MIT */
/*
 * pressure.h - collections that are asked for, and how much time they take
 */
#ifndef GCX_PRESSURE_INTERNAL_H
#define GCX_PRESSURE_INTERNAL_H

#include "../include/gcx/pressure.h"
#include "assert.h"

struct gcx__pressure_stats {
  uint64_t collections;
  uint64_t ns;      /* spent in them */
  uint64_t last_ns; /* in the latest */
  size_t bytes;     /* pressure now */
  size_t budget;    /* bytes that may be added before the next */
};
void gcx__pressure_read(struct gcx__pressure_stats *ret_stats);
void gcx__pressure_after_fork(void);

/* Is a no-GC region open? latency.c. */
bool gcx__latency_is_no_gc(void);
void gcx__latency_init(void);

#endif
