/* SPDX-License-Identifier: MIT */
/*
 * classify.c - direct or indirect
 *
 * A lost object is direct if no other lost object leads to it; of a cycle that
 * nothing else leads to, the oldest is. Two linear passes over the graph of what
 * was kept:
 *
 *   1  Oldest first, flood from every object that has not been reached yet; each
 *      such start is noted. An object that nobody leads to is a start; so is the
 *      oldest of a cycle that nobody leads to, since only a member of the cycle
 *      could have reached it, and it is the first of them to be looked at.
 *   2  In the opposite order, flood from every start that pass 2 has not reached:
 *      those are the direct ones. If another start leads to this one, it came
 *      later in pass 1 (else this would be no start), so it is flooded from
 *      before: itself direct, or reached from one that is.
 *
 * This is the search for mother vertices (Kosaraju's second pass without the
 * transposed graph). With the collector's lock held, so that no collection takes
 * away what is looked at, and gcx__aux_lock, for owned objects.
 */
#include "classify.h"

#include "aux.h"
#include "bdw.h"
#include "graph.h"
#include "options.h"
#include "record.h"
#include "vm.h"

#define COLOUR_STARTS 1u
#define COLOUR_DIRECT 2u
#define COLOUR_RANKED 4u

struct classify {
  const struct gcx__batch *batch;
  struct gcx__lost *lost;
  struct gcx__lost *scratch; /* for sorting */
  size_t count;
  struct gcx__graph graph;
  uint32_t *entry; /* graph index -> 1 + index in lost */
  uint32_t *starts;
  size_t start_count;
  uint32_t head;  /* of the flood in progress */
  uint32_t ranks; /* still to be given; from the last one on */
};

/* ---- oldest first */

static uint32_t classify_key(const struct gcx__lost *l, uint32_t origin)
{
  return gcx__record_at(l->number)->birth_order - origin;
}

/* Birth orders wrap: count from a value older than all of them. */
static uint32_t classify_origin(const struct classify *c)
{
  uint32_t any = gcx__record_at(c->lost[0].number)->birth_order;
  int32_t oldest = 0;

  for (size_t i = 1; i < c->count; i++) {
    int32_t d = (int32_t)(gcx__record_at(c->lost[i].number)->birth_order - any);

    if (d < oldest)
      oldest = d;
  }
  return any + (uint32_t)oldest;
}

/* Least significant digit first, 11 bits at a time. */
static void classify_sort(struct classify *c)
{
  uint32_t origin = classify_origin(c);

  for (unsigned shift = 0; shift < 33; shift += 11) {
    uint32_t at[2048] = { 0 };
    uint32_t sum = 0;
    struct gcx__lost *swap;

    for (size_t i = 0; i < c->count; i++)
      at[classify_key(&c->lost[i], origin) >> shift & 2047]++;
    for (size_t d = 0; d < 2048; d++) {
      uint32_t n = at[d];

      at[d] = sum;
      sum += n;
    }
    for (size_t i = 0; i < c->count; i++)
      c->scratch[at[classify_key(&c->lost[i], origin) >> shift & 2047]++] =
          c->lost[i];
    swap = c->lost;
    c->lost = c->scratch;
    c->scratch = swap;
  }
}

/* ---- the two passes */

static const void *classify_object(const struct classify *c, size_t i)
{
  return gcx__record_object(c->lost[i].number);
}

static void classify_reached(size_t index, void *arg)
{
  struct classify *c = arg;

  if (c->entry[index] != 0)
    c->lost[c->entry[index] - 1].head = c->head;
}

static bool classify_has(const struct classify *c, size_t i, uint8_t colour)
{
  size_t index = gcx__graph_index(&c->graph, classify_object(c, i));

  return index != SIZE_MAX && (c->graph.colour[index] & colour) != 0;
}

static void classify_passes(struct classify *c)
{
  for (size_t i = 0; i < c->count; i++) {
    if (classify_has(c, i, COLOUR_STARTS))
      continue;
    c->starts[c->start_count++] = (uint32_t)i;
    gcx__graph_flood(&c->graph, classify_object(c, i), COLOUR_STARTS, NULL,
                     NULL);
  }
  for (size_t s = c->start_count; s-- > 0;) {
    if (classify_has(c, c->starts[s], COLOUR_DIRECT))
      continue;
    c->head = c->starts[s];
    gcx__graph_flood(&c->graph, classify_object(c, c->starts[s]), COLOUR_DIRECT,
                     classify_reached, c);
  }
}

