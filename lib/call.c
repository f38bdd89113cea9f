/* SPDX-License-Identifier: MIT */
/*
 * call.c - the call of one finalizer
 *
 * While it runs, the thread's entry says of which object: for who uses an object
 * that was finalized before it, for a crash (crash.c), and for who watches how
 * long it takes (watch.c). In a critical one the thread has no record numbers and no
 * freed blocks, so that an allocation takes the slow path and is noticed (object.c).
 *
 * A finalizer is to return. One that is left by longjmp, pthread_exit,
 * cancellation or an exception is reported; under misuse=report its object counts
 * as finalized, and things go on as far as they can: whoever runs finalizers
 * (finalizer.c) has handlers of the same kind.
 */
#include "call.h"

#include <pthread.h>

#include "cells.h"
#include "crash.h"
#include "freed.h"
#include "left.h"
#include "misuse.h"
#include "options.h"
#include "platform.h"
#include "type.h"
#include "watch.h"

struct call_frame {
  struct gcx__thread *thread;
  gcx__call_fn function; /* the one that is running */
  uint32_t number;
  uint32_t outer; /* what the thread's entry said before */
  uint32_t outer_from;
  bool outer_critical;
  bool done;
};

static void call_enter(struct call_frame *f)
{
  struct gcx__thread *t = f->thread;

  f->outer = t->finalizing;
  f->outer_from = t->finalizing_from;
  f->outer_critical = t->critical;
  t->finalizing_from = gcx__opt.slow_finalizer_ms != 0 ? gcx__now_ms() : 0;
  if ((gcx__record_state(f->number) & GCX_FLAG_CRITICAL) != 0) {
    gcx__cells_give_numbers(t);
    gcx__freed_drop(t);
    t->critical = true;
  }
  __atomic_store_n(&t->finalizing, f->number, __ATOMIC_RELEASE);
  if (gcx__opt.slow_finalizer_ms != 0)
    gcx__watch_begin(t);
}

static void call_leave(struct call_frame *f)
{
  struct gcx__thread *t = f->thread;

  f->done = true;
  if (gcx__opt.slow_finalizer_ms != 0)
    gcx__watch_end(t);
  t->critical = f->outer_critical;
  t->finalizing_from = f->outer_from;
  __atomic_store_n(&t->finalizing, f->outer, __ATOMIC_RELEASE);
}

static void call_left(void *arg)
{
  struct call_frame *f = arg;

  if (f->done)
    return;
  call_leave(f);
  gcx__misuse_finalizer(GCX_REPORT_FINALIZER_LEFT, f->number, f->function,
                        "by longjmp(), pthread_exit(), cancellation or an "
                        "exception");
}

/* Where stacks end that are taken in it: below are gcx's own frames. */
GCX_OUTERMOST void gcx__call_finalizer(uint32_t number, void *object)
{
  const struct gcx_type *type = gcx__type_at(gcx__record_at(number)->type);
  struct call_frame frame __attribute__((cleanup(call_left))) = {
    .thread = gcx__thread_self(), .number = number, .done = true
  };
  struct _pthread_cleanup_buffer buffer;

  if (frame.thread == NULL)
    return;
  gcx__crash_arm();
  call_enter(&frame);
  frame.done = false;
  _pthread_cleanup_push(&buffer, call_left, &frame);
  for (; type != NULL; type = type->base)
    if (type->finalize != NULL) {
      frame.function = type->finalize;
      type->finalize(object);
    }
  _pthread_cleanup_pop(&buffer, 0);
  call_leave(&frame);
  GCX_KEEP(object);
}
