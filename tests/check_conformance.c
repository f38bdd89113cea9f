/* SPDX-License-Identifier: MIT */
/*
 * check_conformance.c - behaviours of other systems' weak tables and references:
 *                       docs/conformance.md names their tests
 */
#include <gc/gc.h>

#include "objects.h"
#include "table.h"
#include "waits.h"

#define MANY 2000
#define FEW (MANY * 5 / 100)

static struct gcx_table *table;
static void *keys[MANY];
static void *values[MANY];

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_OFF);
  table = gcx_table_create(GCX_TABLE_BORROWS);
  ck_assert_ptr_nonnull(table);
}

static void make_pairs(int n)
{
  for (int i = 0; i < n; i++) {
    keys[i] = gcx_alloc_managed(16);
    values[i] = gcx_alloc_managed(16);
  }
}

static size_t walk(struct gcx_table_iter *it, void **ret_values)
{
  void *value;
  size_t n = 0;

  while (gcx_table_iter_next(it, NULL, &value)) {
    if (ret_values != NULL)
      ret_values[n] = value;
    n++;
  }
  return n;
}

static size_t walk_all(void)
{
  struct gcx_table_iter it;

  gcx_table_iter_init(&it, table);
  return walk(&it, NULL);
}

/* ---- adding and removing */

START_TEST(test_add_again)
  {
    make_pairs(2);
    ck_assert_int_eq(gcx_table_add(table, keys[0], values[0]), 0);
    ck_assert_int_eq(gcx_table_add(table, keys[0], values[1]), -EEXIST);
    ck_assert_ptr_eq(gcx_table_get(table, keys[0]), values[0]);
    ck_assert_uint_eq(gcx_table_count(table), 1);
    ck_assert(gcx_table_remove(table, keys[0]));
    ck_assert_int_eq(gcx_table_add(table, keys[0], values[1]), 0);
    ck_assert_ptr_eq(gcx_table_get(table, keys[0]), values[1]);
  }
END_TEST

START_TEST(test_remove_all)
  {
    int n = _i == 0 ? 1 : 100;

    make_pairs(n);
    for (int i = 0; i < n; i++)
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
    for (int i = 0; i < n; i++) {
      ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
      ck_assert(gcx_table_remove(table, keys[i]));
      ck_assert(!gcx_table_remove(table, keys[i]));
      ck_assert(!gcx_table_find(table, keys[i], NULL));
    }
    ck_assert_uint_eq(gcx_table_count(table), 0);
  }
END_TEST

START_TEST(test_add_remove_each)
  {
    make_pairs(100);
    for (int i = 0; i < 100; i++) {
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
      ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
      ck_assert(gcx_table_remove(table, keys[i]));
      ck_assert_ptr_null(gcx_table_get(table, keys[i]));
    }
  }
END_TEST

START_TEST(test_add_many_dropped)
  {
    for (int i = 0; i < 10000; i++) {
      ck_assert_int_eq(
          gcx_table_add(table, gcx_alloc_managed(16), gcx_alloc_managed(16)),
          0);
      if (i % 1000 == 0)
        gcx_collect();
    }
    gcx_collect();
    ck_assert_uint_le(gcx_table_count(table), 10000 * 5 / 100);
    gcx__table_check(table);
  }
END_TEST

static struct gcx_weak *watch[MANY];

static GCX_NOINLINE void add_and_remove(void)
{
  for (int i = 0; i < MANY; i++) {
    void *value = gcx_alloc_managed(16);

    keys[i] = gcx_alloc_managed(16);
    watch[i] = gcx_weak_create(value, GCX_WEAK_SHORT);
    ck_assert_int_eq(gcx_table_add(table, keys[i], value), 0);
    ck_assert(gcx_table_remove(table, keys[i]));
  }
}

START_TEST(test_removed_holds_nothing)
  {
    size_t alive = 0;

    add_and_remove();
    gcx_collect();
    for (int i = 0; i < MANY; i++)
      alive += gcx_weak_get(watch[i]) != NULL;
    ck_assert_uint_le(alive, FEW);
  }
END_TEST

