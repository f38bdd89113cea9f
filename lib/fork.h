/* SPDX-License-Identifier: MIT */
/*
 * fork.h - gcx across fork()
 */
#ifndef GCX_FORK_H
#define GCX_FORK_H

/* Before gcx__bdw_init(), and after it: handlers run in reverse order, so gcx's
 * locks come before the collector's, and what is asked for inside that after it. */
void gcx__fork_init_early(void);
void gcx__fork_init(void);

#endif
