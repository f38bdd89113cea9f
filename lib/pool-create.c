/* SPDX-License-Identifier: MIT */
/*
 * pool-create.c - the pool as an object: configured and made
 *
 * Members have a type of their own for each pool, whose base is the configured
 * one: that tells in one comparison whether a pool has lent an object.
 */
#include "pool.h"

#include <errno.h>

#include "out.h"
#include "type.h"

#define MAX_BYTES ((size_t)1 << 30)
#define DEFAULT_MAX_BYTES ((size_t)1 << 20)
#define DEFAULT_KEPT_BYTES ((size_t)16 << 20)
#define DEFAULT_KEPT 64
#define MAX_KEPT ((size_t)1 << 24)

static int pool_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_pool *p = obj;
  struct gcx__out o;

  if (p->signature != GCX__POOL_SIGNATURE)
    return -EINVAL;
  gcx__out_init(&o, -1, buf, n);
  gcx__out_text(&o, p->pool->name);
  return 0;
}

const struct gcx_type gcx__pool_type =
    GCX_TYPE_INIT("struct gcx_pool", sizeof(struct gcx_pool), 0, NULL,
                  gcx__pool_dispose, NULL, pool_describe);

/* Its members' own type runs before the configured one. */
static int pool_member_dispose(void *obj)
{
  const struct gcx__record *r = gcx__record_at(gcx__object_number(obj));
  struct gcx__pool *pool = GCX_CONTAINER_OF(
      (void *)(uintptr_t)gcx__type_at(r->type), struct gcx__pool, type);

  __atomic_fetch_sub(&pool->members, 1, __ATOMIC_RELAXED);
  if (pool->config.destroy != NULL)
    pool->config.destroy(obj);
  return 0;
}

static size_t pool_or(size_t value, size_t otherwise)
{
  return value != 0 ? value : otherwise;
}

static bool pool_lends_objects(const struct gcx_pool_config *c)
{
  return c->type != NULL || c->object_bytes != 0;
}

static bool pool_config_is_good(const struct gcx_pool_config *c)
{
  bool functions = c->create != NULL || c->check != NULL || c->reset != NULL ||
                   c->destroy != NULL;

  return (c->flags & ~(GCX_POOL_ATOMIC | GCX_POOL_CLEAR)) == 0 &&
         c->max_bytes <= MAX_BYTES && c->max_kept <= MAX_KEPT &&
         (c->type == NULL || gcx__type_fault(c->type) == NULL) &&
         (pool_lends_objects(c) || !functions);
}

static void pool_names(struct gcx__pool *pool)
{
  const char *name = pool->config.name != NULL ? pool->config.name : "pool";
  struct gcx__out o;

  gcx__out_init(&o, -1, pool->name, sizeof pool->name);
  gcx__out_text(&o, name);
  pool->config.name = pool->name;
  gcx__out_init(&o, -1, pool->type_name, sizeof pool->type_name);
  if (pool->config.type != NULL)
    gcx__out_text(&o, pool->config.type->name);
  else
    gcx__out_fmt(&o, "%s of %s", pool->lends_buffers ? "buffer" : "object",
                 pool->name);
}

static uint32_t pool_lent_flags(const struct gcx_pool_config *c)
{
  unsigned type_flags = c->type != NULL ? c->type->flags : 0;
  uint32_t flags = GCX_STATE_LIVE | GCX_FLAG_POOLED;

  if ((c->flags & GCX_POOL_ATOMIC) != 0 || (type_flags & GCX_TYPE_ATOMIC) != 0)
    flags |= GCX_FLAG_ATOMIC;
  if ((c->flags & GCX_POOL_CLEAR) != 0 || (type_flags & GCX_TYPE_SECRET) != 0)
    flags |= GCX_FLAG_SECRET;
  if ((type_flags & GCX_TYPE_OPTIONAL) != 0)
    flags |= GCX_FLAG_OPTIONAL;
  return flags;
}

static void pool_configure(struct gcx__pool *pool,
                           const struct gcx_pool_config *c)
{
  pool->config = *c;
  pool->config.arg = NULL;
  pool->config.max_bytes = pool_or(c->max_bytes, DEFAULT_MAX_BYTES);
  pool->config.max_kept_bytes = pool_or(c->max_kept_bytes, DEFAULT_KEPT_BYTES);
  pool->config.max_kept = pool_or(c->max_kept, DEFAULT_KEPT);
  pool->lends_buffers = !pool_lends_objects(c);
  pool->lent_flags = pool_lent_flags(c);
  pool_names(pool);
  pool->type = (struct gcx_type){
    .name = pool->type_name,
    .size = c->object_bytes != 0 ? c->object_bytes
            : c->type != NULL    ? c->type->size
                                 : 0,
    .base = c->type,
    .dispose = pool->lends_buffers ? NULL : pool_member_dispose,
  };
}

struct gcx_pool *gcx_pool_create(const struct gcx_pool_config *config)
{
  static const struct gcx_pool_config defaults;
  const struct gcx_pool_config *c = config != NULL ? config : &defaults;
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__pool *pool;
  struct gcx_pool *p;
  size_t anchors;

  if (!pool_config_is_good(c)) {
    errno = EINVAL;
    return NULL;
  }
  pool = gcx__pool_new();
  if (pool == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  pool_configure(pool, c);
  anchors = pool->lends_buffers ? 0 : pool->config.max_kept;
  p = gcx__object_alloc_of(&gcx__pool_type,
                           sizeof *p + anchors * sizeof(void *), 0, &start);
  if (p == NULL) {
    gcx__pool_free(pool);
    errno = ENOMEM;
    return NULL;
  }
  p->pool = pool;
  p->type_number = pool->type_number;
  p->lends_buffers = pool->lends_buffers;
  p->max_bytes = pool->lends_buffers ? pool->config.max_bytes : pool->type.size;
  p->max_class = gcx__pool_class(p->max_bytes);
  p->wipes = (pool->lent_flags & GCX_FLAG_SECRET) != 0;
  p->arg = c->arg;
  gcx__pool_begin(pool, p);
  p->id = pool->id;
  p->signature = GCX__POOL_SIGNATURE;
  return p;
}
