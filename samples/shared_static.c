/* SPDX-License-Identifier: MIT */
/*
 * shared_static - one object that everybody uses and nobody may dispose
 *
 * It lives as long as the process: its type is OPTIONAL, so nothing is expected
 * of it, not even under exit_check=undisposed; and its function refuses.
 */
#include <errno.h>
#include <stdio.h>

#include <gcx.h>

struct pool {
  int uses;
};

static int shared_dispose(void *obj)
{
  (void)obj;
  fputs("somebody disposes the shared pool: a bug\n", stdout);
  return -EPERM;
}

static const struct gcx_type shared_type =
    GCX_TYPE_INIT("shared pool", sizeof(struct pool), GCX_TYPE_OPTIONAL, NULL,
                  shared_dispose, NULL, NULL);

static struct pool *pool_shared(void)
{
  static struct pool *shared;

  if (shared == NULL)
    shared = gcx_new(&shared_type);
  return shared;
}

int main(void)
{
  for (int i = 0; i < 3; i++)
    pool_shared()->uses++;
  printf("used %d times, never disposed\n", pool_shared()->uses);
  return 0;
}
