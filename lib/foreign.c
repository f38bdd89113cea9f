/* SPDX-License-Identifier: MIT */
/*
 * foreign.c - what bdwgc keeps for finalizers that gcx knows nothing of
 *
 * At the end of such a collection everything is marked, so the walk from those
 * objects has a visited set of its own: a table of hidden addresses in vm
 * memory. It can lead into the living part of the heap; if it grows beyond the
 * table, or there is no memory, every object counts as reached: nothing of that
 * collection is called lost, the next one looks again.
 */
#include "foreign.h"

#include <string.h>

#include "bdw.h"
#include "vm.h"

#define FOREIGN_SLOTS (1u << 20)
#define FOREIGN_MAX (FOREIGN_SLOTS / 2)

static uintptr_t *foreign_slots; /* visited: open addressing, hidden, 0: free */
static uintptr_t *foreign_queue; /* visited, in order; first those queued */
static size_t foreign_count; /* entries of the queue; may exceed the maximum */
static bool foreign_known;   /* the walk was complete */
static bool foreign_dirty;   /* there is something in the slots */
static uintptr_t foreign_low GCX_NOT_A_ROOT;
static uintptr_t foreign_high GCX_NOT_A_ROOT;

void gcx__foreign_init(void)
{
  foreign_slots = gcx__vm_map(FOREIGN_SLOTS * sizeof *foreign_slots);
  foreign_queue = gcx__vm_map(FOREIGN_MAX * sizeof *foreign_queue);
}

static uintptr_t *foreign_slot(uintptr_t hidden)
{
  size_t i = (size_t)((hidden * UINT64_C(0x9E3779B97F4A7C15)) >> 24);

  for (;; i++) {
    uintptr_t *slot = &foreign_slots[i & (FOREIGN_SLOTS - 1)];

    if (*slot == 0 || *slot == hidden)
      return slot;
  }
}

static bool foreign_has_memory(void)
{
  return foreign_slots != NULL && foreign_queue != NULL;
}

void gcx__foreign_begin(void)
{
  if (foreign_dirty)
    memset(foreign_slots, 0, FOREIGN_SLOTS * sizeof *foreign_slots);
  foreign_count = 0;
  foreign_known = foreign_dirty = false;
}

static void foreign_visit(uintptr_t hidden)
{
  uintptr_t *slot;

  if (foreign_count < FOREIGN_MAX) {
    slot = foreign_slot(hidden);
    if (*slot == hidden)
      return;
    *slot = hidden;
    foreign_queue[foreign_count] = hidden;
  }
  foreign_count++;
}

void gcx__foreign_add(void *object)
{
  if (foreign_has_memory() && foreign_count < FOREIGN_MAX)
    foreign_queue[foreign_count] = GCX_HIDE(object);
  foreign_count++;
}

bool gcx__foreign_any(void)
{
  return foreign_count > 0;
}

static void foreign_scan(const void *object)
{
  const uintptr_t *word = object, *end;
  uintptr_t span = foreign_high - foreign_low;

  if (gcx__bdw_is_atomic(object))
    return;
  end = word + gcx__bdw_cell_bytes(object) / sizeof *word;
  for (; word < end; word++) {
    const void *target;

    if (*word - foreign_low >= span)
      continue;
    target = gcx__bdw_base((void *)*word);
    if (target != NULL)
      foreign_visit(GCX_HIDE(target));
  }
}

void gcx__foreign_trace(void)
{
  size_t queued = foreign_count;

  if (!foreign_has_memory() || queued >= FOREIGN_MAX)
    return;
  foreign_dirty = true;
  foreign_count = 0;
  for (size_t i = 0; i < queued; i++)
    foreign_visit(foreign_queue[i]);
  gcx__bdw_heap_bounds(&foreign_low, &foreign_high);
  for (size_t i = 0; i < foreign_count; i++) {
    if (foreign_count >= FOREIGN_MAX)
      return;
    foreign_scan(GCX_REVEAL(foreign_queue[i]));
  }
  foreign_known = true;
}

bool gcx__foreign_reaches(const void *object)
{
  uintptr_t hidden = GCX_HIDE(object);

  return !foreign_known || *foreign_slot(hidden) == hidden;
}
