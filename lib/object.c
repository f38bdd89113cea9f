/* SPDX-License-Identifier: MIT */
/*
 * object.c - tracked objects
 *
 * An allocation publishes its record in an order that is sound against a stop of
 * the world at any instruction, without a lock: take the cell off the cache (it
 * is in a register from here on), clear it, fill the cold record, write the
 * trailer, and last release-store the hidden pointer. Until then no collection
 * knows the record; from then on it is whole. Giving memory back goes the other
 * way: unpublish first.
 *
 * The trailer is a mere hint from the user's memory, which may be overwritten:
 * it is believed only if its check matches and the record points back.
 */
#include "object.h"

#include <errno.h>
#include <string.h>

#include "aux.h"
#include "cells.h"
#include "options.h"
#include "platform.h"
#include "start.h"
#include "trace.h"

#define TRAILER sizeof(struct gcx__trailer)
/* Larger requests can't succeed and must not overflow on the way. */
#define BYTES_MAX (SIZE_MAX / 4)

void (*gcx__object_on_refill)(void);

static uint32_t object_check(const void *p, uint32_t number)
{
  uint64_t h = ((uintptr_t)p >> 4) ^ ((uint64_t)number << 32);

  h *= UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)(h >> 32) | 1u; /* zeroed memory never matches */
}

static struct gcx__trailer *object_trailer(const void *base)
{
  uintptr_t end = (uintptr_t)base + gcx__bdw_cell_bytes(base);

  return (struct gcx__trailer *)(end - TRAILER);
}

