/* SPDX-License-Identifier: MIT */
/*
 * stream-scan.c - does anybody point at a stream? Once a stop, if any is open
 *
 * The collector looks for pointers into its own heap; a FILE lies in libc's. So
 * all of the process's memory that could hold one is searched for words that
 * point into an open stream:
 *
 *   every readable private mapping and the collected heap: whatever is there,
 *   live or not, counts: a superset of what is reachable
 *     less gcx's own memory
 *     less the dead part of stacks, below the stack pointer
 *     less words by which a stream points at itself
 *     less libc's list: _IO_list_all and the _chain of each stream on it
 *     less its list of popen()'s processes, in the same way (stream-popen.c)
 *
 * What is found anywhere else is a holder. Nothing found, with every thread of
 * the process standing still: nobody can get at the stream any more, except who
 * walks libc's list (fflush(NULL), exit), and no one closes it from there.
 *
 * Any doubt is an answer, too, the harmless one: a thread that runs, a list that
 * can't be read, memory that can't be told to be resident: then every stream is
 * held.
 *
 * A search costs about what a collection of that much memory does; one that was
 * not asked for is left out while those before it took more than a twentieth of
 * the time.
 *
 * Stopped world: no lock, no allocation. Single user: the collecting thread.
 */
#include "stream.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "maps.h"
#include "platform.h"
#include "roots.h"
#include "stacks.h"
#include "termination.h"
#include "thread.h"
#include "vm.h"

#define SCAN_PIECE_BYTES ((size_t)64 << 10)
#define SCAN_CHAIN_MAX 65536u
#define SCAN_HOLES_MAX 4096u
#define SCAN_FREE_NS 2000000u /* costs nothing worth counting */
#define SCAN_SHARE 20u

struct scan_hole {
  uintptr_t low;
  uintptr_t high;
};

static struct gcx__stream_block *scan_blocks; /* sorted by address */
static size_t scan_count;
static uintptr_t *scan_chain; /* addresses of libc's links, sorted */
static size_t scan_chain_count;
static struct scan_hole *scan_holes;
static size_t scan_hole_count;
static uintptr_t *scan_piece;
/* Complement of where the lowest one begins: this variable is searched, too. */
static uintptr_t scan_low_hidden;
static uintptr_t scan_span;
static uintptr_t scan_main_sp; /* 0: unknown */
static bool scan_whole;
static bool scan_done;      /* in this stop */
static uintptr_t scan_list; /* address of _IO_list_all */
static uint64_t scan_ended_ns, scan_cost_ns;

extern void __asan_get_shadow_mapping(size_t *shadow_scale,
                                      size_t *shadow_offset)
    __attribute__((weak));

/* ---- words */

static struct gcx__stream_block *scan_block_of(uintptr_t word)
{
  size_t low = 0, high = scan_count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (scan_blocks[middle].high <= word)
      low = middle + 1;
    else
      high = middle;
  }
  return low < scan_count && scan_blocks[low].low <= word ? &scan_blocks[low]
                                                          : NULL;
}

