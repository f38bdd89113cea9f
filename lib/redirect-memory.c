/* SPDX-License-Identifier: MIT */
/*
 * redirect-memory.c - malloc and its relatives
 *
 * Where gcx can't do it, the C library does, untracked and with its own answers:
 * no memory (a process at its limit), a thread that is past its last
 * thread-specific destructor, an alignment above a page, a request that is not
 * valid. Whatever comes back from there may be freed here.
 */
#include "redirect.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

static void *redirect_alloc(size_t bytes, size_t align,
                            const struct gcx__frame *start)
{
  return bytes <= GCX__BLOCK_BYTES_MAX ? gcx__block_alloc(bytes, align, start)
                                       : NULL;
}

void *gcx_redirect_malloc(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p = redirect_alloc(bytes, GCX__ALIGN_MIN, &start);

  return GCX_LIKELY(p != NULL) ? p : malloc(bytes);
}

/* A block that was in use before is not clean: who had it may have written to it
 * after its end. */
static void *redirect_calloc(size_t n, size_t bytes,
                             const struct gcx__frame *start)
{
  size_t total;
  void *p;

  if (__builtin_mul_overflow(n, bytes, &total))
    return NULL;
  p = redirect_alloc(total, GCX__ALIGN_MIN, start);
  if (p != NULL && total <= GCX__CELLS_MAX)
    memset(p, 0, total);
  return p;
}

void *gcx_redirect_calloc(size_t n, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p = redirect_calloc(n, bytes, &start);

  return GCX_LIKELY(p != NULL) ? p : calloc(n, bytes);
}

void gcx_redirect_free(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (GCX_UNLIKELY(!gcx__block_free(p, "free", &start)))
    free(p);
}

/* ---- resizing */

/* As of the C library: of 0 bytes the block is freed. */
static void *redirect_realloc(void *p, size_t bytes, const char *function,
                              const struct gcx__frame *start)
{
  void *result = NULL;

  if (p == NULL) {
    result = redirect_alloc(bytes, GCX__ALIGN_MIN, start);
    return result != NULL ? result : malloc(bytes);
  }
  if (bytes == 0) {
    if (!gcx__block_free(p, function, start))
      free(p);
    return NULL;
  }
  if (bytes > GCX__BLOCK_BYTES_MAX && gcx__block_bytes(p, &(size_t){ 0 })) {
    errno = ENOMEM;
    return NULL;
  }
  if (gcx__block_resize(p, bytes, function, start, &result) ==
      GCX_RESIZE_FOREIGN)
    return realloc(p, bytes);
  return result;
}

void *gcx_redirect_realloc(void *p, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return redirect_realloc(p, bytes, "realloc", &start);
}

void *gcx_redirect_reallocarray(void *p, size_t n, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t total;

  if (__builtin_mul_overflow(n, bytes, &total)) {
    errno = ENOMEM;
    return NULL;
  }
  return redirect_realloc(p, total, "reallocarray", &start);
}

/* ---- alignment */

static bool redirect_can_align(size_t align)
{
  return align != 0 && (align & (align - 1)) == 0 && align <= GCX__ALIGN_MAX;
}

static void *redirect_aligned(size_t align, size_t bytes,
                              const struct gcx__frame *start)
{
  return redirect_can_align(align) ? redirect_alloc(bytes, align, start) : NULL;
}

void *gcx_redirect_aligned_alloc(size_t align, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p = redirect_aligned(align, bytes, &start);

  return p != NULL ? p : aligned_alloc(align, bytes);
}

void *gcx_redirect_memalign(size_t align, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p = redirect_aligned(align, bytes, &start);

  return p != NULL ? p : memalign(align, bytes);
}

void *gcx_redirect_valloc(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p = redirect_aligned(gcx__page_bytes(), bytes, &start);

  return p != NULL ? p : valloc(bytes);
}

/* Whole pages. */
void *gcx_redirect_pvalloc(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t page = gcx__page_bytes();
  size_t whole = (bytes + page - 1) & ~(page - 1);
  void *p = whole < bytes ? NULL : redirect_aligned(page, whole, &start);

  return p != NULL ? p : pvalloc(bytes);
}

int gcx_redirect_posix_memalign(void **ret_p, size_t align, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int saved = errno;
  void *p = align % sizeof(void *) == 0 ? redirect_aligned(align, bytes, &start)
                                        : NULL;

  errno = saved;
  if (p == NULL)
    return posix_memalign(ret_p, align, bytes);
  *ret_p = p;
  return 0;
}

/* What was asked for: nobody may write behind it. */
size_t gcx_redirect_malloc_usable_size(void *p)
{
  size_t bytes;

  return gcx__block_bytes(p, &bytes) ? bytes : malloc_usable_size(p);
}

/* ---- adoption */

void *gcx__redirect_adopt(void *p, size_t bytes, const struct gcx__frame *start)
{
  int saved = errno;
  void *block = p != NULL ? redirect_alloc(bytes, GCX__ALIGN_MIN, start) : NULL;

  if (block != NULL) {
    memcpy(block, p, bytes);
    free(p);
    p = block;
  }
  errno = saved;
  return p;
}
