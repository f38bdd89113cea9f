/* SPDX-License-Identifier: MIT */
/*
 * words.c - copy, filter, keep
 *
 * The loop that matters looks at the upper halves of eight words at a time; most
 * often none of them may be a pointer. Where one may, each word is stored and the
 * place advances by one or none: no branch to mispredict. A piece fits the
 * second-level cache, so that what the kernel copied is still there when it is
 * filtered.
 *
 * Memory is reserved without being committed and grows by a factor of four,
 * within a stop, too (vm.h allows it): a stop may fail for want of address space
 * only. What is full is left mapped until the next stop begins: marking may have
 * been abandoned and go on later with what was pushed before.
 *
 * Reading in place. With every other thread stopped, a fault can only be this
 * thread's own, on a page that is mapped and can't be read all the same (a guard,
 * a protection key, broken memory). For that time SIGSEGV and SIGBUS are ours;
 * the piece is then copied, which stops at such a page and goes on after it. A
 * fault of another thread all the same (one that is on its way into the suspend
 * handler) goes to the handler that was there before: only the thread that
 * scans may jump back into the scan.
 *
 * Single user: the thread that collects, under the collector's lock.
 */
#include "words.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "maps.h"
#include "platform.h"
#include "vm.h"

#define WORDS_PIECE_BYTES ((size_t)128 << 10)
#define WORDS_PIECE (WORDS_PIECE_BYTES / sizeof(uintptr_t))
#define WORDS_FIRST_BYTES ((size_t)64 << 20)
#define WORDS_KEPT_BYTES ((size_t)1 << 20) /* committed between stops */
#define WORDS_OLD_MAX 24

struct words_array {
  uintptr_t *words;
  size_t capacity;
};

static struct words_array words_now;
static struct words_array words_old[WORDS_OLD_MAX]; /* outgrown in this stop */
static size_t words_old_count;
static size_t words_count;
static uintptr_t *words_piece;
static uintptr_t words_low, words_span;
static bool words_lost;

static bool words_in_place;
static uint32_t words_reader; /* tid of the thread that scans */
static sigjmp_buf words_fault;
static struct sigaction words_old_segv, words_old_bus;
static sigset_t words_old_mask;

static struct words_array words_map(size_t bytes)
{
  uintptr_t *words = gcx__vm_map(bytes);

  return (struct words_array){ .words = words,
                               .capacity =
                                   words != NULL ? bytes / sizeof(*words) : 0 };
}

static void words_unmap(struct words_array *a)
{
  if (a->words != NULL)
    gcx__vm_unmap(a->words, a->capacity * sizeof(*a->words));
  *a = (struct words_array){ .words = NULL };
}

/* Where address space is limited less must do. */
static void words_map_first(void)
{
  for (size_t bytes = WORDS_FIRST_BYTES;
       words_now.words == NULL && bytes >= WORDS_PIECE_BYTES; bytes /= 4)
    words_now = words_map(bytes);
}

static void words_release_pages(void)
{
  char *from = (char *)words_now.words + WORDS_KEPT_BYTES;
  size_t used = words_count * sizeof(*words_now.words);

  if (used > WORDS_KEPT_BYTES)
    (void)madvise(
        from, words_now.capacity * sizeof(*words_now.words) - WORDS_KEPT_BYTES,
        MADV_DONTNEED);
}

void gcx__words_map(void)
{
  if (words_piece == NULL)
    words_piece = gcx__vm_map(WORDS_PIECE_BYTES);
  if (words_now.words == NULL)
    words_map_first();
}

void gcx__words_reserve(void)
{
  while (words_old_count > 0)
    words_unmap(&words_old[--words_old_count]);
  if (words_now.words != NULL)
    words_release_pages();
  gcx__words_map();
}

void gcx__words_begin(uintptr_t low, uintptr_t high)
{
  words_low = low;
  words_span = high > low ? high - low : 0;
  words_count = 0;
  words_lost = words_piece == NULL;
}

/* Room for @n more. */
static bool words_room(size_t n)
{
  struct words_array bigger;

  if (GCX_LIKELY(words_now.capacity - words_count >= n))
    return true;
  if (words_old_count == WORDS_OLD_MAX)
    return false;
  bigger = words_map(GCX_MAX(words_now.capacity * sizeof(*words_now.words) * 4,
                             2 * WORDS_PIECE_BYTES));
  if (bigger.words == NULL)
    return false;
  memcpy(bigger.words, words_now.words, words_count * sizeof(*bigger.words));
  words_old[words_old_count++] = words_now;
  words_now = bigger;
  return true;
}

typedef uint32_t words_halves __attribute__((vector_size(16), aligned(8)));
typedef int32_t words_signed __attribute__((vector_size(16)));
typedef int64_t words_pair __attribute__((vector_size(16)));

/* What upper halves of pointers are, as signed numbers: at most @limit, once @base
 * is taken away. */
struct words_range {
  words_halves base;
  words_signed limit;
};

static struct words_range words_range(void)
{
  uint32_t low = (uint32_t)(words_low >> 32);
  uint32_t span = (uint32_t)((words_low + words_span - 1) >> 32) - low;
  uint32_t base = low + 0x80000000u;
  int32_t limit = (int32_t)(span - 0x80000000u);

