/* SPDX-License-Identifier: MIT */
/*
 * record.h - what gcx knows about one tracked object, off the heap
 *
 * A record is a number. Its parts lie in chunks of vm memory that never move and
 * are never freed: a hot array of hidden pointers, all that a collection has to
 * walk; what has become of the object, which is all that is looked at when one
 * was disposed or goes; and a cold one with the rest.
 */
#ifndef GCX_RECORD_H
#define GCX_RECORD_H

#include "assert.h"

/* ---- state word: the state in the low bits, flags above */
enum gcx__state {
  GCX_STATE_FREE = 0, /* number not in use */
  GCX_STATE_LIVE,
  GCX_STATE_DISPOSING, /* its dispose function is running */
  GCX_STATE_DISPOSED,
  GCX_STATE_LOST,     /* found unreachable, kept, not yet reported */
  GCX_STATE_REPORTED, /* reported as lost, kept for ever */
};
#define GCX_STATE_MASK 7u
#define GCX_FLAG_AUX 8u         /* @link is the number of its aux entry */
#define GCX_FLAG_SUPPRESSED 16u /* neither finalized nor reported */
#define GCX_FLAG_OPTIONAL 32u   /* no disposal expected */
#define GCX_FLAG_SECRET 64u
#define GCX_FLAG_ATOMIC 128u
#define GCX_FLAG_CANARY 256u     /* lost on purpose, by gcx_verdict() */
#define GCX_FLAG_FALSE 512u      /* was reported falsely: never again */
#define GCX_FLAG_BIG 1024u       /* size in the aux entry */
#define GCX_FLAG_FINALIZER 2048u /* its type has a finalizer */
#define GCX_FLAG_WEAK 4096u /* weak things know it, or did: a key, a target */
#define GCX_FLAG_CRITICAL 8192u /* its type is critical */
#define GCX_FLAG_PENDING 16384u /* queued for its finalizer; kept until then */
#define GCX_FLAG_FINALIZED 32768u /* its finalizer has run, or is running */
#define GCX_FLAG_DUE 65536u       /* queued to be disposed; kept until then */
#define GCX_FLAG_POOLED 131072u   /* a pool's, which its type tells */
#define GCX_FLAG_CLAIMED 262144u  /* in the hands of its pool's functions */
/* Waits in its pool: nobody may use it; its return is in @link. */
#define GCX_FLAG_IDLE 524288u
/* The bits above: of which tables it is a key, or was. 0: of none; a place in
 * table.c's list of tables by number; or several of these. */
#define GCX_STATE_TABLES_SHIFT 20
#define GCX_STATE_TABLES 0xfff00000u
#define GCX_TABLES_SEVERAL 4095u

struct gcx__record {
  uint32_t type;  /* gcx__type_at(); 0: none */
  uint32_t site;  /* allocation stack */
  uint32_t bytes; /* asked for; see GCX_FLAG_BIG */
  uint32_t tid;   /* thread that allocated it */
  uint32_t birth_ms;
  uint32_t birth_order; /* ascending with time, modulo 2^32 */
};

struct gcx__fate {
  uint32_t state;
  uint32_t link; /* aux entry; once disposed: the dispose stack; of a free
                         number: the next free one */
};

#define GCX__RECORD_CHUNK_BITS 16
#define GCX__RECORD_CHUNK (1u << GCX__RECORD_CHUNK_BITS)
#define GCX__RECORD_CHUNKS 16384u /* 2^30 records */

struct gcx__record_chunk {
  uintptr_t hot[GCX__RECORD_CHUNK]; /* GCX_HIDE(object), 0: none */
  struct gcx__fate fate[GCX__RECORD_CHUNK];
  struct gcx__record cold[GCX__RECORD_CHUNK];
};

extern struct gcx__record_chunk
    *gcx__record_chunks[GCX__RECORD_CHUNKS] GCX_HIDDEN;
extern uint32_t gcx__record_limit
    GCX_HIDDEN; /* numbers below it may be in use */

static inline struct gcx__record_chunk *gcx__record_chunk_of(uint32_t number)
{
  return gcx__record_chunks[number >> GCX__RECORD_CHUNK_BITS];
}

static inline struct gcx__record *gcx__record_in(struct gcx__record_chunk *c,
                                                 uint32_t number)
{
  return &c->cold[number & (GCX__RECORD_CHUNK - 1)];
}

static inline struct gcx__fate *gcx__record_fate_in(struct gcx__record_chunk *c,
                                                    uint32_t number)
{
  return &c->fate[number & (GCX__RECORD_CHUNK - 1)];
}

