/* SPDX-License-Identifier: MIT */
/*
 * interpose-free.c - the C library's free(), realloc(), malloc_usable_size()
 *
 * A library that was not built with gcx/malloc.h frees or resizes what the
 * program handed to it. Memory of gcx's goes gcx's way; everything else goes to
 * the function behind, after two comparisons.
 *
 * May be called before any constructor, by ld.so: until the function behind has
 * been looked up, and inside that look-up, glibc's own is used.
 */
#include <dlfcn.h>
#include <errno.h>

#include "block.h"

#if !defined(__SANITIZE_ADDRESS__)

#define INTERPOSE_EXPORT __attribute__((visibility("default")))

INTERPOSE_EXPORT void free(void *p);
INTERPOSE_EXPORT void *realloc(void *p, size_t bytes);
INTERPOSE_EXPORT size_t malloc_usable_size(void *p);

/* glibc's names for its own */
extern void __libc_free(void *p);
extern void *__libc_realloc(void *p, size_t bytes);

static struct {
  void (*free)(void *p);
  void *(*realloc)(void *p, size_t bytes);
  size_t (*malloc_usable_size)(void *p);
} interpose_real;

static bool interpose_looked_up;
static __thread bool interpose_looking_up
    __attribute__((tls_model("initial-exec")));

/* Two threads at once find the same. */
static void interpose_look_up(void)
{
  interpose_looking_up = true;
  *(void **)(void *)&interpose_real.free = dlsym(RTLD_NEXT, "free");
  *(void **)(void *)&interpose_real.realloc = dlsym(RTLD_NEXT, "realloc");
  *(void **)(void *)&interpose_real.malloc_usable_size =
      dlsym(RTLD_NEXT, "malloc_usable_size");
  interpose_looking_up = false;
  __atomic_store_n(&interpose_looked_up, true, __ATOMIC_RELEASE);
}

/* False: inside the look-up. */
static inline bool interpose_ready(void)
{
  if (GCX_LIKELY(__atomic_load_n(&interpose_looked_up, __ATOMIC_ACQUIRE)))
    return true;
  if (interpose_looking_up)
    return false;
  interpose_look_up();
  return true;
}

static void interpose_real_free(void *p)
{
  if (GCX_LIKELY(interpose_ready()) && interpose_real.free != NULL)
    interpose_real.free(p);
  else
    __libc_free(p);
}

void free(void *p)
{
  struct gcx__frame start;

  if (GCX_UNLIKELY(p != NULL && gcx__bdw_may_hold(p))) {
    start = GCX__CALLER_FRAME();
    if (gcx__block_free(p, "free", &start))
      return;
  }
  interpose_real_free(p);
}

void *realloc(void *p, size_t bytes)
{
  struct gcx__frame start;
  void *result = NULL;

  if (GCX_UNLIKELY(p != NULL && gcx__bdw_may_hold(p))) {
    start = GCX__CALLER_FRAME();
    if (bytes == 0 && gcx__block_free(p, "realloc", &start))
      return NULL;
    if (bytes != 0 && gcx__block_resize(p, bytes, "realloc", &start, &result) !=
                          GCX_RESIZE_FOREIGN)
      return result;
  }
  return interpose_ready() && interpose_real.realloc != NULL
             ? interpose_real.realloc(p, bytes)
             : __libc_realloc(p, bytes);
}

size_t malloc_usable_size(void *p)
{
  size_t bytes;

  if (p != NULL && gcx__bdw_may_hold(p) && gcx__block_bytes(p, &bytes))
    return bytes;
  return interpose_ready() && interpose_real.malloc_usable_size != NULL
             ? interpose_real.malloc_usable_size(p)
             : 0;
}

#endif
