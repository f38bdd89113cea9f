/* SPDX-License-Identifier: MIT */
/*
 * ordered - what must end later is held by a root until then
 *
 * Finalizers run in no promised order. A file that its buffer needs to the end is
 * therefore held by a list that the collector sees; the buffer's finalizer takes it
 * off when it is done, and the next collection finds the file.
 */
#include <pthread.h>
#include <stdio.h>

#include <gcx.h>

#define PAIRS 100

struct file {
  int closed;
};

struct buffer {
  int index;
};

static struct file *held[PAIRS]; /* by buffers that are still to be flushed */
static int flushed, closed, too_early;

static void file_finalize(void *obj)
{
  struct file *f = obj;

  f->closed = 1;
  closed++;
}

static void buffer_finalize(void *obj)
{
  const struct buffer *b = obj;

  too_early += held[b->index]->closed;
  flushed++;
  held[b->index] = NULL; /* now it may go */
}

static const struct gcx_type file_type =
    GCX_TYPE_INIT("file", sizeof(struct file), GCX_TYPE_OPTIONAL, NULL, NULL,
                  file_finalize, NULL);
static const struct gcx_type buffer_type =
    GCX_TYPE_INIT("buffer", sizeof(struct buffer), GCX_TYPE_OPTIONAL, NULL,
                  NULL, buffer_finalize, NULL);

static void *forget_pairs(void *failed)
{
  for (int i = 0; i < PAIRS; i++) {
    struct buffer *b = gcx_new(&buffer_type);

    held[i] = gcx_new(&file_type);
    if (b == NULL || held[i] == NULL)
      return failed;
    b->index = i;
  }
  return NULL;
}

/* On a thread of its own: nothing of it is left on this stack. */
static int run(void *(*fn)(void *))
{
  pthread_t thread;
  void *failed = NULL;

  if (pthread_create(&thread, NULL, fn, &failed) != 0 ||
      pthread_join(thread, &failed) != 0)
    return 1;
  return failed != NULL;
}

int main(void)
{
  if (run(forget_pairs) != 0)
    return 1;
  for (int i = 0; i < 20 && closed < PAIRS; i++) {
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
  }
  printf("most buffers flushed: %s\n", flushed > PAIRS / 2 ? "yes" : "no");
  printf("most files closed: %s\n", closed > PAIRS / 2 ? "yes" : "no");
  printf("files closed before their buffers: %d\n", too_early);
  return 0;
}
