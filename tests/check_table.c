/* SPDX-License-Identifier: MIT */
/*
 * check_table.c - weak-keyed tables: what an entry is, when it ends, and what
 *                 becomes of its value
 */
#include <gc/gc.h>

#include "objects.h"
#include "table.h"
#include "vm.h"
#include "waits.h"

#define MANY 2000
#define FEW (MANY * 5 / 100) /* left over by a conservative collector */

static struct gcx_table *table;
static void *keys[MANY];
static void *values[MANY];

/* ---- values that are counted when they are disposed */

struct value {
  uint64_t tag;
  void *other;
};

static size_t disposed;
static size_t wrong_thread;
static pthread_t test_thread;

static int count_disposal(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&disposed, 1, __ATOMIC_RELAXED);
  if (pthread_equal(pthread_self(), test_thread))
    __atomic_fetch_add(&wrong_thread, 1, __ATOMIC_RELAXED);
  return 0;
}

static const struct gcx_type value_type = GCX_TYPE_INIT(
    "value", sizeof(struct value), 0, NULL, count_disposal, NULL, NULL);

static GCX_NOINLINE struct value *value_new(void *other)
{
  struct value *v = gcx_new(&value_type);

  ck_assert_ptr_nonnull(v);
  v->other = other;
  return v;
}

static void collect(void)
{
  for (int i = 0; i < 2; i++) {
    gcx_collect();
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
  }
}

static size_t disposals(void)
{
  ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
  return __atomic_load_n(&disposed, __ATOMIC_RELAXED);
}

static void setup(void)
{
  gcx_init();
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  test_thread = pthread_self();
  table = gcx_table_create(0);
  ck_assert_ptr_nonnull(table);
}

/* ---- one entry */

START_TEST(test_one_entry)
  {
    void *key = gcx_alloc_managed(32), *out = &out;
    struct value *a = value_new(NULL), *b = value_new(NULL);

    ck_assert_uint_eq(gcx_table_count(table), 0);
    ck_assert_ptr_null(gcx_table_get(table, key));
    ck_assert(!gcx_table_find(table, key, &out));
    ck_assert_ptr_eq(out, &out);
    ck_assert(!gcx_table_remove(table, key));
    ck_assert_int_eq(gcx_table_add(table, key, a), 0);
    ck_assert_uint_eq(gcx_table_count(table), 1);
    ck_assert_ptr_eq(gcx_table_get(table, key), a);
    ck_assert(gcx_table_find(table, key, &out));
    ck_assert_ptr_eq(out, a);
    ck_assert(gcx_table_find(table, key, NULL));
    ck_assert_int_eq(gcx_table_add(table, key, b), -EEXIST);
    ck_assert_ptr_eq(gcx_table_get(table, key), a);
    ck_assert_int_eq(gcx_table_set(table, key, a), 0); /* no change */
    ck_assert_uint_eq(disposals(), 0);
    ck_assert_int_eq(gcx_table_set(table, key, b), 0);
    ck_assert_uint_eq(disposals(), 1);
    ck_assert(gcx_is_disposed(a));
    ck_assert_ptr_eq(gcx_table_get(table, key), b);
    ck_assert_uint_eq(gcx_table_count(table), 1);
    ck_assert(gcx_table_remove(table, key));
    ck_assert(!gcx_table_remove(table, key));
    ck_assert_uint_eq(disposals(), 2);
    ck_assert(gcx_is_disposed(b));
    ck_assert_ptr_null(gcx_table_get(table, key));
    ck_assert_uint_eq(gcx_table_count(table), 0);
    ck_assert_uint_eq(wrong_thread, 0);
    gcx__table_check(table);
  }
END_TEST

START_TEST(test_null_values_and_foreign_values)
  {
    void *key = gcx_alloc_managed(32), *out = &out;
    static int fixed;

    ck_assert_int_eq(gcx_table_add(table, key, NULL), 0);
    ck_assert(gcx_table_find(table, key, &out));
    ck_assert_ptr_null(out);
    ck_assert_uint_eq(gcx_table_count(table), 1);
    ck_assert_int_eq(gcx_table_add(table, key, &fixed), -EEXIST);
    ck_assert_int_eq(gcx_table_set(table, key, &fixed), 0);
    collect();
    ck_assert_ptr_eq(gcx_table_get(table, key), &fixed);
    ck_assert_int_eq(gcx_table_set(table, key, (void *)(uintptr_t)12345), 0);
    collect();
    ck_assert_ptr_eq(gcx_table_get(table, key), (void *)(uintptr_t)12345);
    ck_assert_int_eq(gcx_table_set(table, key, (void *)UINTPTR_MAX), -EINVAL);
    ck_assert(gcx_table_remove(table, key));
    ck_assert(!gcx_table_find(table, key, &out));
  }
END_TEST

