/* SPDX-License-Identifier: MIT */
/*
 * graph.h - a set of objects, and who points to whom among them
 *
 * For what comes after the stop: which lost objects are held only by others, and
 * what a foreign finalizer can still reach. The set is given; pointers that lead
 * out of it are not followed, so the work is linear in its size.
 */
#ifndef GCX_GRAPH_H
#define GCX_GRAPH_H

#include "assert.h"

struct gcx__graph {
  void *const *objects; /* the caller's */
  size_t count;
  uint32_t *slots;   /* open addressing: 1 + index into objects */
  size_t slot_count; /* a power of two */
  uint32_t *stack;
  uint8_t *colour; /* per object: bits of the visits so far */
  uintptr_t low;
  uintptr_t high;
};

/* False without memory. The collector's lock is held from here to fini: the
 * objects must not go. */
bool gcx__graph_init(struct gcx__graph *g, void *const *objects, size_t count);
void gcx__graph_fini(struct gcx__graph *g);

/* Index of an object, SIZE_MAX if it is not in the set. */
size_t gcx__graph_index(const struct gcx__graph *g, const void *object);

/* Visit what @object (in the set or not) leads to, itself included, giving it
 * @colour (a bit); what has it already is not visited again. @fn (or NULL) is
 * called for each. */
void gcx__graph_flood(struct gcx__graph *g, const void *object, uint8_t colour,
                      void (*fn)(size_t index, void *arg), void *arg);

/* Depth first: @fn is called for each object (as an index) that @object, which is
 * in the set, leads to, itself included, after all that it leads to; rings are
 * cut somewhere. What has @colour already is not visited again. @cursors: zeroed
 * memory for an entry per object of the set. */
struct gcx__graph_cursor {
  uint32_t child; /* record of an owned object to be looked at next */
  uint32_t word;  /* of the object, the same */
};
void gcx__graph_finish_order(struct gcx__graph *g, const void *object,
                             uint8_t colour, struct gcx__graph_cursor *cursors,
                             void (*fn)(size_t index, void *arg), void *arg);

#endif
