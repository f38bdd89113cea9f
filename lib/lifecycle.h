/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.h - live -> disposing -> disposed
 */
#ifndef GCX_LIFECYCLE_H
#define GCX_LIFECYCLE_H

#include "object.h"

enum gcx__end {
  GCX_END_DISPOSE, /* the type's dispose runs */
  GCX_END_DISCARD, /* it does not */
};

/* End @number; 0 or the first negative errno of the type's functions. What
 * gcx_dispose() does, without the checks of the pointer; also used by the
 * finalizer thread and for owned objects. @site: where, 0 if nowhere. @ret_won
 * (or NULL) becomes true if this call ended it and no other. The caller keeps
 * the object reachable. */
int gcx__lifecycle_end(uint32_t number, enum gcx__end how, uint32_t site,
                       bool *ret_won);

/* gcx_dispose() itself, for a public function that stands for it. */
void gcx__lifecycle_dispose(void *p, const char *function,
                            const struct gcx__frame *start);

/* The program has used @number: if it had been reported as lost, the report was
 * false, and that is said. */
void gcx__lifecycle_used_after_all(uint32_t number,
                                   const struct gcx__frame *start);

static inline void gcx__lifecycle_note_use(uint32_t number,
                                           const struct gcx__frame *start)
{
  if (GCX_UNLIKELY((gcx__record_state(number) & GCX_STATE_MASK) ==
                   GCX_STATE_REPORTED))
    gcx__lifecycle_used_after_all(number, start);
}

/* Where the disposal that the calling thread runs was asked for: a site id, 0 if
 * nowhere. For dispose functions of gcx's own. */
uint32_t gcx__lifecycle_site(void);

/* Dispose what @number owns, latest first. */
void gcx__lifecycle_end_owned(uint32_t number, uint32_t site);

/* In the child of a fork, before those threads are taken off the list: disposals
 * of vanished threads are over. */
void gcx__lifecycle_after_fork(void);

#endif
