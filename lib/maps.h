/* SPDX-License-Identifier: MIT */
/*
 * maps.h - the process's mappings as the kernel sees them
 *
 * Used with the world stopped: raw system calls, a caller's buffer, no lock.
 */
#ifndef GCX_MAPS_H
#define GCX_MAPS_H

#include "assert.h"

struct gcx__mapping {
  uintptr_t low;
  uintptr_t high;
  bool readable, writable, executable, shared;
  bool is_anonymous; /* no file behind it (heap, stack, [anon:...] included) */
  char name[64];     /* start of the path, "" if none: "[stack]", "[heap]" */
};

/* Calls @fn for each mapping in ascending order until it answers false. False
 * if the list can't be read. */
bool gcx__maps_walk(bool (*fn)(const struct gcx__mapping *m, void *arg),
                    void *arg);

/* Calls @fn for each run of resident pages in [low, high) (swapped-out pages
 * count as resident: they hold data). False if residency can't be told; @fn was
 * then called for the whole range. */
bool gcx__maps_resident(uintptr_t low, uintptr_t high,
                        void (*fn)(uintptr_t low, uintptr_t high, void *arg),
                        void *arg);

/* Threads of this process as the kernel counts them; 0 if it doesn't say. */
uint32_t gcx__maps_threads(void);

/* Between these two, the files that gcx__maps_resident() and gcx__maps_copy()
 * read are kept open. World stopped, one thread. */
void gcx__maps_session_begin(void);
void gcx__maps_session_end(void);

/* Copies memory of this process; fewer bytes than asked for if part of it was
 * unmapped meanwhile. Never faults. */
size_t gcx__maps_copy(void *to, uintptr_t from, size_t bytes);

#endif
