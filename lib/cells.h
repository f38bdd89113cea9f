/* SPDX-License-Identifier: MIT */
/*
 * cells.h - per-thread caches of free cells and record numbers
 */
#ifndef GCX_CELLS_H
#define GCX_CELLS_H

#include "bdw.h"
#include "record.h"
#include "thread.h"

#define GCX__CELL_GRANULE 16
#define GCX__CELLS_MAX 512 /* bytes of the largest cell that is cached */
#define GCX__CELLS_CLASSES (GCX__CELLS_MAX / GCX__CELL_GRANULE + 1)
#define GCX__CELLS_NUMBERS 256 /* record numbers taken at once */
#define GCX__CELLS_ORDERS 64   /* birth orders */
#define GCX__CELLS_KEPT 1024 /* cells of a class put back before one is freed */

/* The size of the cells in a piece of the collected heap, in which a tracked
 * object was found since that collection: the object was alive then, so only the
 * next one can give the piece back and divide it anew. */
#define GCX__CELLS_PIECE 4096u
#define GCX__CELLS_PIECES 64
struct gcx__cells_piece {
  uintptr_t piece;     /* address / GCX__CELLS_PIECE */
  uint32_t collection; /* *gcx__bdw_count_at */
  uint32_t bytes;
};

struct gcx__cells {
  void *free[2][GCX__CELLS_CLASSES]; /* [kind][granules], linked by word 0 */
  uint32_t given[2][GCX__CELLS_CLASSES]; /* back by gcx__cells_keep() since the
                                            last refill */
  bool inexact[2][GCX__CELLS_CLASSES]; /* may have larger cells: where bdwgc has
                                          no block, it gives one of any size */
  struct gcx__cells_piece pieces[GCX__CELLS_PIECES];
  uint32_t numbers[GCX__CELLS_NUMBERS]; /* free: [number_next, number_end) */
  uint32_t number_next;
  uint32_t number_end;
  uint32_t order; /* birth orders left to this thread: [order, order_end) */
  uint32_t order_end;
};

/* Caches for @t; NULL without memory. */
struct gcx__cells *gcx__cells_enter(struct gcx__thread *t);
/* The thread has none left: its next allocation takes the slow path. */
void gcx__cells_give_numbers(struct gcx__thread *t);
void gcx__cells_leave(struct gcx__thread *t); /* the thread ends */
void gcx__cells_drop(struct gcx__thread *t);  /* vanished in a fork */

/* Refill what a cell of @granules needs. False: no memory. */
bool gcx__cells_refill(struct gcx__cells *c, enum gcx__kind kind,
                       size_t granules);
/* A cell that is unpublished goes back onto the cache. False: it goes to the
 * collector, the cache has had its share (a thread may free what others
 * allocate). */
static inline bool gcx__cells_keep(struct gcx__cells *c, enum gcx__kind kind,
                                   void *cell, size_t bytes)
{
  size_t granules = bytes / GCX__CELL_GRANULE;

  if (GCX_UNLIKELY(granules >= GCX__CELLS_CLASSES ||
                   c->given[kind][granules] >= GCX__CELLS_KEPT))
    return false;
  c->given[kind][granules]++;
  *(void **)cell = c->free[kind][granules];
  c->free[kind][granules] = cell;
  return true;
}

bool gcx__cells_refill_numbers(struct gcx__cells *c);
/* Of a full cache of numbers half is given back. False: it is not full. */
bool gcx__cells_spare_numbers(struct gcx__cells *c);
void gcx__cells_refill_order(struct gcx__cells *c);

static inline uint32_t gcx__cells_next_order(struct gcx__cells *c)
{
  if (GCX_UNLIKELY(c->order == c->order_end))
    gcx__cells_refill_order(c);
  return c->order++;
}

/* Orders of birth in runs that are handed to threads from now on are this or
 * later (modulo 2^32). */
uint32_t gcx__cells_next_run(void);

/* Advances with every allocation, of any thread. Takes the lock of the list of
 * threads. */
uint32_t gcx__cells_order(void);
/* What it was when the world last stood still. */
uint32_t gcx__cells_order_at_stop(void);

/* Stopped: mark every cell that lies on a cache, else the collector would take
 * the block away under it. */
void gcx__cells_mark_all(void);

#endif
