/* SPDX-License-Identifier: MIT */
/*
 * roots.c - the roots that bdwgc misses, one stop at a time
 *
 * bdwgc pushes static data, stacks and registers. Pushed here:
 *   - of each thread on gcx's list, and of each that bdwgc has suspended and that
 *     is not on it: thread-local variables and thread-specific data (tls.h);
 *   - the argument of a thread that has not begun;
 *   - the stack proper of a thread that is on another one (stacks.h);
 *   - regions the program registered;
 *   - of a thread that collects on purpose, the part of its stack that counts;
 *   - roots=all: everything else (memory.h).
 * All of it as words that were copied and filtered (words.h), pushed as one range:
 * bdwgc's mark stack, which aborts when it is full, is asked for one entry.
 *
 * A stop: before_stop (world running: reserve memory, list the libraries),
 * note_suspended for each thread, push. bdwgc may push roots several times in one
 * stop; what is found once holds for the whole of it.
 *
 * Locks: roots_lock guards changes of the list of regions; a stop reads it
 * without: at every instruction of an addition or a removal each region that is
 * to stay is there whole. Everything else belongs to the thread that collects.
 */
#include "roots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bdw.h"
#include "lock.h"
#include "maps.h"
#include "memory.h"
#include "modules.h"
#include "options.h"
#include "platform.h"
#include "segments.h"
#include "stacks.h"
#include "thread.h"
#include "tls.h"
#include "vm.h"
#include "words.h"

#define ROOTS_REGIONS_MAX ((size_t)1 << 20)
#define ROOTS_SUSPENDED_MAX ((size_t)1 << 20)

struct roots_region {
  uintptr_t low;
  uintptr_t high;
};

static struct gcx__lock roots_lock = GCX_LOCK_INIT(GCX_RANK_REGIONS);
static struct roots_region *roots_regions;
static size_t roots_region_count;
static struct roots_region roots_own; /* `high` is 0 while there is none */

static const char *roots_sentence; /* gcx__roots_obstacle() */
static bool roots_have_tls;
static bool roots_unseen; /* gcx__roots_are_unseen() */
static bool roots_hidden; /* gcx__roots_are_hidden() */

static bool roots_collected; /* in the present stop */
static bool roots_whole;
static bool roots_still; /* all threads, those that have not begun included */

/* Threads that bdwgc has suspended in this stop; a power of two of slots once
 * they are hashed. */
static uintptr_t *roots_suspended;
static size_t roots_suspended_count;

/* Present in a program built with AddressSanitizer. */
extern void *__asan_get_current_fake_stack(void) __attribute__((weak));

/* ---- regions */

int gcx__roots_add(void *start, size_t bytes)
{
  uintptr_t low = (uintptr_t)start;
  int result = 0;

  if (start == NULL || bytes == 0 || low + bytes < low)
    return -EINVAL;
  gcx__lock(&roots_lock);
  if (roots_regions == NULL)
    roots_regions = gcx__vm_map(ROOTS_REGIONS_MAX * sizeof(*roots_regions));
  if (roots_regions == NULL || roots_region_count == ROOTS_REGIONS_MAX) {
    result = -ENOMEM;
  } else {
    roots_regions[roots_region_count] =
        (struct roots_region){ low, low + bytes };
    __atomic_store_n(&roots_region_count, roots_region_count + 1,
                     __ATOMIC_RELEASE);
  }
  gcx__unlock(&roots_lock);
  return result;
}

/* The last takes the place of the one that goes, and is there twice meanwhile. */
void gcx__roots_remove(void *start, size_t bytes)
{
  uintptr_t low = (uintptr_t)start;

  gcx__lock(&roots_lock);
  for (size_t i = 0; i < roots_region_count; i++) {
    struct roots_region *r = &roots_regions[i];
    if (r->low != low || r->high != low + bytes)
      continue;
    *r = roots_regions[roots_region_count - 1];
    __atomic_store_n(&roots_region_count, roots_region_count - 1,
                     __ATOMIC_RELEASE);
    break;
  }
  gcx__unlock(&roots_lock);
}

static void roots_scan_regions(void)
{
  size_t n = __atomic_load_n(&roots_region_count, __ATOMIC_ACQUIRE);
  uintptr_t high = __atomic_load_n(&roots_own.high, __ATOMIC_ACQUIRE);

  for (size_t i = 0; i < n; i++)
    gcx__words_scan(roots_regions[i].low, roots_regions[i].high);
  if (high != 0)
    gcx__words_scan(roots_own.low, high);
}

/* The end is written last: until then there is nothing. */
void gcx__roots_set_own(const void *start, size_t bytes)
{
  roots_own.low = (uintptr_t)start;
  __atomic_store_n(&roots_own.high, (uintptr_t)start + bytes, __ATOMIC_RELEASE);
}

void gcx__roots_note_bdw_mapping(uintptr_t low, uintptr_t high)
{
  gcx__memory_exclude(low, high);
}

/* ---- threads */

static void roots_scan_piece(uintptr_t low, uintptr_t high, void *unused)
{
  (void)unused;
  gcx__words_scan(low, high);
}

