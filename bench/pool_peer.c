/* SPDX-License-Identifier: MIT */
/*
 * pool_peer.c - buffers that are taken and given back at once, 16 frames deep,
 *               through one common wrapper
 *
 * pool_peer BYTES OPERATIONS: prints nanoseconds for each operation without the
 * calls that lead to it, and with them; the median of three runs each. Without
 * PEER_GCX the buffers are malloc's.
 */
#include "bench.h"

#if defined(PEER_GCX)
#include <gcx.h>

static struct gcx_pool *pool;
#define POOL_INIT() (pool = gcx_pool_create(NULL))
#define POOL_TAKE(bytes) gcx_pool_take(pool, bytes)
#define POOL_RETURN(p) gcx_pool_return(pool, p)
#else
#define POOL_INIT() ((void)0)
#define POOL_TAKE(bytes) malloc(bytes)
#define POOL_RETURN(p) free(p)
#endif

#define LEVELS 13 /* and wrapper, run, main: 16 */
#define ROUNDS 3

static volatile bool loop_takes;
static size_t loop_bytes;

static BENCH_NOINLINE void wrapper(void)
{
  if (loop_takes) {
    volatile char *p = POOL_TAKE(loop_bytes);

    *p = 1;
    POOL_RETURN((void *)(uintptr_t)p);
  }
  __asm__ volatile("" : : : "memory");
}

static BENCH_NOINLINE void level(int depth)
{
  if (depth == 0)
    wrapper();
  else
    level(depth - 1);
  __asm__ volatile("nop" : : : "memory");
}

static BENCH_NOINLINE double run(size_t operations, bool takes)
{
  uint64_t begin = bench_now_ns();

  loop_takes = takes;
  for (size_t i = 0; i < operations; i++)
    level(LEVELS - 1);
  return (double)(bench_now_ns() - begin) / (double)operations;
}

int main(int argc, char **argv)
{
  size_t operations = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;
  double calls[ROUNDS], whole[ROUNDS];

  loop_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 4096;
  POOL_INIT();
  (void)run(operations / 4, true);
  for (int i = 0; i < ROUNDS; i++) {
    calls[i] = run(operations, false);
    whole[i] = run(operations, true);
  }
  printf("%.2f %.2f\n",
         bench_median(whole, ROUNDS) - bench_median(calls, ROUNDS),
         bench_median(whole, ROUNDS));
  (void)fflush(stdout);
  _exit(0); /* no check for leaks, by whomever */
}
