/* SPDX-License-Identifier: MIT */
/*
 * cache_census - a cache that keeps everything, and the census that shows it
 *
 * Nothing is lost: the cache refers to all of it, so there is no leak to report.
 * The difference of two censuses names the type, the number and the stack.
 */
#include <stdio.h>
#include <unistd.h>

#include <gcx.h>

struct page {
  int key;
  struct page *next;
  char text[200];
};

static struct page *cache; /* nothing ever leaves it */

static const struct gcx_type page_type = GCX_TYPE_INIT(
    "struct page", sizeof(struct page), 0, NULL, NULL, NULL, NULL);

static __attribute__((noinline)) struct page *page_get(int key)
{
  struct page *p;

  for (p = cache; p != NULL; p = p->next)
    if (p->key == key)
      return p;
  p = gcx_new(&page_type);
  if (p == NULL)
    return NULL;
  p->key = key;
  p->next = cache;
  return cache = p;
}

static void serve(int from, int n)
{
  for (int i = from; i < from + n; i++)
    if (page_get(i) == NULL)
      return;
}

int main(void)
{
  struct gcx_census *before, *after;

  serve(0, 100);
  before = gcx_census_take();
  serve(100, 400);
  after = gcx_census_take();
  printf("lost: %zu\n", gcx_check());
  fflush(stdout);
  gcx_census_print(gcx_census_diff(before, after), STDOUT_FILENO,
                   GCX_CENSUS_TEXT);
  while (cache != NULL) {
    struct page *next = cache->next;

    gcx_dispose(cache);
    cache = next;
  }
  return 0;
}
