/* SPDX-License-Identifier: MIT */
/*
 * interpose.c - in front of the C library: threads, masks, mappings, dlclose
 *
 *   pthread_create, thrd_create   the thread is registered with bdwgc before its
 *       function runs and leaves after the last destructor (thread.c). The base
 *       of its stack is the end of the stack's mapping, where glibc keeps static
 *       TLS and struct pthread: the collector scans them with the stack.
 *   pthread_sigmask, sigprocmask  the collector's two signals stay unblocked: a
 *       thread that blocks everything would stop every collection for ever. And
 *       libunwind's many calls do nothing while gcx has blocked all (unwind.h).
 *   sigaltstack   bdwgc takes a stack pointer outside the stack it knows for the
 *       start of a range that ends there, and walks through whatever lies
 *       between; told of the alternate stack, it does not.
 *   mmap, mmap64  which mappings are libgc's own (roots.c leaves them out).
 *   dlclose       what was learnt about code addresses is void afterwards.
 *
 * Calls from libgc's own code: its marker threads are none of the program's; they
 * are listed, so that their stacks, full of what was marked last, are no roots,
 * and that is all. Threads that a program starts with GC_pthread_create() come from
 * libgc, too; bdwgc registers them, and forgets them before thread-specific
 * destructors run: they are listed at their start, and when bdwgc has let go of
 * one it is registered again.
 *
 * A program may also register a thread by itself; what gcx did not register it
 * does not take back. If it unregisters one that gcx registered (having been
 * told GC_DUPLICATE and not minding), the thread is registered again as soon as
 * its function is left.
 *
 * mmap works before any constructor has run and in any context: raw system call,
 * no lock, nothing looked up.
 */
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <threads.h>
#include <unistd.h>

#include "bdw.h"
#include "depot.h"
#include "interpose-signal.h"
#include "modules.h"
#include "roots.h"
#include "trace.h"
#include "unwind.h"

#define INTERPOSE_EXPORT __attribute__((visibility("default")))
#define INTERPOSE_CALLER ((uintptr_t)__builtin_return_address(0))

/* Of a marker thread the argument is its number, of GC_pthread_create() a
 * structure. */
#define INTERPOSE_MARKERS_MAX ((uintptr_t)4096)

typedef void *(*interpose_thread_fn)(void *arg);

static void (*interpose_start_gcx)(void);
static const struct gcx__thread_hooks *interpose_more;
static bool interpose_ready;
static uint32_t interpose_epoch; /* up to which unloading was dealt with */

/* ---- the functions behind ours */

static struct {
  int (*pthread_create)(pthread_t *id, const pthread_attr_t *attributes,
                        interpose_thread_fn fn, void *arg);
  int (*thrd_create)(thrd_t *id, thrd_start_t fn, void *arg);
  int (*pthread_sigmask)(int how, const sigset_t *set, sigset_t *ret_old);
  int (*sigprocmask)(int how, const sigset_t *set, sigset_t *ret_old);
  int (*dlclose)(void *handle);
} interpose_real;

