/* SPDX-License-Identifier: MIT */
/*
 * bench_report.c - 10,000 abandoned objects from 10 sites: how long until the
 *                  last line of the report is there
 *
 * From the call that collects to the line SUMMARY, helper process included,
 * read from a pipe by another process; the process that reports dies of it.
 */
#include "bench.h"

#include <sys/resource.h>

static double seconds_to_summary(void)
{
  char command[4200], line[4096];
  unsigned long long begin = 0;
  double seconds = -1;
  FILE *pipe;

  (void)snprintf(command, sizeof command, "%s/report_gcx 2>&1",
                 bench_directory());
  (void)setenv("GCX_OPTIONS", "leak=abort", 1);
  pipe = popen(command, "r");
  if (pipe == NULL)
    return -1;
  while (fgets(line, sizeof line, pipe) != NULL) {
    (void)sscanf(line, "begin %llu", &begin);
    if (strncmp(line, "SUMMARY: gcx: ", 14) == 0)
      seconds = (double)(bench_now_ns() - begin) / 1e9;
  }
  (void)pclose(pipe);
  return seconds;
}

int main(void)
{
  const struct rlimit no_core = { 0, 0 };
  double seconds[BENCH_RUNS_MAX], n[3] = { 0, 0, 0 }, median;

  (void)setrlimit(RLIMIT_CORE, &no_core);
  (void)setenv("GCX_BENCH_CLOCK", "wall", 1); /* two processes' */
  for (size_t i = 0; i < bench_runs(); i++) {
    seconds[i] = seconds_to_summary();
    if (seconds[i] < 0) {
      printf("no report\n");
      return 2;
    }
  }
  median = bench_median(seconds, bench_runs());
  printf("10,000 abandoned objects from 10 sites, to the last line: %.3f s  "
         "goal 2  %s\n",
         median, bench_goal(median <= 2));
  if (!bench_child("leak=report", n, 3, "%s/report_gcx 2>/dev/null",
                   bench_directory()))
    return 2;
  printf("helper processes %.0f, addresses asked %.0f of %.0f  goal: each once"
         "  %s\n",
         n[0], n[1], n[2], bench_goal(n[0] <= 1 && n[1] <= n[2]));
  return bench_missed;
}
