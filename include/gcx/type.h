/* SPDX-License-Identifier: MIT */
/*
 * gcx/type.h - kinds of resource: what an object is, and how it ends
 *
 * A type is a static const, one per kind of resource. Objects of it are made
 * with gcx_new(); their disposal is required unless the type says
 * GCX_TYPE_OPTIONAL.
 *
 *   struct conn { int fd; char peer[64]; };
 *   static int conn_dispose(void *obj)
 *   {
 *     struct conn *c = obj;
 *     return close(c->fd) == 0 ? 0 : -errno;
 *   }
 *   static const struct gcx_type conn_type = GCX_TYPE_INIT(
 *       "conn", sizeof(struct conn), 0, NULL, conn_dispose, NULL, NULL);
 *   struct conn *c = gcx_new(&conn_type);
 *
 * A type must outlive its objects: gcx keeps the plugin that defines one mapped.
 */
#ifndef GCX_TYPE_H
#define GCX_TYPE_H

#ifndef GCX_DISABLE /* else: gcx/shim.h, below */
#include <gcx/object.h>
#endif
#include <gcx/visibility.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Holds no pointers to collected memory: not scanned. */
#define GCX_TYPE_ATOMIC 1u
/* Its finalizer runs after all ordinary ones of the same collection. */
#define GCX_TYPE_CRITICAL 2u
/* Its bytes are wiped when it is disposed, and by gcx_realloc(). */
#define GCX_TYPE_SECRET 4u
/* Nothing outside memory is lost with it: no disposal expected. */
#define GCX_TYPE_OPTIONAL 8u

struct gcx_type {
  const char *name;            /* in reports: "conn" */
  size_t size;                 /* bytes of an object, see gcx_new() */
  unsigned flags;              /* GCX_TYPE_* */
  const struct gcx_type *base; /* its dispose runs after this one's; or NULL */
  int (*dispose)(void *obj);   /* explicit release; 0 or -errno; may use other
                                  live objects; NULL: nothing to do */
  void (*finalize)(void *obj); /* last resort, on the finalizer thread */
  /* One line for reports (path, fd, peer) into @buf, like snprintf; on the
   * thread that reports; must not block. */
  int (*describe)(const void *obj, char *buf, size_t n);
};

/* The form of an initialiser that C++ accepts too. */
#define GCX_TYPE_INIT(name, size, flags, base, dispose, finalize, describe) \
  {                                                                         \
    (name), (size), (flags), (base), (dispose), (finalize), (describe)      \
  }

#ifndef GCX_DISABLE /* else: gcx/shim.h */

/**
 * gcx_new - a zeroed object of a type
 * @type: a static const type; type->size bytes
 *
 * Like gcx_alloc(), and the object has a type: its name in reports, a dispose
 * function, flags.
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno: ENOMEM; EINVAL (@type is NULL, nameless or has an
 *            unknown flag)
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose() unless GCX_TYPE_OPTIONAL
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_new(const struct gcx_type *type) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_new_extra - a zeroed object of a type with a flexible part
 * @type:  a static const type
 * @extra: bytes beyond type->size
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno: ENOMEM (also if the sum overflows); EINVAL as for
 *            gcx_new()
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose() unless GCX_TYPE_OPTIONAL
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_new_extra(const struct gcx_type *type,
                            size_t extra) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim.h>
#endif

#endif
