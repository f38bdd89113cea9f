/* SPDX-License-Identifier: MIT */
/*
 * roots.h - what bdwgc does not look at: thread-local storage, thread-specific
 *           data, alternate signal stacks, the malloc heap, registered regions
 */
#ifndef GCX_ROOTS_H
#define GCX_ROOTS_H

#include <pthread.h>

#include "assert.h"

/* Learns the layout of threads and verifies it: values put on purpose into a
 * __thread variable, a low and a high key must be found by the code that pushes
 * roots. NULL if all is well, else one sentence: verdicts are then never fatal. */
const char *gcx__roots_init(void);
/* To be told before, if so, and why: threads and mappings come and go unseen. Then
 * a stop in which one moves that gcx does not know gives no verdict. */
void gcx__roots_are_unseen(const char *why);
const char *gcx__roots_obstacle(void); /* the same sentence, later */
/* Was it gcx__roots_init() that found it? Then there are holders that no stop
 * sees, and nothing may end because nobody was seen to hold it. */
bool gcx__roots_are_hidden(void);

void gcx__roots_before_stop(void); /* hook of bdw.h */
void gcx__roots_push(void);        /* hook of bdw.h: stopped */
/* The same in a stop that was not announced: the program took the hook that
 * does it away. What was prepared for an earlier stop has to do. @more
 * adds words. True if all found room. */
bool gcx__roots_push_unseen(void (*more)(void));
void gcx__roots_note_suspended(
    pthread_t id); /* hook thread_suspended of bdw.h */

/* In a stop whose roots were pushed: does every thread of the process stand still,
 * those that bdwgc does not know included? Stopped. */
bool gcx__roots_all_still(void);

/* Was everything pushed in the present stop? (memory, /proc, unknown threads).
 * False: no verdict. Stopped, after gcx__roots_push(). */
bool gcx__roots_complete(void);

/* A region the program registered; 0, -ENOMEM, -EINVAL (NULL, 0 bytes, wraps). */
int gcx__roots_add(void *start, size_t bytes);
void gcx__roots_remove(void *start, size_t bytes);

/* Memory of gcx's own that refers to objects; one range, set once, no lock. */
void gcx__roots_set_own(const void *start, size_t bytes);

/* Mappings that libgc made are no roots (interpose.c tells). */
void gcx__roots_note_bdw_mapping(uintptr_t low, uintptr_t high);

/* The calling thread collects on purpose: of its stack only what lies above @sp
 * counts, plus @registers (must stay readable); 0 and NULL: everything again. */
void gcx__roots_scan_from(uintptr_t sp, const uintptr_t *registers, size_t n);

#endif
