/* SPDX-License-Identifier: MIT */
/*
 * bdw.h - every call into bdwgc; nothing else knows the collector
 *
 * Stated with each function: may it be called in the stopped world ("stopped"),
 * does it take the collector's lock ("locks").
 */
#ifndef GCX_BDW_H
#define GCX_BDW_H

#include <pthread.h>

#include "assert.h"

struct gcx__thread;

enum gcx__kind { GCX_KIND_ATOMIC = 0, GCX_KIND_NORMAL = 1 };

/* The hooks of a collection, in the order in which they come. All with the
 * collector's lock held. */
struct gcx__bdw_hooks {
  void (*before_stop)(void); /* world running */
  void (*push_roots)(void);  /* stopped: after bdwgc's own; push with
                                 gcx__bdw_push() */
  /* stopped: the same in a collection whose events the program has to itself */
  bool (*push_roots_unseen)(void);
  void (*mark_end)(bool roots_pushed); /* stopped: marking is complete */
  void (*reclaim_end)(void); /* world running: bdwgc's finalization is done */
  /* world running, before the stop: a toggle reference was answered strong */
  void (*toggle_strong)(void *object);
  /* world running, between mark_end and reclaim_end: bdwgc keeps it for a
   * finalizer that gcx knows nothing of */
  void (*foreign_finalizer)(void *object);
  /* while the world is being stopped: a thread was told to; may be NULL */
  void (*thread_suspended)(pthread_t id);
};

/* Initialise bdwgc and install the hooks, chaining what is there. */
void gcx__bdw_init(const struct gcx__bdw_hooks *hooks);

/* Hooks that the program replaced since are installed again, in front of its
 * own. False if one had been replaced: collections since the last call may have
 * gone unseen. Locks. */
bool gcx__bdw_check_hooks(void);

/* What would silently stop detection (find-leak mode, GC_DONT_GC, ...): one
 * sentence, or NULL. */
const char *gcx__bdw_obstacle(void);

/* ---- allocation; locks, may collect */
/* A list of free cells of exactly @bytes (a multiple of 16, at most
 * GCX__BDW_MANY_MAX), linked through their first word, stored straight into
 * @ret_list; other words are zero for GCX_KIND_NORMAL, garbage for ATOMIC. */
#define GCX__BDW_MANY_MAX 2032 /* of 2048 and more bdwgc makes whole blocks */
void gcx__bdw_alloc_many(size_t bytes, enum gcx__kind kind, void **ret_list);
/* One cell of at least @bytes; its first word zero, else as above. */
void *gcx__bdw_alloc(size_t bytes, enum gcx__kind kind);
void gcx__bdw_free(void *base);

/* ---- questions; stopped: yes; no lock */
void *gcx__bdw_base(const void *p); /* NULL: not in the collected heap */
/* Can @p lie in it? Any time, also before it exists; false is certain. */
bool gcx__bdw_may_hold(const void *p);
size_t gcx__bdw_cell_bytes(const void *base);
bool gcx__bdw_is_atomic(const void *base);    /* holds no pointers */
size_t gcx__bdw_scan_bytes(const void *base); /* may hold pointers: 0 or all */
bool gcx__bdw_is_marked(const void *base);
void gcx__bdw_set_mark(const void *base);
/* Calls @fn for each object that is marked; it may mark others, which come then or
 * not. Stopped only. */
void gcx__bdw_each_marked(void (*fn)(void *base, void *arg), void *arg);
/* Of @hidden[0..n), complements of bases or 0, the indices of those that are
 * unmarked, plus @first; how many. */
size_t gcx__bdw_unmarked(const uintptr_t *hidden, size_t n, uint32_t first,
                         uint32_t *ret_found);
/* Every address in the collected heap lies in [low, high); while the world runs, as
 * far as the heap had grown. Up to UINTPTR_MAX: not known. */
