/* SPDX-License-Identifier: MIT */
/*
 * pool-list.c - the pools there are
 *
 * What gcx keeps of a pool lies off-heap and is used again for another one, if
 * nothing that it lent can be about any more. Pools are told apart by an id that
 * is never used again. In a stop all of them are visited: what waits in them is
 * marked, and those whose object is gone are forgotten.
 */
#include "pool-idle.h"

#include <string.h>

#include "type.h"
#include "vm.h"

static struct gcx__pool *pool_all; /* in use or not; only grows */
static uint32_t pool_last_id;

static void pool_clear(struct gcx__pool *pool)
{
  struct gcx__pool_shelf shelf[GCX__POOL_CLASSES];
  struct gcx__pool *next = pool->next;
  uint32_t type_number = pool->type_number;

  memcpy(shelf, pool->shelf, sizeof shelf); /* their memory is used again */
  for (size_t i = 0; i < GCX__POOL_CLASSES; i++)
    shelf[i].count = 0;
  memset(pool, 0, sizeof *pool);
  memcpy(pool->shelf, shelf, sizeof shelf);
  pool->next = next;
  pool->type_number = type_number;
}

static struct gcx__pool *pool_reuse(void)
{
  struct gcx__pool *pool;

  gcx__lock(&gcx__pool_lock);
  for (pool = pool_all; pool != NULL; pool = pool->next)
    if (pool->is_free) {
      pool_clear(pool);
      break;
    }
  gcx__unlock(&gcx__pool_lock);
  return pool;
}

struct gcx__pool *gcx__pool_new(void)
{
  struct gcx__pool *pool = pool_reuse();

  if (pool != NULL)
    return pool;
  pool = gcx__vm_alloc(sizeof *pool);
  if (pool == NULL)
    return NULL;
  pool->type_number = gcx__type_number(&pool->type);
  if (pool->type_number == 0)
    return NULL;
  gcx__lock(&gcx__pool_lock);
  pool->next = pool_all;
  __atomic_store_n(&pool_all, pool, __ATOMIC_RELEASE);
  gcx__unlock(&gcx__pool_lock);
  return pool;
}

void gcx__pool_begin(struct gcx__pool *pool, void *object)
{
  gcx__lock(&gcx__pool_lock);
  if (++pool_last_id == 0)
    pool_last_id++;
  pool->tokens = pool->config.max_kept_bytes;
  pool->object_number = gcx__object_number(object);
  pool->hidden = GCX_HIDE(object);
  __atomic_store_n(&pool->id, pool_last_id, __ATOMIC_RELEASE);
  gcx__unlock(&gcx__pool_lock);
  GCX_KEEP(object);
}

static void pool_forget(struct gcx__pool *pool)
{
  __atomic_store_n(&pool->id, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&pool->hidden, 0, __ATOMIC_RELEASE);
  for (size_t i = 0; i < GCX__POOL_CLASSES; i++)
    __atomic_store_n(&pool->shelf[i].count, 0, __ATOMIC_RELEASE);
}

void gcx__pool_end(struct gcx__pool *pool)
{
  gcx__lock(&gcx__pool_lock);
  pool_forget(pool);
  gcx__unlock(&gcx__pool_lock);
}

void gcx__pool_free(struct gcx__pool *pool)
{
  gcx__lock(&gcx__pool_lock);
  pool_forget(pool);
  pool->is_free = true;
  gcx__unlock(&gcx__pool_lock);
}

/* A hidden word in a register is no root: see DESIGN's reader of weak words. */
void *gcx__pool_object(const struct gcx__pool *pool)
{
  uintptr_t h;
  void *p;

  do {
    h = __atomic_load_n(&pool->hidden, __ATOMIC_ACQUIRE);
    if (h == 0)
      return NULL;
    p = GCX_REVEAL(h);
    __asm__ volatile("" : "+r"(p) : : "memory");
    GCX_DELAY();
  } while (__atomic_load_n(&pool->hidden, __ATOMIC_ACQUIRE) != h);
  return p;
}

/* ---- the collection's view; stopped */

static void idle_mark(const uint32_t *numbers, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const void *object = gcx__record_object(numbers[i]);

    if (object != NULL)
      gcx__bdw_set_mark(object);
  }
}

void gcx__pool_mark_idle(void)
{
  const struct gcx__pool *pool;
  struct gcx__thread *t;

  for (pool = pool_all; pool != NULL; pool = pool->next)
    for (size_t c = 0;
         pool->id != 0 && pool->lends_buffers && c < GCX__POOL_CLASSES; c++)
      idle_mark(pool->shelf[c].numbers, pool->shelf[c].count);
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    for (size_t i = 0; t->pools != NULL && i < GCX__POOL_HANDS; i++) {
      const struct gcx__pool_hand *h = &t->pools->hand[i];

      for (size_t c = 0;
           h->id != 0 && h->pool->id == h->id && c < GCX__POOL_CLASSES; c++)
        idle_mark(h->numbers[c], h->count[c]);
    }
}

/* Pools that are collected without having been disposed. Their struct gcx__pool
 * is not used again: something that they lent may still be about. */
void gcx__pool_clear_dead(void)
{
  for (struct gcx__pool *pool = pool_all; pool != NULL; pool = pool->next)
    if (pool->hidden != 0 &&
        gcx__record_object(pool->object_number) != GCX_REVEAL(pool->hidden))
      pool_forget(pool);
}

/* ---- fork */

void gcx__pool_after_fork(void)
{
  struct gcx__thread *self = gcx__thread_current;

  if (self != NULL && self->pools != NULL)
    memset(self->pools->hand, 0, sizeof self->pools->hand);
  for (struct gcx__pool *pool = pool_all; pool != NULL; pool = pool->next) {
    for (size_t c = 0; c < GCX__POOL_CLASSES; c++)
      pool->shelf[c].count = 0;
    pool->tokens = pool->config.max_kept_bytes;
  }
}