START_TEST(test_clear)
  {
    const int sizes[] = { 0, 1, 33, 100 };

    make_pairs(100);
    for (int round = 0; round < 5; round++)
      for (size_t s = 0; s < GCX_ARRAY_LENGTH(sizes); s++) {
        void *out = &out;

        for (int i = 0; i < sizes[s]; i++)
          ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
        ck_assert_uint_eq(gcx_table_count(table), (size_t)sizes[s]);
        gcx_table_clear(table);
        ck_assert_uint_eq(gcx_table_count(table), 0);
        for (int i = 0; i < sizes[s]; i++)
          ck_assert(!gcx_table_find(table, keys[i], &out));
        ck_assert_ptr_eq(out, &out);
        ck_assert_uint_eq(walk_all(), 0);
      }
  }
END_TEST

/* ---- walks */

START_TEST(test_walk_in_rounds)
  {
    make_pairs(20);
    for (int i = 0; i < 20; i++) {
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
      ck_assert_uint_eq(walk_all(), 1);
      ck_assert(gcx_table_remove(table, keys[i]));
      ck_assert_uint_eq(walk_all(), 0);
    }
  }
END_TEST

START_TEST(test_two_walks)
  {
    struct gcx_table_iter a, b;
    void *x = NULL, *y = NULL;

    make_pairs(33);
    for (int i = 0; i < 33; i++)
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
    gcx_table_iter_init(&a, table);
    gcx_table_iter_init(&b, table);
    for (int i = 0; i < 33; i++) {
      ck_assert(gcx_table_iter_next(&a, &x, NULL));
      ck_assert(gcx_table_iter_next(&b, &y, NULL));
      ck_assert_ptr_eq(x, y);
    }
    ck_assert(!gcx_table_iter_next(&a, &x, NULL));
    ck_assert(!gcx_table_iter_next(&b, &y, NULL));
  }
END_TEST

START_TEST(test_walk_of_the_rest)
  {
    static void *seen[33];
    struct gcx_table_iter it;

    make_pairs(33);
    for (int i = 0; i < 33; i++)
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
    for (int gone = 0; gone < 33; gone++) {
      gcx_table_iter_init(&it, table);
      ck_assert_uint_eq(walk(&it, seen), (size_t)(33 - gone));
      for (int i = gone; i < 33; i++)
        ck_assert_ptr_eq(seen[i - gone], values[i]);
      ck_assert(gcx_table_remove(table, keys[gone]));
    }
  }
END_TEST

/* ---- threads */

#define THREADS 4
#define EACH 500

static size_t wrong;
static int go;

static void *made_for(const void *key, void *arg)
{
  void **box = gcx_alloc_managed(16);

  (void)key;
  if (box != NULL)
    *box = arg;
  return box;
}

static bool works_alone(int i)
{
  void *key = gcx_alloc_managed(16), *value = gcx_alloc_managed(16);
  void *out = NULL, **made = NULL, *again = NULL;

  return gcx_table_add(table, key, value) == 0 &&
         gcx_table_get_or_add(table, key, made_for, NULL, &out) == 0 &&
         out == value && gcx_table_get(table, key) == value &&
         gcx_table_remove(table, key) && !gcx_table_remove(table, key) &&
         gcx_table_get_or_add(table, key, made_for, (void *)(uintptr_t)i,
                              &again) == 0 &&
         (made = again) != NULL && *made == (void *)(uintptr_t)i &&
         gcx_table_get(table, key) == again && gcx_table_remove(table, key);
}

static void *with_its_own_keys(void *arg)
{
  (void)arg;
  flag_wait(&go);
  for (int i = 1; i <= EACH; i++)
    if (!works_alone(i))
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  return NULL;
}

static void run_threads(void *(*fn)(void *))
{
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++)
    threads[i] = thread_start(fn, NULL);
  flag_raise(&go);
  for (int i = 0; i < THREADS; i++)
    (void)thread_join(threads[i]);
}

START_TEST(test_threads_with_their_own_keys)
  {
    run_threads(with_its_own_keys);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(gcx_table_count(table), 0);
    gcx__table_check(table);
  }
END_TEST

static void *the_one_value(const void *key, void *arg)
{
  (void)key;
  (void)arg;
  return values[0];
}

static void *with_one_key(void *arg)
{
  (void)arg;
  flag_wait(&go);
  for (int i = 0; i < EACH; i++) {
    void *out = NULL;

    if (gcx_table_get_or_add(table, keys[0], the_one_value, NULL, &out) != 0 ||
        out != values[0])
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    if (gcx_table_find(table, keys[0], &out) && out != values[0])
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    (void)gcx_table_remove(table, keys[0]);
  }
  return NULL;
}

