/* SPDX-License-Identifier: MIT */
/*
 * words.h - the words found in one stop that may point into the collected heap
 *
 * Memory that bdwgc does not scan is not given to it as such: a thread that it
 * does not stop may unmap it at any moment, and its marker would fault. Pieces
 * are copied (maps.h), or read in place if every thread stands still, words
 * outside the heap's bounds dropped, the rest kept in gcx's own memory until
 * marking has ended.
 */
#ifndef GCX_WORDS_H
#define GCX_WORDS_H

#include "assert.h"

/* Before a stop: makes room according to the last one. */
void gcx__words_reserve(void);

/* Only what is needed at all: what was found before can still be read. */
void gcx__words_map(void);

/* In the stop: start anew; pointers to be kept lie in [low, high). */
void gcx__words_begin(uintptr_t low, uintptr_t high);
void gcx__words_add(uintptr_t word);
void gcx__words_scan(uintptr_t low, uintptr_t high);

/* Between true and false nobody else runs who could unmap memory: it may be read
 * where it lies (three times as fast as copying). */
void gcx__words_read_in_place(bool may);

/* What was found. False if some was lost for want of memory. Valid until the
 * next gcx__words_reserve(). */
bool gcx__words_found(const uintptr_t **ret_low, const uintptr_t **ret_high);

#endif
