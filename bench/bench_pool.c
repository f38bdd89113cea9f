/* SPDX-License-Identifier: MIT */
/*
 * bench_pool.c - what it costs to take a buffer from a pool and give it back,
 *                beside malloc+free of that size
 *
 * The peers are programs made from pool_peer.c.
 */
#include "bench.h"

#define OPERATIONS 400000
#define SIZES 4

enum peer { PEER_LSAN, PEER_MALLOC, PEER_TRACKED, PEER_OFF, PEERS };

static const struct {
  const char *name, *program, *options;
} peers[PEERS] = {
  { "malloc+free, LeakSanitizer", "pool_lsan", "" },
  { "malloc+free", "pool_malloc", "" },
  { "pool", "pool_gcx", "" },
  { "pool, leak=off", "pool_gcx", "leak=off" },
};
static const unsigned sizes[SIZES] = { 256, 4096, 16384, 65536 };
static double results[PEERS][SIZES][BENCH_RUNS_MAX];

static void measure(enum peer p, size_t size, size_t i)
{
  double n[2];

  if (!bench_child(peers[p].options, n, 2, "%s/%s %u %u", bench_directory(),
                   peers[p].program, sizes[size], OPERATIONS)) {
    printf("%s does not run\n", peers[p].program);
    exit(2);
  }
  results[p][size][i] = n[0];
}

/* The ratio is taken in each run, and the median of those shown. */
static void print_goal(enum peer p, enum peer to, size_t size, double goal)
{
  double each[BENCH_RUNS_MAX], is;
  char what[80];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = results[p][size][i] / results[to][size][i];
  is = bench_median(each, bench_runs());
  (void)snprintf(what, sizeof what, "%s / %s, %u bytes", peers[p].name,
                 peers[to].name, sizes[size]);
  printf("%-52s %5.2f  goal %4.2f  %s\n", what, is, goal,
         bench_goal(is <= goal));
}

int main(void)
{
  for (size_t i = 0; i < bench_runs(); i++)
    for (size_t s = 0; s < SIZES; s++)
      for (enum peer p = 0; p < PEERS; p++)
        measure(p, s, i);
  printf("take and return, 16 frames deep, ns without the calls, medians of "
         "%zu\n%-28s",
         bench_runs(), "bytes:");
  for (size_t s = 0; s < SIZES; s++)
    printf("%9u", sizes[s]);
  for (enum peer p = 0; p < PEERS; p++) {
    printf("\n%-28s", peers[p].name);
    for (size_t s = 0; s < SIZES; s++)
      printf("%9.1f", bench_median(results[p][s], bench_runs()));
  }
  printf("\n");
  for (size_t s = 0; s < SIZES; s++)
    print_goal(PEER_OFF, PEER_MALLOC, s, 1.5);
  for (size_t s = 0; s < SIZES; s++)
    print_goal(PEER_TRACKED, PEER_LSAN, s, 0.6);
  return bench_missed;
}
