/* SPDX-License-Identifier: MIT */
/*
 * bench_memory.c - what tracking costs in memory, and in locks
 */
#include "bench.h"

#define OBJECTS 1000000
#define OBJECTS_TEXT "1000000"

static void number(const char *program, const char *what, double *ret, size_t n)
{
  if (!bench_child("", ret, n, "%s/%s %s " OBJECTS_TEXT, bench_directory(),
                   program, what)) {
    printf("%s %s does not run\n", program, what);
    exit(2);
  }
}

static void print_objects(void)
{
  double gcx[BENCH_RUNS_MAX], gc[BENCH_RUNS_MAX], more;

  for (size_t i = 0; i < bench_runs(); i++) {
    number("memory_gcx", "live", &gcx[i], 1);
    number("memory_gc", "live", &gc[i], 1);
  }
  more = bench_median(gcx, bench_runs()) - bench_median(gc, bench_runs());
  printf("resident bytes of an object of 48: gcx %.1f, GC_MALLOC %.1f\n",
         bench_median(gcx, bench_runs()), bench_median(gc, bench_runs()));
  printf("  off the heap %.1f  goal 40  %s (8 more in the cell, of the same "
         "size class)\n",
         more, bench_goal(more <= 40.5));
}

static void print_stacks(void)
{
  double bytes = 0;

  number("memory_gcx", "same", &bytes, 1);
  printf("bytes for 1M more objects with a stack seen before: %.0f  goal 0  "
         "%s\n",
         bytes, bench_goal(bytes <= 0));
}

/* Collections take locks, too, a hundred times or so. */
static void print_locks(void)
{
  double n[2] = { 0, 0 };

  number("memory_gcx", "locks", n, 2);
  printf("of 1M objects made and ended, with a lock: %.0f, of which %.0f fetch "
         "record numbers, the rest collect  goal <= 1000 others  %s\n",
         n[0], n[1], bench_goal(n[0] - n[1] <= OBJECTS / 1000));
}

int main(void)
{
  print_objects();
  print_stacks();
  print_locks();
  return bench_missed;
}
