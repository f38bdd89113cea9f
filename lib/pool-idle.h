/* SPDX-License-Identifier: MIT */
/*
 * pool-idle.h - the pools there are, and what waits in them
 */
#ifndef GCX_POOL_IDLE_H
#define GCX_POOL_IDLE_H

#include "../include/gcx/pool.h"
#include "lock.h"
#include "object.h"

#define GCX__POOL_CLASS_MIN_BITS 6 /* 64 bytes */
#define GCX__POOL_CLASSES 25u      /* up to 1 GiB */
#define GCX__POOL_AT_HAND 16u      /* buffers of a class that a thread keeps */
#define GCX__POOL_HANDS 4u         /* pools of which a thread keeps some */
#define GCX__POOL_RECENT 64u

/* Numbers of idle members, in vm memory. */
struct gcx__pool_shelf {
  uint32_t *numbers;
  size_t count;
  size_t capacity;
};

/*
 * What gcx keeps of a pool outside the collected heap: reused, never unmapped,
 * since the type of its members is in it.
 */
struct gcx__pool {
  struct gcx_type type;   /* of the members; first */
  uint32_t type_number;   /* given once */
  uint32_t id;            /* another one for each life; 0: none */
  uintptr_t hidden;       /* the struct gcx_pool, complemented; 0: dead */
  uint32_t object_number; /* its record */
  struct gcx__pool *next; /* in the list of all */
  struct gcx_pool_config
      config; /* without arg, which is in the struct gcx_pool */
  bool lends_buffers;
  bool is_free;        /* may be used for another pool */
  uint32_t lent_flags; /* state of a member that is taken */
  size_t tokens;       /* bytes that may still be kept; see pool-idle.c */
  struct gcx__pool_shelf shelf[GCX__POOL_CLASSES];
  struct gcx_pool_stats stats; /* of what threads do not count themselves */
  uint64_t members;            /* made and not ended, as far as is known */
  char name[64];
  char type_name[96];
};

/* Buffers of one pool that a thread has at hand; only that thread changes it,
 * but for whoever disposes the pool. */
struct gcx__pool_hand {
  uint32_t id; /* of the pool; 0: unused */
  struct gcx__pool *pool;
  size_t tokens;
  uint64_t taken, returned;
  uint32_t count[GCX__POOL_CLASSES];
  uint32_t numbers[GCX__POOL_CLASSES][GCX__POOL_AT_HAND];
};

/* Where the trailers of large buffers are: their cells are not remembered by
 * object.h. As there, only a hint. */
struct gcx__pool_recent {
  uintptr_t hidden;
  uint32_t collection;
  uint32_t cell;
};

struct gcx__pools {
  struct gcx__pool_hand hand[GCX__POOL_HANDS];
  struct gcx__pool_recent recent[GCX__POOL_RECENT];
  struct gcx__pools *next_free;
};

extern struct gcx__lock gcx__pool_lock; /* GCX_RANK_POOLS */

/* Class of the smallest buffer of @bytes, which are not too many. */
static inline unsigned gcx__pool_class(size_t bytes)
{
  return bytes <= (1u << GCX__POOL_CLASS_MIN_BITS)
             ? 0
             : 64 - (unsigned)__builtin_clzl(bytes - 1) -
                   GCX__POOL_CLASS_MIN_BITS;
}

/* Class that a cell with so much room can serve. */
static inline unsigned gcx__pool_class_of_room(size_t room)
{
  return 63 - (unsigned)__builtin_clzl(room) - GCX__POOL_CLASS_MIN_BITS;
}

static inline size_t gcx__pool_class_bytes(unsigned class)
{
  return (size_t)1 << (class + GCX__POOL_CLASS_MIN_BITS);
}

