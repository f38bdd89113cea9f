/* SPDX-License-Identifier: MIT */
/*
 * tls.h - thread-local memory of any thread: __thread variables, thread-specific
 *         data, the C library's own descriptor of the thread
 *
 * One file for each C library knows the layout. Nothing here allocates, takes a
 * lock or follows a pointer that might dangle: other threads' memory is copied.
 */
#ifndef GCX_TLS_H
#define GCX_TLS_H

#include <pthread.h>

#include "assert.h"

/* Learns the layout. NULL, or one sentence if it isn't known. */
const char *gcx__tls_init(void);

typedef void (*gcx__tls_fn)(uintptr_t low, uintptr_t high, void *arg);

/* Calls @fn for each piece of memory that may hold a value of a __thread variable
 * or a key of thread @id. The pieces may be gone by the time they are read. False
 * if some can't be told. */
bool gcx__tls_walk(pthread_t id, gcx__tls_fn fn, void *arg);

/* Is there still the descriptor of thread @id, and has the thread ended? (The C
 * library keeps stacks for later.) */
bool gcx__tls_has_ended(pthread_t id);

/* Of one that has: may it still be joined, and its result be asked for? */
bool gcx__tls_may_be_joined(pthread_t id);

#endif
