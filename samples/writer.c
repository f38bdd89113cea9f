/* SPDX-License-Identifier: MIT */
/*
 * writer - what is lost with a buffered writer is its data
 *
 * An empty writer may be forgotten: flushing it suppresses. Writing takes it on
 * again. One that is abandoned with data in it is the leak, and is reported.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

struct writer {
  size_t used;
  char data[80];
};

static void writer_flush(struct writer *w)
{
  fwrite(w->data, 1, w->used, stdout);
  w->used = 0;
  gcx_suppress_finalize(w);
}

static int writer_dispose(void *obj)
{
  writer_flush(obj);
  return 0;
}

static int writer_describe(const void *obj, char *buf, size_t n)
{
  const struct writer *w = obj;

  return snprintf(buf, n, "%zu bytes not written", w->used);
}

static const struct gcx_type writer_type =
    GCX_TYPE_INIT("writer", sizeof(struct writer), 0, NULL, writer_dispose,
                  NULL, writer_describe);

static struct writer *writer_open(void)
{
  struct writer *w = gcx_new(&writer_type);

  if (w != NULL)
    gcx_suppress_finalize(w); /* nothing is in it */
  return w;
}

static void writer_write(struct writer *w, const char *text)
{
  size_t n = strlen(text);

  if (w->used + n > sizeof(w->data))
    writer_flush(w);
  memcpy(w->data + w->used, text, n);
  w->used += n;
  gcx_reregister_finalize(w);
}

static void *work(void *arg)
{
  struct writer *disposed = writer_open(), *flushed = writer_open();
  struct writer *lost = writer_open();

  if (disposed == NULL || flushed == NULL || lost == NULL)
    return arg;
  writer_write(disposed, "written when it was disposed\n");
  gcx_dispose(disposed);
  writer_write(flushed, "flushed, then forgotten: nothing is lost\n");
  writer_flush(flushed);
  writer_write(lost, "never seen\n");
  fflush(stdout);
  return NULL;
}

int main(void)
{
  pthread_t thread;
  void *failed = NULL;

  if (pthread_create(&thread, NULL, work, &failed) != 0 ||
      pthread_join(thread, &failed) != 0 || failed != NULL)
    return 1;
  return gcx_check() == 1 ? 0 : 1;
}
