/* SPDX-License-Identifier: MIT */
/*
 * buffered_writer - a writer over a stream that it does not own, or does
 *
 * What it was given may be somebody else's: leave_open says so. Its own duty is
 * to write what is left in its buffer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

struct writer {
  FILE *stream;
  bool leave_open;
  size_t used;
  char buffer[16];
};

static int writer_flush(struct writer *w)
{
  size_t n = fwrite(w->buffer, 1, w->used, w->stream);
  bool whole = n == w->used;

  w->used = 0;
  return whole ? 0 : -EIO;
}

static int writer_dispose(void *obj)
{
  struct writer *w = obj;
  int r = writer_flush(w);

  if (!w->leave_open && fclose(w->stream) != 0 && r == 0)
    r = -errno;
  return r;
}

static const struct gcx_type writer_type =
    GCX_TYPE_INIT("struct writer", sizeof(struct writer), 0, NULL,
                  writer_dispose, NULL, NULL);

static struct writer *writer_open(FILE *stream, bool leave_open)
{
  struct writer *w = gcx_new(&writer_type);

  if (w != NULL) {
    w->stream = stream;
    w->leave_open = leave_open;
  }
  return w;
}

static void writer_put(struct writer *w, const char *text)
{
  for (; *text != '\0'; text++) {
    if (w->used == sizeof w->buffer)
      (void)writer_flush(w);
    w->buffer[w->used++] = *text;
  }
}

int main(void)
{
  struct writer *w = writer_open(stdout, true);
  struct writer *full;

  if (w == NULL)
    return 1;
  writer_put(w, "written through a small buffer\n");
  {
    int r = gcx_close(w);

    printf("closed: %d\n", r);
  }
  puts("the stream is still open");
  full = writer_open(fopen("/dev/full", "w"), false);
  if (full == NULL || full->stream == NULL)
    return 1;
  (void)setvbuf(full->stream, NULL, _IONBF, 0);
  writer_put(full, "no room");
  printf("an error at the end is no secret: %s\n",
         gcx_close(full) == 0 ? "none" : "EIO");
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
