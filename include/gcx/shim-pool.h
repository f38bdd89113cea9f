/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim-pool.h - pools over plain calloc and free
 *
 * Not for direct use: gcx/pool.h includes it where GCX_DISABLE is defined. What
 * is given back waits on a stack, one for objects, one for each power of two of
 * buffers. A pool that is disposed ends what is idle; what is still taken stays
 * the taker's, to be ended with gcx_dispose(). Giving back twice, or to another
 * pool, is undefined, as a second dispose is.
 */
#ifndef GCX_SHIM_POOL_H
#define GCX_SHIM_POOL_H
#ifdef GCX_DISABLE

#include <gcx/pool.h>
#include <gcx/shim.h>
#include <gcx/visibility.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GCX_SHIM_POOL_LEAST 6 /* 2^6: the smallest buffer */
#define GCX_SHIM_POOL_SHELVES 25

struct gcx_shim_idle {
  void **item;
  size_t count, room;
};

/* Outlives the pool as long as members are about: they have its type. */
struct gcx_shim_pool_body {
  struct gcx_type type; /* first: of its members */
  struct gcx_pool_config config;
  struct gcx_pool_stats stats;
  struct gcx_shim_idle shelf[GCX_SHIM_POOL_SHELVES];
  size_t holders; /* members, and the pool itself */
  bool ended;
  char lock;
};

struct gcx_pool {
  struct gcx_shim_pool_body *body;
};

static inline void gcx_shim_pool_lock(struct gcx_shim_pool_body *b)
{
  while (__atomic_test_and_set(&b->lock, __ATOMIC_ACQUIRE)) {
  }
}

static inline void gcx_shim_pool_unlock(struct gcx_shim_pool_body *b)
{
  __atomic_clear(&b->lock, __ATOMIC_RELEASE);
}

static inline void gcx_shim_pool_leave(struct gcx_shim_pool_body *b)
{
  if (__atomic_sub_fetch(&b->holders, 1, __ATOMIC_ACQ_REL) != 0)
    return;
  for (int i = 0; i < GCX_SHIM_POOL_SHELVES; i++)
    free(b->shelf[i].item);
  free(b);
}

static inline bool gcx_shim_pool_lends_objects(
    const struct gcx_shim_pool_body *b)
{
  return b->type.size != 0;
}

/* Of a member; the configured type's follows as its base. */
static inline int gcx_shim_pool_member_dispose(void *obj)
{
  struct gcx_shim_pool_body *b =
      (struct gcx_shim_pool_body *)(uintptr_t)gcx_shim_of(obj)->type;

  if (b->config.destroy != NULL)
    b->config.destroy(obj);
  return 0;
}

/* The body may go with its last member. */
static inline bool gcx_shim_pool_member_gone(void *obj)
{
  struct gcx_shim_object *o = gcx_shim_of(obj);
  struct gcx_shim_pool_body *b =
      (struct gcx_shim_pool_body *)(uintptr_t)o->type;

  if ((b->config.flags & GCX_POOL_CLEAR) != 0 ||
      (b->config.type != NULL &&
       (b->config.type->flags & GCX_TYPE_SECRET) != 0))
    gcx_shim_wipe(obj, o->bytes);
  o->type = NULL;
  gcx_shim_pool_leave(b);
  return true;
}

static inline unsigned gcx_shim_pool_shelf(const struct gcx_shim_pool_body *b,
                                           size_t bytes)
{
  unsigned shelf = 0;

  if (gcx_shim_pool_lends_objects(b))
    return 0;
  while (((size_t)1 << (shelf + GCX_SHIM_POOL_LEAST)) < bytes)
    shelf++;
  return shelf;
}

static inline size_t gcx_shim_pool_bytes(const struct gcx_shim_pool_body *b,
                                         unsigned shelf)
{
  return gcx_shim_pool_lends_objects(b)
             ? b->type.size
             : (size_t)1 << (shelf + GCX_SHIM_POOL_LEAST);
}