START_TEST(test_one_key_many_threads)
  {
    make_pairs(1);
    run_threads(with_one_key);
    ck_assert_uint_eq(wrong, 0);
    gcx__table_check(table);
  }
END_TEST

/* ---- factories */

static int factory_calls;

static void *counts_calls(const void *key, void *arg)
{
  (void)key;
  factory_calls++;
  return arg;
}

START_TEST(test_factory_rules)
  {
    void *out = &out;

    make_pairs(2);
    ck_assert_int_eq(
        gcx_table_get_or_add(table, keys[0], counts_calls, NULL, &out),
        -ENOMEM);
    ck_assert_ptr_eq(out, &out);
    ck_assert(!gcx_table_find(table, keys[0], NULL));
    ck_assert_int_eq(
        gcx_table_get_or_add(table, keys[0], counts_calls, values[0], &out), 0);
    ck_assert_ptr_eq(out, values[0]);
    ck_assert_int_eq(factory_calls, 2);
    ck_assert_int_eq(
        gcx_table_get_or_add(table, keys[0], counts_calls, values[1], &out), 0);
    ck_assert_ptr_eq(out, values[0]);
    ck_assert_int_eq(factory_calls, 2);
  }
END_TEST

/* ---- a random graph agrees with a model */

#define NODES 400
#define EDGES 600

static struct {
  int root[NODES]; /* held from outside */
  int key[EDGES];  /* -1: overwritten */
  int value[EDGES];
} graph;

static void **node[NODES];
static struct gcx_weak *node_watch[NODES];
static struct gcx_table *edge_tables[5];

/* Reachable by the rule: roots, strong links, and values of reachable keys. */
static void model(const int *strong, bool *alive)
{
  bool changed = true;

  for (int i = 0; i < NODES; i++)
    alive[i] = graph.root[i] != 0;
  while (changed) {
    changed = false;
    for (int i = 0; i < NODES; i++)
      if (alive[i] && strong[i] >= 0 && !alive[strong[i]])
        alive[strong[i]] = changed = true;
    for (int e = 0; e < EDGES; e++)
      if (graph.key[e] >= 0 && alive[graph.key[e]] && !alive[graph.value[e]])
        alive[graph.value[e]] = changed = true;
  }
}

/* Of several edges from one key in one table the last one counts. */
static GCX_NOINLINE void build(uint64_t *seed, int *strong)
{
  static int last[5][NODES];

  memset(last, -1, sizeof(last));
  for (int i = 0; i < NODES; i++) {
    node[i] = gcx_alloc_managed(32);
    node_watch[i] = gcx_weak_create(node[i], GCX_WEAK_SHORT);
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    graph.root[i] = *seed >> 33 & 31 ? 0 : 1;
  }
  for (int i = 0; i < NODES; i++) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    strong[i] = *seed >> 33 & 3 ? -1 : (int)(*seed >> 40) % NODES;
    node[i][0] = strong[i] >= 0 ? node[strong[i]] : NULL;
  }
  for (int e = 0; e < EDGES; e++) {
    int t = e % 5;

    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    graph.key[e] = (int)(*seed >> 40) % NODES;
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    graph.value[e] = (int)(*seed >> 40) % NODES;
    ck_assert_int_eq(
        gcx_table_set(edge_tables[t], node[graph.key[e]], node[graph.value[e]]),
        0);
    if (last[t][graph.key[e]] >= 0)
      graph.key[last[t][graph.key[e]]] = -1;
    last[t][graph.key[e]] = e;
  }
  for (int i = 0; i < NODES; i++)
    if (graph.root[i] == 0)
      node[i] = NULL;
}

START_TEST(test_agrees_with_a_model)
  {
    uint64_t seed = (uint64_t)_i * 7919 + 1;
    static bool alive[NODES];
    static int strong[NODES];
    size_t dead = 0, left = 0;

    for (int t = 0; t < 5; t++)
      edge_tables[t] = gcx_table_create(GCX_TABLE_BORROWS);
    build(&seed, strong);
    gcx_collect();
    model(strong, alive);
    for (int i = 0; i < NODES; i++) {
      bool there = gcx_weak_get(node_watch[i]) != NULL;

      ck_assert_msg(there || !alive[i], "seed %d: %d is gone", _i, i);
      dead += !alive[i];
      left += there && !alive[i];
    }
    ck_assert_uint_le(left, dead / 2); /* what a stale pointer may keep */
  }
