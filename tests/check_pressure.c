/* SPDX-License-Identifier: MIT */
/* check_pressure.c - memory and handles that the collector does not see; stats */
#include "objects.h"

#include <fcntl.h>
#include <sched.h>

#include "aux.h"
#include "bdw.h"
#include "platform.h"
#include "pressure.h"
#include "redirect.h"
#include "vm.h"
#include "waits.h"

#define MIB ((size_t)1 << 20)

static void setup(void)
{
  objects_setup(GCX_LEAK_DISPOSE);
}

static uint64_t pressure_now(void)
{
  struct gcx_stats s;

  gcx_stats_read(&s);
  return s.pressure_bytes;
}

static uint64_t induced_now(void)
{
  struct gcx_stats s;

  gcx_stats_read(&s);
  return s.induced;
}

/* ---- the sum */

START_TEST(test_free_standing)
  {
    gcx_pressure_add(1000);
    gcx_pressure_add(234);
    ck_assert_uint_eq(pressure_now(), 1234);
    gcx_pressure_remove(1000);
    ck_assert_uint_eq(pressure_now(), 234);
    gcx_pressure_remove(1000); /* more than there is */
    ck_assert_uint_eq(pressure_now(), 0);
    gcx_pressure_add(SIZE_MAX);
    gcx_pressure_add(SIZE_MAX);
    ck_assert_uint_eq(pressure_now(), SIZE_MAX);
    gcx_pressure_remove(SIZE_MAX);
    gcx_pressure_add(0);
    ck_assert_uint_eq(pressure_now(), 0);
  }
END_TEST

START_TEST(test_attached)
  {
    void *p = gcx_alloc(10), *q = gcx_alloc(10);

    ck_assert_int_eq(gcx_pressure_attach(p, 5000), 0);
    ck_assert_int_eq(gcx_pressure_attach(q, 300), 0);
    ck_assert_uint_eq(pressure_now(), 5300);
    ck_assert_int_eq(gcx_pressure_attach(p, 700), 0); /* in its place */
    ck_assert_uint_eq(pressure_now(), 1000);
    gcx_pressure_add(1);
    gcx_dispose(p);
    ck_assert_uint_eq(pressure_now(), 301);
    ck_assert_int_eq(gcx_pressure_attach(q, 0), 0);
    ck_assert_uint_eq(pressure_now(), 1);
    ck_assert_int_eq(gcx_pressure_attach(p, 1), -EINVAL);
    ck_assert_int_eq(gcx_pressure_attach(NULL, 1), -EINVAL);
    gcx_dispose(q);
    gcx_dispose(q);
    gcx_pressure_remove(1);
    ck_assert_uint_eq(pressure_now(), 0);
  }
END_TEST

/* It follows an object that moves, and an owned one ends with its owner. */
START_TEST(test_attached_follows)
  {
    char *p = gcx_alloc(10), *q = gcx_alloc(10);

    ck_assert_int_eq(gcx_pressure_attach(p, 100), 0);
    p = gcx_realloc(p, 100000);
    ck_assert_uint_eq(pressure_now(), 100);
    ck_assert_int_eq(gcx_own(q, p), 0);
    gcx_dispose(q);
    ck_assert_uint_eq(pressure_now(), 0);
  }
END_TEST

static GCX_NOINLINE void lose(bool managed)
{
  for (int i = 0; i < 100; i++) {
    void *p = managed ? gcx_alloc_managed(40) : gcx_alloc(40);

    ck_assert_int_eq(gcx_pressure_attach(p, 1000), 0);
  }
}

/* The collector takes it back: of objects without a duty in the stop, of others
 * with their disposal. */
START_TEST(test_attached_to_what_is_lost)
  {
    lose(_i == 1);
    ck_assert_uint_eq(pressure_now(), 100000);
    (void)objects_found();
    ck_assert_uint_le(pressure_now(), 10000);
  }
END_TEST

