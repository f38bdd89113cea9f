/* SPDX-License-Identifier: MIT */
/*
 * object.h - tracked objects: cell, trailer, and the way from a pointer to a
 *            record
 *
 *   | user's bytes .......... | unused | number, check |   one cell
 *   ^ the collector's base, 16-aligned   ^ last 8 bytes
 */
#ifndef GCX_OBJECT_INTERNAL_H
#define GCX_OBJECT_INTERNAL_H

#include "../include/gcx/object.h"
#include "../include/gcx/type.h"

#include <string.h>

#include "bdw.h"
#include "cells.h"
#include "record.h"
#include "unwind.h"

struct gcx__trailer {
  uint32_t number;
  uint32_t check;
};

enum gcx__found {
  GCX_FOUND, /* it is a tracked object */
  GCX_FOUND_NULL,
  GCX_FOUND_FOREIGN,   /* not in the collected heap */
  GCX_FOUND_INTERIOR,  /* inside a cell, not at its start */
  GCX_FOUND_UNTRACKED, /* a cell that gcx did not allocate, or that was given
                          back */
  GCX_FOUND_CORRUPT,   /* gcx's, but the end of its cell was overwritten */
};

/* Zeroed memory never matches: there is no record 0. */
static inline uint32_t gcx__object_check(const void *p, uint32_t number)
{
  return ((uint32_t)((uintptr_t)p >> 4) * 0x9E3779B1u) ^ number;
}

static inline struct gcx__trailer *gcx__object_trailer(const void *base,
                                                       size_t cell)
{
  return (struct gcx__trailer *)((uintptr_t)base + cell -
                                 sizeof(struct gcx__trailer));
}

/* Record of the cell of so many bytes, and the chunk it lies in; 0 if it is not a
 * tracked object. */
static inline uint32_t gcx__object_record_in(
    const void *base, size_t cell, struct gcx__record_chunk **ret_chunk)
{
  const struct gcx__trailer *t = gcx__object_trailer(base, cell);
  uint32_t number = __atomic_load_n(&t->number, __ATOMIC_RELAXED);
  struct gcx__record_chunk *chunk;

  if (GCX_UNLIKELY(__atomic_load_n(&t->check, __ATOMIC_RELAXED) !=
                       gcx__object_check(base, number) ||
                   !gcx__record_exists(number)))
    return 0;
  chunk = gcx__record_chunk_of(number);
  *ret_chunk = chunk;
  return __atomic_load_n(gcx__record_hot_in(chunk, number), __ATOMIC_ACQUIRE) ==
                 GCX_HIDE(base)
             ? number
             : 0;
}

static inline uint32_t gcx__object_number_in(const void *base, size_t cell)
{
  struct gcx__record_chunk *chunk;

  return gcx__object_record_in(base, cell, &chunk);
}

/* ---- from a pointer to a record, without asking the collector
 *
 * A thread remembers the size of the cells of the pieces in which it found an
 * object. That is only where to look for a trailer; what decides is, as ever,
 * that the record points back: it holds nothing but bases. */

static inline struct gcx__cells_piece *gcx__object_piece(struct gcx__cells *c,
                                                         const void *p)
{
  return &c->pieces[(uintptr_t)p / GCX__CELLS_PIECE % GCX__CELLS_PIECES];
}

/* Size of the cell at @p if it is remembered, else 0. Any value may be asked: what
 * is not at the start of a cell has no trailer there, and where no cell can start
 * none is looked for. */
static inline size_t gcx__object_cell_in(struct gcx__cells *c, const void *p)
{
  const struct gcx__cells_piece *m = gcx__object_piece(c, p);

  if (GCX_UNLIKELY(m->piece != (uintptr_t)p / GCX__CELLS_PIECE ||
                   m->collection != (uint32_t)*gcx__bdw_count_at ||
                   (uintptr_t)p % GCX__CELLS_PIECE + m->bytes >
                       GCX__CELLS_PIECE ||
                   (uintptr_t)p % GCX__CELL_GRANULE != 0))
    return 0;
  return m->bytes;
}

