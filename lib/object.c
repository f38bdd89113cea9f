/* SPDX-License-Identifier: MIT */
/*
 * object.c - tracked objects: their birth, their moves, their memory's way back
 *
 * An allocation publishes its record in an order that is sound against a stop of
 * the world at any instruction, without a lock: take the cell off the cache (it
 * is in a register from here on), clear it, fill the cold record, write the
 * trailer, and last release-store the hidden pointer. Until then no collection
 * knows the record; from then on it is whole. Giving memory back goes the other
 * way: unpublish first.
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
#include "type.h"

/* Larger requests can't succeed and must not overflow on the way. */
#define BYTES_MAX (SIZE_MAX / 4)

void (*gcx__object_on_refill)(void);
void (*gcx__object_on_critical)(size_t bytes, const struct gcx__frame *start);
void (*gcx__object_on_move)(uint32_t number, void *old, void *now);

#define TRAILER sizeof(struct gcx__trailer)
#define OBJECT_ZEROED 128 /* bytes of a cell that is cleared on the spot */

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
    GCX_ASSERT(p != NULL);
  }
  GCX_DELAY();
  *slot = *(void **)p;
  GCX_DELAY();
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

/* The collector's cells of kind NORMAL are zeroed but for the link; those that
 * gcx__object_free() put back as well. */
static inline void object_clear(void *p, size_t cell, enum gcx__kind kind)
{
  *(void **)p = NULL;
  if (GCX_UNLIKELY(kind == GCX_KIND_ATOMIC))
    memset(p, 0, cell);
}

static inline enum gcx__kind object_kind(uint32_t flags)
{
  return (flags & GCX_FLAG_ATOMIC) != 0 ? GCX_KIND_ATOMIC : GCX_KIND_NORMAL;
}

/* A zeroed cell and its size; NULL without memory. */
static inline void *object_cell(struct gcx__cells *c, size_t bytes,
                                size_t align, enum gcx__kind kind,
                                size_t *ret_cell)
{
  size_t cell = object_cell_bytes(bytes, align);
  size_t granules = cell / GCX__CELL_GRANULE;
  bool cached = GCX_LIKELY(cell <= GCX__CELLS_MAX);
  void *p = cached ? object_cached_cell(c, kind, granules)
                   : object_large_cell(cell, align, kind);

  if (GCX_UNLIKELY(p == NULL))
    return NULL;
  if (GCX_UNLIKELY(!cached || c->inexact[kind][granules]))
    cell = gcx__bdw_cell_bytes(p);
  object_clear(p, cell, kind);
  *ret_cell = cell;
  return p;
}

/* ---- records */

/* In a critical finalizer a thread has no numbers: that is noticed here, where it
 * costs nothing. */
static GCX_NOINLINE bool object_refill_numbers(struct gcx__cells *c,
                                               size_t bytes,
                                               const struct gcx__frame *start)
{
  if (gcx__thread_is_critical() && gcx__object_on_critical != NULL)
    gcx__object_on_critical(bytes, start);
  if (gcx__object_on_refill != NULL)
    gcx__object_on_refill();
  return gcx__cells_refill_numbers(c);
}

static inline uint32_t object_take_number(struct gcx__cells *c, size_t bytes,
                                          const struct gcx__frame *start)
{
  if (GCX_UNLIKELY(c->number_next == c->number_end) &&
      !object_refill_numbers(c, bytes, start))
    return 0;
  return c->numbers[c->number_next++];
}

static inline void object_return_number(struct gcx__cells *c, uint32_t number)
{
  if (GCX_UNLIKELY(gcx__record_is_inherited(number)))
    return;
  if (GCX_LIKELY(c->number_next != 0) || gcx__cells_spare_numbers(c))
    c->numbers[--c->number_next] = number;
  else
    gcx__record_give(&number, 1);
}

/* One store each: what a compiler makes of several of them at once takes more
 * instructions than it saves. */
#define object_set(field, value) \
  __atomic_store_n(&(field), value, __ATOMIC_RELAXED)

static inline void object_tag(void *p, size_t cell, uint32_t number)
{
  struct gcx__trailer *t = gcx__object_trailer(p, cell);

  object_set(t->number, number);
  object_set(t->check, gcx__object_check(p, number));
}

