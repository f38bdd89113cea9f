/* SPDX-License-Identifier: MIT */
/*
 * check_thread.c - threads from birth to last destructor: on the list, with the
 *                  collector, with the right bounds; in every way to start and end
 *
 * Each scenario is a process of its own: see check_roots.c.
 */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

#include <gcx.h>

#include "bdw.h"
#include "check_main.h"
#include "holders.h"
#include "options.h"
#include "thread.h"
#include "waits.h"

#define DEMAND(condition)                                                 \
  ((condition)                                                            \
       ? (void)0                                                          \
       : (fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition), \
          _exit(1)))

/* From gc.h, which has macros in the place of pthread_create(). */
struct GC_stack_base {
  void *mem_base;
};
extern int GC_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                             void *(*fn)(void *), void *arg);
extern int GC_pthread_join(pthread_t id, void **ret_result);
extern int GC_register_my_thread(const struct GC_stack_base *base);
extern int GC_unregister_my_thread(void);

static size_t listed(void)
{
  size_t n = 0;
  struct gcx__thread *t;

  gcx__thread_lock();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    n += !t->is_marker;
  gcx__thread_unlock();
  return n;
}

/* A detached or C11 thread leaves the list a little before, or after, its end is
 * seen: wait for that, not for a time. */
static void wait_until_listed(size_t n)
{
  while (listed() != n)
    (void)sched_yield();
}

static void check_self(void)
{
  const struct gcx__thread *t = gcx__thread_current;
  uintptr_t here = (uintptr_t)&t;

  DEMAND(t != NULL && gcx__thread_self() == t);
  DEMAND(pthread_equal(t->id, pthread_self()));
  DEMAND(t->stack_low < here && here < t->stack_high);
  DEMAND(t->is_main ||
         (t->stack_low < (uintptr_t)t->id && (uintptr_t)t->id < t->stack_high));
  DEMAND(t->scanned && gcx__bdw_thread_is_registered());
}

/* ---- what a key holds is there for its destructor, in every round */

static pthread_key_t key;
static int destructors_run, destructors_bad;

static void look_at_object(void *arg)
{
  const uintptr_t *p = arg;
  uintptr_t rounds = p[3] + 1;

  holders_reuse();
  gcx__bdw_collect();
  holders_reuse();
  if (p[1] != HOLDERS_PATTERN || !gcx__bdw_thread_is_registered())
    __atomic_fetch_add(&destructors_bad, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&destructors_run, 1, __ATOMIC_RELAXED);
  ((uintptr_t *)arg)[3] = rounds;
  if (rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
    (void)pthread_setspecific(key, arg);
}

static GCX_NOINLINE void leave_object_to_key(void)
{
  uintptr_t *p = gcx__bdw_alloc(HOLDERS_BYTES, GCX_KIND_NORMAL);

  p[1] = HOLDERS_PATTERN;
  p[3] = 0;
  DEMAND(pthread_setspecific(key, p) == 0);
}

enum end { END_RETURN, END_EXIT, END_CANCEL };

static void *end_somehow(void *arg)
{
  check_self();
  leave_object_to_key();
  gcx__bdw_clear_stack();
  switch ((enum end)(uintptr_t)arg) {
  case END_EXIT:
    pthread_exit(arg);
  case END_CANCEL:
    for (;;)
      (void)pause();
  default:
    return arg;
  }
}

static void end_threads(int (*create)(pthread_t *, const pthread_attr_t *,
                                      void *(*)(void *), void *),
                        int (*join)(pthread_t, void **))
{
  holders_count = 500;
  destructors_run = destructors_bad = 0;
  for (uintptr_t i = 0; i < 21; i++) {
    pthread_t id;
    void *result;
    DEMAND(create(&id, NULL, end_somehow, (void *)(i % 3)) == 0);
    if (i % 3 == END_CANCEL)
      DEMAND(pthread_cancel(id) == 0);
    DEMAND(join(id, &result) == 0);
    DEMAND(i % 3 == END_CANCEL || result == (void *)(i % 3));
    DEMAND(listed() == 1);
  }
  /* one that was cancelled before it began may have had nothing in its key */
  DEMAND(destructors_run >= 14 * PTHREAD_DESTRUCTOR_ITERATIONS);
  DEMAND(destructors_bad == 0);
}

static void run_endings(void)
{
  DEMAND(pthread_key_create(&key, look_at_object) == 0);
  end_threads(pthread_create, pthread_join);
}

/* bdwgc lets go of its own before the destructors run. */
static void run_endings_of_bdwgc(void)
{
  DEMAND(pthread_key_create(&key, look_at_object) == 0);
  end_threads(GC_pthread_create, GC_pthread_join);
}

static void *end_detached(void *arg)
{
  check_self();
  leave_object_to_key();
  return arg;
}

static void run_detached(void)
{
  pthread_attr_t attributes;

  holders_count = 100;
  DEMAND(pthread_key_create(&key, look_at_object) == 0);
  DEMAND(pthread_attr_init(&attributes) == 0);
  DEMAND(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) ==
         0);
  for (int i = 0; i < 10; i++) {
    pthread_t id;
    DEMAND(pthread_create(&id, &attributes, end_detached, NULL) == 0);
    DEMAND(GC_pthread_create(&id, &attributes, end_detached, NULL) == 0);
  }
  while (__atomic_load_n(&destructors_run, __ATOMIC_RELAXED) !=
         20 * PTHREAD_DESTRUCTOR_ITERATIONS)
    gcx__bdw_collect();
  wait_until_listed(1);
  DEMAND(destructors_bad == 0);
}