START_TEST(test_arguments)
  {
    char *key = gcx_alloc_managed(64);
    char local[16];
    static char fixed[16];

    ck_assert_int_eq(gcx_table_add(table, NULL, key), -EINVAL);
    ck_assert_int_eq(gcx_table_set(table, NULL, key), -EINVAL);
    ck_assert_int_eq(gcx_table_add(table, key + 8, key), -EINVAL);
    ck_assert_int_eq(gcx_table_set(table, key + 16, key), -EINVAL);
    ck_assert_int_eq(gcx_table_add(table, local, key), -EINVAL);
    ck_assert_int_eq(gcx_table_set(table, fixed, key), -EINVAL);
    ck_assert_int_eq(gcx_table_add(NULL, key, key), -EINVAL);
    ck_assert_int_eq(gcx_table_set(NULL, key, key), -EINVAL);
    ck_assert_ptr_null(gcx_table_get(NULL, key));
    ck_assert_ptr_null(gcx_table_get(table, NULL));
    ck_assert_ptr_null(gcx_table_get(table, local));
    ck_assert_ptr_null(gcx_table_get(table, key + 8));
    ck_assert(!gcx_table_find(NULL, key, NULL));
    ck_assert(!gcx_table_remove(NULL, key));
    ck_assert(!gcx_table_remove(table, NULL));
    ck_assert_uint_eq(gcx_table_count(NULL), 0);
    gcx_table_clear(NULL);
    errno = 0;
    ck_assert_ptr_null(gcx_table_create(2));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

START_TEST(test_disposed_table)
  {
    void *key = gcx_alloc_managed(32);
    struct gcx_table_iter it;
    size_t tables = gcx__table_tables();

    ck_assert_int_eq(gcx_table_add(table, key, value_new(NULL)), 0);
    gcx_table_iter_init(&it, table);
    gcx_dispose(table);
    ck_assert_uint_eq(disposals(), 1);
    ck_assert_ptr_null(gcx_table_get(table, key));
    ck_assert_uint_eq(gcx_table_count(table), 0);
    ck_assert_int_eq(gcx_table_add(table, key, NULL), -EINVAL);
    ck_assert_int_eq(gcx_table_set(table, key, NULL), -EINVAL);
    ck_assert(!gcx_table_remove(table, key));
    gcx_table_clear(table);
    ck_assert(!gcx_table_iter_next(&it, NULL, NULL));
    gcx_table_iter_init(&it, table);
    ck_assert(!gcx_table_iter_next(&it, NULL, NULL));
    gcx_dispose(table);
    collect();
    ck_assert_uint_eq(gcx__table_tables(), tables - 1);
  }
END_TEST

static void asks_a_string(void *arg)
{
  gcx__opt.misuse = GCX_MISUSE_FATAL;
  (void)gcx_table_get((struct gcx_table *)arg, arg);
}

/* A thread that waited for the latch of a table, while another one disposed it and
 * its state became that of a third table. */
START_TEST(test_a_writer_that_comes_too_late)
  {
    struct gcx__table *state = table->state;
    void *key = gcx_alloc_managed(32), *value = gcx_alloc_managed(32), *out;

    gcx_dispose(table);
    collect();
    for (int i = 0; i < MANY; i++) {
      values[i] = gcx_table_create(0);
      if (((struct gcx_table *)values[i])->state == state)
        break;
      ck_assert_int_lt(i, MANY - 1); /* states are used again */
      keys[i] = values[i];
    }
    for (int i = 0; i < 2; i++) {
      ck_assert_int_eq(gcx__table_put(state, table, key, value, true), -EINVAL);
      ck_assert_int_eq(gcx__table_change(state, table, key, NULL), -EINVAL);
      ck_assert(!gcx__table_take(state, table, key, &out));
      gcx__table_clear(state, table);
      ck_assert_uint_eq(gcx__table_live(state), (size_t)i);
      if (i == 0)
        ck_assert_int_eq(
            gcx__table_put(state, GCX_REVEAL(state->self), key, value, true),
            0);
    }
  }
END_TEST

/* The factory ends the table, whose state becomes that of one of the other kind:
 * what becomes of the value is still decided by the first. */
struct ending {
  struct gcx_table *table;
  struct gcx_table *next;
  unsigned flags; /* of the next one */
};

static void *ends_the_table(const void *key, void *arg)
{
  struct ending *e = arg;
  const struct gcx__table *state = e->table->state;

  (void)key;
  gcx_dispose(e->table);
  collect();
  for (int i = 0; i < MANY && e->next == NULL; i++) {
    values[i] = gcx_table_create(e->flags);
    if (((struct gcx_table *)values[i])->state == state)
      e->next = values[i];
  }
  return value_new(NULL);
}

START_TEST(test_a_factory_that_ends_its_table)
  {
    struct ending e = { .flags = _i == 0 ? GCX_TABLE_BORROWS : 0 };
    void *key = gcx_alloc_managed(32), *out = NULL;

    e.table = gcx_table_create(_i == 0 ? 0 : GCX_TABLE_BORROWS);
    ck_assert_int_eq(
        gcx_table_get_or_add(e.table, key, ends_the_table, &e, &out), -EINVAL);
    ck_assert_ptr_nonnull(e.next);
    ck_assert_ptr_null(out);
    ck_assert_uint_eq(gcx_table_count(e.next), 0);
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_uint_eq(disposals(), _i == 0 ? 1 : 0);
  }
END_TEST

START_TEST(test_no_table)
  {
    static char text[64] = "neither a table nor an object";
    void *other = gcx_alloc_managed(64);

    death_demand_abort(asks_a_string, text, "GCX-BAD-POINTER");
    ck_assert_ptr_null(gcx_table_get(other, other));
    ck_assert_int_eq(gcx_table_add(other, other, NULL), -EINVAL);
  }
END_TEST

/* ---- many entries */

static GCX_NOINLINE void fill(struct gcx_table *t, size_t bytes)
{
  for (int i = 0; i < MANY; i++) {
    keys[i] = i % 3 == 0 ? GC_MALLOC(bytes) : gcx_alloc_managed(bytes);
    values[i] = gcx_alloc_managed(16);
    ck_assert_int_eq(gcx_table_add(t, keys[i], values[i]), 0);
  }
}

START_TEST(test_many)
  {
    fill(table, 32);
    gcx__table_check(table);
    ck_assert_uint_eq(gcx_table_count(table), MANY);
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < MANY; i++)
        ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
      collect();
    }
    for (int i = 0; i < MANY; i += 2)
      ck_assert(gcx_table_remove(table, keys[i]));
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(gcx_table_get(table, keys[i]),
                       i % 2 == 0 ? NULL : values[i]);
    gcx__table_check(table);
    collect();
    for (int i = 0; i < MANY; i += 2)
      ck_assert_int_eq(gcx_table_add(table, keys[i], keys[i]), 0);
    ck_assert_uint_eq(gcx_table_count(table), MANY);
    gcx__table_check(table);
    gcx_table_clear(table);
    ck_assert_uint_eq(gcx_table_count(table), 0);
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_null(gcx_table_get(table, keys[i]));
    gcx__table_check(table);
  }
END_TEST

/* Keys die: their entries end, nothing else does. */
START_TEST(test_dead_keys)
  {
    fill(table, _i == 0 ? 32 : 5000);
    for (int i = 0; i < MANY; i += 2)
      keys[i] = NULL;
    memset(values, 0, sizeof(values));
    collect();
    ck_assert_uint_ge(gcx_table_count(table), MANY / 2);
    ck_assert_uint_le(gcx_table_count(table), MANY / 2 + FEW);
    for (int i = 1; i < MANY; i += 2)
      ck_assert(gcx_table_find(table, keys[i], NULL));
    gcx__table_check(table);
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(gcx_table_count(table), FEW);
    gcx__table_check(table);
  }
END_TEST

static GCX_NOINLINE void fill_big(void)
{
  for (int i = 0; i < 20; i++) {
    keys[i] = gcx_alloc_managed((size_t)2 << 20);
    ck_assert_int_eq(gcx_table_add(table, keys[i], keys[i]), 0);
  }
}

