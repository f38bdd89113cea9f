/* SPDX-License-Identifier: MIT */
/*
 * watch.h - slow_finalizer_ms: names a finalizer that takes long, also one that
 *           never ends
 */
#ifndef GCX_WATCH_H
#define GCX_WATCH_H

#include "thread.h"

/* The calling thread @t begins, or has ended, a finalizer; @t->finalizing says of
 * which object. */
void gcx__watch_begin(const struct gcx__thread *t);
void gcx__watch_end(const struct gcx__thread *t);

void gcx__watch_after_fork(void);

#endif
