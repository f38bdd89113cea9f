/* SPDX-License-Identifier: MIT */
/*
 * pressure - small objects with much memory of another kind behind them
 *
 * An image of a few bytes holds a megabyte that the collector does not see. What
 * is attached to the object counts, and ends with it: lost images are found in
 * time, in a build that disposes what is lost.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include <gcx.h>

#define PIXELS ((size_t)1 << 20)

struct image {
  void *pixels;
};

static size_t mapped, most;

static int image_dispose(void *obj)
{
  const struct image *i = obj;

  __atomic_fetch_sub(&mapped, 1, __ATOMIC_RELAXED);
  return munmap(i->pixels, PIXELS) == 0 ? 0 : -errno;
}

static const struct gcx_type image_type = GCX_TYPE_INIT(
    "struct image", sizeof(struct image), 0, NULL, image_dispose, NULL, NULL);

static struct image *image_decode(void)
{
  struct image *i = gcx_new(&image_type);
  size_t now;

  if (i == NULL)
    return NULL;
  i->pixels = mmap(NULL, PIXELS, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (i->pixels == MAP_FAILED) {
    gcx_discard(i);
    return NULL;
  }
  now = __atomic_add_fetch(&mapped, 1, __ATOMIC_RELAXED);
  most = now > most ? now : most;
  (void)gcx_pressure_attach(i, PIXELS);
  return i;
}

static __attribute__((noinline)) void show(int n)
{
  for (int i = 0; i < n; i++)
    if (image_decode() == NULL)
      return;
}

int main(void)
{
  struct gcx_stats s;

  for (int i = 0; i < 50; i++) {
    show(100);
    gcx_wait_for_finalizers(1000);
  }
  gcx_stats_read(&s);
  puts(s.induced > 0 ? "pressure asked for collections" : "no collection");
  puts(most < 5000 ? "never were all 5000 mapped" : "all were mapped at once");
  return 0;
}
