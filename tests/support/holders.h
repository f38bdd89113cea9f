/* SPDX-License-Identifier: MIT */
/*
 * holders.h - objects that one kind of holder alone refers to: are they kept, and
 *             are they collected once it lets go?
 *
 * A conservative collector frees no particular object: many, and a threshold.
 * Which objects there are is remembered as complements only.
 */
#ifndef GCX_TESTS_HOLDERS_H
#define GCX_TESTS_HOLDERS_H

#include <stdlib.h>

#include "bdw.h"

#define HOLDERS_MAX 65536
#define HOLDERS_BYTES 64
#define HOLDERS_PATTERN ((uintptr_t)0x5a5a5a5a5a5a5a5a)

static uintptr_t holders_hidden[HOLDERS_MAX];
static size_t holders_count;

static GCX_UNUSED GCX_NOINLINE void holders_make(size_t n,
                                                 void (*put)(size_t i, void *p))
{
  holders_count = n;
  for (size_t i = 0; i < n; i++) {
    uintptr_t *p = gcx__bdw_alloc(HOLDERS_BYTES, GCX_KIND_NORMAL);
    if (p == NULL)
      abort();
    p[1] = HOLDERS_PATTERN;
    p[2] = i;
    holders_hidden[i] = GCX_HIDE(p);
    put(i, p);
  }
}

/* After a collection. */
static GCX_UNUSED GCX_NOINLINE size_t holders_marked(void)
{
  size_t marked = 0;

  for (size_t i = 0; i < holders_count; i++) {
    void *p = GCX_REVEAL(holders_hidden[i]);
    marked += gcx__bdw_base(p) == p && gcx__bdw_is_marked(p);
  }
  return marked;
}

static GCX_UNUSED GCX_NOINLINE size_t holders_intact(void)
{
  size_t intact = 0;

  for (size_t i = 0; i < holders_count; i++) {
    const uintptr_t *p = GCX_REVEAL(holders_hidden[i]);
    intact += p[1] == HOLDERS_PATTERN && p[2] == i;
  }
  return intact;
}

/* What was freed is used again, and what should not have been is overwritten. */
static GCX_UNUSED GCX_NOINLINE void holders_reuse(void)
{
  for (size_t i = 0; i < 4 * holders_count; i++) {
    uintptr_t *p = gcx__bdw_alloc(HOLDERS_BYTES, GCX_KIND_NORMAL);
    if (p != NULL)
      p[1] = p[2] = ~(uintptr_t)0;
  }
}

static GCX_UNUSED GCX_NOINLINE size_t holders_collect(void)
{
  gcx__bdw_clear_stack();
  gcx__bdw_collect();
  return holders_marked();
}

#endif
