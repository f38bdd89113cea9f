/* SPDX-License-Identifier: MIT */
/*
 * plugin_types.c - a library to be loaded: a type, objects and threads of its own
 */
#include "plugin_types.h"

#include <errno.h>
#include <gcx.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

extern __attribute__((visibility("default")))
const struct plugin_types plugin_types;

struct thing {
  char text[16];
  int *disposals;
  struct thing *next;
};

static int thing_dispose(void *obj)
{
  struct thing *t = obj;

  (void)__atomic_add_fetch(t->disposals, 1, __ATOMIC_RELAXED);
  return 0;
}

static int thing_describe(const void *obj, char *buf, size_t n)
{
  const struct thing *t = obj;
  return snprintf(buf, n, "%s of a plugin", t->text);
}

static const struct gcx_type thing_type =
    GCX_TYPE_INIT("plugin thing", sizeof(struct thing), 0, NULL, thing_dispose,
                  NULL, thing_describe);

__attribute__((noinline)) static void *thing_make(int *disposals)
{
  struct thing *t = gcx_new(&thing_type);

  if (t == NULL)
    return NULL;
  (void)snprintf(t->text, sizeof(t->text), "thing");
  t->disposals = disposals;
  return t;
}

/* ---- a kind of handle */

static int counter_release(intptr_t raw)
{
  (void)__atomic_add_fetch((int *)raw, 1, __ATOMIC_RELAXED);
  return 0;
}

static int counter_describe(intptr_t raw, char *buf, size_t n)
{
  return snprintf(buf, n, "counter at %d", *(const int *)raw);
}

static const struct gcx_handle_type counter_type = GCX_HANDLE_TYPE_INIT(
    "plugin counter", gcx_handle_zero_or_minus_one_is_invalid, counter_release,
    counter_describe, 0);

__attribute__((noinline)) static struct gcx_handle *counter_make(int *closed)
{
  return gcx_handle_create(&counter_type, (intptr_t)closed, true);
}

static void raise_flag(int *flag)
{
  __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

static void wait_flag(const int *flag)
{
  while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0)
    (void)sched_yield();
}

/* Cancelled here and nowhere else. */
static void end_as_said(const struct plugin_work *work)
{
  (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  if (work->end == PLUGIN_EXITS)
    pthread_exit(NULL);
  while (work->end == PLUGIN_IS_CANCELLED) {
    pthread_testcancel();
    (void)sched_yield();
  }
}

/* ---- objects in locals and in thread-local storage */

static __thread struct thing *in_tls[PLUGIN_HELD];

__attribute__((noinline)) static void drop(struct plugin_work *work)
{
  for (int i = 0; i < PLUGIN_DROPPED; i++)
    (void)thing_make(work->disposals);
}

static int look(struct thing *const *held)
{
  int intact = 0;

  for (int i = 0; i < PLUGIN_HELD; i++)
    intact += !gcx_is_disposed(held[i]) && strcmp(held[i]->text, "thing") == 0;
  return intact;
}

static void dispose_all(struct thing **held)
{
  for (int i = 0; i < PLUGIN_HELD; i++) {
    gcx_dispose(held[i]);
    held[i] = NULL;
  }
}

__attribute__((noinline)) static void hold(struct plugin_work *work)
{
  struct thing *held[PLUGIN_HELD];

  for (int i = 0; i < PLUGIN_HELD; i++) {
    held[i] = thing_make(work->disposals);
    in_tls[i] = thing_make(work->disposals);
  }
  __asm__ volatile("" : : "r"(held), "r"(in_tls) : "memory");
  raise_flag(&work->holding);
  wait_flag(&work->go_on);
  __asm__ volatile("" : : "r"(held), "r"(in_tls) : "memory");
  work->intact = look(held) + look(in_tls);
  dispose_all(held);
  dispose_all(in_tls);
}

static void *run(void *arg)
{
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  drop(arg);
  hold(arg);
  end_as_said(arg);
  return NULL;
}

static int run_c11(void *arg)
{
  (void)run(arg);
  return 0;
}

/* ---- objects that a key alone holds */

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void key_end(void *value)
{
  gcx_collect();
  for (struct thing *t = value; t != NULL; t = t->next)
    gcx_dispose(t);
}

static void key_make(void)
{
  (void)pthread_key_create(&key, key_end);
}

__attribute__((noinline)) static void hold_by_key(struct plugin_work *work)
{
  struct thing *first = NULL;

  (void)pthread_once(&key_once, key_make);
  for (int i = 0; i < PLUGIN_HELD; i++) {
    struct thing *t = thing_make(work->disposals);

    t->next = first;
    first = t;
  }
  (void)pthread_setspecific(key, first);
}

static void *run_keyed(void *arg)
{
  struct plugin_work *work = arg;

  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  hold_by_key(work);
  raise_flag(&work->holding);
  wait_flag(&work->go_on);
  end_as_said(work);
  return NULL;
}

static int run_keyed_c11(void *arg)
{
  (void)run_keyed(arg);
  return 0;
}

/* ---- exported */

static int start(pthread_t *ret_thread, struct plugin_work *work)
{
  return -pthread_create(ret_thread, NULL, run, work);
}

static int start_c11(thrd_t *ret_thread, struct plugin_work *work)
{
  return thrd_create(ret_thread, run_c11, work) == thrd_success ? 0 : -EAGAIN;
}

static int start_keyed(pthread_t *ret_thread, struct plugin_work *work)
{
  return -pthread_create(ret_thread, NULL, run_keyed, work);
}

static int start_keyed_c11(thrd_t *ret_thread, struct plugin_work *work)
{
  return thrd_create(ret_thread, run_keyed_c11, work) == thrd_success ? 0
                                                                      : -EAGAIN;
}

const struct plugin_types plugin_types = {
  thing_make, counter_make, start, start_c11, start_keyed, start_keyed_c11,
};
