/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim-handle.h - safe handles over plain calloc and free
 *
 * Not for direct use: gcx/handle.h includes it where GCX_DISABLE is defined. The
 * pairs are counted as with gcx: a dispose in the time of others closes when the
 * last of them releases, and the handle's memory stays until then (@holders:
 * the object itself, and each acquire). Over-release is undefined, as a second
 * dispose is.
 */
#ifndef GCX_SHIM_HANDLE_H
#define GCX_SHIM_HANDLE_H
#ifdef GCX_DISABLE

#include <gcx/handle.h>
#include <gcx/shim.h>
#include <gcx/visibility.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GCX_SHIM_CLOSED 1u
#define GCX_SHIM_USER 2u /* one who keeps it open: the handle itself at first */

struct gcx_handle {
  unsigned word;    /* users, and whether it is closed */
  unsigned holders; /* of the memory */
  bool owns;
  const struct gcx_handle_type *type;
  intptr_t raw;
};

static inline bool gcx_shim_handle_is_none(const struct gcx_handle *h)
{
  return h->type->is_invalid != NULL && h->type->is_invalid(h->raw);
}

static inline int gcx_shim_handle_close(const struct gcx_handle *h)
{
  int saved = errno, err;

  if (!h->owns || gcx_shim_handle_is_none(h))
    return 0;
  err = h->type->release(h->raw);
  errno = saved;
  return err;
}

/* One user less; the last one closes. */
static inline int gcx_shim_handle_drop(struct gcx_handle *h)
{
  unsigned old = __atomic_load_n(&h->word, __ATOMIC_ACQUIRE), now;

  do {
    if (old < GCX_SHIM_USER)
      return 0;
    now = old - GCX_SHIM_USER;
    if (now < GCX_SHIM_USER)
      now |= GCX_SHIM_CLOSED;
  } while (!__atomic_compare_exchange_n(&h->word, &old, now, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  return now == GCX_SHIM_CLOSED && (old & GCX_SHIM_CLOSED) == 0
             ? gcx_shim_handle_close(h)
             : 0;
}

/* Nobody touches its memory any more? Asked by each holder, once. */
static inline bool gcx_shim_handle_last(void *obj)
{
  struct gcx_handle *h = (struct gcx_handle *)obj;

  return __atomic_sub_fetch(&h->holders, 1, __ATOMIC_ACQ_REL) == 0;
}

static inline int gcx_shim_handle_dispose(void *obj)
{
  struct gcx_handle *h = (struct gcx_handle *)obj;

  if ((h->type->flags & GCX_HANDLE_UNCOUNTED) == 0)
    return gcx_shim_handle_drop(h);
  return (__atomic_exchange_n(&h->word, GCX_SHIM_CLOSED, __ATOMIC_ACQ_REL) &
          GCX_SHIM_CLOSED) == 0
             ? gcx_shim_handle_close(h)
             : 0;
}

GCX_WARN_UNUSED static inline struct gcx_handle *gcx_handle_create(
    const struct gcx_handle_type *type, intptr_t raw, bool owns)
{
  static const struct gcx_type object_type =
      GCX_TYPE_INIT("handle", sizeof(struct gcx_handle), GCX_TYPE_CRITICAL,
                    NULL, gcx_shim_handle_dispose, NULL, NULL);
  struct gcx_handle *h;

  if (type == NULL || type->name == NULL ||
      (type->flags & ~GCX_HANDLE_UNCOUNTED) != 0 ||
      (type->release == NULL && owns))
    return (struct gcx_handle *)gcx_shim_fail(EINVAL);
  h = (struct gcx_handle *)gcx_new(&object_type);
  if (h == NULL)
    return NULL;
  gcx_shim_of(h)->may_free = gcx_shim_handle_last;
  h->word = GCX_SHIM_USER;
  h->holders = 1;
  h->owns = owns;
  h->type = type;
  h->raw = raw;
  return h;
}

/* The memory is held first: while others dispose and release, only then can the
 * word be looked at again. */
GCX_WARN_UNUSED static inline bool gcx_handle_acquire(struct gcx_handle *h,
                                                      intptr_t *ret_raw)
{
  unsigned old;

  if (h == NULL)
    return false;
  if ((h->type->flags & GCX_HANDLE_UNCOUNTED) != 0) {
    if ((__atomic_load_n(&h->word, __ATOMIC_ACQUIRE) & GCX_SHIM_CLOSED) != 0)
      return false;
    *ret_raw = h->raw;
    return true;
  }
  __atomic_add_fetch(&h->holders, 1, __ATOMIC_ACQ_REL);
  old = __atomic_load_n(&h->word, __ATOMIC_ACQUIRE);
  do {
    if ((old & GCX_SHIM_CLOSED) != 0) {
      if (gcx_shim_handle_last(h))
        gcx_shim_give_back(gcx_shim_of(h));
      return false;
    }
  } while (!__atomic_compare_exchange_n(&h->word, &old, old + GCX_SHIM_USER, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  *ret_raw = h->raw;
  return true;
}

static inline void gcx_handle_release(struct gcx_handle *h)
{
  if (h == NULL || (h->type->flags & GCX_HANDLE_UNCOUNTED) != 0)
    return;
  gcx_shim_handle_drop(h);
  if (gcx_shim_handle_last(h))
    gcx_shim_give_back(gcx_shim_of(h));
}

static inline void gcx_handle_set_invalid(struct gcx_handle *h)
{
  if (h != NULL)
    __atomic_or_fetch(&h->word, GCX_SHIM_CLOSED, __ATOMIC_ACQ_REL);
}

static inline bool gcx_handle_is_invalid(const struct gcx_handle *h)
{
  return h == NULL || gcx_shim_handle_is_none(h);
}

static inline bool gcx_handle_is_closed(const struct gcx_handle *h)
{
  return h == NULL ||
         (__atomic_load_n(&h->word, __ATOMIC_ACQUIRE) & GCX_SHIM_CLOSED) != 0;
}

static inline bool gcx_handle_minus_one_is_invalid(intptr_t raw)
{
  return raw == -1;
}

static inline bool gcx_handle_zero_or_minus_one_is_invalid(intptr_t raw)
{
  return raw == 0 || raw == -1;
}

#ifdef __cplusplus
}
#endif

#endif
#endif
