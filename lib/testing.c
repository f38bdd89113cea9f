/* SPDX-License-Identifier: MIT */
/*
 * testing.c - scopes for tests
 *
 * Orders of birth are handed to threads in runs and ascend within each thread.
 * So an object was born after a moment if its order lies in what was left of a
 * thread's run at that moment, or in a run that was handed out later. A scope of
 * one thread remembers the rest of its run; one of any thread those of all.
 */
#include "../include/gcx/testing.h"

#include <errno.h>

#include "aux.h"
#include "cells.h"
#include "census.h"
#include "object.h"
#include "thread.h"
#include "vm.h"

#define SIGNATURE UINT64_C(0x676e69747365742d)

struct testing_rest {
  uint32_t order;
  uint32_t end;
};

/* Rests of the runs of all threads. */
struct testing_others {
  size_t bytes; /* of the mapping */
  size_t count;
  struct testing_rest rest[];
};

static bool testing_is_in(uint32_t order, uint32_t begin, uint32_t end)
{
  return order - begin < end - begin;
}

/* Threads that are on the list; more may come. */
static size_t testing_threads(void)
{
  size_t n = 0;

  gcx__thread_lock();
  for (struct gcx__thread *t = gcx__thread_first(); t != NULL;
       t = gcx__thread_next(t))
    n++;
  gcx__thread_unlock();
  return n;
}

/* A thread that comes on the list afterwards takes a run that is later. */
static struct testing_others *testing_rests(void)
{
  size_t room = testing_threads() + 64;
  size_t bytes =
      sizeof(struct testing_others) + room * sizeof(struct testing_rest);
  struct testing_others *o = gcx__vm_map(bytes);

  if (o == NULL)
    return NULL;
  o->bytes = bytes;
  gcx__thread_lock();
  for (struct gcx__thread *t = gcx__thread_first();
       t != NULL && o->count < room; t = gcx__thread_next(t))
    if (t->cells != NULL)
      o->rest[o->count++] =
          (struct testing_rest){ t->cells->order, t->cells->order_end };
  gcx__thread_unlock();
  return o;
}

int gcx_testing_begin(struct gcx_testing *scope, unsigned flags)
{
  struct gcx__thread *t = gcx__thread_self();
  struct testing_others *others = NULL;

  if (scope == NULL || (flags & ~GCX_TESTING_ANY_THREAD) != 0)
    return -EINVAL;
  if (t == NULL)
    return -ENOMEM;
  if ((flags & GCX_TESTING_ANY_THREAD) != 0) {
    others = testing_rests();
    if (others == NULL)
      return -ENOMEM;
  }
  *scope = (struct gcx_testing){
    .flags = flags,
    .tid = t->tid,
    .order = gcx__cells_next_run(),
    .own_order = t->cells != NULL ? t->cells->order : 0,
    .own_end = t->cells != NULL ? t->cells->order_end : 0,
    .others = others,
  };
  scope->signature = SIGNATURE;
  return 0;
}

static bool testing_is_new(const struct gcx_testing *s, uint32_t number)
{
  const struct gcx__record *r = gcx__record_at(number);
  const struct testing_others *o = s->others;

  if (o == NULL && r->tid != s->tid)
    return false;
  if ((int32_t)(r->birth_order - s->order) >= 0 ||
      testing_is_in(r->birth_order, s->own_order, s->own_end))
    return true;
  for (size_t i = 0; o != NULL && i < o->count; i++)
    if (testing_is_in(r->birth_order, o->rest[i].order, o->rest[i].end))
      return true;
  return false;
}

static bool testing_has_owner(uint32_t number)
{
  const struct gcx__aux *a;
  bool owned;

  if ((gcx__record_state(number) & GCX_FLAG_AUX) == 0)
    return false;
  gcx__lock(&gcx__aux_lock);
  a = gcx__aux_of(number);
  owned = a != NULL && a->owner != 0;
  gcx__unlock(&gcx__aux_lock);
  return owned;
}

static bool testing_wants(uint32_t number, void *arg)
{
  const uint32_t exempt = GCX_FLAG_OPTIONAL | GCX_FLAG_SUPPRESSED;

  return (gcx__record_state(number) & exempt) == 0 &&
         testing_is_new(arg, number) && !testing_has_owner(number);
}

static void testing_list(struct gcx_testing *scope, int fd)
{
  struct gcx__census_set s;

  if (!gcx__census_set_init(&s))
    return;
  (void)gcx__census_count(&s, testing_wants, scope);
  (void)gcx__census_write(s.rows, s.count, "not disposed", false, fd,
                          GCX_CENSUS_TEXT);
  gcx__census_set_fini(&s);
}

size_t gcx_testing_end(struct gcx_testing *scope, int fd)
{
  struct testing_others *others;
  size_t left;

  if (scope == NULL || scope->signature != SIGNATURE)
    return 0;
  scope->signature = 0;
  others = scope->others;
  left = gcx__census_count_only(testing_wants, scope);
  if (left > 0 && fd >= 0)
    testing_list(scope, fd);
  scope->others = NULL;
  if (others != NULL)
    gcx__vm_unmap(others, others->bytes);
  return left;
}
