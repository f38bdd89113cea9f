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
#include "bdw.h"
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

size_t gcx__object_bytes(uint32_t number); /* asked for */

/* Move what @number tracks to a cell of @bytes; the old cell becomes a disposed
 * object of its own. NULL without memory: nothing changed. */
void *gcx__object_move(uint32_t number, size_t bytes,
                       const struct gcx__frame *start);
/* Room in the cell, bytes. */
size_t gcx__object_room(const void *p);
void gcx__object_set_bytes(uint32_t number, size_t bytes);

/* quarantine=0: the memory of a disposed object goes back at once. */
void gcx__object_free(uint32_t number);

/* Called when a thread allocates for the first time, and now and then (with
 * each refill of record numbers): no lock held. Set by gcx.c. */
extern void (*gcx__object_on_refill)(void);

#endif
