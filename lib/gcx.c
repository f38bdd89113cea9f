/* SPDX-License-Identifier: MIT */
/*
 * gcx.c - start and end of the library; the one file that knows all the others
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GCX_NO_NOTE /* else a static libgcx speaks for the program it is in */
#include "../include/gcx/build.h"
#include "../include/gcx/collector.h"
#include "../include/gcx/root.h"
#include "../include/gcx/version.h"
#include "bdw.h"
#include "cells.h"
#include "census.h"
#include "exitcheck.h"
#include "finalizer.h"
#include "fork.h"
#include "freed.h"
#include "interpose.h"
#include "lock.h"
#include "misuse.h"
#include "modules.h"
#include "note.h"
#include "low-memory.h"
#include "object.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "pool.h"
#include "pressure.h"
#include "report.h"
#include "roots.h"
#include "start.h"
#include "table.h"
#include "termination.h"
#include "thread.h"
#include "trace.h"
#include "unwind.h"
#include "weak.h"

static pthread_once_t gcx_once = PTHREAD_ONCE_INIT;
static bool gcx_started;

static void gcx_thread_leave(struct gcx__thread *t)
{
  gcx__pool_thread_leave(t);
  gcx__cells_leave(t);
  gcx__freed_drop(t);
  gcx__trace_thread_leave(t);
}

static const struct gcx__thread_hooks gcx_thread_hooks = {
  .leave = gcx_thread_leave,
};

/* Present in a program built with -fsanitize=thread. */
extern void __tsan_init(void) __attribute__((weak));

/* Its runtime holds signals back until a thread calls it, also those by which
 * bdwgc stops threads; and what begins a thread for gcx comes before it knows the
 * thread, when even malloc() is not to be called. */
static void gcx_refuse_thread_sanitizer(void)
{
  if (__tsan_init == NULL)
    return;
  gcx__warn("ThreadSanitizer is in this program, under which no collector can "
            "stop threads: build without -fsanitize=thread, or the whole "
            "program with -DGCX_DISABLE and without libgcx");
  (void)syscall(SYS_exit_group, 2); /* its _exit() has reports of its own */
  __builtin_unreachable();
}

static void gcx_read_options(void)
{
  static struct gcx__note note;
  const char *program =
      gcx_default_options != NULL ? gcx_default_options() : NULL;

  gcx__note_read(&note);
  gcx__options_init(note.debug, note.options, program);
}

/* Where the roots are not covered for certain, a finding is no reason to stop. */
static void gcx_check_roots(void)
{
  const char *why = gcx__interpose_obstacle();

  if (why != NULL)
    gcx__roots_are_unseen(why);
  why = gcx__roots_init();
  if (why != NULL && gcx__opt.verbosity > 0)
    gcx__warn("%s: %s",
              gcx__roots_are_hidden()
                  ? "findings will not be fatal, nothing will be finalized, or "
                    "disposed by leak=dispose"
                  : "findings will not be fatal",
              why);
}

static void gcx_say_obstacle(void)
{
  const char *why = gcx__bdw_obstacle();

  if (why != NULL)
    gcx__warn("leaks can go unnoticed: %s", why);
}

/* bdwgc collects again when the heap has grown by about two thirds. Where nearly all
 * is in use, as in a program that frees what it allocates, that means marking
 * everything, time and again, to gain nothing. */
static void gcx_after_collection(void)
{
  static size_t seen;
  size_t now = __atomic_load_n(gcx__bdw_count_at, __ATOMIC_RELAXED);

  if (__atomic_exchange_n(&seen, now, __ATOMIC_RELAXED) != now &&
      gcx__termination_was_futile())
    gcx__bdw_ensure_room();
}

/* Threads of gcx's own are started when there is something for them to do. */
static void gcx_on_refill(void)
{
  gcx__finalizer_ensure();
  gcx_after_collection();
  gcx__census_signal_ensure();
  gcx__low_memory_ensure();
}

/* Whoever knows the object: see object.h. */
static void gcx_follow(uint32_t number, void *old, void *now)
{
  gcx__weak_follow(old, now);
  gcx__table_follow(number, old, now);
}

/* bdwgc and the C library read files on the way: not to be cancelled there. */
static void gcx_start_once(void)
{
  int cancel = 0;

  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  gcx__platform_init();
  gcx_read_options();
  gcx_refuse_thread_sanitizer();
  gcx__unwind_init();
  gcx__report_init();
  gcx__modules_init();
  gcx__termination_init();
  gcx__weak_init();
  gcx__ephemeron_init();
  gcx__fork_init_early();
  gcx__bdw_init(&gcx__termination_hooks);
  gcx__interpose_init(&gcx_thread_hooks);
  gcx_check_roots();
  gcx__pool_init();
  gcx__latency_init();
  gcx__fork_init();
  gcx__census_signal_init();
  gcx__object_on_refill = gcx_on_refill;
  gcx__object_on_critical = gcx__misuse_critical_alloc;
  gcx__object_on_move = gcx_follow;
  gcx_say_obstacle();
  (void)pthread_setcancelstate(cancel, NULL);
  __atomic_store_n(&gcx_started, true, __ATOMIC_RELEASE);
}

void gcx__start(void)
{
  if (GCX_UNLIKELY(!__atomic_load_n(&gcx_started, __ATOMIC_ACQUIRE)))
    (void)pthread_once(&gcx_once, gcx_start_once);
}

__attribute__((constructor)) static void gcx_load(void)
{
  gcx__interpose_set_start(gcx__start);
  gcx__start();
}

/* So that "nothing was found" can be told from "nothing was looked at". */
static void gcx_say_what_was_done(void)
{
  gcx__warn("until exit: %llu collections, %u objects allocated, %zu findings",
            (unsigned long long)gcx__bdw_collections(), gcx__cells_order(),
            gcx__report_count());
}

__attribute__((destructor)) static void gcx_unload(void)
{
  if (!__atomic_load_n(&gcx_started, __ATOMIC_ACQUIRE))
    return;
  if (gcx__opt.verbosity >= 2)
    gcx_say_what_was_done();
  gcx__exitcheck_run(); /* which may end the process */
}

void gcx_init(void)
{
  gcx__start();
}

const char *gcx_version(void)
{
  return GCX_VERSION;
}

int gcx_root_add(void *start, size_t bytes)
{
  return gcx__roots_add(start, bytes);
}

void gcx_root_remove(void *start, size_t bytes)
{
  gcx__roots_remove(start, bytes);
}
