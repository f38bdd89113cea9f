/* SPDX-License-Identifier: MIT */
/*
 * vm.c - memory that gcx owns
 *
 * Every mapping is entered in a table of slots before its caller sees it and
 * taken out before it is given back, so that a reader in a stopped world is
 * told of every byte that gcx may have written to. Two windows are left, both
 * harmless: between mmap and the entry the pages are all zero, and between the
 * end of the entry and munmap they are scanned once more as if they were the
 * program's. The other order would hide memory that the program has mapped at
 * the same address in between: a lost root.
 *
 * States of a slot (its word `low`):
 *
 *     0 free --CAS--> 1 claimed --release--> low of a mapping --> 0
 *
 * No lock: gcx__vm_map() must work in a stopped world, where the thread that
 * held it might be one of the stopped. Slots lie in chunks, appended by CAS and
 * never removed; the first is static. Small blocks are cut from a slab by one
 * atomic addition; who overruns it makes the next.
 *
 * mmap is called through syscall(): libgcx interposes the symbol.
 */
#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform.h"

#define VM_SLOTS 255
#define VM_SLAB_BYTES ((size_t)256 * 1024)
#define VM_BLOCK_MAX ((size_t)32 * 1024)
#define VM_ALIGN 64
#define VM_CLAIMED ((uintptr_t)1)

struct vm_slot {
  uintptr_t low;
  uintptr_t high;
};

struct vm_chunk {
  struct vm_chunk *next;
  uint32_t hint; /* where a free slot is likely */
  struct vm_slot slots[VM_SLOTS];
};

/* At the start of its own memory. */
struct vm_slab {
  size_t used;
};

static struct vm_chunk vm_first GCX_NOT_A_ROOT;
static struct vm_slab *vm_slab;
static uint64_t vm_calls;
static uint64_t vm_fail_at;  /* of all calls; 0: none */
static pthread_t vm_failing; /* the thread whose calls fail; 0: none */
static uint64_t vm_left;     /* the how manieth of them; UINT64_MAX: all */

/* ------------------------------------------------------------------ system */

static void *system_map(size_t bytes)
{
  int saved = errno;
  long at = syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);

  errno = saved;
  return at == -1 ? NULL : (void *)at;
}

static void system_unmap(void *start, size_t bytes)
{
  int saved = errno;

  (void)syscall(SYS_munmap, start, bytes);
  errno = saved;
}

static size_t round_to_pages(size_t bytes)
{
  size_t page = gcx__page_bytes();

  return (bytes + page - 1) & ~(page - 1);
}

/* A test may have asked for this call to fail. */
static bool call_fails(void)
{
  uint64_t n = __atomic_add_fetch(&vm_calls, 1, __ATOMIC_RELAXED);

  if (GCX_UNLIKELY(__atomic_load_n(&vm_failing, __ATOMIC_ACQUIRE) ==
                   pthread_self())) {
    return vm_left == UINT64_MAX || (vm_left != 0 && --vm_left == 0);
  }
  return GCX_UNLIKELY(n == __atomic_load_n(&vm_fail_at, __ATOMIC_RELAXED));
}

/* ------------------------------------------------------------------- table */

static struct vm_slot *chunk_claim(struct vm_chunk *c)
{
  uint32_t from = __atomic_load_n(&c->hint, __ATOMIC_RELAXED);

  for (uint32_t i = 0; i < VM_SLOTS; i++) {
    struct vm_slot *s = &c->slots[(from + i) % VM_SLOTS];
    uintptr_t free_slot = 0;

    if (__atomic_compare_exchange_n(&s->low, &free_slot, VM_CLAIMED, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
      __atomic_store_n(&c->hint, (from + i + 1) % VM_SLOTS, __ATOMIC_RELAXED);
      return s;
    }
  }
  return NULL;
}

/* The chunk after @c, made if there is none. */
static struct vm_chunk *chunk_next(struct vm_chunk *c)
{
  struct vm_chunk *next = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE);
  struct vm_chunk *made;

  if (next != NULL) {
    return next;
  }
  made = system_map(round_to_pages(sizeof(*made)));
  if (made == NULL) {
    return NULL;
  }
  if (__atomic_compare_exchange_n(&c->next, &next, made, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return made;
  }
  system_unmap(made, round_to_pages(sizeof(*made)));
  return next;
}

static struct vm_slot *slot_claim(void)
{
  for (struct vm_chunk *c = &vm_first; c != NULL; c = chunk_next(c)) {
    struct vm_slot *s = chunk_claim(c);

    if (s != NULL) {
      return s;
    }
  }
  return NULL;
}

static void slot_free(struct vm_slot *s)
{
  __atomic_store_n(&s->low, 0, __ATOMIC_RELEASE);
}

static struct vm_slot *slot_find(uintptr_t low)
{
  for (struct vm_chunk *c = &vm_first; c != NULL;
       c = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE)) {
    for (size_t i = 0; i < VM_SLOTS; i++) {
      if (__atomic_load_n(&c->slots[i].low, __ATOMIC_ACQUIRE) == low) {
        return &c->slots[i];
      }
    }
  }
  return NULL;
}

