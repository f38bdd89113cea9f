/* SPDX-License-Identifier: MIT */
/*
 * check_loaded.c - collections and the list of loaded libraries: callbacks of
 *                  dl_iterate_phdr() that allocate, libraries that come and go
 *
 * A deadlock is a test that times out.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <unistd.h>
#include <sys/mman.h>

#include "bdw.h"
#include "loaded.h"
#include "maps.h"
#include "objects.h"
#include "platform.h"
#include "segments.h"
#include "termination.h"

#define HOLDER_N 64

/* ---- callbacks that allocate */

static unsigned loaded_rounds; /* callbacks that returned */
static bool loaded_inside;     /* one has begun */
static bool loaded_stop;

static GCX_NOINLINE void allocate_some(void)
{
  for (int i = 0; i < 8; i++) {
    void *p = gcx_alloc(3000); /* of its own: the collector's lock */

    memset(p, 0, 3000);
    gcx_dispose(p);
  }
}

static int allocate_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
  (void)info;
  (void)size;
  __atomic_store_n(&loaded_inside, true, __ATOMIC_RELEASE);
  allocate_some();
  ++*(unsigned *)arg;
  return 0;
}

static void *iterate(void *arg)
{
  unsigned n = *(unsigned *)arg;

  for (unsigned i = 0; i < n; i++) {
    unsigned objects = 0;

    ck_assert_int_eq(dl_iterate_phdr(allocate_inside, &objects), 0);
    ck_assert_uint_gt(objects, 2);
    __atomic_fetch_add(&loaded_rounds, 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void *collect(void *unused)
{
  /* bdwgc's lock is not fair: who takes it again at once starves the others. */
  while (!__atomic_load_n(&loaded_stop, __ATOMIC_ACQUIRE)) {
    gcx_collect();
    (void)usleep(200);
  }
  return unused;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
  pthread_t id;

  ck_assert_int_eq(pthread_create(&id, NULL, fn, arg), 0);
  return id;
}

static void join(pthread_t id)
{
  ck_assert_int_eq(pthread_join(id, NULL), 0);
}

START_TEST(test_allocate_in_callback)
  {
    unsigned n = 40;
    pthread_t a, b;

    objects_setup(GCX_LEAK_REPORT);
    b = start(collect, NULL);
    a = start(iterate, &n);
    join(a);
    __atomic_store_n(&loaded_stop, true, __ATOMIC_RELEASE);
    join(b);
    ck_assert_uint_eq(loaded_rounds, n);
  }
END_TEST

START_TEST(test_several_iterate)
  {
    unsigned n = 12;
    pthread_t a[3], b;

    objects_setup(GCX_LEAK_REPORT);
    b = start(collect, NULL);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(a); i++)
      a[i] = start(iterate, &n);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(a); i++)
      join(a[i]);
    __atomic_store_n(&loaded_stop, true, __ATOMIC_RELEASE);
    join(b);
    ck_assert_uint_eq(loaded_rounds, 3 * n);
  }
END_TEST

static int collect_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
  unsigned within = 0;

  (void)info;
  (void)size;
  ++*(unsigned *)arg;
  gcx_collect();
  ck_assert_int_eq(dl_iterate_phdr(allocate_inside, &within), 0);
  ck_assert_uint_gt(within, 2);
  return *(unsigned *)arg == 3 ? 42 : 0;
}

START_TEST(test_collect_in_callback)
  {
    unsigned objects = 0;
    pthread_t b;

    objects_setup(GCX_LEAK_REPORT);
    b = start(collect, NULL);
    ck_assert_int_eq(dl_iterate_phdr(collect_inside, &objects), 42);
    ck_assert_uint_eq(objects, 3);
    __atomic_store_n(&loaded_stop, true, __ATOMIC_RELEASE);
    join(b);
  }
END_TEST

static int leave_thread(struct dl_phdr_info *info, size_t size, void *arg)
{
  (void)info;
  (void)size;
  allocate_some();
  pthread_exit(arg);
}

static void *leave_inside(void *arg)
{
  (void)dl_iterate_phdr(leave_thread, arg);
  return NULL;
}

/* What a callback that does not return held is given back. */
START_TEST(test_leave_callback)
  {
    unsigned n = 4;

    objects_setup(GCX_LEAK_REPORT);
    for (int i = 0; i < 3; i++) {
      void *result = NULL;
      pthread_t a = start(leave_inside, &n);

      ck_assert_int_eq(pthread_join(a, &result), 0);
      ck_assert_ptr_eq(result, &n);
      gcx_collect();
    }
    join(start(iterate, &n));
    ck_assert_uint_eq(loaded_rounds, n);
  }
END_TEST

