/* SPDX-License-Identifier: MIT */
/*
 * waiting.h - a call that waits, under collections without a pause
 */
#ifndef GCX_TESTS_WAITING_H
#define GCX_TESTS_WAITING_H

#include <string.h>

#include "bdw.h"
#include "collecting.h"
#include "platform.h"

#define WAIT_MS 20
#define WAIT_NS ((uint64_t)WAIT_MS * 1000000)

/* A call with a limit of WAIT_MS: @wait returns 0 if the time passed, else what
 * went wrong. */
static inline void collections_interrupt_not(const char *name,
                                             int (*wait)(void))
{
  pthread_t id = start_collecting();
  uint32_t with_stops = 0;

  for (int i = 0; i < 100 && with_stops < 2; i++) {
    uint32_t stops = gcx__bdw_stops();
    uint64_t begin = gcx__now_ns();
    int error = wait();

    ck_assert_msg(error == 0, "%s: %s", name, strerror(error));
    /* not less than it was asked for, but for the clocks' grain */
    ck_assert_uint_ge(gcx__now_ns() - begin, WAIT_NS - 5000000);
    with_stops += gcx__bdw_stops() != stops;
  }
  stop_collecting(id);
  ck_assert_uint_eq(with_stops, 2);
}

/* ---- a call without one: somebody ends it after some collections */

struct endless {
  int (*begin)(void); /* says about_to_wait(), waits, returns as above */
  void (*end)(void);
};

static uint32_t seen; /* stops when the call was about to be made */
static int calling;

static void *end_wait(void *arg)
{
  const struct endless *e = arg;

  while (__atomic_load_n(&calling, __ATOMIC_ACQUIRE) == 0 ||
         gcx__bdw_stops() - __atomic_load_n(&seen, __ATOMIC_RELAXED) < 4)
    (void)sched_yield();
  e->end();
  return NULL;
}

static inline void about_to_wait(void)
{
  __atomic_store_n(&seen, gcx__bdw_stops(), __ATOMIC_RELAXED);
  __atomic_store_n(&calling, 1, __ATOMIC_RELEASE);
}

static inline void collections_interrupt_no_endless(struct endless e)
{
  pthread_t id = start_collecting(), ender;
  int result;

  ck_assert_int_eq(pthread_create(&ender, NULL, end_wait, &e), 0);
  result = e.begin();
  ck_assert_int_eq(pthread_join(ender, NULL), 0);
  stop_collecting(id);
  ck_assert_msg(result == 0, "%s", strerror(result));
}

/* Collections and signals, both: the signal is the program's to see. */
static inline void signals_interrupt(int (*wait)(void))
{
  pthread_t id;

  take_signal();
  id = start_collecting();
  for (int i = 0; i < 5; i++) {
    errno = 0;
    ck_assert_int_eq(wait(), -1);
    ck_assert_int_eq(errno, EINTR);
  }
  stop_collecting(id);
  ck_assert_int_gt(handled, 0);
}

#endif
