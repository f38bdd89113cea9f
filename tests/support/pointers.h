/* SPDX-License-Identifier: MIT */
/*
 * pointers.h - pointers that are no object's start, of every kind there is
 *
 * A report about one says what it is.
 */
#ifndef GCX_TESTS_POINTERS_H
#define GCX_TESTS_POINTERS_H

#include <gc/gc.h>
#include <sys/mman.h>

#include "objects.h"

static char static_bytes[64];
static void *held; /* the object that an interior pointer points into */

static inline void *on_a_stack(void)
{
  static char *kept;
  char local[64];

  kept = opaque(local);
  /* cppcheck-suppress returnDanglingLifetime ; that is the point */
  return opaque(kept);
}

static inline void *static_data(void)
{
  return static_bytes;
}

static inline void *constant_data(void)
{
  return (void *)(uintptr_t) "a constant";
}

static inline void *from_malloc(void)
{
  return opaque(malloc(64));
}

static inline void *code(void)
{
  return (void *)(uintptr_t)&code;
}

static inline void *unmapped(void)
{
  void *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne(p, MAP_FAILED);
  return p;
}

static inline void *small_number(void)
{
  return (void *)(uintptr_t)8;
}

static inline void *end_of_memory(void)
{
  return (void *)(UINTPTR_MAX & ~(uintptr_t)15);
}

static inline void *from_the_collector(void)
{
  return GC_MALLOC(48);
}

static inline void *from_the_collector_large(void)
{
  return GC_MALLOC(100000);
}

static inline void *from_the_collector_atomic(void)
{
  return GC_MALLOC_ATOMIC(48);
}

static inline void *interior(void)
{
  held = gcx_alloc(48);
  return (char *)held + 16;
}

static inline void *misaligned(void)
{
  held = gcx_alloc(48);
  return (char *)held + 3;
}

static inline void *one_past_the_end(void)
{
  held = gcx_alloc(48);
  return (char *)held + 48;
}

static inline void *interior_of_a_large_one(void)
{
  held = gcx_alloc(100000);
  return (char *)held + 50000;
}

/* The trailer of an object, copied with the rest of it. */
static inline void *copied_to_the_collector(void)
{
  size_t cell = 48;
  char *p = gcx_alloc(40), *copy = GC_MALLOC(cell - 1);

  held = p;
  memcpy(opaque(copy), opaque(p), cell);
  return copy;
}

static const struct {
  const char *says;
  void *(*make)(void);
} pointers[] = {
  { "not in gcx's heap", on_a_stack },
  { "not in gcx's heap", static_data },
  { "not in gcx's heap", constant_data },
  { "not in gcx's heap", from_malloc },
  { "not in gcx's heap", code },
  { "not in gcx's heap", unmapped },
  { "not in gcx's heap", small_number },
  { "not in gcx's heap", end_of_memory },
  { "not a gcx object", from_the_collector },
  { "not a gcx object", from_the_collector_large },
  { "not a gcx object", from_the_collector_atomic },
  { "not a gcx object", copied_to_the_collector },
  { "points 16 bytes into an object of 48 bytes", interior },
  { "points 3 bytes into an object of 48 bytes", misaligned },
  { "points 48 bytes into an object of 48 bytes", one_past_the_end },
  { "points 50000 bytes into an object of 100000", interior_of_a_large_one },
};
#define POINTERS ((int)GCX_ARRAY_LENGTH(pointers))

static inline void end_held(void)
{
  if (held == NULL)
    return;
  ck_assert(!gcx_is_disposed(held));
  gcx_dispose(held);
  held = NULL;
}

#endif
