/* SPDX-License-Identifier: MIT */
/* check_fork.c - children of processes with many threads */
#include "objects.h"

#include "thread.h"
#include "waits.h"

#define N 500
#define MOST (N * 95 / 100)
#define THREADS 6
#define ROUNDS 20
#define HELD_BY_WORKERS ((size_t)2 * THREADS) /* see works() */

static struct seen *seen;

static void setup(void)
{
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
  seen = seen_begin();
}

/* ---- threads that work while others fork */

static int stop_working;
static void *working[THREADS];

static void *works(void *arg)
{
  void **mine = arg;

  for (size_t i = 0; !flag_is_up(&stop_working); i++) {
    void *p = gcx_alloc(i % 500), *child = gcx_alloc(8);

    __atomic_store_n(mine, p, __ATOMIC_RELEASE);
    (void)gcx_own(p, child);
    gcx_touch(p, "working");
    if (i % 64 == 0)
      p = gcx_realloc(p, 2000);
    gcx_dispose(p);
    if (i % 2000 == 0)
      gcx_collect();
  }
  *mine = NULL;
  return NULL;
}

static pthread_t workers[THREADS];

static void work_begin(void)
{
  stop_working = 0;
  memset(working, 0, sizeof(working));
  for (int i = 0; i < THREADS; i++)
    workers[i] = thread_start(works, &working[i]);
  for (int i = 0; i < THREADS; i++)
    while (__atomic_load_n(&working[i], __ATOMIC_ACQUIRE) == NULL)
      (void)sched_yield();
}

static void work_end(void)
{
  flag_raise(&stop_working);
  for (int i = 0; i < THREADS; i++)
    (void)thread_join(workers[i]);
}

/* A thread that begins is inside malloc for a moment, and AddressSanitizer's has no
 * handler for fork(): its child would wait for ever. So all of them, gcx's own
 * included, have begun before there is a fork. */
static bool gcx_has_its_thread(void)
{
  struct gcx__thread *t;
  bool has = false;

  gcx__thread_lock();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    has |= t->is_gcx;
  gcx__thread_unlock();
  return has;
}

static pid_t fork_when_all_have_begun(void)
{
  while (!gcx_has_its_thread())
    (void)sched_yield();
  return fork();
}

/* ---- the child's life; its status says what went wrong */

static void *parents[N];

static GCX_NOINLINE void make_parents(void)
{
  for (size_t i = 0; i < N; i++) {
    parents[i] = gcx_alloc(40);
    memset(parents[i], 0x11, 40);
  }
}

static GCX_NOINLINE void lose(size_t n)
{
  for (size_t i = 0; i < n; i++)
    memset(gcx_alloc(56), 0x22, 56);
}

static GCX_NOINLINE void let_go_of_parents(void)
{
  memset(parents, 0, sizeof(parents));
}

static GCX_NOINLINE bool parents_are_whole(void)
{
  for (size_t i = 0; i < N; i++)
    if (gcx_is_disposed(parents[i]) || !is_all(parents[i], 40, 0x11))
      return false;
  return true;
}

static GCX_NOINLINE bool allocates(void)
{
  for (size_t i = 0; i < 5000; i++) {
    void *p = gcx_alloc(i % 300);

    if (p == NULL || !is_zero(p, i % 300))
      return false;
    gcx_dispose(p);
  }
  return true;
}

static int child_life(bool adopts)
{
  size_t found, late;

  if (!parents_are_whole() || !allocates())
    return 2;
  gcx_collect();
  if (gcx_check() != 0 || !parents_are_whole())
    return 3;
  lose(N); /* the child's own */
  found = objects_found();
  if (found < MOST || found > N || seen->direct != found)
    return 4;
  late = N - found;        /* kept by a leftover word, to be found later */
  gcx_dispose(parents[0]); /* allowed */
  if (!gcx_is_disposed(parents[0]))
    return 5;
  parents[0] = NULL;
  if (adopts)
    gcx_fork_adopt();
  let_go_of_parents();
  found = objects_found();
  /* All but the one that was disposed; and, adopted with them, what a vanished
   * thread was about to let go of, if a leftover word held it up to now. */
  if (adopts ? found < MOST - 1 || found > N - 1 + late + HELD_BY_WORKERS
             : found > late)
    return 6;
  return allocates() ? 0 : 7;
}

