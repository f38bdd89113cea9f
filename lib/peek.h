/* SPDX-License-Identifier: MIT */
/*
 * peek.h - the stack of a thread that runs, asked for by another
 */
#ifndef GCX_PEEK_H
#define GCX_PEEK_H

#include "walk.h"

/* The calling thread can be looked at from now on, by one at a time. */
void gcx__peek_allow(const struct gcx__thread *t);

/* Where is @t, if *@word is still @value there? Return addresses from the
 * innermost outwards, as captures have them, at most @max; 0: it is not known.
 * @ret_complete: they lead to where the thread began. At most @timeout_ms. */
size_t gcx__peek(const struct gcx__thread *t, const uint32_t *word,
                 uint32_t value, uint64_t timeout_ms, uintptr_t *ret_pcs,
                 size_t max, bool *ret_complete);

void gcx__peek_after_fork(void);

#endif