START_TEST(test_no_memory)
  {
    void *p = gcx_alloc(10);

    if (gcx__aux_count() != 0)
      return;
    gcx__vm_fail_here(true);
    ck_assert_int_eq(gcx_pressure_attach(p, 100), -ENOMEM);
    gcx__vm_fail_here(false);
    ck_assert_uint_eq(pressure_now(), 0);
    gcx_dispose(p);
  }
END_TEST

/* ---- collections */

START_TEST(test_little_pressure_does_nothing)
  {
    uint64_t before = gcx__bdw_collections();

    for (int i = 0; i < 1000; i++) {
      gcx_pressure_add(4000);
      gcx_pressure_remove(4000);
    }
    ck_assert_uint_eq(induced_now(), 0);
    ck_assert_uint_eq(gcx__bdw_collections(), before);
  }
END_TEST

START_TEST(test_much_pressure_collects)
  {
    for (int i = 0; i < 100 && induced_now() == 0; i++)
      gcx_pressure_add(MIB);
    ck_assert_uint_eq(induced_now(), 1);
    gcx_pressure_remove(100 * MIB);
  }
END_TEST

/* A collection for every addition would be all there is; what comes before the
 * latest took at most a fifth of the time since the first. */
START_TEST(test_share_of_the_time)
  {
    struct gcx__pressure_stats s;
    uint64_t begin = gcx__now_ns(), ns;

    do {
      gcx_pressure_add(100 * MIB);
      gcx_pressure_remove(100 * MIB);
      gcx__pressure_read(&s);
    } while (s.collections < 5);
    ns = gcx__now_ns() - begin;
    ck_assert_uint_le((s.ns - s.last_ns) * 5, ns);
  }
END_TEST

static int released;

static int image_dispose(void *obj)
{
  (void)obj;
  released++;
  return 0;
}

static const struct gcx_type image_type =
    GCX_TYPE_INIT("image", 16, 0, NULL, image_dispose, NULL, NULL);

static GCX_NOINLINE void lose_images(int n)
{
  for (int i = 0; i < n; i++) {
    void *p = gcx_new(&image_type);

    ck_assert_int_eq(gcx_pressure_attach(p, MIB), 0);
  }
}

/* Four collections, between them @n objects with a MiB each. */
static size_t budget_after(int n, bool disposes)
{
  struct gcx__pressure_stats s;
  void *p;

  for (int i = 0; i < 4; i++) {
    for (int k = 0; k < n; k++) {
      p = gcx_alloc_managed(32);
      ck_assert_int_eq(gcx_pressure_attach(p, MIB), 0);
      if (disposes)
        gcx_dispose(p);
      else
        ck_assert_ptr_nonnull(gcx_hold_create(p));
    }
    gcx_collect();
  }
  gcx__pressure_read(&s);
  return s.budget;
}

/* Collections that help do not become rarer, whether somebody takes the pressure
 * back or the object's end does. */
START_TEST(test_budget_adapts)
  {
    ck_assert_uint_eq(budget_after(2, true), 4 * MIB);
    ck_assert_uint_eq(budget_after(2, false), 40 * MIB);
    ck_assert_uint_eq(budget_after(2, true), 4 * MIB);
  }
END_TEST

static int enough;

static void *presses(void *arg)
{
  (void)arg;
  while (!flag_is_up(&enough)) {
    gcx_pressure_add(100 * MIB);
    gcx_pressure_remove(100 * MIB);
  }
  return NULL;
}

static void presses_alone(void *arg)
{
  uint64_t before = induced_now();

  (void)arg;
  while (induced_now() == before) {
    gcx_pressure_add(100 * MIB);
    gcx_pressure_remove(100 * MIB);
  }
}

/* The thread that collected is not in the child. */
START_TEST(test_child_of_a_collecting_parent)
  {
    pthread_t thread = thread_start(presses, NULL);

    while (induced_now() == 0)
      (void)sched_yield();
    for (int i = 0; i < 20; i++)
      death_demand_exit(presses_alone, NULL, 0);
    flag_raise(&enough);
    (void)thread_join(thread);
  }
END_TEST

