/* SPDX-License-Identifier: MIT */
/*
 * check_table_stress.c - readers without a lock, a writer, and collections without
 *                        pause
 *
 * Every value names its key and carries a tag; freed memory is used again at once
 * with another one. A reader that is given anything else has read a dead object.
 *
 * That the test would notice is shown twice. One reader is wrong on purpose: it
 * reveals what it has loaded without looking again. It lingers in between until a
 * collection has come and its entry was overwritten, and has to be caught. And
 * where delays are built in, the same loads run with the library's own readers
 * made wrong (support/wrong_reader.c), and have to fail. Without the delays such
 * readers pass for minutes.
 *
 * GCX_STRESS_MS: how long each load runs (default 500; tools/run-stress: 60000).
 */
#include <gc/gc.h>

#include "objects.h"
#include "programs.h"
#include "table.h"
#include "waits.h"

#define SLOTS 64
#define READERS 4
#define TAG UINT64_C(0x7a67617461676731)

struct load {
  const char *markers; /* GC_MARKERS, before the collector starts */
  bool incremental;
  bool wrong_reader;
};

static const struct load loads[] = {
  { "1", false, false },
  { "4", false, false },
  { "1", true, false },
  { "4", false, true },
};
#define LOADS ((int)GCX_ARRAY_LENGTH(loads))

struct value {
  uint64_t tag;
  uintptr_t key; /* hidden */
  uint64_t rest[2];
};

static struct gcx_table *table;
static void *keys[SLOTS];
static uint64_t written;
static int stop;
static size_t reads, hits, walked, wrong, caught;

static void *key_at(unsigned i)
{
  return __atomic_load_n(&keys[i % SLOTS], __ATOMIC_ACQUIRE);
}

static bool is_right(const struct value *v, const void *key)
{
  return v->tag == TAG && v->key == GCX_HIDE(key);
}