/* NULL: nothing idle there. */
static inline void *gcx_shim_pool_get(struct gcx_shim_pool_body *b,
                                      unsigned shelf)
{
  struct gcx_shim_idle *idle = &b->shelf[shelf];
  void *item = NULL;

  gcx_shim_pool_lock(b);
  if (idle->count > 0) {
    item = idle->item[--idle->count];
    b->stats.idle--;
    b->stats.idle_bytes -= gcx_shim_pool_bytes(b, shelf);
  }
  gcx_shim_pool_unlock(b);
  return item;
}

static inline bool gcx_shim_pool_put_locked(struct gcx_shim_pool_body *b,
                                            unsigned shelf, void *item)
{
  struct gcx_shim_idle *idle = &b->shelf[shelf];
  const size_t bytes = gcx_shim_pool_bytes(b, shelf);
  const size_t room = idle->room != 0 ? 2 * idle->room : 16;
  void **grown;

  if (b->ended || b->stats.idle_bytes + bytes > b->config.max_kept_bytes ||
      (gcx_shim_pool_lends_objects(b) && idle->count >= b->config.max_kept))
    return false;
  if (idle->count == idle->room) {
    grown = (void **)realloc((void *)idle->item, room * sizeof(*grown));
    if (grown == NULL)
      return false;
    idle->item = grown;
    idle->room = room;
  }
  idle->item[idle->count++] = item;
  b->stats.idle++;
  b->stats.idle_bytes += bytes;
  return true;
}

static inline void gcx_shim_pool_count(struct gcx_shim_pool_body *b,
                                       uint64_t *which)
{
  gcx_shim_pool_lock(b);
  ++*which;
  gcx_shim_pool_unlock(b);
}

static inline void gcx_pool_trim(struct gcx_pool *p, size_t keep_bytes)
{
  struct gcx_shim_pool_body *b = p != NULL ? p->body : NULL;
  void *item;

  for (unsigned i = 0; b != NULL && i < GCX_SHIM_POOL_SHELVES; i++)
    while (b->stats.idle_bytes > keep_bytes &&
           (item = gcx_shim_pool_get(b, i)) != NULL)
      gcx_dispose(item);
}

static inline int gcx_shim_pool_dispose(void *obj)
{
  struct gcx_pool *p = (struct gcx_pool *)obj;

  gcx_shim_pool_lock(p->body);
  p->body->ended = true;
  gcx_shim_pool_unlock(p->body);
  gcx_pool_trim(p, 0);
  gcx_shim_pool_leave(p->body);
  return 0;
}

static inline bool gcx_shim_pool_is_good(const struct gcx_pool_config *c)
{
  const bool lends_objects = c->type != NULL || c->object_bytes != 0;
  const bool functions = c->create != NULL || c->check != NULL ||
                         c->reset != NULL || c->destroy != NULL;

  return (c->flags & ~(GCX_POOL_ATOMIC | GCX_POOL_CLEAR)) == 0 &&
         c->max_bytes <= ((size_t)1 << 30) &&
         (c->type == NULL || c->type->name != NULL) &&
         (lends_objects || !functions);
}

static inline void gcx_shim_pool_configure(struct gcx_shim_pool_body *b,
                                           const struct gcx_pool_config *c)
{
  b->config = *c;
  if (c->max_bytes == 0)
    b->config.max_bytes = (size_t)1 << 20;
  if (c->max_kept_bytes == 0)
    b->config.max_kept_bytes = (size_t)16 << 20;
  if (c->max_kept == 0)
    b->config.max_kept = 64;
  b->type.name = "pooled";
  b->type.size = c->object_bytes != 0 ? c->object_bytes
                 : c->type != NULL    ? c->type->size
                                      : 0;
  b->type.base = c->type;
  b->type.dispose = gcx_shim_pool_member_dispose;
  b->holders = 1;
}

