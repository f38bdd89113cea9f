/* SPDX-License-Identifier: MIT */
/*
 * ring - objects that hold each other are lost together
 *
 * Each node of a ring has a pointer to it, from its neighbour: by counting
 * references no node would ever be found. gcx looks at what the program can
 * still reach. It names one node for each ring, the oldest, as the lost one and
 * says how many more are lost with it.
 */
#include <stdio.h>

#include <gcx.h>

#define RINGS 10
#define NODES 5

struct node {
  struct node *next;
  struct node *previous;
};

static const struct gcx_type node_type =
    GCX_TYPE_INIT("node", sizeof(struct node), 0, NULL, NULL, NULL, NULL);

static struct node *node_after(struct node *previous)
{
  struct node *n = gcx_new(&node_type);

  if (n == NULL)
    return NULL;
  n->previous = previous != NULL ? previous : n;
  n->next = previous != NULL ? previous->next : n;
  n->next->previous = n;
  n->previous->next = n;
  return n;
}

/* Goes round, and forgets it. */
__attribute__((noinline)) static int play(void)
{
  struct node *n = NULL;

  for (volatile int i = 0; i < NODES; i++) { /* one call site */
    struct node *made = node_after(n);

    if (made == NULL)
      return -1;
    n = made;
  }
  return 0;
}

int main(void)
{
  for (volatile int i = 0; i < RINGS; i++) {
    if (play() != 0)
      return 1;
  }
  gcx_check();
  return 0;
}
