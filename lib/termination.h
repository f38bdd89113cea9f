/* SPDX-License-Identifier: MIT */
/*
 * termination.h - the one place where "is it still reachable?" is decided
 */
#ifndef GCX_TERMINATION_H
#define GCX_TERMINATION_H

#include "batch.h"
#include "bdw.h"
#include "marker.h"

/* Steps that weak tables and weak references hang into the phase. All stopped;
 * any may be NULL. What gets the marker may add to it; it is drained afterwards.
 * A stop without a verdict has none of the numbered ones but 0, and one of keep and
 * forget. */
struct gcx__termination_steps {
  void (*known)(void); /* 0: mark what gcx itself holds; in every stop, also one
                          whose end will not be seen */
  void (*begin)(void); /* 0: whatever becomes of this stop */
  /* Asked after it: does the next one have anything to do in this stop? */
  bool (*has_edges)(void);
  /* What an object that the marker has newly marked leads to. */
  gcx__marker_edges_fn edges;
  /* 1: ephemeron closure: all values whose table and key are marked. Called
   * again after each later step that has marked something. */
  void (*close)(struct gcx__marker *m);
  /* 2: whose target is unmarked. Finalizables are unmarked. */
  void (*clear_short)(void);
  /* 4: values of keys that are unmarked. Finalizables and what they reach are
   * marked; what is going to be lost is not, gcx__termination_will_be_lost()
   * tells. Here gcx__termination_dispose_later() may be called. */
  void (*dead_values)(struct gcx__marker *m);
  /* 6: whose target is unmarked. Records are still there; nothing may be
   * marked. */
  void (*clear_long)(void);
  void (*keep)(
      struct gcx__marker *m); /* no verdict: all that they know stays */
  /* Objects have been freed unseen, and their memory may be others': nothing is
   * what it was. */
  void (*forget)(void);
  /* In a stop whose end will not be seen: all that they know is a root, given to
   * gcx__words_add(). */
  void (*unseen)(void);
  void (*after)(
      void); /* world running, with the collector's lock: no other lock
                          may be waited for */
};
void gcx__termination_add(const struct gcx__termination_steps *steps);

/* In dead_values: the finalizer thread will dispose @object, which stays until
 * then with all that it reaches, and is not lost. Nothing but marking if it is
 * none of gcx's, or disposed. Any number of times. */
void gcx__termination_dispose_later(struct gcx__marker *m, void *object);

/* In dead_values: is this unmarked object going to be called lost, and therefore
 * kept, unless something still marks it? */
bool gcx__termination_will_be_lost(const void *object);

void gcx__termination_init(void);

/* The hooks of bdw.h. */
extern const struct gcx__bdw_hooks gcx__termination_hooks;

/* Stops without a verdict since start. */
uint32_t gcx__termination_without_verdict(void);
/* Why the latest of them had none. */
const char *gcx__termination_obstacle(void);
/* Stops that left it to the next one, since a library was loaded just before. */
uint32_t gcx__termination_put_offs(void);

/* Canaries found dead since start. */
uint32_t gcx__termination_canaries(void);

/* In the child of a fork: what the parent allocated is dropped in silence when
 * it becomes unreachable. Adopt: no more. */
void gcx__termination_after_fork(void);
void gcx__termination_adopt(void);

/* Did the latest collection find next to nothing to give back? A hint: any thread. */
bool gcx__termination_was_futile(void);

/* Work done in the latest stop, for tests. */
struct gcx__termination_stats {
  size_t unmarked; /* records found unmarked */
  size_t kept;     /* objects marked by gcx */
  uint64_t ns;     /* time spent in the hook */
};
void gcx__termination_last(struct gcx__termination_stats *ret_stats);

#endif