  return (struct words_range){ { base, base, base, base },
                               { limit, limit, limit, limit } };
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WORDS_UPPER 1
#else
#define WORDS_UPPER 0
#endif
#define WORDS_AT_ONCE 8

/* Of four words from @from on: -1 where the upper half rules a pointer out. */
__attribute__((no_sanitize("address"), always_inline)) static inline words_pair
words_out(const uintptr_t *from, const struct words_range *r)
{
  const words_halves *at = (const words_halves *)(const void *)from;
  words_halves upper =
      __builtin_shufflevector(at[0], at[1], WORDS_UPPER, WORDS_UPPER + 2,
                              WORDS_UPPER + 4, WORDS_UPPER + 6);

  return (words_pair)((words_signed)(upper - r->base) > r->limit);
}

/* AddressSanitizer's bytes around variables are read on purpose. */
__attribute__((no_sanitize("address"))) static size_t words_compress(
    uintptr_t *to, const uintptr_t *from, size_t n)
{
  uintptr_t low = words_low, span = words_span;
  size_t kept = 0;

  for (size_t i = 0; i < n; i++) {
    uintptr_t word = from[i];
    to[kept] = word;
    kept += word - low < span;
  }
  return kept;
}

__attribute__((no_sanitize("address"))) static void words_filter(
    const uintptr_t *from, size_t n)
{
  uintptr_t *to = words_now.words + words_count;
  struct words_range range = words_range();
  size_t kept = 0, i;

  for (i = 0; i + WORDS_AT_ONCE <= n; i += WORDS_AT_ONCE) {
    words_pair out = words_out(from + i, &range) &
                     words_out(from + i + WORDS_AT_ONCE / 2, &range);

    if ((out[0] & out[1]) != -1)
      kept += words_compress(to + kept, from + i, WORDS_AT_ONCE);
  }
  kept += words_compress(to + kept, from + i, n - i);
  words_count += kept;
}

void gcx__words_add(uintptr_t word)
{
  if (words_room(1))
    words_filter(&word, 1);
  else
    words_lost = true;
}

/* ---- in place */

static void words_pass_on(const struct sigaction *old, int number,
                          siginfo_t *info, void *context)
{
  if ((old->sa_flags & SA_SIGINFO) != 0)
    old->sa_sigaction(number, info, context);
  else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
    old->sa_handler(number);
  else
    (void)sigaction(number, old, NULL); /* it faults again, and that is it */
}

static void words_on_fault(int number, siginfo_t *info, void *context)
{
  if (gcx__tid() == words_reader)
    siglongjmp(words_fault, 1);
  words_pass_on(number == SIGBUS ? &words_old_bus : &words_old_segv, number,
                info, context);
}

void gcx__words_read_in_place(bool may)
{
  struct sigaction ours = { .sa_sigaction = words_on_fault,
                            .sa_flags = SA_SIGINFO | SA_NODEFER };
  sigset_t faults;

  if (may == words_in_place)
    return;
  words_in_place = may;
  if (may) {
    (void)sigemptyset(&faults);
    (void)sigaddset(&faults, SIGSEGV);
    (void)sigaddset(&faults, SIGBUS);
    words_reader = gcx__tid();
    (void)sigaction(SIGSEGV, NULL,
                    &words_old_segv); /* known before it is ours */
    (void)sigaction(SIGBUS, NULL, &words_old_bus);
    (void)sigaction(SIGSEGV, &ours, NULL);
    (void)sigaction(SIGBUS, &ours, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &faults, &words_old_mask);
  } else {
    (void)pthread_sigmask(SIG_SETMASK, &words_old_mask, NULL);
    (void)sigaction(SIGBUS, &words_old_bus, NULL);
    (void)sigaction(SIGSEGV, &words_old_segv, NULL);
  }
}

static bool words_filter_in_place(uintptr_t low, size_t bytes)
{
  if (!words_in_place || sigsetjmp(words_fault, 0) != 0)
    return false;
  words_filter((const uintptr_t *)low, bytes / sizeof(uintptr_t));
  return true;
}

/* The page after what could be copied is gone; what lies behind it may not be. */
static uintptr_t words_scan_piece(uintptr_t low, size_t bytes)
{
  size_t page = gcx__page_bytes();
  size_t got;

  if (words_filter_in_place(low, bytes))
    return low + bytes;
  got = gcx__maps_copy(words_piece, low, bytes);
  words_filter(words_piece, got / sizeof(uintptr_t));
  return got == bytes ? low + bytes : ((low + got) & ~(page - 1)) + page;
}

void gcx__words_scan(uintptr_t low, uintptr_t high)
{
  const uintptr_t mask = sizeof(uintptr_t) - 1;

  low = (low + mask) & ~mask;
  high &= ~mask;
  if (words_span == 0)
    return;
  while (low < high && !words_lost) {
    size_t bytes = GCX_MIN(high - low, WORDS_PIECE_BYTES);
    if (words_room(WORDS_PIECE))
      low = words_scan_piece(low, bytes);
    else
      words_lost = true;
  }
}

bool gcx__words_found(const uintptr_t **ret_low, const uintptr_t **ret_high)
{
  *ret_low = words_now.words;
  *ret_high = words_now.words + words_count;
  return !words_lost;
}
