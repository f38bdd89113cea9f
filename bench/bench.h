/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the benchmarks share: a clock, medians, children that print
 *           numbers
 *
 * A benchmark is a driver and its peers: programs made from one source, with
 * gcx, malloc, LeakSanitizer or the collector alone. The driver runs them in
 * turns, several times over, so that the moods of the machine meet all of them;
 * what counts is the ratio of their medians.
 */
#ifndef GCX_BENCH_H
#define GCX_BENCH_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_NOINLINE __attribute__((noinline))
#define BENCH_KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")
#define BENCH_RUNS_MAX 64
#define BENCH_NUMBERS 8 /* that a child prints */

static bool bench_missed; /* a goal */

/* On a machine that has other work to do, GCX_BENCH_CLOCK=cpu counts the time of
 * this process alone (of all its threads, markers included). */
static inline uint64_t bench_now_ns(void)
{
  static int clock = -1;
  struct timespec ts;

  if (clock < 0) {
    const char *which = getenv("GCX_BENCH_CLOCK");

    clock = which != NULL && strcmp(which, "cpu") == 0
                ? CLOCK_PROCESS_CPUTIME_ID
                : CLOCK_MONOTONIC;
  }
  (void)clock_gettime(clock, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The same for one of several threads. */
static inline uint64_t bench_thread_ns(void)
{
  const char *which = getenv("GCX_BENCH_CLOCK");
  struct timespec ts;

  if (which == NULL || strcmp(which, "cpu") != 0)
    return bench_now_ns();
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline int bench_by_value(const void *a, const void *b)
{
  double x, y;

  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return (x > y) - (x < y);
}

static inline double bench_median(const double *values, size_t n)
{
  double sorted[BENCH_RUNS_MAX];

  memcpy(sorted, values, n * sizeof *values);
  qsort(sorted, n, sizeof sorted[0], bench_by_value);
  return sorted[n / 2];
}

static inline uint32_t bench_random(uint64_t *seed)
{
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*seed >> 33);
}

/* "yes", or "MISSED" and the driver ends with status 1. */
static inline const char *bench_goal(bool reached)
{
  bench_missed = bench_missed || !reached;
  return reached ? "yes" : "MISSED";
}

/* How often to repeat: GCX_BENCH_RUNS, at least 7 unless it says otherwise. */
static inline size_t bench_runs(void)
{
  const char *text = getenv("GCX_BENCH_RUNS");
  int n = text != NULL ? atoi(text) : 7;

  return n < 1 ? 1 : n > BENCH_RUNS_MAX ? BENCH_RUNS_MAX : (size_t)n;
}

/* Directory of the peers: that of the driver. */
static inline const char *bench_directory(void)
{
  static char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

  path[n > 0 ? n : 0] = '\0';
  if (strrchr(path, '/') != NULL)
    *strrchr(path, '/') = '\0';
  return path;
}

/* Run a command of the shell, in which %s is the directory of the peers, with
 * @options as GCX_OPTIONS, and read the numbers on the last line it prints.
 * False: it failed. */
static inline bool bench_child(const char *options, double *ret_numbers,
                               size_t n, const char *fmt, ...)
{
  char command[8192], line[1024], last[1024] = "", *at = last;
  va_list ap;
  FILE *pipe;

  va_start(ap, fmt);
  (void)vsnprintf(command, sizeof command, fmt, ap);
  va_end(ap);
  (void)setenv("GCX_OPTIONS", options, 1);
  pipe = popen(command, "r");
  if (pipe == NULL)
    return false;
  while (fgets(line, sizeof line, pipe) != NULL)
    if (strchr("0123456789.-", line[0]) != NULL)
      memcpy(last, line, sizeof last);
  if (pclose(pipe) != 0 || last[0] == '\0')
    return false;
  for (size_t i = 0; i < n; i++)
    ret_numbers[i] = strtod(at, &at);
  return true;
}

static inline bool bench_has_tool(const char *name)
{
  char command[256];

  (void)snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1",
                 name);
  return system(command) == 0;
}

/* Resident bytes of this process. */
static inline size_t bench_rss(void)
{
  FILE *f = fopen("/proc/self/statm", "r");
  unsigned long size = 0, resident = 0;

  if (f != NULL) {
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
      resident = 0;
    (void)fclose(f);
  }
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
