/* SPDX-License-Identifier: MIT */
/*
 * cells.c - per-thread caches of free cells and record numbers
 *
 * The caches lie in vm memory, not in thread-local storage, which is a root: a
 * hidden cell must be in nobody's sight but gcx's. A refill has the collector
 * store the list straight into the cache slot, since a collection can come
 * between the store and the return. A cell that was taken off is in a register
 * or on the stack of its thread from the load of the head on, so no lock is
 * needed against a stop.
 */
#include "cells.h"

#include <string.h>

#include "vm.h"

/* Ascending birth orders, handed to threads in runs. */
static uint32_t cells_order;
static uint32_t cells_order_at_stop;

/* Of threads that have ended, for those to come: linked through free[0][0], under
 * the lock of the list of threads. */
static struct gcx__cells *cells_spare;

static struct gcx__cells *cells_take_spare(void)
{
  struct gcx__cells *c;

  gcx__thread_lock();
  c = cells_spare;
  if (c != NULL)
    cells_spare = c->free[0][0];
  gcx__thread_unlock();
  if (c != NULL)
    memset(c, 0, sizeof *c);
  return c;
}

static void cells_give_spare(struct gcx__cells *c)
{
  gcx__thread_lock();
  c->free[0][0] = cells_spare;
  cells_spare = c;
  gcx__thread_unlock();
}

struct gcx__cells *gcx__cells_enter(struct gcx__thread *t)
{
  struct gcx__cells *c = t->cells;

  if (c != NULL)
    return c;
  c = cells_take_spare();
  if (c == NULL)
    c = gcx__vm_alloc(sizeof *c);
  __atomic_store_n(&t->cells, c, __ATOMIC_RELEASE);
  return c;
}

/* The entry of a thread and its caches are used again by another one. Cells are
 * swept by the next collection. */
void gcx__cells_drop(struct gcx__thread *t)
{
  if (t->cells == NULL)
    return;
  for (size_t k = 0; k < GCX_ARRAY_LENGTH(t->cells->free); k++)
    for (size_t g = 0; g < GCX__CELLS_CLASSES; g++)
      __atomic_store_n(&t->cells->free[k][g], NULL, __ATOMIC_RELEASE);
  t->cells->number_next = t->cells->number_end = 0;
  t->cells->order = t->cells->order_end = 0;
}

void gcx__cells_give_numbers(struct gcx__thread *t)
{
  struct gcx__cells *c = t->cells;

  if (c == NULL)
    return;
  gcx__record_give(c->numbers + c->number_next, c->number_end - c->number_next);
  c->number_next = c->number_end = 0;
}

void gcx__cells_leave(struct gcx__thread *t)
{
  struct gcx__cells *c = t->cells;

  if (c == NULL)
    return;
  gcx__cells_give_numbers(t);
  gcx__cells_drop(t);
  __atomic_store_n(&t->cells, NULL, __ATOMIC_RELEASE);
  cells_give_spare(c);
}

bool gcx__cells_refill(struct gcx__cells *c, enum gcx__kind kind,
                       size_t granules)
{
  void **slot = &c->free[kind][granules];

  c->given[kind][granules] = 0;
  gcx__bdw_alloc_many(granules * GCX__CELL_GRANULE, kind, slot);
  if (*slot == NULL)
    return false;
  c->inexact[kind][granules] =
      gcx__bdw_cell_bytes(*slot) != granules * GCX__CELL_GRANULE;
  return true;
}

bool gcx__cells_refill_numbers(struct gcx__cells *c)
{
  c->number_next = 0;
  c->number_end = gcx__record_take(c->numbers, GCX__CELLS_NUMBERS);
  return c->number_end != 0;
}

/* They are in one place only at each moment. */
bool gcx__cells_spare_numbers(struct gcx__cells *c)
{
  const uint32_t half = GCX__CELLS_NUMBERS / 2;

  if (c->number_next != 0 || c->number_end != GCX__CELLS_NUMBERS)
    return false;
  c->number_next = half;
  gcx__record_give(c->numbers, half);
  return true;
}

void gcx__cells_refill_order(struct gcx__cells *c)
{
  c->order =
      __atomic_fetch_add(&cells_order, GCX__CELLS_ORDERS, __ATOMIC_RELAXED);
  c->order_end = c->order + GCX__CELLS_ORDERS;
}

/* The list of threads does not change meanwhile. */
static uint32_t cells_count_order(void)
{
  uint32_t order = __atomic_load_n(&cells_order, __ATOMIC_RELAXED);
  struct gcx__thread *t;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    if (t->cells != NULL)
      order -= t->cells->order_end - t->cells->order;
  return order;
}

uint32_t gcx__cells_next_run(void)
{
  return __atomic_load_n(&cells_order, __ATOMIC_ACQUIRE);
}

uint32_t gcx__cells_order(void)
{
  uint32_t order;

  gcx__thread_lock();
  order = cells_count_order();
  gcx__thread_unlock();
  return order;
}

uint32_t gcx__cells_order_at_stop(void)
{
  return __atomic_load_n(&cells_order_at_stop, __ATOMIC_RELAXED);
}

static void cells_mark(const struct gcx__cells *c)
{
  for (size_t k = 0; k < GCX_ARRAY_LENGTH(c->free); k++)
    for (size_t g = 0; g < GCX__CELLS_CLASSES; g++)
      for (void *p = c->free[k][g]; p != NULL; p = *(void **)p)
        gcx__bdw_set_mark(p);
}

void gcx__cells_mark_all(void)
{
  struct gcx__thread *t;

  __atomic_store_n(&cells_order_at_stop, cells_count_order(), __ATOMIC_RELAXED);
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    if (t->cells != NULL)
      cells_mark(t->cells);
}