END_TEST

/* ---- what is never collected */

START_TEST(test_uncollectable_target)
  {
    struct gcx_weak *w =
        gcx_weak_create(GC_MALLOC_UNCOLLECTABLE(32), GCX_WEAK_SHORT);

    ck_assert_int_eq(gcx_table_add(table, gcx_weak_get(w), table), 0);
    for (int i = 0; i < 3; i++)
      gcx_collect();
    ck_assert_ptr_nonnull(gcx_weak_get(w));
    ck_assert_ptr_eq(gcx_table_get(table, gcx_weak_get(w)), table);
  }
END_TEST

/* ---- finalizers: what they find, and resurrection */

struct finalized {
  size_t index;
  void *rest[2];
};

static struct gcx_weak *short_refs[MANY];
static struct gcx_weak *long_refs[MANY];
static void *resurrected[MANY];
static size_t finalized, found_wrong, values_disposed;
static bool resurrect;

static void looks_and_lives(void *obj)
{
  struct finalized *f = obj;

  if (gcx_weak_get(short_refs[f->index]) != NULL ||
      gcx_weak_get(long_refs[f->index]) != obj)
    __atomic_fetch_add(&found_wrong, 1, __ATOMIC_RELAXED);
  if (resurrect)
    __atomic_store_n(&resurrected[f->index], obj, __ATOMIC_RELEASE);
  __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type living_type =
    GCX_TYPE_INIT("living", sizeof(struct finalized), GCX_TYPE_OPTIONAL, NULL,
                  NULL, looks_and_lives, NULL);

static void collect_and_wait(void)
{
  gcx_collect();
  ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
}

static GCX_NOINLINE void refer_both(void)
{
  for (size_t i = 0; i < MANY; i++) {
    struct finalized *f = gcx_new(&living_type);

    f->index = i;
    short_refs[i] = gcx_weak_create(f, GCX_WEAK_SHORT);
    long_refs[i] = gcx_weak_create(f, GCX_WEAK_LONG);
  }
}

static GCX_NOINLINE size_t count_alive(struct gcx_weak *const *refs)
{
  size_t n = 0;

  for (size_t i = 0; i < MANY; i++)
    n += gcx_weak_get(refs[i]) != NULL;
  return n;
}

/* Long ones stay as long as a resurrected object lives; short ones end with the
 * collection that first finds it unreachable, for ever. */
START_TEST(test_short_and_long_through_resurrection)
  {
    size_t first;

    resurrect = true;
    refer_both();
    collect_and_wait();
    collect_and_wait();
    first = __atomic_load_n(&finalized, __ATOMIC_ACQUIRE);
    ck_assert_uint_ge(first, MANY - FEW);
    ck_assert_uint_eq(found_wrong, 0);
    for (size_t i = 0; i < MANY; i++)
      if (resurrected[i] != NULL) {
        ck_assert_ptr_null(gcx_weak_get(short_refs[i]));
        ck_assert_ptr_eq(gcx_weak_get(long_refs[i]), resurrected[i]);
        ck_assert_uint_eq(((struct finalized *)resurrected[i])->index, i);
      }
    ck_assert_uint_eq(count_alive(long_refs), MANY);
    resurrect = false;
    memset(resurrected, 0, sizeof(resurrected));
    collect_and_wait();
    collect_and_wait();
    ck_assert_uint_le(count_alive(long_refs), FEW);
    ck_assert_uint_le(finalized, MANY); /* none for the second time */
    ck_assert_uint_eq(found_wrong, 0);
  }
END_TEST

/* Aimed at a resurrected object, a short reference works again. */
START_TEST(test_short_again_after_resurrection)
  {
    resurrect = true;
    refer_both();
    collect_and_wait();
    for (size_t i = 0; i < MANY; i++)
      if (resurrected[i] != NULL)
        ck_assert_int_eq(gcx_weak_set(short_refs[i], resurrected[i]), 0);
    collect_and_wait();
    for (size_t i = 0; i < MANY; i++)
      if (resurrected[i] != NULL)
        ck_assert_ptr_eq(gcx_weak_get(short_refs[i]), resurrected[i]);
    memset(resurrected, 0, sizeof(resurrected));
    collect_and_wait();
    collect_and_wait();
    ck_assert_uint_le(count_alive(short_refs), FEW);
  }
END_TEST

static int count_value(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&values_disposed, 1, __ATOMIC_RELAXED);
  return 0;
}

