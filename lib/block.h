/* SPDX-License-Identifier: MIT */
/*
 * block.h - memory of a redirected malloc(): tracked, ended by free(), and given
 *           out again
 */
#ifndef GCX_BLOCK_H
#define GCX_BLOCK_H

#include "object.h"

/* Of more the C library is asked: nobody has so much. */
#define GCX__BLOCK_BYTES_MAX ((size_t)1 << 40)

/* NULL and errno; contents as malloc()'s. @align: a power of two, at most
 * GCX__ALIGN_MAX. */
void *gcx__block_alloc(size_t bytes, size_t align,
                       const struct gcx__frame *start);

/* free(@p), called @function. False: not memory of gcx's, nothing was done. Any
 * value may be asked; errno stays. */
bool gcx__block_free(void *p, const char *function,
                     const struct gcx__frame *start);

enum gcx__resized {
  GCX_RESIZED,        /* *ret_p: the block, perhaps elsewhere */
  GCX_RESIZE_FOREIGN, /* not memory of gcx's */
  GCX_RESIZE_FAILED   /* errno; the block is as it was */
};
/* realloc(@p, @bytes), @p not NULL, @bytes not 0. */
enum gcx__resized gcx__block_resize(void *p, size_t bytes, const char *function,
                                    const struct gcx__frame *start,
                                    void **ret_p);

/* Bytes asked for; false: not memory of gcx's. */
bool gcx__block_bytes(const void *p, size_t *ret_bytes);

#endif
