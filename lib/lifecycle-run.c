/* SPDX-License-Identifier: MIT */
/*
 * lifecycle-run.c - disposal with functions, or of an object that owns others
 *
 * Who won the object runs the functions with a frame on its stack that says so;
 * others wait until it has finished, unless they are called from inside it, or
 * their waiting would close a circle of threads that wait for each other's
 * disposals. The frames hang in the thread's entry; they and who waits for whom
 * are under gcx__aux_lock.
 *
 * A dispose function may be left by longjmp, pthread_exit, cancellation or a C++
 * exception: the frame is then taken off by a cleanup handler of glibc's older
 * kind, which longjmp runs too, and the object counts as disposed.
 */
#include "lifecycle-run.h"

#include <pthread.h>

#include "aux.h"
#include "left.h"
#include "platform.h"
#include "thread.h"
#include "type.h"

struct gcx__dispose_frame {
  struct gcx__dispose_frame *outer;
  struct gcx__thread *thread;
  uint32_t number;
  uint32_t site;
  bool done;
};

/* Object that a thread waits for, by thread entry; under gcx__aux_lock. */
struct lifecycle_wait {
  struct lifecycle_wait *next;
  struct gcx__thread *thread;
  uint32_t number;
};
static struct lifecycle_wait *lifecycle_waits;
static uint32_t lifecycle_ended; /* counts ends that somebody may wait for */

/* ---- who disposes what */

static struct gcx__thread *lifecycle_disposer_locked(uint32_t number)
{
  struct gcx__thread *t;
  const struct gcx__dispose_frame *f;

  gcx__thread_lock();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    for (f = t->disposing; f != NULL; f = f->outer)
      if (f->number == number)
        break;
    if (f != NULL)
      break;
  }
  gcx__thread_unlock();
  return t;
}

static const struct lifecycle_wait *lifecycle_wait_of(
    const struct gcx__thread *t)
{
  const struct lifecycle_wait *w;

  for (w = lifecycle_waits; w != NULL; w = w->next)
    if (w->thread == t)
      return w;
  return NULL;
}

/* Would @self, waiting for @number, wait for itself? */
static bool lifecycle_is_circle_locked(const struct gcx__thread *self,
                                       uint32_t number)
{
  for (;;) {
    const struct gcx__thread *t = lifecycle_disposer_locked(number);
    const struct lifecycle_wait *w;

    if (t == NULL)
      return false;
    if (t == self)
      return true;
    w = lifecycle_wait_of(t);
    if (w == NULL)
      return false;
    number = w->number;
  }
}

static void lifecycle_unwait_locked(struct lifecycle_wait *w)
{
  struct lifecycle_wait **at = &lifecycle_waits;

  while (*at != w)
    at = &(*at)->next;
  *at = w->next;
}

static bool lifecycle_is_disposing(uint32_t number)
{
  return (gcx__record_state(number) & GCX_STATE_MASK) == GCX_STATE_DISPOSING;
}

void gcx__lifecycle_wait_for(uint32_t number)
{
  struct lifecycle_wait w = { .thread = gcx__thread_self(), .number = number };

  gcx__lock(&gcx__aux_lock);
  if (w.thread == NULL || lifecycle_is_circle_locked(w.thread, number)) {
    gcx__unlock(&gcx__aux_lock);
    return;
  }
  w.next = lifecycle_waits;
  lifecycle_waits = &w;
  while (lifecycle_is_disposing(number)) {
    uint32_t seen = __atomic_load_n(&lifecycle_ended, __ATOMIC_ACQUIRE);

    gcx__unlock(&gcx__aux_lock);
    if (lifecycle_is_disposing(number))
      gcx__futex_wait(&lifecycle_ended, seen, UINT64_MAX);
    gcx__lock(&gcx__aux_lock);
  }
  lifecycle_unwait_locked(&w);
  gcx__unlock(&gcx__aux_lock);
}

/* ---- running the functions */

static bool lifecycle_owns_locked(uint32_t number)
{
  const struct gcx__aux *a = gcx__aux_of(number);

  return a != NULL && a->first_child != 0;
}

/* State DISPOSED, whatever flags came up meanwhile. The object leaves its owner's
 * list, and its aux entry goes; only the size of a very large one has to stay,
 * and the dispose site is then kept with it, else in the link. False if another
 * thread had it own something meanwhile, unless it is @left for good. */
static bool lifecycle_set_disposed(uint32_t number, uint32_t site, bool left)
{
  uint32_t state, drop = 0;

  gcx__lock(&gcx__aux_lock);
  if (!left && lifecycle_owns_locked(number)) {
    gcx__unlock(&gcx__aux_lock);
    return false;
  }
  if ((gcx__record_state(number) & GCX_FLAG_BIG) != 0) {
    gcx__aux_detach_locked(number, site);
  } else {
    gcx__aux_release_locked(number);
    drop = GCX_FLAG_AUX;
  }
  do
    state = gcx__record_state(number);
  while (!gcx__record_change(
      number, state, (state & ~(GCX_STATE_MASK | drop)) | GCX_STATE_DISPOSED));
  if (drop != 0)
    gcx__record_fate(number)->link = site;
  __atomic_fetch_add(&lifecycle_ended, 1, __ATOMIC_RELEASE);
  if (lifecycle_waits != NULL)
    gcx__futex_wake(&lifecycle_ended);
  gcx__unlock(&gcx__aux_lock);
  return true;
}