/* ---- libraries that come and go */

static void *(*event_alloc)(void);
static unsigned events;

/* Called from inside ld.so, whose lock the thread holds. */
void holder_event(void **slots, int is_loaded);
__attribute__((visibility("default"))) void holder_event(void **slots,
                                                         int is_loaded)
{
  events++;
  allocate_some();
  if (event_alloc != NULL && is_loaded)
    slots[HOLDER_N - 1] = event_alloc();
  else if (slots[HOLDER_N - 1] != NULL)
    gcx_dispose(slots[HOLDER_N - 1]);
}

static void *library_open(void)
{
  const char *build = getenv("GCX_TEST_BUILDDIR");
  char path[4096];
  void *library;

  snprintf(path, sizeof(path), "%s/tests/.libs/plugin_holder.so",
           build != NULL ? build : ".");
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(library != NULL, "%s", dlerror());
  return library;
}

static void **library_slots(void *library, int where)
{
  void *symbol = dlsym(library, "holder_slots");
  void **(*slots)(int);

  ck_assert_ptr_nonnull(symbol);
  memcpy(&slots, &symbol, sizeof(slots));
  return slots(where);
}

static struct seen seen;

static GCX_NOINLINE void library_fill(void *library)
{
  for (int where = 0; where < 3; where++) {
    void **slots = library_slots(library, where);

    for (size_t i = 1; i < HOLDER_N - 1; i++) {
      slots[i] = gcx_alloc(32);
      memset(slots[i], 0, 32);
    }
  }
}

static GCX_NOINLINE void library_dispose(void *library)
{
  for (int where = 0; where < 3; where++) {
    void **slots = library_slots(library, where);

    for (size_t i = 1; i < HOLDER_N - 1; i++)
      gcx_dispose(slots[i]);
  }
}

static GCX_NOINLINE void library_round(bool lose)
{
  void *library = library_open();

  library_fill(library);
  gcx_collect();
  if (!lose) {
    ck_assert_uint_eq(seen.direct + seen.indirect, 0);
    library_dispose(library);
  }
  ck_assert_int_eq(dlclose(library), 0);
}

static void come_and_go(int rounds)
{
  for (int i = 0; i < rounds; i++)
    library_round(false);
}

static void *churn(void *unused)
{
  while (!__atomic_load_n(&loaded_stop, __ATOMIC_ACQUIRE))
    allocate_some();
  return unused;
}

static void setup_seen(void)
{
  objects_setup(GCX_LEAK_REPORT);
  memset(&seen, 0, sizeof(seen));
  ck_assert_int_eq(gcx_handler_add(seen_note, &seen), 0);
}

static void *alloc_one(void)
{
  return gcx_alloc(40);
}

START_TEST(test_libraries_come_and_go)
  {
    pthread_t b, c;

    setup_seen();
    event_alloc = alloc_one;
    b = start(collect, NULL);
    c = start(churn, NULL);
    come_and_go(150);
    __atomic_store_n(&loaded_stop, true, __ATOMIC_RELEASE);
    join(b);
    join(c);
    ck_assert_uint_eq(events, 300);
    (void)gcx_check();
    ck_assert_uint_eq(seen.direct + seen.indirect, 0);
  }
END_TEST

/* What a library held is lost when it is closed, and not before. */
START_TEST(test_closed_library_loses)
  {
    setup_seen();
    for (int i = 0; i < 4; i++) {
      library_round(true);
      (void)gcx_check();
      memset(&seen, 0, sizeof(seen));
    }
    library_round(true);
    (void)gcx_check();
    ck_assert_uint_ge(seen.direct + seen.indirect, 2 * (HOLDER_N - 2) / 2);
  }
END_TEST

/* ---- the copy that a collection is given */

#define OBJECTS_MAX 512

struct listed {
  size_t n;
  struct dl_phdr_info info[OBJECTS_MAX];
};

static struct listed outside, inside;

static int list_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct listed *l = arg;

  ck_assert_uint_lt(l->n, OBJECTS_MAX);
  memcpy(&l->info[l->n++], info, GCX_MIN(size, sizeof(*info)));
  return 0;
}

