/* SPDX-License-Identifier: MIT */
/*
 * marker.c - a marker of gcx's own
 *
 * Breadth first: a queue in vm memory, reserved with the world running for the
 * worst case (every object of the heap in it; pages that are not used cost
 * nothing), so that marking can neither recurse nor fail in the stopped world.
 * When it is done the queue lists exactly the objects that were marked here and
 * by nobody else: the garbage that is being kept. bdwgc's mark bits are the
 * visited set. Without memory for it a small queue has to do: what did not get into
 * it is marked, and found again among all that is marked, as often as it overflows.
 * Every aligned word of an object that holds pointers is taken for
 * one, interior pointers included: a superset of what bdwgc's own marker
 * follows, so that nothing reachable is ever missed.
 */
#include "marker.h"

#include "bdw.h"
#include "vm.h"

/* Smallest cell of the collector, bytes. */
#define GRANULE 16
/* Objects of which the words are fetched before they are scanned. */
#define AHEAD 8
/* Entries of the queue for want of another. */
#define EMERGENCY 4096

static void *marker_emergency[EMERGENCY] GCX_NOT_A_ROOT;

bool gcx__marker_reserve(struct gcx__marker *m, size_t heap_bytes)
{
  size_t capacity = heap_bytes / GRANULE + 1024;
  void **queue;

  if (m->capacity >= capacity)
    return true;
  capacity += capacity / 2;
  queue = gcx__vm_map(capacity * sizeof *queue);
  if (queue == NULL)
    return false;
  if (m->queue != NULL && m->queue != marker_emergency)
    gcx__vm_unmap(m->queue, m->capacity * sizeof *queue);
  m->queue = queue;
  m->capacity = capacity;
  return true;
}

void **gcx__marker_hand_over(struct gcx__marker *m, size_t *ret_capacity)
{
  void **queue = m->queue;

  GCX_ASSERT(!m->overflowed && queue != marker_emergency);
  *ret_capacity = m->capacity;
  m->queue = NULL;
  m->capacity = 0;
  return queue;
}

void gcx__marker_begin(struct gcx__marker *m, gcx__marker_edges_fn edges)
{
  if (m->queue == NULL) {
    m->queue = marker_emergency;
    m->capacity = EMERGENCY;
  }
  m->marked = 0;
  m->scanned = 0;
  m->overflowed = false;
  m->edges = edges;
  gcx__bdw_heap_bounds(&m->low, &m->high);
}

void gcx__marker_add(struct gcx__marker *m, void *base)
{
  if (gcx__bdw_is_marked(base))
    return;
  gcx__bdw_set_mark(base);
  if (GCX_LIKELY(m->marked < m->capacity))
    m->queue[m->marked++] = base;
  else
    m->overflowed = true;
}

static void marker_scan(struct gcx__marker *m, void *base)
{
  const uintptr_t *word = base;
  const uintptr_t *end = word + gcx__bdw_scan_bytes(base) / sizeof *word;
  uintptr_t span = m->high - m->low;

  for (; word < end; word++) {
    void *target;

    if (*word - m->low >= span)
      continue;
    target = gcx__bdw_base((void *)*word);
    if (target != NULL)
      gcx__marker_add(m, target);
  }
}

static void marker_drain_queue(struct gcx__marker *m)
{
  while (m->scanned < m->marked) {
    void *base = m->queue[m->scanned++];

    if (m->marked - m->scanned >= AHEAD)
      __builtin_prefetch(m->queue[m->scanned + AHEAD - 1]);
    if (m->edges != NULL)
      m->edges(m, base);
    marker_scan(m, base);
  }
}

/* Whatever the queue held has been followed: it begins anew with each object. */
static void marker_scan_again(void *base, void *arg)
{
  struct gcx__marker *m = arg;

  m->marked = m->scanned = 0;
  if (m->edges != NULL)
    m->edges(m, base);
  marker_scan(m, base);
  marker_drain_queue(m);
}

void gcx__marker_drain(struct gcx__marker *m)
{
  marker_drain_queue(m);
  while (GCX_UNLIKELY(m->overflowed)) {
    m->overflowed = false;
    gcx__bdw_each_marked(marker_scan_again, m);
  }
}
