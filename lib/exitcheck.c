/* SPDX-License-Identifier: MIT */
/*
 * exitcheck.c - the last look
 *
 * What is unreachable now was lost. What exit() merely left reachable was not:
 * when it was called from somewhere in the program, the frames of its callers
 * are still roots; when main has returned, main's frame is dead. Either way the
 * frames of exit() itself and of everything below it hold nothing of the
 * program's but leftovers, and are left out: what counts is the part above
 * exit()'s caller, with the registers as that caller left them.
 */
#include "exitcheck.h"

#include <stdio.h>
#include <unistd.h>

#include "census.h"
#include "fd.h"
#include "finalize.h"
#include "finalizer.h"
#include "finding.h"
#include "options.h"
#include "report.h"
#include "stream.h"
#include "thread.h"
#include "unwind.h"
#include "verdict.h"

#define EXIT_REGISTERS 12

/* How long a finalizer that runs while the process exits is waited for. */
#define EXIT_PATIENCE_MS 1000

static void exitcheck_collect(void)
{
  struct gcx__thread *self = gcx__thread_self();
  uintptr_t sp, registers[EXIT_REGISTERS] = { 0 };
  bool main_returned = false;

  if (self != NULL && self->is_main &&
      gcx__unwind_find_exit(&sp, registers, &main_returned))
    gcx__verdict_collect(sp, registers, EXIT_REGISTERS);
  else
    gcx__verdict_collect_here();
}

/* NULL, or why the answer is not to be trusted. */
static const char *exitcheck_look(void)
{
  const char *why = gcx__verdict_obstacle();

  if (why == NULL)
    gcx__verdict_lose_canaries();
  exitcheck_collect();
  if (why == NULL)
    why = gcx__verdict_obstacle(); /* of this collection */
  if (why == NULL && !gcx__verdict_canaries_found())
    why = "objects that gcx lost on purpose were not found";
  if (!gcx__finalizer_finish(EXIT_PATIENCE_MS) && why == NULL)
    why = "a finalizer does not return";
  return why;
}

/* Ends the process; what the program has written is not lost. */
static GCX_NORETURN void exitcheck_end(int status)
{
  (void)fflush(NULL);
  _exit(status);
}

static bool exitcheck_is_wanted(void)
{
  return gcx__opt.exit_check != GCX_EXIT_OFF && gcx__opt.leak != GCX_LEAK_OFF &&
         gcx__opt.leak != GCX_LEAK_DISPOSE;
}

static void exitcheck_undisposed(void)
{
  gcx__stream_drop_closed();
  (void)gcx__finding_undisposed();
  (void)gcx__fd_undisposed();
}

void gcx__exitcheck_run(void)
{
  const char *why = NULL;
  bool sets_status =
      gcx__opt.leak == GCX_LEAK_ABORT || gcx__opt.leak == GCX_LEAK_EXIT;

  gcx__finalizer_shut_down();
  gcx__census_at_exit();
  if (exitcheck_is_wanted())
    why = exitcheck_look();
  if (exitcheck_is_wanted() && gcx__opt.exit_check == GCX_EXIT_UNDISPOSED)
    exitcheck_undisposed();
  if (gcx__opt.critical_at_exit != 0)
    gcx__finalize_critical();
  if (why != NULL)
    gcx__report_note("indeterminate at exit: %s", why);
  gcx__report_summary();
  if (gcx__report_count() > 0)
    exitcheck_end((int)gcx__opt.exitcode);
  if (why != NULL && sets_status)
    exitcheck_end((int)GCX_MIN(gcx__opt.exitcode + 1, 255u));
}
