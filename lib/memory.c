/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what is a root under roots=all, and what is not
 *
 * A mapping counts if it can be read and is
 *   - private and anonymous: heap, arenas, read-only data made at start, the
 *     fake stacks of AddressSanitizer;
 *   - private, writable and a file's, but no module's (those bdwgc scans);
 *   - shared with the process's own children: /dev/zero, memfd.
 * Of it the resident pages, less these holes, gathered and sorted anew in each
 * stop:
 *   - stacks of threads that bdwgc scans, and of its markers: what is live there
 *     it knows, what is dead must hold nothing;
 *   - stacks that glibc keeps of threads that have ended. That the descriptor at
 *     the stack's end is still that of an ended thread proves that nobody else
 *     has got the memory; a stack that the program provided is never a hole. The
 *     descriptor of one that was not joined yet is none: it has what the thread's
 *     function returned;
 *   - memory that libgc mapped: its block headers point at the first object of
 *     each block;
 *   - the shadow of AddressSanitizer;
 * and less gcx's own memory (vm.h) and the untouched end of modules' data.
 *
 * Excluded ranges are stored as complements: this file's data are bdwgc's roots,
 * and the start of a heap section is the address of an object.
 */
#include "memory.h"

#include <string.h>

#include "bdw.h"
#include "maps.h"
#include "modules.h"
#include "platform.h"
#include "thread.h"
#include "tls.h"
#include "vm.h"
#include "words.h"

#define MEMORY_EXCLUDED_MAX 4096
#define MEMORY_HOLES_MAX ((size_t)1 << 20)

struct memory_range {
  uintptr_t low;
  uintptr_t high;
};

/* Complements. An entry counts once `low` is not 0. */
static struct memory_range memory_excluded[MEMORY_EXCLUDED_MAX] GCX_NOT_A_ROOT;
static uint32_t memory_excluded_count;

static struct memory_range *memory_holes;
static size_t memory_hole_count;

/* AddressSanitizer's runtime, if it is there. */
extern void __asan_get_shadow_mapping(size_t *shadow_scale,
                                      size_t *shadow_offset)
    __attribute__((weak));

/* ---- excluded for ever */

/* bdwgc's heap grows downwards, mapping by mapping. Two threads at once are
 * possible before it is initialised: an entry is claimed, not shared. */
void gcx__memory_exclude(uintptr_t low, uintptr_t high)
{
  uint32_t n = __atomic_load_n(&memory_excluded_count, __ATOMIC_ACQUIRE);
  uint32_t last = GCX_MIN(n, MEMORY_EXCLUDED_MAX);

  if (last > 0 && ~memory_excluded[last - 1].low == high) {
    __atomic_store_n(&memory_excluded[last - 1].low, ~low, __ATOMIC_RELEASE);
    return;
  }
  for (uint32_t i = 0; i < last; i++)
    if (~memory_excluded[i].low <= low && high <= ~memory_excluded[i].high)
      return;
  n = __atomic_fetch_add(&memory_excluded_count, 1, __ATOMIC_ACQ_REL);
  if (n >= MEMORY_EXCLUDED_MAX)
    return;
  memory_excluded[n].high = ~high;
  __atomic_store_n(&memory_excluded[n].low, ~low, __ATOMIC_RELEASE);
}

/* ---- holes */

static void memory_add_hole(uintptr_t low, uintptr_t high)
{
  if (low < high && memory_hole_count < MEMORY_HOLES_MAX)
    memory_holes[memory_hole_count++] = (struct memory_range){ low, high };
}

static void memory_sift(size_t root, size_t n)
{
  struct memory_range moved = memory_holes[root];

  for (;;) {
    size_t child = 2 * root + 1;
    if (child >= n)
      break;
    if (child + 1 < n && memory_holes[child].low < memory_holes[child + 1].low)
      child++;
    if (memory_holes[child].low <= moved.low)
      break;
    memory_holes[root] = memory_holes[child];
    root = child;
  }
  memory_holes[root] = moved;
}

/* Heap sort: qsort() may allocate. */
static void memory_sort_holes(void)
{
  for (size_t i = memory_hole_count / 2; i > 0; i--)
    memory_sift(i - 1, memory_hole_count);
  for (size_t n = memory_hole_count; n > 1; n--) {
    struct memory_range highest = memory_holes[0];
    memory_holes[0] = memory_holes[n - 1];
    memory_holes[n - 1] = highest;
    memory_sift(0, n - 1);
  }
}

/* The page with the descriptor of a thread that may yet be joined counts. */
static uintptr_t memory_end_of_kept(const struct gcx__thread *t)
{
  return gcx__tls_may_be_joined(t->id)
             ? (uintptr_t)t->id & ~(gcx__page_bytes() - 1)
             : t->stack_high;
}