/* False: there is something left to dispose. */
static bool lifecycle_frame_end(struct gcx__dispose_frame *f, bool left)
{
  if (!lifecycle_set_disposed(f->number, f->site, left))
    return false;
  f->done = true;
  if (f->thread != NULL) {
    gcx__lock(&gcx__aux_lock);
    f->thread->disposing = f->outer;
    gcx__unlock(&gcx__aux_lock);
  }
  return true;
}

/* It was left by longjmp, pthread_exit, an exception. */
static void lifecycle_frame_left(void *arg)
{
  struct gcx__dispose_frame *f = arg;

  if (!f->done)
    (void)lifecycle_frame_end(f, true);
}

static int lifecycle_run_types(const struct gcx_type *type, void *p)
{
  int first = 0;

  for (; type != NULL; type = type->base)
    if (type->dispose != NULL) {
      int r = type->dispose(p);

      if (first == 0 && r < 0)
        first = r;
    }
  return first;
}

/* DISPOSING, and whose doing it is, in one step for whoever takes the lock: a
 * fork sees both or neither. False: @state was not the state any more. */
static bool lifecycle_frame_begin(struct gcx__dispose_frame *f, uint32_t state)
{
  bool won;

  gcx__lock(&gcx__aux_lock);
  won = gcx__record_change(f->number, state,
                           (state & ~GCX_STATE_MASK) | GCX_STATE_DISPOSING);
  if (won && f->thread != NULL) {
    f->outer = f->thread->disposing;
    f->thread->disposing = f;
  }
  gcx__unlock(&gcx__aux_lock);
  return won;
}

uint32_t gcx__lifecycle_site(void)
{
  const struct gcx__thread *t = gcx__thread_current;

  return t != NULL && t->disposing != NULL ? t->disposing->site : 0;
}

bool gcx__lifecycle_run(uint32_t number, uint32_t state, enum gcx__end how,
                        uint32_t site, int *ret_result)
{
  struct gcx__dispose_frame frame
      __attribute__((cleanup(lifecycle_frame_left))) = {
        .thread = gcx__thread_self(), .number = number, .site = site
      };
  struct _pthread_cleanup_buffer buffer;
  void *p = gcx__record_object(number);

  frame.done = !lifecycle_frame_begin(&frame, state);
  if (frame.done)
    return false;
  _pthread_cleanup_push(&buffer, lifecycle_frame_left, &frame);
  if (how == GCX_END_DISPOSE)
    *ret_result =
        lifecycle_run_types(gcx__type_at(gcx__record_at(number)->type), p);
  do {
    gcx__lifecycle_end_owned(number, site);
    gcx__lifecycle_wipe(number);
  } while (!lifecycle_frame_end(&frame, false));
  _pthread_cleanup_pop(&buffer, 0);
  GCX_KEEP(p);
  return true;
}

/* ---- owned objects */

/* The latest child is taken off its owner; 0 if there is none. Only the owner's
 * list may have kept it alive: its object is on this stack before it is off. */
static uint32_t lifecycle_take_child(uint32_t number, void **ret_object)
{
  struct gcx__aux *owner, *child, *next;
  uint32_t taken = 0;

  gcx__lock(&gcx__aux_lock);
  owner = gcx__aux_of(number);
  if (owner != NULL && owner->first_child != 0) {
    taken = owner->first_child;
    *ret_object = gcx__record_object(taken);
    child = gcx__aux_of(taken);
    GCX_ASSERT(child != NULL && child->owner == number);
    next = child->next_sibling != 0 ? gcx__aux_of(child->next_sibling) : NULL;
    __atomic_store_n(&owner->first_child, child->next_sibling,
                     __ATOMIC_RELEASE);
    if (next != NULL)
      next->previous_sibling = 0;
    child->owner = child->next_sibling = child->previous_sibling = 0;
  }
  gcx__unlock(&gcx__aux_lock);
  return taken;
}

void gcx__lifecycle_end_owned(uint32_t number, uint32_t site)
{
  void *child_object = NULL;
  uint32_t child;

  while ((child = lifecycle_take_child(number, &child_object)) != 0) {
    (void)gcx__lifecycle_end(child, GCX_END_DISPOSE, site, NULL);
    GCX_KEEP(child_object);
  }
}

/* ---- fork */

void gcx__lifecycle_after_fork(void)
{
  const struct gcx__dispose_frame *f;
  struct gcx__thread *t;

  lifecycle_waits = NULL;
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t))
    for (f = t == gcx__thread_current ? NULL : t->disposing; f != NULL;
         f = f->outer)
      (void)lifecycle_set_disposed(f->number, f->site, true);
}