static void *list_briefly(void *unused)
{
  ck_assert_int_eq(gcx__loaded_iterate_brief(list_one, &inside), 0);
  ck_assert_uint_eq(inside.n, outside.n);
  for (size_t i = 0; i < inside.n; i++) {
    const struct dl_phdr_info *a = &inside.info[i], *b = &outside.info[i];

    ck_assert_uint_eq(a->dlpi_addr, b->dlpi_addr);
    ck_assert_uint_eq(a->dlpi_phnum, b->dlpi_phnum);
    ck_assert_uint_eq(a->dlpi_tls_modid, b->dlpi_tls_modid);
    ck_assert_uint_eq(a->dlpi_adds, b->dlpi_adds);
    ck_assert_uint_eq(a->dlpi_subs, b->dlpi_subs);
    ck_assert_str_eq(a->dlpi_name, b->dlpi_name);
    ck_assert_mem_eq(a->dlpi_phdr, b->dlpi_phdr,
                     a->dlpi_phnum * sizeof(*a->dlpi_phdr));
    /* a copy: whoever is in the callback may unload what it was made of */
    ck_assert_ptr_ne(a->dlpi_phdr, b->dlpi_phdr);
  }
  return unused;
}

static int list_elsewhere(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)info;
  (void)size;
  (void)unused;
  memset(&inside, 0, sizeof(inside));
  join(start(list_briefly, NULL));
  return 1;
}

static void demand_same_list(void)
{
  memset(&outside, 0, sizeof(outside));
  ck_assert_int_eq(dl_iterate_phdr(list_one, &outside), 0);
  ck_assert_uint_gt(outside.n, 2);
  ck_assert_int_eq(dl_iterate_phdr(list_elsewhere, NULL), 1);
  ck_assert_uint_eq(inside.n, outside.n);
}

START_TEST(test_copy_is_the_list)
  {
    void *library;
    size_t n;

    objects_setup(GCX_LEAK_REPORT);
    demand_same_list();
    n = inside.n;
    library = library_open();
    demand_same_list();
    ck_assert_uint_eq(inside.n, n + 1);
    ck_assert_int_eq(dlclose(library), 0);
    demand_same_list();
    ck_assert_uint_eq(inside.n, n);
  }
END_TEST

/* ---- fork while others are at the list */

static int list_slowly(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)info;
  (void)size;
  (void)unused;
  (void)sched_yield();
  return 0;
}

static void *list_all_the_time(void *unused)
{
  while (!__atomic_load_n(&loaded_stop, __ATOMIC_ACQUIRE)) {
    (void)gcx__loaded_iterate_brief(list_slowly, NULL);
    (void)dl_iterate_phdr(list_slowly, NULL);
    __atomic_fetch_add(&loaded_rounds, 1, __ATOMIC_RELEASE);
  }
  return unused;
}

/* ld.so's lock stays as it is in a child: with a thread that is gone, it would be
 * waited for by the first collection. */
static void collect_in_child(void *unused)
{
  (void)unused;
  (void)alarm(15);
  gcx_collect();
}

START_TEST(test_fork_while_others_list)
  {
    pthread_t a[2];

    objects_setup(GCX_LEAK_OFF);
    gcx_dispose(gcx_alloc(8));
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(a); i++)
      a[i] = start(list_all_the_time, NULL);
    while (__atomic_load_n(&loaded_rounds, __ATOMIC_ACQUIRE) < 4)
      (void)sched_yield();
    for (int i = 0; i < 40; i++)
      death_demand_exit(collect_in_child, NULL, 0);
    __atomic_store_n(&loaded_stop, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(a); i++)
      join(a[i]);
  }
END_TEST

/* ---- loaded between the list of a collection and its stop */

static int count_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  (void)info;
  (void)size;
  ++*(unsigned *)arg;
  return 0;
}

static void *scan_list(void *ret_count)
{
  ck_assert_int_eq(gcx__loaded_iterate_to_scan(count_one, ret_count), 0);
  return NULL;
}

static void *ask_grew(void *ret_grew)
{
  *(bool *)ret_grew = gcx__loaded_grew();
  return NULL;
}

static bool has_grown(void)
{
  bool grew = false;

  (void)gcx__bdw_with_lock(ask_grew, &grew);
  return grew;
}

START_TEST(test_grew)
  {
    unsigned n = 0;
    void *library;

    objects_setup(GCX_LEAK_REPORT);
    (void)gcx__bdw_with_lock(scan_list, &n);
    ck_assert_uint_gt(n, 2);
    ck_assert(!has_grown());
    library = library_open();
    ck_assert(has_grown());
    (void)gcx__bdw_with_lock(scan_list, &n);
    ck_assert(!has_grown());
    ck_assert_int_eq(dlclose(library), 0);
    (void)gcx__bdw_with_lock(scan_list, &n);
    ck_assert(!has_grown());
  }
END_TEST

