/* SPDX-License-Identifier: MIT */
/*
 * block.c - memory of a redirected malloc()
 *
 *          free(), the winner of the CAS        1,000 more of its size freed
 *   LIVE ---------------------------> DISPOSED ------------------------> LIVE
 *                                    in a queue                     another block
 *
 * A block is a tracked object of the type gcx__type_block and fares like any other
 * (lost, reported, disposed) but for its end: free() queues it (freed.h), and
 * malloc() takes from there first. Between the two it is a disposed object whose
 * record points to the stack that freed it: a second free() finds that. With
 * quarantine=1 it is not queued, and the collector alone takes it back. Weak
 * things forget a block when it is freed, in either case.
 *
 * Only the thread that won the CAS queues a block, and only the thread that takes
 * it from its own ring gives it out again: no two threads have it at once. A free()
 * of another thread that comes too late, after the block was given out, ends
 * somebody else's block, as it would with any malloc.
 */
#include "block.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "freed.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "platform.h"
#include "trace.h"
#include "type.h"

/* A freed cell up to here is cleared; from there on its pages go back. What lies
 * between will soon be used again. */
#define BLOCK_CLEAR_BYTES ((size_t)64 << 10)
#define BLOCK_PAGES_BYTES ((size_t)8 << 20)

static uint32_t block_type;

static inline uint32_t block_type_number(void)
{
  uint32_t number = __atomic_load_n(&block_type, __ATOMIC_RELAXED);

  if (GCX_UNLIKELY(number == 0)) {
    number = gcx__type_number(&gcx__type_block);
    __atomic_store_n(&block_type, number, __ATOMIC_RELAXED);
  }
  return number;
}

/* ---- birth */

/* The oldest freed block of the ring, if it still is what it was: 0 if not, and
 * then it is left to the collector. */
static uint32_t block_take(struct gcx__freed_ring *ring, size_t granules,
                           void **ret_p)
{
  uint32_t number = gcx__freed_oldest(ring);
  void *p = gcx__record_object(number);

  GCX_KEEP(p);
  gcx__freed_remove(ring);
  GCX_DELAY();
  if (GCX_UNLIKELY(
          p == NULL || gcx__record_state(number) != GCX_STATE_DISPOSED ||
          gcx__object_number_in(p, granules * GCX__CELL_GRANULE) != number))
    return 0;
  *ret_p = p;
  return number;
}

static inline void *block_again(struct gcx__thread *t, size_t granules,
                                size_t bytes, const struct gcx__frame *start)
{
  struct gcx__freed_ring *ring = &t->freed->ring[granules];
  uint32_t number;
  void *p = NULL;

  if (!gcx__freed_is_ripe(ring))
    return NULL;
  number = block_take(ring, granules, &p);
  if (GCX_UNLIKELY(number == 0))
    return NULL;
  gcx__object_renew(t, number, bytes, block_type_number(), start);
  GCX_KEEP(p);
  return p;
}

void *gcx__block_alloc(size_t bytes, size_t align,
                       const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_current;
  size_t granules = bytes / GCX__CELL_GRANULE + 1; /* with the trailer... */
  void *p = NULL;

  if (bytes % GCX__CELL_GRANULE >
      GCX__CELL_GRANULE - sizeof(struct gcx__trailer))
    granules++; /* ...which may need one more */
  if (GCX_LIKELY(align <= GCX__ALIGN_MIN && granules < GCX__CELLS_CLASSES &&
                 t != NULL && t->freed != NULL))
    p = block_again(t, granules, bytes, start);
  if (GCX_LIKELY(p != NULL))
    return p;
  if (GCX_UNLIKELY(block_type_number() == 0)) {
    errno = ENOMEM;
    return NULL;
  }
  return gcx__object_alloc(bytes, GCX_MAX(align, (size_t)GCX__ALIGN_MIN),
                           block_type_number(), 0, start);
}

/* ---- end */

static void block_forget(void *p, size_t cell)
{
  size_t room = cell - sizeof(struct gcx__trailer);
  uintptr_t page, low, high;

  if (cell <= BLOCK_CLEAR_BYTES) {
    memset(p, 0, room);
    return;
  }
  page = gcx__page_bytes();
  low = ((uintptr_t)p + page - 1) & ~(page - 1);
  high = ((uintptr_t)p + room) & ~(page - 1);
  if (cell >= BLOCK_PAGES_BYTES && low < high)
    (void)madvise((void *)low, high - low, MADV_DONTNEED);
}

/* @number is disposed, its object in nobody's hands. What goes into a full queue
 * pushes out the oldest. */
