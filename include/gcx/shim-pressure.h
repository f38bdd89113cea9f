/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim-pressure.h - pressure, handle collectors and no-GC regions where no
 *                       collection ever happens
 *
 * Not for direct use: gcx/pressure.h and gcx/latency.h include it where
 * GCX_DISABLE is defined. Pressure asks for nothing; a handle collector counts
 * and never collects; a region is kept whatever is allocated in it, so its end
 * never says -ENOBUFS or -ECANCELED. Arguments are refused as with gcx.
 */
#ifndef GCX_SHIM_PRESSURE_H
#define GCX_SHIM_PRESSURE_H
#ifdef GCX_DISABLE

#include <gcx/shim.h>
#include <gcx/visibility.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pressure */

static inline void gcx_pressure_add(size_t bytes)
{
  (void)bytes;
}

static inline void gcx_pressure_remove(size_t bytes)
{
  (void)bytes;
}

static inline int gcx_pressure_attach(void *obj, size_t bytes)
{
  (void)bytes;
  return obj == NULL || gcx_is_disposed(obj) ? -EINVAL : 0;
}

/* ---- handle collectors */

struct gcx_handle_collector {
  size_t count;
};

GCX_WARN_UNUSED static inline struct gcx_handle_collector *
gcx_handle_collector_create(const char *name, size_t initial, size_t maximum)
{
  static const struct gcx_type type =
      GCX_TYPE_INIT("handle collector", sizeof(struct gcx_handle_collector),
                    GCX_TYPE_OPTIONAL, NULL, NULL, NULL, NULL);

  (void)name;
  if (initial > maximum)
    return (struct gcx_handle_collector *)gcx_shim_fail(EINVAL);
  return (struct gcx_handle_collector *)gcx_new(&type);
}

/* Up or down by one, never beyond @limit. */
static inline int gcx_shim_collector_step(struct gcx_handle_collector *c,
                                          size_t limit, size_t step)
{
  size_t now;

  if (c == NULL)
    return -EINVAL;
  now = __atomic_load_n(&c->count, __ATOMIC_ACQUIRE);
  do
    if (now == limit)
      return limit == 0 ? -EINVAL : -EOVERFLOW;
  while (!__atomic_compare_exchange_n(&c->count, &now, now + step, 0,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  return 0;
}

static inline int gcx_handle_collector_add(struct gcx_handle_collector *c)
{
  return gcx_shim_collector_step(c, (size_t)-1, 1);
}

static inline int gcx_handle_collector_remove(struct gcx_handle_collector *c)
{
  return gcx_shim_collector_step(c, 0, (size_t)-1);
}

static inline size_t gcx_handle_collector_count(
    const struct gcx_handle_collector *c)
{
  return c != NULL ? __atomic_load_n(&c->count, __ATOMIC_ACQUIRE) : 0;
}

/* ---- no-GC regions: one for the whole program, in whatever file it began */

#if defined(__GNUC__)
__attribute__((weak)) char gcx_shim_region;
#else
static char gcx_shim_region;
#endif

static inline int gcx_no_gc_begin(size_t bytes)
{
  if (bytes == 0 || bytes > (size_t)-1 / 8)
    return -EINVAL;
  if (!__atomic_exchange_n(&gcx_shim_region, 1, __ATOMIC_ACQ_REL))
    return 0;
  __atomic_store_n(&gcx_shim_region, 0, __ATOMIC_RELEASE);
  return -EALREADY;
}

static inline int gcx_no_gc_end(void)
{
  return __atomic_exchange_n(&gcx_shim_region, 0, __ATOMIC_ACQ_REL) ? 0
                                                                    : -EINVAL;
}

#ifdef __cplusplus
}
#endif

#endif
#endif
