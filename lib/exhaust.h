/* SPDX-License-Identifier: MIT */
/*
 * exhaust.h - out of descriptors or memory: is it because of what was lost?
 */
#ifndef GCX_EXHAUST_H
#define GCX_EXHAUST_H

#include <errno.h>

#include "assert.h"

/* To be asked before the call, and handed on: what is closed from then on is
 * room that the call has not seen. */
uint32_t gcx__exhaust_mark(void);

/* Did a call fail with EMFILE, ENFILE or ENOMEM? Then collect, let what is lost
 * be dealt with as leak= says, and say how many descriptors it held. True: worth
 * one more try. errno is kept. No lock held. */
bool gcx__exhaust_make_room(int error, uint32_t mark);

/* In the child of a fork: who had raised the limit of descriptors is not there. */
void gcx__exhaust_after_fork(void);

/* @variable = @call, once more if it was not @worked and room could be made. */
#define GCX__WITH_ROOM(variable, call, worked)             \
  do {                                                     \
    uint32_t mark_ = gcx__exhaust_mark();                  \
                                                           \
    (variable) = (call);                                   \
    if (!(worked) && gcx__exhaust_make_room(errno, mark_)) \
      (variable) = (call);                                 \
  } while (0)

#endif
