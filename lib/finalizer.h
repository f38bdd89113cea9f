/* SPDX-License-Identifier: MIT */
/*
 * finalizer.h - gcx's own thread: reports, disposals, finalizers
 */
#ifndef GCX_FINALIZER_H
#define GCX_FINALIZER_H

#include "assert.h"

/* Start the thread if there is none; no lock held. Cheap when there is one. */
void gcx__finalizer_ensure(void);

/* Everything queued at the call has been dealt with; false if the time ran out.
 * True at once on the finalizer thread itself. */
bool gcx__finalizer_wait(uint64_t timeout_ms);

bool gcx__finalizer_is_self(void);

/* In the child of a fork: the thread is gone; it starts again when needed. */
void gcx__finalizer_after_fork(void);

/* At exit: no new thread is started, what is queued is dealt with by whoever
 * waits. */
void gcx__finalizer_shut_down(void);

/* After that: wait until what is queued has been dealt with, but no longer than
 * so for a finalizer that is still running; false then. On any thread. */
bool gcx__finalizer_finish(uint64_t timeout_ms);

#endif
