/* SPDX-License-Identifier: MIT */
/*
 * weak_tracker - who forgot to release a buffer?
 *
 * The buffers come from a library: their layout can't be changed, and nothing in
 * gcx knows that they have to be released. A weak table attaches a tracker to each
 * without touching it. The tracker ends with its buffer, however that comes about:
 * the table disposes it, and its dispose function sees whether the buffer had been
 * released by then.
 */
#include <stdio.h>

#include <gcx.h>

#define BUFFERS 100

/* ---- the library */

struct buffer {
  size_t bytes;
  char data[48];
};

static struct buffer *buffer_open(size_t bytes)
{
  struct buffer *b = gcx_alloc_managed(sizeof *b);

  if (b != NULL)
    b->bytes = bytes;
  return b;
}

/* ---- the tracker */

struct tracker {
  bool released;
};

static struct gcx_table *trackers;
static int forgotten;

static int tracker_dispose(void *obj)
{
  const struct tracker *t = obj;

  if (!t->released)
    __atomic_fetch_add(&forgotten, 1, __ATOMIC_RELAXED);
  return 0;
}

static const struct gcx_type tracker_type = GCX_TYPE_INIT(
    "tracker", sizeof(struct tracker), 0, NULL, tracker_dispose, NULL, NULL);

static struct buffer *tracked_open(size_t bytes)
{
  struct buffer *b = buffer_open(bytes);
  struct tracker *t = gcx_new(&tracker_type);

  if (b == NULL || t == NULL || gcx_table_add(trackers, b, t) != 0) {
    gcx_dispose(t);
    return NULL;
  }
  return b;
}

static void tracked_release(const struct buffer *b)
{
  struct tracker *t = gcx_table_get(trackers, b);

  if (t == NULL)
    return;
  t->released = true;
  (void)gcx_table_remove(trackers, b);
}

/* ---- the program */

/* Every second buffer is forgotten. */
__attribute__((noinline)) static void work(void)
{
  for (int i = 0; i < BUFFERS; i++) {
    const struct buffer *b = tracked_open(48);

    if (b != NULL && i % 2 == 0)
      tracked_release(b);
  }
}

int main(void)
{
  trackers = gcx_table_create(0);
  if (trackers == NULL)
    return 1;
  work();
  printf("buffers opened: %d\n", BUFFERS);
  printf("trackers of open ones: %zu\n", gcx_table_count(trackers));
  for (int i = 0; i < 2; i++)
    gcx_collect();
  if (!gcx_wait_for_finalizers(UINT64_MAX))
    return 1;
  printf("never released, at least 45: %s\n", forgotten >= 45 ? "yes" : "no");
  printf("more than the 50: %s\n", forgotten > 50 ? "yes" : "no");
  return 0;
}
