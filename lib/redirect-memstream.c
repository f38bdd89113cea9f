/* SPDX-License-Identifier: MIT */
/*
 * redirect-memstream.c - open_memstream() whose text is a block of gcx's
 *
 * The C library's own resizes its buffer until the stream is closed, and hands it
 * out at every fflush(): it can't be adopted meanwhile. This is the same on
 * fopencookie(): text, size and place, the block as large as need be, a zero
 * behind the text. What the program sees (*ret_text, *ret_bytes) changes with
 * fflush() and fclose() only, since no write comes through between.
 *
 * While the stream is open the block hangs on the program's own pointer and on
 * the cookie, which is a block that is expected to be freed: a stream that is
 * never closed shows as its leak.
 */
#include "redirect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMSTREAM_BYTES 256 /* to begin with */

struct memstream {
  char **ret_text;
  size_t *ret_bytes;
  char *text;
  size_t room; /* with the zero */
  size_t length;
  size_t at;
};

static bool memstream_have_room(struct memstream *m, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t room = GCX_MAX(bytes, m->room * 2);
  void *moved = NULL;

  if (bytes <= m->room)
    return true;
  if (gcx__block_resize(m->text, room, "open_memstream", &start, &moved) ==
      GCX_RESIZE_FOREIGN)
    moved = realloc(m->text, room);
  if (moved == NULL)
    return false;
  m->text = moved;
  memset(m->text + m->room, 0, room - m->room);
  m->room = room;
  return true;
}

static void memstream_show(struct memstream *m)
{
  *m->ret_text = m->text;
  *m->ret_bytes = GCX_MIN(m->at, m->length);
}

static ssize_t memstream_write(void *cookie, const char *from, size_t bytes)
{
  struct memstream *m = cookie;

  if (bytes > SIZE_MAX / 4 - m->at ||
      !memstream_have_room(m, m->at + bytes + 1)) {
    errno = ENOMEM;
    return 0; /* fopencookie's way to say so */
  }
  memcpy(m->text + m->at, from, bytes);
  m->at += bytes;
  if (m->at > m->length) {
    m->length = m->at;
    m->text[m->length] = '\0';
  }
  memstream_show(m);
  return (ssize_t)bytes;
}

/* Beyond the end is allowed: the gap is zeros. */
static int memstream_seek(void *cookie, off64_t *offset, int whence)
{
  struct memstream *m = cookie;
  off64_t base = whence == SEEK_SET   ? 0
                 : whence == SEEK_CUR ? (off64_t)m->at
                                      : (off64_t)m->length;
  off64_t to;

  if (__builtin_add_overflow(base, *offset, &to) || to < 0 ||
      (uint64_t)to > SIZE_MAX / 4) {
    errno = EINVAL;
    return -1;
  }
  m->at = (size_t)to;
  *offset = to;
  memstream_show(m);
  return 0;
}

static int memstream_close(void *cookie)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct memstream *m = cookie;

  memstream_show(m);
  if (!gcx__block_free(m, "fclose", &start))
    free(m);
  return 0;
}

static bool memstream_init(struct memstream *m, char **ret_text,
                           size_t *ret_bytes, const struct gcx__frame *start)
{
  *m = (struct memstream){ .ret_text = ret_text,
                           .ret_bytes = ret_bytes,
                           .room = MEMSTREAM_BYTES };
  m->text = gcx__block_alloc(MEMSTREAM_BYTES, GCX__ALIGN_MIN, start);
  if (m->text != NULL)
    memset(m->text, 0, MEMSTREAM_BYTES);
  return m->text != NULL;
}

FILE *gcx_redirect_open_memstream(char **ret_text, size_t *ret_bytes)
{
  const cookie_io_functions_t functions = { .write = memstream_write,
                                            .seek = memstream_seek,
                                            .close = memstream_close };
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct memstream *m;
  FILE *file;

  if (ret_text == NULL || ret_bytes == NULL) {
    errno = EINVAL;
    return NULL;
  }
  m = gcx__block_alloc(sizeof *m, GCX__ALIGN_MIN, &start);
  if (m == NULL || !memstream_init(m, ret_text, ret_bytes, &start)) {
    (void)gcx__block_free(m, "open_memstream", &start);
    return open_memstream(ret_text, ret_bytes);
  }
  file = fopencookie(m, "w", functions);
  if (file == NULL) {
    (void)gcx__block_free(m->text, "open_memstream", &start);
    (void)gcx__block_free(m, "open_memstream", &start);
    return NULL;
  }
  memstream_show(m);
  return file;
}
