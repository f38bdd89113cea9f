/* SPDX-License-Identifier: MIT */
/*
 * use_after_dispose - a late use is recognised, and both places are named
 *
 * The queue is closed by the writer while a reader still has it. The memory of a
 * disposed object stays what it was until nothing refers to it: the late use
 * reads no other object's bytes, and gcx_require_live() says who disposed it.
 */
#include <stdio.h>

#include <gcx.h>

#define ROOM 16

struct queue {
  int item[ROOM];
  int head, tail;
};

static const struct gcx_type queue_type = GCX_TYPE_INIT(
    "queue", sizeof(struct queue), GCX_TYPE_ATOMIC, NULL, NULL, NULL, NULL);

static int queue_put(struct queue *q, int item)
{
  gcx_require_live(q);
  if (q->tail == ROOM)
    return -1;
  q->item[q->tail++] = item;
  return 0;
}

static int queue_get(struct queue *q)
{
  gcx_require_live(q);
  return q->head < q->tail ? q->item[q->head++] : -1;
}

__attribute__((noinline)) static void writer_finish(struct queue *q)
{
  if (queue_put(q, 3) != 0)
    puts("full");
  gcx_dispose(q);
}

__attribute__((noinline)) static void reader_drain(struct queue *q)
{
  int item;

  while ((item = queue_get(q)) >= 0)
    printf("item %d\n", item);
}

int main(void)
{
  struct queue *q = gcx_new(&queue_type);

  if (q == NULL || queue_put(q, 1) != 0 || queue_put(q, 2) != 0)
    return 1;
  writer_finish(q);
  reader_drain(q);
  return 0;
}
