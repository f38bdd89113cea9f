/* SPDX-License-Identifier: MIT */
/*
 * weak_peer.c - weak tables and weak references
 *
 *   weak_peer get N      lookups that hit, in random order, of N keys: ns of
 *                        gcx_table_get(), ns of uthash with a hash of the pointer
 *   weak_peer set N      overwriting values, the same way
 *   weak_peer threads N  ns of a lookup in each of two threads at once, of one; the
 *                        same of uthash: what this machine makes of two threads
 *   weak_peer order N    the termination phase with N entries, each value the
 *                        next key, in the order of allocation: ns an entry, work
 *   weak_peer random N   the same, in random order: ns an entry, work
 *   weak_peer refs N     how much longer a collection of N objects takes with N
 *                        weak references to them: ns
 *
 * Work is what was visited: entries, probes of the index, objects.
 */
#include "bench.h"

#include <pthread.h>
#if __has_include(<uthash.h>)
#include <uthash.h>
#else /* the peer's figures are 0, and the driver says so */
#define UT_hash_handle int
#define HASH_ADD_PTR(head, field, entry) ((head) = (entry))
#define HASH_FIND_PTR(head, key, entry) ((entry) = (head))
#define NO_UTHASH
#endif

#include "table.h"
#include "termination.h"

#include <gcx.h>

#define COLLECTIONS 9
#define TURNS 3
#define LOOKUPS ((size_t)4 << 20)

/* One multiplication, as in gcx: uthash's own reads the key byte by byte. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, length, hash)                           \
  do {                                                             \
    uintptr_t value;                                               \
    memcpy(&value, key, sizeof value);                             \
    (hash) = (unsigned)((value >> 4) * 0x9E3779B97F4A7C15u >> 32); \
  } while (0)

struct plain {
  void *key;
  void *value;
  UT_hash_handle hh;
};

static struct gcx_table *table;
static struct plain *plain, *plain_entries;
static void **keys;
static uint32_t *order;
static size_t count;

static void shuffle(uint32_t *at, size_t n)
{
  uint64_t seed = 11;

  for (size_t i = 0; i < n; i++)
    at[i] = (uint32_t)i;
  for (size_t i = n; i > 1; i--) {
    size_t k = bench_random(&seed) % i;
    uint32_t swap = at[i - 1];

    at[i - 1] = at[k];
    at[k] = swap;
  }
}

static void make_keys(size_t n)
{
  count = n;
  keys = gcx_alloc_managed(n * sizeof *keys);
  order = malloc(n * sizeof *order);
  for (size_t i = 0; i < n; i++)
    keys[i] = gcx_alloc_managed(48);
  shuffle(order, n);
}

static void fill_both(size_t n)
{
  make_keys(n);
  table = gcx_table_create(GCX_TABLE_BORROWS);
  plain_entries = calloc(n, sizeof *plain_entries);
  for (size_t i = 0; i < n; i++) {
    struct plain *e = &plain_entries[i];

    e->key = keys[i];
    e->value = keys[i];
    HASH_ADD_PTR(plain, key, e);
    if (gcx_table_add(table, keys[i], keys[i]) != 0)
      exit(2);
  }
}

static double ns_each(uint64_t begin)
{
  return (double)(bench_now_ns() - begin) / (double)LOOKUPS;
}

static void print_both(double gcx, double peer)
{
#ifdef NO_UTHASH
  peer = 0;
#endif
  printf("%.2f %.2f\n", gcx, peer);
}

static void get_both(void)
{
  uint64_t begin = bench_now_ns();
  double gcx;

  for (size_t i = 0; i < LOOKUPS; i++)
    BENCH_KEEP(gcx_table_get(table, keys[order[i % count]]));
  gcx = ns_each(begin);
  begin = bench_now_ns();
  for (size_t i = 0; i < LOOKUPS; i++) {
    struct plain *e;

    HASH_FIND_PTR(plain, &keys[order[i % count]], e);
    BENCH_KEEP(e->value);
  }
  print_both(gcx, ns_each(begin));
}

static void set_both(void)
{
  uint64_t begin = bench_now_ns();
  double gcx;

  for (size_t i = 0; i < LOOKUPS; i++)
    if (gcx_table_set(table, keys[order[i % count]], keys[i % count]) != 0)
      exit(2);
  gcx = ns_each(begin);
  begin = bench_now_ns();
  for (size_t i = 0; i < LOOKUPS; i++) {
    struct plain *e;

    HASH_FIND_PTR(plain, &keys[order[i % count]], e);
    e->value = keys[i % count];
  }
  print_both(gcx, ns_each(begin));
}

static void *look_up(void *ret_ns)
{
  uint64_t begin = bench_thread_ns();

  for (size_t i = 0; i < LOOKUPS; i++)
    BENCH_KEEP(gcx_table_get(table, keys[order[i % count]]));
  *(double *)ret_ns = (double)(bench_thread_ns() - begin) / (double)LOOKUPS;
  return NULL;
}

static void *look_up_plain(void *ret_ns)
{
  uint64_t begin = bench_thread_ns();

  for (size_t i = 0; i < LOOKUPS; i++) {
    struct plain *e;

    HASH_FIND_PTR(plain, &keys[order[i % count]], e);
    BENCH_KEEP(e->value);
  }
  *(double *)ret_ns = (double)(bench_thread_ns() - begin) / (double)LOOKUPS;
  return NULL;
}

/* Mean of what each of @n threads needs for a lookup, all at once. */
static double in_threads(void *(*look)(void *ret_ns), size_t n)
{
  pthread_t threads[2];
  double ns[2], sum = 0;

  for (size_t i = 0; i < n; i++)
    if (pthread_create(&threads[i], NULL, look, &ns[i]) != 0)
      exit(2);
  for (size_t i = 0; i < n; i++) {
    (void)pthread_join(threads[i], NULL);
    sum += ns[i];
  }
  return sum / (double)n;
}

