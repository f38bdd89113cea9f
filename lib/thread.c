/* SPDX-License-Identifier: MIT */
/*
 * thread.c - gcx's own list of the threads of this process
 *
 * Life of an entry:
 *
 *           prepare            begin              last destructor round
 *    free ----------> starting -------> live ------------------------> free
 *      |                  | cancel       ^  \ fork, in the child: others -> free
 *      |                  +--> free      |
 *      +---------------------------------+
 *         enter: a thread that nobody announced
 *
 * A starting entry is on the list already, so that its start argument is a root
 * while no thread has it on its stack; stack_high is 0 until it is live.
 *
 * Locks: thread_lock guards both rings and the key. A stopped world is walked
 * without it: list.h keeps `next` whole at every instruction, and an entry that
 * a stopped thread has half filled in has stack_high 0. But a thread that enters is
 * not yet, and one that leaves not any more, among those that are stopped: a walk
 * could stand on an entry while it goes from one ring to the other, and would go on
 * there for ever. These two change the rings while no stop is on (`alone`).
 *
 * Leaving. Thread-specific destructors may still use objects, so the thread must
 * stay with the collector until they have all run. glibc runs them in rounds, in
 * each by ascending key, until none is set or PTHREAD_DESTRUCTOR_ITERATIONS
 * rounds are over. Ours re-arms itself until the last round; and its key is
 * higher than those of most programs where that can be had without another thread
 * noticing, so that in the last round, too, it comes last. A thread that asks for
 * an entry after that gets none: nobody would take it off the list.
 */
#include "thread.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "lock.h"
#include "maps.h"
#include "platform.h"
#include "vm.h"

/* No more of main's stack than this is believed where there is no limit. */
#define THREAD_MAIN_STACK_MAX ((uintptr_t)1 << 30)

/* Keys of thread-specific data below gcx's own. */
#define THREAD_KEYS_TAKEN 64

__thread struct gcx__thread *gcx__thread_current
    __attribute__((tls_model("initial-exec")));

static __thread bool thread_gone __attribute__((tls_model("initial-exec")));

static struct gcx__lock thread_lock = GCX_LOCK_INIT(GCX_RANK_THREADS);
static struct gcx__link thread_live = { &thread_live, &thread_live };
static struct gcx__link thread_free = { &thread_free, &thread_free };
static const struct gcx__thread_hooks *thread_hooks;
static pthread_key_t thread_key;
static bool thread_key_made;

/* ---- entries */

static struct gcx__thread *thread_of(struct gcx__link *l)
{
  return GCX_CONTAINER_OF(l, struct gcx__thread, link);
}

/* Everything but the link, which the caller sets, and what is counted for ever. */
static void thread_clear(struct gcx__thread *t)
{
  *t = (struct gcx__thread){ .generation = t->generation + 1,
                             .ended_plain = t->ended_plain,
                             .ended_blocks = t->ended_blocks };
  gcx__link_init(&t->link);
}

static struct gcx__thread *thread_take_locked(void)
{
  struct gcx__thread *t;

  GCX_ASSERT(gcx__lock_held(&thread_lock));
  if (gcx__link_is_alone(&thread_free)) {
    t = gcx__vm_alloc(sizeof(*t));
    if (t == NULL)
      return NULL;
  } else {
    t = thread_of(thread_free.prev); /* the one that left last */
    gcx__link_remove(&t->link);
  }
  thread_clear(t);
  return t;
}

/* The stack's bounds and the id stay: see gcx__thread_first_free(). */
static void thread_give_locked(struct gcx__thread *t)
{
  GCX_ASSERT(gcx__lock_held(&thread_lock));
  gcx__link_remove(&t->link);
  t->cells = NULL;
  t->freed = NULL;
  t->pools = NULL;
  t->trace = NULL;
  t->disposing = NULL;
  t->start_argument = NULL;
  gcx__link_add(&thread_free, &t->link);
}

static void *thread_give_alone(void *t)
{
  thread_give_locked(t);
  return NULL;
}

static void *thread_take_alone(void *unused)
{
  struct gcx__thread *t = thread_take_locked();

  (void)unused;
  if (t != NULL)
    gcx__link_add(&thread_live, &t->link);
  return t;
}

