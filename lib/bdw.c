/* SPDX-License-Identifier: MIT */
/*
 * bdw.c - the one file that talks to bdwgc
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
#include "bdw.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>

#include "platform.h"
#include "thread.h"

/* Times that a program may install a hook of its own over ours. */
#define BDW_CHAIN_MAX 8

/* What the heap starts with, unless GC_INITIAL_HEAP_SIZE asks otherwise: saves
 * small programs a collection for each 64 KiB. Untouched pages cost nothing. */
#define BDW_INITIAL_BYTES ((size_t)8 << 20)

#define BDW_MEMBER_BYTES 16384 /* more than one member of libgc.a has */

#define BDW_CLEAR_BYTES ((size_t)64 << 10)
#define BDW_CLEAR_MARGIN \
  ((size_t)16 << 10) /* left alone above the stack's end */

/* Exported by every libgc of Debian; a build that hides them leaves us with
 * bounds that exclude nothing. */
extern void *GC_least_plausible_heap_addr __attribute__((weak));
extern void *GC_greatest_plausible_heap_addr __attribute__((weak));

static const struct gcx__bdw_hooks *bdw_hooks;
static uint64_t bdw_first_collection; /* GC_get_gc_no() when hooks went in */
static uint64_t bdw_seen;
static uint32_t bdw_starter; /* who is in gcx__bdw_init() */
static bool bdw_stopped;
static bool bdw_pushed; /* in the present stop */

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

static uintptr_t bdw_text_low, bdw_text_high;

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
  struct GC_stack_base base = { .mem_base = here };

  if (gcx__thread_current == NULL || gcx__thread_current->scan_from == 0)
    return;
  GC_set_stackbottom(NULL, &base);
  bdw_cut = true;
}

static void bdw_uncut_stack(void)
{
  struct GC_stack_base base = { .mem_base = NULL };

  if (!bdw_cut)
    return;
  base.mem_base = (void *)gcx__thread_current->stack_high;
  GC_set_stackbottom(NULL, &base);
  bdw_cut = false;
}

