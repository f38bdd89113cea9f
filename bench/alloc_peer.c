/* SPDX-License-Identifier: MIT */
/*
 * alloc_peer.c - objects of 48 bytes that are made and ended at once, 16 frames
 *                deep, through one common wrapper
 *
 * alloc_peer PATHS OPERATIONS THREADS: prints nanoseconds for each operation
 * without the calls that lead to it (the same paths with nothing at their end),
 * and with them; the median of three runs each. Wall time of all threads, by the
 * operations of all.
 */
#include "bench.h"

#include <pthread.h>

#include "peer.h"

#define LEVELS 13 /* and wrapper, run, main: 16 */
#define BYTES 48
#define ORDER 65536
#define PATHS_MAX 8192
#define ROUNDS 3
#define THREADS_MAX 16

static volatile bool loop_allocates;
static uint32_t loop_order[ORDER];
static size_t loop_operations;
static pthread_barrier_t loop_barrier;

static BENCH_NOINLINE void wrapper(void)
{
  if (loop_allocates) {
    volatile char *p = PEER_ALLOC(BYTES);

    *p = 1;
    PEER_END((void *)(uintptr_t)p);
  }
  __asm__ volatile("" : : : "memory");
}

/* Two call sites that the compiler does not merge. */
static BENCH_NOINLINE void level(uint32_t path, int depth)
{
  if (depth == 0) {
    wrapper();
    __asm__ volatile("nop" : : : "memory");
  } else if (path & 1) {
    level(path >> 1, depth - 1);
    __asm__ volatile("nop" : : : "memory");
  } else {
    level(path >> 1, depth - 1);
    __asm__ volatile("nop;nop" : : : "memory");
  }
}

static BENCH_NOINLINE void run(size_t operations)
{
  for (size_t i = 0; i < operations; i++)
    level(loop_order[i % ORDER], LEVELS - 1);
}

/* @n distinct paths in random order. */
static void paths_make(size_t n)
{
  static uint32_t paths[PATHS_MAX];
  uint64_t seed = 42;

  for (size_t i = 0; i < PATHS_MAX; i++)
    paths[i] = (uint32_t)i;
  for (size_t i = PATHS_MAX - 1; i > 0; i--) {
    size_t j = bench_random(&seed) % (i + 1);
    uint32_t keep = paths[i];

    paths[i] = paths[j];
    paths[j] = keep;
  }
  for (size_t i = 0; i < ORDER; i++)
    loop_order[i] =
        paths[bench_random(&seed) % (n < PATHS_MAX ? n : PATHS_MAX)];
}

static void *thread_run(void *arg)
{
  PEER_THREAD_BEGIN();
  loop_allocates = true;
  run(ORDER / 4); /* each thread learns the paths by itself */
  (void)pthread_barrier_wait(&loop_barrier); /* all are ready */
  for (int i = 0; i < 2 * ROUNDS; i++) {
    (void)pthread_barrier_wait(&loop_barrier);
    run(loop_operations);
    (void)pthread_barrier_wait(&loop_barrier);
  }
  PEER_THREAD_END();
  return arg;
}

/* A run of all threads: the calling one works, too. */
static double round_of(size_t threads, bool allocates)
{
  uint64_t begin;

  loop_allocates = allocates;
  if (threads > 1)
    (void)pthread_barrier_wait(&loop_barrier);
  begin = bench_now_ns();
  run(loop_operations);
  if (threads > 1)
    (void)pthread_barrier_wait(&loop_barrier);
  return (double)(bench_now_ns() - begin) / (double)(loop_operations * threads);
}

int main(int argc, char **argv)
{
  size_t paths = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
  size_t threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
  double calls[ROUNDS], whole[ROUNDS];
  pthread_t id;

  PEER_INIT();
  loop_operations = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
  paths_make(paths);
  (void)pthread_barrier_init(&loop_barrier, NULL, (unsigned)threads);
  for (size_t i = 1; i < threads && i < THREADS_MAX; i++)
    if (pthread_create(&id, NULL, thread_run, NULL) != 0)
      return 1;
  loop_allocates = true;
  run(loop_operations < ORDER ? loop_operations : ORDER);
  if (threads > 1)
    (void)pthread_barrier_wait(&loop_barrier);
  for (int i = 0; i < ROUNDS; i++) {
    calls[i] = round_of(threads, false);
    whole[i] = round_of(threads, true);
  }
  printf("%.2f %.2f\n",
         bench_median(whole, ROUNDS) - bench_median(calls, ROUNDS),
         bench_median(whole, ROUNDS));
  (void)fflush(stdout);
  _exit(0); /* no check for leaks, by whomever */
}