static bool scan_is_link(uintptr_t at)
{
  size_t low = 0, high = scan_chain_count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (scan_chain[middle] < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low < scan_chain_count && scan_chain[low] == at;
}

/* @word was found at @at (0: in a register). */
static void scan_hit(uintptr_t word, uintptr_t at)
{
  struct gcx__stream_block *b = scan_block_of(word);

  if (b == NULL || b->seen || (at >= b->low && at < b->high) ||
      scan_is_link(at))
    return;
  b->seen = true;
}

static void scan_words(uintptr_t low, uintptr_t high, void *unused)
{
  uintptr_t first = ~scan_low_hidden;

  (void)unused;
  low = (low + 7) & ~(uintptr_t)7;
  while (low + sizeof(uintptr_t) <= high) {
    size_t bytes = GCX_MIN(SCAN_PIECE_BYTES, (size_t)(high - low));
    size_t got = gcx__maps_copy(scan_piece, low, bytes);

    for (size_t i = 0; i < got / sizeof(uintptr_t); i++)
      if (GCX_UNLIKELY(scan_piece[i] - first < scan_span))
        scan_hit(scan_piece[i], low + i * sizeof(uintptr_t));
    /* What can't be read holds nothing for the program either. */
    low += got >= sizeof(uintptr_t)
               ? got & ~(size_t)7
               : gcx__page_bytes() - low % gcx__page_bytes();
  }
}

/* ---- mappings */

/* A stack begins within a page. */
static uintptr_t scan_part_of_page(uintptr_t low, uintptr_t high)
{
  uintptr_t page = gcx__page_bytes();
  uintptr_t end = GCX_MIN((low + page - 1) & ~(page - 1), high);

  scan_words(low, end, NULL);
  return end;
}

static void scan_not_own(uintptr_t low, uintptr_t high)
{
  low = scan_part_of_page(low, high);
  while (low < high) {
    uintptr_t boundary;
    bool own = gcx__vm_owns(low, &boundary);

    boundary = GCX_MIN(boundary, high);
    if (!own)
      scan_whole &= gcx__maps_resident(low, boundary, scan_words, NULL);
    low = boundary;
  }
}

static const struct scan_hole *scan_next_hole(uintptr_t low, uintptr_t high)
{
  const struct scan_hole *next = NULL;

  for (size_t i = 0; i < scan_hole_count; i++) {
    const struct scan_hole *h = &scan_holes[i];

    if (h->high > low && h->low < high && (next == NULL || h->low < next->low))
      next = h;
  }
  return next;
}

static bool scan_counts(const struct gcx__mapping *m)
{
  if (!m->readable || strncmp(m->name, "[v", 2) == 0)
    return false;
  if (m->shared)
    return m->writable && (strncmp(m->name, "/dev/zero", 9) == 0 ||
                           strncmp(m->name, "/memfd:", 7) == 0);
  return m->is_anonymous || m->writable;
}

static bool scan_mapping(const struct gcx__mapping *m, void *unused)
{
  uintptr_t low = m->low;

  (void)unused;
  if (!scan_counts(m))
    return true;
  if (strcmp(m->name, "[stack]") == 0 && scan_main_sp > low &&
      scan_main_sp < m->high)
    low = scan_main_sp;
  while (low < m->high) {
    const struct scan_hole *h = scan_next_hole(low, m->high);
    uintptr_t end = h != NULL && h->low > low ? h->low : low;

    if (h == NULL) {
      scan_not_own(low, m->high);
      break;
    }
    scan_not_own(low, end);
    low = GCX_MIN(h->high, m->high);
  }
  return true;
}

/* ---- stacks */

static void scan_add_stack(const struct gcx__thread *t, uintptr_t sp)
{
  if (t->is_main) {
    scan_main_sp = sp;
    return;
  }
  if (t->stack_low == 0 || sp <= t->stack_low || sp >= t->stack_high ||
      scan_hole_count == SCAN_HOLES_MAX)
    return;
  scan_holes[scan_hole_count++] = (struct scan_hole){ t->stack_low, sp };
}

/* AddressSanitizer's shadow is no pointers, and terabytes. */
static void scan_add_shadow(void)
{
  size_t scale, offset;

  if (__asan_get_shadow_mapping == NULL)
    return;
  __asan_get_shadow_mapping(&scale, &offset);
  scan_holes[scan_hole_count++] =
      (struct scan_hole){ offset, offset + ((uintptr_t)1 << (47 - scale)) };
}

/* Of the others the kernel knows how deep they are; where it does not say, all
 * of the stack counts. */
static void scan_stacks(uintptr_t own_sp)
{
  struct gcx__thread *t;

  scan_hole_count = 0;
  scan_main_sp = 0;
  scan_add_shadow();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    scan_hit((uintptr_t)t->start_argument, 0); /* of one that has not begun */
    if (t == gcx__thread_current)
      scan_add_stack(t, own_sp & ~(uintptr_t)7);
    else if (t->id != 0)
      scan_add_stack(t, gcx__stacks_pointer(t->tid));
  }
}