/* Before there are hooks there is no other thread. */
static void *thread_alone(void *(*fn)(void *arg), void *arg)
{
  return thread_hooks != NULL && thread_hooks->alone != NULL
             ? thread_hooks->alone(fn, arg)
             : fn(arg);
}

/* ---- where its stack is */

struct thread_main_stack {
  uintptr_t inside; /* an address in it */
  uintptr_t below;  /* end of the mapping before it */
  uintptr_t high;
};

static bool thread_see_mapping(const struct gcx__mapping *m, void *arg)
{
  struct thread_main_stack *s = arg;

  if (m->high <= s->inside) {
    s->below = m->high;
    return true;
  }
  if (m->low <= s->inside)
    s->high = m->high;
  return false;
}

/* The kernel lets main's stack grow down to its limit, or to what is in the
 * way. */
static void thread_bounds_of_main(struct gcx__thread *t)
{
  struct thread_main_stack s = { .inside = (uintptr_t)&s };
  struct rlimit limit;
  uintptr_t most = THREAD_MAIN_STACK_MAX;

  (void)gcx__maps_walk(thread_see_mapping, &s);
  if (s.high == 0)
    return;
  if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < most)
    most = (uintptr_t)limit.rlim_cur;
  t->stack_low = GCX_MAX(s.below, s.high - GCX_MIN(most, s.high));
  t->stack_high = s.high;
}

static void thread_bounds_of_other(struct gcx__thread *t)
{
  pthread_attr_t attributes;
  void *low;
  size_t bytes;

  if (pthread_getattr_np(pthread_self(), &attributes) != 0)
    return;
  if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
    t->stack_low = (uintptr_t)low;
    t->stack_high = (uintptr_t)low + bytes;
  }
  (void)pthread_attr_destroy(&attributes);
}

static void thread_find_altstack(struct gcx__thread *t)
{
  stack_t now;

  if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0) {
    t->altstack_low = (uintptr_t)now.ss_sp;
    t->altstack_high = (uintptr_t)now.ss_sp + now.ss_size;
  }
}

/* ---- leaving */

static void thread_leave(struct gcx__thread *t)
{
  if (thread_hooks != NULL && thread_hooks->leave != NULL)
    thread_hooks->leave(t);
  gcx__thread_lock();
  (void)thread_alone(thread_give_alone, t);
  gcx__thread_unlock();
  gcx__thread_current = NULL;
  thread_gone = true;
}

static void thread_on_exit(void *arg)
{
  struct gcx__thread *t = arg;

  if (t != gcx__thread_current)
    return;
  t->exiting = true;
  if (++t->exit_rounds < PTHREAD_DESTRUCTOR_ITERATIONS &&
      pthread_setspecific(thread_key, t) == 0)
    return;
  thread_leave(t);
}

/* A high key, by taking all below it: only while no other thread could ask for one
 * and find its numbers gone. Each costs glibc a look at all that are taken: as many
 * as there are, 1,024, would be half a millisecond in every process. */
static bool thread_make_high_key(void)
{
  pthread_key_t keys[THREAD_KEYS_TAKEN];
  size_t n = 0, highest = 0;

  if (!__libc_single_threaded)
    return false;
  while (n < THREAD_KEYS_TAKEN &&
         pthread_key_create(&keys[n], thread_on_exit) == 0) {
    if (keys[n] > keys[highest])
      highest = n;
    n++;
  }
  for (size_t i = 0; i < n; i++)
    if (i != highest)
      (void)pthread_key_delete(keys[i]);
  if (n != 0)
    thread_key = keys[highest];
  return n != 0;
}

static void thread_make_key_locked(void)
{
  GCX_ASSERT(gcx__lock_held(&thread_lock));
  if (!thread_key_made)
    thread_key_made = thread_make_high_key() ||
                      pthread_key_create(&thread_key, thread_on_exit) == 0;
}

/* ---- entering */

/* The entry is the thread's before anything that may call back into gcx. */
static void thread_fill(struct gcx__thread *t)
{
  gcx__thread_current = t;
  t->id = pthread_self();
  t->tid = gcx__tid();
  t->is_main = t->tid == (uint32_t)getpid();
  thread_find_altstack(t);
  if (t->is_main)
    thread_bounds_of_main(t);
  else
    thread_bounds_of_other(t);
  if (thread_key_made)
    (void)pthread_setspecific(thread_key, t);
}

