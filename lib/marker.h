/* SPDX-License-Identifier: MIT */
/*
 * marker.h - a marker of gcx's own: marks an object and all that it reaches
 *
 * Runs in the stopped world after bdwgc's marking is complete. Conservative like
 * bdwgc's, and linear: each object is scanned once, when it becomes marked.
 */
#ifndef GCX_MARKER_H
#define GCX_MARKER_H

#include "assert.h"

struct gcx__marker;

/* Called for each object that the marker has newly marked: edges that do not
 * lie in the object itself (owned objects, ephemerons). Calls
 * gcx__marker_add() for what they lead to. */
typedef void (*gcx__marker_edges_fn)(struct gcx__marker *m, void *base);

struct gcx__marker {
  void **queue;   /* marked since the beginning, in that order, unless room ran
                     out: see gcx__marker_reserve() */
  size_t marked;  /* entries */
  size_t scanned; /* of those: their words have been followed */
  size_t capacity;
  uintptr_t low; /* of the collected heap */
  uintptr_t high;
  gcx__marker_edges_fn edges; /* or NULL */
  bool overflowed; /* something was marked that did not get into the queue */
};

/* Room for one entry per object that a heap of @heap_bytes can hold. World
 * running. False: no memory. The marker can be used all the same: with a small
 * queue of its own, and a walk through the heap each time that it overflows. Then
 * the queue does not list what was marked. */
bool gcx__marker_reserve(struct gcx__marker *m, size_t heap_bytes);

/* The queue is the caller's from now on: capacity entries, to be given to
 * gcx__vm_unmap(). The marker needs a new reservation. */
void **gcx__marker_hand_over(struct gcx__marker *m, size_t *ret_capacity);

/* Beginning of a stop. */
void gcx__marker_begin(struct gcx__marker *m, gcx__marker_edges_fn edges);

/* Mark the object at @base (of the collected heap, exactly) if it is not. */
void gcx__marker_add(struct gcx__marker *m, void *base);

/* Scan what was added, and what that leads to. */
void gcx__marker_drain(struct gcx__marker *m);

#endif
