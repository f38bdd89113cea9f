/* SPDX-License-Identifier: MIT */
/*
 * platform.h - the operating system: pages, threads' ids, clocks, raw output
 *
 * Level 1. Implemented by one file per system (platform-linux.c). Nothing here
 * allocates, takes a lock or uses stdio, and everything may be called with the
 * world stopped unless it says otherwise.
 */
#ifndef GCX_PLATFORM_H
#define GCX_PLATFORM_H

#include "assert.h"

/* Called once, before anything else of this header. */
void gcx__platform_init(void);

size_t gcx__page_bytes(void);
uint32_t gcx__tid(void);   /* kernel's id of the calling thread */
bool gcx__is_secure(void); /* setuid, setgid or file capabilities */
/* Resident memory that no other process shares; 0: the system does not tell. */
size_t gcx__private_bytes(void);
uint64_t gcx__now_ns(void); /* monotonic, precise */
uint32_t gcx__now_ms(void); /* since gcx__platform_init(), at most 10 ms
                                  late, a few ns to ask; wraps at 49 days */

/* The same from memory, for every allocation: a keeper (the finalizer thread)
 * writes it down every few ms for as long as it is asked for. With no keeper, or
 * one that has gone to sleep, the clock is read, and the keeper woken. */
struct gcx__clock {
  uint32_t ms;
  uint32_t is_kept; /* ms is being kept up to date */
  uint32_t asked;   /* since the keeper last looked */
  uint32_t *keeper; /* what the keeper sleeps on, NULL: there is none */
};
extern struct gcx__clock gcx__clock GCX_HIDDEN;
uint32_t gcx__clock_wake(void);

static inline uint32_t gcx__clock_ms(void)
{
  if (GCX_UNLIKELY(!__atomic_load_n(&gcx__clock.is_kept, __ATOMIC_ACQUIRE)))
    return gcx__clock_wake();
  if (GCX_UNLIKELY(!__atomic_load_n(&gcx__clock.asked, __ATOMIC_RELAXED)))
    __atomic_store_n(&gcx__clock.asked, 1, __ATOMIC_RELAXED);
  return __atomic_load_n(&gcx__clock.ms, __ATOMIC_RELAXED);
}

/* Value of an environment variable, NULL if unset or if gcx__is_secure(). */
const char *gcx__getenv(const char *name);

/* All of it, through short writes and EINTR; false if it can't be written. */
bool gcx__write(int fd, const void *bytes, size_t n);

/* Wait while *@word is @value, at most @timeout_ms (UINT64_MAX: for ever);
 * wake all who wait. No collector call: see gcx__bdw_blocking(). */
void gcx__futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ms);
void gcx__futex_wake(uint32_t *word);

/* Every other thread of this process has executed a full memory barrier, or does
 * not run, when it returns true. False: the system can't do it. */
bool gcx__fence_all(void);

/* Processors that this process may use, as at the first question. */
unsigned gcx__cpus(void);

/* Name of a thread as the kernel knows it, "" if it is gone. */
void gcx__thread_name(uint32_t tid, char *ret_name, size_t bytes);

/* Absolute path of the running program, "" if unknown. */
const char *gcx__exe_path(void);

#endif
