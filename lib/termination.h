/* SPDX-License-Identifier: MIT */
/*
 * termination.h - the one place where "is it still reachable?" is decided
 */
#ifndef GCX_TERMINATION_H
#define GCX_TERMINATION_H

#include "bdw.h"
#include "marker.h"

/* What one collection found, handed to the finalizer thread. */
struct gcx__batch {
  struct gcx__batch *next;
  uint32_t *numbers; /* of the lost objects, ascending */
  size_t count;
  size_t late; /* so many of them, the last ones, are held by objects
                          that were found earlier */
  size_t capacity;
  uint32_t stop;        /* number of the stop, see window.h */
  bool certain;         /* false: report, but never fatal */
  void **garbage;       /* all objects kept for them, tracked or not: */
  size_t garbage_begin; /* from here, */
  size_t garbage_count; /* so many */
  size_t garbage_capacity;
};

/* Steps that weak tables, weak references and finalizers hang into the phase.
 * All stopped; any may be NULL. A stop without a verdict has none of the
 * numbered ones but 0, and one of the last two. */
struct gcx__termination_steps {
  void (*begin)(void); /* 0: whatever becomes of this stop */
  /* Asked after it: does the next one have anything to do in this stop? */
  bool (*has_edges)(void);
  /* What an object that the marker has newly marked leads to. */
  gcx__marker_edges_fn edges;
  void (*close)(struct gcx__marker *m);        /* 1: ephemeron closure */
  void (*clear_short)(void);                   /* 2 */
  void (*finalizables)(struct gcx__marker *m); /* 3 */
  void (*dead_values)(struct gcx__marker *m);  /* 4 */
  void (*clear_long)(void);                    /* 6 */
  void (*keep)(
      struct gcx__marker *m); /* no verdict: all that they know stays */
  void (*forget)(void);       /* nothing can be marked: what is unmarked goes */
};
void gcx__termination_add(const struct gcx__termination_steps *steps);

void gcx__termination_init(void);

/* The hooks of bdw.h. */
extern const struct gcx__bdw_hooks gcx__termination_hooks;

/* Batches waiting, oldest first; they are the caller's until given back. */
struct gcx__batch *gcx__termination_take(void);
void gcx__termination_give(struct gcx__batch *batch);

/* Batches queued since start; the word that is woken when one is. */
extern uint32_t gcx__termination_queued;

/* Stops without a verdict since start. */
uint32_t gcx__termination_without_verdict(void);
/* Why the latest of them had none. */
const char *gcx__termination_obstacle(void);

/* Canaries found dead since start. */
uint32_t gcx__termination_canaries(void);

/* In the child of a fork: what the parent allocated is dropped in silence when
 * it becomes unreachable. Adopt: no more. */
void gcx__termination_after_fork(uint32_t watermark);
void gcx__termination_adopt(void);

/* Work done in the latest stop, for tests. */
struct gcx__termination_stats {
  size_t unmarked; /* records found unmarked */
  size_t kept;     /* objects marked by gcx */
  uint64_t ns;     /* time spent in the hook */
};
void gcx__termination_last(struct gcx__termination_stats *ret_stats);

#endif
