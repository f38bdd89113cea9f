/* SPDX-License-Identifier: MIT */
/*
 * interpose-signal.c - in front of sigaction() and signal()
 *
 * A call that a collection has interrupted is to be taken up again, one that a
 * signal of the program's has interrupted is not. So the program's handlers are
 * called by way of signal_deliver(), which counts. The kernel is given that
 * function in place of the handler, with the program's own flags and mask; the
 * program is told of its own handler. Whether a signal is handled, ignored or left
 * to its default remains the kernel's to say: SA_RESETHAND, exec and a handler
 * that somebody installs behind our back are as they always were.
 *
 * The collector's two signals go through untouched, and so does what bdwgc itself
 * installs: in incremental mode its handler of write faults has the suspend signal
 * in its mask, and must not be stopped in the middle.
 *
 * Everything here may be called in a signal handler: one word for each signal,
 * no lock. A handler that comes between the two steps of a change finds the new
 * function where the kernel still knows the old one, or the other way round, as
 * it may with the kernel's own.
 */
#include "interpose-signal.h"

#include <dlfcn.h>
#include <errno.h>

#include "bdw.h"

/* A stop that begins after the count was read shows in the count. */
static struct gcx__signal_mark signal_mark(uint32_t handled)
{
  struct gcx__signal_mark mark = { .stops = gcx__bdw_stops(),
                                   .handled = handled };

  mark.is_stopping = gcx__bdw_is_stopping();
  return mark;
}

static bool signal_stopped(const struct gcx__signal_mark *mark)
{
  return mark->is_stopping || gcx__bdw_stops() != mark->stops;
}

#if !defined(__SANITIZE_ADDRESS__)

#define SIGNAL_EXPORT __attribute__((visibility("default")))

/* Handlers of either form are called with all there is. */
typedef void (*signal_fn)(int number, siginfo_t *info, void *context);
typedef void (*signal_plain_fn)(int number);

static signal_fn signal_handlers[NSIG];
static __thread uint32_t signal_handled
    __attribute__((tls_model("initial-exec")));

static struct {
  int (*sigaction)(int number, const struct sigaction *action,
                   struct sigaction *ret_old);
  signal_plain_fn (*signal)(int number, signal_plain_fn handler);
} signal_real;

static void __attribute__((constructor(101))) signal_look_up(void)
{
  *(void **)(void *)&signal_real.sigaction = dlsym(RTLD_NEXT, "sigaction");
  *(void **)(void *)&signal_real.signal = dlsym(RTLD_NEXT, "signal");
}

static void signal_deliver(int number, siginfo_t *info, void *context)
{
  signal_fn handler =
      __atomic_load_n(&signal_handlers[number], __ATOMIC_ACQUIRE);

  signal_handled++;
  if (handler != NULL)
    handler(number, info, context);
}

static bool signal_is_collectors(int number)
{
  int suspend, restart;

  gcx__bdw_signals(&suspend, &restart);
  return number == suspend || number == restart;
}

static bool signal_is_function(signal_plain_fn handler)
{
  return handler != SIG_DFL && handler != SIG_IGN && handler != SIG_ERR &&
         handler != SIG_HOLD;
}

static bool signal_is_ours(signal_plain_fn handler)
{
  return (uintptr_t)handler == (uintptr_t)signal_deliver;
}

/* What the program shall see of @handler, which the kernel knows. */
static signal_plain_fn signal_shown(signal_plain_fn handler, signal_fn before)
{
  return signal_is_ours(handler) ? (signal_plain_fn)(void (*)(void))before
                                 : handler;
}

static signal_fn signal_set(int number, signal_plain_fn handler)
{
  return __atomic_exchange_n(&signal_handlers[number],
                             (signal_fn)(void (*)(void))handler,
                             __ATOMIC_ACQ_REL);
}

/* Installs @action with our function in it. */
static int signal_install(int number, const struct sigaction *action,
                          struct sigaction *ret_old)
{
  struct sigaction ours = *action;
  signal_fn before = signal_set(number, action->sa_handler);
  int result;

  ours.sa_sigaction = signal_deliver;
  (void)gcx__signal_spare(&action->sa_mask, &ours.sa_mask);
  result = signal_real.sigaction(number, &ours, ret_old);
  if (result != 0)
    (void)signal_set(number, (signal_plain_fn)(void (*)(void))before);
  else if (ret_old != NULL)
    ret_old->sa_handler = signal_shown(ret_old->sa_handler, before);
  return result;
}

SIGNAL_EXPORT int sigaction(int number, const struct sigaction *action,
                            struct sigaction *ret_old)
{
  signal_fn before;
  int result;

  if (signal_real.sigaction == NULL)
    signal_look_up();
  if (number <= 0 || number >= NSIG || signal_is_collectors(number) ||
      gcx__bdw_is_own_code((uintptr_t)__builtin_return_address(0)))
    return signal_real.sigaction(number, action, ret_old);
  if (action != NULL && signal_is_function(action->sa_handler) &&
      !signal_is_ours(action->sa_handler))
    return signal_install(number, action, ret_old);
  before = __atomic_load_n(&signal_handlers[number], __ATOMIC_ACQUIRE);
  result = signal_real.sigaction(number, action, ret_old);
  if (result == 0 && ret_old != NULL)
    ret_old->sa_handler = signal_shown(ret_old->sa_handler, before);
  return result;
}

SIGNAL_EXPORT signal_plain_fn signal(int number, signal_plain_fn handler)
{
  signal_plain_fn old;
  signal_fn before;

  if (signal_real.signal == NULL)
    signal_look_up();
  if (number <= 0 || number >= NSIG || signal_is_collectors(number)) {
    old = signal_real.signal(number, handler);
    return old;
  }
  before = __atomic_load_n(&signal_handlers[number], __ATOMIC_ACQUIRE);
  if (signal_is_function(handler) && !signal_is_ours(handler)) {
    before = signal_set(number, handler);
    handler = (signal_plain_fn)(void (*)(void))signal_deliver;
  }
  old = signal_real.signal(number, handler);
  if (old == SIG_ERR)
    (void)signal_set(number, (signal_plain_fn)(void (*)(void))before);
  return signal_shown(old, before);
}

struct gcx__signal_mark gcx__signal_now(void)
{
  return signal_mark(signal_handled);
}

bool gcx__signal_only_stops(const struct gcx__signal_mark *mark)
{
  return signal_handled == mark->handled && signal_stopped(mark);
}

#else

/* AddressSanitizer has both functions; what a handler does is then not known. */
struct gcx__signal_mark gcx__signal_now(void)
{
  return signal_mark(0);
}

bool gcx__signal_only_stops(const struct gcx__signal_mark *mark)
{
  return signal_stopped(mark);
}

#endif

/* ---- masks */

const sigset_t *gcx__signal_spare(const sigset_t *set, sigset_t *copy)
{
  int suspend, restart;

  if (set == NULL)
    return NULL;
  gcx__bdw_signals(&suspend, &restart);
  *copy = *set;
  if (suspend > 0)
    (void)sigdelset(copy, suspend);
  if (restart > 0)
    (void)sigdelset(copy, restart);
  /* In incremental mode bdwgc may write-protect what its suspend handler writes
   * to: that fault must get through as well. */
  if (gcx__bdw_is_incremental())
    (void)sigdelset(copy, SIGSEGV);
  return copy;
}

void gcx__signal_block(sigset_t *ret_old)
{
  sigset_t all, spared;

  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, gcx__signal_spare(&all, &spared), ret_old);
}

void gcx__signal_restore(const sigset_t *old)
{
  (void)pthread_sigmask(SIG_SETMASK, old, NULL);
}
