/* SPDX-License-Identifier: MIT */
/*
 * base.h - attributes and small macros that every file may use; no code
 *
 * Level 0. Included first by every file of lib/.
 */
#ifndef GCX_BASE_H
#define GCX_BASE_H

#ifndef GCX_IMPL
#error "internal header of libgcx, not part of its API"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On the declaration of a variable that is read often: without it the compiler
 * takes the address from a table first. */
#define GCX_HIDDEN __attribute__((visibility("hidden")))

#define GCX_LIKELY(e) __builtin_expect(!!(e), 1)
#define GCX_UNLIKELY(e) __builtin_expect(!!(e), 0)
#define GCX_NOINLINE __attribute__((noinline))
#define GCX_NORETURN __attribute__((noreturn))
#define GCX_UNUSED __attribute__((unused))
#define GCX_MUST_CHECK __attribute__((warn_unused_result))
#define GCX_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define GCX_ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define GCX_CONTAINER_OF(ptr, type, member) \
  ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define GCX_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GCX_MAX(a, b) ((a) > (b) ? (a) : (b))

/* The value of @p is needed in a register or on the stack at this point: a
 * compiler barrier that emits nothing. What it names is a root until here. */
#define GCX_KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

/* Static data that must not keep an object alive: bounds of memory ranges, say,
 * are the addresses of objects now and then. bdw.c takes the section out of the
 * collector's roots. */
#define GCX_NOT_A_ROOT __attribute__((section("gcx_own")))

/* The same for a large array that is mostly untouched, from element @first on: it
 * stays in .bss, and a list of such ranges says where. They would be read, page by
 * page, in each collection, the one at the start of every process included. */
struct gcx__not_a_root {
  void *low;
  void *high;
};
#define GCX_NOT_A_ROOT_FROM(array, first)                  \
  static const struct gcx__not_a_root array##_not_a_root   \
      __attribute__((section("gcx_own_ranges"), used)) = { \
        &(array)[first],                                   \
        &(array)[GCX_ARRAY_LENGTH(array)],                 \
      }

/* A function of gcx's below the program's own in a stack, such as the one that a
 * thread starts in: reports leave it out, and what lies beneath. */
#define GCX_OUTERMOST __attribute__((section("gcx_outermost"), noinline))

/* Where a stop of the world would hurt if the order of things were wrong: a build
 * with --enable-delays lingers there now and then (platform-linux.c). */
#ifdef GCX_DELAYS
void gcx__delay(void);
void gcx__delay_long(void);
#define GCX_DELAY() gcx__delay()
/* Meanwhile the word @h is in a register, or on the stack, as it is: what it hides
 * is not, not even if the compiler would rather reveal it at once. Now and then
 * long enough for a collection, and for the memory to be used again. */
#define GCX_DELAY_HIDDEN(h)             \
  do {                                  \
    gcx__delay_long();                  \
    __asm__ volatile("" : "+r"(h) : :); \
  } while (0)
#else
#define GCX_DELAY() ((void)0)
#define GCX_DELAY_HIDDEN(h) ((void)0)
#endif

/* Pointers that the collector must not see are stored as their complement. */
#define GCX_HIDE(p) (~(uintptr_t)(p))
#define GCX_REVEAL(h) ((void *)~(uintptr_t)(h))

#endif