static inline size_t gcx__object_cell(const void *p)
{
  const struct gcx__thread *t = gcx__thread_current;

  return GCX_LIKELY(t != NULL && t->cells != NULL)
             ? gcx__object_cell_in(t->cells, p)
             : 0;
}

/* Record of the object @p if that can be told quickly, else 0. */
static inline uint32_t gcx__object_recall(const void *p)
{
  size_t cell = gcx__object_cell(p);

  return GCX_LIKELY(cell != 0) ? gcx__object_number_in(p, cell) : 0;
}

/* Any value may be asked; no lock, also stopped. */
enum gcx__found gcx__object_find(const void *p, uint32_t *ret_number);

/* Record of a cell of the collected heap, 0 if it is not a tracked object.
 * @base must be exact. Stopped or not. */
uint32_t gcx__object_number(const void *base);

/* A new object. @align: at most GCX__ALIGN_MAX, a power of two. @flags: see
 * record.h. NULL and errno. */
#define GCX__ALIGN_MIN 16
#define GCX__ALIGN_MAX 4096
void *gcx__object_alloc(size_t bytes, size_t align, uint32_t type,
                        uint32_t flags, const struct gcx__frame *start);

/* A disposed object that nobody else may give out or end is born again as a live
 * one of @type: same cell, same record. What it holds is not cleared. */
void gcx__object_renew(struct gcx__thread *t, uint32_t number, size_t bytes,
                       uint32_t type, const struct gcx__frame *start);
/* What an allocation notes about the stack @start, for an object that goes on. */
void gcx__object_set_birth(struct gcx__thread *t, uint32_t number,
                           const struct gcx__frame *start);

/* One of a type that may not be known yet; flags that follow from the type are the
 * caller's. NULL and errno. */
void *gcx__object_alloc_of(const struct gcx_type *type, size_t bytes,
                           uint32_t flags, const struct gcx__frame *start);

/* The commonest: gcx_alloc(). */
void *gcx__object_alloc_plain(size_t bytes, const struct gcx__frame *start);

size_t gcx__object_bytes(uint32_t number); /* asked for */

/* Move what @number tracks to a cell of @bytes; the old cell becomes a disposed
 * object of its own. NULL without memory: nothing changed. */
void *gcx__object_move(uint32_t number, size_t bytes,
                       const struct gcx__frame *start);
/* Room in the cell, bytes. */
size_t gcx__object_room(const void *p);
void gcx__object_set_bytes(uint32_t number, size_t bytes);
/* The same for a record that is new; false: no memory. */
bool gcx__object_note_bytes(uint32_t number, size_t bytes);
/* Make sure that the next one can't fail; false without memory. */
bool gcx__object_reserve_bytes(uint32_t number, size_t bytes);

/* The object that weak things know is at @now from here on, or, NULL, its memory
 * is about to go back: set by the level that has them. Called for objects with
 * GCX_FLAG_WEAK alone; no lock held. */
extern void (*gcx__object_on_move)(uint32_t number, void *old, void *now);

/* @p's next life has nothing to do with this one: weak things forget it now, and
 * their mark goes from its state word. */
void gcx__object_leave_weak(uint32_t number, void *p);

/* quarantine=0: the memory of a disposed object goes back at once. */
void gcx__object_free(uint32_t number);
/* The same of one without side data that weak things don't know; @flags: its
 * state word. */
void gcx__object_free_plain(struct gcx__cells *c, uint32_t number,
                            uint32_t flags, void *p, size_t cell);

/* Called when a thread allocates for the first time, and now and then (with
 * each refill of record numbers): no lock held. Set by gcx.c. */
extern void (*gcx__object_on_refill)(void);

/* Called when a thread allocates inside a critical finalizer. Set by gcx.c. */
extern void (*gcx__object_on_critical)(size_t bytes,
                                       const struct gcx__frame *start);

#endif
