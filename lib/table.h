/* SPDX-License-Identifier: MIT */
/*
 * table.h - tables as the files that implement them see them
 */
#ifndef GCX_TABLE_INTERNAL_H
#define GCX_TABLE_INTERNAL_H

#include "../include/gcx/table.h"
#include "entries.h"
#include "latch.h"
#include "list.h"
#include "read.h"
#include "thing.h"

#define GCX__TABLE_SIGNATURE UINT64_C(0x6763782d7461626c) /* "gcx-tabl" */
extern const struct gcx__thing_kind gcx__table_kind GCX_HIDDEN;

/* The object that the program has; the rest lies off-heap. */
struct gcx_table {
  uint64_t signature;
  struct gcx__table *state;
  bool borrows; /* as in the state, which may be another table's later */
};

/* Two cache lines: what readers look at, and what each change writes. */
struct gcx__table {
  struct gcx__entries *entries; /* NULL: none yet, or ended */
  uintptr_t self;               /* hidden object; 0: it has ended */
  struct gcx__link link;        /* in the list of all tables */
  struct gcx__table *next_free;
  struct gcx__table *next_in_place; /* in the list by number */
  uint64_t ended_in;                /* epoch in which it ended */
  uint16_t place;                   /* see GCX_STATE_TABLES */
  bool borrows;
  bool visited; /* ephemeron.c, in a stop */

  struct gcx__latch latch __attribute__((aligned(64))); /* who changes it */
  /* The rest by its holder, but @ended. */
  uint64_t added;               /* entries, ever */
  uint64_t removed;             /* of those */
  uint64_t ended;               /* of those, in stops */
  uint64_t serial;              /* of the next entry */
  struct gcx__entries *retired; /* arrays that readers may look at, latest
                                   first */
  uint64_t freed_until;         /* gcx__read_safe when some last went */
};

static inline size_t gcx__table_live(const struct gcx__table *t)
{
  return (size_t)(__atomic_load_n(&t->added, __ATOMIC_RELAXED) -
                  __atomic_load_n(&t->removed, __ATOMIC_RELAXED) -
                  __atomic_load_n(&t->ended, __ATOMIC_RELAXED));
}

/* State of a table that the program gave to @function; NULL if it is none, or
 * has ended. */
static inline struct gcx__table *gcx__table_of(const struct gcx_table *t,
                                               const char *function,
                                               const struct gcx__frame *start)
{
  return gcx__thing_check(t, &gcx__table_kind, function, start) ? t->state
                                                                : NULL;
}

/* The strong pointer in a word that a stop may clear; the caller holds the latch.
 * False: it is cleared. */
static inline bool gcx__table_reveal(const uintptr_t *word, void **ret_p)
{
  uintptr_t h;

  do {
    h = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    if (h == 0)
      return false;
    GCX_DELAY_HIDDEN(h);
    *ret_p = GCX_REVEAL(h);
    __asm__ volatile("" : : "r"(*ret_p) : "memory");
  } while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != h);
  return true;
}

void gcx__table_after_fork(void);

/* List of all tables: with the world stopped. */
extern struct gcx__link gcx__table_list GCX_HIDDEN;

/* table.c, for dependent.c too: a table that need not be the program's. */
struct gcx__table *gcx__table_make(bool borrows);
void gcx__table_publish(struct gcx__table *t, void *self);
void gcx__table_end(struct gcx__table *t);
void gcx__table_note_dead(
    struct gcx__table *t); /* stopped: its object is gone */

/* table-change.c. @self is the object that @t is the state of, held by the caller:
 * it may be disposed by another thread meanwhile, and @t be the state of another
 * table; then nothing is changed.
 *
 * @replace: else -EEXIST if there is one. */
int gcx__table_put(struct gcx__table *t, const void *self, const void *key,
                   void *value, bool replace);
/* Of an entry that is there; -EINVAL: there is none (any more). */
int gcx__table_change(struct gcx__table *t, const void *self, const void *key,
                      void *value);
/* False: there is none (any more). The caller lets go of the value. */
bool gcx__table_take(struct gcx__table *t, const void *self, const void *key,
                     void **ret_value);
void gcx__table_clear(struct gcx__table *t, const void *self);
void gcx__table_clear_locked(struct gcx__table *t); /* the latch is held */

/* An entry with this value has ended, of a table that @borrows or not. The caller
 * holds @value. */
void gcx__table_let_go(bool borrows, void *value);

/* No latch is held. Retired arrays go after a stop: many are a reason for one. */
void gcx__table_ask_for_collection(void);

/* table-change.c, for table.c, which knows all tables: */
void gcx__table_free_arrays(struct gcx__table *t); /* no reader is left */
void gcx__table_trim_arrays(struct gcx__table *t);
void gcx__table_follow_in(struct gcx__table *t, void *old, void *now);
void gcx__table_repair(struct gcx__table *t); /* after a fork */

/* table-iter.c: the first entry; false: there is none */
bool gcx__table_first(struct gcx__table *t, void **ret_key, void **ret_value);

/* table-read.c */
bool gcx__table_lookup(struct gcx__table *t, uintptr_t key, void **ret_value);

/* ephemeron.c: hangs itself into the termination phase. */
void gcx__ephemeron_init(void);
struct gcx__ephemeron_work {
  uint64_t entries; /* looked at */
  uint64_t waited;  /* entries whose key was unmarked then */
  uint64_t probes;  /* of the index of those */
  uint64_t marked;  /* objects marked for them */
};
/* Of the latest stop. */
void gcx__ephemeron_last(struct gcx__ephemeron_work *ret_work);

/* The object of the record @number, at @old, is at @now from here on; NULL: its
 * memory goes back. */
void gcx__table_follow(uint32_t number, void *old, void *now);

/* World running, after a collection: memory that nobody needs goes. */
void gcx__table_trim(void);

size_t gcx__table_tables(void);             /* tests: tables alive */
uint64_t gcx__table_followed(void);         /* tests: looked at for that */
void gcx__table_check(struct gcx_table *t); /* tests */

#endif