/* The thread's hand of the pool @id, NULL if it has none. */
static inline struct gcx__pool_hand *gcx__pool_hand(const struct gcx__thread *t,
                                                    uint32_t id)
{
  struct gcx__pool_hand *h;

  if (GCX_UNLIKELY(t == NULL || t->pools == NULL))
    return NULL;
  h = &t->pools->hand[id % GCX__POOL_HANDS];
  return GCX_LIKELY(h->id == id) ? h : NULL;
}

/* The quick halves of gcx__pool_get() and gcx__pool_put(): no lock. */
static inline uint32_t gcx__pool_hand_get(struct gcx__pool_hand *h,
                                          unsigned class, void **ret_object)
{
  uint32_t n = h->count[class], number;
  void *object;

  if (GCX_UNLIKELY(n == 0))
    return 0;
  number = h->numbers[class][n - 1];
  object = gcx__record_object(number);
  __asm__ volatile("" : "+r"(object) : : "memory");
  h->count[class] = n - 1;
  h->tokens += gcx__pool_class_bytes(class);
  *ret_object = object;
  return number;
}

static inline bool gcx__pool_hand_put(struct gcx__pool_hand *h, unsigned class,
                                      uint32_t number)
{
  uint32_t n = h->count[class];
  size_t bytes = gcx__pool_class_bytes(class);

  if (GCX_UNLIKELY(n == GCX__POOL_AT_HAND || h->tokens < bytes))
    return false;
  h->numbers[class][n] = number;
  h->tokens -= bytes;
  __asm__ volatile("" : : : "memory");
  h->count[class] = n + 1;
  return true;
}

/* Under the lock: a shelf is used as a stack. False: no memory. */
bool gcx__pool_shelve_locked(struct gcx__pool_shelf *s, uint32_t number);
uint32_t gcx__pool_unshelve_locked(struct gcx__pool_shelf *s,
                                   void **ret_object);

/* pool-list.c.
 * A pool that is not in use, all but type_number and next zero; NULL without
 * memory. It lives from gcx__pool_begin() on. */
struct gcx__pool *gcx__pool_new(void);
void gcx__pool_begin(struct gcx__pool *pool, void *object);
/* No idle buffer is lent or kept any more. */
void gcx__pool_end(struct gcx__pool *pool);
/* Give a pool back that never began, or whose members are all ended. */
void gcx__pool_free(struct gcx__pool *pool);

/* Have a hand for @t; NULL without memory, or if @t is none of the list's. */
struct gcx__pool_hand *gcx__pool_have_hand(struct gcx__thread *t,
                                           struct gcx__pool *pool);

/* An idle buffer of @class, its number; 0: none. It stays marked until the
 * caller has loaded its address: *@ret_object. */
uint32_t gcx__pool_get(struct gcx__pool_hand *h, struct gcx__pool *pool,
                       unsigned class, void **ret_object);
/* Keep a buffer; false: there is no room for it. */
bool gcx__pool_put(struct gcx__pool_hand *h, struct gcx__pool *pool,
                   unsigned class, uint32_t number);
/* Take any idle buffer away from the shelves and @h while more than @keep_bytes
 * are there; 0: no more. */
uint32_t gcx__pool_evict(struct gcx__pool_hand *h, struct gcx__pool *pool,
                         size_t keep_bytes, void **ret_object);
/* All hands of it are emptied onto its shelves: nobody else uses it. */
void gcx__pool_gather(struct gcx__pool *pool);
void gcx__pool_sum(struct gcx__pool *pool, struct gcx_pool_stats *ret_stats);

/* The struct gcx_pool, reachable from here on; NULL: it is gone. */
void *gcx__pool_object(const struct gcx__pool *pool);

/* The termination phase; see termination.h. */
void gcx__pool_mark_idle(void);
void gcx__pool_clear_dead(void);

void gcx__pool_thread_leave(struct gcx__thread *t);
void gcx__pool_thread_drop(struct gcx__thread *t); /* vanished in a fork */
/* The child of a fork: idle things are the parent's. */
void gcx__pool_after_fork(void);

#endif