START_TEST(test_big_keys)
  {
    fill_big();
    collect();
    ck_assert_uint_eq(gcx_table_count(table), 20);
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(gcx_table_count(table), 5);
  }
END_TEST

/* ---- what an entry holds */

#define LINKS 300

static struct gcx_weak *watch[MANY];

/* value -> key, value -> table, value -> other key, key -> table. */
static GCX_NOINLINE void tie(struct gcx_table *t, unsigned kind)
{
  void **first = NULL;

  for (int i = 0; i < MANY; i++) {
    void **key = gcx_alloc_managed(32);
    struct value *v = value_new(NULL);

    if (first == NULL)
      first = key;
    v->other = kind == 0 ? (void *)key : kind == 1 ? (void *)t : first;
    if (kind == 3)
      key[0] = t;
    watch[i] = gcx_weak_create(key, GCX_WEAK_LONG);
    ck_assert_int_eq(gcx_table_add(t, key, v), 0);
  }
}

static GCX_NOINLINE size_t watched(int n)
{
  size_t alive = 0;

  for (int i = 0; i < n; i++)
    alive += gcx_weak_get(watch[i]) != NULL;
  return alive;
}

START_TEST(test_cycles_are_collected)
  {
    tie(table, (unsigned)_i);
    for (int i = 0; i < 3; i++)
      collect();
    ck_assert_uint_le(watched(MANY), FEW);
    ck_assert_uint_le(gcx_table_count(table), FEW);
    ck_assert_uint_ge(disposals(), MANY - FEW);
    ck_assert_uint_le(disposals(), MANY);
    ck_assert_uint_eq(wrong_thread, 0);
    ck_assert_uint_eq(gcx_check(), 0); /* the values were not abandoned */
    gcx__table_check(table);
  }
END_TEST

static GCX_NOINLINE void lose_tables(unsigned kind)
{
  for (int i = 0; i < MANY; i++) {
    struct gcx_table *t = gcx_table_create(0);
    void **key = gcx_alloc_managed(32);

    keys[i] = kind == 0 ? NULL : key; /* the key lives on, or not */
    if (kind == 2)
      key[0] = NULL;
    watch[i] = gcx_weak_create(t, GCX_WEAK_LONG);
    ck_assert_int_eq(
        gcx_table_add(t, key, value_new(kind == 1 ? (void *)t : key)), 0);
  }
}

START_TEST(test_lost_tables_dispose_their_values)
  {
    size_t tables = gcx__table_tables();

    lose_tables((unsigned)_i);
    collect();
    collect();
    ck_assert_uint_le(watched(MANY), FEW);
    ck_assert_uint_ge(disposals(), MANY - FEW);
    ck_assert_uint_le(gcx__table_tables(), tables + FEW);
    ck_assert_uint_eq(gcx_check(), 0);
  }
END_TEST

/* A chain of n entries, each value the next key, over so many tables. */
static struct gcx_table *chain_tables[10];
static void *chain_root;

static GCX_NOINLINE void chain_make(size_t n, size_t tables, unsigned flags,
                                    bool shuffled)
{
  void **key = gcx_alloc_managed((n + 1) * sizeof(*key));
  uint64_t seed = 88172645463325252u;

  for (size_t i = 0; i <= n; i++)
    key[i] = gcx_alloc_managed(32);
  for (size_t i = n; shuffled && i > 0; i--) {
    size_t k;
    void *swap = key[i];

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    k = seed % (i + 1);
    key[i] = key[k];
    key[k] = swap;
  }
  for (size_t t = 0; t < tables; t++)
    chain_tables[t] = gcx_table_create(flags);
  for (size_t i = n; i-- > 0;)
    ck_assert_int_eq(
        gcx_table_add(chain_tables[i % tables], key[i], key[i + 1]), 0);
  chain_root = key[0];
  memset(key, 0, (n + 1) * sizeof(*key));
}

static GCX_NOINLINE size_t chain_length(size_t tables)
{
  const void *key = chain_root;
  size_t n = 0;

  for (;; n++) {
    key = gcx_table_get(chain_tables[n % tables], key);
    if (key == NULL)
      return n;
  }
}

static size_t chain_count(size_t tables)
{
  size_t n = 0;

  for (size_t t = 0; t < tables; t++)
    n += gcx_table_count(chain_tables[t]);
  return n;
}

static bool chain_dies(size_t n, size_t tables, unsigned flags, bool shuffled)
{
  chain_make(n, tables, flags, shuffled);
  collect();
  ck_assert_uint_eq(chain_length(tables), n);
  ck_assert_uint_eq(chain_count(tables), n);
  chain_root = NULL;
  for (int i = 0; i < 6 && chain_count(tables) != 0; i++)
    collect();
  return chain_count(tables) == 0;
}

/* One stale word anywhere keeps all of the chain that follows, and of 100,000 links
 * one may have the bad luck: not three chains in turn. */
static void chain_lives_and_dies(size_t n, size_t tables, unsigned flags,
                                 bool shuffled)
{
  for (int i = 0; i < 3; i++)
    if (chain_dies(n, tables, flags, shuffled))
      return;
  ck_abort_msg("%zu of %zu entries live on", chain_count(tables), n);
}

START_TEST(test_chain_in_one_table)
  {
    chain_lives_and_dies(100, 1, 0, false);
    chain_lives_and_dies(99999, 1, 0, false);
    chain_lives_and_dies(99999, 1, GCX_TABLE_BORROWS, true);
  }
END_TEST

/* A million in random order; what a stop costs is linear, or this would not end. */
START_TEST(test_chain_of_a_million)
  {
    chain_lives_and_dies(1000000, 1, GCX_TABLE_BORROWS, true);
  }
END_TEST

START_TEST(test_chain_over_ten_tables)
  {
    chain_lives_and_dies(100, 10, 0, true);
    chain_lives_and_dies(1000, 10, GCX_TABLE_BORROWS, false);
  }
END_TEST

/* Work grows with the length, not faster. */
START_TEST(test_chain_work_is_linear)
  {
    struct gcx__ephemeron_work small, large;

    chain_make(20000, 1, 0, true);
    gcx_collect();
    gcx__ephemeron_last(&small);
    ck_assert_uint_eq(chain_length(1), 20000);
    chain_make(80000, 1, 0, true);
    gcx_collect();
    gcx_collect();
    gcx__ephemeron_last(&large);
    ck_assert_uint_eq(chain_length(1), 80000);
    ck_assert_uint_ge(small.entries, 20000);
    ck_assert_uint_le(large.entries + large.probes + large.marked,
                      (small.entries + small.probes + small.marked) * 41 / 10);
  }
