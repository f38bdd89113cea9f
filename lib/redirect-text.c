/* SPDX-License-Identifier: MIT */
/*
 * redirect-text.c - copies of strings, formatted text, lines
 *
 * What the C library allocates is adopted: copied into a block. Lines are read
 * into memory of the C library's and copied into the caller's block: its own
 * getdelim() would have to resize that.
 */
#include "redirect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LINE_BYTES 120 /* of a first line, at least: as glibc has it */

/* glibc's, for programs built with _FORTIFY_SOURCE */
extern int __vasprintf_chk(char **ret_s, int flag, const char *fmt, va_list ap);

static void *text_copy(const void *from, size_t bytes, size_t room,
                       const struct gcx__frame *start)
{
  char *copy = gcx__block_alloc(room, GCX__ALIGN_MIN, start);

  if (copy == NULL)
    copy = malloc(room);
  if (copy != NULL)
    memcpy(copy, from, bytes);
  return copy;
}

char *gcx_redirect_strdup(const char *s)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t bytes = strlen(s) + 1;

  return text_copy(s, bytes, bytes, &start);
}

char *gcx_redirect_strndup(const char *s, size_t n)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t length = strnlen(s, n);
  char *copy = text_copy(s, length, length + 1, &start);

  if (copy != NULL)
    copy[length] = '\0';
  return copy;
}

wchar_t *gcx_redirect_wcsdup(const wchar_t *s)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t bytes = (wcslen(s) + 1) * sizeof *s;

  return text_copy(s, bytes, bytes, &start);
}

/* ---- formatted */

static int text_printed(char **ret_s, char *s, int length,
                        const struct gcx__frame *start)
{
  if (length >= 0)
    *ret_s = gcx__redirect_adopt(s, (size_t)length + 1, start);
  return length;
}

int gcx_redirect_vasprintf(char **ret_s, const char *fmt, va_list ap)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *s = NULL;
  int length = vasprintf(&s, fmt, ap);

  return text_printed(ret_s, s, length, &start);
}

int gcx_redirect_asprintf(char **ret_s, const char *fmt, ...)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *s = NULL;
  va_list ap;
  int length;

  va_start(ap, fmt);
  length = vasprintf(&s, fmt, ap);
  va_end(ap);
  return text_printed(ret_s, s, length, &start);
}

int gcx_redirect_vasprintf_chk(char **ret_s, int flag, const char *fmt,
                               va_list ap)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *s = NULL;
  int length = __vasprintf_chk(&s, flag, fmt, ap);

  return text_printed(ret_s, s, length, &start);
}

int gcx_redirect_asprintf_chk(char **ret_s, int flag, const char *fmt, ...)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *s = NULL;
  va_list ap;
  int length;

  va_start(ap, fmt);
  length = __vasprintf_chk(&s, flag, fmt, ap);
  va_end(ap);
  return text_printed(ret_s, s, length, &start);
}

/* ---- lines */

/* The caller's buffer has room for @bytes; false: ENOMEM, it is as it was. As of
 * glibc, a pointer that comes with a size of 0 may be any, and is not looked at. */
static bool text_make_room(char **line, size_t *room, size_t bytes,
                           const struct gcx__frame *start)
{
  bool has_none = *line == NULL || *room == 0;
  size_t had = has_none ? 0 : *room;
  size_t wanted = GCX_MAX(bytes, GCX_MAX(had * 2, (size_t)TEXT_LINE_BYTES));
  void *moved = NULL;

  if (had >= bytes)
    return true;
  if (has_none)
    moved = text_copy("", 1, wanted, start);
  else if (gcx__block_resize(*line, wanted, "getdelim", start, &moved) ==
           GCX_RESIZE_FOREIGN)
    moved = realloc(*line, wanted);
  if (moved == NULL)
    return false;
  *line = moved;
  *room = wanted;
  return true;
}

static void text_free(void *line)
{
  free(*(char **)line);
}

static ssize_t text_getdelim(char **line, size_t *room, int delimiter,
                             FILE *file, const struct gcx__frame *start)
{
  __attribute__((cleanup(text_free))) char *read = NULL;
  size_t read_room = 0;
  ssize_t n;

  if (line == NULL || room == NULL) {
    errno = EINVAL;
    return -1;
  }
  n = getdelim(&read, &read_room, delimiter, file);
  if (!text_make_room(line, room, n >= 0 ? (size_t)n + 1 : 1, start))
    return -1;
  if (n >= 0)
    memcpy(*line, read, (size_t)n + 1);
  return n;
}

ssize_t gcx_redirect_getdelim(char **line, size_t *room, int delimiter,
                              FILE *file)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return text_getdelim(line, room, delimiter, file, &start);
}

ssize_t gcx_redirect_getline(char **line, size_t *room, FILE *file)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return text_getdelim(line, room, '\n', file, &start);
}
