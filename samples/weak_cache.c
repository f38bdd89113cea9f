/* SPDX-License-Identifier: MIT */
/*
 * weak_cache - a cache that keeps nothing alive
 *
 * Pictures are looked up by number. While somebody uses one, everybody who asks
 * gets that one; when nobody does, the collector takes it, and the cache makes a
 * new one when it is asked again. With strong pointers it would grow for ever.
 */
#include <stdio.h>

#include <gcx.h>

#define PICTURES 100

struct picture {
  int number;
  char pixels[100];
};

static struct gcx_weak *cache[PICTURES];
static struct picture *used[PICTURES];

/* The picture if it is in the cache: the one that is in use. */
static const struct picture *cache_get(int number)
{
  const struct picture *p = gcx_weak_get(cache[number]);

  if (p != NULL && used[number] != NULL && p != used[number])
    printf("picture %d is not the one in use\n", number);
  return p;
}

__attribute__((noinline)) static int cache_fill(void)
{
  for (int i = 0; i < PICTURES; i++) {
    struct picture *p = gcx_alloc_managed(sizeof *p);

    cache[i] = p != NULL ? gcx_weak_create(p, GCX_WEAK_SHORT) : NULL;
    if (cache[i] == NULL)
      return -1;
    p->number = i;
    used[i] = p;
  }
  return 0;
}

__attribute__((noinline)) static const char *look(void)
{
  int found = 0;

  for (int i = 0; i < PICTURES; i++)
    found += cache_get(i) != NULL;
  return found == PICTURES        ? "found"
         : found <= PICTURES / 10 ? "not found"
                                  : "some found";
}

int main(void)
{
  if (cache_fill() != 0)
    return 1;
  printf("pictures made: %d, in use\n", PICTURES);
  printf("asked for: %s\n", look());
  gcx_collect();
  printf("after a collection: %s\n", look());
  for (int i = 0; i < PICTURES; i++)
    used[i] = NULL;
  printf("the last references went\n");
  gcx_collect();
  printf("after a collection: %s\n", look());
  printf("made again: %s\n", cache_fill() == 0 ? look() : "no memory");
  return 0;
}