END_TEST

/* Tables as keys and as values. */
static GCX_NOINLINE struct gcx_table *nest(void *key)
{
  struct gcx_table *outer = table, *inner = NULL;

  for (int i = 0; i < 50; i++) {
    inner = gcx_table_create(0);
    ck_assert_int_eq(
        gcx_table_add(outer, i % 2 == 0 ? key : (void *)outer, inner), 0);
    watch[i] = gcx_weak_create(inner, GCX_WEAK_LONG);
    outer = inner;
  }
  return NULL;
}

START_TEST(test_tables_in_tables)
  {
    void *key = gcx_alloc_managed(16);

    (void)nest(key);
    collect();
    ck_assert_uint_eq(watched(50), 50);
    gcx_table_clear(table);
    collect();
    collect();
    ck_assert_uint_le(watched(50), 10);
    GCX_KEEP(key);
  }
END_TEST

/* ---- who disposes what */

START_TEST(test_borrowed_values_are_not_disposed)
  {
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);

    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc_managed(16);
      values[i] = value_new(NULL);
      ck_assert_int_eq(gcx_table_add(t, keys[i], values[i]), 0);
    }
    for (int i = 0; i < MANY; i += 4)
      ck_assert(gcx_table_remove(t, keys[i]));
    for (int i = 1; i < MANY; i += 4)
      ck_assert_int_eq(gcx_table_set(t, keys[i], NULL), 0);
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(gcx_table_count(t), FEW);
    ck_assert_uint_eq(disposals(), 0);
    ck_assert_uint_eq(gcx_check(), 0);
    for (int i = 0; i < MANY; i++)
      gcx_dispose(values[i]);
  }
END_TEST

static GCX_NOINLINE void lend(struct gcx_table *t)
{
  for (int i = 0; i < MANY; i++)
    ck_assert_int_eq(gcx_table_add(t, gcx_alloc_managed(16), value_new(NULL)),
                     0);
}

/* What a table has borrowed and nobody else holds is lost with its entry. */
START_TEST(test_borrowed_values_can_be_lost)
  {
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);

    lend(t);
    ck_assert_uint_ge(objects_found(), MANY - FEW);
    ck_assert_uint_eq(disposals(), 0);
  }
END_TEST

/* Each exactly once, whatever ends the entry, and while it is used elsewhere. */
START_TEST(test_values_are_disposed_once)
  {
    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc_managed(16);
      values[i] = value_new(NULL);
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
    }
    for (int i = 0; i < MANY; i += 4) {
      ck_assert(gcx_table_remove(table, keys[i]));
      ck_assert_int_eq(gcx_table_set(table, keys[i + 1], NULL), 0);
    }
    ck_assert_uint_eq(disposals(), MANY / 2);
    memset(keys, 0, sizeof(keys));
    collect();
    gcx_table_clear(table);
    ck_assert_uint_eq(disposals(), MANY);
    for (int i = 0; i < MANY; i++)
      ck_assert(gcx_is_disposed(values[i]));
    collect();
    ck_assert_uint_eq(disposals(), MANY);
    ck_assert_uint_eq(wrong_thread, 0);
  }
END_TEST

/* A lost key stays for its report, and with it its value. */
static GCX_NOINLINE void lose_keys(void)
{
  for (int i = 0; i < MANY; i++)
    ck_assert_int_eq(gcx_table_add(table, gcx_alloc(16), value_new(NULL)), 0);
}

START_TEST(test_lost_keys_keep_their_values)
  {
    size_t found;

    lose_keys();
    found = objects_found();
    ck_assert_uint_ge(found, MANY - FEW);
    ck_assert_uint_le(found, MANY);
    ck_assert_uint_eq(disposals(), 0);
    ck_assert_uint_eq(gcx_table_count(table), MANY);
    for (int i = 0; i < 3; i++)
      collect();
    ck_assert_uint_eq(gcx_table_count(table), MANY);
    ck_assert_uint_eq(disposals(), 0);
  }
END_TEST

/* ---- get_or_add */

static size_t made;

static void *makes(const void *key, void *arg)
{
  (void)arg;
  made++;
  ck_assert(!gcx_table_find(table, key, NULL));
  return value_new(NULL);
}

static void *makes_nothing(const void *key, void *arg)
{
  (void)key;
  (void)arg;
  return NULL;
}

/* Adds an entry itself: that one stays. */
static void *makes_two(const void *key, void *arg)
{
  ck_assert_int_eq(gcx_table_add(table, key, arg), 0);
  return value_new(NULL);
}

START_TEST(test_get_or_add)
  {
    void *key = gcx_alloc_managed(16), *other = gcx_alloc_managed(16);
    void *out = &out, *again = NULL;
    struct value *v = value_new(NULL);

    ck_assert_int_eq(
        gcx_table_get_or_add(table, key, makes_nothing, NULL, &out), -ENOMEM);
    ck_assert_ptr_eq(out, &out);
    ck_assert_int_eq(gcx_table_get_or_add(table, key, makes, NULL, &out), 0);
    ck_assert_int_eq(gcx_table_get_or_add(table, key, makes, NULL, &again), 0);
    ck_assert_ptr_eq(out, again);
    ck_assert_uint_eq(made, 1);
    ck_assert_int_eq(gcx_table_get_or_add(table, other, makes_two, v, &out), 0);
    ck_assert_ptr_eq(out, v);
    ck_assert_uint_eq(disposals(), 1);
    ck_assert_int_eq(gcx_table_get_or_add(table, NULL, makes, NULL, &out),
                     -EINVAL);
    ck_assert_int_eq(gcx_table_get_or_add(table, key, NULL, NULL, &out),
                     -EINVAL);
    ck_assert_int_eq(gcx_table_get_or_add(NULL, key, makes, NULL, &out),
                     -EINVAL);
    ck_assert_int_eq(gcx_table_get_or_add(table, key, makes, NULL, NULL), 0);
    ck_assert_int_eq(gcx_table_set(table, other, NULL), 0);
    ck_assert_int_eq(gcx_table_get_or_add(table, other, makes, NULL, &out), 0);
    ck_assert_ptr_null(out);
  }
