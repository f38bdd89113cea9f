/* SPDX-License-Identifier: MIT */
/*
 * fork.c - gcx across fork()
 *
 * prepare takes gcx's locks in the order of ranks, then bdwgc's handler its own, then
 * that for the list of loaded objects is taken, which a collection asks for.
 * In the child one thread is left. What was tracked before belongs to the parent
 * and is dropped in silence when it becomes unreachable: all records below a
 * limit (gcx__record_inherited). No number below it is given out again, nor is a
 * cell that has one: what the child frees or gives back to a pool ends, so that
 * all it is lent afterwards is its own. gcx_fork_adopt() makes the child the owner; daemon() does, since its child goes on in the parent's place.
 */
#include "fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "../include/gcx/collector.h"
#include "bdw.h"
#include "cells.h"
#include "census.h"
#include "exhaust.h"
#include "fd.h"
#include "finalizer.h"
#include "freed.h"
#include "lifecycle.h"
#include "loaded.h"
#include "lock.h"
#include "low-memory.h"
#include "pool-idle.h"
#include "pressure.h"
#include "record.h"
#include "report.h"
#include "stream.h"
#include "table.h"
#include "termination.h"
#include "thread.h"
#include "trace.h"
#include "unwind.h"
#include "verdict.h"

static void fork_prepare_last(void)
{
  gcx__loaded_before_fork();
}

static void fork_parent_first(void)
{
  gcx__loaded_after_fork(false);
}

static void fork_child_first(void)
{
  gcx__loaded_after_fork(true);
}

static void fork_prepare(void)
{
  gcx__lock_all();
  gcx__unwind_before_fork();
}

static void fork_parent(void)
{
  gcx__unwind_after_fork(false);
  gcx__unlock_all();
}

static void fork_drop(struct gcx__thread *t)
{
  gcx__pool_thread_drop(t);
  gcx__cells_drop(t);
  gcx__freed_drop(t);
  gcx__trace_thread_leave(t);
}

static void fork_child(void)
{
  struct gcx__thread *self;

  gcx__lock_reinit_all();
  gcx__unwind_after_fork(true);
  gcx__lifecycle_after_fork(); /* while vanished threads are on the list */
  gcx__thread_after_fork(fork_drop);
  self = gcx__thread_self();
  if (self != NULL && self->cells != NULL)
    self->cells->number_next = self->cells->number_end = 0;
  if (self != NULL)
    gcx__freed_drop(self);
  gcx__freed_after_fork();
  gcx__record_after_fork();
  gcx__termination_after_fork();
  gcx__pool_after_fork();
  gcx__census_signal_after_fork();
  gcx__pressure_after_fork();
  gcx__low_memory_after_fork();
  gcx__finalizer_after_fork();
  gcx__fd_after_fork();
  gcx__stream_popen_after_fork();
  gcx__exhaust_after_fork();
  gcx__table_after_fork();
  gcx__report_after_fork();
  gcx__verdict_after_fork();
}

/* A program that has initialised bdwgc itself has the handlers in another order: a
 * collection would wait for us, and we for it. */
void gcx__fork_init_early(void)
{
  (void)pthread_atfork(gcx__bdw_has_begun() ? NULL : fork_prepare_last,
                       fork_parent_first, fork_child_first);
}

void gcx__fork_init(void)
{
  (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void gcx_fork_adopt(void)
{
  gcx__termination_adopt();
}

/* The C library's forks and lets the parent exit. */
__attribute__((visibility("default"))) int daemon(int nochdir, int noclose)
{
  int (*real)(int, int);
  void *found = dlsym(RTLD_NEXT, "daemon");
  int result;

  if (found == NULL) {
    errno = ENOSYS;
    return -1;
  }
  __builtin_memcpy(&real, &found, sizeof real);
  result = real(nochdir, noclose);
  if (result == 0)
    gcx_fork_adopt();
  return result;
}