static int wait_for(pid_t child)
{
  int status;

  while (waitpid(child, &status, 0) < 0)
    ck_assert_int_eq(errno, EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

START_TEST(test_child_of_a_multithreaded_process)
  {
    make_parents();
    work_begin();
    for (int round = 0; round < ROUNDS; round++) {
      pid_t child = fork_when_all_have_begun();

      ck_assert_int_ge(child, 0);
      if (child == 0)
        _exit(child_life(_i == 1));
      ck_assert_int_eq(wait_for(child), 0);
    }
    work_end();
    ck_assert(parents_are_whole());
    ck_assert_uint_eq(objects_found(), 0);
    for (int i = 0; i < N; i++)
      gcx_dispose(parents[i]);
  }
END_TEST

/* What was found before is the parent's to answer for. */
START_TEST(test_findings_of_the_parent)
  {
    pid_t child;

    lose(N);
    gcx_collect();
    ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
    ck_assert_uint_ge(seen->direct, MOST);
    child = fork_when_all_have_begun();
    ck_assert_int_ge(child, 0);
    if (child == 0)
      _exit(gcx_check() != 0 ? 1 : gcx_verdict() == GCX_ABANDONED ? 2 : 0);
    ck_assert_int_eq(wait_for(child), 0);
    ck_assert_uint_ge(gcx_check(), MOST);
  }
END_TEST

START_TEST(test_child_of_a_child)
  {
    pid_t child;

    make_parents();
    work_begin();
    for (int round = 0; round < ROUNDS / 4; round++) {
      child = fork_when_all_have_begun();
      ck_assert_int_ge(child, 0);
      if (child == 0) {
        pid_t grandchild;

        lose(N);
        make_parents(); /* of the grandchild, now */
        grandchild = fork_when_all_have_begun();
        if (grandchild == 0)
          _exit(child_life(false));
        if (wait_for(grandchild) != 0)
          _exit(20);
        /* Those from before the first fork were let go of in silence. */
        _exit(objects_found() >= MOST && seen->direct <= N ? 0 : 21);
      }
      ck_assert_int_eq(wait_for(child), 0);
    }
    work_end();
  }
END_TEST

/* Forks on a thread that is not main; the child's threads work as well. */
static void *forks(void *arg)
{
  int *result = arg;

  for (int round = 0; round < ROUNDS && *result == 0; round++) {
    pid_t child = fork_when_all_have_begun();

    if (child == 0) {
      work_begin();
      if (!allocates())
        _exit(2);
      gcx_collect();
      work_end();
      _exit(objects_found() == 0 ? 0 : 3);
    }
    *result = child < 0 ? 1 : wait_for(child);
  }
  return NULL;
}

START_TEST(test_fork_on_another_thread)
  {
    int result = 0;

    make_parents();
    work_begin();
    (void)thread_join(thread_start(forks, &result));
    work_end();
    ck_assert_int_eq(result, 0);
    ck_assert(parents_are_whole());
  }
END_TEST

/* ---- daemon() */

static int daemon_pipe[2];

static void becomes_daemon(void)
{
  size_t found;
  char answer;

  if (daemon(1, 1) != 0)
    _exit(1);
  let_go_of_parents(); /* they are the daemon's now */
  found = objects_found();
  answer = found >= MOST && found <= N ? 'y' : 'n';
  _exit(write(daemon_pipe[1], &answer, 1) == 1 ? 0 : 1);
}

START_TEST(test_daemon_takes_over)
  {
    char answer = 0;
    pid_t child;

    ck_assert_int_eq(pipe(daemon_pipe), 0);
    make_parents();
    child = fork_when_all_have_begun();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
      gcx_fork_adopt();
      becomes_daemon();
    }
    (void)wait_for(child);
    (void)close(daemon_pipe[1]);
    ck_assert_int_eq(read(daemon_pipe[0], &answer, 1), 1);
    ck_assert_int_eq(answer, 'y');
  }
END_TEST

/* ---- fork inside a dispose function */

static int disposals;

static int forks_in_disposal(void *obj)
{
  pid_t child = fork_when_all_have_begun();

  if (child == 0) {
    gcx_dispose(obj);
    disposals++;
    return 0; /* the child's disposal ends like the parent's */
  }
  ck_assert_int_eq(wait_for(child), 0);
  disposals++;
  return 0;
}

static const struct gcx_type forking_type =
    GCX_TYPE_INIT("forking", 16, 0, NULL, forks_in_disposal, NULL, NULL);

START_TEST(test_fork_inside_a_dispose_function)
  {
    pid_t self = getpid();
    void *p = gcx_new(&forking_type);

    gcx_dispose(p);
    ck_assert(gcx_is_disposed(p));
    if (getpid() != self)
      _exit(disposals == 1 && allocates() ? 0 : 1);
    ck_assert_int_eq(disposals, 1);
  }
END_TEST

/* A disposal that another thread was in the middle of does not block the
 * child. */
static int inside, may_end;

static int waits_inside(void *obj)
{
  (void)obj;
  flag_raise(&inside);
  flag_wait(&may_end);
  return 0;
}

static const struct gcx_type waiting_type =
    GCX_TYPE_INIT("waiting", 16, 0, NULL, waits_inside, NULL, NULL);

static void *disposes(void *arg)
{
  gcx_dispose(arg);
  return NULL;
}

START_TEST(test_disposal_of_a_vanished_thread)
  {
    void *p = gcx_new(&waiting_type);
    pthread_t thread = thread_start(disposes, p);
    pid_t child;

    flag_wait(&inside);
    child = fork_when_all_have_begun();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
      (void)alarm(60);
      gcx_dispose(p); /* nobody will ever end it: returns at once */
      gcx_collect();
      _exit(gcx_is_disposed(p) ? 0 : 1);
    }
    ck_assert_int_eq(wait_for(child), 0);
    flag_raise(&may_end);
    (void)thread_join(thread);
    ck_assert(gcx_is_disposed(p));
  }
END_TEST

static Suite *fork_suite(void)
{
  Suite *s = suite_create("fork");
  TCase *c = tcase_create("fork");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_child_of_a_multithreaded_process, 0, 2);
  tcase_add_test(c, test_findings_of_the_parent);
  tcase_add_test(c, test_child_of_a_child);
  tcase_add_test(c, test_fork_on_another_thread);
  tcase_add_test(c, test_daemon_takes_over);
  tcase_add_test(c, test_fork_inside_a_dispose_function);
  tcase_add_test(c, test_disposal_of_a_vanished_thread);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(fork_suite);
