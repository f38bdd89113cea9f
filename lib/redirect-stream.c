/* SPDX-License-Identifier: MIT */
/*
 * redirect-stream.c - FILE and DIR of a program with gcx/malloc.h: libc's own, and
 *                     followed (stream.h)
 *
 * What a call returns, and errno, is the C library's. A stream that was not
 * opened here (stdin, a library's) is closed like any.
 */
#include "redirect.h"

#include <fcntl.h>
#include <unistd.h>

#include "exhaust.h"
#include "fd.h"
#include "stream.h"

static FILE *stream_opened(FILE *f, enum gcx__stream_kind kind,
                           const struct gcx__frame *start)
{
  int saved = errno;

  if (f != NULL)
    gcx__stream_opened(f, kind, fileno(f), start);
  errno = saved;
  return f;
}

FILE *gcx_redirect_fopen(const char *path, const char *mode)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  FILE *f;

  GCX__WITH_ROOM(f, fopen(path, mode), f != NULL);
  return stream_opened(f, GCX_STREAM_FILE, &start);
}

FILE *gcx_redirect_fdopen(int fd, const char *mode)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  FILE *f;

  GCX__WITH_ROOM(f, fdopen(fd, mode), f != NULL);
  return stream_opened(f, GCX_STREAM_FILE, &start);
}

/* freopen() can't be tried twice: when it fails it has closed the stream. glibc's
 * opens the new file while the old one is still open: is there room for it? */
static void stream_ensure_room(void)
{
  int fd;

  GCX__WITH_ROOM(fd, open("/", O_PATH | O_CLOEXEC), fd >= 0);
  if (fd >= 0)
    (void)close(fd);
}

/* The stream is the same afterwards, with the same number; or its descriptor is
 * closed, and what is left of it no longer followed. */
FILE *gcx_redirect_freopen(const char *path, const char *mode, FILE *f)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int saved = errno;
  FILE *again;

  if (f != NULL) {
    stream_ensure_room();
    (void)gcx__stream_closing(f, fileno(f), &start);
  }
  errno = saved;
  again = freopen(path, mode, f);
  return again == NULL || fileno(again) <= 2
             ? again
             : stream_opened(again, GCX_STREAM_FILE, &start);
}

FILE *gcx_redirect_popen(const char *command, const char *mode)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  bool learns = gcx__stream_popen_begin();
  FILE *f;

  GCX__WITH_ROOM(f, popen(command, mode), f != NULL);
  gcx__stream_popen_end(learns, f);
  return stream_opened(f, GCX_STREAM_PIPE, &start);
}

FILE *gcx_redirect_tmpfile(void)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  FILE *f;

  GCX__WITH_ROOM(f, tmpfile(), f != NULL);
  return stream_opened(f, GCX_STREAM_FILE, &start);
}

/* Page 0 holds no stream: a number that got here by a cast. It is libc's affair
 * what comes of it, as without gcx. */
static bool stream_is_number(const void *stream)
{
  return (uintptr_t)stream < 4096;
}

static size_t stream_closing(FILE *f, const char *function,
                             const struct gcx__frame *start)
{
  int saved = errno;
  size_t bytes;

  if (f == NULL)
    return 0;
  if (!stream_is_number(f)) {
    bytes = gcx__stream_closing(f, fileno(f), start);
    errno = saved; /* one in memory has no number */
    return bytes;
  }
  gcx__fd_not_a_stream((int)(uintptr_t)f, function, start);
  return 0;
}

int gcx_redirect_fclose(FILE *f)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t bytes = stream_closing(f, "fclose", &start);
  int result = fclose(f);

  gcx__stream_wipe(bytes);
  return result;
}

int gcx_redirect_pclose(FILE *f)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t bytes = stream_closing(f, "pclose", &start);
  int result = pclose(f);

  gcx__stream_wipe(bytes);
  return result;
}

static DIR *stream_opened_dir(DIR *d, const struct gcx__frame *start)
{
  int saved = errno;

  if (d != NULL)
    gcx__stream_opened(d, GCX_STREAM_DIR, dirfd(d), start);
  errno = saved;
  return d;
}

DIR *gcx_redirect_opendir(const char *path)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  DIR *d;

  GCX__WITH_ROOM(d, opendir(path), d != NULL);
  return stream_opened_dir(d, &start);
}

DIR *gcx_redirect_fdopendir(int fd)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  DIR *d;

  GCX__WITH_ROOM(d, fdopendir(fd), d != NULL);
  return stream_opened_dir(d, &start);
}

int gcx_redirect_closedir(DIR *d)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (d == NULL) { /* as the C library does, which declares it nonnull */
    errno = EINVAL;
    return -1;
  }
  if (stream_is_number(d))
    gcx__fd_not_a_stream((int)(uintptr_t)d, "closedir", &start);
  else
    (void)gcx__stream_closing(d, dirfd(d), &start);
  return closedir(d);
}