END_TEST

#define RACERS 4
#define RACES 2000

static void *race_result[RACERS][RACES];
static int race_go;

static void *makes_in_a_race(const void *key, void *arg)
{
  (void)key;
  (void)arg;
  __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
  return value_new(NULL);
}

static void *races(void *arg)
{
  void **result = arg;

  flag_wait(&race_go);
  for (int i = 0; i < RACES; i++)
    if (gcx_table_get_or_add(table, keys[i], makes_in_a_race, NULL,
                             &result[i]) != 0)
      ck_abort();
  return NULL;
}

START_TEST(test_get_or_add_in_a_race)
  {
    pthread_t thread[RACERS];

    for (int i = 0; i < RACES; i++)
      keys[i] = gcx_alloc_managed(16);
    for (int i = 0; i < RACERS; i++)
      thread[i] = thread_start(races, race_result[i]);
    flag_raise(&race_go);
    for (int i = 0; i < RACERS; i++)
      (void)thread_join(thread[i]);
    for (int i = 0; i < RACES; i++) {
      void *winner = gcx_table_get(table, keys[i]);

      ck_assert_ptr_nonnull(winner);
      ck_assert(!gcx_is_disposed(winner));
      for (int k = 0; k < RACERS; k++)
        ck_assert_ptr_eq(race_result[k][i], winner);
    }
    ck_assert_uint_eq(gcx_table_count(table), RACES);
    ck_assert_uint_eq(disposals(), made - RACES);
    gcx__table_check(table);
  }
END_TEST

/* ---- memory that goes back at once; realloc */

START_TEST(test_a_reused_address_is_another_key)
  {
    size_t rounds = 1000000, again = 0;
    const void *before = NULL;
    static int value;
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);

    objects_setup(GCX_LEAK_OFF);
    gcx__opt.quarantine = 0;
    for (size_t i = 0; i < rounds; i++) {
      void *p = gcx_alloc(32);

      again += p == before;
      before = p;
      if (gcx_table_find(t, p, NULL))
        ck_abort_msg("round %zu", i);
      if (gcx_table_add(t, p, &value) != 0)
        ck_abort_msg("round %zu", i);
      gcx_dispose(p);
    }
    ck_assert_uint_ge(again, rounds / 2);
    ck_assert_uint_eq(gcx_table_count(t), 0);
    gcx__table_check(t);
  }
END_TEST

START_TEST(test_freed_key_disposes_its_value)
  {
    gcx__opt.quarantine = 0;
    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc(32);
      ck_assert_int_eq(gcx_table_add(table, keys[i], value_new(NULL)), 0);
    }
    for (int i = 0; i < MANY; i += 2)
      gcx_dispose(keys[i]);
    ck_assert_uint_eq(gcx_table_count(table), MANY / 2);
    ck_assert_uint_eq(disposals(), MANY / 2);
    for (int i = 1; i < MANY; i += 2)
      ck_assert(gcx_table_find(table, keys[i], NULL));
    gcx__table_check(table);
  }
END_TEST

START_TEST(test_follows_realloc)
  {
    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc(32);
      values[i] = value_new(NULL);
      ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
    }
    for (int i = 0; i < MANY; i++) {
      void *old = keys[i];

      keys[i] = gcx_realloc(old, 1000);
      ck_assert_ptr_ne(keys[i], old);
      ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
      ck_assert_ptr_null(gcx_table_get(table, old));
    }
    collect();
    ck_assert_uint_eq(gcx_table_count(table), MANY);
    ck_assert_uint_eq(disposals(), 0);
    gcx__table_check(table);
    for (int i = 0; i < MANY; i++)
      gcx_dispose(keys[i]);
  }
END_TEST

/* ---- the tables that are looked at for it */

#define TABLES 1000

static struct gcx_table *all_tables[TABLES];

static void make_tables(void)
{
  for (int i = 0; i < TABLES; i++)
    all_tables[i] = gcx_table_create(0);
}

/* A key in one of a thousand tables is looked up in that one. */
START_TEST(test_a_key_that_goes_is_looked_up_in_its_table)
  {
    uint64_t before;

    gcx__opt.quarantine = 0;
    make_tables();
    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc(32);
      ck_assert_int_eq(
          gcx_table_add(all_tables[i % TABLES], keys[i], value_new(NULL)), 0);
    }
    before = gcx__table_followed();
    for (int i = 0; i < MANY; i++) {
      if (i % 4 == 0)
        keys[i] = gcx_realloc(keys[i], 2000);
      gcx_dispose(keys[i]);
    }
    ck_assert_uint_eq(gcx__table_followed() - before, MANY + MANY / 4);
    ck_assert_uint_eq(disposals(), MANY);
    for (int i = 0; i < TABLES; i++)
      ck_assert_uint_eq(gcx_table_count(all_tables[i]), 0);
  }
END_TEST

static size_t entries_in_all(void)
{
  size_t n = 0;

  for (int i = 0; i < TABLES; i++)
    n += gcx_table_count(all_tables[i]);
  return n;
}

/* A key of several tables is looked up in all there are, a target of weak
 * references alone in none. */
START_TEST(test_a_key_of_several_tables_goes_from_all)
  {
    uint64_t before;
    void *key = gcx_alloc(32), *target = gcx_alloc(32);
    struct gcx_weak *w = gcx_weak_create(target, GCX_WEAK_SHORT);

    gcx__opt.quarantine = 0;
    make_tables();
    for (int i = 0; i < TABLES; i += 10)
      ck_assert_int_eq(gcx_table_add(all_tables[i], key, value_new(NULL)), 0);
    key = gcx_realloc(key, 3000);
    for (int i = 0; i < TABLES; i++)
      ck_assert_int_eq(gcx_table_find(all_tables[i], key, NULL), i % 10 == 0);
    gcx_dispose(key);
    ck_assert_uint_eq(entries_in_all(), 0);
    ck_assert_uint_eq(disposals(), TABLES / 10);
    before = gcx__table_followed();
    gcx_dispose(target);
    ck_assert_uint_eq(gcx__table_followed(), before);
    ck_assert_ptr_null(gcx_weak_get(w));
  }
END_TEST

/* Places are fewer than tables, and used again: no key is lost for that. Each key
 * has one of the 12,000 dependents. */
#define DEPENDENTS 12000

static struct gcx_dependent *key_dependents[DEPENDENTS];
static void *dependent_keys[DEPENDENTS];

