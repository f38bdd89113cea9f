/* SPDX-License-Identifier: MIT */
/*
 * lock.h - gcx's locks, ranked: a thread takes them in ascending order only
 *
 * Taken before the collector's own lock and never inside it; never held while
 * user code runs, while unwinding, or while something is allocated from the
 * collected heap. Waiting for one is not a call into the collector: a holder
 * that is suspended by a collection resumes before any waiter needs it.
 */
#ifndef GCX_LOCK_H
#define GCX_LOCK_H

#include <pthread.h>

#include "assert.h"

/* The order. Each rank is one lock; prepare-for-fork takes all in this order. */
enum gcx__rank {
  GCX_RANK_INIT = 1, /* start-up; held over everything below */
  GCX_RANK_FATAL,    /* who prints */
  GCX_RANK_HANDLERS, /* list of report handlers */
  GCX_RANK_FINALIZER,
  GCX_RANK_OWNERS,
  GCX_RANK_WEAK,   /* weak references */
  GCX_RANK_TABLES, /* the list of tables */
  GCX_RANK_HOLDS,  /* adds regions */
  GCX_RANK_ANNOTATE,
  GCX_RANK_POOLS,   /* which pools there are, and their idle buffers */
  GCX_RANK_REGIONS, /* gcx_root_add */
  GCX_RANK_FREED,   /* large blocks that free() ended */
  GCX_RANK_STREAMS, /* table of FILE and DIR */
  GCX_RANK_TYPES,
  GCX_RANK_RECORDS,
  GCX_RANK_THREADS,
  GCX_RANK_RULES, /* frame rules and the trace trie */
  GCX_RANK_DEPOT,
  GCX_RANK_VM,
  GCX_RANK_MODULES, /* also taken by a collection, before its stop */
  GCX_RANK_COUNT
};

struct gcx__lock {
  pthread_mutex_t mutex;
  enum gcx__rank rank;
  uint32_t holder; /* tid, 0: free */
};

#define GCX_LOCK_INIT(r)            \
  {                                 \
    PTHREAD_MUTEX_INITIALIZER, r, 0 \
  }

void gcx__lock(struct gcx__lock *l);
bool gcx__trylock(struct gcx__lock *l);
void gcx__unlock(struct gcx__lock *l);
bool gcx__lock_held(const struct gcx__lock *l); /* by the calling thread */
/* The child of a fork has one thread: every lock is free again. */
void gcx__lock_reinit(struct gcx__lock *l);
/* Around a fork: take every lock that was ever taken, in the order of ranks, but
 * for the last, which a collection takes inside the collector's lock; give them
 * back in the parent, make all of them anew in the child. */
void gcx__lock_all(void);
void gcx__unlock_all(void);
void gcx__lock_reinit_all(void);
/* Any gcx lock held by the calling thread? (no unwinding then) */
extern __thread uint32_t gcx__lock_held_count
    __attribute__((tls_model("initial-exec")));
static inline bool gcx__lock_any_held(void)
{
  return gcx__lock_held_count != 0;
}
/* How often gcx__lock() was called by this process; for the test that the hit
 * path takes none. */
uint64_t gcx__lock_count(void);

#endif