void gcx__bdw_heap_bounds(uintptr_t *ret_low, uintptr_t *ret_high);
uint64_t gcx__bdw_collections(void); /* GC_get_gc_no, widened */
/* The same count for those who look all the time: it changes with each
 * collection. Never so where this libgc hides it. */
extern const size_t *gcx__bdw_count_at GCX_HIDDEN;
extern const size_t gcx__bdw_no_count GCX_HIDDEN;
bool gcx__bdw_is_stopping(void); /* threads are being stopped, or stand */
uint32_t gcx__bdw_stops(void);   /* that have begun; any time, no lock */
uint64_t gcx__bdw_collections_seen(void); /* mark_end hooks that ran */
/* In mark_end: did push_roots_unseen run, and say true, in each collection since the
 * last one that was seen? */
bool gcx__bdw_all_pushed(void);
void gcx__bdw_resync(void); /* what was missed is dealt with; locks held */
bool gcx__bdw_is_incremental(void);
unsigned gcx__bdw_markers(void);  /* threads of its own */
size_t gcx__bdw_heap_bytes(void); /* mapped or not */

/* ---- roots: stopped, in push_roots only */
void gcx__bdw_push(const void *low, const void *high); /* conservative words */

/* ---- the size of the heap; locks */
void gcx__bdw_disable(void); /* no collection; counted */
void gcx__bdw_enable(void);
bool gcx__bdw_is_disabled(void);
bool gcx__bdw_have_free(size_t bytes); /* in the heap, which may grow for it */
/* At least 64 MiB are free, which may be allocated before the next collection, unless
 * the user's variables say how the heap is to grow. */
void gcx__bdw_ensure_room(void);
size_t gcx__bdw_bytes_since(void);   /* allocated since the last collection */
size_t gcx__bdw_trigger_bytes(void); /* about so many trigger the next one */
void gcx__bdw_collect_and_unmap(void);
void gcx__bdw_sizes(size_t *ret_heap, size_t *ret_free);
/* Set by whoever wants to know: after each allocation here; before a collection
 * that is asked for. No lock held. */
extern void (*gcx__bdw_on_alloc)(void);
extern void (*gcx__bdw_on_collect)(void);

/* Times that the world was stopped. */
struct gcx__bdw_pauses {
  uint64_t count;
  uint64_t total_ns;
  uint64_t max_ns;
  uint64_t last_ns;
};
void gcx__bdw_read_pauses(struct gcx__bdw_pauses *ret_pauses);

/* ---- control */
void gcx__bdw_collect(void); /* full collection; locks */
void *gcx__bdw_with_lock(void *(*fn)(void *), void *arg);
void *gcx__bdw_blocking(void *(*fn)(void *), void *arg); /* no suspend signal
                                       meanwhile; @fn must not touch the heap */
bool gcx__bdw_thread_register(void *stack_base); /* false: was registered */
void gcx__bdw_thread_unregister(void);
bool gcx__bdw_thread_is_registered(void);
/* bdwgc's entry of the calling thread, for the next one; NULL: not registered. */
void *gcx__bdw_thread_entry(void);
/* Until marking is over bdwgc takes @end for the end of @t's stack. Stopped; false:
 * not in such a stop, or @t is not known to bdwgc by gcx. */
bool gcx__bdw_end_stack(struct gcx__thread *t, uintptr_t end);
void gcx__bdw_altstack(void *stack, size_t stack_bytes, void *alt,
                       size_t alt_bytes);
/* Wipe the dead part of the calling thread's stack. */
void gcx__bdw_clear_stack(void);
bool gcx__bdw_has_begun(void); /* is it initialised? */
/* The two signals that stop and resume threads; 0 if not known yet. */
void gcx__bdw_signals(int *ret_suspend, int *ret_restart);
bool gcx__bdw_is_starting(void); /* calling thread inside gcx__bdw_init() */
/* Bounds of libgc's text, to tell its own calls of interposed functions. */
bool gcx__bdw_is_own_code(uintptr_t pc);

#endif
