/* SPDX-License-Identifier: MIT */
/*
 * bench_capture.c - what capturing a stack of 16 frames costs, getting the site
 *                   id included, beside unw_backtrace()
 *
 * One common wrapper, reached by 1 ... 8000 distinct paths. Three families:
 *
 *   sites    twelve functions with one frame size; paths differ in call sites
 *   sizes    at each level one of two functions whose frames differ in size
 *   fp       as sites, compiled with frame pointers
 *
 * Families can be named as the only argument.
 *
 * Prints nanoseconds per capture, the median of 15 runs, the cost of the calls
 * themselves (the same paths without a capture) taken off.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "depot.h"
#include "modules.h"
#include "options.h"
#include "platform.h"
#include "rules.h"
#include "trace.h"

#define LEVELS 13 /* and wrapper, family, run, main: 16 to 18 frames */
#define RUNS 15
#define CAPTURES 65536
#define PATHS_MAX 8192

enum mode { NOTHING, SITE, BACKTRACE };

static enum mode bench_mode;
static struct gcx__thread *bench_thread;
static volatile uint32_t bench_sink;
static uint32_t bench_paths[PATHS_MAX];
static uint32_t bench_order[65536];

/* Stands for gcx_alloc(). */
static GCX_NOINLINE void public_entry(void)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *pcs[32];

  if (bench_mode == SITE) {
    bench_sink = gcx__trace_site(bench_thread, &start);
  } else if (bench_mode == BACKTRACE) {
    bench_sink = (uint32_t)unw_backtrace(pcs, 30);
  }
}

static GCX_NOINLINE void wrapper(void)
{
  public_entry();
  GCX_KEEP(&bench_sink);
}

typedef void level_fn(uint32_t path, int depth);

/* Two call sites that aren't merged. */
#define DESCEND(left, right)                      \
  do {                                            \
    if (depth == 0) {                             \
      wrapper();                                  \
    } else if (path & 1) {                        \
      left(path >> 1, depth - 1);                 \
      __asm__ volatile("nop" : : : "memory");     \
    } else {                                      \
      right(path >> 1, depth - 1);                \
      __asm__ volatile("nop;nop" : : : "memory"); \
    }                                             \
  } while (0)

static level_fn sites_level, sizes_small, sizes_large, fp_level;

static GCX_NOINLINE void sites_level(uint32_t path, int depth)
{
  DESCEND(sites_level, sites_level);
}

static GCX_NOINLINE void sizes_small(uint32_t path, int depth)
{
  DESCEND(sizes_small, sizes_large);
}

static GCX_NOINLINE void sizes_large(uint32_t path, int depth)
{
  char room[72];

  GCX_KEEP(room);
  DESCEND(sizes_small, sizes_large);
}

__attribute__((optimize("no-omit-frame-pointer"))) static GCX_NOINLINE void
fp_level(uint32_t path, int depth)
{
  DESCEND(fp_level, fp_level);
}

static uint32_t random_next(uint64_t *seed)
{
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*seed >> 33);
}

/* @n distinct paths in random order. */
static void paths_make(size_t n)
{
  uint64_t seed = 42;

  for (size_t i = 0; i < PATHS_MAX; i++) {
    bench_paths[i] = (uint32_t)i;
  }
  for (size_t i = PATHS_MAX - 1; i > 0; i--) {
    size_t j = random_next(&seed) % (i + 1);
    uint32_t keep = bench_paths[i];

    bench_paths[i] = bench_paths[j];
    bench_paths[j] = keep;
  }
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(bench_order); i++) {
    bench_order[i] = bench_paths[random_next(&seed) % n];
  }
}

static GCX_NOINLINE double run(level_fn *fn, enum mode mode)
{
  uint64_t begin;

  bench_mode = mode;
  begin = gcx__now_ns();
  for (size_t i = 0; i < CAPTURES; i++) {
    fn(bench_order[i % GCX_ARRAY_LENGTH(bench_order)], LEVELS);
  }
  return (double)(gcx__now_ns() - begin) / CAPTURES;
}

static int by_value(const void *a, const void *b)
{
  double x, y;

  memcpy(&x, a, sizeof(x));
  memcpy(&y, b, sizeof(y));
  return (x > y) - (x < y);
}

static double median(double *ns)
{
  qsort(ns, RUNS, sizeof(ns[0]), by_value);
  return ns[RUNS / 2];
}

/* The three are measured in turns, so that the machine's moods meet all. */
static void family_paths(const char *name, level_fn *fn, size_t paths)
{
  struct gcx__trace_stats a, b;
  double base[RUNS], site[RUNS], backtrace[RUNS], calls;

  paths_make(paths);
  (void)run(fn, SITE);
  gcx__trace_stats(&a);
  for (size_t i = 0; i < RUNS; i++) {
    base[i] = run(fn, NOTHING);
    site[i] = run(fn, SITE);
    backtrace[i] = run(fn, BACKTRACE);
  }
  gcx__trace_stats(&b);
  calls = median(base);
  printf("%-6s %5zu paths: site %6.1f ns, unw_backtrace %6.1f ns "
         "(calls %.1f; hits %llu walks %llu unwinds %llu)\n",
         name, paths, median(site) - calls, median(backtrace) - calls, calls,
         (unsigned long long)(b.hits - a.hits),
         (unsigned long long)(b.walks - a.walks),
         (unsigned long long)(b.unwinds - a.unwinds));
}

static void family(const char *name, level_fn *fn)
{
  static const size_t counts[] = { 1, 16, 256, 1000, 8000 };

  for (size_t i = 0; i < GCX_ARRAY_LENGTH(counts); i++) {
    family_paths(name, fn, counts[i]);
  }
}

int main(int argc, char **argv)
{
  gcx__platform_init();
  gcx__options_defaults(&gcx__opt, true);
  gcx__modules_init();
  bench_thread = gcx__thread_self();
  if (argc < 2 || strcmp(argv[1], "sites") == 0) {
    family("sites", sites_level);
  }
  if (argc < 2 || strcmp(argv[1], "fp") == 0) {
    family("fp", fp_level);
  }
  if (argc < 2 || strcmp(argv[1], "sizes") == 0) {
    family("sizes", sizes_large);
  }
  printf("depot: %zu stacks, %zu bytes\n", gcx__depot_count(),
         gcx__depot_bytes());
  return 0;
}
