/* SPDX-License-Identifier: MIT */
/*
 * memory_peer.c - what tracking costs in memory and in locks
 *
 *   memory_peer live N     resident bytes that N objects of 48 bytes add: each
 *   memory_peer same N     bytes of the depot that N more allocations with a
 *                          stack seen before add
 *   memory_peer locks N    of N objects made and ended, for how many a lock of
 *                          gcx was taken; and how often record numbers had to be
 *                          fetched at least
 *
 * The last two are for gcx alone, with the library's internals.
 */
#include "bench.h"

#include "peer.h"

#ifdef PEER_GCX
#include "cells.h"
#include "depot.h"
#include "lock.h"
#endif

#define BYTES 48

static void **held;

static BENCH_NOINLINE void *make(void)
{
  void *p = PEER_ALLOC(BYTES);

  BENCH_KEEP(p);
  return p;
}

static void live(size_t n)
{
  size_t before;

  held = PEER_ALLOC(n * sizeof *held);
  memset(held, 0, n * sizeof *held);
  PEER_END(make());
  before = bench_rss();
  for (size_t i = 0; i < n; i++)
    held[i] = make();
  printf("%.2f\n", (double)(bench_rss() - before) / (double)n);
}

#ifdef PEER_GCX
static void same(size_t n)
{
  size_t before = 0;

  for (size_t i = 0; i < n + 10; i++) {
    if (i == 10)
      before = gcx__depot_bytes() + gcx__depot_count();
    PEER_END(make());
  }
  printf("%zu\n", gcx__depot_bytes() + gcx__depot_count() - before);
}

static void locks(size_t n)
{
  size_t with = 0;

  PEER_END(make());
  for (size_t i = 0; i < n; i++) {
    uint64_t before = gcx__lock_count();

    PEER_END(make());
    with += gcx__lock_count() != before;
  }
  printf("%zu %zu\n", with, n / GCX__CELLS_NUMBERS);
}
#endif

int main(int argc, char **argv)
{
  size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

  PEER_INIT();
  if (argc < 3)
    return 1;
  if (strcmp(argv[1], "live") == 0)
    live(n);
#ifdef PEER_GCX
  else if (strcmp(argv[1], "same") == 0)
    same(n);
  else
    locks(n);
#endif
  (void)fflush(stdout);
  _exit(0);
}
