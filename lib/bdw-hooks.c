/* SPDX-License-Identifier: MIT */
/*
 * bdw-hooks.c - bdwgc's hooks: what a collection tells gcx, and in which order
 *
 * A collection, as 8.2 runs it, and what becomes of it here. All of it happens
 * under the collector's lock, so the statics below need no lock of their own.
 *
 *   toggle callbacks      world running  bdw_on_toggle   -> toggle_strong
 *   PRE_STOP_WORLD        world running  bdw_on_event    -> before_stop
 *   THREAD_SUSPENDED      stopping       bdw_on_thread   -> thread_suspended
 *   POST_STOP_WORLD       stopped        bdw_on_event
 *   push_other_roots      stopped        bdw_on_push     -> push_roots
 *   MARK_END              stopped        bdw_on_event    -> mark_end
 *   PRE_START_WORLD       stopped        bdw_on_event
 *   await-finalize        world running  bdw_on_await    -> foreign_finalizer
 *   RECLAIM_END           world running  bdw_on_event    -> reclaim_end
 *
 * In incremental mode bdwgc also pushes roots with the world running, to get
 * ahead; and a stop may be abandoned for lack of time (PRE_START_WORLD without
 * MARK_END). Each stop starts from the roots again, so the last one, which ends
 * in MARK_END, always has them pushed, unless the program took our hook away:
 * that is what bdw_pushed is for. Roots are pushed more than once in a stop if
 * bdwgc's mark stack overflows. START and END are not sent for automatic
 * incremental collections: nothing relies on them.
 *
 * Every hook chains what was installed before it. A program may install its own
 * over ours later, and may or may not chain ours in turn; gcx__bdw_check_hooks()
 * then puts ours in front again. If the program's does chain ours, ours runs
 * twice in one event: bdw_depth tells the inner call, which passes on to what
 * preceded it and does nothing else.
 */
#include "bdw-gc.h"

#include <unistd.h>

#include "thread.h"
#include "platform.h"

/* Times that a program may install a hook of its own over ours. */
#define BDW_CHAIN_MAX 8

static const struct gcx__bdw_hooks *bdw_hooks;
static uint64_t bdw_first_collection; /* GC_get_gc_no() when hooks went in */
static uint64_t bdw_seen;
static uint64_t bdw_pushed_until; /* collections; see gcx__bdw_all_pushed() */
static uint32_t bdw_stops;        /* begun */
static uint32_t bdw_stops_ended;  /* the same when threads are let go */
static bool bdw_stopped;
static bool bdw_pushed;    /* in the present stop */
static bool bdw_suspended; /* threads were, and have not been resumed */

/* Chains: what was installed before us, oldest first. */
struct bdw_chain {
  unsigned length;
  unsigned depth; /* calls of ours that are active */
};
static struct bdw_chain bdw_event_chain, bdw_push_chain, bdw_await_chain,
    bdw_toggle_chain, bdw_thread_chain;
static GC_on_collection_event_proc bdw_event_old[BDW_CHAIN_MAX];
static GC_push_other_roots_proc bdw_push_old[BDW_CHAIN_MAX];
static GC_await_finalize_proc bdw_await_old[BDW_CHAIN_MAX];
static GC_toggleref_func bdw_toggle_old[BDW_CHAIN_MAX];
static GC_on_thread_event_proc bdw_thread_old[BDW_CHAIN_MAX];

/* Which of the older hooks the present call passes on to; -1: none. */
static int bdw_chain_enter(struct bdw_chain *chain)
{
  return (int)chain->length - 1 - (int)chain->depth++;
}

static bool bdw_chain_leave(struct bdw_chain *chain)
{
  return --chain->depth == 0;
}

/* ---- hooks */

/* The collecting thread may have said from where on its stack counts (roots.c
 * pushes that part). The frames from there to here are gcx's and bdwgc's own, in
 * which addresses of blocks lie about, the same as those of their first objects:
 * bdwgc is told, until marking is over, that the stack ends here. */
static bool bdw_cut;

static void bdw_cut_stack(void *here)
{
  struct gcx__thread *t = gcx__thread_current;

  if (t != NULL && t->scan_from != 0)
    (void)gcx__bdw_end_stack(t, (uintptr_t)here);
}

/* NULL is the calling thread: that one needs no entry of bdwgc's. */
bool gcx__bdw_end_stack(struct gcx__thread *t, uintptr_t end)
{
  struct GC_stack_base base = { .mem_base = (void *)end };

  if (!bdw_stopped || (t != gcx__thread_current && t->bdw_entry == NULL))
    return false;
  GC_set_stackbottom(t == gcx__thread_current ? NULL : t->bdw_entry, &base);
  t->stack_ended = true;
  bdw_cut = true;
  return true;
}

static void bdw_uncut_stack(struct gcx__thread *t)
{
  struct GC_stack_base base = { .mem_base = (void *)t->stack_high };

  t->stack_ended = false;
  if (t == gcx__thread_current || t->bdw_entry != NULL)
    GC_set_stackbottom(t == gcx__thread_current ? NULL : t->bdw_entry, &base);
}

