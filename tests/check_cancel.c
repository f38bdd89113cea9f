/* SPDX-License-Identifier: MIT */
/*
 * check_cancel.c - threads that can be cancelled at any instruction
 *
 * A thread that computes may say so (PTHREAD_CANCEL_ASYNCHRONOUS). The cancellation
 * then comes in bdwgc's handler of the signal that stops threads, too, in which
 * that signal is blocked: the thread leaves the handler without returning, and has
 * destructors to run and collections to answer. A plain one is made first: the C
 * library loads what it unwinds with at the first cancellation of a process.
 */
#ifndef __SANITIZE_ADDRESS__
#include <pthread.h>
#include <signal.h>

#include "bdw.h"
#include "objects.h"
#include "thread.h"
#include "waits.h"

#define ROUNDS 300
#define BYTES 200

typedef void (*event_fn)(int event);
extern void GC_set_on_collection_event(event_fn fn);
extern event_fn GC_get_on_collection_event(void);

enum { EVENT_STOPPED = 7 }; /* GC_EVENT_POST_STOP_WORLD */

static pthread_key_t key;
static pthread_t victim;
static uint32_t cancel_at_stop; /* the next stop cancels @victim */
static int computing, in_destructor, collected;
static size_t destructors, bad;
static event_fn next_event;

static void on_event(int event)
{
  if (event == EVENT_STOPPED &&
      __atomic_exchange_n(&cancel_at_stop, 0, __ATOMIC_ACQ_REL) != 0)
    (void)pthread_cancel(victim);
  if (next_event != NULL)
    next_event(event);
}

static bool collectors_signal_is_blocked(void)
{
  sigset_t now;
  int suspend, restart;

  gcx__bdw_signals(&suspend, &restart);
  return pthread_sigmask(SIG_SETMASK, NULL, &now) != 0 ||
         sigismember(&now, suspend) != 0;
}

/* What only the key holds is there, the thread is stopped by others' collections,
 * and can make its own. */
static void looks_at_object(void *arg)
{
  bool good = !collectors_signal_is_blocked() &&
              gcx__bdw_thread_is_registered() && is_all(arg, BYTES, 0x5a);

  if (good) { /* else that would wait for ever */
    gcx_collect();
    flag_raise(&in_destructor);
    flag_wait(&collected);
    good = is_all(arg, BYTES, 0x5a);
    gcx_discard(arg);
  }
  __atomic_add_fetch(&bad, !good, __ATOMIC_RELAXED);
  __atomic_add_fetch(&destructors, 1, __ATOMIC_RELAXED);
  flag_raise(&in_destructor);
}

static GCX_NOINLINE void leaves_object_to_key(void)
{
  void *p = gcx_alloc_atomic(BYTES);

  memset(p, 0x5a, BYTES);
  (void)pthread_setspecific(key, p);
}

/* AddressSanitizer takes the frame that is left by the cancellation for alive. */
__attribute__((no_sanitize_address)) static void *computes(void *arg)
{
  volatile uint64_t sum = 0;

  leaves_object_to_key();
  gcx__bdw_clear_stack();
  (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  flag_raise(&computing);
  for (uint64_t i = 0;; i++)
    sum = sum + i;
  return arg;
}

static void *waits_to_be_cancelled(void *arg)
{
  for (;;)
    (void)pause();
  return arg;
}

static void setup(void)
{
  pthread_t first;

  objects_setup(GCX_LEAK_OFF);
  objects_be_quiet();
  first = thread_start(waits_to_be_cancelled, NULL);
  ck_assert_int_eq(pthread_cancel(first), 0);
  ck_assert_ptr_eq(thread_join(first), PTHREAD_CANCELED);
  ck_assert_int_eq(pthread_key_create(&key, looks_at_object), 0);
  next_event = GC_get_on_collection_event();
  GC_set_on_collection_event(on_event);
}

static void victim_start(void)
{
  computing = in_destructor = collected = 0;
  victim = thread_start(computes, NULL);
  flag_wait(&computing);
}

static void victim_join(void)
{
  flag_wait(&in_destructor);
  gcx_collect(); /* waits for the thread's answer */
  flag_raise(&collected);
  (void)thread_join(victim);
}

/* The cancellation comes while it stands in the handler, where bdwgc has put off
 * cancellation, and works at its end. */
START_TEST(test_while_it_is_stopped)
  {
    for (size_t i = 0; i < ROUNDS; i++) {
      victim_start();
      __atomic_store_n(&cancel_at_stop, 1, __ATOMIC_RELEASE);
      gcx_collect();
      ck_assert_uint_eq(cancel_at_stop, 0);
      victim_join();
      ck_assert_uint_eq(bad, 0);
    }
    ck_assert_uint_eq(destructors, ROUNDS);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("cancel");
  TCase *t = tcase_create("asynchronous");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_while_it_is_stopped);
  tcase_set_timeout(t, 60);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(suite);
#else
#include <stdio.h>

int main(void)
{
  (void)puts(
      "under AddressSanitizer it took more than a minute once in four runs");
  return 77;
}

#endif
