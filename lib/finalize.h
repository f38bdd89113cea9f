/* SPDX-License-Identifier: MIT */
/*
 * finalize.h - finalizers of a batch, and disposals that were put off
 */
#ifndef GCX_FINALIZE_H
#define GCX_FINALIZE_H

#include "batch.h"

/* Run what is due: finalizers of ordinary objects, disposals, finalizers of
 * critical ones. On the thread that has the turn. */
void gcx__finalize_batch(struct gcx__batch *b);

/* critical_at_exit: run the finalizers of all critical objects of this process
 * that were not disposed, reachable or not. */
void gcx__finalize_critical(void);

/* Does a thread run a finalizer or a disposal for us at this moment? */
bool gcx__finalize_is_running(void);
void gcx__finalize_over(void); /* it does not any more, even if it was left */

/* Dispose @number if its disposal was put off (GCX_FLAG_DUE) and is still to be
 * done. */
void gcx__finalize_dispose_due(uint32_t number);
/* The same for every record there is. */
void gcx__finalize_dispose_all_due(void);

#endif
