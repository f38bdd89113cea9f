/* SPDX-License-Identifier: MIT */
/*
 * fork.h - gcx across fork()
 */
#ifndef GCX_FORK_H
#define GCX_FORK_H

/* After gcx__bdw_init(): handlers run in reverse order, so gcx's locks come
 * before the collector's. */
void gcx__fork_init(void);

#endif