static void block_queue_large(uint32_t number, size_t cell)
{
  void *object = NULL;
  uint32_t out = gcx__freed_swap(number, cell, &object);

  for (; out != 0; out = gcx__freed_swap(0, 0, &object)) {
    if (object != NULL)
      gcx__object_free(out);
    GCX_KEEP(object);
  }
}

static void block_push_out(struct gcx__freed_ring *ring)
{
  uint32_t oldest = gcx__freed_oldest(ring);
  void *object = gcx__record_object(oldest);

  GCX_KEEP(object);
  gcx__freed_remove(ring);
  if (object != NULL)
    gcx__object_free(oldest);
  GCX_KEEP(object);
}

static GCX_NOINLINE void block_queue_slowly(struct gcx__thread *t,
                                            uint32_t number, void *p,
                                            size_t cell)
{
  size_t granules = cell / GCX__CELL_GRANULE;
  struct gcx__freed_ring *ring;

  if (gcx__opt.free_keeps || t == NULL || t->critical ||
      gcx__record_is_inherited(number))
    return; /* left to the collector */
  block_forget(p, cell);
  if (granules >= GCX__CELLS_CLASSES) {
    block_queue_large(number, cell);
    return;
  }
  ring = gcx__freed_ring(t, granules);
  if (ring == NULL)
    return;
  if (gcx__freed_is_full(ring))
    block_push_out(ring);
  gcx__freed_add(ring, number);
}

/* All but the trailer, whole granules at a time: most blocks are small, and the
 * call costs more than the stores. */
static inline void block_clear(void *p, size_t granules)
{
  typedef uint64_t granule
      __attribute__((vector_size(GCX__CELL_GRANULE), may_alias));
  typedef uint64_t word __attribute__((may_alias));
  granule *at = p;

  if (granules > 16) {
    memset(p, 0, granules * GCX__CELL_GRANULE - sizeof(struct gcx__trailer));
    return;
  }
  while (--granules > 0)
    *at++ = (granule){ 0, 0 };
  *(word *)at = 0;
}

/* A small block of a thread that has freed one of its size before. */
static inline void block_queue(struct gcx__thread *t, uint32_t number, void *p,
                               size_t cell)
{
  size_t granules = cell / GCX__CELL_GRANULE;

  if (GCX_LIKELY(granules < GCX__CELLS_CLASSES && t != NULL &&
                 t->freed != NULL && !gcx__opt.free_keeps &&
                 !gcx__record_is_inherited(number))) {
    struct gcx__freed_ring *ring = &t->freed->ring[granules];

    if (GCX_LIKELY(ring->numbers != NULL && !gcx__freed_is_full(ring))) {
      block_clear(p, granules);
      gcx__freed_add(ring, number);
      return;
    }
  }
  block_queue_slowly(t, number, p, cell);
}

static bool block_has_ended(uint32_t state)
{
  return (state & GCX_STATE_MASK) == GCX_STATE_DISPOSED ||
         (state & GCX_STATE_MASK) == GCX_STATE_DISPOSING;
}

/* The common case: a live block that nothing hangs on. False: not so, or another
 * thread was faster. */
static inline bool block_end(struct gcx__thread *t, uint32_t number, void *p,
                             size_t cell, const struct gcx__frame *start)
{
  uint32_t site = 0;

  if (GCX_UNLIKELY(gcx__record_at(number)->type != block_type_number() ||
                   gcx__record_state(number) != GCX_STATE_LIVE))
    return false;
  if (gcx__opt.leak != GCX_LEAK_OFF && t != NULL)
    site = gcx__trace_site(t, start);
  if (GCX_UNLIKELY(
          !gcx__record_change(number, GCX_STATE_LIVE, GCX_STATE_DISPOSED)))
    return false;
  if (GCX_LIKELY(t != NULL))
    t->ended_blocks++;
  gcx__record_fate(number)->link = site;
  GCX_DELAY();
  block_queue(t, number, p, cell);
  GCX_KEEP(p);
  return true;
}

/* A block that something hangs on (owner, size of 4 GiB, an earlier report) is
 * ended as any object, and left to the collector. */
static void block_end_slowly(uint32_t number, void *p, const char *function,
                             const struct gcx__frame *start)
{
  gcx__lifecycle_note_use(number, start);
  if (block_has_ended(gcx__record_state(number)))
    gcx__misuse_disposed(GCX_REPORT_DOUBLE_FREE, number, function, start);
  else
    gcx__lifecycle_dispose(p, function, start);
}

