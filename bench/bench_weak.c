/* SPDX-License-Identifier: MIT */
/*
 * bench_weak.c - weak tables beside uthash, the closure, weak references
 */
#include "bench.h"

#define ROWS 9

static const struct row {
  const char *what;
  size_t n;
} rows[ROWS] = {
  { "get", 1000 },      { "get", 1000000 },    { "set", 1000 },
  { "set", 1000000 },   { "threads", 100000 }, { "order", 1000000 },
  { "random", 250000 }, { "random", 1000000 }, { "refs", 1000000 },
};
enum {
  GET,
  GET_MANY,
  SET,
  SET_MANY,
  THREADS,
  ORDER,
  RANDOM,
  RANDOM_MANY,
  REFS
};

static double first[ROWS][BENCH_RUNS_MAX];
static double second[ROWS][BENCH_RUNS_MAX];
static double plain_scaling[BENCH_RUNS_MAX]; /* of two threads, uthash */

static void measure(int r, size_t i)
{
  double n[4] = { 0, 0, 0, 1 };

  if (!bench_child("roots=strict", n, r == THREADS ? 4 : 2,
                   "%s/weak_gcx %s %zu", bench_directory(), rows[r].what,
                   rows[r].n)) {
    printf("weak_gcx %s does not run\n", rows[r].what);
    exit(2);
  }
  first[r][i] = n[0];
  second[r][i] = n[1];
  if (r == THREADS)
    plain_scaling[i] = n[2] / n[3];
}

static double ratio(int r)
{
  double each[BENCH_RUNS_MAX];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = first[r][i] / second[r][i];
  return bench_median(each, bench_runs());
}

static double median(int r)
{
  return bench_median(first[r], bench_runs());
}

static void print_peer(int r, double goal)
{
  if (second[r][0] == 0) {
    printf(
        "%s, %zu keys: gcx %.1f ns; not compared: no uthash (apt-get install "
        "uthash-dev)\n",
        rows[r].what, rows[r].n, median(r));
    return;
  }
  printf("%s, %zu keys: gcx %.1f ns, uthash %.1f ns; ratio %.2f  goal %.1f  "
         "%s\n",
         rows[r].what, rows[r].n, median(r),
         bench_median(second[r], bench_runs()), ratio(r), goal,
         bench_goal(ratio(r) <= goal));
}

static void print_phase(int r, double goal)
{
  printf("%s chain of %zu: %.0f ns an entry  goal %.0f  %s\n", rows[r].what,
         rows[r].n, median(r), goal, bench_goal(median(r) <= goal));
}

int main(void)
{
  double work, time;

  for (size_t i = 0; i < bench_runs(); i++)
    for (int r = 0; r < ROWS; r++)
      measure(r, i);
  print_peer(GET, 2);
  print_peer(GET_MANY, 2);
  print_peer(SET, 3);
  print_peer(SET_MANY, 3);
  printf("get in two threads / in one: %.2f (uthash %.2f)  goal 1.5  %s\n",
         ratio(THREADS), bench_median(plain_scaling, bench_runs()),
         bench_goal(ratio(THREADS) <= 1.5));
  print_phase(ORDER, 60);
  print_phase(RANDOM_MANY, 400);
  work = bench_median(second[RANDOM_MANY], bench_runs()) /
         bench_median(second[RANDOM], bench_runs());
  time = 4 * median(RANDOM_MANY) / median(RANDOM);
  printf(
      "four times the random chain: work %.2f  goal 4.1  %s; time %.2f  goal "
      "8  %s\n",
      work, bench_goal(work <= 4.1), time, bench_goal(time <= 8));
  printf("1M weak references: +%.1f ms a collection  goal 20  %s\n",
         median(REFS) / 1e6, bench_goal(median(REFS) <= 20e6));
  return bench_missed ? 1 : 0;
}
