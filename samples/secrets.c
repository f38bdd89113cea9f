/* SPDX-License-Identifier: MIT */
/*
 * secrets - a key is wiped when it is disposed, also by gcx_realloc()
 */
#include <stdio.h>
#include <string.h>

#include <gcx.h>

static const struct gcx_type key_type = GCX_TYPE_INIT(
    "key", 32, GCX_TYPE_SECRET | GCX_TYPE_ATOMIC, NULL, NULL, NULL, NULL);

static bool is_wiped(const char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != 0)
      return false;
  return true;
}

int main(void)
{
  struct gcx_pool_config config = { .name = "keys", .flags = GCX_POOL_CLEAR };
  struct gcx_pool *pool = gcx_pool_create(&config);
  char *key = gcx_new(&key_type), *longer, *buf = gcx_pool_take(pool, 64);

  if (key == NULL || buf == NULL)
    return 1;
  memset(key, 'k', 32);
  longer = gcx_realloc(key, 5000);
  if (longer == NULL)
    return 1;
  printf("moved: the old copy is %s\n", is_wiped(key, 32) ? "wiped" : "there");
  gcx_dispose(longer);
  printf("disposed: it is %s\n", is_wiped(longer, 32) ? "wiped" : "there");
  memset(buf, 's', 64);
  gcx_pool_return(pool, buf);
  printf("given back: it is %s\n", is_wiped(buf, 64) ? "wiped" : "there");
  gcx_dispose(pool);
  return 0;
}