static void bdw_uncut_stacks(void)
{
  struct gcx__thread *t;

  if (!bdw_cut)
    return;
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    if (t->stack_ended)
      bdw_uncut_stack(t);
  bdw_cut = false;
}

bool gcx__bdw_is_stopping(void)
{
  return __atomic_load_n(&bdw_stops, __ATOMIC_ACQUIRE) !=
         __atomic_load_n(&bdw_stops_ended, __ATOMIC_ACQUIRE);
}

uint32_t gcx__bdw_stops(void)
{
  return __atomic_load_n(&bdw_stops, __ATOMIC_ACQUIRE);
}

/* Of the stop that is on, and of all before it. */
static uint64_t bdw_pause_begin;
static struct gcx__bdw_pauses bdw_pauses;

static void bdw_pause_end(void)
{
  uint64_t ns = gcx__now_ns() - bdw_pause_begin;

  bdw_pauses.count++;
  bdw_pauses.total_ns += ns;
  bdw_pauses.max_ns = GCX_MAX(bdw_pauses.max_ns, ns);
  bdw_pauses.last_ns = ns;
}

static void *bdw_copy_pauses(void *arg)
{
  *(struct gcx__bdw_pauses *)arg = bdw_pauses;
  return NULL;
}

void gcx__bdw_read_pauses(struct gcx__bdw_pauses *ret_pauses)
{
  (void)GC_call_with_alloc_lock(bdw_copy_pauses, ret_pauses);
}

static void bdw_own_event(GC_EventType event)
{
  switch (event) {
  case GC_EVENT_PRE_STOP_WORLD:
    bdw_hooks->before_stop();
    bdw_pause_begin = gcx__now_ns();
    __atomic_fetch_add(&bdw_stops, 1, __ATOMIC_RELEASE);
    break;
  case GC_EVENT_POST_STOP_WORLD:
    bdw_stopped = true;
    bdw_pushed = false;
    break;
  case GC_EVENT_MARK_END:
    bdw_seen++;
    bdw_hooks->mark_end(bdw_pushed);
    bdw_pushed_until = gcx__bdw_collections();
    break;
  case GC_EVENT_PRE_START_WORLD:
    __atomic_store_n(&bdw_stops_ended, bdw_stops, __ATOMIC_RELEASE);
    bdw_uncut_stacks();
    bdw_stopped = false;
    break;
  case GC_EVENT_POST_START_WORLD:
    bdw_pause_end();
    break;
  case GC_EVENT_RECLAIM_END:
    bdw_hooks->reclaim_end();
    break;
  default:
    break;
  }
}

static void GC_CALLBACK bdw_on_event(GC_EventType event)
{
  int i = bdw_chain_enter(&bdw_event_chain);

  if (i >= 0 && bdw_event_old[i] != NULL)
    bdw_event_old[i](event);
  if (bdw_chain_leave(&bdw_event_chain))
    bdw_own_event(event);
}

/* Without the hook that says so: does the world stand still? Not in incremental mode,
 * or bdwgc would not push; else if threads have been suspended. A program with one
 * thread is not recognised then. */
static bool bdw_stands_still(void)
{
  return !gcx__bdw_is_incremental() || bdw_suspended;
}

/* The number of collections grows when this one has marked. */
static void bdw_push_unseen(void)
{
  uint64_t number = gcx__bdw_collections();

  if (bdw_hooks->push_roots_unseen() && bdw_pushed_until >= number)
    bdw_pushed_until = number + 1;
}

/* Ours are pushed first: that takes one entry of bdwgc's mark stack, which
 * aborts if there is none left, and the older hook pushes all thread stacks. */
static void GC_CALLBACK bdw_on_push(void)
{
  int i = bdw_chain_enter(&bdw_push_chain);

  if (bdw_push_chain.depth == 1 && bdw_stopped) {
    bdw_pushed = true;
    bdw_cut_stack(__builtin_frame_address(0));
    bdw_hooks->push_roots();
  } else if (bdw_push_chain.depth == 1 &&
             bdw_hooks->push_roots_unseen != NULL && bdw_stands_still()) {
    /* The program has taken that hook: its objects must not be collected for it. */
    bdw_push_unseen();
  }
  if (i >= 0 && bdw_push_old[i] != NULL)
    bdw_push_old[i]();
  (void)bdw_chain_leave(&bdw_push_chain);
}

static void GC_CALLBACK bdw_on_await(void *object)
{
  int i = bdw_chain_enter(&bdw_await_chain);

  if (i >= 0 && bdw_await_old[i] != NULL)
    bdw_await_old[i](object);
  if (bdw_chain_leave(&bdw_await_chain))
    bdw_hooks->foreign_finalizer(object);
}

/* With no function of the program's behind ours, GC_toggleref_add() is meant to
 * do nothing: what it adds is dropped. */
