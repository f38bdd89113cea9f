/* SPDX-License-Identifier: MIT */
/*
 * check_maps.c - mappings, resident pages, copies of what may be gone; and of
 *                memory.c, what is excluded
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_main.h"
#include "maps.h"
#include "platform.h"
#include "vm.h"
#include "words.h"

static char data[64] = "data";

struct wanted {
  uintptr_t address;
  uintptr_t last_high;
  struct gcx__mapping found;
  unsigned calls, hits;
};

static bool look(const struct gcx__mapping *m, void *arg)
{
  struct wanted *w = arg;

  ck_assert_uint_lt(m->low, m->high);
  ck_assert_uint_le(w->last_high, m->low);
  w->last_high = m->high;
  w->calls++;
  if (m->low <= w->address && w->address < m->high) {
    w->found = *m;
    w->hits++;
  }
  return true;
}

static struct gcx__mapping mapping_of(const void *p)
{
  struct wanted w = { .address = (uintptr_t)p };

  ck_assert(gcx__maps_walk(look, &w));
  ck_assert_uint_eq(w.hits, 1);
  ck_assert_uint_gt(w.calls, 5);
  return w.found;
}

START_TEST(test_kinds)
  {
    char local = 0;
    struct gcx__mapping m = mapping_of(&local);
    void *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *closed =
        mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *code = (const char *)(uintptr_t)mapping_of;

    ck_assert_str_eq(m.name, "[stack]");
    ck_assert(m.readable && m.writable && m.is_anonymous && !m.shared);
    m = mapping_of(data);
    ck_assert(m.readable && m.writable && !m.is_anonymous && m.name[0] == '/');
    m = mapping_of(code);
    ck_assert(m.readable && m.executable && !m.writable && !m.is_anonymous);
    m = mapping_of(shared);
    ck_assert(m.shared && m.writable && !m.is_anonymous);
    m = mapping_of(closed);
    ck_assert(!m.readable && !m.writable && m.is_anonymous && m.name[0] == 0);
  }
END_TEST

static bool stop_at_once(const struct gcx__mapping *m, void *arg)
{
  (void)m;
  ++*(unsigned *)arg;
  return false;
}

START_TEST(test_stops)
  {
    unsigned calls = 0;

    ck_assert(gcx__maps_walk(stop_at_once, &calls));
    ck_assert_uint_eq(calls, 1);
  }
END_TEST

/* More lines than fit one read. */
START_TEST(test_many)
  {
    struct wanted w = { .address = (uintptr_t)data };

    for (int i = 0; i < 2000; i++) {
      char *p = mmap(NULL, 12288, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      ck_assert_int_eq(mprotect(p + 4096, 4096, PROT_NONE), 0);
    }
    ck_assert(gcx__maps_walk(look, &w));
    ck_assert_uint_ge(w.calls, 4000);
    ck_assert_uint_eq(w.hits, 1);
  }
END_TEST

/* ---- resident pages */

struct runs {
  unsigned n;
  uintptr_t low[8], high[8];
};

static void note_run(uintptr_t low, uintptr_t high, void *arg)
{
  struct runs *r = arg;

  if (r->n > 0 && r->high[r->n - 1] == low) {
    r->high[r->n - 1] = high;
    return;
  }
  ck_assert_uint_lt(r->n, 8);
  r->low[r->n] = low;
  r->high[r->n++] = high;
}

START_TEST(test_resident)
  {
    size_t page = gcx__page_bytes();
    char *p = mmap(NULL, (size_t)1 << 36, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uintptr_t base = (uintptr_t)p;
    struct runs r = { .n = 0 };

    ck_assert_ptr_ne(p, MAP_FAILED);
    ck_assert_int_eq(madvise(p, (size_t)1 << 36, MADV_NOHUGEPAGE), 0);
    ck_assert(gcx__maps_resident(base, base + page * 1000, note_run, &r));
    ck_assert_uint_eq(r.n, 0);
    p[page * 3] = p[page * 4] = p[page * 900] = 1;
    p[((size_t)1 << 36) - 1] = 1;
    if (_i == 1)
      gcx__maps_session_begin();
    ck_assert(
        gcx__maps_resident(base, base + ((uintptr_t)1 << 36), note_run, &r));
    if (_i == 1)
      gcx__maps_session_end();
    ck_assert_uint_eq(r.n, 3);
    ck_assert_uint_eq(r.low[0], base + 3 * page);
    ck_assert_uint_eq(r.high[0], base + 5 * page);
    ck_assert_uint_eq(r.low[1], base + 900 * page);
    ck_assert_uint_eq(r.high[1], base + 901 * page);
    ck_assert_uint_eq(r.high[2], base + ((uintptr_t)1 << 36));
  }
END_TEST

/* ---- copying */

START_TEST(test_copy)
  {
    size_t page = gcx__page_bytes();
    char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *to = malloc(4 * page);

    memset(p, 7, 4 * page);
    ck_assert_uint_eq(gcx__maps_copy(to, (uintptr_t)p, 4 * page), 4 * page);
    ck_assert_mem_eq(to, p, 4 * page);
    ck_assert_int_eq(munmap(p + 2 * page, page), 0);
    memset(to, 0, 4 * page);
    ck_assert_uint_eq(gcx__maps_copy(to, (uintptr_t)p, 4 * page), 2 * page);
    ck_assert_mem_eq(to, p, 2 * page);
    ck_assert_uint_eq(gcx__maps_copy(to, (uintptr_t)p + 2 * page, page), 0);
    ck_assert_uint_eq(gcx__maps_copy(to, 0, 8), 0);
    free(to);
  }
END_TEST

static void *wait_for_end(void *barrier)
{
  (void)pthread_barrier_wait(barrier);
  return NULL;
}

START_TEST(test_threads)
  {
    pthread_barrier_t barrier;
    pthread_t ids[5];
    uint32_t before = gcx__maps_threads();

    ck_assert_uint_ge(before, 1);
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 6), 0);
    for (int i = 0; i < 5; i++)
      ck_assert_int_eq(pthread_create(&ids[i], NULL, wait_for_end, &barrier),
                       0);
    ck_assert_uint_eq(gcx__maps_threads(), before + 5);
    (void)pthread_barrier_wait(&barrier);
    for (int i = 0; i < 5; i++)
      ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
  }