static void *map_entered(size_t bytes)
{
  struct vm_slot *s = slot_claim();
  void *p;

  if (s == NULL) {
    return NULL;
  }
  p = system_map(bytes);
  if (p == NULL) {
    slot_free(s);
    return NULL;
  }
  __atomic_store_n(&s->high, (uintptr_t)p + bytes, __ATOMIC_RELAXED);
  __atomic_store_n(&s->low, (uintptr_t)p, __ATOMIC_RELEASE);
  return p;
}

/* ----------------------------------------------------------------- mapping */

void *gcx__vm_map(size_t bytes)
{
  size_t whole = round_to_pages(bytes);

  if (bytes == 0 || whole < bytes || call_fails()) {
    return NULL;
  }
  return map_entered(whole);
}

void gcx__vm_unmap(void *start, size_t bytes)
{
  struct vm_slot *s;

  if (start == NULL) {
    return;
  }
  s = slot_find((uintptr_t)start);
  GCX_ASSERT(s != NULL && s->high == (uintptr_t)start + round_to_pages(bytes));
  slot_free(s);
  system_unmap(start, round_to_pages(bytes));
}

/* What vm_owns() has learnt so far. */
struct vm_search {
  uintptr_t start;
  uintptr_t end;  /* of the run that holds start, 0 if none was met */
  uintptr_t next; /* first run after start */
};

static void search_range(struct vm_search *f, uintptr_t low, uintptr_t high)
{
  if (low <= f->start && f->start < high) {
    f->end = high;
  } else if (low > f->start && low < f->next) {
    f->next = low;
  }
}

bool gcx__vm_owns(uintptr_t start, uintptr_t *ret_boundary)
{
  struct vm_search f = { start, 0, UINTPTR_MAX };

  for (struct vm_chunk *c = &vm_first; c != NULL;
       c = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE)) {
    if (c != &vm_first) {
      search_range(&f, (uintptr_t)c, (uintptr_t)c + round_to_pages(sizeof(*c)));
    }
    for (size_t i = 0; i < VM_SLOTS; i++) {
      uintptr_t low = __atomic_load_n(&c->slots[i].low, __ATOMIC_ACQUIRE);

      if (low > VM_CLAIMED) {
        search_range(&f, low,
                     __atomic_load_n(&c->slots[i].high, __ATOMIC_RELAXED));
      }
    }
  }
  *ret_boundary = f.end != 0 ? f.end : f.next;
  return f.end != 0;
}

/* ------------------------------------------------------------ small blocks */

/* A new slab in place of @full; the current one if another thread was faster. */
static struct vm_slab *slab_renew(struct vm_slab *full)
{
  struct vm_slab *made = map_entered(VM_SLAB_BYTES);

  if (made == NULL) {
    return NULL;
  }
  made->used = VM_ALIGN;
  if (__atomic_compare_exchange_n(&vm_slab, &full, made, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return made;
  }
  gcx__vm_unmap(made, VM_SLAB_BYTES);
  return full;
}

static void *slab_cut(struct vm_slab *s, size_t bytes)
{
  size_t at = __atomic_fetch_add(&s->used, bytes, __ATOMIC_RELAXED);

  return at + bytes <= VM_SLAB_BYTES ? (char *)s + at : NULL;
}

void *gcx__vm_alloc(size_t bytes)
{
  size_t whole = (bytes + VM_ALIGN - 1) & ~(size_t)(VM_ALIGN - 1);
  struct vm_slab *s;
  void *p = NULL;

  if (bytes == 0 || whole < bytes || call_fails()) {
    return NULL;
  }
  if (whole > VM_BLOCK_MAX) {
    return map_entered(round_to_pages(whole));
  }
  s = __atomic_load_n(&vm_slab, __ATOMIC_ACQUIRE);
  while (p == NULL) {
    if (s != NULL) {
      p = slab_cut(s, whole);
    }
    if (p == NULL) {
      s = slab_renew(s);
      if (s == NULL) {
        return NULL;
      }
    }
  }
  return p;
}

static void fail_own(uint64_t n)
{
  vm_left = n;
  __atomic_store_n(&vm_failing, n != 0 ? pthread_self() : 0, __ATOMIC_RELEASE);
}

void gcx__vm_fail_at(uint64_t n)
{
  fail_own(n);
}

void gcx__vm_fail_here(bool fail)
{
  fail_own(fail ? UINT64_MAX : 0);
}

void gcx__vm_fail_at_any(uint64_t n)
{
  uint64_t calls = __atomic_load_n(&vm_calls, __ATOMIC_RELAXED);

  __atomic_store_n(&vm_fail_at, n == 0 ? 0 : calls + n, __ATOMIC_RELAXED);
}

uint64_t gcx__vm_calls(void)
{
  return __atomic_load_n(&vm_calls, __ATOMIC_RELAXED);
}
