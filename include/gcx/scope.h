/* SPDX-License-Identifier: MIT */
/*
 * gcx/scope.h - disposal at the end of a scope
 *
 * gcx_auto before a declaration disposes the object whichever way the scope is
 * left: end, return, break, continue, goto. gcx_steal() takes it out again.
 *
 *   gcx_auto struct conn *c = conn_open(host);
 *   if (c == NULL || conn_login(c) != 0)
 *     return NULL;                            disposed
 *   return gcx_steal(c);                      not disposed: the caller's now
 *
 *   GCX_USING(struct conn *c = conn_open(host)) {
 *     conn_send(c, "hello");
 *   }                                         disposed
 *
 * Inside GCX_USING, break and continue both leave the block. gcc and clang.
 */
#ifndef GCX_SCOPE_H
#define GCX_SCOPE_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim.h */

/**
 * gcx_cleanup - what gcx_auto calls; not for direct use
 * @variable: address of the variable that goes out of scope
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     as gcx_dispose(): GCX-BAD-POINTER, GCX-CORRUPT
 * Ownership: ends the duty to dispose
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_cleanup(const void *variable);

/**
 * gcx_take - what gcx_steal calls; not for direct use
 * @variable: address of a pointer variable, which becomes NULL
 *
 * Return:    the pointer that was in it
 * Errors:    none
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API void *gcx_take(void *variable) GCX_WARN_UNUSED;

#endif /* GCX_DISABLE */

#define gcx_auto __attribute__((cleanup(gcx_cleanup)))

#define gcx_steal(ptr) ((__typeof__(ptr))gcx_take((void *)&(ptr)))

#define GCX_PASTE2_(a, b) a##b
#define GCX_PASTE_(a, b) GCX_PASTE2_(a, b)
#define GCX_USING_(once, ...)        \
  for (int once = 1; once; once = 0) \
    for (gcx_auto __VA_ARGS__; once; once = 0)
#define GCX_USING(...) \
  GCX_USING_(GCX_PASTE_(gcx_once_, __COUNTER__), __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