static void thread_run_enter_hook(struct gcx__thread *t)
{
  if (thread_hooks != NULL && thread_hooks->enter != NULL)
    thread_hooks->enter(t);
}

struct gcx__thread *gcx__thread_enter(void)
{
  struct gcx__thread *t = gcx__thread_current;

  if (t != NULL)
    return t;
  if (thread_gone)
    return NULL;
  gcx__thread_lock();
  thread_make_key_locked();
  t = thread_alone(thread_take_alone, NULL);
  gcx__thread_unlock();
  if (t == NULL)
    return NULL;
  thread_fill(t);
  thread_run_enter_hook(t);
  return t;
}

struct gcx__thread *gcx__thread_prepare(void (*start)(void), void *argument)
{
  struct gcx__thread *t;

  gcx__thread_lock();
  thread_make_key_locked();
  t = thread_take_locked();
  if (t != NULL) {
    t->start = start;
    t->start_argument = argument;
    gcx__link_add(&thread_live, &t->link);
  }
  gcx__thread_unlock();
  return t;
}

void gcx__thread_begin(struct gcx__thread *t)
{
  GCX_ASSERT(gcx__thread_current == NULL);
  thread_fill(t);
  thread_run_enter_hook(t);
}

void gcx__thread_cancel(struct gcx__thread *t)
{
  gcx__thread_lock();
  thread_give_locked(t);
  gcx__thread_unlock();
}

void gcx__thread_init(const struct gcx__thread_hooks *hooks)
{
  gcx__thread_lock();
  thread_make_key_locked();
  gcx__thread_unlock();
  thread_hooks = hooks;
  if (gcx__thread_current != NULL)
    thread_run_enter_hook(gcx__thread_current);
}

/* ---- walking */

static struct gcx__thread *thread_after(struct gcx__link *head,
                                        struct gcx__link *l)
{
  struct gcx__link *next = __atomic_load_n(&l->next, __ATOMIC_ACQUIRE);

  return next == head ? NULL : thread_of(next);
}

struct gcx__thread *gcx__thread_first(void)
{
  return thread_after(&thread_live, &thread_live);
}

struct gcx__thread *gcx__thread_next(struct gcx__thread *t)
{
  return thread_after(&thread_live, &t->link);
}

struct gcx__thread *gcx__thread_first_free(void)
{
  return thread_after(&thread_free, &thread_free);
}

struct gcx__thread *gcx__thread_next_free(struct gcx__thread *t)
{
  return thread_after(&thread_free, &t->link);
}

static void thread_add_ended(const struct gcx__thread *t, uint64_t *plain,
                             uint64_t *blocks)
{
  *plain += __atomic_load_n(&t->ended_plain, __ATOMIC_RELAXED);
  *blocks += __atomic_load_n(&t->ended_blocks, __ATOMIC_RELAXED);
}

void gcx__thread_count_ended(uint64_t *ret_plain, uint64_t *ret_blocks)
{
  struct gcx__thread *t;
  uint64_t plain = 0, blocks = 0;

  gcx__thread_lock();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    thread_add_ended(t, &plain, &blocks);
  for (t = gcx__thread_first_free(); t != NULL; t = gcx__thread_next_free(t))
    thread_add_ended(t, &plain, &blocks);
  gcx__thread_unlock();
  *ret_plain = plain;
  *ret_blocks = blocks;
}

void gcx__thread_lock(void)
{
  gcx__lock(&thread_lock);
}

void gcx__thread_unlock(void)
{
  gcx__unlock(&thread_lock);
}

/* ---- fork */

void gcx__thread_after_fork(void (*drop)(struct gcx__thread *t))
{
  struct gcx__thread *self = gcx__thread_current;
  struct gcx__thread *t, *next;

  gcx__lock_reinit(&thread_lock);
  gcx__thread_lock();
  if (self != NULL)
    self->tid = gcx__tid();
  for (t = gcx__thread_first(); t != NULL; t = next) {
    next = gcx__thread_next(t);
    if (t == self)
      continue;
    if (drop != NULL)
      drop(t);
    thread_give_locked(t);
  }
  gcx__thread_unlock();
}
