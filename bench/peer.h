/* SPDX-License-Identifier: MIT */
/*
 * peer.h - one allocator: gcx, the collector alone, or malloc (LeakSanitizer's,
 *          if the program is linked so)
 */
#ifndef GCX_BENCH_PEER_H
#define GCX_BENCH_PEER_H

#if defined(PEER_GCX)
#include <gcx.h>

#define PEER_ALLOC(bytes) gcx_alloc(bytes)
#define PEER_END(p) gcx_dispose(p)
#define PEER_COLLECT() gcx_collect()
#define PEER_THREAD_BEGIN() ((void)0)
#define PEER_THREAD_END() ((void)0)
#define PEER_INIT() gcx_init()

#elif defined(PEER_GC)
#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>

#define PEER_ALLOC(bytes) GC_MALLOC(bytes)
#define PEER_END(p) ((void)(p))
#define PEER_COLLECT() GC_gcollect()
#define PEER_THREAD_BEGIN()             \
  do {                                  \
    struct GC_stack_base base;          \
    (void)GC_get_stack_base(&base);     \
    (void)GC_register_my_thread(&base); \
  } while (0)
#define PEER_THREAD_END() ((void)GC_unregister_my_thread())
#define PEER_INIT()              \
  do {                           \
    GC_INIT();                   \
    GC_allow_register_threads(); \
  } while (0)

#else
#include <stdlib.h>

#define PEER_ALLOC(bytes) malloc(bytes)
#define PEER_END(p) free(p)
#define PEER_COLLECT() ((void)0)
#define PEER_THREAD_BEGIN() ((void)0)
#define PEER_THREAD_END() ((void)0)
#define PEER_INIT() ((void)0)
#endif

#endif
