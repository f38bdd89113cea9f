/* SPDX-License-Identifier: MIT */
/*
 * crash.c - a crash in a finalizer names the object
 *
 * The signals that a mistake raises are handled once a finalizer is to be run,
 * those that the program (or a sanitizer) has left alone. The handler reports the
 * object of the finalizer in which the thread is, if it is in one; then the signal
 * has its default effect, at the place where it was raised: core file and exit
 * status are what they would have been. No function of the program's is called
 * for the report, and it is one line if the thread holds a lock of gcx's.
 */
#include "crash.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "misuse.h"
#include "out.h"
#include "thread.h"
#include "type.h"
#include "vm.h"

#define CRASH_STACK_BYTES ((size_t)64 << 10)

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
static void *crash_stack; /* of gcx's thread, which is one at a time */
static uint32_t crash_armed;
static uint32_t crash_named; /* one report */

static void crash_name(int sig, uint32_t number)
{
  const struct gcx_type *type = gcx__type_at(gcx__record_at(number)->type);

  if (gcx__lock_any_held()) {
    gcx__warn("GCX-FINALIZER-CRASH: signal %d in the finalizer of %s at %p",
              sig, type->name, gcx__record_object(number));
    return;
  }
  while (type != NULL && type->finalize == NULL)
    type = type->base;
  gcx__misuse_finalizer(GCX_REPORT_FINALIZER_CRASH, number,
                        type != NULL ? type->finalize : NULL, strsignal(sig));
}

static void crash_default(int sig)
{
  struct sigaction action;

  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  (void)sigaction(sig, &action, NULL);
}

/* A fault is repeated when the handler returns, another signal is raised again:
 * it waits until then. */
static void crash_handle(int sig, siginfo_t *info, void *context)
{
  const struct gcx__thread *t = gcx__thread_current;

  (void)context;
  crash_default(sig);
  if (t != NULL && t->finalizing != 0 &&
      __atomic_exchange_n(&crash_named, 1, __ATOMIC_ACQ_REL) == 0)
    crash_name(sig, t->finalizing);
  if (info->si_code <= 0)
    (void)raise(sig);
}

static void crash_take(int sig)
{
  struct sigaction now, mine;

  if (sigaction(sig, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 ||
      now.sa_handler != SIG_DFL)
    return;
  memset(&mine, 0, sizeof mine);
  mine.sa_sigaction = crash_handle;
  mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
  (void)sigaction(sig, &mine, NULL);
}

void gcx__crash_arm(void)
{
  if (GCX_LIKELY(__atomic_load_n(&crash_armed, __ATOMIC_RELAXED) != 0) ||
      __atomic_exchange_n(&crash_armed, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(crash_signals); i++)
    crash_take(crash_signals[i]);
}

/* A sanitizer gives each thread a stack for that, and unmaps at the thread's end
 * whatever is there then. */
void gcx__crash_thread(void)
{
  stack_t now, stack = { .ss_size = CRASH_STACK_BYTES };

  if (sigaltstack(NULL, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0)
    return;
  stack.ss_sp = gcx__vm_map(CRASH_STACK_BYTES);
  crash_stack = stack.ss_sp;
  if (stack.ss_sp != NULL)
    (void)sigaltstack(&stack, NULL);
}

void gcx__crash_thread_end(void)
{
  stack_t now, none = { .ss_flags = SS_DISABLE };

  if (crash_stack == NULL || sigaltstack(&none, &now) != 0)
    return;
  if (now.ss_sp == crash_stack)
    gcx__vm_unmap(crash_stack, CRASH_STACK_BYTES);
  crash_stack = NULL;
}