static void roots_scan_tls(pthread_t id)
{
  if (roots_have_tls && !gcx__tls_walk(id, roots_scan_piece, NULL))
    roots_whole = false;
}

static void roots_scan_thread(struct gcx__thread *t)
{
  gcx__words_add((uintptr_t)t->start_argument);
  if (t->stack_high == 0 || t->is_marker)
    return;
  roots_scan_tls(t->id);
  if (!gcx__stacks_scan(t))
    roots_whole = false;
}

/* ---- threads that only bdwgc knows */

void gcx__roots_note_suspended(pthread_t id)
{
  if (roots_suspended == NULL || roots_suspended_count == ROOTS_SUSPENDED_MAX)
    return;
  roots_suspended[roots_suspended_count++] = (uintptr_t)id;
}

static void roots_sift(size_t root, size_t n)
{
  uintptr_t moved = roots_suspended[root];
  size_t child;

  while ((child = 2 * root + 1) < n) {
    if (child + 1 < n && roots_suspended[child] < roots_suspended[child + 1])
      child++;
    if (roots_suspended[child] <= moved)
      break;
    roots_suspended[root] = roots_suspended[child];
    root = child;
  }
  roots_suspended[root] = moved;
}

static void roots_sort_suspended(void)
{
  for (size_t i = roots_suspended_count / 2; i > 0; i--)
    roots_sift(i - 1, roots_suspended_count);
  for (size_t n = roots_suspended_count; n > 1; n--) {
    uintptr_t highest = roots_suspended[0];
    roots_suspended[0] = roots_suspended[n - 1];
    roots_suspended[n - 1] = highest;
    roots_sift(0, n - 1);
  }
}

/* The slots of @id, if there are any, begin at the answer. */
static size_t roots_find_suspended(uintptr_t id)
{
  size_t low = 0, high = roots_suspended_count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if ((roots_suspended[middle] & ~(uintptr_t)1) < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Addresses of descriptors are even: the lowest bit says that the thread is on
 * gcx's list. False if bdwgc has not suspended it. */
static bool roots_strike_out(uintptr_t id)
{
  size_t first = roots_find_suspended(id), i = first;

  for (;
       i < roots_suspended_count && (roots_suspended[i] & ~(uintptr_t)1) == id;
       i++)
    roots_suspended[i] |= 1;
  return i != first;
}

/* Threads that stand still, the one that collects included: suspended, idle
 * markers, and gcx's own. A signal may have been sent twice. */
static uint32_t roots_count_still(void)
{
  struct gcx__thread *t;
  uint32_t still = 1;

  for (size_t i = 0; i < roots_suspended_count; i++)
    still += i == 0 || ((roots_suspended[i] ^ roots_suspended[i - 1]) &
                        ~(uintptr_t)1) != 0;
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    bool suspended = roots_strike_out((uintptr_t)t->id);
    if (!suspended && t != gcx__thread_current && t->id != 0)
      still += t->is_marker || t->is_gcx;
  }
  return still;
}

/* Threads that were asked for and have not registered yet, which waits for the
 * collector: they have not called their function, and hold its argument alone. */
static uint32_t roots_count_beginning(void)
{
  struct gcx__thread *t;
  uint32_t n = 0;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    n += t->id == 0 || (!t->scanned && !t->exiting && !t->is_marker &&
                        !t->is_gcx && t != gcx__thread_current);
  return n;
}

static void roots_scan_unlisted(void)
{
  for (size_t i = 0; i < roots_suspended_count; i++)
    if ((roots_suspended[i] & 1) == 0)
      roots_scan_tls((pthread_t)roots_suspended[i]);
}

/* ---- a stop */

void gcx__roots_scan_from(uintptr_t sp, const uintptr_t *registers, size_t n)
{
  struct gcx__thread *t = gcx__thread_current;

  if (t == NULL)
    return;
  t->scan_registers = registers;
  t->scan_register_count = sp != 0 && registers != NULL ? n : 0;
  __atomic_store_n(&t->scan_from, sp, __ATOMIC_RELEASE);
}

static void roots_scan_cut_stacks(void)
{
  struct gcx__thread *t;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    if (t->scan_from == 0)
      continue;
    for (size_t i = 0; i < t->scan_register_count; i++)
      gcx__words_add(t->scan_registers[i]);
    gcx__stacks_scan_cut(t);
  }
}

void gcx__roots_before_stop(void)
{
  (void)gcx__modules_refresh();
  gcx__words_reserve();
  if (roots_suspended == NULL)
    roots_suspended =
        gcx__vm_map(ROOTS_SUSPENDED_MAX * sizeof(*roots_suspended));
  roots_suspended_count = 0;
  if (gcx__opt.roots == GCX_ROOTS_ALL)
    gcx__memory_reserve();
  roots_collected = false;
}

