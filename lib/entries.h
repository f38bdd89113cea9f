/* SPDX-License-Identifier: MIT */
/*
 * entries.h - the array of a table: entries in the order in which they came, and
 *             an index by hash of the key
 *
 * Off-heap, pointers hidden. One thread changes an array at a time, any number
 * read it, and a stop may come at any instruction. An entry's place never changes
 * and is never given to another key: a table that needs room makes a new array.
 */
#ifndef GCX_ENTRIES_H
#define GCX_ENTRIES_H

#include "assert.h"

struct gcx__entry {
  uintptr_t key;   /* hidden; 0: none, or ended with its key */
  uintptr_t value; /* hidden; 0: removed, only the same key may come back */
  uint64_t order;  /* ascending in an array */
  uint64_t since;  /* when it was added; later than @order if it came back */
};

struct gcx__entries {
  struct gcx__entries *older; /* retired before */
  uint64_t id;                /* of this array, in the whole process */
  uint64_t retired;           /* in the epoch, see read.h */
  uint32_t capacity;          /* of entries; a power of two */
  uint32_t used;              /* entries, from the first */
  uint32_t shift;             /* of a hash, for a place in the index */
  uint32_t index_mask;        /* places in the index - 1 */
  struct gcx__entry entry[];
  /* uint32_t index[]: number of the entry + 1 in the low bits, bits of the hash
   * above; 0: free */
};

#define GCX__ENTRIES_MIN 8u
#define GCX__ENTRIES_MAX (1u << 28)

static inline uint32_t *gcx__entries_index(struct gcx__entries *a)
{
  return (uint32_t *)(void *)&a->entry[a->capacity];
}

static inline uint64_t gcx__entries_hash(uintptr_t hidden)
{
  return (~hidden >> 4) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Entry of a key, also one that was removed; NULL. Any thread that reads, or
 * holds the table. */
static inline struct gcx__entry *gcx__entries_find(struct gcx__entries *a,
                                                   uintptr_t key)
{
  uint64_t hash = gcx__entries_hash(key);
  uint32_t mask = a->index_mask, tag = (uint32_t)hash & ~mask;
  const uint32_t *index = gcx__entries_index(a);

  for (uint32_t i = (uint32_t)(hash >> a->shift);; i++) {
    uint32_t found = __atomic_load_n(&index[i & mask], __ATOMIC_ACQUIRE);

    if (found == 0)
      return NULL;
    if ((found & ~mask) == tag) {
      struct gcx__entry *e = &a->entry[(found & mask) - 1];

      if (__atomic_load_n(&e->key, __ATOMIC_ACQUIRE) == key)
        return e;
    }
  }
}

/* An empty array for so many entries at least; NULL without memory. */
struct gcx__entries *gcx__entries_make(size_t entries);
/* Nobody reads it any more. */
void gcx__entries_free(struct gcx__entries *a);

/* A new entry for a key that has none; there is room. @value hidden. */
void gcx__entries_add(struct gcx__entries *a, uintptr_t key, uintptr_t value,
                      uint64_t order, uint64_t since);

/* Those of @from that are neither ended nor removed, in their order. */
void gcx__entries_copy(struct gcx__entries *to,
                       const struct gcx__entries *from);

void gcx__entries_reset(struct gcx__entries *a); /* empty again */
void gcx__entries_after_fork(void);

/* Room that is right for so many: grows by doubling, shrinks late. */
size_t gcx__entries_room(size_t live, size_t capacity);

size_t gcx__entries_bytes(uint32_t capacity);
size_t gcx__entries_mapped(void); /* bytes of all arrays there are */
void gcx__entries_check(struct gcx__entries *a); /* tests */

#endif