/* What is lost is found because of what hangs on it. */
START_TEST(test_lost_images_are_found)
  {
    lose_images(400);
    ck_assert(gcx_wait_for_finalizers(60000));
    ck_assert_uint_ge(induced_now(), 1);
    ck_assert_int_gt(released, 0);
  }
END_TEST

START_TEST(test_not_in_a_region)
  {
    ck_assert_int_eq(gcx_no_gc_begin(MIB), 0);
    for (int i = 0; i < 100; i++)
      gcx_pressure_add(MIB);
    ck_assert_uint_eq(induced_now(), 0);
    ck_assert_int_eq(gcx_no_gc_end(), 0);
    gcx_pressure_add(100 * MIB);
    ck_assert_uint_eq(induced_now(), 1);
  }
END_TEST

static void *press(void *arg)
{
  for (int i = 0; i < 20000; i++) {
    gcx_pressure_add(100000);
    gcx_pressure_remove(100000);
  }
  return arg;
}

START_TEST(test_threads)
  {
    pthread_t id[4];

    for (int i = 0; i < 4; i++)
      id[i] = thread_start(press, NULL);
    for (int i = 0; i < 4; i++)
      (void)thread_join(id[i]);
    ck_assert_uint_eq(pressure_now(), 0);
  }
END_TEST

/* ---- handle collectors */

START_TEST(test_handle_collector_arguments)
  {
    struct gcx_handle_collector *c;

    errno = 0;
    ck_assert_ptr_null(gcx_handle_collector_create("x", 2, 1));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(gcx_handle_collector_add(NULL), -EINVAL);
    ck_assert_int_eq(gcx_handle_collector_remove(NULL), -EINVAL);
    ck_assert_uint_eq(gcx_handle_collector_count(NULL), 0);
    c = gcx_handle_collector_create(NULL, 0, 0);
    ck_assert_int_eq(gcx_handle_collector_remove(c), -EINVAL);
    ck_assert_int_eq(gcx_handle_collector_add(c), 0);
    ck_assert_uint_eq(gcx_handle_collector_count(c), 1);
    ck_assert_int_eq(gcx_handle_collector_remove(c), 0);
    gcx_dispose(c);
    ck_assert_int_eq(gcx_handle_collector_add(c), -EINVAL);
  }
END_TEST

START_TEST(test_handle_collector_threshold)
  {
    struct gcx_handle_collector *c =
        gcx_handle_collector_create("handles", 100, 1000);

    for (int i = 0; i < 100; i++)
      ck_assert_int_eq(gcx_handle_collector_add(c), 0);
    ck_assert_uint_eq(induced_now(), 0);
    ck_assert_int_eq(gcx_handle_collector_add(c), 0);
    ck_assert_uint_eq(induced_now(), 1);
    for (int i = 0; i < 10; i++) /* a tenth more is allowed now */
      ck_assert_int_eq(gcx_handle_collector_add(c), 0);
    ck_assert_uint_eq(induced_now(), 1);
    ck_assert_uint_eq(gcx_handle_collector_count(c), 111);
  }
END_TEST

static struct gcx_handle_collector *licences;

static int licence_dispose(void *obj)
{
  (void)obj;
  return gcx_handle_collector_remove(licences);
}

static const struct gcx_type licence_type =
    GCX_TYPE_INIT("licence", 16, 0, NULL, licence_dispose, NULL, NULL);

static GCX_NOINLINE void lose_licence(void)
{
  ck_assert_int_eq(gcx_handle_collector_add(licences), 0);
  GCX_KEEP(gcx_new(&licence_type));
}

START_TEST(test_licences_come_back)
  {
    licences = gcx_handle_collector_create("licences", 50, 50);
    for (int i = 0; i < 60; i++)
      lose_licence();
    ck_assert(gcx_wait_for_finalizers(60000));
    ck_assert_uint_ge(induced_now(), 1);
    ck_assert_uint_lt(gcx_handle_collector_count(licences), 50);
  }
END_TEST

/* ---- stats */

