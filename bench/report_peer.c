/* SPDX-License-Identifier: MIT */
/*
 * report_peer.c - 10,000 objects from 10 sites are lost
 *
 * Writes the time at which the search for them begins to standard error, then
 * has them found. If that is not the end (leak=report), prints how many helper
 * processes ran, how many addresses they were asked for, and how many different
 * ones the stacks have.
 */
#include "bench.h"

#include "depot.h"
#include "peer.h"
#include "symbolize.h"

#define SITES 10
#define EACH 1000
#define ADDRESSES_MAX 1024

#define SITE(n)                             \
  static BENCH_NOINLINE void site_##n(void) \
  {                                         \
    BENCH_KEEP(PEER_ALLOC(48));             \
  }
/* clang-format off */
SITE(0) SITE(1) SITE(2) SITE(3) SITE(4)
SITE(5) SITE(6) SITE(7) SITE(8) SITE(9)

static void (*const sites[SITES])(void) = {
  site_0, site_1, site_2, site_3, site_4,
  site_5, site_6, site_7, site_8, site_9,
};
/* clang-format on */

static BENCH_NOINLINE void lose(void)
{
  for (size_t i = 0; i < (size_t)SITES * EACH; i++)
    sites[i % SITES]();
}

static size_t distinct_addresses(void)
{
  static uintptr_t seen[ADDRESSES_MAX];
  size_t n = 0;

  for (uint32_t id = 1; id <= gcx__depot_count(); id++) {
    const uintptr_t *pcs;
    uint32_t epoch;
    size_t frames = gcx__depot_get(id, &pcs, &epoch);

    for (size_t f = 0; f < frames; f++) {
      size_t i = 0;

      while (i < n && seen[i] != pcs[f])
        i++;
      if (i == n && n < ADDRESSES_MAX)
        seen[n++] = pcs[f];
    }
  }
  return n;
}

int main(void)
{
  struct gcx__symbolize_stats stats;

  PEER_INIT();
  lose();
  fprintf(stderr, "begin %llu\n", (unsigned long long)bench_now_ns());
  (void)gcx_check();
  gcx__symbolize_stats(&stats);
  printf("%llu %llu %zu\n", (unsigned long long)stats.helpers,
         (unsigned long long)stats.asked, distinct_addresses());
  (void)fflush(stdout);
  _exit(0);
}
