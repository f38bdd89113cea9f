/* SPDX-License-Identifier: MIT */
/*
 * check_roots.c - every kind of holder keeps, and lets go; by the number of
 *                 markers, incrementally, under roots=all and roots=strict
 *
 * Each scenario is a process of its own (the program itself, with the scenario's
 * name in the environment): Check's children have been forked from a process in
 * which the collector was running, and have no markers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <gcx.h>

#include "check_main.h"
#include "holders.h"
#include "options.h"
#include "platform.h"
#include "roots.h"
#include "thread.h"

#define DEMAND(condition)                                                 \
  ((condition)                                                            \
       ? (void)0                                                          \
       : (fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition), \
          _exit(1)))

/* ---- holders */

#define N 1000

static __thread void *volatile tls_slots[N];

static void put_tls(size_t i, void *p)
{
  tls_slots[i] = p;
}

static void drop_tls(void)
{
  for (size_t i = 0; i < N; i++)
    tls_slots[i] = NULL;
}

static pthread_key_t keys[N];
static size_t key_count;

static void make_keys(void)
{
  while (key_count < N && pthread_key_create(&keys[key_count], NULL) == 0)
    key_count++;
}

static void put_key(size_t i, void *p)
{
  if (pthread_setspecific(keys[i], p) != 0)
    abort();
}

static void drop_keys(void)
{
  for (size_t i = 0; i < key_count; i++)
    (void)pthread_setspecific(keys[i], NULL);
}

static uintptr_t array_hidden; /* malloc's memory: not even its address shows */

static void make_array(void)
{
  array_hidden = GCX_HIDE(calloc(N, sizeof(void *)));
}

static void put_array(size_t i, void *p)
{
  ((void **)GCX_REVEAL(array_hidden))[i] = p;
}

static void drop_array(void)
{
  memset(GCX_REVEAL(array_hidden), 0, N * sizeof(void *));
}

/* Strings and data of the C library's own: object addresses as text are none, so
 * the object is the string. */
static void put_env(size_t i, void *p)
{
  char *text = p;

  (void)snprintf(text + 24, HOLDERS_BYTES - 24, "GCX_TEST_%zu=x", i);
  if (putenv(text + 24) != 0)
    abort();
}

static void drop_env(void)
{
  char name[32];

  for (size_t i = 0; i < N; i++) {
    (void)snprintf(name, sizeof(name), "GCX_TEST_%zu", i);
    (void)unsetenv(name);
  }
}

static char search_keys[N][16];

static void make_hash(void)
{
  if (hcreate(20 * N) == 0) /* so large that free() unmaps it */
    abort();
}

static void put_hash(size_t i, void *p)
{
  ENTRY entry = { .key = search_keys[i], .data = p };

  (void)snprintf(search_keys[i], sizeof(search_keys[i]), "k%zu", i);
  if (hsearch(entry, ENTER) == NULL)
    abort();
}

static void drop_hash(void)
{
  hdestroy();
}

static void *tree_root;

