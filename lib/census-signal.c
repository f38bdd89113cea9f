/* SPDX-License-Identifier: MIT */
/*
 * census-signal.c - a census when a signal comes, and at exit
 *
 *   signal handler: one more was asked for, wake the thread
 *   thread:         asleep where the collector need not stop it; counts, writes
 *                   the census, and what has changed since the one before
 *
 * The thread exists only if the option census_signal names a signal. The handler
 * does nothing that is not allowed in one. The child of a fork has the handler
 * and no thread: that is started again when it allocates.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "bdw.h"
#include "census.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "service.h"
#include "thread.h"

static uint32_t signal_asked; /* signals that came; woken when one does */
static uint32_t signal_done;
static uint32_t signal_has_thread;

static void signal_handler(int number)
{
  int saved = errno;

  (void)number;
  __atomic_fetch_add(&signal_asked, 1, __ATOMIC_ACQ_REL);
  gcx__futex_wake(&signal_asked);
  errno = saved;
}

static int signal_format(void)
{
  return gcx__opt.census == GCX_CENSUS_AT_EXIT_OFF ? GCX_CENSUS_TEXT
                                                   : (int)gcx__opt.census - 1;
}

static void signal_write(const struct gcx_census *c)
{
  if (c != NULL)
    (void)gcx__census_write(c->row, c->rows,
                            c->is_difference ? "difference" : "census",
                            c->is_difference, -1, signal_format());
}

static struct gcx_census *signal_census(struct gcx_census *before)
{
  struct gcx_census *now = gcx_census_take();

  signal_write(now);
  if (before != NULL && now != NULL)
    signal_write(gcx_census_diff(before, now));
  return now != NULL ? now : before;
}

static void *signal_sleep(void *arg)
{
  const uint32_t *seen = arg;

  gcx__futex_wait(&signal_asked, *seen, UINT64_MAX);
  return NULL;
}

static GCX_NORETURN void *signal_main(void *unused)
{
  struct gcx__thread *self = gcx__thread_self();
  struct gcx_census *before = NULL;

  (void)unused;
  gcx__service_begin("gcx-census");
  if (self != NULL)
    self->is_gcx = true;
  for (;;) {
    uint32_t seen = __atomic_load_n(&signal_asked, __ATOMIC_ACQUIRE);

    if (seen == signal_done) {
      (void)gcx__bdw_blocking(signal_sleep, &seen);
    } else {
      before = signal_census(before);
      __atomic_store_n(&signal_done, seen, __ATOMIC_RELEASE);
    }
    GCX_KEEP(before);
  }
}

void gcx__census_signal_ensure(void)
{
  uint32_t none = 0;

  if (GCX_LIKELY(gcx__opt.census_signal == 0 ||
                 __atomic_load_n(&signal_has_thread, __ATOMIC_ACQUIRE) != 0))
    return;
  if (!__atomic_compare_exchange_n(&signal_has_thread, &none, 1, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return;
  if (!gcx__service_start(signal_main, NULL))
    __atomic_store_n(&signal_has_thread, 0, __ATOMIC_RELEASE);
}

/* A signal that the program handles by then is left to it. */
void gcx__census_signal_init(void)
{
  int number = (int)gcx__opt.census_signal;
  struct sigaction action, old;

  if (number == 0)
    return;
  if (sigaction(number, NULL, &old) != 0 || (old.sa_flags & SA_SIGINFO) != 0 ||
      old.sa_handler != SIG_DFL) {
    gcx__warn("census_signal=%d: that signal can't be had", number);
    return;
  }
  memset(&action, 0, sizeof action);
  action.sa_handler = signal_handler;
  action.sa_flags = SA_RESTART;
  (void)sigemptyset(&action.sa_mask);
  if (sigaction(number, &action, NULL) != 0)
    gcx__warn("census_signal=%d: %s", number, "that signal can't be had");
}

void gcx__census_signal_after_fork(void)
{
  signal_has_thread = 0;
  signal_done = signal_asked;
}

void gcx__census_at_exit(void)
{
  struct gcx__census_set s;

  if (gcx__opt.census == GCX_CENSUS_AT_EXIT_OFF || !gcx__census_set_init(&s))
    return;
  if (gcx__census_count(&s, NULL, NULL))
    (void)gcx__census_write(s.rows, s.count, "census", false, -1,
                            signal_format());
  gcx__census_set_fini(&s);
}
