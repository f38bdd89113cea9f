/* SPDX-License-Identifier: MIT */
/*
 * trace.h - the calling stack as a site id, fast
 */
#ifndef GCX_TRACE_H
#define GCX_TRACE_H

#include "thread.h"
#include "unwind.h"

/*
 * Site id of the stack that starts at @start (made by GCX__CALLER_FRAME() in a
 * public function), cut to gcx__opt.stack_depth frames; 0 if there is none to
 * be had: unwind=none, no memory; or t->no_capture, a gcx lock is held, and it is
 * not just the stack that is expected. Never
 * allocates from the program's heap, never reads a slot outside [t->stack_low,
 * t->stack_high), takes no lock on a hit.
 */
uint32_t gcx__trace_site(struct gcx__thread *t, const struct gcx__frame *start);

/* The same as addresses, not interned. */
size_t gcx__trace_pcs(struct gcx__thread *t, const struct gcx__frame *start,
                      uintptr_t *ret_pcs, size_t max);

/* gcx__modules_refresh() and all that follows from an unload: stacks through the
 * library are retired, what was learnt is dropped. True if there was one. For
 * whoever closes libraries, at once. Takes ld.so's lock. */
bool gcx__trace_refresh(void);

/* Everything learnt about code addresses is void (a library was unloaded). */
void gcx__trace_flush(void);

void gcx__trace_thread_leave(struct gcx__thread *t); /* frees t->trace */

/* What the captures did, for tests and benchmarks. */
struct gcx__trace_stats {
  uint64_t hits;    /* whole stack known from its slots alone */
  uint64_t walks;   /* walked by learnt rules */
  uint64_t unwinds; /* left to libunwind */
  uint64_t rules;   /* rules learnt */
  uint64_t
      disagreed; /* deep checks: walk differed from libunwind (must be 0) */
};
void gcx__trace_stats(struct gcx__trace_stats *ret_stats);

#endif