END_TEST

/* ---- words.h: what is kept of a range with a hole in it */

static uintptr_t kept_of(uintptr_t low, uintptr_t high, bool in_place)
{
  const uintptr_t *from, *to;
  size_t wrong = 0;

  gcx__words_reserve();
  gcx__words_begin(1000, 2000);
  gcx__words_read_in_place(in_place);
  gcx__words_scan(low, high);
  gcx__words_read_in_place(false);
  ck_assert(gcx__words_found(&from, &to));
  for (const uintptr_t *p = from; p < to; p++)
    wrong += *p < 1000 || *p >= 2000;
  ck_assert_uint_eq(wrong, 0);
  return (uintptr_t)(to - from);
}

START_TEST(test_words)
  {
    size_t page = gcx__page_bytes(), n = (size_t)16 << 20;
    uintptr_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t low = (uintptr_t)p, words = n / sizeof(*p);

    for (size_t i = 0; i < words; i++)
      p[i] = i % 4 == 0 ? 1000 + i % 1000 : 999 + i % 2 * 1001;
    for (int place = 0; place < 2; place++)
      ck_assert_uint_eq(kept_of(low, low + n, place == 1), words / 4);
    ck_assert_uint_eq(kept_of(low + 1, low + 65, false), 1);
    ck_assert_uint_eq(kept_of(low + 8, low + 8, true), 0);
    /* a page that can't be read: the others are read all the same */
    ck_assert_int_eq(mprotect((char *)p + 5 * page, page, PROT_NONE), 0);
    ck_assert_int_eq(munmap((char *)p + 50 * page, page), 0);
    for (int place = 0; place < 2; place++)
      ck_assert_uint_eq(kept_of(low, low + n, place == 1),
                        (n - 2 * page) / sizeof(*p) / 4);
  }
END_TEST

/* More than was reserved at first: grows while it scans. */
START_TEST(test_words_grow)
  {
    size_t n = (size_t)160 << 20;
    uintptr_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < n / sizeof(*p); i++)
      p[i] = 1500;
    ck_assert_uint_eq(kept_of((uintptr_t)p, (uintptr_t)p + n, true),
                      n / sizeof(*p));
    ck_assert_uint_eq(kept_of((uintptr_t)p, (uintptr_t)p + 4096, true), 512);
  }
END_TEST

START_TEST(test_words_out_of_memory)
  {
    static uintptr_t word = 1500;
    const uintptr_t *from, *to;
    size_t n = (size_t)80 << 20;
    uintptr_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < n / sizeof(*p); i++)
      p[i] = word;
    gcx__words_reserve();
    gcx__words_begin(1000, 2000);
    gcx__vm_fail_here(true);
    gcx__words_scan((uintptr_t)p, (uintptr_t)p + n);
    gcx__vm_fail_here(false);
    ck_assert(!gcx__words_found(&from, &to));
    ck_assert_uint_eq(kept_of((uintptr_t)&word, (uintptr_t)(&word + 1), true),
                      1);
  }
END_TEST

static void add_tests(TCase *c)
{
  tcase_add_test(c, test_kinds);
  tcase_add_test(c, test_stops);
  tcase_add_test(c, test_many);
  tcase_add_loop_test(c, test_resident, 0, 2);
  tcase_add_test(c, test_copy);
  tcase_add_test(c, test_threads);
  tcase_add_test(c, test_words);
  tcase_add_test(c, test_words_grow);
  tcase_add_test(c, test_words_out_of_memory);
}

static Suite *suite(void)
{
  Suite *s = suite_create("maps");
  TCase *c = tcase_create("maps");

  tcase_set_timeout(c, 60);
  add_tests(c);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
