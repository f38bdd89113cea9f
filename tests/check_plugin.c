/* SPDX-License-Identifier: MIT */
/* check_plugin.c - types and threads that a library brings, loaded and unloaded */
#include "objects.h"

#include <dlfcn.h>

#include "modules.h"
#include "plugin_types.h"
#include "threads_cxx.h"
#include "waits.h"

#define THREADS 4
#define LOST 500

static struct seen *seen;
static struct plugin_types plugin;
static void *handle;
static int disposals;
static size_t described;

static void note_description(const struct gcx_report *r, void *arg)
{
  (void)arg;
  if (r->id == GCX_REPORT_LEAK &&
      strcmp(r->description, "thing of a plugin") == 0 &&
      strcmp(r->type_name, "plugin thing") == 0)
    described += r->count;
}

static void plugin_path(char *ret_path, size_t bytes)
{
  const char *build = getenv("GCX_TEST_BUILDDIR");

  (void)snprintf(ret_path, bytes, "%s/tests/.libs/plugin_types.so",
                 build != NULL ? build : ".");
}

static void setup(void)
{
  char path[4096];
  const void *symbol;

  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  seen = seen_begin();
  ck_assert_int_eq(gcx_handler_add(note_description, NULL), 0);
  plugin_path(path, sizeof(path));
  handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(handle != NULL, "%s", dlerror());
  symbol = dlsym(handle, "plugin_types");
  ck_assert_ptr_nonnull(symbol);
  memcpy(&plugin, symbol, sizeof(plugin));
}

static int disposals_now(void)
{
  return __atomic_load_n(&disposals, __ATOMIC_RELAXED);
}

/* ---- the type outlives the library's use */

static bool is_loaded(void)
{
  char path[4096];
  void *again;

  plugin_path(path, sizeof(path));
  again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (again != NULL)
    (void)dlclose(again);
  return again != NULL;
}

START_TEST(test_unused_is_unloaded)
  {
    ck_assert(is_loaded());
    ck_assert_int_eq(dlclose(handle), 0);
    ck_assert(!is_loaded());
  }
END_TEST

/* Nothing has collected while it was there. */
START_TEST(test_unloaded_has_a_name)
  {
    uint32_t epoch = gcx__modules_epoch();
    const struct gcx__module *m;

    ck_assert_int_eq(dlclose(handle), 0);
    ck_assert_uint_eq(gcx__modules_epoch(), epoch + 1);
    m = gcx__modules_find((uintptr_t)plugin.make, epoch);
    ck_assert_ptr_nonnull(m);
    ck_assert_ptr_nonnull(strstr(m->path, "plugin_types.so"));
  }
END_TEST