START_TEST(test_keys_of_more_tables_than_places)
  {
    size_t left = 0;

    gcx__opt.quarantine = 0;
    for (int round = 0; round < 2; round++) {
      uint64_t before = gcx__table_followed();

      for (int i = 0; i < DEPENDENTS; i++) {
        dependent_keys[i] = gcx_alloc(32);
        key_dependents[i] = gcx_dependent_create(dependent_keys[i], NULL);
      }
      for (int i = 0; i < DEPENDENTS; i++)
        gcx_dispose(dependent_keys[i]);
      for (int i = 0; i < DEPENDENTS; i++) {
        left += gcx_dependent_get(key_dependents[i], NULL, NULL);
        gcx_dispose(key_dependents[i]);
      }
      ck_assert_uint_eq(left, 0);
      /* 3 tables a place, and those that ended and were not buried yet */
      ck_assert_uint_le(gcx__table_followed() - before, 8 * DEPENDENTS);
    }
  }
END_TEST

/* ---- memory */

START_TEST(test_memory_follows_the_entries)
  {
    size_t before = gcx__entries_mapped(), full;
    void **big = gcx_alloc_managed(200000 * sizeof(*big));

    for (int i = 0; i < 200000; i++) {
      big[i] = gcx_alloc_managed(16);
      ck_assert_int_eq(gcx_table_add(table, big[i], NULL), 0);
    }
    collect();
    full = gcx__entries_mapped() - before;
    ck_assert_uint_ge(full, 200000 * sizeof(struct gcx__entry));
    ck_assert_uint_le(full, 200000 * sizeof(struct gcx__entry) * 5);
    for (int i = 100; i < 200000; i++)
      if (_i == 0)
        big[i] = NULL;
      else
        ck_assert(gcx_table_remove(table, big[i]));
    collect();
    collect();
    ck_assert_uint_le(gcx__entries_mapped() - before, full / 20);
    for (int i = 0; i < 100; i++)
      ck_assert(gcx_table_find(table, big[i], NULL));
    gcx__table_check(table);
  }
END_TEST

/* The same key a million times, and a thousand keys in turn. */
START_TEST(test_churn)
  {
    void *key = gcx_alloc_managed(16);
    size_t before, most = 0;

    ck_assert_int_eq(gcx_table_add(table, key, NULL), 0);
    before = gcx__entries_mapped();
    for (int i = 0; i < 1000000; i++)
      if (!gcx_table_remove(table, key) || gcx_table_add(table, key, &key) != 0)
        ck_abort();
    ck_assert_uint_eq(gcx__entries_mapped(), before);
    for (int i = 0; i < 1000; i++)
      keys[i] = gcx_alloc_managed(16);
    for (int i = 0; i < 1000000; i++) {
      if (gcx_table_add(table, keys[i % 1000], NULL) != 0 ||
          !gcx_table_remove(table, keys[i % 1000]))
        ck_abort();
      most = GCX_MAX(most, gcx__entries_mapped());
    }
    ck_assert_uint_le(most, before + ((size_t)20 << 20));
    gcx__table_check(table);
  }
END_TEST

START_TEST(test_no_memory)
  {
    size_t refused = 0;

    for (int i = 0; i < MANY; i++) {
      keys[i] = gcx_alloc_managed(16);
      values[i] = value_new(NULL);
    }
    for (int i = 0; i < MANY; i++) {
      int result;

      gcx__vm_fail_here(true);
      result = gcx_table_add(table, keys[i], values[i]);
      gcx__vm_fail_here(false);
      if (result != 0) {
        ck_assert_int_eq(result, -ENOMEM);
        ck_assert(!gcx_table_find(table, keys[i], NULL));
        ck_assert_uint_eq(gcx_table_count(table), (size_t)i);
        refused++;
        ck_assert_int_eq(gcx_table_add(table, keys[i], values[i]), 0);
      }
      ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
    }
    ck_assert_uint_ge(refused, 3);
    ck_assert_uint_eq(disposals(), 0);
    gcx__table_check(table);
    gcx__vm_fail_here(true);
    if (gcx_table_create(0) == NULL)
      ck_assert_int_eq(errno, ENOMEM);
    gcx__vm_fail_here(false);
  }
END_TEST

/* Without memory in the stop nothing ends, and nothing is lost. */
START_TEST(test_no_memory_in_a_stop)
  {
    fill(table, 32);
    for (uint64_t n = 1; n < 12; n++) {
      gcx__vm_fail_at(n);
      gcx_collect();
      gcx__vm_fail_at(0);
      for (int i = 0; i < MANY; i++)
        ck_assert_ptr_eq(gcx_table_get(table, keys[i]), values[i]);
    }
    gcx__table_check(table);
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(gcx_table_count(table), FEW);
  }
END_TEST

/* ---- walking */

static size_t walk(struct gcx_table_iter *it, void **ret_keys)
{
  void *key, *value;
  size_t n = 0;

  while (gcx_table_iter_next(it, &key, &value)) {
    if (ret_keys != NULL)
      ret_keys[n] = key;
    n++;
  }
  return n;
}

START_TEST(test_walk)
  {
    struct gcx_table_iter it;
    static void *seen[MANY + 1];
    void *key = NULL, *value = NULL;

    gcx_table_iter_init(&it, table);
    ck_assert(!gcx_table_iter_next(&it, &key, &value));
    ck_assert_ptr_null(key);
    gcx_table_iter_init(&it, NULL);
    ck_assert(!gcx_table_iter_next(&it, &key, &value));
    fill(table, 16);
    gcx_table_iter_init(&it, table);
    ck_assert_uint_eq(walk(&it, seen), MANY);
    for (int i = 0; i < MANY; i++)
      ck_assert_ptr_eq(seen[i], keys[i]); /* in the order of addition */
    ck_assert(!gcx_table_iter_next(&it, NULL, NULL));
    gcx_table_iter_init(&it, table);
    for (int i = 0; i < MANY; i++) {
      ck_assert(gcx_table_iter_next(&it, &key, &value));
      ck_assert_ptr_eq(value, values[i]);
    }
  }
END_TEST

