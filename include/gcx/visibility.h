/* SPDX-License-Identifier: MIT */
/*
 * gcx/visibility.h - attributes of the public declarations
 */
#ifndef GCX_VISIBILITY_H
#define GCX_VISIBILITY_H

/* With GCX_DISABLE there is no library: what the shim (gcx/shim.h) does not
 * define can't be used, and the compiler's message names it. */
#if !defined(GCX_DISABLE) && defined(__GNUC__)
#define GCX_API __attribute__((visibility("default")))
#elif defined(GCX_DISABLE)
#define GCX_NO_COLLECTOR_ \
  "it needs the collector, and this file is compiled with GCX_DISABLE"
#if defined(__has_attribute)
#if __has_attribute(unavailable)
#define GCX_API __attribute__((unavailable(GCX_NO_COLLECTOR_)))
#endif
#endif
#ifndef GCX_API
#define GCX_API __attribute__((error(GCX_NO_COLLECTOR_)))
#endif
#else
#define GCX_API
#endif

#if defined(__GNUC__)
#define GCX_WARN_UNUSED __attribute__((warn_unused_result))
#define GCX_ALLOC_SIZE(n) __attribute__((alloc_size(n)))
#define GCX_ALLOC_SIZE2(n, m) __attribute__((alloc_size(n, m)))
#else
#define GCX_WARN_UNUSED
#define GCX_ALLOC_SIZE(n)
#define GCX_ALLOC_SIZE2(n, m)
#endif

/* gcc 11 can pair an allocator with its end and then warns at compile time of a
 * missing or second gcx_dispose; it also warns at a second one, which is legal
 * here: hence by choice. */
#if defined(GCX_STRICT_DISPOSE) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 11
#define GCX_ENDED_BY(fn) __attribute__((malloc(fn, 1)))
#endif
#endif
#ifndef GCX_ENDED_BY
#define GCX_ENDED_BY(fn)
#endif

#endif