static void classify_index(struct classify *c)
{
  for (size_t i = 0; i < c->count; i++) {
    size_t index = gcx__graph_index(&c->graph, classify_object(c, i));

    if (index != SIZE_MAX)
      c->entry[index] = (uint32_t)i + 1;
  }
}

/* ---- what refers comes first: depth first, the order in which objects are left,
 * backwards. The youngest start is walked first, so that the oldest is the first
 * of all. */

static void classify_rank(size_t index, void *arg)
{
  struct classify *c = arg;

  if (c->entry[index] != 0)
    c->lost[c->entry[index] - 1].rank = --c->ranks;
}

static void classify_ranks(struct classify *c)
{
  size_t bytes = (c->graph.count + 1) * sizeof(struct gcx__graph_cursor);
  struct gcx__graph_cursor *cursors = gcx__vm_map(bytes);

  if (cursors == NULL)
    return;
  c->ranks = (uint32_t)c->count;
  for (size_t i = c->count; i-- > 0;)
    if (c->lost[i].head == i)
      gcx__graph_finish_order(&c->graph, classify_object(c, i), COLOUR_RANKED,
                              cursors, classify_rank, c);
  gcx__vm_unmap(cursors, bytes);
}

static void *classify_locked(void *arg)
{
  struct classify *c = arg;
  size_t words = c->batch->garbage_count + c->batch->count + 2;
  uint32_t *memory;

  if (!gcx__graph_init(&c->graph, c->batch->garbage + c->batch->garbage_begin,
                       c->batch->garbage_count))
    return NULL;
  memory = gcx__vm_map(words * sizeof *memory);
  if (memory != NULL) {
    c->entry = memory;
    c->starts = memory + c->batch->garbage_count + 1;
    classify_index(c);
    classify_passes(c);
    if (gcx__opt.leak == GCX_LEAK_DISPOSE)
      classify_ranks(c);
    gcx__vm_unmap(memory, words * sizeof *memory);
  }
  gcx__graph_fini(&c->graph);
  return NULL;
}

/* ---- */

size_t gcx__classify_bytes(const struct gcx__batch *b)
{
  return 2 * (b->count + 1) * sizeof(struct gcx__lost);
}

static void classify_collect(struct classify *c)
{
  const struct gcx__batch *b = c->batch;

  for (size_t i = 0; i < b->count - b->late; i++)
    if ((gcx__record_state(b->numbers[i]) & GCX_STATE_MASK) == GCX_STATE_LOST)
      c->lost[c->count++].number = b->numbers[i];
}

static size_t classify_add_late(const struct gcx__batch *b,
                                struct gcx__lost *at)
{
  size_t added = 0;

  for (size_t i = b->count - b->late; i < b->count; i++)
    if ((gcx__record_state(b->numbers[i]) & GCX_STATE_MASK) == GCX_STATE_LOST)
      at[added++] = (struct gcx__lost){ .number = b->numbers[i],
                                        .head = GCX__LOST_LATE,
                                        .rank = UINT32_MAX };
  return added;
}

struct gcx__lost *gcx__classify(const struct gcx__batch *b, size_t *ret_count)
{
  struct classify c = { .batch = b };
  struct gcx__lost *memory = gcx__vm_map(gcx__classify_bytes(b));

  if (memory == NULL)
    return NULL;
  c.lost = memory;
  c.scratch = memory + b->count + 1;
  classify_collect(&c);
  if (c.count > 0)
    classify_sort(&c);
  for (size_t i = 0; i < c.count; i++) {
    c.lost[i].head = (uint32_t)i;
    c.lost[i].rank = UINT32_MAX;
  }
  gcx__lock(&gcx__aux_lock);
  (void)gcx__bdw_with_lock(classify_locked, &c);
  gcx__unlock(&gcx__aux_lock);
  if (c.lost != memory) /* an odd number of passes: back to the beginning */
    for (size_t i = 0; i < c.count; i++)
      memory[i] = c.lost[i];
  *ret_count = c.count + classify_add_late(b, memory + c.count);
  return memory;
}
