/* SPDX-License-Identifier: MIT */
/*
 * collect_peer.c - how long a collection takes
 *
 *   collect_peer live N      with N objects of 48 bytes that are held: ns
 *   collect_peer memory MIB  how much longer with so much more memory from
 *                            malloc (gcx, roots=all), or as a root (GC); and the
 *                            time of reading it: ns, ns
 *   collect_peer corpses N   how much longer with N abandoned objects that are
 *                            kept (gcx, leak=report): ns each
 *
 * Medians of 9 collections.
 */
#include "bench.h"

#include "peer.h"

#define COLLECTIONS 9
#define BYTES 48

static void **held;
static volatile uint64_t read_sum;

static double collection_ns(void)
{
  double ns[COLLECTIONS];

  PEER_COLLECT();
  for (size_t i = 0; i < COLLECTIONS; i++) {
    uint64_t begin = bench_now_ns();

    PEER_COLLECT();
    ns[i] = (double)(bench_now_ns() - begin);
  }
  return bench_median(ns, COLLECTIONS);
}

static void live(size_t n)
{
  held = PEER_ALLOC(n * sizeof *held);
  for (size_t i = 0; i < n; i++)
    held[i] = PEER_ALLOC(BYTES);
  printf("%.0f\n", collection_ns());
}

static double reading_ns(const uint64_t *words, size_t n)
{
  double ns[COLLECTIONS];

  for (size_t i = 0; i < COLLECTIONS; i++) {
    uint64_t begin = bench_now_ns(), sum = 0;

    for (size_t w = 0; w < n; w++)
      sum += words[w];
    read_sum = sum;
    ns[i] = (double)(bench_now_ns() - begin);
  }
  return bench_median(ns, COLLECTIONS);
}

/* Filled with what is no pointer. */
static void memory(size_t mib)
{
  size_t bytes = mib << 20, n = bytes / sizeof(uint64_t);
  double before = collection_ns(), after;
  uint64_t *words = malloc(bytes), seed = 7;

  if (words == NULL)
    return;
  for (size_t i = 0; i < n; i++)
    words[i] = (uint64_t)bench_random(&seed) << 32 | bench_random(&seed);
#ifdef PEER_GC
  GC_add_roots(words, words + n);
#endif
  after = collection_ns();
  printf("%.0f %.0f\n", after - before, reading_ns(words, n));
}

static BENCH_NOINLINE void lose(size_t n)
{
  for (size_t i = 0; i < n; i++)
    BENCH_KEEP(PEER_ALLOC(BYTES));
}

static void corpses(size_t n)
{
  double before = collection_ns(), after;

  lose(n);
#ifdef PEER_GCX
  (void)gcx_check(); /* finds and reports them */
#endif
  after = collection_ns();
  printf("%.2f\n", (after - before) / (double)n);
}

int main(int argc, char **argv)
{
  size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

  PEER_INIT();
  if (argc < 3)
    return 1;
  if (strcmp(argv[1], "live") == 0)
    live(n);
  else if (strcmp(argv[1], "memory") == 0)
    memory(n);
  else
    corpses(n);
  (void)fflush(stdout);
  _exit(0);
}