/* In turns, so that the moods of the machine meet all of them. */
static void get_in_threads(void)
{
  static void *(*const look[])(void *) = { look_up, look_up_plain };
  double ns[4][TURNS];

  for (int turn = -1; turn < TURNS; turn++) /* the first warms up */
    for (size_t i = 0; i < 4; i++)
      ns[i][turn < 0 ? 0 : turn] = in_threads(look[i / 2], 2 - i % 2);
  for (size_t i = 0; i < 4; i++)
    printf("%.2f%c", bench_median(ns[i], TURNS), i < 3 ? ' ' : '\n');
}

/* ---- the termination phase */

static double phase_ns(void)
{
  double ns[COLLECTIONS];
  struct gcx__termination_stats stats;

  for (size_t i = 0; i < COLLECTIONS; i++) {
    gcx_collect();
    gcx__termination_last(&stats);
    ns[i] = (double)stats.ns;
  }
  return bench_median(ns, COLLECTIONS);
}

/* Entries are added in the order in which their keys were allocated; the chain goes
 * the same way, or any. */
static void chain_add(size_t n, bool shuffled)
{
  uint32_t *next = calloc(n + 1, sizeof *next);

  for (size_t i = 0; i < n; i++)
    next[shuffled ? order[i] : i] = shuffled ? order[i + 1] : (uint32_t)i + 1;
  for (size_t i = 0; i <= n; i++)
    if (i != (shuffled ? order[n] : n) &&
        gcx_table_add(table, keys[i], keys[next[i]]) != 0)
      exit(2);
  free(next);
}

/* The first key is held, and through it all others. */
static void chain(size_t n, bool shuffled)
{
  struct gcx__ephemeron_work work;
  void *root;

  make_keys(n + 1);
  table = gcx_table_create(GCX_TABLE_BORROWS);
  chain_add(n, shuffled);
  root = keys[shuffled ? order[0] : 0];
  memset(keys, 0, (n + 1) * sizeof *keys);
  printf("%.2f", phase_ns() / (double)n);
  gcx__ephemeron_last(&work);
  printf(" %.0f\n", (double)(work.entries + work.probes + work.marked));
  if (gcx_table_count(table) != n)
    exit(3);
  BENCH_KEEP(root);
}

static double collection_ns(void)
{
  double ns[COLLECTIONS];

  gcx_collect();
  for (size_t i = 0; i < COLLECTIONS; i++) {
    uint64_t begin = bench_now_ns();

    gcx_collect();
    ns[i] = (double)(bench_now_ns() - begin);
  }
  return bench_median(ns, COLLECTIONS);
}

/* Beside the same number of other objects: what counts is the weak part. */
static void refs(size_t n)
{
  void **held = gcx_alloc_managed(n * sizeof *held);
  double before;

  make_keys(n);
  for (size_t i = 0; i < n; i++)
    held[i] = gcx_alloc_managed(16);
  before = collection_ns();
  for (size_t i = 0; i < n; i++) {
    held[i] = gcx_weak_create(keys[i], GCX_WEAK_SHORT);
    if (held[i] == NULL)
      exit(2);
  }
  printf("%.0f\n", collection_ns() - before);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 100000;

  gcx_init();
  if (strcmp(what, "get") == 0 || strcmp(what, "set") == 0 ||
      strcmp(what, "threads") == 0)
    fill_both(n);
  if (strcmp(what, "get") == 0)
    get_both();
  else if (strcmp(what, "set") == 0)
    set_both();
  else if (strcmp(what, "threads") == 0)
    get_in_threads();
  else if (strcmp(what, "order") == 0)
    chain(n, false);
  else if (strcmp(what, "random") == 0)
    chain(n, true);
  else if (strcmp(what, "refs") == 0)
    refs(n);
  else
    return 2;
  return 0;
}
