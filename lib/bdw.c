/* SPDX-License-Identifier: MIT */
/*
 * bdw.c - every call into bdwgc: start, allocation, questions, control
 *
 * Its hooks are in bdw-hooks.c, where its code lies in bdw-code.c.
 */
#include "bdw-gc.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "options.h"
#include "platform.h"
#include "thread.h"

/* What the heap starts with, unless GC_INITIAL_HEAP_SIZE asks otherwise: saves
 * small programs a collection for each 64 KiB. Untouched pages cost nothing. */
#define BDW_INITIAL_BYTES ((size_t)8 << 20)

#define BDW_CLEAR_BYTES ((size_t)64 << 10)
#define BDW_PAGE_MIN ((size_t)4 << 10)
#define BDW_CLEAR_MARGIN \
  ((size_t)16 << 10) /* left alone above the stack's end */

/* Exported by every libgc of Debian; a build that hides them leaves us with
 * bounds that exclude nothing. */
extern void *GC_least_plausible_heap_addr __attribute__((weak));
extern void *GC_greatest_plausible_heap_addr __attribute__((weak));

/* The variable behind GC_get_gc_no(), exported as well. */
extern size_t bdw_count __asm__("GC_gc_no") __attribute__((weak));
const size_t gcx__bdw_no_count;
const size_t *gcx__bdw_count_at = &gcx__bdw_no_count;

static uint32_t bdw_starter; /* who is in gcx__bdw_init() */

/* ---- start */

/* bdwgc takes the thread that initialises it for the main one, whose stack it
 * thinks it knows, or reads all mappings to find. */
static void bdw_start_collector(void)
{
  struct gcx__thread *self = gcx__thread_self();

  if (GC_is_init_called())
    return;
  GC_set_all_interior_pointers(1);
  if (self != NULL && self->stack_high != 0) {
    struct GC_stack_base base = { .mem_base = (void *)self->stack_high };
    GC_set_stackbottom(NULL, &base);
  }
  /* What it warns of (no memory, large blocks) is none of the user's business:
   * who allocates learns it from NULL. */
  if (gcx__opt.verbosity == 0)
    GC_set_warn_proc(GC_ignore_warn_proc);
  GC_INIT();
}

/* Bounds of the section gcx_own (base.h), by the linker; one word at least. */
extern char __start_gcx_own[], __stop_gcx_own[];

extern const struct gcx__not_a_root __start_gcx_own_ranges[] GCX_HIDDEN
    __attribute__((weak));
extern const struct gcx__not_a_root __stop_gcx_own_ranges[] GCX_HIDDEN
    __attribute__((weak));

/* Before bdwgc is initialised: it collects then. */
static void bdw_exclude_own(void)
{
  const struct gcx__not_a_root *r = __start_gcx_own_ranges;

  GC_exclude_static_roots(__start_gcx_own, __stop_gcx_own);
  for (; (uintptr_t)r < (uintptr_t)__stop_gcx_own_ranges; r++)
    GC_exclude_static_roots(r->low, r->high);
}

static void bdw_expand(void)
{
  const char *wanted = gcx__getenv("GC_INITIAL_HEAP_SIZE");
  size_t have = GC_get_heap_size();

  if (wanted == NULL && have < BDW_INITIAL_BYTES && !GC_get_dont_expand())
    (void)GC_expand_hp(BDW_INITIAL_BYTES - have);
}

void gcx__bdw_init(const struct gcx__bdw_hooks *hooks)
{
  __atomic_store_n(&bdw_starter, gcx__tid(), __ATOMIC_RELAXED);
  bdw_exclude_own();
  bdw_start_collector();
  GC_allow_register_threads();
  bdw_expand();
  if (&bdw_count != NULL)
    gcx__bdw_count_at = &bdw_count;
  gcx__bdw_hooks_begin(hooks);
  __atomic_store_n(&bdw_starter, 0, __ATOMIC_RELAXED);
}

bool gcx__bdw_has_begun(void)
{
  return GC_is_init_called() != 0;
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
  if (gcx__bdw_hooks_exhausted())
    return "the program keeps replacing the collector's hooks";
  return NULL;
}

/* ---- allocation */

void gcx__bdw_alloc_many(size_t bytes, enum gcx__kind kind, void **ret_list)
{
  GCX_ASSERT_DEBUG(bytes != 0 && bytes % 16 == 0);
  GCX_ASSERT_DEBUG(bytes <= GCX__BDW_MANY_MAX);
  GC_generic_malloc_many(bytes, (int)kind, ret_list);
  if (gcx__bdw_on_alloc != NULL)
    gcx__bdw_on_alloc();
}