/* ---- other ways to start */

static int start_c11(void *arg)
{
  check_self();
  gcx__bdw_collect();
  return (int)(uintptr_t)arg;
}

static void run_c11(void)
{
  for (uintptr_t i = 0; i < 20; i++) {
    thrd_t id;
    int result;
    DEMAND(thrd_create(&id, start_c11, (void *)i) == thrd_success);
    DEMAND(thrd_join(id, &result) == thrd_success);
    DEMAND(result == (int)i);
  }
  wait_until_listed(1);
}

static void *check_self_and_end(void *arg)
{
  check_self();
  gcx__bdw_collect();
  return arg;
}

static void run_own_stack(void)
{
  pthread_attr_t attributes;
  size_t bytes = (size_t)1 << 20;
  void *stack;
  pthread_t id;

  DEMAND(posix_memalign(&stack, 4096, bytes) == 0);
  DEMAND(pthread_attr_init(&attributes) == 0);
  DEMAND(pthread_attr_setstack(&attributes, stack, bytes) == 0);
  DEMAND(pthread_create(&id, &attributes, check_self_and_end, NULL) == 0);
  DEMAND(pthread_join(id, NULL) == 0);
  free(stack);
  gcx__bdw_collect();
}

static void run_failing(void)
{
  pthread_attr_t attributes;
  pthread_t id;

  DEMAND(pthread_attr_init(&attributes) == 0);
  DEMAND(pthread_attr_setstacksize(&attributes, (size_t)1 << 46) == 0);
  DEMAND(pthread_create(&id, &attributes, check_self_and_end, NULL) != 0);
  DEMAND(listed() == 1);
  gcx__bdw_collect();
}

/* ---- threads that the program registers itself */

static void *register_again(void *unused)
{
  struct GC_stack_base base = { .mem_base = &base };

  DEMAND(GC_register_my_thread(&base) != 0); /* GC_DUPLICATE */
  DEMAND(gcx__bdw_thread_is_registered());
  leave_object_to_key();
  return unused;
}

static void run_registered(void)
{
  pthread_t id;

  holders_count = 100;
  DEMAND(pthread_key_create(&key, look_at_object) == 0);
  DEMAND(pthread_create(&id, NULL, register_again, NULL) == 0);
  DEMAND(pthread_join(id, NULL) == 0);
  DEMAND(destructors_bad == 0);
  gcx__bdw_collect();
}

