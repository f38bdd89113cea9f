/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim.h - objects over plain calloc and free, for the release that ships
 *
 * Not for direct use: the other headers include it where GCX_DISABLE is
 * defined. There is no collector then, and nothing to link.
 *
 * READ THIS FIRST: gcx_dispose() frees. As with free(), a second dispose, and
 * gcx_is_disposed() or any use afterwards, are undefined; nothing is checked,
 * nothing is reported, no finalizer runs. A type's dispose function runs as it
 * does with gcx, and may dispose the object again from inside. Every file of a
 * program is built with GCX_DISABLE, or none.
 *
 *   header | object ...        calloc(header + bytes)
 *     |
 *     +--> family              only of an object that owns or is owned
 *
 * What needs a collector is declared unavailable (GCX_API in visibility.h): it
 * does not compile, and the message names it. Hints to the collector or the
 * reports do nothing here (shim-hints.h).
 */
#ifndef GCX_SHIM_H
#define GCX_SHIM_H
#ifdef GCX_DISABLE

#include <gcx/type.h>
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

struct gcx_shim_object;

struct gcx_shim_family {
  struct gcx_shim_object *object;
  struct gcx_shim_family *owner;         /* or NULL */
  struct gcx_shim_family *children;      /* latest first */
  struct gcx_shim_family *newer, *older; /* children of the same owner */
  char lock;                             /* for children, newer, older */
};

struct gcx_shim_object {
  size_t bytes;
  const struct gcx_type *type; /* NULL: plain memory */
  struct gcx_shim_family *family;
  bool (*may_free)(void *obj); /* asked before its memory goes; NULL: it may */
  unsigned short offset;       /* bytes from what calloc returned */
  unsigned short align;
  char ending; /* its disposal has begun */
} __attribute__((aligned(16)));

/* Past the compiler, which knows from alloc_size that nothing is there. */
static inline struct gcx_shim_object *gcx_shim_of(const void *p)
{
  uintptr_t address = (uintptr_t)p;

  __asm__("" : "+r"(address));
  return (struct gcx_shim_object *)address - 1;
}

/* ---- allocation */

static inline void *gcx_shim_fail(int err)
{
  errno = err;
  return NULL;
}

static inline void *gcx_shim_make(size_t align, size_t bytes,
                                  const struct gcx_type *type)
{
  const size_t head = sizeof(struct gcx_shim_object);
  const size_t room = head + (align > 16 ? align : 0);
  uintptr_t base, start;
  struct gcx_shim_object *o;

  if (bytes > (size_t)PTRDIFF_MAX - room)
    return gcx_shim_fail(ENOMEM);
  base = (uintptr_t)calloc(1, room + bytes);
  if (base == 0)
    return gcx_shim_fail(ENOMEM);
  start = base + head;
  if (align > 16)
    start = (start + align - 1) & ~((uintptr_t)align - 1);
  o = (struct gcx_shim_object *)start - 1;
  o->bytes = bytes;
  o->type = type;
  o->offset = (unsigned short)(start - head - base);
  o->align = (unsigned short)align;
  return (void *)start;
}

static inline void gcx_shim_wipe(void *p, size_t bytes)
{
  memset(p, 0, bytes);
  __asm__ volatile("" : : "r"(p) : "memory"); /* not a dead store */
}

static inline bool gcx_shim_is_secret(const struct gcx_shim_object *o)
{
  return o->type != NULL && (o->type->flags & GCX_TYPE_SECRET) != 0;
}

static inline void gcx_shim_give_back(struct gcx_shim_object *o)
{
  if (gcx_shim_is_secret(o))
    gcx_shim_wipe(o + 1, o->bytes);
  free(o->family);
  free((char *)o - o->offset);
}

static inline void gcx_shim_free(struct gcx_shim_object *o)
{
  if (o->may_free == NULL || o->may_free(o + 1))
    gcx_shim_give_back(o);
}

GCX_ALLOC_SIZE(1) GCX_WARN_UNUSED static inline void *gcx_alloc(size_t bytes)
{
  return gcx_shim_make(16, bytes, NULL);
}

GCX_ALLOC_SIZE(1)
GCX_WARN_UNUSED static inline void *gcx_alloc_atomic(size_t bytes)
{
  return gcx_shim_make(16, bytes, NULL);
}

GCX_ALLOC_SIZE2(1, 2)
GCX_WARN_UNUSED static inline void *gcx_calloc(size_t n, size_t bytes)
{
  if (bytes != 0 && n > (size_t)-1 / bytes)
    return gcx_shim_fail(ENOMEM);
  return gcx_shim_make(16, n * bytes, NULL);
}

