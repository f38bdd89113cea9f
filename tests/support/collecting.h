/* SPDX-License-Identifier: MIT */
/*
 * collecting.h - collections without a pause, and a signal for whoever waits
 */
#ifndef GCX_TESTS_COLLECTING_H
#define GCX_TESTS_COLLECTING_H

#include <pthread.h>
#include <signal.h>

#include "objects.h"

static bool collecting;
static pthread_t waiter; /* is sent SIGUSR1 as well, if it is not 0 */

static void *collect(void *unused)
{
  while (__atomic_load_n(&collecting, __ATOMIC_ACQUIRE)) {
    gcx_collect();
    if (waiter != 0)
      (void)pthread_kill(waiter, SIGUSR1);
  }
  return unused;
}

static inline pthread_t start_collecting(void)
{
  pthread_t id;

  __atomic_store_n(&collecting, true, __ATOMIC_RELEASE);
  ck_assert_int_eq(pthread_create(&id, NULL, collect, NULL), 0);
  return id;
}

static inline void stop_collecting(pthread_t id)
{
  __atomic_store_n(&collecting, false, __ATOMIC_RELEASE);
  ck_assert_int_eq(pthread_join(id, NULL), 0);
}

/* ---- the program's own signals */

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
  handled += number == SIGUSR1;
}

static inline void take_signal(void)
{
  struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

  ck_assert_int_eq(sigaction(SIGUSR1, &a, NULL), 0);
  waiter = pthread_self();
}

#endif
