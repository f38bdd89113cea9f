/* SPDX-License-Identifier: MIT */
/*
 * entries.c - the array of a table
 *
 * An entry is written whole, then its index: whoever finds it finds it whole. In
 * an entry that comes back, @since is written before the value, so that an
 * iterator that sees the value sees when it came.
 *
 * Small arrays come from free lists, one for each capacity, large ones are
 * mapped. The index has twice as many places as there are entries: a search ends.
 */
#include "entries.h"

#include <string.h>

#include "latch.h"
#include "vm.h"

#define SMALL_MAX 512u /* entries of the largest array on a free list */
#define SMALL_CLASSES 7

static struct gcx__latch entries_latch; /* of the free lists */
static struct gcx__entries *entries_free[SMALL_CLASSES];
static uint64_t entries_id;
static size_t entries_mapped;

size_t gcx__entries_bytes(uint32_t capacity)
{
  return sizeof(struct gcx__entries) + capacity * sizeof(struct gcx__entry) +
         2 * (size_t)capacity * sizeof(uint32_t);
}

size_t gcx__entries_mapped(void)
{
  return __atomic_load_n(&entries_mapped, __ATOMIC_RELAXED);
}

static uint32_t entries_log2(uint32_t n)
{
  return 31 - (uint32_t)__builtin_clz(n);
}

static struct gcx__entries **entries_list(uint32_t capacity)
{
  return &entries_free[entries_log2(capacity) - entries_log2(GCX__ENTRIES_MIN)];
}

static struct gcx__entries *entries_take_small(uint32_t capacity)
{
  struct gcx__entries **list = entries_list(capacity), *a;

  gcx__latch_lock(&entries_latch);
  a = *list;
  if (a != NULL)
    *list = a->older;
  gcx__latch_unlock(&entries_latch);
  if (a == NULL)
    return gcx__vm_alloc(gcx__entries_bytes(capacity));
  memset(a, 0, gcx__entries_bytes(capacity));
  return a;
}

struct gcx__entries *gcx__entries_make(size_t entries)
{
  uint32_t capacity = GCX__ENTRIES_MIN;
  struct gcx__entries *a;

  if (entries > GCX__ENTRIES_MAX)
    return NULL;
  while (capacity < entries)
    capacity *= 2;
  a = capacity <= SMALL_MAX ? entries_take_small(capacity)
                            : gcx__vm_map(gcx__entries_bytes(capacity));
  if (a == NULL)
    return NULL;
  a->capacity = capacity;
  a->index_mask = 2 * capacity - 1;
  a->shift = 64 - (entries_log2(capacity) + 1);
  a->id = __atomic_add_fetch(&entries_id, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&entries_mapped, gcx__entries_bytes(capacity),
                     __ATOMIC_RELAXED);
  return a;
}

void gcx__entries_free(struct gcx__entries *a)
{
  size_t bytes = gcx__entries_bytes(a->capacity);

  __atomic_fetch_sub(&entries_mapped, bytes, __ATOMIC_RELAXED);
  if (a->capacity > SMALL_MAX) {
    gcx__vm_unmap(a, bytes);
    return;
  }
  gcx__latch_lock(&entries_latch);
  a->older = *entries_list(a->capacity);
  *entries_list(a->capacity) = a;
  gcx__latch_unlock(&entries_latch);
}

void gcx__entries_add(struct gcx__entries *a, uintptr_t key, uintptr_t value,
                      uint64_t order, uint64_t since)
{
  uint64_t hash = gcx__entries_hash(key);
  uint32_t mask = a->index_mask, n = a->used;
  uint32_t *index = gcx__entries_index(a);
  struct gcx__entry *e = &a->entry[n];
  uint32_t i = (uint32_t)(hash >> a->shift);

  GCX_ASSERT_DEBUG(n < a->capacity);
  e->order = order;
  e->since = since;
  __atomic_store_n(&e->value, value, __ATOMIC_RELEASE);
  GCX_DELAY();
  __atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
  GCX_DELAY();
  __atomic_store_n(&a->used, n + 1, __ATOMIC_RELEASE);
  while (index[i & mask] != 0)
    i++;
  __atomic_store_n(&index[i & mask], ((uint32_t)hash & ~mask) | (n + 1),
                   __ATOMIC_RELEASE);
}

void gcx__entries_copy(struct gcx__entries *to, const struct gcx__entries *from)
{
  for (uint32_t i = 0; i < from->used; i++) {
    uintptr_t key = __atomic_load_n(&from->entry[i].key, __ATOMIC_ACQUIRE);
    uintptr_t value = __atomic_load_n(&from->entry[i].value, __ATOMIC_ACQUIRE);

    if (key != 0 && value != 0)
      gcx__entries_add(to, key, value, from->entry[i].order,
                       from->entry[i].since);
  }
}

void gcx__entries_reset(struct gcx__entries *a)
{
  memset(a->entry, 0, a->used * sizeof a->entry[0]);
  memset(gcx__entries_index(a), 0, (a->index_mask + 1) * sizeof(uint32_t));
  a->used = 0;
}

/* A list loses at most what a thread that is gone was putting on it. */
void gcx__entries_after_fork(void)
{
  gcx__latch_reset(&entries_latch);
}

size_t gcx__entries_room(size_t live, size_t capacity)
{
  if (live + live / 3 >= capacity)
    return capacity * 2;
  if (live * 4 <= capacity && capacity > GCX__ENTRIES_MIN)
    return GCX_MAX(live * 2, (size_t)GCX__ENTRIES_MIN);
  return capacity;
}

void gcx__entries_check(struct gcx__entries *a)
{
  uint32_t indexed = 0;

  for (uint32_t i = 0; i <= a->index_mask; i++)
    indexed += gcx__entries_index(a)[i] != 0;
  GCX_ASSERT(indexed == a->used);
  GCX_ASSERT(a->used <= a->capacity);
  for (uint32_t i = 0; i < a->used; i++) {
    const struct gcx__entry *e = &a->entry[i];

    GCX_ASSERT(e->since >= e->order);
    GCX_ASSERT(i == 0 || e[-1].order < e->order);
    GCX_ASSERT(e->key == 0 || gcx__entries_find(a, e->key) == e);
  }
}
