/* SPDX-License-Identifier: MIT */
/*
 * check_stress.c - everything at once, at random points
 *
 * Threads allocate, dispose, lose, resize, own, collect, come and go. Every live
 * object is held by a known root and carries a pattern that is verified: none
 * may ever be reported, reused or changed. What was lost on purpose is found at
 * the end. GCX_TEST_SEED repeats a run; GCX_TEST_SECONDS makes it longer.
 */
#include "objects.h"

#include <gc/gc.h>
#include <stdio.h>

#include "waits.h"

#define THREADS_MAX 16
#define HELD 256

struct load {
  unsigned threads;
  const char *markers; /* GC_MARKERS, before the collector starts */
  bool incremental;
  bool quarantine;
  bool births; /* threads come and go */
  enum gcx__roots roots;
};

static const struct load loads[] = {
  { 4, "1", false, true, false, GCX_ROOTS_ALL },
  { 4, "2", false, false, true, GCX_ROOTS_STRICT },
  { 4, "4", false, true, true, GCX_ROOTS_ALL },
  { 4, "2", true, true, true, GCX_ROOTS_STRICT },
  { 16, "2", false, true, true, GCX_ROOTS_ALL },
};
#define LOADS ((int)GCX_ARRAY_LENGTH(loads))

static const struct load *load;
static uint64_t seed;
static int stop;
#define LOST_MIN 101
static size_t lost_count;
static size_t wrong_count; /* live objects that were not as they should be */
static size_t false_count; /* live objects that were reported */

/* A live object, as a holder sees it: what is written all over it. */
struct slot {
  unsigned char *object;
  size_t bytes;
  unsigned char pattern;
};

struct worker {
  uint64_t random;
  struct slot slots[HELD];
};

static uint64_t next_random(struct worker *w)
{
  w->random ^= w->random << 13;
  w->random ^= w->random >> 7;
  w->random ^= w->random << 17;
  return w->random;
}

static size_t random_size(struct worker *w)
{
  uint64_t r = next_random(w);

  if (r % 1000 == 0)
    return (size_t)(r >> 20) % 100000;
  return (size_t)(r >> 20) % (r % 10 == 0 ? 3000 : 200);
}

static bool slot_is_whole(const struct slot *s)
{
  return gcx_size(s->object) == s->bytes && !gcx_is_disposed(s->object) &&
         is_all(s->object, s->bytes, s->pattern);
}

static void slot_verify(const struct slot *s)
{
  if (s->object != NULL && !slot_is_whole(s))
    __atomic_fetch_add(&wrong_count, 1, __ATOMIC_ACQ_REL);
}

static void slot_fill(struct worker *w, struct slot *s)
{
  s->bytes = random_size(w);
  s->pattern = (unsigned char)(next_random(w) | 1);
  s->object = next_random(w) % 3 == 0 ? gcx_alloc_atomic(s->bytes)
                                      : gcx_alloc(s->bytes);
  if (s->object == NULL || !is_zero(s->object, s->bytes))
    ck_abort_msg("not zeroed, or no memory");
  memset(s->object, s->pattern, s->bytes);
}

static void slot_end(struct slot *s)
{
  slot_verify(s);
  gcx_dispose(s->object);
  s->object = NULL;
}

static void slot_resize(struct worker *w, struct slot *s)
{
  size_t bytes = random_size(w), had = s->bytes;

  s->object = gcx_realloc(s->object, bytes);
  if (s->object == NULL ||
      !is_all(s->object, GCX_MIN(had, bytes), s->pattern) ||
      (bytes > had && !is_zero(s->object + had, bytes - had)))
    __atomic_fetch_add(&wrong_count, 1, __ATOMIC_ACQ_REL);
  s->bytes = bytes;
  memset(s->object, s->pattern, bytes);
}

static GCX_NOINLINE void lose_some(struct worker *w)
{
  unsigned n = 1 + (unsigned)(next_random(w) % 4);
  void **last = NULL;

  for (unsigned i = 0; i < n; i++) {
    void **p = gcx_alloc(64);

    p[1] = last;
    if (last == NULL && n > 2)
      p[2] = p; /* a cycle at the end */
    last = p;
  }
  __atomic_fetch_add(&lost_count, n, __ATOMIC_ACQ_REL);
}

static GCX_NOINLINE void own_some(void)
{
  void *owner = gcx_alloc(16);

  for (int i = 0; i < 3; i++)
    if (gcx_own(owner, memset(gcx_alloc(24), 0x7e, 24)) != 0)
      ck_abort();
  gcx_touch(owner, "owner");
  gcx_dispose(owner);
}

/* Reuse at once, on one thread. */
static GCX_NOINLINE void reuse_some(void)
{
  for (size_t i = 0; i < 20; i++) {
    unsigned char *p = gcx_alloc(i * 16);

    if (!is_zero(p, i * 16))
      __atomic_fetch_add(&wrong_count, 1, __ATOMIC_ACQ_REL);
    memset(p, 0xff, i * 16);
    gcx_dispose(p);
  }
}

