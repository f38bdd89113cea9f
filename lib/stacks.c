/* SPDX-License-Identifier: MIT */
/*
 * stacks.c - the stack that a thread is on need not be its own
 *
 * bdwgc scans from a thread's stack pointer to the end of the stack it knows. Two
 * kinds of stack lie elsewhere:
 *
 *   alternate signal stacks   bdwgc has been told of them (interpose.c) and stays
 *                             on the one the thread is on: the stack proper is
 *                             scanned here.
 *   coroutines                makecontext() and its kin, in memory of any kind.
 *                             The end of the stack proper lies terabytes above, or
 *                             below the stack pointer: bdwgc would crash, or scan
 *                             nothing. It is told, until marking is over, that the
 *                             stack ends a little above the stack pointer; the
 *                             stack proper is scanned here.
 *
 * What lies above that on a coroutine's stack is private memory like any other:
 * roots=all scans it, and those of coroutines that do not run. Under roots=strict
 * it is scanned here, to the end of its mapping; others are the program's to name.
 * A stack in an object of the collected heap: the object is kept.
 *
 * Where a thread stands bdwgc knows: what it will scan from lies in its entry of the
 * thread. Where in there is looked up once, at start, and must be found where it was
 * put on purpose; if not, the kernel is asked. That one tells of threads that wait,
 * which one that was just told to stop may not do yet (0): such a thread is taken to
 * be on its own stack.
 */
#include "stacks.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bdw.h"
#include "maps.h"
#include "options.h"
#include "platform.h"
#include "words.h"

/* More than the frames of a signal and of its handler take. */
#define STACKS_TOP_BYTES ((uintptr_t)64 << 10)

/* What is looked through of bdwgc's entry of a thread. */
#define STACKS_ENTRY_WORDS 24

static size_t stacks_entry_offset; /* of the stack pointer; 0: not known */

/* ---- where is it? */

