/* SPDX-License-Identifier: MIT */
/*
 * lifecycle-run.h - disposal with functions; for lifecycle.c alone
 */
#ifndef GCX_LIFECYCLE_RUN_H
#define GCX_LIFECYCLE_RUN_H

#include <string.h>

#include "lifecycle.h"

static inline void gcx__lifecycle_wipe(uint32_t number)
{
  void *p = gcx__record_object(number);

  if ((gcx__record_state(number) & GCX_FLAG_SECRET) != 0)
    explicit_bzero(p, gcx__object_room(p));
}

/* Return when the disposal that is running has finished, or at once if that
 * would never be. */
void gcx__lifecycle_wait_for(uint32_t number);

/* @state -> DISPOSING -> DISPOSED, and all functions in between; *@ret_result:
 * see gcx__lifecycle_end(). False: @state was not the state any more, and nothing
 * was done. */
bool gcx__lifecycle_run(uint32_t number, uint32_t state, enum gcx__end how,
                        uint32_t site, int *ret_result);

#endif
