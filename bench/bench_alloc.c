/* SPDX-License-Identifier: MIT */
/*
 * bench_alloc.c - what it costs to make and end an object, beside other
 *                 allocators
 *
 * The peers are programs made from alloc_peer.c. Costs are shown without those
 * of the calls that lead to the allocation, and in parentheses with them; ratios
 * are of the former.
 */
#include "bench.h"

#define OPERATIONS 400000
#define PATHS 4

enum peer {
  PEER_LSAN,
  PEER_MALLOC,
  PEER_COLLECTOR,
  PEER_GCX,
  PEER_QUARANTINE0,
  PEER_OFF,
  PEER_REDIRECT,
  PEERS
};

struct peer_row {
  const char *name;
  const char *program;
  const char *options;
};

static const struct peer_row peers[PEERS] = {
  { "malloc+free, LeakSanitizer", "alloc_lsan", "" },
  { "malloc+free", "alloc_malloc", "" },
  { "GC_MALLOC", "alloc_gc", "" },
  { "gcx", "alloc_gcx", "" },
  { "gcx, quarantine=0", "alloc_gcx", "quarantine=0" },
  { "gcx, leak=off", "alloc_gcx", "leak=off" },
  { "malloc+free, gcx/malloc.h", "alloc_redirect", "" },
};
static const unsigned path_counts[PATHS] = { 1, 16, 1000, 8000 };

static double results[PEERS][PATHS][2][BENCH_RUNS_MAX];
static double threads_ns[2][2][BENCH_RUNS_MAX]; /* [gcx, malloc][threads - 1] */

static void measure(enum peer p, size_t paths, size_t i)
{
  double n[2];

  if (!bench_child(peers[p].options, n, 2, "%s/%s %u %u 1", bench_directory(),
                   peers[p].program, path_counts[paths], OPERATIONS)) {
    printf("%s does not run\n", peers[p].program);
    exit(2);
  }
  results[p][paths][0][i] = n[0];
  results[p][paths][1][i] = n[1];
}

static double cost(enum peer p, size_t paths)
{
  return bench_median(results[p][paths][0], bench_runs());
}

/* The ratio to a peer is taken in each run, and the median of those shown. */
static double ratio(enum peer p, enum peer to, size_t paths)
{
  double each[BENCH_RUNS_MAX];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = results[p][paths][0][i] / results[to][paths][0][i];
  return bench_median(each, bench_runs());
}

static void print_costs(void)
{
  printf("%-28s", "ns; paths:");
  for (size_t n = 0; n < PATHS; n++)
    printf("%8u %-8s", path_counts[n], "");
  printf("\n");
  for (enum peer p = 0; p < PEERS; p++) {
    printf("%-28s", peers[p].name);
    for (size_t n = 0; n < PATHS; n++)
      printf("%8.1f (%5.0f) ", cost(p, n),
             bench_median(results[p][n][1], bench_runs()));
    printf("\n");
  }
}

static void print_goal(const char *what, double is, double goal)
{
  printf("%-52s %5.2f  goal %4.2f  %s\n", what, is, goal,
         bench_goal(is <= goal));
}

static void print_goals(void)
{
  static const double goals[PATHS] = { 0.6, 1.0, 1.5, 2.5 };
  char what[80];

  for (size_t n = 0; n < PATHS; n++) {
    (void)snprintf(what, sizeof what, "gcx / LeakSanitizer, %u paths",
                   path_counts[n]);
    print_goal(what, ratio(PEER_GCX, PEER_LSAN, n), goals[n]);
  }
  print_goal("gcx quarantine=0 / LeakSanitizer, 1 path",
             ratio(PEER_QUARANTINE0, PEER_LSAN, 0), 0.5);
  print_goal("gcx leak=off / GC_MALLOC, 1 path",
             ratio(PEER_OFF, PEER_COLLECTOR, 0), 1.0);
  print_goal("gcx/malloc.h / LeakSanitizer, 1 path",
             ratio(PEER_REDIRECT, PEER_LSAN, 0), 0.5);
}

/* How much faster two threads are, together, than one: by the wall clock. */
static void measure_threads(size_t i)
{
  static const char *const programs[] = { "alloc_gcx", "alloc_malloc" };

  for (size_t p = 0; p < 2; p++)
    for (size_t t = 0; t < 2; t++) {
      double n[2];

      if (!bench_child("", n, 2, "GCX_BENCH_CLOCK=wall %s/%s 16 %u %zu",
                       bench_directory(), programs[p], OPERATIONS, t + 1))
        exit(2);
      threads_ns[p][t][i] = n[1];
    }
}

static double threads_gain(size_t program)
{
  double each[BENCH_RUNS_MAX];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = threads_ns[program][0][i] / threads_ns[program][1][i];
  return bench_median(each, bench_runs());
}

static void print_threads(void)
{
  double gain = threads_gain(0);

  printf("%-52s %5.2f  goal 1.50  %s (malloc+free here: %.2f)\n",
         "gcx, operations of 2 threads / of 1, 16 paths", gain,
         bench_goal(gain >= 1.5), threads_gain(1));
}

static void print_tool(const char *tool, const char *command)
{
  double n[2];

  if (!bench_has_tool(tool))
    printf("%-28s not installed\n", tool);
  else if (bench_child("", n, 2, command, bench_directory()))
    printf("%-28s%8.1f (%5.0f)\n", tool, n[0], n[1]);
  else
    printf("%-28s failed\n", tool);
}

int main(void)
{
  for (size_t i = 0; i < bench_runs(); i++) {
    for (size_t n = 0; n < PATHS; n++)
      for (enum peer p = 0; p < PEERS; p++)
        measure(p, n, i);
    measure_threads(i);
  }
  printf("alloc(48) and end, 16 frames deep, medians of %zu, without the calls "
         "(with them)\n",
         bench_runs());
  print_costs();
  print_tool("valgrind", "valgrind -q --leak-check=full --num-callers=20 "
                         "%s/alloc_malloc 1 20000 1 2>/dev/null");
  print_tool("heaptrack", "heaptrack -o /tmp/gcx-bench-heaptrack.$$ "
                          "%s/alloc_malloc 1 20000 1 2>/dev/null; "
                          "rm -f /tmp/gcx-bench-heaptrack.$$*");
  print_goals();
  print_threads();
  return bench_missed;
}
