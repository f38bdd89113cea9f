/* SPDX-License-Identifier: MIT */
/*
 * check_oom_things.c - weak things, resources, insight: every allocation of gcx's own
 *                      fails once
 *
 * Parts, each of which does all that its functions can do, checks after each call
 * that a failure changed nothing, repeats what failed, which then works, and ends
 * what it made. Each part runs in a child for each allocation that it makes, with
 * that one failing; nothing may be lost (leak=abort), and no descriptor.
 */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <gc/gc.h>
#include <sched.h>
#include <sys/stat.h>

#include "platform.h"
#include "redirect.h"
#include "thread.h"
#include "vm.h"

#define DEMAND(e)                                                           \
  do {                                                                      \
    if (!(e)) {                                                             \
      (void)fprintf(stderr, "%s:%d: not so: %s\n", __func__, __LINE__, #e); \
      _exit(3);                                                             \
    }                                                                       \
  } while (0)

static size_t failures;

/* Did it fail? Then for want of memory. */
static bool failed(int result)
{
  DEMAND(result == 0 || result == -ENOMEM);
  failures += result != 0;
  return result != 0;
}

static bool is_null(const void *p)
{
  if (p == NULL)
    DEMAND(errno == ENOMEM);
  failures += p == NULL;
  return p == NULL;
}

/* Only one allocation fails: at the second try all is there. */
#define HAVE(variable, expression) \
  do {                             \
    (variable) = (expression);     \
    if (is_null(variable))         \
      (variable) = (expression);   \
    DEMAND((variable) != NULL);    \
  } while (0)

/* ---- values that count */

static uint32_t made, ended;

static int value_end(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
  return 0;
}

static const struct gcx_type value_type =
    GCX_TYPE_INIT("value", 32, 0, NULL, value_end, NULL, NULL);

static void *value_new(void)
{
  void *v;

  HAVE(v, gcx_new(&value_type));
  made++;
  return v;
}

static uint32_t ended_now(void)
{
  gcx_collect();
  DEMAND(gcx_wait_for_finalizers(UINT64_MAX));
  return __atomic_load_n(&ended, __ATOMIC_RELAXED);
}

/* ---- weak things */

static void references(void)
{
  void *a, *b;
  struct gcx_weak *w;

  HAVE(a, gcx_alloc_managed(16));
  HAVE(b, gcx_alloc_managed(16));
  HAVE(w, gcx_weak_create(a, GCX_WEAK_SHORT));
  DEMAND(gcx_weak_get(w) == a);
  if (failed(gcx_weak_set(w, b)))
    DEMAND(gcx_weak_get(w) == a);
  else
    DEMAND(gcx_weak_get(w) == b);
  gcx_dispose(w);
  GCX_KEEP(a);
  GCX_KEEP(b);
}

#define KEYS 70 /* the arrays grow a few times */

static void *makes_value(const void *key, void *arg)
{
  (void)key;
  *(void **)arg = value_new();
  return *(void **)arg;
}

static void table_fill(struct gcx_table *t, void **keys)
{
  for (size_t i = 0; i < KEYS; i++) {
    void *v = value_new();

    HAVE(keys[i], gcx_alloc(16));
    if (failed(gcx_table_add(t, keys[i], v))) {
      DEMAND(!gcx_table_find(t, keys[i], NULL));
      DEMAND(gcx_table_count(t) == i);
      DEMAND(!gcx_is_disposed(v));
      DEMAND(gcx_table_add(t, keys[i], v) == 0);
    }
    DEMAND(gcx_table_get(t, keys[i]) == v && gcx_table_count(t) == i + 1);
  }
}

static void table_make(struct gcx_table *t, void *key)
{
  void *v = NULL, *none = &failures;

  if (!failed(gcx_table_get_or_add(t, key, makes_value, &v, &none))) {
    DEMAND(none == v && gcx_table_get(t, key) == v);
    return;
  }
  DEMAND(none == &failures && !gcx_table_find(t, key, NULL));
  DEMAND(gcx_table_get_or_add(t, key, makes_value, &v, &none) == 0);
}

static size_t table_walk(struct gcx_table *t)
{
  struct gcx_table_iter it;
  void *key, *value;
  size_t n = 0;

  gcx_table_iter_init(&it, t);
  while (gcx_table_iter_next(&it, &key, &value)) {
    DEMAND(gcx_table_get(t, key) == value);
    n++;
  }
  return n;
}

static void tables(void)
{
  void *keys[KEYS];
  struct gcx_table *t;
  void *v, *extra;

  HAVE(t, gcx_table_create(0));
  table_fill(t, keys);
  HAVE(extra, gcx_alloc(16));
  table_make(t, extra);
  v = value_new();
  if (failed(gcx_table_set(t, keys[0], v))) {
    DEMAND(gcx_table_get(t, keys[0]) != v);
    DEMAND(gcx_table_set(t, keys[0], v) == 0);
  }
  DEMAND(gcx_table_get(t, keys[0]) == v);
  gcx_collect();
  DEMAND(gcx_table_count(t) == KEYS + 1 && table_walk(t) == KEYS + 1);
  DEMAND(gcx_table_remove(t, keys[1]) && !gcx_table_remove(t, keys[1]));
  DEMAND(gcx_table_get(t, keys[2]) != NULL);
  gcx_table_clear(t);
  DEMAND(gcx_table_count(t) == 0 && table_walk(t) == 0);
  DEMAND(ended_now() == made);
  for (size_t i = 0; i < KEYS; i++)
    gcx_dispose(keys[i]);
  gcx_dispose(extra);
  gcx_dispose(t);
}

static void dependents_and_holds(void)
{
  struct gcx_dependent *d;
  void *target, *value, *other, *a = NULL, *b = NULL;
  struct gcx_hold *h;

  HAVE(target, gcx_alloc_managed(16));
  HAVE(value, gcx_alloc_managed(16));
  HAVE(other, gcx_alloc_managed(16));
  HAVE(d, gcx_dependent_create(target, value));
  DEMAND(gcx_dependent_get(d, &a, &b) && a == target && b == value);
  if (failed(gcx_dependent_set_value(d, other)))
    DEMAND(gcx_dependent_get(d, &a, &b) && b == value);
  else
    DEMAND(gcx_dependent_get(d, &a, &b) && b == other);
  gcx_dispose(d);
  HAVE(h, gcx_hold_create(target));
  gcx_collect();
  DEMAND(gcx_hold_get(h) == target);
  gcx_dispose(h);
  DEMAND(gcx_hold_get(h) == NULL);
}

/* ---- finalizers */

static uint32_t finalized;

static void count_finalizer(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&finalized, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type finalized_type = GCX_TYPE_INIT(
    "finalized", 32, GCX_TYPE_OPTIONAL, NULL, NULL, count_finalizer, NULL);

static GCX_NOINLINE void drop_finalizable(void)
{
  for (int i = 0; i < 20; i++) {
    void *p;

    HAVE(p, gcx_new(&finalized_type));
    gcx_suppress_finalize(p);
    gcx_reregister_finalize(p);
  }
}

/* A stop without memory puts them off; none is forgotten, but by a stale word. */
static void finalizers(void)
{
  drop_finalizable();
  for (int i = 0; i < 3; i++) {
    gcx_collect();
    DEMAND(gcx_wait_for_finalizers(UINT64_MAX));
  }
  DEMAND(__atomic_load_n(&finalized, __ATOMIC_RELAXED) >= 10);
}

/* ---- resources */

static uint32_t released;

static int release(intptr_t raw)
{
  DEMAND(raw == 7);
  released++;
  return 0;
}

static void handles(void)
{
  static const struct gcx_handle_type kind = { .name = "seven",
                                               .release = release };
  struct gcx_handle_collector *c;
  struct gcx_handle *h;
  intptr_t raw = 0;

  released = 0;
  HAVE(h, gcx_handle_create(&kind, 7, true));
  DEMAND(released == 0); /* not by a create that failed */
  DEMAND(gcx_handle_acquire(h, &raw) && raw == 7);
  gcx_dispose(h);
  DEMAND(released == 0);
  gcx_handle_release(h);
  DEMAND(released == 1);
  HAVE(c, gcx_handle_collector_create("few", 10, 20));
  DEMAND(gcx_handle_collector_add(c) == 0);
  DEMAND(gcx_handle_collector_count(c) == 1);
  gcx_dispose(c);
}

static int pool_make(void *obj, void *arg)
{
  (void)obj;
  (void)arg;
  made++;
  return 0;
}

static void pool_destroy(void *obj)
{
  (void)obj;
  ended++;
}

static void pool_use(struct gcx_pool *p, size_t bytes)
{
  void *a, *b;

  HAVE(a, gcx_pool_take(p, bytes));
  HAVE(b, gcx_pool_take(p, bytes));
  DEMAND(a != b);
  memset(a, 1, bytes);
  gcx_pool_return(p, a);
  gcx_pool_return(p, b);
  HAVE(a, gcx_pool_take(p, bytes));
  gcx_collect();
  gcx_pool_return(p, a);
  gcx_pool_trim(p, 0);
}

static void pools(void)
{
  static const struct gcx_pool_config buffers = { .name = "buffers" };
  static const struct gcx_pool_config objects = { .name = "objects",
                                                  .object_bytes = 40,
                                                  .create = pool_make,
                                                  .destroy = pool_destroy };
  struct gcx_pool *p;

  HAVE(p, gcx_pool_create(&buffers));
  pool_use(p, 1000);
  pool_use(p, 2u << 20); /* too large to be kept */
  gcx_dispose(p);
  HAVE(p, gcx_pool_create(&objects));
  pool_use(p, 40);
  gcx_dispose(p);
  DEMAND(ended == made);
}

static void files(void)
{
  struct gcx_handle *h;
  struct gcx_file *f;
  struct gcx_dir *d;
  struct gcx_map *m;

  HAVE(h, gcx_fd_open("/dev/null", O_RDONLY, 0));
  gcx_dispose(h);
  HAVE(f, gcx_file_open("/dev/null", "r"));
  DEMAND(getc(gcx_file_stream(f)) == EOF);
  gcx_dispose(f);
  HAVE(d, gcx_dir_open("/"));
  DEMAND(gcx_dir_next(d) != NULL);
  gcx_dispose(d);
  HAVE(m, gcx_map_file("/proc/self/exe", false));
  DEMAND(memcmp(gcx_map_start(m), "\177ELF", 4) == 0);
  gcx_dispose(m);
}

/* The ledger does without what it has no memory for. */
static void descriptors(void)
{
  int fd = gcx_redirect_open("/dev/null", O_RDONLY), pair[2], copy;

  DEMAND(fd >= 0);
  copy = gcx_redirect_dup(fd);
  DEMAND(copy >= 0 && gcx_redirect_close(fd) == 0);
  DEMAND(gcx_redirect_close(copy) == 0);
  DEMAND(gcx_redirect_pipe(pair) == 0);
  DEMAND(gcx_redirect_close(pair[0]) == 0 && gcx_redirect_close(pair[1]) == 0);
}

static void streams(void)
{
  FILE *f;
  DIR *d;

  HAVE(f, gcx_redirect_fopen("/dev/null", "r"));
  DEMAND(getc(f) == EOF);
  gcx_collect();
  DEMAND(gcx_redirect_fclose(f) == 0);
  HAVE(d, gcx_redirect_opendir("/"));
  DEMAND(readdir(d) != NULL);
  DEMAND(gcx_redirect_closedir(d) == 0);
}

static void blocks(void)
{
  unsigned char *p, *moved;
  char *text;

  HAVE(p, gcx_redirect_malloc(100));
  memset(p, 0x41, 100);
  moved = gcx_redirect_realloc(p, 100000);
  if (is_null(moved))
    moved = p;
  DEMAND(is_all(moved, 100, 0x41));
  gcx_redirect_free(moved);
  HAVE(text, gcx_redirect_strdup("a text"));
  DEMAND(strcmp(text, "a text") == 0);
  gcx_redirect_free(text);
}

static void pressure(void)
{
  void *p;

  HAVE(p, gcx_alloc(16));
  if (failed(gcx_pressure_attach(p, 1000)))
    DEMAND(gcx_pressure_attach(p, 1000) == 0);
  gcx_dispose(p);
  gcx_pressure_add(1000);
  gcx_pressure_remove(1000);
}

/* ---- insight */

static void censuses(void)
{
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  struct gcx_census *before, *after, *grown;
  void *p;

  DEMAND(null >= 0);
  HAVE(before, gcx_census_take());
  HAVE(p, gcx_alloc(500));
  HAVE(after, gcx_census_take());
  HAVE(grown, gcx_census_diff(before, after));
  DEMAND(gcx_census_rows(grown) >= 1);
  for (int format = GCX_CENSUS_TEXT; format <= GCX_CENSUS_FOLDED; format++)
    if (failed(gcx_census_print(after, null, format)))
      DEMAND(gcx_census_print(after, null, format) == 0);
  gcx_dispose(p);
  gcx_dispose(grown);
  gcx_dispose(after);
  gcx_dispose(before);
  (void)close(null);
}

static void scopes(void)
{
  for (unsigned flags = 0; flags <= GCX_TESTING_ANY_THREAD; flags++) {
    struct gcx_testing scope;
    void *p;

    if (failed(gcx_testing_begin(&scope, flags))) {
      DEMAND(gcx_testing_end(&scope, -1) == 0); /* not open */
      DEMAND(gcx_testing_begin(&scope, flags) == 0);
    }
    HAVE(p, gcx_alloc(16));
    DEMAND(gcx_testing_end(&scope, -1) == 1);
    gcx_dispose(p);
  }
}

static void latency(void)
{
  if (!failed(gcx_no_gc_begin(1u << 20)))
    DEMAND(gcx_no_gc_end() == 0);
  DEMAND(gcx_no_gc_end() == -EINVAL); /* none is open, after a failure too */
  gcx_collect_and_unmap();
  gcx_breadcrumb("step %d", 1);
}

static void annotations(void)
{
  static char region[4096];

  gcx_region_begin(region, sizeof region);
  gcx_block_taken(region + 64, 64);
  gcx_block_taken(region + 256, 64);
  gcx_block_returned(region + 64);
  gcx_block_ignore(region + 256);
  gcx_region_end(region);
}

static void on_report(const struct gcx_report *r, void *arg)
{
  (void)r;
  (void)arg;
}

static void handlers_and_checks(void)
{
  if (failed(gcx_handler_add(on_report, NULL)))
    DEMAND(gcx_handler_add(on_report, NULL) == 0);
  gcx_handler_remove(on_report, NULL);
  DEMAND(gcx_check() == 0);
  DEMAND(gcx_verdict() != GCX_ABANDONED);
  gcx_init();
}

/* ---- the sweep */

static const struct {
  const char *name;
  void (*run)(void);
} parts[] = {
  { "references", references },
  { "tables", tables },
  { "dependents and holds", dependents_and_holds },
  { "finalizers", finalizers },
  { "handles", handles },
  { "pools", pools },
  { "files", files },
  { "descriptors", descriptors },
  { "streams", streams },
  { "blocks", blocks },
  { "pressure", pressure },
  { "censuses", censuses },
  { "scopes", scopes },
  { "latency", latency },
  { "annotations", annotations },
  { "handlers and checks", handlers_and_checks },
};
#define PARTS ((int)GCX_ARRAY_LENGTH(parts))
#define CALLS_MAX 150

static size_t open_descriptors(void)
{
  struct stat s;
  size_t n = 0;

  for (int fd = 0; fd < 256; fd++)
    n += fstat(fd, &s) == 0;
  return n;
}

struct sweep {
  int part;
  uint64_t at;
};

static void run_part(int part)
{
  failures = 0;
  made = ended = finalized = 0;
  parts[part].run();
}

static void fail_at(void *arg)
{
  const struct sweep *s = arg;
  size_t descriptors_before = open_descriptors();

  gcx__vm_fail_at_any(s->at);
  run_part(s->part);
  gcx__vm_fail_at_any(0);
  run_part(s->part);
  DEMAND(failures == 0);
  DEMAND(open_descriptors() == descriptors_before);
  gcx_collect(); /* nothing was lost: leak=abort */
  DEMAND(gcx_wait_for_finalizers(UINT64_MAX));
}

static void count_calls(void *arg)
{
  const struct sweep *s = arg;
  uint64_t calls = gcx__vm_calls();

  run_part(s->part);
  calls = gcx__vm_calls() - calls;
  DEMAND(failures == 0);
  _exit(calls <= CALLS_MAX ? (int)calls : 255);
}

START_TEST(test_each_allocation_fails_once)
  {
    struct sweep s = { _i, 0 };
    uint64_t calls;
    const struct death *d;

    objects_setup(GCX_LEAK_ABORT);
    d = death_run(count_calls, &s);
    ck_assert_msg(WIFEXITED(d->status), "%s: 0x%x\n%s", parts[_i].name,
                  (unsigned)d->status, d->err);
    calls = (uint64_t)WEXITSTATUS(d->status);
    ck_assert_msg(calls <= CALLS_MAX, "%s: more than %d", parts[_i].name,
                  CALLS_MAX);
    for (s.at = 1; s.at <= calls + 2; s.at++) {
      d = death_run(fail_at, &s);
      ck_assert_msg(WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0,
                    "%s, allocation %u of %u: status 0x%x\n%s", parts[_i].name,
                    (unsigned)s.at, (unsigned)calls, (unsigned)d->status,
                    d->err);
    }
  }
END_TEST

/* ---- stops */

#define NODES 20000 /* more than the queue that is left then */
#define LOST 100

struct node {
  struct node *next;
  size_t index;
};

static void *chain_keys[3];

/* Values that only a table holds: a long chain, and a wide object. */
static GCX_NOINLINE struct gcx_table *chains(void)
{
  struct gcx_table *t = gcx_table_create(GCX_TABLE_BORROWS);
  struct node *first = NULL;
  struct node **wide = gcx_alloc_managed(NODES * sizeof *wide);

  for (size_t i = 0; i < NODES; i++) {
    struct node *n = gcx_alloc_managed(sizeof *n);

    n->index = i;
    n->next = first;
    first = n;
    wide[i] = gcx_alloc_managed(sizeof **wide);
    wide[i]->index = i;
  }
  for (int i = 0; i < 3; i++)
    chain_keys[i] = gcx_alloc_managed(16);
  DEMAND(gcx_table_add(t, chain_keys[0], first) == 0);
  DEMAND(gcx_table_add(t, chain_keys[1], wide) == 0);
  DEMAND(gcx_table_add(t, chain_keys[2], gcx_alloc_managed(16)) == 0);
  return t;
}

static void demand_chains(struct gcx_table *t)
{
  struct node *n = gcx_table_get(t, chain_keys[0]);
  struct node **wide = gcx_table_get(t, chain_keys[1]);

  for (size_t i = NODES; i-- > 0; n = n->next)
    DEMAND(n->index == i && wide[i]->index == i);
  DEMAND(n == NULL && gcx_table_get(t, chain_keys[2]) != NULL);
}

static GCX_NOINLINE void lose(void)
{
  for (int i = 0; i < LOST; i++)
    DEMAND(gcx_alloc(48) != NULL);
}

/* Whatever was freed is used again. */
static void reuse(void)
{
  for (int i = 0; i < NODES; i++)
    memset(gcx_alloc_managed(sizeof(struct node)), 0x55, sizeof(struct node));
}

static void collects_without(void *arg)
{
  struct gcx_table *t = chains();
  size_t found = 0;

  lose();
  gcx__vm_fail_at_any(*(const uint64_t *)arg);
  gcx_collect();
  gcx__vm_fail_at_any(0);
  reuse();
  demand_chains(t);
  for (int i = 0; i < 3; i++)
    found += gcx_check();
  DEMAND(found >= LOST * 9 / 10); /* put off at the most */
  demand_chains(t);
  gcx_dispose(t);
}

START_TEST(test_stop_without_memory)
  {
    objects_setup(GCX_LEAK_REPORT);
    gcx__opt.exit_check = GCX_EXIT_OFF;
    for (uint64_t n = 1; n <= 12; n++) {
      const struct death *d = death_run(collects_without, &n);

      ck_assert_msg(WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0,
                    "allocation %u: status 0x%x\n%s", (unsigned)n,
                    (unsigned)d->status, d->err);
    }
  }
END_TEST

/* ---- a heap that is full */

static void *new_weak(void)
{
  return gcx_weak_create(NULL, GCX_WEAK_SHORT);
}

static void *new_table(void)
{
  return gcx_table_create(0);
}

static void *new_dependent(void)
{
  return gcx_dependent_create(NULL, NULL);
}

static void *new_hold(void)
{
  static void *held;

  if (held == NULL)
    held = gcx_alloc_managed(16);
  return held != NULL ? gcx_hold_create(held) : NULL;
}

static void *new_handle(void)
{
  static const struct gcx_handle_type kind = { .name = "seven",
                                               .release = release };

  return gcx_handle_create(&kind, 7, true);
}

static void *new_collector(void)
{
  return gcx_handle_collector_create("few", 10, 20);
}

static void *new_pool(void)
{
  return gcx_pool_create(NULL);
}

static void *new_census(void)
{
  return gcx_census_take();
}

static void *new_descriptor(void)
{
  return gcx_fd_open("/dev/null", O_RDONLY, 0);
}

static void *new_file(void)
{
  return gcx_file_open("/dev/null", "r");
}

static void *new_directory(void)
{
  return gcx_dir_open("/");
}

static void *new_map(void)
{
  return gcx_map_file("/proc/self/exe", false);
}

static void *(*const makers[])(void) = {
  new_weak, new_table,  new_dependent,  new_hold, new_handle,    new_collector,
  new_pool, new_census, new_descriptor, new_file, new_directory, new_map,
};
#define MAKERS ((int)GCX_ARRAY_LENGTH(makers))
#define MADE_MAX 100000

static void *filled[4096], *things[MADE_MAX];

static size_t fill_heap(void)
{
  size_t n = 0;

  for (size_t bytes = 100000; bytes >= 16; bytes /= 4)
    while (n < GCX_ARRAY_LENGTH(filled) &&
           (filled[n] = gcx_alloc_managed(bytes)) != NULL)
      n++;
  DEMAND(n < GCX_ARRAY_LENGTH(filled));
  return n;
}

/* Has gcx's own thread begun? bdwgc ends the process if it has no memory to register
 * one. */
static bool gcx_has_thread(void)
{
  struct gcx__thread *t = gcx__thread_first();

  while (t != NULL && !__atomic_load_n(&t->is_gcx, __ATOMIC_ACQUIRE))
    t = gcx__thread_next(t);
  return t != NULL;
}

/* Until there is none; then those that are there are whole, and there is room. */
static void exhaust(void *arg)
{
  void *(*make)(void) = makers[*(int *)arg];
  size_t descriptors_before, n = 0;
  struct rlimit few = { 128, 128 };

  (void)setrlimit(RLIMIT_NOFILE, &few);
  gcx_dispose(make()); /* what is made once, is made */
  gcx_dispose(gcx_alloc(16));
  while (!gcx_has_thread())
    (void)sched_yield();
  descriptors_before = open_descriptors();
  GC_set_max_heap_size(GC_get_heap_size());
  (void)fill_heap();
  while (n < MADE_MAX && (things[n] = make()) != NULL)
    n++;
  DEMAND(n < MADE_MAX && (errno == ENOMEM || errno == EMFILE));
  for (size_t i = 0; i < n; i++)
    DEMAND(!gcx_is_disposed(things[i]));
  while (n > 0)
    gcx_dispose(things[--n]);
  DEMAND(open_descriptors() == descriptors_before);
  memset(filled, 0, sizeof filled);
  memset(things, 0, sizeof things);
  gcx_collect();
  things[0] = make();
  DEMAND(things[0] != NULL);
  gcx_dispose(things[0]);
}

START_TEST(test_full_heap)
  {
    objects_setup(GCX_LEAK_ABORT);
    objects_be_quiet();
    (void)death_demand_exit(exhaust, &_i, 0);
  }
END_TEST

static Suite *oom_things_suite(void)
{
  Suite *s = suite_create("oom_things");
  TCase *c = tcase_create("oom_things");

  tcase_add_loop_test(c, test_each_allocation_fails_once, 0, PARTS);
  tcase_add_test(c, test_stop_without_memory);
  tcase_add_loop_test(c, test_full_heap, 0, MAKERS);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(oom_things_suite);