GCX_WARN_UNUSED static inline struct gcx_pool *gcx_pool_create(
    const struct gcx_pool_config *config)
{
  static const struct gcx_type pool_type =
      GCX_TYPE_INIT("struct gcx_pool", sizeof(struct gcx_pool), 0, NULL,
                    gcx_shim_pool_dispose, NULL, NULL);
  struct gcx_pool_config defaults;
  struct gcx_pool *p;

  memset(&defaults, 0, sizeof(defaults));
  if (config == NULL)
    config = &defaults;
  if (!gcx_shim_pool_is_good(config))
    return (struct gcx_pool *)gcx_shim_fail(EINVAL);
  p = (struct gcx_pool *)gcx_new(&pool_type);
  if (p == NULL)
    return NULL;
  p->body = (struct gcx_shim_pool_body *)calloc(1, sizeof(*p->body));
  if (p->body == NULL) {
    gcx_discard(p);
    return (struct gcx_pool *)gcx_shim_fail(ENOMEM);
  }
  gcx_shim_pool_configure(p->body, config);
  return p;
}

static inline void *gcx_shim_pool_make(struct gcx_shim_pool_body *b,
                                       size_t bytes)
{
  void *made = gcx_shim_make(16, bytes, &b->type);
  int err;

  if (made == NULL)
    return NULL;
  gcx_shim_of(made)->may_free = gcx_shim_pool_member_gone;
  __atomic_add_fetch(&b->holders, 1, __ATOMIC_ACQ_REL);
  err = b->config.create != NULL ? b->config.create(made, b->config.arg) : 0;
  if (err != 0) {
    gcx_discard(made);
    return gcx_shim_fail(-err);
  }
  gcx_shim_pool_count(b, &b->stats.created);
  return made;
}

GCX_WARN_UNUSED static inline void *gcx_pool_take(struct gcx_pool *p,
                                                  size_t bytes)
{
  struct gcx_shim_pool_body *b = p != NULL ? p->body : NULL;
  const bool objects = b != NULL && gcx_shim_pool_lends_objects(b);
  unsigned shelf;
  void *item;

  if (b == NULL || (objects && bytes > b->type.size))
    return gcx_shim_fail(EINVAL);
  if (bytes == 0 && objects)
    bytes = b->type.size;
  if (!objects && bytes > b->config.max_bytes) {
    item = gcx_shim_pool_make(b, bytes);
  } else {
    shelf = gcx_shim_pool_shelf(b, bytes);
    while ((item = gcx_shim_pool_get(b, shelf)) != NULL &&
           b->config.check != NULL && !b->config.check(item, b->config.arg)) {
      gcx_dispose(item);
      gcx_shim_pool_count(b, &b->stats.dropped);
    }
    if (item == NULL)
      item = gcx_shim_pool_make(b, gcx_shim_pool_bytes(b, shelf));
  }
  if (item == NULL)
    return NULL;
  gcx_shim_of(item)->bytes = bytes;
  gcx_shim_pool_count(b, &b->stats.taken);
  return item;
}

static inline void gcx_pool_return(struct gcx_pool *p, void *buf)
{
  struct gcx_shim_pool_body *b = p != NULL ? p->body : NULL;
  struct gcx_shim_family *f;
  bool kept;

  if (b == NULL || buf == NULL)
    return;
  f = gcx_shim_of(buf)->family;
  if (f != NULL && f->owner != NULL)
    gcx_shim_leave(f->owner, f);
  kept = gcx_shim_of(buf)->bytes <= b->config.max_bytes ||
         gcx_shim_pool_lends_objects(b);
  if (kept && (b->config.flags & GCX_POOL_CLEAR) != 0)
    gcx_shim_wipe(buf, gcx_shim_of(buf)->bytes);
  if (kept && b->config.reset != NULL)
    kept = b->config.reset(buf, b->config.arg) == 0;
  gcx_shim_pool_lock(b);
  b->stats.returned++;
  kept = kept && gcx_shim_pool_put_locked(
                     b, gcx_shim_pool_shelf(b, gcx_shim_of(buf)->bytes), buf);
  b->stats.dropped += !kept;
  gcx_shim_pool_unlock(b);
  if (!kept)
    gcx_dispose(buf);
}

static inline void gcx_pool_stats_read(struct gcx_pool *p,
                                       struct gcx_pool_stats *ret_stats)
{
  if (p == NULL)
    return;
  gcx_shim_pool_lock(p->body);
  *ret_stats = p->body->stats;
  gcx_shim_pool_unlock(p->body);
}

#ifdef __cplusplus
}
#endif

#endif
#endif
