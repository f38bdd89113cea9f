/* SPDX-License-Identifier: MIT */
/*
 * bench_collect.c - what tracking adds to a collection
 */
#include "bench.h"

enum row {
  LIVE_GCX,
  LIVE_GC,
  MEMORY_64,
  MEMORY_64_GC,
  MEMORY_256,
  MEMORY_256_GC,
  CORPSES,
  ROWS
};

static const struct {
  const char *program;
  const char *options;
  const char *arguments;
} rows[ROWS] = {
  { "collect_gcx", "roots=strict", "live 1000000" },
  { "collect_gc", "", "live 1000000" },
  { "collect_gcx", "roots=all", "memory 64" },
  { "collect_gc", "", "memory 64" },
  { "collect_gcx", "roots=all", "memory 256" },
  { "collect_gc", "", "memory 256" },
  { "collect_gcx", "leak=report:log_path=/dev/null", "corpses 1000000" },
};

static double results[ROWS][2][BENCH_RUNS_MAX];

static void measure(enum row r, size_t i)
{
  double n[2] = { 0, 0 };

  if (!bench_child(rows[r].options, n, 2, "%s/%s %s 2>/dev/null",
                   bench_directory(), rows[r].program, rows[r].arguments)) {
    printf("%s %s does not run\n", rows[r].program, rows[r].arguments);
    exit(2);
  }
  results[r][0][i] = n[0];
  results[r][1][i] = n[1];
}

static double ms(enum row r, size_t which)
{
  return bench_median(results[r][which], bench_runs()) / 1e6;
}

static double ratio(enum row r, size_t which, enum row to, size_t to_which)
{
  double each[BENCH_RUNS_MAX];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = results[r][which][i] / results[to][to_which][i];
  return bench_median(each, bench_runs());
}

static void print_live(void)
{
  double r = ratio(LIVE_GCX, 0, LIVE_GC, 0);

  printf("1M live objects of 48 bytes: gcx, roots=strict %.1f ms; GC_MALLOC "
         "%.1f ms\n",
         ms(LIVE_GCX, 0), ms(LIVE_GC, 0));
  printf("  ratio %.2f  goal 1.25  %s\n", r, bench_goal(r <= 1.25));
}

static void print_memory(const char *what, enum row gcx, enum row gc)
{
  double r = ratio(gcx, 0, gc, 0);

  printf("%s more of malloc memory, roots=all: +%.1f ms; the same as a root of "
         "bdwgc +%.1f ms; reading it %.1f ms\n",
         what, ms(gcx, 0), ms(gc, 0), ms(gcx, 1));
  printf("  to scanning %.2f  goal 1.00  %s   (to reading %.2f)\n", r,
         bench_goal(r <= 1.0), ratio(gcx, 0, gcx, 1));
}

static void print_corpses(void)
{
  double ns = bench_median(results[CORPSES][0], bench_runs());

  printf("1M abandoned objects, each collection: %.1f ns each  goal 50  %s\n",
         ns, bench_goal(ns <= 50));
}

int main(void)
{
  for (size_t i = 0; i < bench_runs(); i++)
    for (enum row r = 0; r < ROWS; r++)
      measure(r, i);
  print_live();
  print_memory("64 MiB", MEMORY_64, MEMORY_64_GC);
  print_memory("256 MiB", MEMORY_256, MEMORY_256_GC);
  print_corpses();
  return bench_missed;
}