START_TEST(test_stats)
  {
    struct gcx_stats before, after;
    struct gcx_type_stats t;
    void *live = gcx_new(&image_type), *other = gcx_alloc(100);

    gcx_stats_read(&before);
    gcx_collect();
    gcx_stats_read(&after);
    ck_assert_uint_gt(after.collections, before.collections);
    ck_assert_uint_gt(after.pauses, before.pauses);
    ck_assert_uint_ge(after.pause_total_ns, before.pause_total_ns);
    ck_assert_uint_ge(after.pause_max_ns, after.pause_last_ns);
    ck_assert_uint_gt(after.pause_last_ns, 0);
    ck_assert_uint_eq(after.objects_live, 2);
    ck_assert_uint_eq(after.bytes_live, 116);
    ck_assert_uint_ge(after.heap_bytes, after.heap_free_bytes);
    ck_assert_uint_gt(after.heap_bytes, 0);
    ck_assert_uint_gt(after.private_bytes, 0);
    gcx_dispose(other);
    gcx_stats_read(&after);
    ck_assert_uint_eq(after.objects_live, 1);
    ck_assert_uint_eq(after.objects_ended, before.objects_ended + 1);
    gcx_stats_read_type(&image_type, &t);
    ck_assert_uint_eq(t.live, 1);
    ck_assert_uint_eq(t.live_bytes, 16);
    ck_assert_uint_eq(t.disposed, 0);
    gcx_dispose(live);
    gcx_dispose(live);
    gcx_stats_read_type(&image_type, &t);
    ck_assert_uint_eq(t.live, 0);
    ck_assert_uint_eq(t.disposed, 1);
    gcx_stats_read_type(&licence_type, &t); /* never used */
    ck_assert_uint_eq(t.live + t.disposed + t.abandoned, 0);
    gcx_stats_read_type(NULL, &t); /* the other one */
    ck_assert_uint_eq(t.live, 0);
    ck_assert_uint_eq(t.disposed, 1);
    ck_assert_uint_eq(t.abandoned, 0);
  }
END_TEST

/* By each way to end it, on threads that are gone as well. */
static void *ends_plain_memory(void *arg)
{
  for (int i = 0; i < 50; i++) {
    void *p = gcx_alloc(40);

    if (i % 3 == 0)
      gcx_dispose(p);
    else if (i % 3 == 1)
      ck_assert_int_eq(gcx_close(p), 0);
    else
      gcx_discard(p);
    gcx_dispose(p);
  }
  return arg;
}

START_TEST(test_stats_of_plain_memory)
  {
    struct gcx_type_stats t;
    void *live = gcx_alloc(100);

    for (int i = 0; i < 3; i++)
      (void)thread_join(thread_start(ends_plain_memory, NULL));
    (void)ends_plain_memory(NULL);
    gcx_stats_read_type(NULL, &t);
    ck_assert_uint_eq(t.live, 1);
    ck_assert_uint_eq(t.live_bytes, 100);
    ck_assert_uint_eq(t.disposed, 200);
    ck_assert_uint_eq(t.abandoned, 0);
    gcx_dispose(live);
  }
END_TEST

static GCX_NOINLINE void lose_plain_memory(int n)
{
  for (int i = 0; i < n; i++)
    if (gcx_alloc(40) == NULL)
      ck_abort();
}

START_TEST(test_stats_of_lost_plain_memory)
  {
    struct gcx_type_stats t;
    struct gcx_stats s;

    lose_plain_memory(100);
    (void)objects_found();
    gcx_stats_read_type(NULL, &t);
    gcx_stats_read(&s);
    ck_assert_uint_ge(t.abandoned, 90);
    ck_assert_uint_eq(t.disposed, t.abandoned);
    ck_assert_uint_eq(s.abandoned, t.abandoned);
    ck_assert_uint_eq(t.live, 100 - t.abandoned);
  }
END_TEST

/* ---- each type */

struct visited {
  size_t types;
  uint64_t live;
  uint64_t ended;
  struct gcx_type_stats image, plain, block, fd;
};