static void roots_collect(void)
{
  struct gcx__thread *t;
  uintptr_t low, high;
  uint32_t still, threads;

  gcx__segments_guard();
  roots_whole = roots_suspended != NULL;
  gcx__bdw_heap_bounds(&low, &high);
  gcx__words_begin(low, high);
  roots_sort_suspended();
  /* In incremental mode a fault is nothing unusual: bdwgc protects pages. */
  threads = gcx__maps_threads();
  still = roots_count_still();
  if (roots_unseen)
    still += gcx__bdw_markers(); /* idle, and not on the list */
  roots_still = still == threads || still + roots_count_beginning() == threads;
  if (roots_unseen && !roots_still)
    roots_whole = false;
  gcx__words_read_in_place(!gcx__bdw_is_incremental() && still == threads);
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    roots_scan_thread(t);
  roots_scan_unlisted();
  roots_scan_regions();
  roots_scan_cut_stacks();
  if (gcx__opt.roots == GCX_ROOTS_ALL && !gcx__memory_scan())
    roots_whole = false;
  gcx__words_read_in_place(false);
}

void gcx__roots_push(void)
{
  const uintptr_t *low, *high;

  if (!roots_collected)
    roots_collect();
  roots_collected = true;
  if (!gcx__words_found(&low, &high))
    roots_whole = false;
  gcx__bdw_push(low, high);
}

bool gcx__roots_push_unseen(void (*more)(void))
{
  const uintptr_t *low, *high;

  gcx__words_map(); /* marking may be at what was pushed before */
  if (gcx__opt.roots == GCX_ROOTS_ALL)
    gcx__memory_reserve();
  roots_suspended_count = 0;
  roots_collect();
  more();
  roots_collected = true;
  gcx__roots_push();
  roots_collected = false;
  return gcx__words_found(&low, &high);
}

bool gcx__roots_all_still(void)
{
  return roots_collected && roots_still;
}

bool gcx__roots_complete(void)
{
  return roots_collected && roots_whole;
}

/* ---- does it find what was put there? */

#define ROOTS_PLANTED \
  ((uintptr_t)0x67637821) /* and a number in the high half */
#define ROOTS_PLANTS 3
#define ROOTS_KEYS 40 /* more than the first level holds */

static __thread volatile uintptr_t roots_planted;

struct roots_search {
  bool found[ROOTS_PLANTS];
};

static uintptr_t roots_plant(size_t i)
{
  return ROOTS_PLANTED | (uintptr_t)(i + 1) << 32;
}

static void roots_search_piece(uintptr_t low, uintptr_t high, void *arg)
{
  struct roots_search *s = arg;
  uintptr_t words[128];

  for (; low < high; low += sizeof(words)) {
    size_t got = gcx__maps_copy(words, low, GCX_MIN(high - low, sizeof(words)));
    for (size_t w = 0; w < got / sizeof(words[0]); w++)
      for (size_t i = 0; i < ROOTS_PLANTS; i++)
        if (words[w] == roots_plant(i))
          s->found[i] = true;
  }
}

/* A key among the first 32, and one that is not. */
static bool roots_search_planted(pthread_key_t low, pthread_key_t high)
{
  struct roots_search s = { .found = { false } };
  bool walked, set;

  roots_planted = roots_plant(0);
  set = pthread_setspecific(low, (void *)roots_plant(1)) == 0 &&
        pthread_setspecific(high, (void *)roots_plant(2)) == 0;
  walked = gcx__tls_walk(pthread_self(), roots_search_piece, &s);
  roots_planted = 0;
  return set && walked && s.found[0] && s.found[1] && s.found[2];
}

static bool roots_test_layout(void)
{
  pthread_key_t keys[ROOTS_KEYS];
  size_t n = 0;
  bool found = false;

  while (n < ROOTS_KEYS && pthread_key_create(&keys[n], NULL) == 0)
    n++;
  if (n == ROOTS_KEYS)
    found = roots_search_planted(keys[0], keys[n - 1]);
  while (n > 0)
    (void)pthread_key_delete(keys[--n]);
  return found;
}

static bool roots_has_fake_stack(void)
{
  return __asan_get_current_fake_stack != NULL &&
         __asan_get_current_fake_stack() != NULL;
}

void gcx__roots_are_unseen(const char *why)
{
  roots_unseen = true;
  roots_sentence = why;
}

/* NULL: holders are seen wherever a program may have them. */
static const char *roots_hiding_place(const char *unknown)
{
  if (unknown != NULL)
    return unknown;
  if (!roots_test_layout())
    return "values put into thread-local memory were not found there";
  if (gcx__opt.roots == GCX_ROOTS_STRICT && roots_has_fake_stack())
    return "AddressSanitizer keeps variables on fake stacks, which "
           "roots=strict does not scan (use roots=all or "
           "ASAN_OPTIONS=detect_stack_use_after_return=0)";
  return NULL;
}

const char *gcx__roots_init(void)
{
  const char *unknown = gcx__tls_init();

  roots_have_tls = unknown == NULL;
  (void)gcx__modules_refresh();
  gcx__stacks_init();
  unknown = roots_hiding_place(unknown);
  roots_hidden = unknown != NULL;
  if (roots_sentence == NULL)
    roots_sentence = unknown;
  return roots_sentence;
}

bool gcx__roots_are_hidden(void)
{
  return roots_hidden;
}

const char *gcx__roots_obstacle(void)
{
  return roots_sentence;
}
