/* SPDX-License-Identifier: MIT */
/*
 * waits.h - threads that wait for each other without sleeping
 */
#ifndef GCX_TESTS_WAITS_H
#define GCX_TESTS_WAITS_H

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

static inline pthread_t thread_start(void *(*fn)(void *), void *arg)
{
  pthread_t thread;

  ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
  return thread;
}

static inline void *thread_join(pthread_t thread)
{
  void *result = NULL;

  ck_assert_int_eq(pthread_join(thread, &result), 0);
  return result;
}

/* A flag that one thread raises and others wait for. */
static inline void flag_raise(int *flag)
{
  __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

static inline bool flag_is_up(const int *flag)
{
  return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

static inline void flag_wait(const int *flag)
{
  while (!flag_is_up(flag))
    (void)sched_yield();
}

/* Wait until the kernel says that the thread sleeps; a thread that never does is
 * waited for two seconds. */
static inline void thread_wait_until_asleep(const uint32_t *tid)
{
  uint64_t end = gcx__now_ns() + UINT64_C(2000000000);
  char path[64], line[512];

  while (__atomic_load_n(tid, __ATOMIC_ACQUIRE) == 0)
    (void)sched_yield();
  (void)snprintf(path, sizeof(path), "/proc/self/task/%u/stat", *tid);
  while (gcx__now_ns() < end) {
    FILE *f = fopen(path, "r");
    const char *state;
    size_t n;

    if (f == NULL)
      return; /* it has ended */
    n = fread(line, 1, sizeof(line) - 1, f);
    (void)fclose(f);
    line[n] = '\0';
    state = strrchr(line, ')');
    if (state != NULL && state[1] != '\0' && state[2] == 'S')
      return;
    (void)sched_yield();
  }
}

#endif
