/* SPDX-License-Identifier: MIT */
/*
 * crash.h - a crash in a finalizer names the object
 */
#ifndef GCX_CRASH_H
#define GCX_CRASH_H

#include "assert.h"

/* Before a finalizer is called: from now on. Cheap when it was done. */
void gcx__crash_arm(void);

/* The calling thread runs finalizers: a stack of its own for the handler, so that
 * a finalizer that has used up the thread's is named too. */
void gcx__crash_thread(void);
void gcx__crash_thread_end(void); /* by that thread, which is left */

#endif
