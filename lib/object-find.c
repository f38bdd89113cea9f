/* SPDX-License-Identifier: MIT */
/*
 * object-find.c - from a pointer to the object, and how large it is
 *
 * The trailer is a mere hint from the user's memory, which may be overwritten:
 * it is believed only if its check matches and the record points back.
 */
#include "object.h"

#include "aux.h"
#include "cells.h"

uint32_t gcx__object_number(const void *base)
{
  return gcx__object_number_in(base, gcx__bdw_cell_bytes(base));
}

static void object_remember(const void *p)
{
  const struct gcx__thread *t = gcx__thread_current;
  size_t cell = gcx__bdw_cell_bytes(p);

  if (t != NULL && t->cells != NULL &&
      gcx__bdw_count_at != &gcx__bdw_no_count && cell <= GCX__CELLS_PIECE / 2)
    *gcx__object_piece(t->cells, p) = (struct gcx__cells_piece){
      .piece = (uintptr_t)p / GCX__CELLS_PIECE,
      .collection = (uint32_t)*gcx__bdw_count_at,
      .bytes = (uint32_t)cell,
    };
}

/* Slow: is it one of ours whose trailer was overwritten? */
static uint32_t object_search(const void *base)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);

  for (uint32_t n = 1; n < limit; n++)
    if (gcx__record_object(n) == base)
      return n;
  return 0;
}

enum gcx__found gcx__object_find(const void *p, uint32_t *ret_number)
{
  void *base;
  uint32_t n;

  if (p == NULL)
    return GCX_FOUND_NULL;
  base = gcx__bdw_base(p);
  if (base == NULL)
    return GCX_FOUND_FOREIGN;
  n = gcx__object_number(base);
  if (n != 0 && base == p) {
    object_remember(p);
    *ret_number = n;
    return GCX_FOUND;
  }
  if (n == 0) {
    n = object_search(base);
    if (n == 0)
      return GCX_FOUND_UNTRACKED;
    *ret_number = n;
    return base == p ? GCX_FOUND_CORRUPT : GCX_FOUND_INTERIOR;
  }
  *ret_number = n;
  return GCX_FOUND_INTERIOR;
}

/* ---- sizes */

size_t gcx__object_bytes(uint32_t number)
{
  size_t bytes = gcx__record_at(number)->bytes;

  if ((gcx__record_state(number) & GCX_FLAG_BIG) != 0) {
    gcx__lock(&gcx__aux_lock);
    bytes = gcx__aux_of(number)->bytes;
    gcx__unlock(&gcx__aux_lock);
  }
  return bytes;
}

size_t gcx__object_room(const void *p)
{
  return gcx__bdw_cell_bytes(p) - sizeof(struct gcx__trailer);
}

/* A size of 4 GiB and more lies in the side table. False: no memory. */
bool gcx__object_note_bytes(uint32_t number, size_t bytes)
{
  struct gcx__record *r = gcx__record_at(number);
  struct gcx__aux *a;
  uint32_t state;

  if (GCX_LIKELY(bytes <= UINT32_MAX)) {
    r->bytes = (uint32_t)bytes;
    return true;
  }
  gcx__lock(&gcx__aux_lock);
  a = gcx__aux_have_locked(number);
  if (a != NULL)
    a->bytes = bytes;
  gcx__unlock(&gcx__aux_lock);
  if (a == NULL)
    return false;
  r->bytes = UINT32_MAX;
  do
    state = gcx__record_state(number);
  while (!gcx__record_change(number, state, state | GCX_FLAG_BIG));
  return true;
}

bool gcx__object_reserve_bytes(uint32_t number, size_t bytes)
{
  bool reserved;

  if (GCX_LIKELY(bytes <= UINT32_MAX))
    return true;
  gcx__lock(&gcx__aux_lock);
  reserved = gcx__aux_have_locked(number) != NULL;
  gcx__unlock(&gcx__aux_lock);
  return reserved;
}

void gcx__object_set_bytes(uint32_t number, size_t bytes)
{
  uint32_t state = gcx__record_state(number);

  if (bytes <= UINT32_MAX && (state & GCX_FLAG_BIG) != 0)
    while (!gcx__record_change(number, state, state & ~GCX_FLAG_BIG))
      state = gcx__record_state(number);
  (void)gcx__object_note_bytes(number, bytes);
}