GCX_ALLOC_SIZE(2)
GCX_WARN_UNUSED
static inline void *gcx_aligned_alloc(size_t align, size_t bytes)
{
  if (align == 0 || (align & (align - 1)) != 0 || align > 4096)
    return gcx_shim_fail(EINVAL);
  return gcx_shim_make(align > 16 ? align : 16, bytes, NULL);
}

GCX_WARN_UNUSED
static inline void *gcx_new_extra(const struct gcx_type *type, size_t extra)
{
  const unsigned known =
      GCX_TYPE_ATOMIC | GCX_TYPE_CRITICAL | GCX_TYPE_SECRET | GCX_TYPE_OPTIONAL;

  if (type == NULL || type->name == NULL || (type->flags & ~known) != 0)
    return gcx_shim_fail(EINVAL);
  if (extra > (size_t)-1 - type->size)
    return gcx_shim_fail(ENOMEM);
  return gcx_shim_make(16, type->size + extra, type);
}

GCX_WARN_UNUSED
static inline void *gcx_new(const struct gcx_type *type)
{
  return gcx_new_extra(type, 0);
}

/* A secret, or an aligned object: copied. Otherwise where realloc puts it. */
GCX_ALLOC_SIZE(2)
GCX_WARN_UNUSED static inline void *gcx_realloc(void *p, size_t bytes)
{
  struct gcx_shim_object *o = p != NULL ? gcx_shim_of(p) : NULL;
  const size_t head = sizeof(struct gcx_shim_object);
  const size_t old = o != NULL ? o->bytes : 0;
  void *made;

  if (o == NULL)
    return gcx_alloc(bytes);
  if (o->ending)
    return gcx_shim_fail(EINVAL);
  if (bytes > (size_t)PTRDIFF_MAX - head)
    return gcx_shim_fail(ENOMEM);
  if (o->align > 16 || gcx_shim_is_secret(o)) {
    made = gcx_shim_make(o->align, bytes, o->type);
    if (made == NULL)
      return NULL;
    memcpy(made, p, old < bytes ? old : bytes);
    gcx_shim_of(made)->family = o->family;
    o->family = NULL;
    gcx_shim_free(o);
  } else {
    o = (struct gcx_shim_object *)realloc(o, head + bytes);
    if (o == NULL)
      return gcx_shim_fail(ENOMEM);
    made = o + 1;
    if (bytes > old)
      memset((char *)made + old, 0, bytes - old);
  }
  o = gcx_shim_of(made);
  o->bytes = bytes;
  if (o->family != NULL)
    o->family->object = o;
  return made;
}

GCX_WARN_UNUSED
static inline char *gcx_strndup(const char *s, size_t n)
{
  size_t length = 0;
  char *copy;

  if (s == NULL)
    return (char *)gcx_shim_fail(EINVAL);
  while (length < n && s[length] != '\0')
    length++;
  copy = (char *)gcx_alloc(length + 1);
  if (copy != NULL)
    memcpy(copy, s, length);
  return copy;
}

GCX_WARN_UNUSED
static inline char *gcx_strdup(const char *s)
{
  return gcx_strndup(s, (size_t)-1 - 1);
}

/* ---- families: owners and what they own */

static inline void gcx_shim_lock(struct gcx_shim_family *f)
{
  while (__atomic_test_and_set(&f->lock, __ATOMIC_ACQUIRE)) {
  }
}

static inline void gcx_shim_unlock(struct gcx_shim_family *f)
{
  __atomic_clear(&f->lock, __ATOMIC_RELEASE);
}

/* The object's family, made on first use; NULL without memory. */
static inline struct gcx_shim_family *gcx_shim_family_of(
    struct gcx_shim_object *o)
{
  struct gcx_shim_family *found = __atomic_load_n(&o->family, __ATOMIC_ACQUIRE);
  struct gcx_shim_family *made;

  if (found != NULL)
    return found;
  made = (struct gcx_shim_family *)calloc(1, sizeof(*made));
  if (made == NULL)
    return NULL;
  made->object = o;
  if (__atomic_compare_exchange_n(&o->family, &found, made, 0, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE))
    return made;
  free(made); /* another thread was quicker */
  return found;
}

static inline void gcx_shim_unlink_locked(struct gcx_shim_family *owner,
                                          struct gcx_shim_family *child)
{
  if (child->newer != NULL)
    child->newer->older = child->older;
  else
    owner->children = child->older;
  if (child->older != NULL)
    child->older->newer = child->newer;
  child->newer = child->older = NULL;
  __atomic_store_n(&child->owner, (struct gcx_shim_family *)0,
                   __ATOMIC_RELEASE);
}

/* True if @child was @owner's. */
static inline bool gcx_shim_leave(struct gcx_shim_family *owner,
                                  struct gcx_shim_family *child)
{
  bool was;