static const struct gcx_type owned_type = GCX_TYPE_INIT(
    "owned", sizeof(struct finalized), 0, NULL, count_value, NULL, NULL);

/* The key's own entry, its value whole and not disposed. */
static void looks_itself_up(void *obj)
{
  const struct finalized *f = obj;
  const struct finalized *value = gcx_table_get(table, obj);

  if (value == NULL || gcx_is_disposed(value) || value->index != f->index ||
      value->rest[0] != obj)
    __atomic_fetch_add(&found_wrong, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type key_type =
    GCX_TYPE_INIT("key", sizeof(struct finalized), GCX_TYPE_OPTIONAL, NULL,
                  NULL, looks_itself_up, NULL);

/* Every value leads back to its key. */
static GCX_NOINLINE void add_finalized_keys(void)
{
  for (size_t i = 0; i < MANY; i++) {
    struct finalized *key = gcx_new(&key_type);
    struct finalized *value = gcx_new(&owned_type);

    key->index = value->index = i;
    value->rest[0] = key;
    ck_assert_int_eq(gcx_table_add(table, key, value), 0);
  }
}

START_TEST(test_a_key_finds_its_entry_when_it_is_finalized)
  {
    table = gcx_table_create(0);
    add_finalized_keys();
    gcx_collect();
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_uint_ge(finalized, MANY - FEW);
    ck_assert_uint_eq(found_wrong, 0);
    for (int i = 0; i < 3; i++)
      collect_and_wait();
    ck_assert_uint_le(gcx_table_count(table), FEW);
    ck_assert_uint_ge(values_disposed, MANY - FEW);
    ck_assert_uint_le(values_disposed, MANY);
    ck_assert_uint_le(finalized, MANY);
    gcx__table_check(table);
  }
END_TEST

/* ---- references and what they refer to, held in all sorts of ways */

/* It holds the references to itself. */
static void looks_at_its_own(void *obj)
{
  struct finalized *f = obj;
  struct gcx_weak *brief = f->rest[0];
  const struct gcx_weak *lasting = f->rest[1];

  if (gcx_weak_get(brief) != NULL || gcx_weak_get(lasting) != obj ||
      gcx_weak_set(brief, obj) != 0 || gcx_weak_get(brief) != obj)
    __atomic_fetch_add(&found_wrong, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type own_type =
    GCX_TYPE_INIT("own", sizeof(struct finalized), GCX_TYPE_OPTIONAL, NULL,
                  NULL, looks_at_its_own, NULL);

static GCX_NOINLINE void refer_to_themselves(void)
{
  for (size_t i = 0; i < MANY; i++) {
    struct finalized *f = gcx_new(&own_type);

    f->rest[0] = gcx_weak_create(f, GCX_WEAK_SHORT);
    f->rest[1] = gcx_weak_create(f, GCX_WEAK_LONG);
    GCX_KEEP(f);
  }
}

START_TEST(test_references_held_by_their_target)
  {
    refer_to_themselves();
    collect_and_wait();
    collect_and_wait();
    ck_assert_uint_ge(finalized, MANY - FEW);
    ck_assert_uint_le(finalized, MANY);
    ck_assert_uint_eq(found_wrong, 0);
  }
END_TEST

static void *targets[MANY];

static void lives_again(void *obj)
{
  const struct finalized *f = obj;

  __atomic_store_n(&resurrected[f->index], obj, __ATOMIC_RELEASE);
  __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type holder_type =
    GCX_TYPE_INIT("holder", sizeof(struct finalized), GCX_TYPE_OPTIONAL, NULL,
                  NULL, lives_again, NULL);

static GCX_NOINLINE void lose_holders_of_references(void)
{
  for (size_t i = 0; i < MANY; i++) {
    struct finalized *f = gcx_new(&holder_type);

    targets[i] = gcx_alloc_managed(32);
    f->index = i;
    f->rest[0] = gcx_weak_create(targets[i], GCX_WEAK_SHORT);
    GCX_KEEP(f);
  }
}

/* A reference that comes back with what held it is what it was. */
START_TEST(test_references_come_back_with_their_holder)
  {
    size_t others = 0;

    lose_holders_of_references();
    collect_and_wait();
    collect_and_wait();
    ck_assert_uint_ge(finalized, MANY - FEW);
    for (size_t i = 0; i < MANY; i++) {
      const struct finalized *f = resurrected[i];

      if (f != NULL)
        others += gcx_weak_get(f->rest[0]) != targets[i] ||
                  gcx_weak_set(f->rest[0], targets[0]) != 0 ||
                  gcx_weak_get(f->rest[0]) != targets[0];
    }
    ck_assert_uint_eq(others, 0);
  }
END_TEST

static struct gcx_hold *holds[MANY];

/* Every other one is held. */
static GCX_NOINLINE void refer_and_hold(void)
{
  refer_both();
  for (size_t i = 0; i < MANY; i += 2)
    holds[i] = gcx_hold_create(gcx_weak_get(short_refs[i]));
}

static GCX_NOINLINE size_t count_held(void)
{
  size_t n = 0;

  for (size_t i = 0; i < MANY; i += 2)
    n += gcx_weak_get(short_refs[i]) != NULL &&
         gcx_weak_get(long_refs[i]) == gcx_hold_get(holds[i]);
  return n;
}

/* A strong handle keeps the target for its references, which keep nothing. */
START_TEST(test_what_is_held_is_alive_for_its_references)
  {
    refer_and_hold();
    for (int i = 0; i < 3; i++)
      collect_and_wait();
    ck_assert_uint_eq(count_held(), MANY / 2);
    ck_assert_uint_le(count_alive(short_refs), MANY / 2 + FEW);
    ck_assert_uint_ge(finalized, MANY / 2 - FEW);
    ck_assert_uint_le(finalized, MANY / 2);
    for (size_t i = 0; i < MANY; i += 2) {
      gcx_dispose(holds[i]);
      holds[i] = NULL;
    }
    for (int i = 0; i < 3; i++)
      collect_and_wait();
    ck_assert_uint_le(count_alive(long_refs), FEW);
    ck_assert_uint_ge(finalized, MANY - FEW);
    ck_assert_uint_eq(found_wrong, 0);
  }
END_TEST

/* ---- alive up to here, in each frame of a recursion */

#define DEEP 10

static GCX_NOINLINE void collects_while_it_lives(size_t depth)
{
  struct finalized *f = gcx_new(&key_type);

  f->index = depth;
  collect_and_wait();
  collect_and_wait();
  if (depth > 1)
    collects_while_it_lives(depth - 1);
  ck_assert_uint_eq(__atomic_load_n(&finalized, __ATOMIC_ACQUIRE), 0);
  gcx_keep_alive(f);
}

START_TEST(test_alive_until_it_is_kept_alive)
  {
    table = gcx_table_create(0);
    collects_while_it_lives(DEEP);
    ck_assert_uint_eq(finalized, 0);
  }
END_TEST

static Suite *conformance_suite(void)
{
  Suite *s = suite_create("conformance");
  TCase *c = tcase_create("conformance");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_add_again);
  tcase_add_loop_test(c, test_remove_all, 0, 2);
  tcase_add_test(c, test_add_remove_each);
  tcase_add_test(c, test_add_many_dropped);
  tcase_add_test(c, test_removed_holds_nothing);
  tcase_add_test(c, test_clear);
  tcase_add_test(c, test_walk_in_rounds);
  tcase_add_test(c, test_two_walks);
  tcase_add_test(c, test_walk_of_the_rest);
  tcase_add_test(c, test_threads_with_their_own_keys);
  tcase_add_test(c, test_one_key_many_threads);
  tcase_add_test(c, test_factory_rules);
  tcase_add_loop_test(c, test_agrees_with_a_model, 0, 10);
  tcase_add_test(c, test_uncollectable_target);
  tcase_add_test(c, test_short_and_long_through_resurrection);
  tcase_add_test(c, test_short_again_after_resurrection);
  tcase_add_test(c, test_a_key_finds_its_entry_when_it_is_finalized);
  tcase_add_test(c, test_references_held_by_their_target);
  tcase_add_test(c, test_references_come_back_with_their_holder);
  tcase_add_test(c, test_what_is_held_is_alive_for_its_references);
  tcase_add_test(c, test_alive_until_it_is_kept_alive);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(conformance_suite);
