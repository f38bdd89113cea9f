/* SPDX-License-Identifier: MIT */
/*
 * pool_steps - a buffer pool in three steps: taken; given back; forgotten
 *
 * The pool knows all of its memory, and still the buffer that nobody gives back
 * is found: nothing of the pool refers to what is taken. The report shows the
 * stack that took it.
 */
#include <stdio.h>
#include <string.h>

#include <gcx.h>

static __attribute__((noinline)) void forgetful(struct gcx_pool *pool)
{
  for (volatile int i = 0; i < 10; i++) { /* one call site, not ten */
    char *block = gcx_pool_take(pool, 4096);

    if (block != NULL)
      memset(block, 'x', 4096);
  }
}

int main(void)
{
  struct gcx_pool_config config = { .name = "blocks", .max_bytes = 65536 };
  struct gcx_pool *pool = gcx_pool_create(&config);
  char *block = gcx_pool_take(pool, 4096);

  if (block == NULL)
    return 1;
  gcx_check();
  puts("taken: nothing to report");
  gcx_pool_return(pool, block);
  gcx_check();
  puts("given back: nothing to report");
  fflush(stdout);
  forgetful(pool);
  gcx_check();
  puts("not reached");
  gcx_dispose(pool);
  return 0;
}