static GCX_NOINLINE bool block_free_slowly(void *p, const char *function,
                                           const struct gcx__frame *start)
{
  struct gcx__thread *t;
  uint32_t number;
  int saved = errno;

  if (!gcx__bdw_may_hold(p) || gcx__bdw_base(p) == NULL)
    return false;
  t = gcx__thread_self();
  number = gcx__misuse_object(p, function, false, start);
  if (number != 0 && gcx__record_at(number)->type == block_type_number() &&
      (gcx__record_state(number) & GCX_STATE_MASK) == GCX_STATE_LIVE)
    gcx__object_leave_weak(number, p);
  if (number != 0 && !block_end(t, number, p, gcx__bdw_cell_bytes(p), start))
    block_end_slowly(number, p, function, start);
  errno = saved;
  return true;
}

bool gcx__block_free(void *p, const char *function,
                     const struct gcx__frame *start)
{
  size_t cell = gcx__object_cell(p);

  if (GCX_LIKELY(cell != 0)) {
    uint32_t number = gcx__object_number_in(p, cell);

    if (GCX_LIKELY(number != 0) &&
        GCX_LIKELY(block_end(gcx__thread_current, number, p, cell, start)))
      return true;
  }
  return p == NULL || block_free_slowly(p, function, start);
}

/* ---- resizing */

/* A cell that is much too large is given up when the block shrinks. */
static bool block_fits(size_t bytes, size_t room)
{
  return bytes <= room && (room <= 512 || bytes >= room / 2);
}

static enum gcx__resized block_move(uint32_t number, void *p, size_t bytes,
                                    const char *function,
                                    const struct gcx__frame *start,
                                    void **ret_p)
{
  size_t had = gcx__object_bytes(number);
  void *moved = gcx__block_alloc(bytes, GCX__ALIGN_MIN, start);

  if (moved == NULL)
    return GCX_RESIZE_FAILED;
  memcpy(moved, p, GCX_MIN(had, bytes));
  (void)gcx__block_free(p, function, start);
  *ret_p = moved;
  return GCX_RESIZED;
}

/* An object of gcx's, or a block that has an owner or the like: what hangs on it
 * follows. */
static enum gcx__resized block_resize_object(void *p, size_t bytes,
                                             void **ret_p)
{
  void *moved = gcx_realloc(p, bytes);

  if (moved == NULL)
    return GCX_RESIZE_FAILED;
  *ret_p = moved;
  return GCX_RESIZED;
}

static enum gcx__resized block_resize(uint32_t number, void *p, size_t bytes,
                                      const char *function,
                                      const struct gcx__frame *start,
                                      void **ret_p)
{
  struct gcx__thread *t = gcx__thread_self();
  size_t room = gcx__object_room(p);

  gcx__lifecycle_note_use(number, start);
  if (block_has_ended(gcx__record_state(number))) {
    gcx__misuse_disposed(GCX_REPORT_DOUBLE_FREE, number, function, start);
    errno = EINVAL;
    return GCX_RESIZE_FAILED;
  }
  if (gcx__record_at(number)->type != block_type_number() ||
      (gcx__record_state(number) &
       (GCX_FLAG_AUX | GCX_FLAG_BIG | GCX_FLAG_WEAK)) != 0)
    return block_resize_object(p, bytes, ret_p);
  if (t == NULL || !block_fits(bytes, room) || bytes > UINT32_MAX)
    return block_move(number, p, bytes, function, start, ret_p);
  gcx__object_set_bytes(number, bytes);
  gcx__object_set_birth(t, number, start);
  *ret_p = p;
  return GCX_RESIZED;
}

enum gcx__resized gcx__block_resize(void *p, size_t bytes, const char *function,
                                    const struct gcx__frame *start,
                                    void **ret_p)
{
  uint32_t number = gcx__object_recall(p);
  enum gcx__resized result;

  if (GCX_UNLIKELY(number == 0)) {
    if (!gcx__bdw_may_hold(p) || gcx__bdw_base(p) == NULL)
      return GCX_RESIZE_FOREIGN;
    number = gcx__misuse_object(p, function, false, start);
  }
  if (GCX_UNLIKELY(number == 0)) {
    errno = EINVAL;
    return GCX_RESIZE_FAILED;
  }
  result = block_resize(number, p, bytes, function, start, ret_p);
  GCX_KEEP(p);
  return result;
}

/* ---- questions */

bool gcx__block_bytes(const void *p, size_t *ret_bytes)
{
  uint32_t number = 0;

  if (!gcx__bdw_may_hold(p) ||
      gcx__object_find(p, &number) == GCX_FOUND_FOREIGN)
    return false;
  *ret_bytes = number != 0 ? gcx__object_bytes(number) : 0;
  GCX_KEEP(p);
  return true;
}
