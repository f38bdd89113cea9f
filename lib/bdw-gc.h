/* SPDX-License-Identifier: MIT */
/*
 * bdw-gc.h - bdwgc's own headers, for the parts of bdw.c alone
 *
 * Nothing but this file includes <gc/...>, and nothing but bdw*.c includes it.
 */
#ifndef GCX_BDW_GC_H
#define GCX_BDW_GC_H

#include "bdw.h"

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>

/* Install the hooks, once, and count collections from here. Locks. */
void gcx__bdw_hooks_begin(const struct gcx__bdw_hooks *hooks);
/* The program replaced one of them more often than can be followed. */
bool gcx__bdw_hooks_exhausted(void);

#endif