static __thread struct slot in_tls[4];

static void *short_life(void *arg)
{
  struct worker *w = arg;

  for (size_t i = 0; i < 4; i++)
    slot_fill(w, &in_tls[i]);
  reuse_some();
  for (size_t i = 0; i < 4; i++)
    slot_end(&in_tls[i]);
  return NULL;
}

static void step(struct worker *w)
{
  struct slot *s = &w->slots[next_random(w) % HELD];
  uint64_t what = next_random(w) % 1000;

  if (what < 600) {
    if (s->object != NULL)
      slot_end(s);
    else
      slot_fill(w, s);
  } else if (what < 750) {
    slot_verify(s);
  } else if (what < 850) {
    if (s->object != NULL)
      slot_resize(w, s);
  } else if (what < 900) {
    lose_some(w);
  } else if (what < 950) {
    own_some();
  } else if (what < 990) {
    reuse_some();
  } else if (what < 994) {
    gcx_breadcrumb("step %d", (int)what);
    gcx_collect();
  } else if (load->births) {
    struct worker child = { .random = next_random(w) | 1 };

    (void)thread_join(thread_start(short_life, &child));
  }
}

static void *work(void *arg)
{
  struct worker *w = arg;

  while (!flag_is_up(&stop))
    step(w);
  for (size_t i = 0; i < HELD; i++)
    if (w->slots[i].object != NULL)
      slot_end(&w->slots[i]);
  return NULL;
}

/* On the finalizer thread: is it one of those that were lost on purpose? */
static void check_report(const struct gcx_report *r, void *arg)
{
  (void)arg;
  if (r->id != GCX_REPORT_LEAK || r->bytes != 64)
    __atomic_fetch_add(&false_count, 1, __ATOMIC_ACQ_REL);
}

static uint64_t duration_ns(void)
{
  const char *seconds = getenv("GCX_TEST_SECONDS");

  return (uint64_t)((seconds != NULL ? atof(seconds) : 3.0) * 1e9);
}

/* Workers lie in static data: a root in every mode. */
static struct worker workers[THREADS_MAX];

static void stress(void)
{
  pthread_t threads[THREADS_MAX];
  uint64_t end = gcx__now_ns() + duration_ns();

  ck_assert_int_eq(gcx_handler_add(check_report, NULL), 0);
  for (unsigned i = 0; i < load->threads; i++) {
    workers[i].random = seed * 0x9E3779B97F4A7C15u + i + 1;
    threads[i] = thread_start(work, &workers[i]);
  }
  /* on a busy machine the threads take longer to lose enough */
  while ((gcx__now_ns() < end ||
          __atomic_load_n(&lost_count, __ATOMIC_ACQUIRE) < LOST_MIN) &&
         wrong_count == 0 && false_count == 0)
    gcx_collect();
  flag_raise(&stop);
  for (unsigned i = 0; i < load->threads; i++)
    (void)thread_join(threads[i]);
}

/* ---- a process for each load: markers are started before main, and a forked
 * child has none. Inside it, Check does not fork. */

START_TEST(test_load)
  {
    const char *given = getenv("GCX_TEST_SEED");
    struct seen *seen;
    size_t found;

    load = &loads[atoi(getenv("GCX_STRESS_LOAD"))];
    seed = given != NULL ? strtoull(given, NULL, 10) : gcx__now_ns();
    (void)printf("GCX_TEST_SEED=%llu\n", (unsigned long long)seed);
    (void)fflush(stdout);
    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    gcx__opt.quarantine = load->quarantine;
    gcx__opt.roots = load->roots;
    if (load->incremental)
      GC_enable_incremental();
    seen = seen_begin();
    stress();
    (void)objects_found();
    found = seen->direct + seen->indirect;
    (void)printf("%zu of %zu lost ones found\n", found, lost_count);
    ck_assert_uint_eq(wrong_count, 0);
    ck_assert_uint_eq(false_count, 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
    ck_assert_uint_ge(lost_count, LOST_MIN);
    ck_assert_uint_le(found, lost_count);
    ck_assert_uint_ge(found, lost_count * 95 / 100);
    ck_assert_int_ne(gcx_verdict(), GCX_INDETERMINATE);
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
  (void)execl("/proc/self/exe", "check_stress", (char *)NULL);
  _exit(127);
}

START_TEST(test_stress)
  {
    const struct death *d = death_run(become_load, &_i);

    (void)printf("%s", d->out);
    (void)fflush(stdout);
    ck_assert_msg(WIFEXITED(d->status) && WEXITSTATUS(d->status) == 0,
                  "status 0x%x: %s\n%s", (unsigned)d->status, d->out, d->err);
  }
END_TEST

static Suite *stress_suite(void)
{
  Suite *s = suite_create("stress");
  TCase *c = tcase_create("stress");

  tcase_set_timeout(c, 600);
  if (getenv("GCX_STRESS_LOAD") != NULL)
    tcase_add_test(c, test_load);
  else
    tcase_add_loop_test(c, test_stress, 0, LOADS);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(stress_suite);
