/* SPDX-License-Identifier: MIT */
/*
 * thing.h - what weak references, tables, dependents and holds have in common
 *
 * Each is a small object of gcx's own in the collected heap; what it knows of
 * other objects lies off-heap. Its first word is a signature, stored last when
 * it is made and cleared first when it ends.
 */
#ifndef GCX_THING_H
#define GCX_THING_H

#include "misuse.h"
#include "object.h"

struct gcx__thing {
  uint64_t signature;
};

/* A new object of @type, without a signature yet; NULL and errno. */
void *gcx__thing_new(const struct gcx_type *type,
                     const struct gcx__frame *start);

/* What a public function demands of the pointer it is given. */
struct gcx__thing_kind {
  uint64_t signature;
  const struct gcx_type *type;
  const char *what; /* "table" */
};

/* Addresses that lie between objects of the collected heap, [low, low + span), as
 * far as it was known when a thing was last looked for the slow way: any other
 * pointer is not to be read. A hole in the heap is not noticed. */
extern uintptr_t gcx__thing_low GCX_HIDDEN;
extern uintptr_t gcx__thing_span GCX_HIDDEN;

/* Slow: is @p a live thing of this kind? NULL and one that has ended are not, in
 * silence; anything else is reported. */
bool gcx__thing_look(const void *p, const struct gcx__thing_kind *kind,
                     const char *function, const struct gcx__frame *start);

/* Of any value: may it be read? */
static inline bool gcx__thing_may_be(const void *p)
{
  return (uintptr_t)p - gcx__thing_low < gcx__thing_span &&
         ((uintptr_t)p & 7) == 0;
}

/* An object was found the slow way. */
void gcx__thing_note_heap(void);

/* Is @p (not NULL) a live thing of the kind of @signature? */
static inline bool gcx__thing_is(const void *p, uint64_t signature)
{
  const struct gcx__thing *t = p;

  return GCX_LIKELY(__atomic_load_n(&t->signature, __ATOMIC_ACQUIRE) ==
                    signature);
}

/* The same of any pointer, asked by a public function. */
static inline bool gcx__thing_check(const void *p,
                                    const struct gcx__thing_kind *kind,
                                    const char *function,
                                    const struct gcx__frame *start)
{
  return GCX_LIKELY(gcx__thing_may_be(p) &&
                    gcx__thing_is(p, kind->signature)) ||
         gcx__thing_look(p, kind, function, start);
}

static inline void gcx__thing_sign(void *p, uint64_t signature)
{
  struct gcx__thing *t = p;

  __atomic_store_n(&t->signature, signature, __ATOMIC_RELEASE);
}

/* Start of an object of the collected heap? */
static inline bool gcx__thing_is_base(const void *p)
{
  return p != NULL && gcx__bdw_base(p) == p;
}

/* An object gets known to weak things: its moves and its end will be told
 * (gcx__object_on_move). True if it is gcx's. */
bool gcx__thing_know(const void *base);
/* The same for a key of a table: its place in the list by number. */
bool gcx__thing_know_key(const void *base, uint32_t place);

/* Stopped. Alive in this collection, so far? Any value may be asked: an object
 * of bdwgc's may have been freed by hand. */
static inline bool gcx__thing_is_marked(const void *p)
{
  return gcx__bdw_base(p) == p && gcx__bdw_is_marked(p);
}

#endif
