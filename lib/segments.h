/* SPDX-License-Identifier: MIT */
/*
 * segments.h - data of loaded objects that bdwgc is about to scan, and that may be
 *              unloaded before it does
 */
#ifndef GCX_SEGMENTS_H
#define GCX_SEGMENTS_H

#include <link.h>

#include "assert.h"

/* Collector's lock held, world running. */
void gcx__segments_begin(
    void); /* a new list; plugs of the last one are drawn */
void gcx__segments_add(const struct dl_phdr_info *info);

/* Stopped, before anything is marked: where a segment of the list is gone, there
 * are zeros until gcx__segments_release(). */
void gcx__segments_guard(void);
void gcx__segments_release(void); /* marking is over */

#endif
