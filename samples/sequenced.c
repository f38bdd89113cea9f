/* SPDX-License-Identifier: MIT */
/*
 * sequenced - fields before rows before tables before the connection
 *
 * Each level is owned by the one above and ends what it owns first. However the
 * whole ends, from above or in parts, the order is the same.
 */
#include <stdio.h>

#include <gcx.h>

struct level {
  const char *name;
};

static int level_dispose(void *obj)
{
  gcx_dispose_owned(obj);
  printf("  %s released\n", ((const struct level *)obj)->name);
  return 0;
}

static const struct gcx_type level_type = GCX_TYPE_INIT(
    "level", sizeof(struct level), 0, NULL, level_dispose, NULL, NULL);

static struct level *level_open(struct level *owner, const char *name)
{
  gcx_auto struct level *l = gcx_new(&level_type);

  if (l == NULL)
    return NULL;
  l->name = name;
  if (owner != NULL && gcx_own(owner, l) != 0)
    return NULL;
  return gcx_steal(l);
}

int main(void)
{
  struct level *connection = level_open(NULL, "connection");
  struct level *table = level_open(connection, "table");
  struct level *row = level_open(table, "row 1"), *other;

  (void)level_open(row, "field 1.a");
  (void)level_open(row, "field 1.b");
  other = level_open(table, "row 2");
  (void)level_open(other, "field 2.a");
  puts("a row alone:");
  gcx_dispose(row);
  puts("the connection:");
  gcx_dispose(connection);
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