/* An allocation that has come as far as @number, 0: not even so far. */
static GCX_NOINLINE void *object_no_memory(struct gcx__cells *c,
                                           uint32_t number)
{
  if (number != 0)
    object_return_number(c, number);
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

/* What is known of the birth that takes a call to find out. */
struct object_birth {
  uint32_t site;
  uint32_t ms;
};

static inline struct object_birth object_born(struct gcx__thread *t,
                                              uint32_t flags,
                                              const struct gcx__frame *start)
{
  struct object_birth birth = { 0, 0 };

  if (gcx__opt.leak != GCX_LEAK_OFF) {
    if ((flags & GCX_FLAG_OPTIONAL) == 0)
      birth.site = gcx__trace_site(t, start);
    birth.ms = gcx__clock_ms();
  }
  return birth;
}

/* What takes calls comes first; from the cell on, registers do. Inlined for what
 * is mostly asked for. */
__attribute__((always_inline)) static inline void *object_make(
    size_t bytes, size_t align, uint32_t type, uint32_t flags,
    const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_current;
  struct gcx__cells *c = t != NULL ? t->cells : NULL;
  struct object_birth birth;
  struct gcx__record_chunk *chunk;
  struct gcx__record *r;
  uint32_t number;
  size_t cell;
  void *p;

  if (GCX_UNLIKELY(c == NULL)) {
    c = object_first();
    t = gcx__thread_current;
  }
  if (GCX_UNLIKELY(c == NULL || bytes > BYTES_MAX))
    return object_no_memory(c, 0);
  birth = object_born(t, flags, start);
  number = object_take_number(c, bytes, start);
  if (GCX_UNLIKELY(number == 0))
    return object_no_memory(c, 0);
  p = object_cell(c, bytes, align, object_kind(flags), &cell);
  if (GCX_UNLIKELY(p == NULL))
    return object_no_memory(c, number);
  chunk = gcx__record_chunk_of(number);
  r = gcx__record_in(chunk, number);
  object_set(r->type, type);
  object_set(r->site, birth.site);
  object_set(r->bytes, (uint32_t)bytes);
  object_set(r->tid, t->tid);
  object_set(r->birth_ms, birth.ms);
  object_set(r->birth_order, gcx__cells_next_order(c));
  *gcx__record_fate_in(chunk, number) =
      (struct gcx__fate){ .state = GCX_STATE_LIVE | flags };
  if (GCX_UNLIKELY(bytes > UINT32_MAX &&
                   !gcx__object_note_bytes(number, bytes)))
    return object_no_memory(c, number);
  GCX_DELAY();
  object_tag(p, cell, number);
  GCX_DELAY();
  gcx__record_publish_at(gcx__record_hot_in(chunk, number), p);
  GCX_DELAY();
  return p;
}

void *gcx__object_alloc(size_t bytes, size_t align, uint32_t type,
                        uint32_t flags, const struct gcx__frame *start)
{
  return object_make(bytes, align, type, flags, start);
}

void *gcx__object_alloc_of(const struct gcx_type *type, size_t bytes,
                           uint32_t flags, const struct gcx__frame *start)
{
  uint32_t number = gcx__type_number(type);

  if (number != 0)
    return gcx__object_alloc(bytes, GCX__ALIGN_MIN, number, flags, start);
  errno = ENOMEM;
  return NULL;
}

/* Known to be small, most of what is asked about a size is answered. */
void *gcx__object_alloc_plain(size_t bytes, const struct gcx__frame *start)
{
  if (GCX_UNLIKELY(bytes > GCX__CELLS_MAX - TRAILER))
    return gcx__object_alloc(bytes, GCX__ALIGN_MIN, 0, 0, start);
  return object_make(bytes, GCX__ALIGN_MIN, 0, 0, start);
}

/* Weak things follow the object that has moved, or forget the one that goes. */
static inline void object_tell_weak(uint32_t number, void *old, void *now)
{
  if (GCX_UNLIKELY((gcx__record_state(number) & GCX_FLAG_WEAK) != 0) &&
      gcx__object_on_move != NULL)
    gcx__object_on_move(number, old, now);
}

void gcx__object_leave_weak(uint32_t number, void *p)
{
  uint32_t state;

  if ((gcx__record_state(number) & GCX_FLAG_WEAK) == 0)
    return;
  object_tell_weak(number, p, NULL);
  do
    state = gcx__record_state(number);
  while (!gcx__record_change(number, state,
                             state & ~(GCX_FLAG_WEAK | GCX_STATE_TABLES)));
}

static inline void object_note_birth(struct gcx__thread *t,
                                     struct gcx__record *r,
                                     const struct gcx__frame *start)
{
  struct object_birth birth = object_born(t, 0, start);

  r->site = birth.site;
  r->tid = t->tid;
  r->birth_ms = birth.ms;
  if (t->cells != NULL)
    r->birth_order = gcx__cells_next_order(t->cells);
}

void gcx__object_set_birth(struct gcx__thread *t, uint32_t number,
                           const struct gcx__frame *start)
{
  object_note_birth(t, gcx__record_at(number), start);
}

/* Published all the while: from the store of the state on it is live. */
void gcx__object_renew(struct gcx__thread *t, uint32_t number, size_t bytes,
                       uint32_t type, const struct gcx__frame *start)
{
  struct gcx__record *r = gcx__record_at(number);

  object_note_birth(t, r, start);
  r->type = type;
  r->bytes = (uint32_t)bytes;
  gcx__record_fate(number)->link = 0;
  GCX_DELAY();
  __atomic_store_n(&gcx__record_fate(number)->state, GCX_STATE_LIVE,
                   __ATOMIC_RELEASE);
}

/* The cell @old goes on as an object disposed at @site: a stale pointer stays
 * harmless. */
static void object_leave_shell(void *old, uint32_t shell, uint32_t number,
                               uint32_t site)
{
  struct gcx__record *r = gcx__record_at(shell);

  *r = *gcx__record_at(number);
  *gcx__record_fate(shell) =
      (struct gcx__fate){ .state = GCX_STATE_DISPOSED, .link = site };
  r->bytes = (uint32_t)GCX_MIN(gcx__object_bytes(number), (size_t)UINT32_MAX);
  object_tag(old, gcx__bdw_cell_bytes(old), shell);
  gcx__record_publish(shell, old);
}

void *gcx__object_move(uint32_t number, size_t bytes,
                       const struct gcx__frame *start)
{
  uint32_t flags = gcx__record_state(number);
  void *old = gcx__record_object(number);
  size_t had = gcx__object_bytes(number);
  uint32_t shell, site;
  void *p;

  /* A complete object first: its record becomes the shell of the old cell. */
  p = gcx__object_alloc(bytes, GCX__CELL_GRANULE, 0,
                        GCX_FLAG_OPTIONAL | (flags & GCX_FLAG_ATOMIC), start);
  if (p == NULL)
    return NULL;
  memcpy(p, old, GCX_MIN(had, bytes));
  site = gcx__opt.leak == GCX_LEAK_OFF
             ? 0
             : gcx__trace_site(gcx__thread_current, start);
  shell = gcx__object_number(p);
  gcx__record_unpublish(shell);
  GCX_DELAY();
  object_tag(p, gcx__bdw_cell_bytes(p), number);
  gcx__record_publish(number, p);
  GCX_DELAY();
  object_leave_shell(old, shell, number, site);
  gcx__object_set_bytes(number, bytes);
  object_tell_weak(number, old, p);
  GCX_KEEP(old);
  GCX_KEEP(p);
  return p;
}

static void object_release_aux(uint32_t number)
{
  if (GCX_LIKELY((gcx__record_state(number) & GCX_FLAG_AUX) == 0))
    return;
  gcx__lock(&gcx__aux_lock);
  gcx__aux_release_locked(number);
  gcx__unlock(&gcx__aux_lock);
}

/* Most cells are small: a call would take longer. */
static inline void object_zero(void *p, size_t cell)
{
  uint64_t *at = p;

  if (GCX_UNLIKELY(cell > OBJECT_ZEROED)) {
    memset(p, 0, cell);
    return;
  }
  for (const uint64_t *end = at + cell / sizeof *at; at < end; at += 2)
    at[0] = at[1] = 0;
}

/* Number and cell of a record that is unpublished. */
static inline void object_put_back(struct gcx__cells *c, uint32_t number,
                                   enum gcx__kind kind, void *p, size_t cell)
{
  object_return_number(c, number);
  /* what is too large for the cache bdwgc clears itself */
  if (GCX_LIKELY(kind == GCX_KIND_NORMAL && cell <= GCX__CELLS_MAX))
    object_zero(p, cell);
  else
    memset(gcx__object_trailer(p, cell), 0, TRAILER);
  if (GCX_UNLIKELY(!gcx__cells_keep(c, kind, p, cell)))
    gcx__bdw_free(p);
}

void gcx__object_free(uint32_t number)
{
  struct gcx__thread *t = gcx__thread_self();
  enum gcx__kind kind = object_kind(gcx__record_state(number));
  void *p = gcx__record_object(number);
  size_t cell = gcx__object_cell(p);

  if (GCX_UNLIKELY(cell == 0))
    cell = gcx__bdw_cell_bytes(p);
  object_tell_weak(number, p, NULL);
  object_release_aux(number);
  GCX_DELAY();
  gcx__record_unpublish(number);
  GCX_DELAY();
  if (t == NULL || t->cells == NULL) {
    if (!gcx__record_is_inherited(number))
      gcx__record_give(&number, 1);
    gcx__bdw_free(p);
    return;
  }
  object_put_back(t->cells, number, kind, p, cell);
}

void gcx__object_free_plain(struct gcx__cells *c, uint32_t number,
                            uint32_t flags, void *p, size_t cell)
{
  GCX_DELAY();
  gcx__record_unpublish(number);
  GCX_DELAY();
  object_put_back(c, number, object_kind(flags), p, cell);
}
