/* SPDX-License-Identifier: MIT */
/*
 * leave_open - disposal that is optional, and a wrapper that does not own
 *
 * A counter stands for nothing outside memory: its type is optional and nobody
 * has to dispose it. A writer over a stream closes it, or leaves it open, as
 * whoever made it said: leave_open is about the stream, never about the writer.
 */
#include <stdbool.h>
#include <stdio.h>

#include <gcx.h>

struct counter {
  int n;
};

static const struct gcx_type counter_type =
    GCX_TYPE_INIT("counter", sizeof(struct counter), GCX_TYPE_OPTIONAL, NULL,
                  NULL, NULL, NULL);

struct writer {
  FILE *stream;
  bool leave_open;
  char line[64]; /* not written yet */
};

static int writer_dispose(void *obj)
{
  struct writer *w = obj;
  int result = fputs(w->line, w->stream) < 0 ? -1 : 0;

  if (!w->leave_open && fclose(w->stream) != 0)
    result = -1;
  return result;
}

static const struct gcx_type writer_type = GCX_TYPE_INIT(
    "writer", sizeof(struct writer), 0, NULL, writer_dispose, NULL, NULL);

static struct writer *writer_create(FILE *stream, bool leave_open)
{
  struct writer *w = gcx_new(&writer_type);

  if (w != NULL) {
    w->stream = stream;
    w->leave_open = leave_open;
  }
  return w;
}

__attribute__((noinline)) static void count(void)
{
  struct counter *c = gcx_new(&counter_type);

  if (c != NULL)
    c->n++; /* and forgotten, as it may be */
}

int main(void)
{
  FILE *file = tmpfile();
  struct writer *w;

  if (file == NULL)
    return 1;
  for (int i = 0; i < 100; i++)
    count();
  w = writer_create(stdout, true);
  if (w == NULL)
    return 1;
  (void)snprintf(w->line, sizeof w->line, "written when it was disposed\n");
  gcx_dispose(w);
  puts("and standard output is still open");
  w = writer_create(file, false);
  if (w == NULL)
    return 1;
  printf("closing the other one: %d\n", gcx_close(w));
  return gcx_check() == 0 ? 0 : 1;
}