static inline uintptr_t *gcx__record_hot_in(struct gcx__record_chunk *c,
                                            uint32_t number)
{
  return &c->hot[number & (GCX__RECORD_CHUNK - 1)];
}

static inline struct gcx__record *gcx__record_at(uint32_t number)
{
  return gcx__record_in(gcx__record_chunk_of(number), number);
}

static inline struct gcx__fate *gcx__record_fate(uint32_t number)
{
  return gcx__record_fate_in(gcx__record_chunk_of(number), number);
}

static inline uintptr_t *gcx__record_hot(uint32_t number)
{
  return gcx__record_hot_in(gcx__record_chunk_of(number), number);
}

static inline void *gcx__record_object(uint32_t number)
{
  uintptr_t h = __atomic_load_n(gcx__record_hot(number), __ATOMIC_ACQUIRE);
  return h == 0 ? NULL : GCX_REVEAL(h);
}

static inline uint32_t gcx__record_state(uint32_t number)
{
  return __atomic_load_n(&gcx__record_fate(number)->state, __ATOMIC_ACQUIRE);
}

/* Disposed for good, or back in its pool: not the caller's any more. */
static inline bool gcx__record_has_ended(uint32_t state)
{
  return (state & GCX_STATE_MASK) == GCX_STATE_DISPOSED ||
         (state & GCX_FLAG_IDLE) != 0;
}

/* The one place where a state word changes once its record is published. */
static inline bool gcx__record_change_in(struct gcx__fate *f, uint32_t from,
                                         uint32_t to)
{
  return __atomic_compare_exchange_n(&f->state, &from, to, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline bool gcx__record_change(uint32_t number, uint32_t from,
                                      uint32_t to)
{
  return gcx__record_change_in(gcx__record_fate(number), from, to);
}

/* The same where the object is nobody else's yet: a pool lends it. */
static inline void gcx__record_lend(uint32_t number, uint32_t state)
{
  __atomic_store_n(&gcx__record_fate(number)->state, state, __ATOMIC_RELEASE);
}

/* Is @number one that was ever given out? Any value may be asked. */
static inline bool gcx__record_exists(uint32_t number)
{
  return number != 0 &&
         number < __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
}

/* Visible to the collection from here on: last step of an allocation. @hot is
 * gcx__record_hot(number). */
static inline void gcx__record_publish_at(uintptr_t *hot, void *object)
{
  __asm__ volatile("" : "+r"(object) : : "memory");
  __atomic_store_n(hot, GCX_HIDE(object), __ATOMIC_RELEASE);
}

static inline void gcx__record_publish(uint32_t number, void *object)
{
  gcx__record_publish_at(gcx__record_hot(number), object);
}

static inline void gcx__record_unpublish(uint32_t number)
{
  __atomic_store_n(gcx__record_hot(number), 0, __ATOMIC_RELEASE);
  __atomic_store_n(&gcx__record_fate(number)->state, GCX_STATE_FREE,
                   __ATOMIC_RELEASE);
}

/* Up to @max free numbers, ascending where possible; fewer or 0 without memory.
 * Takes a lock. */
uint32_t gcx__record_take(uint32_t *ret_numbers, uint32_t max);
/* Numbers that are not published (any more). Takes a lock. */
void gcx__record_give(const uint32_t *numbers, uint32_t n);
/* In the stopped world: unpublish @number of @c and give it back, in front of
 * @chain. */
extern uint32_t gcx__record_freed_stopped GCX_HIDDEN; /* the chain of all */
static inline void gcx__record_drop_stopped(struct gcx__record_chunk *c,
                                            uint32_t number, uint32_t *chain)
{
  *gcx__record_hot_in(c, number) = 0;
  *gcx__record_fate_in(c, number) =
      (struct gcx__fate){ .state = GCX_STATE_FREE, .link = *chain };
  *chain = number;
}

/* The child of a fork: numbers in use stay the parent's, and no free one of them
 * is given out again. What they track is not the child's to answer for, so nothing
 * of it is born again either, until the child adopts it: then this is 0. */
extern uint32_t gcx__record_inherited GCX_HIDDEN; /* all numbers below it are */
void gcx__record_after_fork(void);

static inline bool gcx__record_is_inherited(uint32_t number)
{
  return number < __atomic_load_n(&gcx__record_inherited, __ATOMIC_RELAXED);
}

/* Objects tracked, for tests and statistics. */
size_t gcx__record_count(void);

#endif