static int compare_pointers(const void *a, const void *b)
{
  return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static void put_tree(size_t i, void *p)
{
  (void)i;
  if (tsearch(p, &tree_root, compare_pointers) == NULL)
    abort();
}

static void ignore_node(void *node)
{
  (void)node;
}

static void drop_tree(void)
{
  tdestroy(tree_root, ignore_node);
  tree_root = NULL;
}

#define FILES 100
static FILE *files[FILES];

static void put_buffer(size_t i, void *p)
{
  files[i] = fopen("/dev/null", "w");
  if (files[i] == NULL || setvbuf(files[i], p, _IOFBF, HOLDERS_BYTES) != 0)
    abort();
}

static void drop_buffers(void)
{
  for (size_t i = 0; i < FILES; i++)
    (void)setvbuf(files[i], NULL, _IONBF, 0);
}

static uintptr_t mapping_hidden;

static void make_mapping(void)
{
  mapping_hidden =
      GCX_HIDE(mmap(NULL, N * sizeof(void *), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void put_mapping(size_t i, void *p)
{
  ((void **)GCX_REVEAL(mapping_hidden))[i] = p;
}

static void drop_mapping(void)
{
  if (munmap(GCX_REVEAL(mapping_hidden), N * sizeof(void *)) != 0)
    abort();
}

/* Under roots=strict, memory that was registered. */
static void make_region(void)
{
  make_array();
  DEMAND(gcx__roots_add(GCX_REVEAL(array_hidden), N * sizeof(void *)) == 0);
}

static void drop_region(void)
{
  gcx__roots_remove(GCX_REVEAL(array_hidden), N * sizeof(void *));
}

/* A library that is built here, opened, and has its own __thread variable. */
static void **(*library_slots)(void);

static void make_library(void)
{
  char directory[] = "/tmp/gcx-roots-XXXXXX", command[256], path[64];
  FILE *source;
  void *library;

  DEMAND(mkdtemp(directory) != NULL);
  (void)snprintf(path, sizeof(path), "%s/x.c", directory);
  source = fopen(path, "w");
  DEMAND(source != NULL);
  fputs("static __thread void *volatile slots[1000];\n"
        "void **library_slots(void) { return (void **)slots; }\n",
        source);
  DEMAND(fclose(source) == 0);
  (void)snprintf(command, sizeof(command),
                 "${CC:-cc} -shared -fPIC -o %s/x.so %s/x.c", directory,
                 directory);
  DEMAND(system(command) == 0);
  (void)snprintf(path, sizeof(path), "%s/x.so", directory);
  library = dlopen(path, RTLD_NOW);
  DEMAND(library != NULL);
  *(void **)(void *)&library_slots = dlsym(library, "library_slots");
  (void)snprintf(command, sizeof(command), "rm -r %s", directory);
  DEMAND(system(command) == 0);
}

static void put_library(size_t i, void *p)
{
  library_slots()[i] = p;
}

static void drop_library(void)
{
  memset(library_slots(), 0, N * sizeof(void *));
}

struct holder {
  const char *name;
  size_t n;
  void (*make)(void);
  void (*put)(size_t i, void *p);
  void (*drop)(void);
  bool only_all; /* kept under roots=all only */
  bool only_strict;
};

static const struct holder holders[] = {
  { "tls", N, NULL, put_tls, drop_tls, false, false },
  { "library", N, make_library, put_library, drop_library, false, false },
  { "keys", 900, make_keys, put_key, drop_keys, false, false },
  { "region", N, make_region, put_array, drop_region, false, true },
  { "array", N, make_array, put_array, drop_array, true, false },
  { "mapping", N, make_mapping, put_mapping, drop_mapping, true, false },
  { "putenv", N, NULL, put_env, drop_env, true, false },
  { "hsearch", N, make_hash, put_hash, drop_hash, true, false },
  { "tsearch", N, NULL, put_tree, drop_tree, true, false },
  { "setvbuf", FILES, NULL, put_buffer, drop_buffers, true, false },
};

/* AddressSanitizer does not give memory back that was freed: what was in it
 * remains, as it may under any malloc. */
extern void __asan_init(void) __attribute__((weak));

static bool lets_go(const struct holder *h)
{
  return __asan_init == NULL || !h->only_all || h->drop == drop_array ||
         h->drop == drop_mapping;
}

static bool applies(const struct holder *h)
{
  bool all = gcx__opt.roots == GCX_ROOTS_ALL;

  return all ? !h->only_strict : !h->only_all;
}

/* In the calling thread: kept, then (nearly all) collected. */
static void try_holder(const struct holder *h)
{
  size_t kept, left;

  if (h->make != NULL)
    h->make();
  holders_make(h->n, h->put);
  kept = holders_collect();
  if (kept != h->n)
    fprintf(stderr, "%s: %zu of %zu kept\n", h->name, kept, h->n);
  DEMAND(kept == h->n);
  DEMAND(strcmp(h->name, "setvbuf") == 0 || holders_intact() == h->n);
  holders_reuse();
  DEMAND(strcmp(h->name, "setvbuf") == 0 || holders_intact() == h->n);
  h->drop();
  (void)holders_collect();
  left = lets_go(h) ? holders_collect() : 0;
  if (left > h->n / 20)
    fprintf(stderr, "%s: %zu of %zu left\n", h->name, left, h->n);
  DEMAND(left <= h->n / 20);
}

static void *try_all_holders(void *unused)
{
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(holders); i++)
    if (applies(&holders[i]))
      try_holder(&holders[i]);
  return unused;
}

static void run_main(void)
{
  (void)try_all_holders(NULL);
}

static void run_thread(void)
{
  pthread_t id;

  DEMAND(pthread_create(&id, NULL, try_all_holders, NULL) == 0);
  DEMAND(pthread_join(id, NULL) == 0);
}

/* ---- another thread holds */

static pthread_barrier_t barrier;

static void *fn_wait(void *unused)
{
  (void)pthread_barrier_wait(&barrier); /* holds now */
  (void)pthread_barrier_wait(&barrier); /* may let go */
  return unused;
}

static void *hold_in_tls(void *blocking)
{
  holders_make(N, put_tls);
  gcx__bdw_clear_stack();
  if (blocking != NULL)
    (void)gcx__bdw_blocking(fn_wait, NULL);
  else
    (void)fn_wait(NULL);
  DEMAND(holders_intact() == N);
  drop_tls();
  return NULL;
}

static void hold_elsewhere(void *(*fn)(void *), void *arg)
{
  pthread_t id;

  DEMAND(pthread_barrier_init(&barrier, NULL, 2) == 0);
  DEMAND(pthread_create(&id, NULL, fn, arg) == 0);
  (void)pthread_barrier_wait(&barrier);
  for (int i = 0; i < 3; i++) {
    DEMAND(holders_collect() == holders_count);
    holders_reuse();
  }
  (void)pthread_barrier_wait(&barrier);
  DEMAND(pthread_join(id, NULL) == 0);
  (void)holders_collect();
  DEMAND(holders_collect() <= N / 20);
}

static void run_other(void)
{
  hold_elsewhere(hold_in_tls, NULL);
}

static void run_blocking(void)
{
  hold_elsewhere(hold_in_tls, &barrier);
}

/* On the stack proper, while a handler runs on the alternate one. */
static char altstack[65536] __attribute__((aligned(16)));

static void handler(int number)
{
  (void)number;
  (void)fn_wait(NULL);
}

static void *volatile *stack_slots; /* of the thread that waits */

static void put_stack(size_t i, void *p)
{
  stack_slots[i] = p;
}

static GCX_NOINLINE void *hold_under_handler(void *unused)
{
  void *volatile slots[N];
  stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
  struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

  memset((void *)(uintptr_t)slots, 0, sizeof(slots));
  stack_slots = slots;
  DEMAND(sigaltstack(&ss, NULL) == 0);
  DEMAND(sigaction(SIGUSR1, &action, NULL) == 0);
  holders_make(N, put_stack);
  gcx__bdw_clear_stack();
  DEMAND(raise(SIGUSR1) == 0);
  DEMAND(holders_intact() == N);
  ss.ss_flags = SS_DISABLE;
  DEMAND(sigaltstack(&ss, NULL) == 0);
  DEMAND(gcx__thread_self()->altstack_low == 0);
  for (size_t i = 0; i < N; i++)
    slots[i] = NULL;
  return unused;
}

static void run_altstack(void)
{
  hold_elsewhere(hold_under_handler, NULL);
}

/* In a handler on the alternate stack, by the thread that collects itself. */
static void *volatile handler_kept;

static void collecting_handler(int number)
{
  (void)number;
  handler_kept = (void *)holders_collect();
}

static void run_altstack_self(void)
{
  void *volatile slots[N];
  stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
  struct sigaction action = { .sa_handler = collecting_handler,
                              .sa_flags = SA_ONSTACK };

  stack_slots = slots;
  DEMAND(sigaltstack(&ss, NULL) == 0);
  DEMAND(sigaction(SIGUSR1, &action, NULL) == 0);
  holders_make(N, put_stack);
  DEMAND(raise(SIGUSR1) == 0);
  DEMAND(handler_kept == (void *)N);
  DEMAND(slots[0] != NULL);
}

/* On a coroutine's stack, which lies anywhere, and on the stack proper that it was
 * entered from; by the thread that collects, and by one that is stopped there. */
#define COROUTINE_BYTES ((size_t)512 << 10)

static ucontext_t coroutine_caller, coroutine;
static void *volatile *coroutine_slots;
static void (*coroutine_body)(void);

static void put_both(size_t i, void *p)
{
  (i % 2 == 0 ? stack_slots : coroutine_slots)[i] = p;
}

static void coroutine_main(void)
{
  void *volatile slots[N];

  memset((void *)(uintptr_t)slots, 0, sizeof(slots));
  coroutine_slots = slots;
  holders_make(N, put_both);
  coroutine_body();
  DEMAND(holders_intact() == N);
}

static GCX_NOINLINE void in_coroutine(void (*body)(void))
{
  void *volatile slots[N];
  void *stack = mmap(NULL, COROUTINE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  memset((void *)(uintptr_t)slots, 0, sizeof(slots));
  DEMAND(stack != MAP_FAILED);
  DEMAND(getcontext(&coroutine) == 0);
  coroutine.uc_stack.ss_sp = stack;
  coroutine.uc_stack.ss_size = COROUTINE_BYTES;
  coroutine.uc_link = &coroutine_caller;
  makecontext(&coroutine, coroutine_main, 0);
  stack_slots = slots;
  coroutine_body = body;
  DEMAND(swapcontext(&coroutine_caller, &coroutine) == 0);
  for (size_t i = 0; i < N; i++)
    slots[i] = NULL;
  DEMAND(munmap(stack, COROUTINE_BYTES) == 0);
  memset(&coroutine, 0, sizeof(coroutine));
  memset(&coroutine_caller, 0, sizeof(coroutine_caller));
}

/* On purpose, and where an allocation does it. */
static void collect_here(void)
{
  for (int i = 0; i < 3; i++) {
    DEMAND(holders_collect() == N);
    holders_reuse();
    gcx_collect();
    DEMAND(holders_marked() == N);
  }
}

static void run_coroutine_self(void)
{
  if (__asan_init == NULL)
    in_coroutine(collect_here);
  (void)holders_collect();
  DEMAND(holders_collect() <= N / 20);
}

static void wait_here(void)
{
  gcx__bdw_clear_stack();
  (void)fn_wait(NULL);
}

static void *hold_in_coroutine(void *unused)
{
  in_coroutine(wait_here);
  return unused;
}

static void run_coroutine(void)
{
  if (__asan_init == NULL)
    hold_elsewhere(hold_in_coroutine, NULL);
  else
    gcx__bdw_collect();
}

/* The argument of a thread that has not begun is in nobody's sight. */
static void *drop_argument(void *arg)
{
  const uintptr_t *p = arg;

  DEMAND(p[1] == HOLDERS_PATTERN);
  return NULL;
}

static void start_one(size_t i, void *p)
{
  pthread_t id;

  (void)i;
  DEMAND(pthread_create(&id, NULL, drop_argument, p) == 0);
  DEMAND(pthread_detach(id) == 0);
}

static void run_arguments(void)
{
  for (int round = 0; round < 20; round++) {
    holders_make(20, start_one);
    (void)holders_collect();
    holders_reuse();
  }
}

/* What a thread returned belongs to whoever will join it. */
#define RESULTS 20

static pthread_t result_ids[RESULTS];
static int result_tids[RESULTS];

static void *return_argument(void *arg)
{
  const uintptr_t *p = arg;

  __atomic_store_n(&result_tids[p[2]], gettid(), __ATOMIC_RELEASE);
  return arg;
}

static void start_returning(size_t i, void *p)
{
  DEMAND(pthread_create(&result_ids[i], NULL, return_argument, p) == 0);
}

/* Ended as the kernel sees it; not joined. */
static void wait_for_end(size_t i)
{
  int tid;

  while ((tid = __atomic_load_n(&result_tids[i], __ATOMIC_ACQUIRE)) == 0 ||
         syscall(SYS_tgkill, getpid(), tid, 0) == 0)
    (void)sched_yield();
}

static void run_results(void)
{
  void *result;

  holders_make(RESULTS, start_returning);
  for (size_t i = 0; i < RESULTS; i++)
    wait_for_end(i);
  if (gcx__opt.roots == GCX_ROOTS_ALL)
    DEMAND(holders_collect() == RESULTS);
  else
    (void)holders_collect();
  for (size_t i = 0; i < RESULTS; i++) {
    DEMAND(pthread_join(result_ids[i], &result) == 0);
    DEMAND(gcx__opt.roots != GCX_ROOTS_ALL ||
           ((const uintptr_t *)result)[2] == i);
  }
}

/* ---- memory that comes and goes, on a thread that bdwgc does not stop */

static bool churn_stop;

static void *churn(void *unused)
{
  while (!__atomic_load_n(&churn_stop, __ATOMIC_RELAXED)) {
    size_t bytes = (size_t)1 << 20;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
      continue;
    for (size_t i = 0; i < bytes; i += 4096)
      p[i] = 1;
    (void)munmap(p + bytes / 4, bytes / 4);
    (void)munmap(p, bytes / 4);
    (void)munmap(p + bytes / 2, bytes / 2);
  }
  return unused;
}

static void *churn_blocking(void *unused)
{
  return gcx__bdw_blocking(churn, unused);
}

static void run_churn(void)
{
  uint64_t seen = gcx__bdw_collections_seen();
  pthread_t id;

  make_region();
  holders_make(N, put_array);
  DEMAND(pthread_create(&id, NULL, churn_blocking, NULL) == 0);
  for (int i = 0; i < 300; i++)
    DEMAND(holders_collect() == N);
  __atomic_store_n(&churn_stop, true, __ATOMIC_RELAXED);
  DEMAND(pthread_join(id, NULL) == 0);
  DEMAND(gcx__bdw_collections_seen() - seen >= 300);
  DEMAND(gcx__bdw_collections_seen() == gcx__bdw_collections());
}

/* ---- threads by the thousand */

static void *hold_briefly(void *arg)
{
  uintptr_t *p = gcx__bdw_alloc(HOLDERS_BYTES, GCX_KIND_NORMAL);

  p[1] = HOLDERS_PATTERN;
  tls_slots[0] = p;
  p = NULL;
  gcx__bdw_clear_stack();
  if ((uintptr_t)arg % 16 == 0)
    gcx__bdw_collect();
  p = tls_slots[0];
  DEMAND(p[1] == HOLDERS_PATTERN);
  return NULL;
}

static void run_thousands(void)
{
  pthread_t ids[8];

  for (uintptr_t i = 0; i < 2000; i += 8) {
    for (uintptr_t j = 0; j < 8; j++)
      DEMAND(pthread_create(&ids[j], NULL, hold_briefly, (void *)(i + j)) == 0);
    for (uintptr_t j = 0; j < 8; j++)
      DEMAND(pthread_join(ids[j], NULL) == 0);
  }
}

/* What a thread held in its __thread variables when it ended is let go, although
 * the C library keeps its stack. */
static void *hold_and_end(void *unused)
{
  holders_make(N, put_tls);
  return unused;
}

static void run_ended(void)
{
  pthread_t id;
  size_t left;

  for (int i = 0; i < 3; i++) {
    DEMAND(pthread_create(&id, NULL, hold_and_end, NULL) == 0);
    DEMAND(pthread_join(id, NULL) == 0);
    left = holders_collect();
    if (left > N / 20)
      fprintf(stderr, "%zu of %u left\n", left, N);
    DEMAND(left <= N / 20);
  }
}

/* Big blocks have their first object at the start of a block: what keeps bdwgc's
 * own tables keeps them. */
static void put_nowhere(size_t i, void *p)
{
  GCX_KEEP(p);
  (void)i;
}

static void run_lost(void)
{
  holders_make(20000, put_nowhere);
  DEMAND(holders_collect() <= 20000 / 200);
}

/* ---- regions: arguments */

static void run_region_arguments(void)
{
  void *a = malloc(64), *b = malloc(64);

  DEMAND(gcx__roots_add(NULL, 8) == -EINVAL);
  DEMAND(gcx__roots_add(a, 0) == -EINVAL);
  DEMAND(gcx__roots_add(a, SIZE_MAX) == -EINVAL);
  DEMAND(gcx__roots_add(a, 64) == 0);
  DEMAND(gcx__roots_add(b, 64) == 0);
  DEMAND(gcx__roots_add(b, 64) == 0);
  gcx__roots_remove(a, 64);
  gcx__roots_remove(a, 64);
  gcx__roots_remove(b, 63);
  gcx__roots_remove(b, 64);
  gcx__roots_remove(b, 64);
  free(a);
  free(b);
  gcx__bdw_collect();
}

/* ---- running a scenario */

struct scenario {
  const char *name;
  void (*run)(void);
};

static const struct scenario scenarios[] = {
  { "main", run_main },
  { "thread", run_thread },
  { "other", run_other },
  { "blocking", run_blocking },
  { "altstack", run_altstack },
  { "altstack_self", run_altstack_self },
  { "coroutine", run_coroutine },
  { "coroutine_self", run_coroutine_self },
  { "arguments", run_arguments },
  { "churn", run_churn },
  { "thousands", run_thousands },
  { "ended", run_ended },
  { "results", run_results },
  { "lost", run_lost },
  { "regions", run_region_arguments },
};

static const struct {
  const char *name, *value, *roots;
} settings[] = {
  { "GC_MARKERS", "1", "all" },
  { "GC_MARKERS", "2", "all" },
  { "GC_MARKERS", "4", "all" },
  { "GC_ENABLE_INCREMENTAL", "1", "all" },
  { "GC_MARKERS", "1", "strict" },
  { "GC_MARKERS", "4", "strict" },
  { "GC_ENABLE_INCREMENTAL", "1", "strict" },
};

static void run_named(const char *name, const char *roots)
{
  gcx__opt.roots = strcmp(roots, "all") == 0 ? GCX_ROOTS_ALL : GCX_ROOTS_STRICT;
  DEMAND(gcx__roots_obstacle() == NULL);
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(scenarios); i++)
    if (strcmp(scenarios[i].name, name) == 0) {
      scenarios[i].run();
      DEMAND(gcx__bdw_collections_seen() == gcx__bdw_collections());
      DEMAND(gcx__roots_complete());
      _exit(0);
    }
  _exit(3);
}

static int run_child(size_t scenario, size_t setting)
{
  int status;
  pid_t child = fork();

  if (child == 0) {
    (void)setenv("GCX_TEST_SCENARIO", scenarios[scenario].name, 1);
    (void)setenv("GCX_TEST_ROOTS", settings[setting].roots, 1);
    (void)setenv(settings[setting].name, settings[setting].value, 1);
    (void)execl("/proc/self/exe", "check_roots", (char *)NULL);
    _exit(4);
  }
  if (waitpid(child, &status, 0) != child)
    return -1;
  return status;
}

START_TEST(test_scenario)
  {
    for (size_t s = 0; s < GCX_ARRAY_LENGTH(settings); s++) {
      int status = run_child((size_t)_i, s);
      ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                    "%s with %s=%s, roots=%s: status %x", scenarios[_i].name,
                    settings[s].name, settings[s].value, settings[s].roots,
                    (unsigned)status);
    }
  }
END_TEST

static Suite *suite(void)
{
  const char *name = getenv("GCX_TEST_SCENARIO");
  Suite *s = suite_create("roots");
  TCase *scenario_case = tcase_create("scenarios");

  if (name != NULL)
    run_named(name, getenv("GCX_TEST_ROOTS"));
  tcase_add_loop_test(scenario_case, test_scenario, 0,
                      (int)GCX_ARRAY_LENGTH(scenarios));
  tcase_set_timeout(scenario_case, 120);
  suite_add_tcase(s, scenario_case);
  return s;
}

GCX_CHECK_MAIN(suite);
