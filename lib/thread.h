/* SPDX-License-Identifier: MIT */
/*
 * thread.h - gcx's own list of the threads of this process
 *
 * The collector's list leaves out threads inside GC_do_blocking and can't be
 * walked; gcx needs one for thread-local roots, per-thread caches and births.
 * Entries lie in vm memory and are reused, never freed, so a pointer to one
 * stays readable for ever.
 *
 * A thread enters when it starts (interpose.c wraps pthread_create), or at its
 * first call into gcx if it was started behind gcx's back; it leaves in the
 * last round of its thread-specific destructors.
 */
#ifndef GCX_THREAD_H
#define GCX_THREAD_H

#include <pthread.h>

#include "list.h"

struct gcx__cells;         /* cells.c: free cells and record numbers */
struct gcx__freed;         /* freed.c: what it has freed of late */
struct gcx__pools;         /* pool-idle.c: idle buffers of pools */
struct gcx__trace;         /* trace.c: what makes captures cheap */
struct gcx__dispose_frame; /* lifecycle.c: dispose functions that are running */

struct gcx__thread {
  struct gcx__link link; /* in the list of live, or of free entries */
  pthread_t id;
  uint32_t tid;
  uint32_t generation; /* counts reuses of this entry */
  uintptr_t stack_low; /* mapping of the stack: [low, high) */
  uintptr_t stack_high;
  uintptr_t altstack_low; /* sigaltstack(), 0 if none */
  uintptr_t altstack_high;
  bool is_main;
  bool registered_by_gcx;   /* gcx told the collector, gcx takes it back */
  bool exiting;             /* in its thread-specific destructors */
  uint32_t no_capture;      /* > 0: no unwinding (recursion, inside ld.so) */
  struct gcx__cells *cells; /* owned by the level that names the type */
  struct gcx__freed *freed;
  struct gcx__pools *pools;
  struct gcx__trace *trace;
  struct gcx__dispose_frame *disposing;
  uint32_t finalizing;      /* record whose finalizer this thread runs, 0 */
  uint32_t finalizing_from; /* gcx__now_ms() then */
  bool critical;            /* it is a critical one: nothing may be allocated */
  /* While the thread collects on purpose: its stack counts from here on, and
   * what lies deeper is gcx's and the collector's; 0: all of it counts. */
  uintptr_t scan_from;
  const uintptr_t *scan_registers; /* as they were there */
  size_t scan_register_count;
  void *bdw_entry;      /* bdwgc's own of this thread, NULL: not known */
  bool stack_ended;     /* in the present stop bdwgc takes another end for it */
  void *start_argument; /* of a thread that has not begun: a root */
  void (*start)(void);  /* its function, cast; interpose.c knows the type */
  bool is_marker;       /* bdwgc's own: listed for its stack alone */
  bool is_gcx;          /* gcx's own: unmaps nothing of the program's while
                                  bdwgc does not suspend it */
  bool own_stack;       /* program made it (pthread_attr_setstack) */
  bool scanned;         /* bdwgc knows the thread, scans its live stack */
  bool start_is_bdwgc;  /* the collector's own start routine: it registers */
  uint32_t exit_rounds; /* calls of our key's destructor so far */
  uint64_t reading;     /* epoch in which it began to read, 0: it does not */
  /* Objects that threads of this entry have ended the quick way, ever. */
  uint64_t ended_plain;
  uint64_t ended_blocks;
};

/* Level 1 knows nothing of the collector: whoever does (interpose.c) sets these
 * before the second thread exists. They run on the thread in question; if that
 * which sets them is on the list already, enter runs for it at once. */
struct gcx__thread_hooks {
  void (*enter)(struct gcx__thread *t); /* just put on the list */
  void (*leave)(struct gcx__thread *t); /* about to be taken off */
  /* Calls @fn while no stop is on, on a thread that none would stop; its answer. */
  void *(*alone)(void *(*fn)(void *arg), void *arg);
};
void gcx__thread_init(const struct gcx__thread_hooks *hooks);

extern __thread struct gcx__thread *gcx__thread_current
    __attribute__((tls_model("initial-exec")));

struct gcx__thread *gcx__thread_enter(void); /* slow path of the next one */

/* The calling thread's entry; made on the spot if there is none; NULL only if
 * no memory can be had. */
static inline struct gcx__thread *gcx__thread_self(void)
{
  struct gcx__thread *t = gcx__thread_current;
  return GCX_LIKELY(t != NULL) ? t : gcx__thread_enter();
}

/* Is the calling thread inside a critical finalizer? Whoever allocates memory for
 * the program asks, and calls gcx__misuse_critical_alloc(). */
static inline bool gcx__thread_is_critical(void)
{
  return gcx__thread_current != NULL && gcx__thread_current->critical;
}

/* For whoever wraps pthread_create(): an entry on the list for a thread to come,
 * with stack_high 0 and its start_argument a root (NULL: no memory); the new
 * thread makes it its own, the hook runs; or there was no thread after all.
 * Called by threads that a stop stops, or that hold the collector's lock. */
struct gcx__thread *gcx__thread_prepare(void (*start)(void), void *argument);
void gcx__thread_begin(struct gcx__thread *t);
void gcx__thread_cancel(struct gcx__thread *t);

/* Walk all live entries. With the lock, or with the world stopped. */
struct gcx__thread *gcx__thread_first(void);
struct gcx__thread *gcx__thread_next(struct gcx__thread *t);
void gcx__thread_lock(void);
void gcx__thread_unlock(void);

/* The entries whose threads are gone still tell where their stacks were: glibc
 * keeps stacks for reuse. World stopped. */
struct gcx__thread *gcx__thread_first_free(void);
struct gcx__thread *gcx__thread_next_free(struct gcx__thread *t);

/* Of all entries: the sums of ended_plain and ended_blocks. */
void gcx__thread_count_ended(uint64_t *ret_plain, uint64_t *ret_blocks);

/* After fork, in the child, which must hold the lock: only the calling thread is
 * left. @drop (or NULL) is called for each entry that vanished, before the entry
 * is free. The lock is free afterwards. */
void gcx__thread_after_fork(void (*drop)(struct gcx__thread *t));

#endif