START_TEST(test_walk_sees_nothing_added_since)
  {
    struct gcx_table_iter it, later;

    fill(table, 16);
    ck_assert(gcx_table_remove(table, keys[10]));
    ck_assert(gcx_table_remove(table, keys[1000]));
    gcx_table_iter_init(&it, table);
    ck_assert_int_eq(gcx_table_add(table, keys[10], NULL), 0); /* comes back */
    for (int i = 0; i < MANY; i++)
      ck_assert_int_eq(gcx_table_add(table, values[i], NULL), 0);
    ck_assert_int_eq(gcx_table_add(table, keys[1000], NULL), 0);
    gcx_table_iter_init(&later, table);
    ck_assert_uint_eq(walk(&it, NULL), MANY - 2);
    ck_assert_uint_eq(walk(&later, NULL), 2 * MANY);
  }
END_TEST

START_TEST(test_walk_sees_nothing_that_ended)
  {
    struct gcx_table_iter a, b;
    void *key;

    fill(table, 16);
    gcx_table_iter_init(&a, table);
    gcx_table_iter_init(&b, table);
    for (int i = 0; i < 500; i++)
      ck_assert(gcx_table_iter_next(&a, &key, NULL));
    for (int i = 0; i < MANY; i += 2)
      ck_assert(gcx_table_remove(table, keys[i]));
    ck_assert_uint_eq(walk(&a, NULL), (MANY - 500) / 2);
    ck_assert_uint_eq(walk(&b, NULL), MANY / 2);
    gcx_table_iter_init(&a, table);
    gcx_table_clear(table);
    ck_assert_int_eq(gcx_table_add(table, keys[0], NULL), 0);
    ck_assert_uint_eq(walk(&a, NULL), 0);
  }
END_TEST

/* The body adds so much that the array is replaced, removes what it has seen,
 * and collects. */
START_TEST(test_walk_with_a_busy_body)
  {
    struct gcx_table_iter it;
    void *key, *value;
    size_t n = 0;

    fill(table, 16);
    gcx_table_iter_init(&it, table);
    while (gcx_table_iter_next(&it, &key, &value)) {
      ck_assert_ptr_eq(key, keys[n]);
      ck_assert_ptr_eq(value, values[n]);
      ck_assert(gcx_table_remove(table, key));
      for (int i = 0; i < 10; i++)
        ck_assert_int_eq(gcx_table_add(table, gcx_alloc_managed(16), NULL), 0);
      if (n % 100 == 0)
        gcx_collect();
      n++;
    }
    ck_assert_uint_eq(n, MANY);
    gcx__table_check(table);
  }
END_TEST

START_TEST(test_walk_skips_dead_keys)
  {
    struct gcx_table_iter it;

    fill(table, 16);
    gcx_table_iter_init(&it, table);
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(walk(&it, NULL), FEW);
  }
END_TEST

/* ---- dependents */

static struct gcx_dependent *dependents[MANY];

static GCX_NOINLINE void depend(bool hold)
{
  for (int i = 0; i < MANY; i++) {
    void *key = gcx_alloc_managed(32);
    void **value = gcx_alloc_managed(32);

    value[0] = key; /* a cycle keeps nothing */
    keys[i] = hold ? key : NULL;
    dependents[i] = gcx_dependent_create(key, value);
    watch[i] = gcx_weak_create(value, GCX_WEAK_LONG);
  }
}

START_TEST(test_dependent_holds_its_value)
  {
    void *target, *value;

    depend(true);
    collect();
    ck_assert_uint_eq(watched(MANY), MANY);
    for (int i = 0; i < MANY; i++) {
      ck_assert(gcx_dependent_get(dependents[i], &target, &value));
      ck_assert_ptr_eq(target, keys[i]);
      ck_assert_ptr_eq(value, gcx_weak_get(watch[i]));
    }
    target = value = NULL;
    memset(keys, 0, sizeof(keys));
    collect();
    ck_assert_uint_le(watched(MANY), FEW);
    for (int i = 0; i < MANY; i++)
      if (gcx_weak_get(watch[i]) == NULL)
        ck_assert(!gcx_dependent_get(dependents[i], &target, &value));
  }
END_TEST

START_TEST(test_lost_dependents_hold_nothing)
  {
    size_t tables = gcx__table_tables();

    depend(true);
    memset(dependents, 0, sizeof(dependents));
    collect();
    ck_assert_uint_le(watched(MANY), FEW);
    ck_assert_uint_le(gcx__table_tables(), tables + FEW);
  }
END_TEST

START_TEST(test_dependent_alone)
  {
    char *key = gcx_alloc_managed(32);
    void *value = gcx_alloc_managed(16), *out = &out;
    struct gcx_dependent *d = gcx_dependent_create(key, NULL), *none;

    ck_assert(gcx_dependent_get(d, NULL, &out));
    ck_assert_ptr_null(out);
    ck_assert_int_eq(gcx_dependent_set_value(d, value), 0);
    ck_assert_int_eq(gcx_dependent_set_value(d, (void *)UINTPTR_MAX), -EINVAL);
    ck_assert(gcx_dependent_get(d, &out, NULL));
    ck_assert_ptr_eq(out, key);
    gcx_dependent_clear(d);
    gcx_dependent_clear(d);
    ck_assert(!gcx_dependent_get(d, &out, NULL));
    ck_assert_int_eq(gcx_dependent_set_value(d, value), -EINVAL);
    gcx_dispose(d);
    gcx_dispose(d);
    ck_assert(!gcx_dependent_get(d, &out, NULL));
    ck_assert_int_eq(gcx_dependent_set_value(d, value), -EINVAL);
    none = gcx_dependent_create(NULL, value);
    ck_assert_ptr_nonnull(none);
    ck_assert(!gcx_dependent_get(none, &out, NULL));
    ck_assert(!gcx_dependent_get(NULL, &out, NULL));
    gcx_dependent_clear(NULL);
    ck_assert_int_eq(gcx_dependent_set_value(NULL, value), -EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_dependent_create(key + 1, value));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

START_TEST(test_dependent_follows_realloc)
  {
    void *key = gcx_alloc(32), *value = gcx_alloc_managed(16), *t, *v;
    struct gcx_dependent *d = gcx_dependent_create(key, value);

    key = gcx_realloc(key, 3000);
    ck_assert(gcx_dependent_get(d, &t, &v));
    ck_assert_ptr_eq(t, key);
    ck_assert_ptr_eq(v, value);
    gcx_dispose(key);
  }
END_TEST

/* ---- fork */

static void in_a_child(void *arg)
{
  (void)arg;
  objects_setup(GCX_LEAK_OFF);
  for (int i = 0; i < MANY; i++)
    if (gcx_table_get(table, keys[i]) != values[i])
      _exit(2);
  memset(keys, 0, sizeof(keys));
  collect();
  if (gcx_table_count(table) > FEW)
    _exit(3);
  fill(table, 16);
  gcx__table_check(table);
  collect();
  for (int i = 0; i < MANY; i++)
    if (gcx_table_get(table, keys[i]) != values[i])
      _exit(4);
}

START_TEST(test_fork)
  {
    fill(table, 32);
    death_demand_exit(in_a_child, NULL, 0);
    collect();
    ck_assert_uint_eq(gcx_table_count(table), MANY);
  }
END_TEST

/* A writer that came too late holds the latch of a state that waits to be used
 * again. */
static void child_of_a_late_writer(void *state)
{
  struct gcx_table *t = NULL;

  (void)alarm(60);
  for (int i = 0; i < 100 && (t == NULL || t->state != state); i++) {
    t = gcx_table_create(GCX_TABLE_BORROWS);
    if (gcx_table_set(t, keys[0], keys[0]) != 0)
      _exit(2);
  }
  if (t->state != state || gcx_table_get(t, keys[0]) != keys[0])
    _exit(3);
}

START_TEST(test_fork_with_a_late_writer)
  {
    struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);
    struct gcx__table *state = t->state;
    size_t n = gcx__table_tables();

    fill(table, 16);
    gcx_dispose(t);
    for (int i = 0; i < 10 && gcx__table_tables() == n; i++)
      collect();
    ck_assert_uint_lt(gcx__table_tables(), n);
    gcx__latch_lock(&state->latch);
    death_demand_exit(child_of_a_late_writer, state, 0);
    gcx__latch_unlock(&state->latch);
  }