uint32_t gcx__object_number(const void *base)
{
  const struct gcx__trailer *t = object_trailer(base);
  uint32_t n = t->number;

  if (t->check != object_check(base, n) || !gcx__record_exists(n))
    return 0;
  return gcx__record_object(n) == base ? n : 0;
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
  if (GCX_LIKELY(n != 0 && base == p)) {
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
  return gcx__bdw_cell_bytes(p) - TRAILER;
}

/* ---- cells */

/* Bytes of a cell for @bytes of the user's, a multiple of @align. */
static size_t object_cell_bytes(size_t bytes, size_t align)
{
  return (bytes + TRAILER + align - 1) & ~(align - 1);
}

static void *object_cached_cell(struct gcx__cells *c, enum gcx__kind kind,
                                size_t granules)
{
  void **slot = &c->free[kind][granules];
  void *p = *slot;

  if (GCX_UNLIKELY(p == NULL)) {
    if (!gcx__cells_refill(c, kind, granules))
      return NULL;
    p = *slot;
  }
  *slot = *(void **)p;
  return p;
}

static void *object_large_cell(size_t cell, size_t align, enum gcx__kind kind)
{
  void *list = NULL;

  if (cell > GCX__BDW_MANY_MAX)
    return gcx__bdw_alloc(cell, kind); /* begins at a page: any alignment */
  if (align <= GCX__CELL_GRANULE)
    return gcx__bdw_alloc(cell, kind);
  gcx__bdw_alloc_many(cell, kind, &list); /* cells of exactly this size */
  return list;
}

/* A zeroed cell; NULL without memory. */
static void *object_cell(struct gcx__cells *c, size_t bytes, size_t align,
                         enum gcx__kind kind)
{
  size_t cell = object_cell_bytes(bytes, align);
  void *p;

  if (GCX_LIKELY(cell <= GCX__CELLS_MAX)) {
    p = object_cached_cell(c, kind, cell / GCX__CELL_GRANULE);
    if (GCX_LIKELY(p != NULL))
      memset(p, 0, cell);
    return p;
  }
  p = object_large_cell(cell, align, kind);
  if (p == NULL)
    return NULL;
  if (kind == GCX_KIND_ATOMIC)
    memset(p, 0, gcx__bdw_cell_bytes(p));
  else
    *(void **)p = NULL;
  return p;
}

/* ---- records */

static uint32_t object_take_number(struct gcx__cells *c)
{
  if (GCX_UNLIKELY(c->number_count == 0)) {
    if (gcx__object_on_refill != NULL)
      gcx__object_on_refill();
    if (!gcx__cells_refill_numbers(c))
      return 0;
  }
  return c->numbers[--c->number_count];
}

static void object_return_number(struct gcx__cells *c, uint32_t number)
{
  if (c->number_count < GCX__CELLS_NUMBERS)
    c->numbers[c->number_count++] = number;
  else
    gcx__record_give(&number, 1);
}

static void object_tag(void *p, uint32_t number)
{
  struct gcx__trailer *t = object_trailer(p);

  t->number = number;
  t->check = object_check(p, number);
}

/* A size of 4 GiB and more lies in the side table. False: no memory. */
static bool object_note_bytes(uint32_t number, size_t bytes)
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

void gcx__object_set_bytes(uint32_t number, size_t bytes)
{
  uint32_t state = gcx__record_state(number);

  if (bytes <= UINT32_MAX && (state & GCX_FLAG_BIG) != 0)
    while (!gcx__record_change(number, state, state & ~GCX_FLAG_BIG))
      state = gcx__record_state(number);
  (void)object_note_bytes(number, bytes);
}

static void object_fill(uint32_t number, struct gcx__thread *t,
                        struct gcx__cells *c, uint32_t type, uint32_t flags,
                        uint32_t site)
{
  struct gcx__record *r = gcx__record_at(number);

  r->type = type;
  r->site = site;
  r->tid = t->tid;
  r->birth_ms = gcx__opt.leak == GCX_LEAK_OFF ? 0 : gcx__now_ms();
  if (GCX_UNLIKELY(c->order == c->order_end))
    gcx__cells_refill_order(c);
  r->birth_order = c->order++;
  r->link = 0;
  r->state = GCX_STATE_LIVE | flags;
}

static void *object_no_memory(void)
{
  errno = ENOMEM;
  return NULL;
}

/* First allocation of a thread, perhaps of the process. */
static GCX_NOINLINE struct gcx__cells *object_first(void)
{
  struct gcx__thread *t;

  gcx__start();
  t = gcx__thread_self();
  return t != NULL ? gcx__cells_enter(t) : NULL;
}

void *gcx__object_alloc(size_t bytes, size_t align, uint32_t type,
                        uint32_t flags, const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_current;
  struct gcx__cells *c = t != NULL ? t->cells : NULL;
  uint32_t site, number;
  void *p;

  if (GCX_UNLIKELY(c == NULL))
    c = object_first();
  if (GCX_UNLIKELY(c == NULL || bytes > BYTES_MAX))
    return object_no_memory();
  t = gcx__thread_current;
  site = gcx__opt.leak == GCX_LEAK_OFF || (flags & GCX_FLAG_OPTIONAL) != 0
             ? 0
             : gcx__trace_site(t, start);
  number = object_take_number(c);
  if (GCX_UNLIKELY(number == 0))
    return object_no_memory();
  p = object_cell(c, bytes, align,
                  (flags & GCX_FLAG_ATOMIC) != 0 ? GCX_KIND_ATOMIC
                                                 : GCX_KIND_NORMAL);
  if (GCX_UNLIKELY(p == NULL)) {
    object_return_number(c, number);
    return object_no_memory();
  }
  object_fill(number, t, c, type, flags, site);
  if (GCX_UNLIKELY(!object_note_bytes(number, bytes))) {
    object_return_number(c, number);
    return object_no_memory();
  }
  object_tag(p, number);
  gcx__record_publish(number, p);
  return p;
}

/* The cell @old goes on as a disposed object: a stale pointer stays harmless. */
static void object_leave_shell(void *old, uint32_t shell, uint32_t number)
{
  struct gcx__record *r = gcx__record_at(shell);

  *r = *gcx__record_at(number);
  r->link = 0;
  r->state = GCX_STATE_DISPOSED;
  r->bytes = (uint32_t)GCX_MIN(gcx__object_bytes(number), (size_t)UINT32_MAX);
  object_tag(old, shell);
  gcx__record_publish(shell, old);
}

void *gcx__object_move(uint32_t number, size_t bytes,
                       const struct gcx__frame *start)
{
  uint32_t flags = gcx__record_state(number);
  void *old = gcx__record_object(number);
  size_t had = gcx__object_bytes(number);
  uint32_t shell;
  void *p;

  /* A complete object first: its record becomes the shell of the old cell. */
  p = gcx__object_alloc(bytes, GCX__CELL_GRANULE, 0,
                        GCX_FLAG_OPTIONAL | (flags & GCX_FLAG_ATOMIC), start);
  if (p == NULL)
    return NULL;
  memcpy(p, old, GCX_MIN(had, bytes));
  shell = gcx__object_number(p);
  gcx__record_unpublish(shell);
  object_tag(p, number);
  gcx__record_publish(number, p);
  object_leave_shell(old, shell, number);
  gcx__object_set_bytes(number, bytes);
  GCX_KEEP(old);
  GCX_KEEP(p);
  return p;
}

void gcx__object_free(uint32_t number)
{
  struct gcx__thread *t = gcx__thread_self();
  void *p = gcx__record_object(number);
  size_t cell = gcx__bdw_cell_bytes(p);
  enum gcx__kind kind =
      gcx__bdw_is_atomic(p) ? GCX_KIND_ATOMIC : GCX_KIND_NORMAL;

  gcx__lock(&gcx__aux_lock);
  gcx__aux_release_locked(number);
  gcx__unlock(&gcx__aux_lock);
  gcx__record_unpublish(number);
  memset(object_trailer(p), 0, TRAILER);
  if (t == NULL || t->cells == NULL) {
    gcx__record_give(&number, 1);
    gcx__bdw_free(p);
    return;
  }
  object_return_number(t->cells, number);
  gcx__cells_put(t->cells, kind, p, cell);
}