/* Main's is left out by name: how far it reaches down is not known. */
static void memory_add_stacks(void)
{
  struct gcx__thread *t;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    if ((t->scanned || t->is_marker) && !t->is_main && t->stack_low != 0)
      memory_add_hole(t->stack_low, t->stack_high);
  for (t = gcx__thread_first_free(); t != NULL; t = gcx__thread_next_free(t))
    if (!t->own_stack && !t->is_main && t->stack_low != 0 &&
        (uintptr_t)t->id >= t->stack_low && (uintptr_t)t->id < t->stack_high &&
        gcx__tls_has_ended(t->id))
      memory_add_hole(t->stack_low, memory_end_of_kept(t));
}

static void memory_add_shadow(void)
{
  size_t scale, offset;

  if (__asan_get_shadow_mapping == NULL)
    return;
  __asan_get_shadow_mapping(&scale, &offset);
  memory_add_hole(offset, offset + ((uintptr_t)1 << (47 - scale)));
}

static void memory_gather_holes(void)
{
  uint32_t n = __atomic_load_n(&memory_excluded_count, __ATOMIC_ACQUIRE);

  memory_hole_count = 0;
  for (uint32_t i = 0; i < GCX_MIN(n, MEMORY_EXCLUDED_MAX); i++)
    if (memory_excluded[i].low != 0)
      memory_add_hole(~memory_excluded[i].low, ~memory_excluded[i].high);
  memory_add_stacks();
  memory_add_shadow();
  memory_sort_holes();
}

/* ---- mappings */

struct memory_walk {
  size_t hole;        /* the first that ends after what was looked at */
  uintptr_t file_end; /* where the mapping before ended, if it was a file's */
  bool complete;
};

/* The live module that @address lies in, or NULL. */
static const struct gcx__module *memory_module(uintptr_t address)
{
  const struct gcx__module *m;

  for (size_t i = 0; (m = gcx__modules_at(i)) != NULL; i++)
    if (m->last_epoch == UINT32_MAX && m->low <= address && address < m->high)
      return m;
  return NULL;
}

/* Data of a module: a private mapping of its file, or the zero-filled rest that
 * follows one and ends where the module does. */
static bool memory_is_module_data(const struct memory_walk *w,
                                  const struct gcx__mapping *m)
{
  const struct gcx__module *module = memory_module(m->low);
  uintptr_t page = gcx__page_bytes();

  if (module == NULL)
    return false;
  if (!m->is_anonymous)
    return m->high <= ((module->high + page - 1) & ~(page - 1));
  return w->file_end == m->low &&
         m->high == ((module->high + page - 1) & ~(page - 1));
}

static bool memory_begins(const struct gcx__mapping *m, const char *name)
{
  return strncmp(m->name, name, strlen(name)) == 0;
}

static bool memory_main_is_scanned(void)
{
  struct gcx__thread *t;

  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    if (t->is_main)
      return t->scanned;
  return false;
}

static bool memory_counts(const struct memory_walk *w,
                          const struct gcx__mapping *m)
{
  if (!m->readable || memory_begins(m, "[v")) /* [vvar], [vdso] */
    return false;
  if (m->shared)
    return m->writable &&
           (memory_begins(m, "/dev/zero") || memory_begins(m, "/memfd:"));
  if (!m->is_anonymous && !m->writable)
    return false;
  if (strcmp(m->name, "[stack]") == 0)
    return !memory_main_is_scanned();
  return !memory_is_module_data(w, m);
}

static void memory_scan_resident(uintptr_t low, uintptr_t high, void *unused)
{
  (void)unused;
  gcx__words_scan(low, high);
}

/* @[low, high) without holes: all but gcx's own. */
static void memory_scan_solid(struct memory_walk *w, uintptr_t low,
                              uintptr_t high)
{
  while (low < high) {
    uintptr_t boundary;
    bool own = gcx__vm_owns(low, &boundary);
    boundary = GCX_MIN(boundary, high);
    if (!own)
      w->complete &=
          gcx__maps_resident(low, boundary, memory_scan_resident, NULL);
    low = boundary;
  }
}

static bool memory_scan_mapping(const struct gcx__mapping *m, void *arg)
{
  struct memory_walk *w = arg;
  uintptr_t low = m->low;

  if (memory_counts(w, m)) {
    while (low < m->high) {
      uintptr_t end = m->high;
      while (w->hole < memory_hole_count && memory_holes[w->hole].high <= low)
        w->hole++;
      if (w->hole < memory_hole_count) {
        const struct memory_range *hole = &memory_holes[w->hole];
        if (hole->low <= low) {
          low = hole->high;
          continue;
        }
        end = GCX_MIN(end, hole->low);
      }
      memory_scan_solid(w, low, end);
      low = end;
    }
  }
  w->file_end = m->is_anonymous ? 0 : m->high;
  return true;
}

void gcx__memory_reserve(void)
{
  if (memory_holes == NULL)
    memory_holes = gcx__vm_map(MEMORY_HOLES_MAX * sizeof(*memory_holes));
}

bool gcx__memory_scan(void)
{
  struct memory_walk w = { .complete = true };

  if (memory_holes == NULL)
    return false;
  memory_gather_holes();
  gcx__maps_session_begin();
  w.complete &= gcx__maps_walk(memory_scan_mapping, &w);
  gcx__maps_session_end();
  return w.complete;
}
