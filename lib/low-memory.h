/* SPDX-License-Identifier: MIT */
/*
 * low-memory.h - a collection when the system is short of memory (low_memory=psi)
 */
#ifndef GCX_LOW_MEMORY_H
#define GCX_LOW_MEMORY_H

#include "assert.h"

/* Start the thread that watches, if the option asks for it and there is none. No
 * lock held. */
void gcx__low_memory_ensure(void);

/* In the child of a fork: the thread is gone, its file is not wanted. */
void gcx__low_memory_after_fork(void);

/* ---- for tests, too */

/* A descriptor that has POLLPRI when processes were stalled for want of memory,
 * by the kernel's file @path; or -errno. */
int gcx__low_memory_open(const char *path);

/* Collect whenever @fd has POLLPRI, until it fails or is another file's. Does not
 * close it. */
void gcx__low_memory_watch(int fd);

/* Reactions so far. */
uint32_t gcx__low_memory_reactions(void);

#endif
