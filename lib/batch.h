/* SPDX-License-Identifier: MIT */
/*
 * batch.h - what one collection found, on its way to the finalizer thread
 */
#ifndef GCX_BATCH_H
#define GCX_BATCH_H

#include "assert.h"

/* Record numbers in vm memory that is reserved before the stop. */
struct gcx__numbers {
  uint32_t *at;
  size_t count;
  size_t capacity;
};

/* Memory of whoever deals with a batch: it goes with the batch, also when a function
 * of the program's does not return and another thread takes over. */
enum gcx__batch_slot {
  GCX_BATCH_LOST,
  GCX_BATCH_DISPOSALS,
  GCX_BATCH_ORDER,
  GCX_BATCH_SLOTS
};

struct gcx__batch_memory {
  void *at;
  size_t bytes;
};

struct gcx__batch {
  struct gcx__batch *next;
  uint32_t *numbers; /* of the lost objects, ascending */
  size_t count;
  size_t late; /* so many of them, the last ones, are held by objects
                          that were found earlier */
  size_t capacity;
  size_t finalizable;      /* so many, at the end of the array: see
                              gcx__batch_finalizable() */
  struct gcx__numbers due; /* to be disposed, whatever leak= says */
  struct gcx__batch_memory memory[GCX_BATCH_SLOTS];
  bool counted;         /* its lost objects are in the total */
  uint32_t waiting;     /* what it adds to gcx__batch_outstanding */
  uint32_t stop;        /* number of the stop, see window.h */
  bool certain;         /* false: report, but never fatal */
  void **garbage;       /* all objects kept for them, tracked or not: */
  size_t garbage_begin; /* from here, */
  size_t garbage_count; /* so many */
  size_t garbage_capacity;
};

/* Objects whose finalizers are to run, GCX_FLAG_PENDING set. */
static inline const uint32_t *gcx__batch_finalizable(const struct gcx__batch *b)
{
  return b->numbers + b->capacity - b->finalizable;
}

/* Room for every record there is, and those made until the world has stopped;
 * world running, collector's lock held. */
bool gcx__numbers_reserve(struct gcx__numbers *l);

/* An empty one, before a stop; NULL without memory. Collector's lock held. */
struct gcx__batch *gcx__batch_new(void);

/* Those of its objects for which @which (NULL: all) is true were not lost and need
 * no finalizer now: the next collection looks again. Those to be disposed stay. */
void gcx__batch_withdraw(struct gcx__batch *b,
                         bool (*which)(const void *object));

/* To the finalizer thread, which wakes. */
void gcx__batch_queue(struct gcx__batch *b);

/* Batches waiting, oldest first; they are the caller's until given back. */
struct gcx__batch *gcx__batch_take(void);
void gcx__batch_give(struct gcx__batch *b);

/* @at, from gcx__vm_map(), is the batch's from here on; what it had in that slot
 * is unmapped. NULL: only that. */
void gcx__batch_keep(struct gcx__batch *b, enum gcx__batch_slot slot, void *at,
                     size_t bytes);

/* Counts what was queued for the finalizer thread, batches and others, since
 * start; the word on which that thread sleeps. */
extern uint32_t gcx__batch_queued;
void gcx__batch_announce(void); /* one more, and wake */

/* Objects queued that the finalizer thread has not dealt with: they, and what
 * they reach, stay. */
extern uint32_t gcx__batch_outstanding;

/* In the child of a fork: the queue is the parent's. */
void gcx__batch_after_fork(void);

#endif