static void note_type(const char *name, const struct gcx_type_stats *s,
                      void *arg)
{
  struct visited *v = arg;

  v->types++;
  v->live += s->live;
  v->ended += s->disposed;
  if (strcmp(name, image_type.name) == 0)
    v->image = *s;
  else if (strcmp(name, "plain memory") == 0)
    v->plain = *s;
  else if (strcmp(name, "malloc block") == 0)
    v->block = *s;
  else if (strcmp(name, "fd") == 0)
    v->fd = *s;
}

START_TEST(test_stats_of_each_type)
  {
    struct gcx_handle *h = gcx_fd_open("/dev/null", O_RDONLY, 0);
    void *image = gcx_new(&image_type), *plain = gcx_alloc(10),
         *block = gcx_redirect_malloc(20);
    struct visited v = { 0 }, w = { 0 };
    struct gcx_stats s;

    for (int i = 0; i < 5; i++)
      gcx_redirect_free(opaque(gcx_redirect_malloc(30)));
    ck_assert_int_eq(gcx_stats_visit_types(note_type, &v), 0);
    gcx_stats_read(&s);
    ck_assert_uint_eq(v.types, 4);
    ck_assert_uint_eq(v.live, s.objects_live);
    ck_assert_uint_eq(v.live, 4);
    ck_assert_uint_eq(v.image.live_bytes, 16);
    ck_assert_uint_eq(v.plain.live_bytes, 10);
    ck_assert_uint_eq(v.block.live_bytes, 20);
    ck_assert_uint_eq(v.block.disposed, 5);
    ck_assert_uint_eq(v.fd.live, 1);
    gcx_dispose(h);
    gcx_dispose(image);
    gcx_dispose(plain);
    gcx_redirect_free(block);
    ck_assert_int_eq(gcx_stats_visit_types(note_type, &w), 0);
    ck_assert_uint_eq(w.types, 4);
    ck_assert_uint_eq(w.live, 0);
    ck_assert_uint_eq(w.ended, 9);
    ck_assert_uint_eq(w.block.disposed, 6);
    ck_assert_uint_eq(w.fd.disposed, 1);
  }
END_TEST

static GCX_NOINLINE void lose_plainly(int n)
{
  for (int i = 0; i < n; i++)
    GCX_KEEP(gcx_new(&image_type));
}

START_TEST(test_stats_of_what_is_lost)
  {
    struct gcx_type_stats t;
    struct gcx_stats s;

    lose_plainly(100);
    (void)objects_found();
    gcx_stats_read_type(&image_type, &t);
    gcx_stats_read(&s);
    ck_assert_uint_ge(t.abandoned, 90);
    ck_assert_uint_eq(t.disposed, t.abandoned);
    ck_assert_uint_eq(s.abandoned, t.abandoned);
    ck_assert_uint_eq((uint64_t)released, t.disposed);
  }
END_TEST

static Suite *pressure_suite(void)
{
  Suite *s = suite_create("pressure");
  TCase *t = tcase_create("pressure");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_free_standing);
  tcase_add_test(t, test_attached);
  tcase_add_test(t, test_attached_follows);
  tcase_add_loop_test(t, test_attached_to_what_is_lost, 0, 2);
  tcase_add_test(t, test_no_memory);
  tcase_add_test(t, test_little_pressure_does_nothing);
  tcase_add_test(t, test_much_pressure_collects);
  tcase_add_test(t, test_share_of_the_time);
  tcase_add_test(t, test_budget_adapts);
  tcase_add_test(t, test_child_of_a_collecting_parent);
  tcase_add_test(t, test_lost_images_are_found);
  tcase_add_test(t, test_not_in_a_region);
  tcase_add_test(t, test_threads);
  tcase_add_test(t, test_handle_collector_arguments);
  tcase_add_test(t, test_handle_collector_threshold);
  tcase_add_test(t, test_licences_come_back);
  tcase_add_test(t, test_stats);
  tcase_add_test(t, test_stats_of_plain_memory);
  tcase_add_test(t, test_stats_of_lost_plain_memory);
  tcase_add_test(t, test_stats_of_each_type);
  tcase_add_test(t, test_stats_of_what_is_lost);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(pressure_suite);