static GC_ToggleRefStatus GC_CALLBACK bdw_on_toggle(void *object)
{
  int i = bdw_chain_enter(&bdw_toggle_chain);
  GC_ToggleRefStatus status = GC_TOGGLE_REF_DROP;

  if (i >= 0 && bdw_toggle_old[i] != NULL)
    status = bdw_toggle_old[i](object);
  if (bdw_chain_leave(&bdw_toggle_chain) && status == GC_TOGGLE_REF_STRONG)
    bdw_hooks->toggle_strong(object);
  return status;
}

static void GC_CALLBACK bdw_on_thread(GC_EventType event, void *id)
{
  int i = bdw_chain_enter(&bdw_thread_chain);

  if (i >= 0 && bdw_thread_old[i] != NULL)
    bdw_thread_old[i](event, id);
  if (!bdw_chain_leave(&bdw_thread_chain))
    return;
  bdw_suspended = event == GC_EVENT_THREAD_SUSPENDED;
  if (bdw_suspended && bdw_hooks->thread_suspended != NULL)
    bdw_hooks->thread_suspended((pthread_t)id);
}

/* For each kind of hook: is ours the one that is called? If not, what is there
 * goes on the chain and ours in front of it. None there: nobody can pass on to
 * what was on the chain any more. The getters and setters take the
 * collector's lock one by one; a hook that the program sets in between is found
 * the next time. */
#define BDW_INSTALL(name, type, getter, setter, hook)                       \
  static bool bdw_install_##name(void)                                      \
  {                                                                         \
    struct bdw_chain *chain = &bdw_##name##_chain;                          \
    type now = getter();                                                    \
    if (now == (hook))                                                      \
      return true;                                                          \
    if (now == NULL)                                                        \
      chain->length = 0;                                                    \
    if (chain->length == 0 || bdw_##name##_old[chain->length - 1] != now) { \
      if (chain->length == BDW_CHAIN_MAX)                                   \
        return false;                                                       \
      bdw_##name##_old[chain->length++] = now;                              \
    }                                                                       \
    setter(hook);                                                           \
    return false;                                                           \
  }

BDW_INSTALL(event, GC_on_collection_event_proc, GC_get_on_collection_event,
            GC_set_on_collection_event, bdw_on_event)
BDW_INSTALL(push, GC_push_other_roots_proc, GC_get_push_other_roots,
            GC_set_push_other_roots, bdw_on_push)
BDW_INSTALL(await, GC_await_finalize_proc, GC_get_await_finalize_proc,
            GC_set_await_finalize_proc, bdw_on_await)
BDW_INSTALL(toggle, GC_toggleref_func, GC_get_toggleref_func,
            GC_set_toggleref_func, bdw_on_toggle)
BDW_INSTALL(thread, GC_on_thread_event_proc, GC_get_on_thread_event,
            GC_set_on_thread_event, bdw_on_thread)

/* Two threads must not extend a chain at once: who finds another at it leaves it
 * to that one. The owner is noted as a process, for the child of a fork. */
static pid_t bdw_installing;

static bool bdw_install_all(void)
{
  pid_t self = getpid();
  bool intact;

  if (__atomic_exchange_n(&bdw_installing, self, __ATOMIC_ACQUIRE) == self)
    return true;
  intact = bdw_install_push();
  intact = bdw_install_await() && intact;
  intact = bdw_install_toggle() && intact;
  intact = bdw_install_thread() && intact;
  intact = bdw_install_event() && intact;
  __atomic_store_n(&bdw_installing, 0, __ATOMIC_RELEASE);
  return intact;
}

bool gcx__bdw_check_hooks(void)
{
  return bdw_install_all();
}

static void *bdw_note_first(void *unused)
{
  bdw_first_collection = GC_get_gc_no();
  bdw_seen = bdw_pushed_until = 0;
  return unused;
}

void gcx__bdw_hooks_begin(const struct gcx__bdw_hooks *hooks)
{
  GCX_ASSERT(hooks != NULL && bdw_hooks == NULL);
  bdw_hooks = hooks;
  (void)bdw_install_all();
  (void)GC_call_with_alloc_lock(bdw_note_first, NULL);
}

bool gcx__bdw_hooks_exhausted(void)
{
  return bdw_event_chain.length == BDW_CHAIN_MAX ||
         bdw_push_chain.length == BDW_CHAIN_MAX ||
         bdw_await_chain.length == BDW_CHAIN_MAX ||
         bdw_toggle_chain.length == BDW_CHAIN_MAX;
}

/* ---- what was seen */

uint64_t gcx__bdw_collections(void)
{
  return GC_get_gc_no() - bdw_first_collection;
}

uint64_t gcx__bdw_collections_seen(void)
{
  return __atomic_load_n(&bdw_seen, __ATOMIC_RELAXED);
}

bool gcx__bdw_all_pushed(void)
{
  return bdw_pushed_until + 1 >= gcx__bdw_collections();
}

void gcx__bdw_resync(void)
{
  __atomic_store_n(&bdw_seen, gcx__bdw_collections(), __ATOMIC_RELAXED);
}

void gcx__bdw_push(const void *low, const void *high)
{
  GCX_ASSERT(bdw_push_chain.depth > 0);
  GC_push_all((void *)(uintptr_t)low, (void *)(uintptr_t)high);
}
