/* SPDX-License-Identifier: MIT */
/*
 * touch - the report says where a lost object was last used, and when it was lost
 *
 * A server that keeps its connections in a table. A connection that asks for too
 * much is taken out of the table and forgotten. gcx_touch() marks its last uses,
 * gcx_breadcrumb() the progress of the program.
 */
#include <stdio.h>

#include <gcx.h>

#define SLOTS 7
#define ROUNDS 6
#define LIMIT 40

struct conn {
  int peer;
  int asked;
};

static int conn_describe(const void *obj, char *buf, size_t n)
{
  const struct conn *c = obj;

  return snprintf(buf, n, "peer %d", c->peer);
}

static const struct gcx_type conn_type =
    GCX_TYPE_INIT("conn", sizeof(struct conn), GCX_TYPE_ATOMIC, NULL, NULL,
                  NULL, conn_describe);

static struct conn *table[SLOTS];

static int serve(struct conn *c, int round)
{
  c->asked += round * (c->peer % 4);
  gcx_touch(c, c->asked > LIMIT ? "refused" : "served");
  return c->asked > LIMIT ? -1 : 0;
}

static int accept_all(void)
{
  for (int i = 0; i < SLOTS; i++) {
    table[i] = gcx_new(&conn_type);
    if (table[i] == NULL)
      return -1;
    table[i]->peer = i;
  }
  return 0;
}

static void serve_all(int round)
{
  for (int i = 0; i < SLOTS; i++) {
    if (table[i] != NULL && serve(table[i], round) != 0)
      table[i] = NULL; /* forgotten: it should be disposed first */
  }
}

int main(void)
{
  if (accept_all() != 0)
    return 1;
  for (int round = 1; round <= ROUNDS; round++) {
    serve_all(round);
    gcx_breadcrumb("round %d", round);
    gcx_check();
  }
  for (int i = 0; i < SLOTS; i++)
    gcx_dispose(table[i]);
  return 0;
}
