/* SPDX-License-Identifier: MIT */
/*
 * later.h - disposals that are put off: done on the finalizer thread
 */
#ifndef GCX_LATER_H
#define GCX_LATER_H

#include "assert.h"

/* Dispose the object of this record on the finalizer thread; it stays until then,
 * with all that it reaches, and is not lost. Nothing if it has ended, or was put
 * off already. Takes no lock and allocates nothing; any lock may be held. World
 * running: the caller keeps the object reachable during the call. In the stopped
 * world it is gcx__termination_dispose_later(). */
void gcx__later_dispose(uint32_t number);

/* What was put in by now; on the thread that has the turn. */
void gcx__later_run(void);

/* In the child of a fork: all that is the parent's. */
void gcx__later_after_fork(void);

#endif
