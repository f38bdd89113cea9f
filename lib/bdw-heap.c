/* SPDX-License-Identifier: MIT */
/*
 * bdw-heap.c - the size of the collected heap, and whether it is collected
 */
#include "bdw-gc.h"

#include "platform.h"

#define HEAP_ROOM ((size_t)64 << 20)

void (*gcx__bdw_on_alloc)(void);
void (*gcx__bdw_on_collect)(void);

void gcx__bdw_disable(void)
{
  GC_disable();
}

void gcx__bdw_enable(void)
{
  GC_enable();
}

bool gcx__bdw_is_disabled(void)
{
  return GC_is_disabled() != 0;
}

bool gcx__bdw_have_free(size_t bytes)
{
  return GC_get_free_bytes() >= bytes || GC_expand_hp(bytes) != 0;
}

/* What was given back to the system is still there to be used, but not counted as
 * free: without it the heap would grow for ever. */
void gcx__bdw_ensure_room(void)
{
  size_t free = GC_get_free_bytes() + GC_get_unmapped_bytes();

  if (GC_get_dont_expand() || free >= HEAP_ROOM ||
      gcx__getenv("GC_INITIAL_HEAP_SIZE") != NULL ||
      gcx__getenv("GC_FREE_SPACE_DIVISOR") != NULL)
    return;
  (void)GC_expand_hp(HEAP_ROOM - free);
}

size_t gcx__bdw_bytes_since(void)
{
  return GC_get_bytes_since_gc();
}

size_t gcx__bdw_trigger_bytes(void)
{
  return GC_get_heap_size() / GC_get_free_space_divisor();
}

void gcx__bdw_collect_and_unmap(void)
{
  GC_gcollect_and_unmap();
}

void gcx__bdw_sizes(size_t *ret_heap, size_t *ret_free)
{
  *ret_heap = GC_get_heap_size();
  *ret_free = GC_get_free_bytes();
}
