/* SPDX-License-Identifier: MIT */
/*
 * service.h - threads of gcx's own
 */
#ifndef GCX_SERVICE_H
#define GCX_SERVICE_H

#include "assert.h"

/* Start a detached thread; the program's signals are not for it, the collector's
 * are. No lock held. False: no thread can be had. */
bool gcx__service_start(void *(*main)(void *arg), void *arg);

/* The first thing that such a thread does: say what it is called. */
void gcx__service_begin(const char *name);

#endif
