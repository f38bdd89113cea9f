/* SPDX-License-Identifier: MIT */
/*
 * interpose.h - functions of the C library that libgcx puts itself in front of;
 *               tools/interposed.txt lists them
 */
#ifndef GCX_INTERPOSE_H
#define GCX_INTERPOSE_H

#include "thread.h"

/* What pthread_create() and thrd_create() call before the first thread, if gcx
 * has not been started by then. To be set from a constructor; may be called by
 * several threads, and again. */
void gcx__interpose_set_start(void (*start)(void));

/* After gcx__bdw_init(): from now on threads are registered with the collector
 * and listed. @more (or NULL) runs for each thread, for the calling one at once:
 * enter before the thread's function (of a GC_pthread_create() thread also before
 * bdwgc registers it: nothing collected may be touched), leave after its last
 * destructor, while it is still registered. */
void gcx__interpose_init(const struct gcx__thread_hooks *more);

/* NULL, or one sentence: libgcx is not in front of the C library. So it is where a
 * library of a program that knows nothing of gcx brings it, or dlopen(). */
const char *gcx__interpose_obstacle(void);

/* Of interpose-loaded.c, which a static library would otherwise leave out of a
 * program that never asks for what is loaded. */
void gcx__interpose_loaded_init(void);

/* What dlclose() does afterwards; whoever else finds that the epoch has advanced
 * may call it, too. */
void gcx__interpose_after_unload(void);

#endif