START_TEST(test_dispose_after_dlclose)
  {
    void *p = plugin.make(&disposals);

    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(dlclose(handle), 0);
    ck_assert(is_loaded());
    gcx_dispose(p);
    gcx_dispose(p);
    ck_assert_int_eq(disposals_now(), 1);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static GCX_NOINLINE void lose(void)
{
  for (int i = 0; i < LOST; i++)
    ck_assert_ptr_nonnull(plugin.make(&disposals));
}

START_TEST(test_describe_after_dlclose)
  {
    size_t found;

    lose();
    ck_assert_int_eq(dlclose(handle), 0);
    found = objects_found();
    ck_assert_uint_ge(found, LOST * 9 / 10);
    ck_assert_uint_le(found, LOST);
    ck_assert_uint_ge(described, LOST * 9 / 10);
  }
END_TEST

/* ---- so does a kind of handle */

START_TEST(test_handle_after_dlclose)
  {
    struct gcx_handle *h = plugin.make_handle(&disposals);
    intptr_t raw = 0;

    ck_assert_ptr_nonnull(h);
    ck_assert_int_eq(dlclose(handle), 0);
    ck_assert(is_loaded());
    ck_assert(gcx_handle_acquire(h, &raw));
    ck_assert_ptr_eq((int *)raw, &disposals);
    gcx_dispose(h);
    ck_assert_int_eq(disposals_now(), 0);
    gcx_handle_release(h);
    ck_assert_int_eq(disposals_now(), 1);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static GCX_NOINLINE void lose_handles(void)
{
  for (int i = 0; i < LOST; i++)
    ck_assert_ptr_nonnull(plugin.make_handle(&disposals));
}

START_TEST(test_lost_handles_after_dlclose)
  {
    lose_handles();
    ck_assert_int_eq(dlclose(handle), 0);
    ck_assert_uint_ge(objects_found(), LOST * 9 / 10);
    ck_assert_str_eq(seen->last.type_name, "plugin counter");
    ck_assert_str_eq(seen->last.description, "counter at 0");
    ck_assert_int_eq(disposals_now(), 0);
  }
END_TEST

/* Under leak=dispose the plugin's release function is called. */
START_TEST(test_lost_handles_are_closed_after_dlclose)
  {
    objects_setup(GCX_LEAK_DISPOSE);
    lose_handles();
    ck_assert_int_eq(dlclose(handle), 0);
    (void)objects_found();
    ck_assert_int_ge(disposals_now(), LOST * 9 / 10);
    ck_assert_int_le(disposals_now(), LOST);
  }
END_TEST

/* ---- its threads */

/* Not for ever: who collects all the time may leave nobody else the lock. */
static void *collects(void *arg)
{
  for (int i = 0; i < 40; i++) {
    gcx_collect();
    (void)sched_yield();
  }
  return arg;
}

/* Held while two threads collect; then what the thread dropped was found, and no
 * object that it held was. */
static void demand_held_and_dropped(struct plugin_work *work)
{
  size_t found = 0, dropped = (size_t)THREADS * PLUGIN_DROPPED;
  pthread_t collectors[2];

  for (int i = 0; i < 2; i++)
    collectors[i] = thread_start(collects, NULL);
  for (int i = 0; i < THREADS; i++)
    flag_wait(&work[i].holding);
  for (int i = 0; i < 5; i++)
    found += objects_found();
  for (int i = 0; i < 2; i++)
    (void)thread_join(collectors[i]);
  ck_assert_uint_ge(found, dropped * 9 / 10);
  ck_assert_uint_le(found, dropped);
  for (int i = 0; i < THREADS; i++)
    flag_raise(&work[i].go_on);
}

static void demand_intact(const struct plugin_work *work)
{
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(work[i].intact, 2 * PLUGIN_HELD);
  ck_assert_int_eq(disposals_now(), THREADS * 2 * PLUGIN_HELD);
  (void)objects_found(); /* what was dropped, and not found before */
  ck_assert_uint_le(seen->direct + seen->indirect,
                    (size_t)THREADS * PLUGIN_DROPPED);
}

/* One start and one end of each kind. */
START_TEST(test_held_in_threads)
  {
    static struct plugin_work work[THREADS];
    pthread_t threads[THREADS - 1];
    thrd_t c11;

    for (int i = 0; i < THREADS; i++)
      work[i].disposals = &disposals;
    work[1].end = PLUGIN_EXITS;
    work[2].end = PLUGIN_IS_CANCELLED;
    for (int i = 0; i < THREADS - 1; i++)
      ck_assert_int_eq(plugin.start(&threads[i], &work[i]), 0);
    ck_assert_int_eq(plugin.start_c11(&c11, &work[THREADS - 1]), 0);
    demand_held_and_dropped(work);
    ck_assert_int_eq(pthread_cancel(threads[2]), 0);
    for (int i = 0; i < THREADS - 1; i++)
      ck_assert_ptr_eq(thread_join(threads[i]),
                       i == 2 ? PTHREAD_CANCELED : NULL);
    ck_assert_int_eq(thrd_join(c11, NULL), thrd_success);
    demand_intact(work);
  }
END_TEST

/* The thread is gone from the program's view when its destructors run. */
START_TEST(test_disposed_by_destructors)
  {
    static struct plugin_work work[THREADS];
    pthread_t threads[THREADS - 1];
    thrd_t c11;

    for (int i = 0; i < THREADS; i++)
      work[i].disposals = &disposals;
    work[1].end = PLUGIN_EXITS;
    work[2].end = PLUGIN_IS_CANCELLED;
    for (int i = 0; i < THREADS - 1; i++)
      ck_assert_int_eq(plugin.start_keyed(&threads[i], &work[i]), 0);
    ck_assert_int_eq(plugin.start_keyed_c11(&c11, &work[THREADS - 1]), 0);
    for (int i = 0; i < THREADS; i++)
      flag_wait(&work[i].holding);
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_int_eq(disposals_now(), 0);
    for (int i = 0; i < THREADS; i++)
      flag_raise(&work[i].go_on);
    ck_assert_int_eq(pthread_cancel(threads[2]), 0);
    for (int i = 0; i < THREADS - 1; i++)
      (void)thread_join(threads[i]);
    ck_assert_int_eq(thrd_join(c11, NULL), thrd_success);
    ck_assert_int_eq(disposals_now(), THREADS * PLUGIN_HELD);
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_uint_eq(seen->direct + seen->indirect, 0);
  }
END_TEST

/* ---- threads of C++ */

static void *make_for_cxx(void *arg)
{
  return plugin.make(arg);
}

static void drop_and_collect(void *arg)
{
  for (int i = 0; i < PLUGIN_DROPPED; i++)
    (void)plugin.make(arg);
  gcx_collect();
}

static void only_collect(void *arg)
{
  (void)arg;
  gcx_collect();
}

START_TEST(test_std_thread)
  {
    size_t found;

    threads_run(2 * THREADS, make_for_cxx, only_collect, &disposals);
    ck_assert_int_eq(disposals_now(), 2 * THREADS);
    ck_assert_uint_eq(objects_found(), 0);
    threads_run(THREADS, make_for_cxx, drop_and_collect, &disposals);
    ck_assert_int_eq(disposals_now(), 3 * THREADS);
    found = objects_found();
    ck_assert_uint_ge(found, THREADS * PLUGIN_DROPPED * 9 / 10);
    ck_assert_uint_le(found, THREADS * PLUGIN_DROPPED);
  }
END_TEST

static Suite *plugin_suite(void)
{
  Suite *s = suite_create("plugin");
  TCase *c = tcase_create("plugin");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_unused_is_unloaded);
  tcase_add_test(c, test_unloaded_has_a_name);
  tcase_add_test(c, test_dispose_after_dlclose);
  tcase_add_test(c, test_describe_after_dlclose);
  tcase_add_test(c, test_handle_after_dlclose);
  tcase_add_test(c, test_lost_handles_after_dlclose);
  tcase_add_test(c, test_lost_handles_are_closed_after_dlclose);
  tcase_add_test(c, test_held_in_threads);
  tcase_add_test(c, test_disposed_by_destructors);
  tcase_add_test(c, test_std_thread);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(plugin_suite);
