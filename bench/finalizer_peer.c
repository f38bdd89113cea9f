/* SPDX-License-Identifier: MIT */
/*
 * finalizer_peer.c - finalizers, gcx's and bdwgc's own
 *
 *   finalizer_peer collect N   a collection with N live objects, and if each of
 *                              them has a finalizer: ns, ns
 *   finalizer_peer register N  ns for registering one. gcx: by its type, what
 *                              gcx_new() takes more than without a finalizer; by
 *                              gcx_reregister_finalize(), which
 *                              gcx_suppress_finalize() preceded
 *
 * Objects of 40 bytes, with gcx's tag or without: the collector's cells are of 48.
 */
#include "bench.h"

#include "peer.h"

#define COLLECTIONS 9
#define CELL 48

static void **held;
static size_t finalized;

static double collection_ns(void)
{
  double ns[COLLECTIONS];

  PEER_COLLECT();
  for (size_t i = 0; i < COLLECTIONS; i++) {
    uint64_t begin = bench_now_ns();

    PEER_COLLECT();
    ns[i] = (double)(bench_now_ns() - begin);
  }
  return bench_median(ns, COLLECTIONS);
}

static double ns_each(uint64_t begin, size_t n)
{
  return (double)(bench_now_ns() - begin) / (double)n;
}

#ifdef PEER_GCX

static void finalize(void *obj)
{
  BENCH_KEEP(obj);
  finalized++;
}

static const struct gcx_type plain_type =
    GCX_TYPE_INIT("plain", CELL - 8, GCX_TYPE_OPTIONAL, NULL, NULL, NULL, NULL);
static const struct gcx_type finalizable_type = GCX_TYPE_INIT(
    "finalizable", CELL - 8, GCX_TYPE_OPTIONAL, NULL, NULL, finalize, NULL);

static void make_held(size_t n)
{
  held = gcx_alloc_managed(n * sizeof *held);
  for (size_t i = 0; i < n; i++)
    held[i] = gcx_alloc_managed(CELL - 8);
}

static double make_typed(const struct gcx_type *type, size_t n)
{
  uint64_t begin = bench_now_ns();

  for (size_t i = 0; i < n; i++)
    held[i] = gcx_new(type);
  return ns_each(begin, n);
}

static void give_finalizers(size_t n)
{
  (void)make_typed(&finalizable_type, n);
}

/* In turns, of which the second and later ones count: memory is mapped then. */
static void registering(size_t n)
{
  double more[COLLECTIONS], again[COLLECTIONS];

  for (size_t i = 0; i <= COLLECTIONS; i++) {
    double plain = make_typed(&plain_type, n), with, begin;
    size_t at = i > 0 ? i - 1 : 0;

    gcx_collect();
    with = make_typed(&finalizable_type, n);
    more[at] = with - plain;
    for (size_t k = 0; k < n; k++)
      gcx_suppress_finalize(held[k]);
    begin = (double)bench_now_ns();
    for (size_t k = 0; k < n; k++)
      gcx_reregister_finalize(held[k]);
    again[at] = ((double)bench_now_ns() - begin) / (double)n;
    for (size_t k = 0; k < n; k++)
      gcx_suppress_finalize(held[k]); /* those that go next do so quietly */
    gcx_collect();
  }
  printf("%.2f %.2f\n", bench_median(more, COLLECTIONS),
         bench_median(again, COLLECTIONS));
}

#else

static void finalize(void *obj, void *data)
{
  (void)data;
  BENCH_KEEP(obj);
  finalized++;
}

static void make_held(size_t n)
{
  held = GC_MALLOC(n * sizeof *held);
  for (size_t i = 0; i < n; i++)
    held[i] = GC_MALLOC(CELL - 8);
}

static void give_finalizers(size_t n)
{
  for (size_t i = 0; i < n; i++)
    GC_register_finalizer_no_order(held[i], finalize, NULL, NULL, NULL);
}

static void registering(size_t n)
{
  uint64_t begin = bench_now_ns();

  give_finalizers(n);
  printf("%.2f\n", ns_each(begin, n));
}

#endif

static void collecting(size_t n)
{
  double before = collection_ns();

  give_finalizers(n);
  printf("%.0f %.0f\n", before, collection_ns());
}

int main(int argc, char **argv)
{
  size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

  PEER_INIT();
  if (n == 0)
    return 1;
  make_held(n);
  if (strcmp(argv[1], "collect") == 0)
    collecting(n);
  else
    registering(n);
  (void)fflush(stdout);
  _exit(finalized == 0 ? 0 : 3); /* none of them was lost */
}