/* Looked up twice if two threads come at once: they find the same. */
#define INTERPOSE_REAL(name)                                                 \
  (*(GCX_LIKELY(interpose_real.name != NULL)                                 \
         ? &interpose_real.name                                              \
         : (interpose_look_up(#name, (void **)(void *)&interpose_real.name), \
            &interpose_real.name)))

/* Behind libgcx comes nothing if the C library comes before it: then the first
 * in the process is the C library's. */
static void interpose_look_up(const char *name, void **ret_function)
{
  void *function = dlsym(RTLD_NEXT, name);

  if (function == NULL)
    function = dlsym(RTLD_DEFAULT, name);
  GCX_ASSERT(function != NULL);
  __atomic_store_n(ret_function, function, __ATOMIC_RELAXED);
}

/* Signal handlers may call these two, and a collection lists what is loaded:
 * nothing is looked up there later. */
static void __attribute__((constructor)) interpose_look_up_early(void)
{
  gcx__interpose_loaded_init();
  (void)INTERPOSE_REAL(pthread_sigmask);
  (void)INTERPOSE_REAL(sigprocmask);
}

/* ---- signal masks */

static void interpose_unblock_signals(void)
{
  sigset_t set;
  int suspend, restart;

  gcx__bdw_signals(&suspend, &restart);
  (void)sigemptyset(&set);
  if (suspend > 0)
    (void)sigaddset(&set, suspend);
  if (restart > 0)
    (void)sigaddset(&set, restart);
  (void)INTERPOSE_REAL(pthread_sigmask)(SIG_UNBLOCK, &set, NULL);
}

/* What to block of @set. */
static const sigset_t *interpose_spare_signals(int how, const sigset_t *set,
                                               sigset_t *copy)
{
  return how == SIG_UNBLOCK || !interpose_ready ? set
                                                : gcx__signal_spare(set, copy);
}

INTERPOSE_EXPORT int pthread_sigmask(int how, const sigset_t *set,
                                     sigset_t *ret_old)
{
  sigset_t copy;

  if (GCX_UNLIKELY(gcx__unwind_masked))
    return 0;
  return INTERPOSE_REAL(pthread_sigmask)(
      how, interpose_spare_signals(how, set, &copy), ret_old);
}

INTERPOSE_EXPORT int sigprocmask(int how, const sigset_t *set,
                                 sigset_t *ret_old)
{
  sigset_t copy;

  if (GCX_UNLIKELY(gcx__unwind_masked))
    return 0;
  return INTERPOSE_REAL(sigprocmask)(
      how, interpose_spare_signals(how, set, &copy), ret_old);
}

/* ---- alternate signal stacks */

static void interpose_tell_altstack(const struct gcx__thread *t)
{
  gcx__bdw_altstack((void *)t->stack_low, t->stack_high - t->stack_low,
                    (void *)t->altstack_low,
                    t->altstack_high - t->altstack_low);
}

/* A thread without an entry is asked when it gets one. bdwgc does not stop markers,
 * and holds its lock until one that it has started is there. */
INTERPOSE_EXPORT int sigaltstack(const stack_t *ss, stack_t *ret_old)
{
  struct gcx__thread *t = gcx__thread_current;
  long result = syscall(SYS_sigaltstack, ss, ret_old);
  bool has;

  if (result != 0 || ss == NULL || t == NULL)
    return (int)result;
  has = (ss->ss_flags & SS_DISABLE) == 0;
  t->altstack_low = has ? (uintptr_t)ss->ss_sp : 0;
  t->altstack_high = has ? (uintptr_t)ss->ss_sp + ss->ss_size : 0;
  if (interpose_ready && t->stack_high != 0 && !t->is_marker)
    interpose_tell_altstack(t);
  return 0;
}

/* ---- threads: entering and leaving the collector */

static void interpose_register(struct gcx__thread *t)
{
  if (t->stack_high == 0)
    t->stack_high = (uintptr_t)__builtin_frame_address(0);
  if (gcx__bdw_thread_register((void *)t->stack_high))
    t->registered_by_gcx = true;
  t->bdw_entry = gcx__bdw_thread_entry();
  t->scanned = true;
}

/* Main is taken back, too, if it ever gets so far: it then ends before the
 * process does, and would be sent signals that it can't answer. */
static void interpose_enter(struct gcx__thread *t)
{
  if (t->is_marker)
    return;
  interpose_unblock_signals();
  if (!t->start_is_bdwgc) {
    interpose_register(t);
    if (t->altstack_low != 0)
      interpose_tell_altstack(t);
  }
  t->scanned = true;
  if (t->is_main)
    t->registered_by_gcx = true;
  if (interpose_more != NULL && interpose_more->enter != NULL)
    interpose_more->enter(t);
}

/* The program may have unregistered it: doing that twice crashes. */
static void interpose_leave(struct gcx__thread *t)
{
  if (t->is_marker)
    return;
  if (interpose_more != NULL && interpose_more->leave != NULL)
    interpose_more->leave(t);
  gcx__bdw_clear_stack();
  t->bdw_entry = NULL;
  if (t->registered_by_gcx) {
    (void)gcx__bdw_thread_register((void *)t->stack_high);
    gcx__bdw_thread_unregister();
  }
  t->registered_by_gcx = false;
  t->scanned = false;
}

/* ---- threads: starting */

/* Hands the argument to the thread's function and to nobody else: what only it
 * holds must not stay reachable from our frame. */
static void *interpose_take_argument(struct gcx__thread *t)
{
  void *argument = t->start_argument;

  t->start_argument = NULL;
  return argument;
}

/* The thread's function was left: by return, pthread_exit() or cancellation; by an
 * asynchronous one also out of bdwgc's handler of the signal that stops threads, in
 * which that signal is blocked. */
static void interpose_after_function(void *arg)
{
  struct gcx__thread *t = arg;

  if (t != gcx__thread_current || t->is_marker)
    return;
  interpose_unblock_signals();
  interpose_register(t);
}

static GCX_OUTERMOST void *interpose_run(void *arg)
{
  struct gcx__thread *t = arg;
  interpose_thread_fn fn = (interpose_thread_fn)t->start;
  void *result;

  gcx__thread_begin(t);
  pthread_cleanup_push(interpose_after_function, t);
  result = fn(interpose_take_argument(t));
  pthread_cleanup_pop(1);
  return result;
}

static GCX_OUTERMOST int interpose_run_c11(void *arg)
{
  struct gcx__thread *t = arg;
  thrd_start_t fn = (thrd_start_t)t->start;
  int result;

  gcx__thread_begin(t);
  pthread_cleanup_push(interpose_after_function, t);
  result = fn(interpose_take_argument(t));
  pthread_cleanup_pop(1);
  return result;
}

/* Who asks for a thread? */
enum interpose_caller {
  INTERPOSE_PROGRAM,
  INTERPOSE_COLLECTOR, /* GC_pthread_create() */
  INTERPOSE_MARKER
};

static enum interpose_caller interpose_who(uintptr_t caller, const void *arg)
{
  if (gcx__bdw_is_starting())
    return INTERPOSE_MARKER;
  if (!gcx__bdw_is_own_code(caller))
    return INTERPOSE_PROGRAM;
  return (uintptr_t)arg < INTERPOSE_MARKERS_MAX ? INTERPOSE_MARKER
                                                : INTERPOSE_COLLECTOR;
}

/* Before gcx has started only markers are listed; the program's other threads
 * then enter at their first call into gcx. */
static bool interpose_wants(enum interpose_caller who)
{
  if (!interpose_ready && who == INTERPOSE_PROGRAM &&
      interpose_start_gcx != NULL)
    interpose_start_gcx();
  return interpose_ready || who == INTERPOSE_MARKER;
}

/* A stack that the program made itself may hold anything afterwards. */
static bool interpose_own_stack(const pthread_attr_t *attributes)
{
  void *low;
  size_t bytes;

  return attributes != NULL &&
         pthread_attr_getstack(attributes, &low, &bytes) == 0 &&
         (uintptr_t)low + bytes != 0;
}

INTERPOSE_EXPORT int pthread_create(pthread_t *id,
                                    const pthread_attr_t *attributes,
                                    interpose_thread_fn fn, void *arg)
{
  enum interpose_caller who = interpose_who(INTERPOSE_CALLER, arg);
  struct gcx__thread *t;
  int result;

  if (!interpose_wants(who))
    return INTERPOSE_REAL(pthread_create)(id, attributes, fn, arg);
  t = gcx__thread_prepare((void (*)(void))fn, arg);
  if (t == NULL)
    return EAGAIN;
  t->start_is_bdwgc = who == INTERPOSE_COLLECTOR;
  t->is_marker = who == INTERPOSE_MARKER;
  t->own_stack = interpose_own_stack(attributes);
  result = INTERPOSE_REAL(pthread_create)(id, attributes, interpose_run, t);
  if (result != 0)
    gcx__thread_cancel(t);
  return result;
}

INTERPOSE_EXPORT int thrd_create(thrd_t *id, thrd_start_t fn, void *arg)
{
  struct gcx__thread *t;
  int result;

  if (!interpose_wants(INTERPOSE_PROGRAM))
    return INTERPOSE_REAL(thrd_create)(id, fn, arg);
  t = gcx__thread_prepare((void (*)(void))fn, arg);
  if (t == NULL)
    return thrd_nomem;
  result = INTERPOSE_REAL(thrd_create)(id, interpose_run_c11, t);
  if (result != thrd_success)
    gcx__thread_cancel(t);
  return result;
}

/* ---- mappings */

static void *interpose_map(uintptr_t caller, void *start, size_t bytes,
                           int protection, int flags, int fd, off_t offset)
{
  long at = syscall(SYS_mmap, start, bytes, protection, flags, fd, offset);

  if (at == -1)
    return MAP_FAILED;
  if (gcx__bdw_is_own_code(caller))
    gcx__roots_note_bdw_mapping((uintptr_t)at, (uintptr_t)at + bytes);
  return (void *)at;
}

INTERPOSE_EXPORT void *mmap(void *start, size_t bytes, int protection,
                            int flags, int fd, off_t offset)
{
  return interpose_map(INTERPOSE_CALLER, start, bytes, protection, flags, fd,
                       offset);
}

INTERPOSE_EXPORT void *mmap64(void *start, size_t bytes, int protection,
                              int flags, int fd, off64_t offset)
{
  return interpose_map(INTERPOSE_CALLER, start, bytes, protection, flags, fd,
                       offset);
}

/* ---- unloading */

static void interpose_retire(const struct gcx__module *m, void *unused)
{
  (void)unused;
  gcx__depot_retire(m->low, m->high);
}

void gcx__interpose_after_unload(void)
{
  uint32_t seen, now;

  if (!interpose_ready)
    return;
  (void)gcx__modules_refresh();
  now = gcx__modules_epoch();
  seen = __atomic_exchange_n(&interpose_epoch, now, __ATOMIC_ACQ_REL);
  if (seen == now)
    return;
  gcx__modules_unloaded(seen, interpose_retire, NULL);
  gcx__trace_flush();
}

/* What goes may never have been listed: a report may need its name. */
INTERPOSE_EXPORT int dlclose(void *handle)
{
  int result;

  if (interpose_ready)
    (void)gcx__modules_refresh();
  result = INTERPOSE_REAL(dlclose)(handle);
  gcx__interpose_after_unload();
  return result;
}

/* ---- start */

/* The first definition in the process is ours, or somebody's who calls ours, as
 * AddressSanitizer's does; if it is the C library's, nobody calls ours. */
const char *gcx__interpose_obstacle(void)
{
  void *first = dlsym(RTLD_DEFAULT, "pthread_create");
  void *real = NULL;

  memcpy(&real, &INTERPOSE_REAL(pthread_create), sizeof(real));
  return first != real ? NULL
                       : "libgcx was loaded behind the C library and does not "
                         "see threads begin (link the program itself with it, "
                         "or preload it)";
}

void gcx__interpose_set_start(void (*start)(void))
{
  interpose_start_gcx = start;
}

void gcx__interpose_init(const struct gcx__thread_hooks *more)
{
  static const struct gcx__thread_hooks hooks = { .enter = interpose_enter,
                                                  .leave = interpose_leave,
                                                  .alone = gcx__bdw_with_lock };

  interpose_more = more;
  interpose_epoch = gcx__modules_epoch();
  gcx__thread_init(&hooks);
  (void)gcx__thread_self();
  __atomic_store_n(&interpose_ready, true, __ATOMIC_RELEASE);
}
