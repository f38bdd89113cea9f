/* SPDX-License-Identifier: MIT */
/*
 * graph.c - a set of objects, and who points to whom among them
 *
 * Objects are found by an open-addressing table of indices; the depth-first walk
 * has a stack for every object of the set. All of it is vm memory. Edges are the
 * words of an object, read as the marker reads them, and the objects it owns.
 */
#include "graph.h"

#include "aux.h"
#include "bdw.h"
#include "object.h"
#include "vm.h"

static size_t graph_hash(const void *object)
{
  return (size_t)(((uintptr_t)object * UINT64_C(0x9E3779B97F4A7C15)) >> 24);
}

size_t gcx__graph_index(const struct gcx__graph *g, const void *object)
{
  for (size_t i = graph_hash(object);; i++) {
    uint32_t slot = g->slots[i & (g->slot_count - 1)];

    if (slot == 0)
      return SIZE_MAX;
    if (g->objects[slot - 1] == object)
      return slot - 1;
  }
}

static void graph_insert(struct gcx__graph *g, size_t index)
{
  size_t i = graph_hash(g->objects[index]);

  while (g->slots[i & (g->slot_count - 1)] != 0)
    i++;
  g->slots[i & (g->slot_count - 1)] = (uint32_t)index + 1;
}

static size_t graph_slots_for(size_t count)
{
  size_t slots = 64;

  while (slots < count * 2)
    slots *= 2;
  return slots;
}

/* One mapping: slots, stack, colours. */
static size_t graph_bytes(const struct gcx__graph *g)
{
  return (g->slot_count + g->count + 1) * sizeof(uint32_t) + g->count + 1;
}

bool gcx__graph_init(struct gcx__graph *g, void *const *objects, size_t count)
{
  g->objects = objects;
  g->count = count;
  g->slot_count = graph_slots_for(count);
  if (count >= UINT32_MAX)
    return false;
  g->slots = gcx__vm_map(graph_bytes(g));
  if (g->slots == NULL)
    return false;
  g->stack = g->slots + g->slot_count;
  g->colour = (uint8_t *)(g->stack + count + 1);
  for (size_t i = 0; i < count; i++)
    graph_insert(g, i);
  gcx__bdw_heap_bounds(&g->low, &g->high);
  return true;
}

void gcx__graph_fini(struct gcx__graph *g)
{
  gcx__vm_unmap(g->slots, graph_bytes(g));
  g->slots = NULL;
}

/* A visit in progress. */
struct graph_visit {
  struct gcx__graph *g;
  size_t top;
  uint8_t colour;
  void (*fn)(size_t index, void *arg);
  void *arg;
};

static void graph_reach(struct graph_visit *v, const void *object)
{
  size_t i = gcx__graph_index(v->g, object);

  if (i == SIZE_MAX || (v->g->colour[i] & v->colour) != 0)
    return;
  v->g->colour[i] |= v->colour;
  v->g->stack[v->top++] = (uint32_t)i;
  if (v->fn != NULL)
    v->fn(i, v->arg);
}

static void graph_follow_owned(struct graph_visit *v, const void *object)
{
  uint32_t number = gcx__object_number(object);
  const struct gcx__aux *a = number != 0 ? gcx__aux_of(number) : NULL;
  uint32_t child = a != NULL ? a->first_child : 0;

  while (child != 0) {
    graph_reach(v, gcx__record_object(child));
    a = gcx__aux_of(child);
    child = a != NULL ? a->next_sibling : 0;
  }
}

static void graph_follow(struct graph_visit *v, const void *object)
{
  uintptr_t low = v->g->low, span = v->g->high - v->g->low;
  const uintptr_t *word = object, *end;

  graph_follow_owned(v, object);
  if (gcx__bdw_is_atomic(object))
    return;
  end = word + gcx__bdw_cell_bytes(object) / sizeof *word;
  for (; word < end; word++) {
    const void *target;

    if (*word - low >= span)
      continue;
    target = gcx__bdw_base((void *)*word);
    if (target != NULL)
      graph_reach(v, target);
  }
}

void gcx__graph_flood(struct gcx__graph *g, const void *object, uint8_t colour,
                      void (*fn)(size_t index, void *arg), void *arg)
{
  struct graph_visit v = { .g = g, .colour = colour, .fn = fn, .arg = arg };

  graph_reach(&v, object);
  if (v.top == 0 && gcx__graph_index(g, object) == SIZE_MAX)
    graph_follow(&v, object);
  while (v.top > 0)
    graph_follow(&v, g->objects[g->stack[--v.top]]);
}

/* ---- depth first */

static void graph_enter(struct gcx__graph *g, size_t i, uint8_t colour,
                        struct gcx__graph_cursor *cursors, size_t *top)
{
  uint32_t number = gcx__object_number(g->objects[i]);
  const struct gcx__aux *a = number != 0 ? gcx__aux_of(number) : NULL;

  g->colour[i] |= colour;
  g->stack[(*top)++] = (uint32_t)i;
  cursors[i].child = a != NULL ? a->first_child : 0;
  cursors[i].word = 0;
}

static bool graph_is_new(const struct gcx__graph *g, const void *object,
                         uint8_t colour, size_t *ret_index)
{
  *ret_index = object != NULL ? gcx__graph_index(g, object) : SIZE_MAX;
  return *ret_index != SIZE_MAX && (g->colour[*ret_index] & colour) == 0;
}

static bool graph_next_owned(const struct gcx__graph *g, uint8_t colour,
                             struct gcx__graph_cursor *c, size_t *ret_index)
{
  while (c->child != 0) {
    const struct gcx__aux *a = gcx__aux_of(c->child);
    const void *object = gcx__record_object(c->child);

    c->child = a != NULL ? a->next_sibling : 0;
    if (graph_is_new(g, object, colour, ret_index))
      return true;
  }
  return false;
}

static bool graph_next_word(const struct gcx__graph *g, size_t i,
                            uint8_t colour, struct gcx__graph_cursor *c,
                            size_t *ret_index)
{
  const void *object = g->objects[i];
  const uintptr_t *words = object;
  size_t n = gcx__bdw_scan_bytes(object) / sizeof *words;

  while (c->word < n) {
    uintptr_t word = words[c->word++];

    if (word - g->low < g->high - g->low &&
        graph_is_new(g, gcx__bdw_base((void *)word), colour, ret_index))
      return true;
  }
  return false;
}

void gcx__graph_finish_order(struct gcx__graph *g, const void *object,
                             uint8_t colour, struct gcx__graph_cursor *cursors,
                             void (*fn)(size_t index, void *arg), void *arg)
{
  size_t top = 0, next;

  if (!graph_is_new(g, object, colour, &next))
    return;
  graph_enter(g, next, colour, cursors, &top);
  while (top > 0) {
    size_t i = g->stack[top - 1];

    if (graph_next_owned(g, colour, &cursors[i], &next) ||
        graph_next_word(g, i, colour, &cursors[i], &next)) {
      graph_enter(g, next, colour, cursors, &top);
    } else {
      top--;
      fn(i, arg);
    }
  }
}
