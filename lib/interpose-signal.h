/* SPDX-License-Identifier: MIT */
/*
 * interpose-signal.h - what interrupted a system call: a collection, or a signal
 *                      of the program's own?
 */
#ifndef GCX_INTERPOSE_SIGNAL_H
#define GCX_INTERPOSE_SIGNAL_H

#include <signal.h>

#include "assert.h"

/* Where the program stands; see gcx__signal_now(). */
struct gcx__signal_mark {
  uint32_t stops;   /* collections that began to stop threads */
  bool is_stopping; /* one of them may yet signal this thread */
  uint32_t handled; /* signals that this thread's handlers dealt with */
};

struct gcx__signal_mark gcx__signal_now(void);

/* Since @mark was taken, can only a collection have interrupted this thread? */
bool gcx__signal_only_stops(const struct gcx__signal_mark *mark);

/* @set, or a copy of it in @copy without the collector's signals: a thread that
 * blocks them stops every collection. @set may be NULL. */
const sigset_t *gcx__signal_spare(const sigset_t *set, sigset_t *copy);

/* All signals but the collector's are blocked from here; and as they were. */
void gcx__signal_block(sigset_t *ret_old);
void gcx__signal_restore(const sigset_t *old);

#endif
