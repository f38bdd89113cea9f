/* SPDX-License-Identifier: MIT */
/*
 * freed.h - blocks that free() ended, on their way to be used again
 *
 * First in, first out, and no cell comes out before FREED_KEPT more of its size
 * have gone in: until then a second free() is recognised. Queues hold record
 * numbers, off the heap: a program that writes to a freed block can't spoil them.
 *
 *   cells of at most GCX__CELLS_MAX bytes   a ring for each size, of one thread:
 *                                           no lock, no collector
 *   larger ones                             one queue for all, under a lock, as
 *                                           many as fit into FREED_BYTES_MAX
 */
#ifndef GCX_FREED_H
#define GCX_FREED_H

#include "cells.h"
#include "record.h"
#include "thread.h"

#define GCX__FREED_KEPT 1000 /* frees of a size before one is used again */
#define GCX__FREED_RING 1024 /* a power of two */

struct gcx__freed_ring {
  uint32_t *numbers; /* GCX__FREED_RING of them; NULL before the first */
  uint32_t head;     /* [head, tail), modulo 2^32 */
  uint32_t tail;
};

/* Of one thread. */
struct gcx__freed {
  struct gcx__freed_ring ring[GCX__CELLS_CLASSES]; /* [granules of the cell] */
};

/* May one come out? */
static inline bool gcx__freed_is_ripe(const struct gcx__freed_ring *r)
{
  return r->tail - r->head > GCX__FREED_KEPT;
}

/* The oldest; it stays on the ring, and so with the collector, until it is taken
 * off. Only of a ring that is ripe. */
static inline uint32_t gcx__freed_oldest(const struct gcx__freed_ring *r)
{
  return r->numbers[r->head % GCX__FREED_RING];
}

static inline void gcx__freed_remove(struct gcx__freed_ring *r)
{
  __atomic_store_n(&r->head, r->head + 1, __ATOMIC_RELEASE);
}

static inline bool gcx__freed_is_full(const struct gcx__freed_ring *r)
{
  return r->tail - r->head == GCX__FREED_RING;
}

/* Only onto a ring that has room. */
static inline void gcx__freed_add(struct gcx__freed_ring *r, uint32_t number)
{
  r->numbers[r->tail % GCX__FREED_RING] = number;
  __atomic_store_n(&r->tail, r->tail + 1, __ATOMIC_RELEASE);
}

/* Ring of @t for cells of @granules, made if need be; NULL without memory. */
struct gcx__freed_ring *gcx__freed_ring(struct gcx__thread *t, size_t granules);

/* A large block goes in; the caller ends what comes out by gcx__object_free(),
 * holding on to *ret_object: off the queue, nothing else keeps it. Call until it
 * is 0, with @number 0 from the second time on. */
uint32_t gcx__freed_swap(uint32_t number, size_t cell_bytes, void **ret_object);

/* The thread ends, or has vanished in a fork, or is the only one of a child, or
 * begins a critical finalizer, which is to be given nothing: what it has freed is
 * left to the collector. */
void gcx__freed_drop(struct gcx__thread *t);
void gcx__freed_after_fork(void); /* the large ones */

/* Stopped: what is queued stays. */
void gcx__freed_mark_all(void);

#endif
