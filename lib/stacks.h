/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - stacks in a stop: which one a thread is on, and what of the others
 *            has to be scanned for it
 *
 * World stopped but for gcx__stacks_init(); words.h is gathering.
 */
#ifndef GCX_STACKS_H
#define GCX_STACKS_H

#include "thread.h"

/* How bdwgc tells where a thread stands. Once, a registered thread. */
void gcx__stacks_init(void);

/* Stack pointer of a thread that waits in the kernel; 0: not told. */
uintptr_t gcx__stacks_pointer(uint32_t tid);

/* What bdwgc would miss of thread @t, or run wild on. False: it can't be told
 * where the thread's stack ends, and the roots are not complete. */
bool gcx__stacks_scan(struct gcx__thread *t) GCX_MUST_CHECK;

/* From @t->scan_from, which is not 0, to the end of the stack it lies on. */
void gcx__stacks_scan_cut(const struct gcx__thread *t);

#endif