END_TEST

static int changing, stop_changing;

static void *changes(void *arg)
{
  unsigned i = 0;

  (void)arg;
  flag_raise(&changing);
  while (!flag_is_up(&stop_changing)) {
    void *key = keys[i++ % MANY];

    if (!gcx_table_remove(table, key))
      (void)gcx_table_set(table, key, key);
  }
  return NULL;
}

static void child_of_a_busy_parent(void *arg)
{
  (void)arg;
  gcx__table_check(table);
  for (int i = 0; i < MANY; i++)
    (void)gcx_table_set(table, keys[i], keys[i]);
  gcx__table_check(table);
  if (gcx_table_count(table) != MANY)
    _exit(2);
  gcx_collect();
  if (gcx_table_count(table) != MANY)
    _exit(3);
}

START_TEST(test_fork_while_others_change_it)
  {
    pthread_t thread;

    fill(table, 16);
    thread = thread_start(changes, NULL);
    /* A thread that begins is inside malloc, and AddressSanitizer's has no handler
     * for fork(): its child would wait for ever. */
    flag_wait(&changing);
    for (int i = 0; i < 20; i++)
      death_demand_exit(child_of_a_busy_parent, NULL, 0);
    flag_raise(&stop_changing);
    (void)thread_join(thread);
    gcx__table_check(table);
  }
END_TEST

static TCase *case_of(Suite *s, const char *name)
{
  TCase *c = tcase_create(name);

  tcase_add_checked_fixture(c, setup, NULL);
  suite_add_tcase(s, c);
  return c;
}

static Suite *table_suite(void)
{
  Suite *s = suite_create("table");
  TCase *c = case_of(s, "entries");

  tcase_add_test(c, test_one_entry);
  tcase_add_test(c, test_null_values_and_foreign_values);
  tcase_add_test(c, test_arguments);
  tcase_add_test(c, test_disposed_table);
  tcase_add_test(c, test_a_writer_that_comes_too_late);
  tcase_add_loop_test(c, test_a_factory_that_ends_its_table, 0, 2);
  tcase_add_test(c, test_no_table);
  tcase_add_test(c, test_many);
  tcase_add_test(c, test_get_or_add);
  tcase_add_test(c, test_get_or_add_in_a_race);
  c = case_of(s, "life");
  tcase_add_loop_test(c, test_dead_keys, 0, 2);
  tcase_add_test(c, test_big_keys);
  tcase_add_loop_test(c, test_cycles_are_collected, 0, 4);
  tcase_add_loop_test(c, test_lost_tables_dispose_their_values, 0, 3);
  tcase_add_test(c, test_chain_in_one_table);
  tcase_add_test(c, test_chain_of_a_million);
  tcase_add_test(c, test_chain_over_ten_tables);
  tcase_add_test(c, test_chain_work_is_linear);
  tcase_add_test(c, test_tables_in_tables);
  c = case_of(s, "values");
  tcase_add_test(c, test_borrowed_values_are_not_disposed);
  tcase_add_test(c, test_borrowed_values_can_be_lost);
  tcase_add_test(c, test_values_are_disposed_once);
  tcase_add_test(c, test_lost_keys_keep_their_values);
  c = case_of(s, "memory");
  tcase_add_test(c, test_a_reused_address_is_another_key);
  tcase_add_test(c, test_freed_key_disposes_its_value);
  tcase_add_test(c, test_follows_realloc);
  tcase_add_test(c, test_a_key_that_goes_is_looked_up_in_its_table);
  tcase_add_test(c, test_a_key_of_several_tables_goes_from_all);
  tcase_add_test(c, test_keys_of_more_tables_than_places);
  tcase_add_loop_test(c, test_memory_follows_the_entries, 0, 2);
  tcase_add_test(c, test_churn);
  tcase_add_test(c, test_no_memory);
  tcase_add_test(c, test_no_memory_in_a_stop);
  c = case_of(s, "walk");
  tcase_add_test(c, test_walk);
  tcase_add_test(c, test_walk_sees_nothing_added_since);
  tcase_add_test(c, test_walk_sees_nothing_that_ended);
  tcase_add_test(c, test_walk_with_a_busy_body);
  tcase_add_test(c, test_walk_skips_dead_keys);
  c = case_of(s, "dependents");
  tcase_add_test(c, test_dependent_holds_its_value);
  tcase_add_test(c, test_lost_dependents_hold_nothing);
  tcase_add_test(c, test_dependent_alone);
  tcase_add_test(c, test_dependent_follows_realloc);
  c = case_of(s, "fork");
  tcase_add_test(c, test_fork);
  tcase_add_test(c, test_fork_with_a_late_writer);
  tcase_add_test(c, test_fork_while_others_change_it);
  return s;
}

GCX_CHECK_MAIN(table_suite);