static void check_value(const void *value, const void *key)
{
  if (value == NULL)
    return;
  __atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
  if (!is_right(value, key))
    __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void *reads_on(void *arg)
{
  unsigned i = (unsigned)(uintptr_t)arg;

  while (!flag_is_up(&stop)) {
    void *key = key_at(i++);

    check_value(gcx_table_get(table, key), key);
    GCX_KEEP(key);
    __atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
    if (i % 256 == 0) {
      struct gcx_table_iter it;
      void *value;

      gcx_table_iter_init(&it, table);
      while (gcx_table_iter_next(&it, &key, &value)) {
        check_value(value, key);
        __atomic_fetch_add(&walked, 1, __ATOMIC_RELAXED);
      }
    }
  }
  return NULL;
}

static GCX_NOINLINE void write_one(unsigned i)
{
  void *key = key_at(i);
  struct value *v;

  if (i % 5 == 0) { /* a key of its own, the old one dies */
    key = gcx_alloc_managed(32);
    __atomic_store_n(&keys[i % SLOTS], key, __ATOMIC_RELEASE);
  }
  v = gcx_alloc_managed(sizeof(*v));
  v->tag = TAG;
  v->key = GCX_HIDE(key);
  if (gcx_table_set(table, key, v) != 0)
    ck_abort();
  if (i % 7 == 0)
    (void)gcx_table_remove(table, key_at(i + 3));
}

static GCX_NOINLINE void litter(void)
{
  for (int i = 0; i < 16; i++) {
    struct value *v = gcx_alloc_managed(sizeof(*v));

    v->tag = ~TAG;
  }
}

static void *writes(void *arg)
{
  (void)arg;
  for (unsigned i = 0; !flag_is_up(&stop); i++) {
    write_one(i);
    litter();
    __atomic_fetch_add(&written, 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

/* Long enough for two collections, and for everything to be overwritten. */
static GCX_NOINLINE void linger(void)
{
  uint64_t collections = gcx__bdw_collections();
  uint64_t begin = __atomic_load_n(&written, __ATOMIC_ACQUIRE);

  while (!flag_is_up(&stop) &&
         (gcx__bdw_collections() < collections + 2 ||
          __atomic_load_n(&written, __ATOMIC_ACQUIRE) < begin + 20 * SLOTS))
    (void)sched_yield();
}

/* As table-read.c, without the second look. The array stays: that is not what is
 * shown here. */
static GCX_NOINLINE bool read_wrongly(const void *key)
{
  struct gcx__thread *self = gcx__thread_self();
  struct gcx__entries *a;
  struct gcx__entry *e;
  uintptr_t h = 0;
  bool bad;

  (void)gcx__read_begin(self);
  a = __atomic_load_n(&table->state->entries, __ATOMIC_ACQUIRE);
  e = a != NULL ? gcx__entries_find(a, GCX_HIDE(key)) : NULL;
  if (e != NULL)
    h = __atomic_load_n(&e->value, __ATOMIC_ACQUIRE);
  linger();
  gcx__read_end(self);
  bad = h != 0 && ((const struct value *)GCX_REVEAL(h))->tag != TAG;
  return bad;
}

static void *reads_wrongly(void *arg)
{
  (void)arg;
  for (unsigned i = 0; !flag_is_up(&stop); i++)
    if (read_wrongly(key_at(i))) {
      __atomic_fetch_add(&caught, 1, __ATOMIC_RELAXED);
      flag_raise(&stop);
    }
  return NULL;
}

static uint64_t run_ms(const struct load *load)
{
  const char *text = getenv("GCX_STRESS_MS");

  if (load->wrong_reader)
    return 60000; /* it ends as soon as it is caught */
  return text != NULL ? strtoull(text, NULL, 10) : 500;
}

/* On a busy machine the time may be over before anything happened. */
static bool has_seen_little(const struct load *load, uint64_t collections)
{
  return !load->wrong_reader &&
         (__atomic_load_n(&written, __ATOMIC_ACQUIRE) < SLOTS ||
          __atomic_load_n(&hits, __ATOMIC_RELAXED) < 100 ||
          gcx__bdw_collections() < collections + 2);
}

static void stress(const struct load *load)
{
  uint64_t end = gcx__now_ns() + run_ms(load) * 1000000;
  uint64_t collections = gcx__bdw_collections();
  pthread_t threads[READERS + 2];
  unsigned n = 0;

  table = gcx_table_create(GCX_TABLE_BORROWS);
  for (unsigned i = 0; i < SLOTS; i++)
    keys[i] = gcx_alloc_managed(32);
  threads[n++] = thread_start(writes, NULL);
  if (load->wrong_reader)
    threads[n++] = thread_start(reads_wrongly, NULL);
  else
    for (uintptr_t i = 0; i < READERS; i++)
      threads[n++] = thread_start(reads_on, (void *)(i * 17));
  while ((gcx__now_ns() < end || has_seen_little(load, collections)) &&
         !flag_is_up(&stop) && wrong == 0)
    gcx_collect();
  flag_raise(&stop);
  while (n > 0)
    (void)thread_join(threads[--n]);
  gcx__table_check(table);
}

/* ---- a process for each load: markers are started before main, and a forked
 * child has none. Inside it, Check does not fork. */

START_TEST(test_load)
  {
    const struct load *load = &loads[atoi(getenv("GCX_STRESS_LOAD"))];
    uint64_t collections;

    objects_setup(GCX_LEAK_OFF);
    if (load->incremental)
      GC_enable_incremental();
    collections = gcx__bdw_collections();
    stress(load);
    collections = gcx__bdw_collections() - collections;
    (void)printf("%zu reads, %zu hits, %zu walked, %llu writes, %llu "
                 "collections, %zu wrong, %zu caught\n",
                 reads, hits, walked, (unsigned long long)written,
                 (unsigned long long)collections, wrong, caught);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_ge(collections, 2);
    ck_assert_uint_ge(written, SLOTS);
    if (load->wrong_reader)
      ck_assert_uint_ge(caught, 1);
    else
      ck_assert_uint_ge(hits, 100);
  }
END_TEST

static void become_load(void *arg)
{
  int i = *(const int *)arg;
  char number[16];

  (void)snprintf(number, sizeof(number), "%d", i);
  (void)setenv("GCX_STRESS_LOAD", number, 1);
  (void)setenv("GC_MARKERS", loads[i].markers, 1);
  (void)setenv("CK_FORK", "no", 1);
  (void)execl("/proc/self/exe", "check_table_stress", (char *)NULL);
  _exit(127);
}

/* The wrong reader may also meet memory that is gone altogether. */
static bool is_caught_by_a_signal(int i, int status)
{
  return loads[i].wrong_reader && WIFSIGNALED(status) &&
         (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

START_TEST(test_stress)
  {
    const struct death *d = death_run(become_load, &_i);

    (void)printf("%s", d->out);
    (void)fflush(stdout);
    ck_assert_msg((WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0) ||
                      is_caught_by_a_signal(_i, d->status),
                  "status 0x%x: %s\n%s", (unsigned)d->status, d->out, d->err);
  }
END_TEST

#ifdef GCX_DELAYS
static void become_wrong_readers(void *arg)
{
  struct program p = { .name = "table_stress_wrong" };
  int i = *(const int *)arg;
  char number[16];

  (void)snprintf(number, sizeof(number), "%d", i);
  (void)setenv("GCX_STRESS_LOAD", number, 1);
  (void)setenv("GCX_STRESS_MS", "60000", 1); /* it ends with the first one */
  (void)setenv("GC_MARKERS", loads[i].markers, 1);
  (void)setenv("CK_FORK", "no", 1);
  program_become(&p);
}

START_TEST(test_wrong_readers_are_noticed)
  {
    const struct death *d = death_run(become_wrong_readers, &_i);
    bool crashed = WIFSIGNALED(d->status) && (WTERMSIG(d->status) == SIGSEGV ||
                                              WTERMSIG(d->status) == SIGBUS);
    const char *sum = strstr(d->out, "\n0%: Checks"); /* would count here */

    (void)printf("wrong readers: %.*s\n",
                 sum != NULL ? (int)(sum - d->out) : (int)strlen(d->out),
                 d->out);
    (void)fflush(stdout);
    ck_assert_msg(crashed || strstr(d->out, "Assertion 'wrong == 0' failed"),
                  "status 0x%x: %s\n%s", (unsigned)d->status, d->out, d->err);
    (void)printf("wrong readers were noticed under load %d\n", _i);
    (void)fflush(stdout);
  }
END_TEST
#endif

static Suite *stress_suite(void)
{
  Suite *s = suite_create("table stress");
  TCase *c = tcase_create("stress");

  tcase_set_timeout(c, 600);
  if (getenv("GCX_STRESS_LOAD") != NULL)
    tcase_add_test(c, test_load);
  else
    tcase_add_loop_test(c, test_stress, 0, LOADS);
#ifdef GCX_DELAYS
  if (getenv("GCX_STRESS_LOAD") == NULL)
    tcase_add_loop_test(c, test_wrong_readers_are_noticed, 0, 3);
#endif
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(stress_suite);