static char *stacks_put_number(char *to, uint32_t number)
{
  char digits[12];
  size_t n = 0;

  do {
    digits[n++] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (n > 0)
    *to++ = digits[--n];
  return to;
}

/* The last field but one of /proc/self/task/<tid>/syscall. */
uintptr_t gcx__stacks_pointer(uint32_t tid)
{
  char path[48] = "/proc/self/task/", text[256];
  char *end = stacks_put_number(path + strlen(path), tid);
  uintptr_t last = 0, before = 0;
  ssize_t n;
  int fd;

  memcpy(end, "/syscall", sizeof("/syscall"));
  fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0)
    return 0;
  n = syscall(SYS_read, fd, text, sizeof(text) - 1);
  (void)syscall(SYS_close, fd);
  for (ssize_t i = 0; i + 1 < n; i++) {
    if (text[i] != 'x')
      continue;
    before = last;
    last = 0;
    for (i++; i < n && text[i] != ' ' && text[i] != '\n'; i++)
      last = last << 4 |
             (uintptr_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
  }
  return before;
}

static uintptr_t stacks_pointer_of(const struct gcx__thread *t)
{
  uintptr_t sp = 0;

  if (t == gcx__thread_current)
    return (uintptr_t)__builtin_frame_address(0);
  if (stacks_entry_offset == 0 || t->bdw_entry == NULL)
    return gcx__stacks_pointer(t->tid);
  (void)gcx__maps_copy(&sp, (uintptr_t)t->bdw_entry + stacks_entry_offset,
                       sizeof(sp));
  return sp;
}

/* ---- where bdwgc keeps it */

struct stacks_probe {
  uintptr_t low, high; /* between them bdwgc has taken the stack pointer */
  size_t offset;       /* where such a value was found; 0: nowhere, or twice */
};

/* Inside GC_do_blocking(). */
static void *stacks_search_entry(void *arg)
{
  struct stacks_probe *p = arg;
  uintptr_t words[STACKS_ENTRY_WORDS] = { 0 };
  size_t got = gcx__maps_copy(words, (uintptr_t)gcx__thread_current->bdw_entry,
                              sizeof(words));
  size_t hits = 0;

  p->low = (uintptr_t)__builtin_frame_address(0);
  for (size_t i = 1; i < got / sizeof(words[0]); i++)
    if (p->low < words[i] && words[i] < p->high) {
      p->offset = i * sizeof(words[0]);
      hits++;
    }
  if (hits != 1)
    p->offset = 0;
  return NULL;
}

static GCX_NOINLINE size_t stacks_probe_at(size_t depth)
{
  struct stacks_probe p = { .offset = 0 };
  char *deeper = __builtin_alloca(depth);

  GCX_KEEP(deeper);
  p.high = (uintptr_t)deeper;
  (void)gcx__bdw_blocking(stacks_search_entry, &p);
  return p.offset;
}

void gcx__stacks_init(void)
{
  size_t offset;

  if (gcx__thread_current == NULL || gcx__thread_current->bdw_entry == NULL)
    return;
  offset = stacks_probe_at(64);
  if (offset == stacks_probe_at(4096))
    stacks_entry_offset = offset;
}

/* ---- which stack is it? */

static bool stacks_is_own(const struct gcx__thread *t, uintptr_t sp)
{
  return t->stack_low <= sp && sp < t->stack_high;
}

struct stacks_search {
  uintptr_t inside;
  uintptr_t end; /* of the mapping that @inside lies in; 0: none */
};

static bool stacks_see_mapping(const struct gcx__mapping *m, void *arg)
{
  struct stacks_search *s = arg;

  if (m->low <= s->inside && s->inside < m->high)
    s->end = m->high;
  return m->high <= s->inside;
}

/* As far as it can be read from @sp on; 0: not known. */
static uintptr_t stacks_mapping_end(uintptr_t sp)
{
  struct stacks_search s = { .inside = sp };

  return gcx__maps_walk(stacks_see_mapping, &s) ? s.end : 0;
}

/* ---- scanning */

static void stacks_scan_piece(uintptr_t low, uintptr_t high, void *unused)
{
  (void)unused;
  gcx__words_scan(low, high);
}

static void stacks_scan_resident(uintptr_t low, uintptr_t high)
{
  (void)gcx__maps_resident(low & ~(gcx__page_bytes() - 1), high,
                           stacks_scan_piece, NULL);
}

/* All of the stack proper: how deep it was when it was left is not known. */
static void stacks_scan_proper(const struct gcx__thread *t)
{
  stacks_scan_resident(t->stack_low, t->stack_high);
}

/* A coroutine's stack from @sp to @end, the end of its mapping. */
static void stacks_scan_foreign(uintptr_t sp, uintptr_t end)
{
  if (gcx__bdw_base((const void *)sp) != NULL)
    gcx__words_add(sp);
  else if (gcx__opt.roots != GCX_ROOTS_ALL)
    stacks_scan_resident(sp, end);
}

/* The calling thread may have cut its stack itself, which ends here then. */
static bool stacks_scan_coroutine(struct gcx__thread *t, uintptr_t sp)
{
  uintptr_t end = stacks_mapping_end(sp);
  bool cut = t == gcx__thread_current && t->scan_from != 0;

  stacks_scan_proper(t);
  if (end == 0)
    return false;
  stacks_scan_foreign(sp, end);
  return cut || gcx__bdw_end_stack(t, GCX_MIN(end, sp + STACKS_TOP_BYTES));
}

bool gcx__stacks_scan(struct gcx__thread *t)
{
  uintptr_t sp;

  if (t->is_gcx && t != gcx__thread_current)
    return true;
  sp = stacks_pointer_of(t);
  if (t->altstack_low != 0 &&
      (sp == 0 || (sp >= t->altstack_low && sp < t->altstack_high))) {
    stacks_scan_proper(t);
    return true;
  }
  if (sp == 0 || t->stack_low == 0 || stacks_is_own(t, sp))
    return true;
  return stacks_scan_coroutine(t, sp);
}

void gcx__stacks_scan_cut(const struct gcx__thread *t)
{
  if (stacks_is_own(t, t->scan_from))
    gcx__words_scan(t->scan_from, t->stack_high);
  else
    stacks_scan_foreign(t->scan_from, stacks_mapping_end(t->scan_from));
}
