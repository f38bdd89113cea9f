/* SPDX-License-Identifier: MIT */
/*
 * bench_finalizer.c - what finalizers cost while their objects live, beside
 *                     GC_register_finalizer_no_order()
 */
#include "bench.h"

#define OBJECTS 1000000
#define ADDED_GOAL 25e6 /* ns, for all of them in a collection */
#define REGISTER_GOAL 0.3

enum {
  ADDED_GCX, /* to the same number of gcx's objects */
  ADDED_ALL, /* to the same number of the collector's own */
  ADDED_GC,
  BY_TYPE,
  AGAIN,
  REGISTER_GC,
  FIGURES
};
static double figures[FIGURES][BENCH_RUNS_MAX];

static void measure(const char *peer, const char *what, double *ret_numbers,
                    size_t n)
{
  if (bench_child("roots=strict", ret_numbers, n, "%s/%s %s %d",
                  bench_directory(), peer, what, OBJECTS))
    return;
  printf("%s %s does not run\n", peer, what);
  exit(2);
}

static void measure_all(size_t i)
{
  double gcx[2], gc[2];

  measure("finalizer_gcx", "collect", gcx, 2);
  measure("finalizer_gc", "collect", gc, 2);
  figures[ADDED_GCX][i] = gcx[1] - gcx[0];
  figures[ADDED_ALL][i] = gcx[1] - gc[0];
  figures[ADDED_GC][i] = gc[1] - gc[0];
  measure("finalizer_gcx", "register", gcx, 2);
  figures[BY_TYPE][i] = gcx[0];
  figures[AGAIN][i] = gcx[1];
  measure("finalizer_gc", "register", &figures[REGISTER_GC][i], 1);
}

static double median(int figure)
{
  return bench_median(figures[figure], bench_runs());
}

static double ratio(int a, int b)
{
  double each[BENCH_RUNS_MAX];

  for (size_t i = 0; i < bench_runs(); i++)
    each[i] = figures[a][i] / figures[b][i];
  return bench_median(each, bench_runs());
}

static void print_added(const char *to, int figure)
{
  printf("1M finalizers, added to a collection of %s: gcx %+.1f ms, no_order "
         "%+.1f ms; goal %.0f ms  %s\n",
         to, median(figure) / 1e6, median(ADDED_GC) / 1e6, ADDED_GOAL / 1e6,
         bench_goal(median(figure) <= ADDED_GOAL));
}

static void print_registering(const char *how, int figure)
{
  double of_gc = ratio(figure, REGISTER_GC);

  printf("registering one, %s: gcx %.1f ns, no_order %.1f ns; ratio %.2f  goal "
         "%.1f  %s\n",
         how, median(figure), median(REGISTER_GC), of_gc, REGISTER_GOAL,
         bench_goal(of_gc <= REGISTER_GOAL));
}

int main(void)
{
  for (size_t i = 0; i < bench_runs(); i++)
    measure_all(i);
  print_added("as many gcx objects", ADDED_GCX);
  print_added("as many of GC_MALLOC", ADDED_ALL);
  print_registering("by its type", BY_TYPE);
  print_registering("by gcx_reregister_finalize", AGAIN);
  return bench_missed ? 1 : 0;
}