  gcx_shim_lock(owner);
  was = __atomic_load_n(&child->owner, __ATOMIC_ACQUIRE) == owner;
  if (was)
    gcx_shim_unlink_locked(owner, child);
  gcx_shim_unlock(owner);
  return was;
}

/* The latest child, no longer a child; NULL when there is none left. */
static inline struct gcx_shim_family *gcx_shim_pop(struct gcx_shim_family *f)
{
  struct gcx_shim_family *child;

  gcx_shim_lock(f);
  child = f->children;
  if (child != NULL)
    gcx_shim_unlink_locked(f, child);
  gcx_shim_unlock(f);
  return child;
}

static inline int gcx_own(void *owner, void *child)
{
  struct gcx_shim_family *parent, *f, *none = NULL;

  if (owner == NULL || child == NULL || owner == child ||
      gcx_shim_of(owner)->ending || gcx_shim_of(child)->ending)
    return -EINVAL;
  parent = gcx_shim_family_of(gcx_shim_of(owner));
  f = gcx_shim_family_of(gcx_shim_of(child));
  if (parent == NULL || f == NULL)
    return -ENOMEM;
  gcx_shim_lock(parent);
  if (!__atomic_compare_exchange_n(&f->owner, &none, parent, 0,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    gcx_shim_unlock(parent);
    return -EBUSY;
  }
  f->older = parent->children;
  if (f->older != NULL)
    f->older->newer = f;
  parent->children = f;
  gcx_shim_unlock(parent);
  return 0;
}

static inline void gcx_disown(void *owner, void *child)
{
  struct gcx_shim_family *parent = owner ? gcx_shim_of(owner)->family : NULL;
  struct gcx_shim_family *f = child ? gcx_shim_of(child)->family : NULL;

  if (parent != NULL && f != NULL)
    gcx_shim_leave(parent, f);
}

/* ---- the end */

/* Its own part: dispose functions, derived first. */
static inline int gcx_shim_run(struct gcx_shim_object *o,
                               const struct gcx_type *type)
{
  struct gcx_shim_family *f = o->family;
  int first = 0;

  o->ending = 1;
  if (f != NULL && f->owner != NULL)
    gcx_shim_leave(f->owner, f);
  for (; type != NULL; type = type->base) {
    int err = type->dispose != NULL ? type->dispose(o + 1) : 0;

    if (first == 0 && err < 0)
      first = err;
  }
  return first;
}

/* Latest first, each with what it owns; a chain of any length takes no stack.
 * @newer of an object that is no longer a child is the way back. */
static inline void gcx_dispose_owned(void *owner)
{
  struct gcx_shim_family *root = owner ? gcx_shim_of(owner)->family : NULL;
  struct gcx_shim_family *at = root, *child, *up;

  while (at != NULL) {
    child = gcx_shim_pop(at);
    if (child != NULL) {
      if (child->object->ending)
        continue; /* a circle of owners */
      gcx_shim_run(child->object, child->object->type);
      child->newer = at;
      at = child;
    } else if (at == root) {
      return;
    } else {
      up = at->newer;
      gcx_shim_free(at->object);
      at = up;
    }
  }
}

static inline int gcx_shim_end(struct gcx_shim_object *o,
                               const struct gcx_type *type)
{
  int err;

  if (o->ending)
    return 0; /* from inside its own dispose function, or a circle of owners */
  err = gcx_shim_run(o, type);
  gcx_dispose_owned(o + 1);
  gcx_shim_free(o);
  return err;
}

static inline int gcx_close(void *p)
{
  return p != NULL ? gcx_shim_end(gcx_shim_of(p), gcx_shim_of(p)->type) : 0;
}

static inline void gcx_dispose(void *p)
{
  gcx_close(p);
}

static inline void gcx_discard(void *p)
{
  if (p != NULL)
    gcx_shim_end(gcx_shim_of(p), NULL);
}

/* ---- questions, and scopes */

static inline size_t gcx_size(const void *p)
{
  return p != NULL ? gcx_shim_of(p)->bytes : 0;
}

static inline bool gcx_is_disposed(const void *p)
{
  return p == NULL || gcx_shim_of(p)->ending;
}

static inline void *gcx_require_live(void *p)
{
  return p;
}

static inline void gcx_cleanup(const void *variable)
{
  void *p;

  memcpy(&p, variable, sizeof(p));
  gcx_dispose(p);
}

GCX_WARN_UNUSED
static inline void *gcx_take(void *variable)
{
  void *p, *none = NULL;

  memcpy(&p, variable, sizeof(p));
  memcpy(variable, &none, sizeof(none));
  return p;
}

#ifdef __cplusplus
}
#endif

#endif
#endif
