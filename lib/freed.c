/* SPDX-License-Identifier: MIT */
/*
 * freed.c - blocks that free() ended, on their way to be used again
 *
 * A queued block is a disposed object like any other but for this: its cell is
 * marked in each stop, since its thread will give it out again without asking
 * the collector. Marked only, not followed: what it held is not kept.
 *
 * A ring belongs to its thread. A stop may come at any instruction: what is
 * between head and tail is whole at each of them, and a block that is going in
 * or coming out is in a register of that thread.
 */
#include "freed.h"

#include "bdw.h"
#include "lock.h"
#include "vm.h"

#define FREED_BYTES_MAX ((size_t)16 << 20)
#define FREED_LARGE_MAX ((size_t)1 << 16) /* blocks; a power of two */

struct freed_large {
  uint32_t number;
  uint32_t kib; /* of its cell, rounded up */
};

static struct gcx__lock freed_lock = GCX_LOCK_INIT(GCX_RANK_FREED);
static struct freed_large *freed_large;
static size_t freed_head, freed_tail;
static size_t freed_kib;

struct gcx__freed_ring *gcx__freed_ring(struct gcx__thread *t, size_t granules)
{
  struct gcx__freed_ring *r;
  uint32_t *numbers;

  if (GCX_UNLIKELY(t->freed == NULL)) {
    struct gcx__freed *made = gcx__vm_map(sizeof *made);

    if (made == NULL)
      return NULL;
    __atomic_store_n(&t->freed, made, __ATOMIC_RELEASE);
  }
  r = &t->freed->ring[granules];
  if (GCX_UNLIKELY(r->numbers == NULL)) {
    numbers = gcx__vm_map(GCX__FREED_RING * sizeof *numbers);
    if (numbers == NULL)
      return NULL;
    __atomic_store_n(&r->numbers, numbers, __ATOMIC_RELEASE);
  }
  return r;
}

void gcx__freed_drop(struct gcx__thread *t)
{
  struct gcx__freed *f = t->freed;

  if (f == NULL)
    return;
  __atomic_store_n(&t->freed, NULL, __ATOMIC_RELEASE);
  for (size_t g = 0; g < GCX_ARRAY_LENGTH(f->ring); g++)
    if (f->ring[g].numbers != NULL)
      gcx__vm_unmap(f->ring[g].numbers, GCX__FREED_RING * sizeof(uint32_t));
  gcx__vm_unmap(f, sizeof *f);
}

/* ---- large ones */

static bool freed_is_over_locked(void)
{
  size_t n = freed_tail - freed_head;

  GCX_ASSERT(gcx__lock_held(&freed_lock));
  return n == FREED_LARGE_MAX || (n > 1 && freed_kib > FREED_BYTES_MAX / 1024);
}

/* Its object is in a register before it is off the queue. */
static uint32_t freed_take_locked(void **ret_object)
{
  struct freed_large oldest;

  if (!freed_is_over_locked())
    return 0;
  oldest = freed_large[freed_head % FREED_LARGE_MAX];
  *ret_object = gcx__record_object(oldest.number);
  GCX_KEEP(*ret_object);
  __atomic_store_n(&freed_head, freed_head + 1, __ATOMIC_RELEASE);
  freed_kib -= oldest.kib;
  return oldest.number;
}

static void freed_add_locked(uint32_t number, size_t cell_bytes)
{
  uint32_t kib =
      (uint32_t)GCX_MIN((cell_bytes + 1023) / 1024, (size_t)UINT32_MAX);

  freed_large[freed_tail % FREED_LARGE_MAX] =
      (struct freed_large){ number, kib };
  __atomic_store_n(&freed_tail, freed_tail + 1, __ATOMIC_RELEASE);
  freed_kib += kib;
}

uint32_t gcx__freed_swap(uint32_t number, size_t cell_bytes, void **ret_object)
{
  uint32_t out;

  gcx__lock(&freed_lock);
  if (freed_large == NULL)
    freed_large = gcx__vm_map(FREED_LARGE_MAX * sizeof *freed_large);
  if (freed_large == NULL) {
    *ret_object = number != 0 ? gcx__record_object(number) : NULL;
    gcx__unlock(&freed_lock);
    return number;
  }
  if (number != 0)
    freed_add_locked(number, cell_bytes);
  out = freed_take_locked(ret_object);
  gcx__unlock(&freed_lock);
  return out;
}

/* Numbers of the parent's are never given out again in the child. */
void gcx__freed_after_fork(void)
{
  freed_head = freed_tail = 0;
  freed_kib = 0;
}

/* ---- in a stop */

static void freed_mark(uint32_t number)
{
  void *p = gcx__record_object(number);

  if (p != NULL)
    gcx__bdw_set_mark(p);
}

static void freed_mark_ring(const struct gcx__freed_ring *r)
{
  const uint32_t *numbers = __atomic_load_n(&r->numbers, __ATOMIC_ACQUIRE);
  uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);

  for (uint32_t i = r->head; i != tail; i++)
    freed_mark(numbers[i % GCX__FREED_RING]);
}

void gcx__freed_mark_all(void)
{
  struct gcx__thread *t;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    const struct gcx__freed *f = __atomic_load_n(&t->freed, __ATOMIC_ACQUIRE);

    for (size_t g = 0; f != NULL && g < GCX_ARRAY_LENGTH(f->ring); g++)
      freed_mark_ring(&f->ring[g]);
  }
  for (size_t i = freed_head; i != freed_tail; i++)
    freed_mark(freed_large[i % FREED_LARGE_MAX].number);
}