/* Loads in its own callback, while another thread collects. */
static int load_inside(struct dl_phdr_info *info, size_t size,
                       void *ret_library)
{
  uint32_t before = gcx__termination_put_offs();

  (void)info;
  (void)size;
  join(start((void *(*)(void *))(void (*)(void))gcx_check, NULL));
  ck_assert_uint_eq(gcx__termination_put_offs(), before);
  *(void **)ret_library = library_open();
  library_fill(*(void **)ret_library);
  join(start((void *(*)(void *))(void (*)(void))gcx_check, NULL));
  ck_assert_uint_gt(gcx__termination_put_offs(), before);
  return 1;
}

START_TEST(test_load_in_callback)
  {
    void *library = NULL;

    setup_seen();
    ck_assert_int_eq(dl_iterate_phdr(load_inside, &library), 1);
    ck_assert_uint_eq(seen.direct + seen.indirect, 0);
    (void)gcx_check();
    ck_assert_uint_eq(seen.direct + seen.indirect, 0);
    library_dispose(library);
    ck_assert_int_eq(dlclose(library), 0);
  }
END_TEST

/* ---- unloaded there */

static volatile char *map_pages(size_t n)
{
  void *p = mmap(NULL, n * gcx__page_bytes(), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne(p, MAP_FAILED);
  memset(p, 7, n * gcx__page_bytes());
  return p;
}

static bool can_read(const volatile char *p)
{
  char byte;

  return gcx__maps_copy(&byte, (uintptr_t)p, 1) == 1;
}

static void unmap_pages(volatile char *p, size_t n)
{
  ck_assert_int_eq(munmap((void *)(uintptr_t)p, n * gcx__page_bytes()), 0);
}

struct segment_work {
  volatile char *p[3];
  struct dl_phdr_info info[3];
  ElfW(Phdr) header[3][2];
};

/* Of three, one goes, one stays, one goes and something takes part of its place. */
static void *guard_segments(void *arg)
{
  struct segment_work *w = arg;
  size_t page = gcx__page_bytes();

  gcx__segments_begin();
  for (size_t i = 0; i < 3; i++)
    gcx__segments_add(&w->info[i]);
  unmap_pages(w->p[0], 3);
  unmap_pages(w->p[2], 2);
  gcx__segments_guard();
  for (size_t i = 0; i < 3; i++)
    ck_assert_int_eq(w->p[0][i * page + 5], 0);
  ck_assert_int_eq(w->p[1][5], 7);
  ck_assert_int_eq(w->p[2][5], 0);
  ck_assert_int_eq(w->p[2][page + 5], 0);
  ck_assert_int_eq(w->p[2][2 * page + 5], 7);
  gcx__segments_release();
  ck_assert(!can_read(w->p[0]) && !can_read(w->p[0] + 2 * page));
  ck_assert(can_read(w->p[1]));
  ck_assert(!can_read(w->p[2]) && can_read(w->p[2] + 2 * page));
  gcx__segments_begin();
  return NULL;
}

START_TEST(test_vanished_segments)
  {
    static struct segment_work w;

    objects_setup(GCX_LEAK_REPORT);
    for (size_t i = 0; i < 3; i++) {
      w.p[i] = map_pages(3);
      w.header[i][0] = (ElfW(Phdr)){
        .p_type = PT_LOAD, .p_flags = PF_R, .p_vaddr = 1, .p_memsz = 1
      };
      w.header[i][1] = (ElfW(Phdr)){ .p_type = PT_LOAD,
                                     .p_flags = PF_R | PF_W,
                                     .p_vaddr = 100,
                                     .p_memsz = 3 * gcx__page_bytes() - 100 };
      w.info[i] = (struct dl_phdr_info){ .dlpi_addr = (uintptr_t)w.p[i],
                                         .dlpi_phdr = w.header[i],
                                         .dlpi_phnum = 2 };
    }
    (void)gcx__bdw_with_lock(guard_segments, &w);
  }
END_TEST

static Suite *loaded_suite(void)
{
  Suite *s = suite_create("loaded");
  TCase *c = tcase_create("callbacks");

  tcase_set_timeout(c, 20);
  tcase_add_test(c, test_allocate_in_callback);
  tcase_add_test(c, test_several_iterate);
  tcase_add_test(c, test_collect_in_callback);
  tcase_add_test(c, test_leave_callback);
  suite_add_tcase(s, c);

  c = tcase_create("libraries");
  tcase_set_timeout(c, 20);
  tcase_add_test(c, test_libraries_come_and_go);
  tcase_add_test(c, test_closed_library_loses);
  suite_add_tcase(s, c);

  c = tcase_create("list");
  tcase_set_timeout(c, 20);
  tcase_add_test(c, test_copy_is_the_list);
  tcase_add_test(c, test_grew);
  tcase_add_test(c, test_fork_while_others_list);
  tcase_add_test(c, test_load_in_callback);
  tcase_add_test(c, test_vanished_segments);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(loaded_suite);