static void bdw_own_event(GC_EventType event)
{
  switch (event) {
  case GC_EVENT_PRE_STOP_WORLD:
    bdw_hooks->before_stop();
    break;
  case GC_EVENT_POST_STOP_WORLD:
    bdw_stopped = true;
    bdw_pushed = false;
    break;
  case GC_EVENT_MARK_END:
    bdw_seen++;
    bdw_hooks->mark_end(bdw_pushed);
    break;
  case GC_EVENT_PRE_START_WORLD:
    bdw_uncut_stack();
    bdw_stopped = false;
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

/* Ours are pushed first: that takes one entry of bdwgc's mark stack, which
 * aborts if there is none left, and the older hook pushes all thread stacks. */
static void GC_CALLBACK bdw_on_push(void)
{
  int i = bdw_chain_enter(&bdw_push_chain);

  if (bdw_push_chain.depth == 1 && bdw_stopped) {
    bdw_pushed = true;
    bdw_cut_stack(__builtin_frame_address(0));
    bdw_hooks->push_roots();
  } else if (bdw_push_chain.depth == 1 && !gcx__bdw_is_incremental() &&
             bdw_hooks->push_roots_unseen != NULL) {
    /* The world is stopped, or bdwgc would not push; the program has taken the
     * hook that says so. Its objects must not be collected for that. */
    bdw_hooks->push_roots_unseen();
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
  if (bdw_chain_leave(&bdw_thread_chain) &&
      event == GC_EVENT_THREAD_SUSPENDED && bdw_hooks->thread_suspended != NULL)
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

/* ---- start */

/* bdwgc takes the thread that initialises it for the main one, whose stack it
 * thinks it knows. */
static void bdw_start_collector(void)
{
  struct gcx__thread *self = gcx__thread_self();

  if (GC_is_init_called())
    return;
  GC_set_all_interior_pointers(1);
  if (self != NULL && !self->is_main && self->stack_high != 0) {
    struct GC_stack_base base = { .mem_base = (void *)self->stack_high };
    GC_set_stackbottom(NULL, &base);
  }
  GC_INIT();
}

/* Bounds of the section gcx_own (base.h), by the linker; one word at least. */
extern char __start_gcx_own[], __stop_gcx_own[];

static void bdw_exclude_own(void)
{
  GC_exclude_static_roots(__start_gcx_own, __stop_gcx_own);
}

static void bdw_expand(void)
{
  const char *wanted = gcx__getenv("GC_INITIAL_HEAP_SIZE");
  size_t have = GC_get_heap_size();

  if (wanted == NULL && have < BDW_INITIAL_BYTES && !GC_get_dont_expand())
    (void)GC_expand_hp(BDW_INITIAL_BYTES - have);
}

static void *bdw_note_first(void *unused)
{
  bdw_first_collection = GC_get_gc_no();
  bdw_seen = 0;
  return unused;
}

void gcx__bdw_init(const struct gcx__bdw_hooks *hooks)
{
  GCX_ASSERT(hooks != NULL && bdw_hooks == NULL);
  bdw_hooks = hooks;
  __atomic_store_n(&bdw_starter, gcx__tid(), __ATOMIC_RELAXED);
  bdw_start_collector();
  GC_allow_register_threads();
  bdw_exclude_own();
  bdw_expand();
  (void)bdw_install_all();
  (void)GC_call_with_alloc_lock(bdw_note_first, NULL);
  __atomic_store_n(&bdw_starter, 0, __ATOMIC_RELAXED);
}

bool gcx__bdw_is_starting(void)
{
  uint32_t starter = __atomic_load_n(&bdw_starter, __ATOMIC_RELAXED);

  return starter != 0 && starter == gcx__tid();
}

const char *gcx__bdw_obstacle(void)
{
  if (GC_get_find_leak() != 0)
    return "bdwgc is in find-leak mode (GC_FIND_LEAK or GC_set_find_leak)";
  if (GC_is_disabled() != 0)
    return "collection is disabled (GC_DONT_GC or GC_disable)";
  if (GC_get_all_interior_pointers() == 0)
    return "bdwgc does not recognise interior pointers "
           "(GC_set_all_interior_pointers(0))";
  if (bdw_event_chain.length == BDW_CHAIN_MAX ||
      bdw_push_chain.length == BDW_CHAIN_MAX ||
      bdw_await_chain.length == BDW_CHAIN_MAX ||
      bdw_toggle_chain.length == BDW_CHAIN_MAX)
    return "the program keeps replacing the collector's hooks";
  return NULL;
}

/* ---- allocation */

void gcx__bdw_alloc_many(size_t bytes, enum gcx__kind kind, void **ret_list)
{
  GCX_ASSERT_DEBUG(bytes != 0 && bytes % 16 == 0);
  GCX_ASSERT_DEBUG(bytes <= GCX__BDW_MANY_MAX);
  GC_generic_malloc_many(bytes, (int)kind, ret_list);
}

/* bdwgc adds a byte for a pointer one past the end; the trailer serves. */
void *gcx__bdw_alloc(size_t bytes, enum gcx__kind kind)
{
  size_t extra = GC_get_all_interior_pointers() != 0 ? 1 : 0;
  void **cell;

  cell = GC_malloc_kind(GCX_MAX(bytes, sizeof(void *)) - extra, (int)kind);
  if (cell != NULL)
    *cell = NULL;
  return cell;
}

void gcx__bdw_free(void *base)
{
  GC_free(base);
}

/* ---- questions */

void *gcx__bdw_base(const void *p)
{
  return GC_base((void *)(uintptr_t)p);
}

size_t gcx__bdw_cell_bytes(const void *base)
{
  return GC_size(base);
}

size_t gcx__bdw_scan_bytes(const void *base)
{
  size_t bytes;
  int kind = GC_get_kind_and_size(base, &bytes);

  /* 3: the same, uncollectable */
  return kind == GC_I_PTRFREE || kind == 3 ? 0 : bytes;
}

bool gcx__bdw_is_atomic(const void *base)
{
  return gcx__bdw_scan_bytes(base) == 0;
}

bool gcx__bdw_is_marked(const void *base)
{
  return GC_is_marked(base) != 0;
}

/* No branch on what is marked: in most heaps it can't be foreseen. */
size_t gcx__bdw_unmarked(const uintptr_t *hidden, size_t n, uint32_t first,
                         uint32_t *ret_found)
{
  size_t found = 0;

  for (size_t i = 0; i < n; i++) {
    if (hidden[i] == 0)
      continue;
    ret_found[found] = first + (uint32_t)i;
    found += GC_is_marked(GCX_REVEAL(hidden[i])) == 0;
  }
  return found;
}

void gcx__bdw_set_mark(const void *base)
{
  GC_set_mark_bit(base);
}

void gcx__bdw_heap_bounds(uintptr_t *ret_low, uintptr_t *ret_high)
{
  bool known = &GC_least_plausible_heap_addr != NULL &&
               &GC_greatest_plausible_heap_addr != NULL;

  *ret_low = known ? (uintptr_t)GC_least_plausible_heap_addr : 1;
  *ret_high =
      known ? (uintptr_t)GC_greatest_plausible_heap_addr + 1 : UINTPTR_MAX;
}

uint64_t gcx__bdw_collections(void)
{
  return GC_get_gc_no() - bdw_first_collection;
}

uint64_t gcx__bdw_collections_seen(void)
{
  return __atomic_load_n(&bdw_seen, __ATOMIC_RELAXED);
}

void gcx__bdw_resync(void)
{
  __atomic_store_n(&bdw_seen, gcx__bdw_collections(), __ATOMIC_RELAXED);
}

bool gcx__bdw_is_incremental(void)
{
  return GC_is_incremental_mode() != 0;
}

/* GC_get_heap_size() takes the lock, which before_stop already holds. */
size_t gcx__bdw_heap_bytes(void)
{
  struct GC_prof_stats_s stats = { 0 };

  (void)GC_get_prof_stats_unsafe(&stats, sizeof stats);
  return stats.heapsize_full;
}

void gcx__bdw_push(const void *low, const void *high)
{
  GCX_ASSERT(bdw_push_chain.depth > 0);
  GC_push_all((void *)(uintptr_t)low, (void *)(uintptr_t)high);
}

/* ---- control */

void gcx__bdw_collect(void)
{
  GC_gcollect();
}

void gcx__bdw_collect_if_idle(void)
{
  if (GC_get_bytes_since_gc() != 0)
    GC_gcollect();
}

void *gcx__bdw_with_lock(void *(*fn)(void *), void *arg)
{
  return GC_call_with_alloc_lock(fn, arg);
}

void *gcx__bdw_blocking(void *(*fn)(void *), void *arg)
{
  return gcx__bdw_thread_is_registered() ? GC_do_blocking(fn, arg) : fn(arg);
}

bool gcx__bdw_thread_register(void *stack_base)
{
  struct GC_stack_base base = { .mem_base = stack_base };

  return GC_register_my_thread(&base) == GC_SUCCESS;
}

void gcx__bdw_thread_unregister(void)
{
  (void)GC_unregister_my_thread();
}

bool gcx__bdw_thread_is_registered(void)
{
  return GC_thread_is_registered() != 0;
}

void gcx__bdw_set_stack_bottom(void *bottom)
{
  struct GC_stack_base base = { .mem_base = bottom };

  GC_set_stackbottom(NULL, &base);
}

void gcx__bdw_altstack(void *stack, size_t stack_bytes, void *alt,
                       size_t alt_bytes)
{
  GC_register_altstack(stack, stack_bytes, alt, alt_bytes);
}

/* In a function of its own, so that what it wipes lies below its caller. */
static GCX_NOINLINE void bdw_wipe_below(size_t bytes)
{
  char *dead = __builtin_alloca(bytes);

  memset(dead, 0, bytes);
  GCX_KEEP(dead);
}

GCX_NOINLINE void gcx__bdw_clear_stack(void)
{
  const struct gcx__thread *t = gcx__thread_current;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  size_t bytes = BDW_CLEAR_MARGIN;

  if (t != NULL && t->stack_low < here && here < t->stack_high) {
    size_t room = here - t->stack_low;
    bytes = room <= BDW_CLEAR_MARGIN
                ? 0
                : GCX_MIN(room - BDW_CLEAR_MARGIN, BDW_CLEAR_BYTES);
  }
  if (bytes != 0)
    bdw_wipe_below(bytes);
  __asm__ volatile("" : : : "memory"); /* no tail call */
}

void gcx__bdw_signals(int *ret_suspend, int *ret_restart)
{
  *ret_suspend = GCX_MAX(GC_get_suspend_signal(), 0);
  *ret_restart = GCX_MAX(GC_get_thr_restart_signal(), 0);
}

/* Prepare handlers run last registered first: bdwgc's, which takes its lock and
 * finishes an incremental collection, must be in place before ours. */
void gcx__bdw_atfork_order(void)
{
  GCX_ASSERT(GC_is_init_called());
}

/* ---- who is calling? */

/* libgc linked into the same object as gcx: its members lie together, and these
 * functions come from as many of them as may call mmap or pthread_create. */
static void bdw_static_bounds(void)
{
  const uintptr_t known[] = {
    (uintptr_t)GC_gcollect,
    (uintptr_t)GC_expand_hp,
    (uintptr_t)GC_base,
    (uintptr_t)GC_push_all,
    (uintptr_t)GC_malloc,
    (uintptr_t)GC_init,
    (uintptr_t)GC_register_my_thread,
    (uintptr_t)GC_set_push_other_roots,
    (uintptr_t)GC_invoke_finalizers,
    (uintptr_t)GC_generic_malloc_many,
  };
  uintptr_t low = UINTPTR_MAX, high = 0;

  for (size_t i = 0; i < GCX_ARRAY_LENGTH(known); i++) {
    low = GCX_MIN(low, known[i]);
    high = GCX_MAX(high, known[i]);
  }
  bdw_text_low = low;
  __atomic_store_n(&bdw_text_high, high + BDW_MEMBER_BYTES, __ATOMIC_RELEASE);
}

/* Takes no lock: it runs inside mmap, called from anywhere. */
static void bdw_find_text(void)
{
  struct dl_find_object libgc, own;

  if (_dl_find_object((void *)(uintptr_t)GC_gcollect, &libgc) != 0 ||
      _dl_find_object((void *)(uintptr_t)bdw_find_text, &own) != 0 ||
      libgc.dlfo_map_start == own.dlfo_map_start) {
    bdw_static_bounds();
    return;
  }
  bdw_text_low = (uintptr_t)libgc.dlfo_map_start;
  __atomic_store_n(&bdw_text_high, (uintptr_t)libgc.dlfo_map_end,
                   __ATOMIC_RELEASE);
}

bool gcx__bdw_is_own_code(uintptr_t pc)
{
  if (GCX_UNLIKELY(__atomic_load_n(&bdw_text_high, __ATOMIC_ACQUIRE) == 0))
    bdw_find_text();
  return pc >= bdw_text_low && pc < bdw_text_high;
}