/* Unregistered by a program that did not mind GC_DUPLICATE: back again for the
 * destructors. */
static void *unregister_in_function(void *arg)
{
  (void)GC_unregister_my_thread();
  return arg;
}

static void run_unregistered(void)
{
  pthread_t id;

  for (int i = 0; i < 10; i++) {
    DEMAND(pthread_create(&id, NULL, unregister_in_function, NULL) == 0);
    DEMAND(pthread_join(id, NULL) == 0);
    gcx__bdw_collect();
  }
  DEMAND(listed() == 1);
}

/* ---- a thread that blocks every signal does not stop the collector */

static pthread_barrier_t barrier;

static void *block_all(void *how)
{
  sigset_t set, now;

  (void)sigfillset(&set);
  if (how != NULL)
    DEMAND(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
  else
    DEMAND(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  DEMAND(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
  DEMAND(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGTERM) == 1);
  (void)pthread_barrier_wait(&barrier);
  (void)pthread_barrier_wait(&barrier);
  return NULL;
}

static void run_blocked_signals(void)
{
  for (uintptr_t i = 0; i < 2; i++) {
    pthread_t id;
    DEMAND(pthread_barrier_init(&barrier, NULL, 2) == 0);
    DEMAND(pthread_create(&id, NULL, block_all, (void *)i) == 0);
    (void)pthread_barrier_wait(&barrier);
    for (int j = 0; j < 20; j++)
      gcx__bdw_collect();
    (void)pthread_barrier_wait(&barrier);
    DEMAND(pthread_join(id, NULL) == 0);
  }
}

/* Born of a thread that has them blocked by other means. */
static void run_blocked_inherited(void)
{
  pthread_attr_t attributes;
  sigset_t set;
  pthread_t id;

  (void)sigfillset(&set);
  DEMAND(pthread_attr_init(&attributes) == 0);
  DEMAND(pthread_attr_setsigmask_np(&attributes, &set) == 0);
  DEMAND(pthread_barrier_init(&barrier, NULL, 2) == 0);
  DEMAND(pthread_create(&id, &attributes, block_all, NULL) == 0);
  (void)pthread_barrier_wait(&barrier);
  for (int j = 0; j < 20; j++)
    gcx__bdw_collect();
  (void)pthread_barrier_wait(&barrier);
  DEMAND(pthread_join(id, NULL) == 0);
}

/* ---- main goes first */

static void *collect_after_main(void *main_thread)
{
  DEMAND(pthread_join(*(pthread_t *)main_thread, NULL) == 0);
  wait_until_listed(1);
  for (int i = 0; i < 20; i++)
    gcx__bdw_collect();
  check_self();
  _exit(0);
}

static void run_main_exits(void)
{
  static pthread_t self;
  pthread_t id;

  self = pthread_self();
  DEMAND(pthread_create(&id, NULL, collect_after_main, &self) == 0);
  pthread_exit(NULL);
}

/* ---- fork */

static size_t dropped;

static void count_dropped(struct gcx__thread *t)
{
  DEMAND(t != gcx__thread_current);
  dropped++;
}

static void *wait_twice(void *arg)
{
  (void)pthread_barrier_wait(&barrier);
  (void)pthread_barrier_wait(&barrier);
  return arg;
}

static void run_after_fork(void)
{
  pthread_t ids[5];

  DEMAND(pthread_barrier_init(&barrier, NULL, 6) == 0);
  for (int i = 0; i < 5; i++)
    DEMAND(pthread_create(&ids[i], NULL, wait_twice, NULL) == 0);
  (void)pthread_barrier_wait(&barrier);
  DEMAND(listed() == 6);
  gcx__thread_lock();
  gcx__thread_after_fork(count_dropped); /* as if they were gone */
  DEMAND(listed() == 1 && dropped >= 5);
  _exit(0);
}

/* ---- to be cancelled while it is inside gcx */

static int things_disposed;
static bool came_through;

static int thing_dispose(void *obj)
{
  (void)obj;
  things_disposed++;
  return 0;
}

static const struct gcx_type thing_type =
    GCX_TYPE_INIT("thing", 40, 0, NULL, thing_dispose, NULL, NULL);

static GCX_NOINLINE void lose_some(void)
{
  for (int i = 0; i < 100; i++)
    DEMAND(gcx_alloc(40) != NULL);
}

static GCX_NOINLINE void use_objects(void)
{
  void *owner = gcx_new(&thing_type), *child = gcx_new(&thing_type);
  char *text = gcx_strdup("text");

  DEMAND(owner != NULL && child != NULL && text != NULL);
  DEMAND(gcx_own(owner, child) == 0);
  gcx_touch(owner, "used");
  gcx_breadcrumb("on the way");
  text = gcx_realloc(text, 4000);
  DEMAND(text != NULL);
  gcx_dispose(text);
  DEMAND(gcx_close(owner) == 0);
  gcx_dispose(owner); /* said, with double_dispose=report */
}

static void *uses_gcx_while_to_be_cancelled(void *arg)
{
  (void)pthread_cancel(pthread_self());
  use_objects();
  lose_some();
  DEMAND(gcx_check() > 0);
  DEMAND(gcx_verdict() != GCX_CLEAN || gcx_check() == 0);
  gcx_collect();
  use_objects();
  came_through = true;
  pthread_testcancel();
  return arg;
}

static void run_cancelled_inside(void)
{
  pthread_t thread;
  void *result;

  DEMAND(freopen("/dev/null", "w", stderr) == stderr);
  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx__opt.misuse = GCX_MISUSE_REPORT;
  gcx__opt.double_dispose = GCX_DOUBLE_REPORT;
  DEMAND(pthread_create(&thread, NULL, uses_gcx_while_to_be_cancelled, NULL) ==
         0);
  DEMAND(pthread_join(thread, &result) == 0);
  DEMAND(came_through && result == PTHREAD_CANCELED);
  DEMAND(things_disposed == 4);
}

/* What a thread needed, the next one gets: memory of gcx's own is never given
 * back to the system, and threads may come and go by the thousand. */
#define IN_TURN 300
#define CACHES_MOST \
  4 /* an old thread may not be gone yet when the next begins */

static void *tells_its_cache(void *arg)
{
  void *p = gcx_alloc(40);

  DEMAND(p != NULL);
  *(struct gcx__cells **)arg = gcx__thread_current->cells;
  gcx_dispose(p);
  return NULL;
}

static void run_caches_are_used_again(void)
{
  struct gcx__cells *seen[CACHES_MOST] = { NULL }, *mine = NULL;
  size_t count = 0;

  for (size_t i = 0; i < IN_TURN; i++) {
    pthread_t thread;
    size_t k = 0;

    DEMAND(pthread_create(&thread, NULL, tells_its_cache, &mine) == 0);
    DEMAND(pthread_join(thread, NULL) == 0);
    DEMAND(mine != NULL);
    while (k < count && seen[k] != mine)
      k++;
    DEMAND(k < CACHES_MOST);
    seen[k] = mine;
    count = k == count ? count + 1 : count;
  }
}

static void run_main_is_listed(void)
{
  check_self();
  DEMAND(gcx__thread_current->is_main);
  DEMAND(listed() == 1);
}

/* ---- in a stop, whoever is not stopped leaves the list alone */

static struct gcx__thread *other;
static uint32_t other_tid;
static int other_may_go;

/* Of those that are listed: is the other one, and how many are there? */
static size_t walk_list(bool *ret_has_other)
{
  size_t n = 0;

  *ret_has_other = false;
  for (struct gcx__thread *t = gcx__thread_first(); t != NULL && n < 1000;
       t = gcx__thread_next(t)) {
    *ret_has_other |= t == other;
    n++;
  }
  return n;
}

static void *leave_when_told(void *unused)
{
  other = gcx__thread_current;
  __atomic_store_n(&other_tid, gcx__tid(), __ATOMIC_RELEASE);
  flag_wait(&other_may_go);
  return unused;
}

/* As in a stop. The other one has left bdwgc, which can't stop it any more. */
static void *walk_as_it_leaves(void *unused)
{
  bool is_there;

  gcx__thread_unlock();
  thread_wait_until_asleep(&other_tid);
  (void)walk_list(&is_there);
  DEMAND(is_there);
  return unused;
}

static void run_leaves_in_a_stop(void)
{
  pthread_t id;
  bool is_there;

  DEMAND(pthread_create(&id, NULL, leave_when_told, NULL) == 0);
  while (__atomic_load_n(&other_tid, __ATOMIC_ACQUIRE) == 0)
    (void)sched_yield();
  gcx__thread_lock();
  flag_raise(&other_may_go);
  while (*(volatile bool *)&other->scanned)
    (void)sched_yield();
  (void)gcx__bdw_with_lock(walk_as_it_leaves, NULL);
  DEMAND(pthread_join(id, NULL) == 0);
  (void)walk_list(&is_there);
  DEMAND(!is_there);
}

static void *enter_when_told(void *unused)
{
  __atomic_store_n(&other_tid, gcx__tid(), __ATOMIC_RELEASE);
  flag_wait(&other_may_go);
  DEMAND(gcx__thread_self() != NULL);
  return unused;
}

static void *walk_as_it_enters(void *unused)
{
  bool is_there;
  size_t n = walk_list(&is_there);

  flag_raise(&other_may_go);
  thread_wait_until_asleep(&other_tid);
  DEMAND(walk_list(&is_there) == n);
  return unused;
}

/* Started behind libgcx's back. */
static void run_enters_in_a_stop(void)
{
  int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  void *found = dlsym(RTLD_NEXT, "pthread_create");
  pthread_t id;

  DEMAND(found != NULL);
  memcpy(&create, &found, sizeof(create));
  DEMAND(create(&id, NULL, enter_when_told, NULL) == 0);
  while (__atomic_load_n(&other_tid, __ATOMIC_ACQUIRE) == 0)
    (void)sched_yield();
  (void)gcx__bdw_with_lock(walk_as_it_enters, NULL);
  DEMAND(pthread_join(id, NULL) == 0);
}

/* ---- running */

static const struct {
  const char *name;
  void (*run)(void);
} scenarios[] = {
  { "main", run_main_is_listed },
  { "endings", run_endings },
  { "endings of bdwgc", run_endings_of_bdwgc },
  { "detached", run_detached },
  { "c11", run_c11 },
  { "own stack", run_own_stack },
  { "failing", run_failing },
  { "registered", run_registered },
  { "unregistered", run_unregistered },
  { "blocked", run_blocked_signals },
  { "blocked inherited", run_blocked_inherited },
  { "main exits", run_main_exits },
  { "fork", run_after_fork },
  { "cancelled inside", run_cancelled_inside },
  { "caches", run_caches_are_used_again },
  { "leaves in a stop", run_leaves_in_a_stop },
  { "enters in a stop", run_enters_in_a_stop },
};

static void run_named(const char *name)
{
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(scenarios); i++)
    if (strcmp(scenarios[i].name, name) == 0) {
      scenarios[i].run();
      _exit(0);
    }
  _exit(3);
}

START_TEST(test_scenario)
  {
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
      (void)setenv("GCX_TEST_SCENARIO", scenarios[_i].name, 1);
      (void)execl("/proc/self/exe", "check_thread", (char *)NULL);
      _exit(4);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "%s: status %x", scenarios[_i].name, (unsigned)status);
  }
END_TEST

static Suite *suite(void)
{
  const char *name = getenv("GCX_TEST_SCENARIO");
  Suite *s = suite_create("thread");
  TCase *c = tcase_create("scenarios");

  if (name != NULL)
    run_named(name);
  tcase_add_loop_test(c, test_scenario, 0, (int)GCX_ARRAY_LENGTH(scenarios));
  tcase_set_timeout(c, 60);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
