/* SPDX-License-Identifier: MIT */
/*
 * pool_resurrection - expensive objects that are forgotten go back to their pool
 *
 * With leak=dispose, the default of a build with NDEBUG, what a pool has lent and
 * the program has lost is taken back, reset, and lent again.
 */
#include <stdio.h>

#include <gcx.h>

struct parser {
  char tables[4096]; /* slow to make */
  int documents;
};

static int made;

static int parser_create(void *obj, void *arg)
{
  (void)obj;
  (void)arg;
  made++;
  return 0;
}

static int parser_reset(void *obj, void *arg)
{
  (void)arg;
  ((struct parser *)obj)->documents = 0;
  return 0;
}

/* As long as the process: a pool that ends wants all that it has lent. */
extern struct gcx_pool *pool;
struct gcx_pool *pool;

static __attribute__((noinline)) void forget(void)
{
  for (int i = 0; i < 50; i++) {
    struct parser *p = gcx_pool_take(pool, 0);

    if (p != NULL)
      p->documents++;
  }
}

int main(void)
{
  struct gcx_pool_config config = { .name = "parsers",
                                    .object_bytes = sizeof(struct parser),
                                    .create = parser_create,
                                    .reset = parser_reset };
  struct gcx_pool_stats s;

  pool = gcx_pool_create(&config);
  for (int round = 0; round < 10; round++) {
    forget();
    gcx_check();
  }
  gcx_pool_stats_read(pool, &s);
  printf("taken %llu times\n", (unsigned long long)s.taken);
  puts(made < 100 ? "made fewer than 100" : "made too many");
  puts(s.reclaimed > 400 ? "more than 400 came back by themselves"
                         : "too few came back");
  return 0;
}