/* ---- libc's list */

static void scan_sort(uintptr_t *words, size_t n)
{
  for (size_t gap = n / 2; gap > 0; gap /= 2)
    for (size_t i = gap; i < n; i++) {
      uintptr_t moved = words[i];
      size_t k = i;

      for (; k >= gap && words[k - gap] > moved; k -= gap)
        words[k] = words[k - gap];
      words[k] = moved;
    }
}

/* False: it can't be read to its end. */
static bool scan_libc(void)
{
  uintptr_t at = scan_list, stream;

  scan_chain_count = 0;
  while (scan_chain_count < SCAN_CHAIN_MAX) {
    scan_chain[scan_chain_count++] = at;
    if (gcx__maps_copy(&stream, at, sizeof stream) != sizeof stream)
      return false;
    if (stream == 0) {
      scan_sort(scan_chain, scan_chain_count);
      return true;
    }
    at = stream + offsetof(FILE, _chain);
  }
  return false;
}

/* That of processes, as far as its streams are open: one that freopen() has made a
 * file of is left on it when it is freed. What comes after such a one is held by
 * its word. */
static void scan_processes(void)
{
  uintptr_t at = gcx__stream_popen_chain(), stream;
  size_t n = scan_chain_count;

  while (at != 0 && n < SCAN_CHAIN_MAX) {
    scan_chain[n++] = at;
    if (gcx__maps_copy(&stream, at, sizeof stream) != sizeof stream ||
        stream == 0 || !scan_is_link(stream + offsetof(FILE, _chain)))
      break;
    at = stream + gcx__stream_popen_next();
  }
  scan_chain_count = n;
  scan_sort(scan_chain, scan_chain_count);
}

uintptr_t gcx__stream_libc_list(void)
{
  return scan_list;
}

/* While others change the list: an answer of the moment. */
bool gcx__stream_libc_has(uintptr_t wanted, int fd)
{
  uintptr_t at = scan_list, stream;
  int its_fd;

  for (uint32_t n = 0; at != 0 && n < SCAN_CHAIN_MAX; n++) {
    if (gcx__maps_copy(&stream, at, sizeof stream) != sizeof stream)
      return false;
    if (stream == wanted)
      return stream != 0 &&
             gcx__maps_copy(&its_fd, stream + offsetof(FILE, _fileno),
                            sizeof its_fd) == sizeof its_fd &&
             its_fd == fd;
    at = stream == 0 ? 0 : stream + offsetof(FILE, _chain);
  }
  return false;
}

static void scan_sort_blocks(void)
{
  for (size_t gap = scan_count / 2; gap > 0; gap /= 2)
    for (size_t i = gap; i < scan_count; i++) {
      struct gcx__stream_block moved = scan_blocks[i];
      size_t k = i;

      for (; k >= gap && scan_blocks[k - gap].low > moved.low; k -= gap)
        scan_blocks[k] = scan_blocks[k - gap];
      scan_blocks[k] = moved;
    }
}

/* ---- a stop */

static bool scan_is_due(void)
{
  const struct gcx__thread *t = gcx__thread_current;

  return t->scan_from != 0 || scan_cost_ns < SCAN_FREE_NS ||
         gcx__now_ns() - scan_ended_ns > scan_cost_ns * SCAN_SHARE;
}

static bool scan_can_tell(void)
{
  return gcx__thread_current != NULL && scan_list != 0 &&
         gcx__roots_all_still() && scan_is_due();
}

/* Else it was closed behind our back: its memory is free, or another's, and there
 * is nothing to lose. */
