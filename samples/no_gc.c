/* SPDX-License-Identifier: MIT */
/*
 * no_gc - no collection while a deadline runs
 *
 * The budget is what all threads together allocate until the end. If it was too
 * small, or somebody asked for a collection, the end says so.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

#define MIB ((size_t)1 << 20)

static void play(size_t bytes)
{
  for (size_t done = 0; done < bytes; done += 1000)
    gcx_dispose(gcx_alloc(1000));
}

static void region(const char *what, size_t budget, size_t bytes, bool collect)
{
  int r = gcx_no_gc_begin(budget);

  if (r != 0) {
    printf("%s: not begun: %s\n", what, strerror(-r));
    return;
  }
  play(bytes);
  if (collect)
    gcx_collect();
  r = gcx_no_gc_end();
  printf("%s: %s\n", what, r == 0 ? "no collection" : strerror(-r));
}

int main(void)
{
  region("announced 8 MiB, used 4", 8 * MIB, 4 * MIB, false);
  region("announced 1 MiB, used 20", MIB, 20 * MIB, false);
  region("a collection was asked for", 8 * MIB, MIB, true);
  region("announced nothing", 0, 0, false);
  printf("no region is open: %s\n", strerror(-gcx_no_gc_end()));
  return 0;
}