/* bdwgc adds a byte for a pointer one past the end; the trailer serves. */
void *gcx__bdw_alloc(size_t bytes, enum gcx__kind kind)
{
  size_t extra = GC_get_all_interior_pointers() != 0 ? 1 : 0;
  void **cell;

  cell = GC_malloc_kind(GCX_MAX(bytes, sizeof(void *)) - extra, (int)kind);
  if (cell != NULL)
    *cell = NULL;
  if (gcx__bdw_on_alloc != NULL)
    gcx__bdw_on_alloc();
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

/* So many complements ahead are fetched. */
#define UNMARKED_AHEAD 64

/* No branch on what is marked: in most heaps it can't be foreseen. After marking,
 * the caches hold other things than records. */
size_t gcx__bdw_unmarked(const uintptr_t *hidden, size_t n, uint32_t first,
                         uint32_t *ret_found)
{
  int (*is_marked)(const void *) = GC_is_marked;
  size_t found = 0;

  __asm__("" : "+r"(is_marked)); /* not by way of a stub each time */
  for (size_t i = 0; i < n; i++) {
    __builtin_prefetch(hidden + i + UNMARKED_AHEAD);
    if (hidden[i] == 0)
      continue;
    ret_found[found] = first + (uint32_t)i;
    found += is_marked(GCX_REVEAL(hidden[i])) == 0;
  }
  return found;
}

void gcx__bdw_set_mark(const void *base)
{
  GC_set_mark_bit(base);
}

struct bdw_each {
  void (*fn)(void *base, void *arg);
  void *arg;
};

static void GC_CALLBACK bdw_each_one(void *base, size_t bytes, void *arg)
{
  const struct bdw_each *each = arg;

  (void)bytes;
  each->fn(base, each->arg);
}

void gcx__bdw_each_marked(void (*fn)(void *base, void *arg), void *arg)
{
  struct bdw_each each = { fn, arg };

  GC_enumerate_reachable_objects_inner(bdw_each_one, &each);
}

void gcx__bdw_heap_bounds(uintptr_t *ret_low, uintptr_t *ret_high)
{
  bool known = &GC_least_plausible_heap_addr != NULL &&
               &GC_greatest_plausible_heap_addr != NULL;

  *ret_low = known ? (uintptr_t)GC_least_plausible_heap_addr : 1;
  *ret_high =
      known ? (uintptr_t)GC_greatest_plausible_heap_addr + 1 : UINTPTR_MAX;
}

bool gcx__bdw_may_hold(const void *p)
{
  if (&GC_least_plausible_heap_addr == NULL ||
      &GC_greatest_plausible_heap_addr == NULL)
    return GC_is_init_called() != 0;
  return (uintptr_t)p >= (uintptr_t)GC_least_plausible_heap_addr &&
         (uintptr_t)p <= (uintptr_t)GC_greatest_plausible_heap_addr;
}

bool gcx__bdw_is_incremental(void)
{
  return GC_is_incremental_mode() != 0;
}

unsigned gcx__bdw_markers(void)
{
  return (unsigned)GC_get_parallel();
}

/* GC_get_heap_size() takes the lock, which before_stop already holds. */
size_t gcx__bdw_heap_bytes(void)
{
  struct GC_prof_stats_s stats = { 0 };

  (void)GC_get_prof_stats_unsafe(&stats, sizeof stats);
  return stats.heapsize_full;
}

/* ---- control */

/* A thread that collects all the time would leave the others nothing: what a signal
 * has resumed, the next one stops before it has come anywhere, and the collector's
 * lock goes to who asks first. So each collection is followed by a step aside. */
void gcx__bdw_collect(void)
{
  if (gcx__bdw_on_collect != NULL)
    gcx__bdw_on_collect();
  GC_gcollect();
  (void)sched_yield();
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

void *gcx__bdw_thread_entry(void)
{
  struct GC_stack_base base;

  return GC_thread_is_registered() != 0 ? GC_get_my_stackbottom(&base) : NULL;
}

void gcx__bdw_altstack(void *stack, size_t stack_bytes, void *alt,
                       size_t alt_bytes)
{
  GC_register_altstack(stack, stack_bytes, alt, alt_bytes);
}

/* Only pages that are there: to write to the others would make them. (One that was
 * swapped out is not wiped.) */
static GCX_NOINLINE void bdw_wipe(char *from, char *to)
{
  unsigned char there[BDW_CLEAR_BYTES / BDW_PAGE_MIN + 2];
  size_t page = gcx__page_bytes();
  char *low = from - (uintptr_t)from % page;
  size_t pages = ((size_t)(to - low) + page - 1) / page;
  int saved = errno;
  bool known = pages <= sizeof(there) && mincore(low, pages * page, there) == 0;

  errno = saved;
  for (size_t i = 0; i < pages; i++) {
    char *end = GCX_MIN(low + page, to);
    if (!known || (there[i] & 1) != 0)
      memset(from, 0, (size_t)(end - from));
    from = low = end;
  }
}

/* In a function of its own, so that what it wipes lies below its caller. */
static GCX_NOINLINE void bdw_wipe_below(size_t bytes)
{
  char *dead = __builtin_alloca(bytes);

  bdw_wipe(dead, dead + bytes);
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