static bool scan_is_open(const struct gcx__stream_block *b)
{
  return b->is_dir ? gcx__stream_dir_is_open(b)
                   : scan_is_link(b->low + offsetof(FILE, _chain));
}

static void scan_note_closed(void)
{
  for (size_t i = 0; i < scan_count; i++)
    if (!scan_is_open(&scan_blocks[i])) {
      gcx__stream_note_closed(&scan_blocks[i]);
      scan_blocks[i].seen = true;
    }
}

static bool scan_search(uintptr_t sp, const uintptr_t *registers, size_t n)
{
  if (!scan_libc())
    return false;
  scan_processes();
  scan_sort_blocks();
  scan_low_hidden = ~scan_blocks[0].low;
  scan_span = scan_blocks[scan_count - 1].high - scan_blocks[0].low;
  scan_whole = true;
  scan_stacks(sp);
  for (size_t i = 0; i < n; i++)
    scan_hit(registers[i], 0);
  gcx__maps_session_begin();
  scan_whole &= gcx__maps_walk(scan_mapping, NULL);
  gcx__maps_session_end();
  scan_note_closed();
  return scan_whole;
}

static void scan_mark(struct gcx__marker *m, bool all)
{
  for (size_t i = 0; i < scan_count; i++)
    if (all || scan_blocks[i].seen)
      gcx__marker_add(m, scan_blocks[i].stand_in);
}

/* A program's value in a register that is saved across calls is in @context, or
 * in a frame above it, this one's included. */
static GCX_NOINLINE bool scan_from_here(void)
{
  const struct gcx__thread *t = gcx__thread_current;
  ucontext_t context;
  uint64_t begin = gcx__now_ns();
  bool told;

  memset(&context, 0, sizeof context);
  (void)getcontext(&context);
  if (t->scan_from != 0)
    told = scan_search(t->scan_from, t->scan_registers, t->scan_register_count);
  else
    told = scan_search((uintptr_t)&context, NULL, 0);
  scan_ended_ns = gcx__now_ns();
  scan_cost_ns = scan_ended_ns - begin;
  GCX_KEEP(&context);
  return told;
}

static void scan_begin(void)
{
  scan_done = false;
}

/* Called again after later steps: once is enough, since what counts as a holder
 * does not depend on what is marked. */
static void scan_close(struct gcx__marker *m)
{
  if (scan_done)
    return;
  scan_done = true;
  scan_count = gcx__stream_list(scan_blocks, GCX__STREAMS_MAX);
  if (scan_count > 0)
    scan_mark(m, !scan_can_tell() || !scan_from_here());
}

static void scan_keep(struct gcx__marker *m)
{
  scan_count = gcx__stream_list(scan_blocks, GCX__STREAMS_MAX);
  scan_mark(m, true);
}

static const struct gcx__termination_steps scan_steps = {
  .begin = scan_begin,
  .close = scan_close,
  .keep = scan_keep,
};

static bool scan_reserve(void)
{
  scan_blocks = gcx__vm_map(GCX__STREAMS_MAX * sizeof *scan_blocks);
  scan_chain = gcx__vm_map(SCAN_CHAIN_MAX * sizeof *scan_chain);
  scan_holes = gcx__vm_map(SCAN_HOLES_MAX * sizeof *scan_holes);
  scan_piece = gcx__vm_map(SCAN_PIECE_BYTES);
  return scan_blocks != NULL && scan_chain != NULL && scan_holes != NULL &&
         scan_piece != NULL;
}

static bool scan_ready;

static void scan_start_once(void)
{
  void *list = dlsym(RTLD_DEFAULT, "_IO_list_all");

  if (!scan_reserve())
    return;
  scan_list = (uintptr_t)list;
  gcx__termination_add(&scan_steps);
  scan_ready = true;
}

bool gcx__stream_scan_start(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;

  (void)pthread_once(&once, scan_start_once);
  return scan_ready;
}
