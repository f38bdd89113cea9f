/* SPDX-License-Identifier: MIT */
/*
 * bench_resource.c - what handles, tracked descriptors and tracked streams cost
 *
 *   acquire and release of a handle    beside an atomic increment and decrement
 *   open and close with the ledger     beside the C library's
 *   fopen, fgetc and fclose, followed  beside the C library's
 *
 * Nanoseconds a pair, the median of 15 runs that take turns; ends with status 1
 * if a ratio misses its goal.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gcx.h>
#include "bench.h"
#include "redirect.h"

#define RUNS 15

typedef void run_fn(long n);

static struct gcx_handle *handle;
static uint32_t counter;

static BENCH_NOINLINE void handle_pairs(long n)
{
  for (long i = 0; i < n; i++) {
    intptr_t raw;

    if (gcx_handle_acquire(handle, &raw))
      gcx_handle_release(handle);
  }
}

static BENCH_NOINLINE void atomic_pairs(long n)
{
  for (long i = 0; i < n; i++) {
    __atomic_fetch_add(&counter, 1, __ATOMIC_ACQ_REL);
    __atomic_fetch_sub(&counter, 1, __ATOMIC_ACQ_REL);
  }
}

static BENCH_NOINLINE void open_tracked(long n)
{
  for (long i = 0; i < n; i++)
    (void)gcx_redirect_close(gcx_redirect_open("/etc/passwd", O_RDONLY));
}

static BENCH_NOINLINE void open_plain(long n)
{
  for (long i = 0; i < n; i++)
    (void)close(open("/etc/passwd", O_RDONLY));
}

static BENCH_NOINLINE void fopen_tracked(long n)
{
  for (long i = 0; i < n; i++) {
    FILE *f = gcx_redirect_fopen("/etc/passwd", "r");

    (void)fgetc(f);
    (void)gcx_redirect_fclose(f);
  }
}

static BENCH_NOINLINE void fopen_plain(long n)
{
  for (long i = 0; i < n; i++) {
    FILE *f = fopen("/etc/passwd", "r");

    (void)fgetc(f);
    (void)fclose(f);
  }
}

static double run_ns(run_fn *fn, long n)
{
  uint64_t begin = bench_now_ns();

  fn(n);
  return (double)(bench_now_ns() - begin) / (double)n;
}

static int by_value(const void *a, const void *b)
{
  const double *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

static bool compare(const char *what, run_fn *ours, run_fn *theirs, long n,
                    double goal)
{
  double with[RUNS], without[RUNS], ratio;

  (void)run_ns(ours, n);
  (void)run_ns(theirs, n);
  for (int i = 0; i < RUNS; i++) {
    with[i] = run_ns(ours, n);
    without[i] = run_ns(theirs, n);
  }
  qsort(with, RUNS, sizeof *with, by_value);
  qsort(without, RUNS, sizeof *without, by_value);
  ratio = with[RUNS / 2] / without[RUNS / 2];
  printf("%-22s %9.1f ns %9.1f ns %6.2f x   goal %.1f x%s\n", what,
         with[RUNS / 2], without[RUNS / 2], ratio, goal,
         ratio <= goal ? "" : "  MISSED");
  return ratio <= goal;
}

int main(void)
{
  bool met;

  handle = gcx_fd_open("/dev/null", O_RDONLY, 0);
  if (handle == NULL)
    return 2;
  printf("%-22s %12s %12s\n", "", "gcx", "without");
  met = compare("acquire, release", handle_pairs, atomic_pairs, 2000000, 3.0);
  met &= compare("open, close", open_tracked, open_plain, 20000, 1.1);
  met &=
      compare("fopen, fgetc, fclose", fopen_tracked, fopen_plain, 20000, 1.1);
  gcx_dispose(handle);
  return met ? 0 : 1;
}
