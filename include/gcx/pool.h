/* SPDX-License-Identifier: MIT */
/*
 * gcx/pool.h - pools: buffers and objects that are lent, given back, lent again
 *
 * What a pool has lent is an object like any other: whoever forgets it is
 * stopped with GCX-LEAK and the stack that *took* it, although the pool knows
 * the memory. The pool holds what is idle, and nothing of what is taken.
 *
 *   struct gcx_pool_config config = { .name = "blocks", .max_bytes = 65536 };
 *   struct gcx_pool *blocks = gcx_pool_create(&config);
 *   char *block = gcx_pool_take(blocks, 4096);
 *   ...
 *   gcx_pool_return(blocks, block);
 *   gcx_dispose(blocks);      when everything has been given back
 *
 * gcx_pool_return() recycles; gcx_dispose() of what was taken ends it for ever,
 * for a connection that broke, say. A pointer to what was given back is as dead
 * as one to a disposed object, and recognised as long as the pool has not lent
 * the memory again.
 */
#ifndef GCX_POOL_H
#define GCX_POOL_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gcx_pool; /* an object: gcx_dispose() ends it */
struct gcx_type;

/* Its buffers hold no pointers to collected memory: they are not scanned. */
#define GCX_POOL_ATOMIC 1u
/* What is given back is wiped at once. */
#define GCX_POOL_CLEAR 2u

/* All of it may be zero. Without type, object_bytes and functions the pool lends
 * buffers, of sizes that are powers of two from 64 bytes on, and what they hold
 * when taken is not defined. Otherwise it lends objects that are alike. */
struct gcx_pool_config {
  const char *name; /* in reports; copied; NULL: "pool" */
  unsigned flags;   /* GCX_POOL_* */
  size_t max_bytes; /* a larger buffer can be taken, but is not kept when it
                            is given back; 0: 1 MiB; at most 1 GiB */
  size_t max_kept_bytes; /* idle at the most, all together; 0: 16 MiB */
  size_t max_kept;       /* idle objects at the most (not buffers); 0: 64 */

  /* ---- objects */
  const struct gcx_type *type; /* what they are; its dispose ends one */
  size_t object_bytes;         /* their size; 0: the type's */
  /* Make one, zeroed memory before; 0 or -errno. */
  int (*create)(void *obj, void *arg);
  /* Is an idle one still good? Asked before it is lent again; false: it is
   * disposed and the next one is tried. */
  bool (*check)(void *obj, void *arg);
  /* One is given back: make it ready for the next user; not 0: it is disposed
   * instead. With leak=dispose also on the finalizer thread. */
  int (*reset)(void *obj, void *arg);
  /* One ends, for whatever reason, before its type's dispose. */
  void (*destroy)(void *obj);
  void *arg; /* kept reachable by the pool */
};

struct gcx_pool_stats {
  uint64_t taken;     /* calls of gcx_pool_take() that lent something */
  uint64_t created;   /* for which something new was made */
  uint64_t returned;  /* calls of gcx_pool_return() that took something back */
  uint64_t dropped;   /* given back, but not kept: too large, too many, unfit */
  uint64_t reclaimed; /* forgotten, and taken back by leak=dispose */
  size_t idle;        /* buffers or objects that wait to be lent */
  size_t idle_bytes;  /* theirs */
};

#ifndef GCX_DISABLE /* else: gcx/shim-pool.h */

/**
 * gcx_pool_create - a pool
 * @config: what it lends; copied; NULL: buffers, all defaults
 *
 * Disposing the pool ends what is idle. What is still taken then is named by
 * GCX-POOL-OUTSTANDING.
 *
 * Return:    the pool, ended by gcx_dispose(); NULL
 * Errors:    NULL and errno: EINVAL (an unknown flag, max_bytes above 1 GiB, a
 *            type that gcx_new() would refuse, functions without a size);
 *            ENOMEM
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_pool *gcx_pool_create(const struct gcx_pool_config *config)
    GCX_WARN_UNUSED GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_pool_take - lend a buffer or an object
 * @p:     a pool
 * @bytes: wanted; of a pool of objects at most their size (0: just one)
 *
 * The collector tracks it from here on: its birth is this call. gcx_size() is
 * @bytes. A buffer holds what its last user left in it, unless the pool has
 * GCX_POOL_CLEAR: then, and when it is new, zeroes.
 *
 * Return:    the buffer or object, 16-aligned; NULL
 * Errors:    NULL and errno: ENOMEM; EINVAL (@bytes above the objects' size, a
 *            disposed pool); what the create function returned
 * Fatal:     GCX-BAD-POINTER, GCX-USE-AFTER-DISPOSE for @p
 * Ownership: the caller owes a gcx_pool_return() or gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: when nothing idle is large enough
 */
GCX_API void *gcx_pool_take(struct gcx_pool *p, size_t bytes) GCX_WARN_UNUSED;

/**
 * gcx_pool_return - give back what was taken
 * @p:   the pool that has lent it
 * @buf: from gcx_pool_take(); NULL is harmless
 *
 * From any thread, once. An owner (gcx_own), touches and gcx_suppress_finalize()
 * end with it; what the object owns stays with it. A buffer that is too large or
 * too many to be kept is disposed.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-POOL-RETURN when @p has not lent @buf (another pool has, or
 *            nobody), or has it back already, with both stacks;
 *            GCX-BAD-POINTER, GCX-USE-AFTER-DISPOSE for @p; GCX-CORRUPT when the
 *            end of @buf was overwritten
 * Ownership: ends the caller's duty
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API void gcx_pool_return(struct gcx_pool *p, void *buf);

/**
 * gcx_pool_trim - end what is idle
 * @p:          a pool
 * @keep_bytes: so much may stay
 *
 * Buffers that other threads have at hand stay.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-USE-AFTER-DISPOSE for @p
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_pool_trim(struct gcx_pool *p, size_t keep_bytes);

/**
 * gcx_pool_stats_read - what the pool has done
 * @p:         a pool
 * @ret_stats: receives the numbers
 *
 * Numbers of threads that use the pool meanwhile may be a moment old.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-USE-AFTER-DISPOSE for @p
 * Ownership: none
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_pool_stats_read(struct gcx_pool *p,
                                 struct gcx_pool_stats *ret_stats);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-pool.h>
#endif

#endif
