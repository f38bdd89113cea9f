/* SPDX-License-Identifier: MIT */
/*
 * misuse.c - pointers that are not what they should be, and reports about
 *            objects
 */
#include "misuse.h"

#include <string.h>

#include "aux.h"
#include "depot.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "trace.h"
#include "type.h"

static void misuse_detail(struct gcx_report *r, const char *fmt, ...)
    GCX_PRINTF(2, 3);

static void misuse_detail(struct gcx_report *r, const char *fmt, ...)
{
  struct gcx__out o;
  va_list ap;

  gcx__out_init(&o, -1, r->detail, sizeof r->detail);
  va_start(ap, fmt);
  gcx__out_vfmt(&o, fmt, ap);
  va_end(ap);
}

static void misuse_touches(struct gcx_report *r, uint32_t number)
{
  struct gcx__aux *a;

  gcx__lock(&gcx__aux_lock);
  a = gcx__aux_of(number);
  if (a != NULL && a->touches != NULL) {
    r->touches = GCX_MIN(a->touch_count, (uint32_t)GCX__REPORT_TOUCHES);
    for (uint32_t i = 0; i < r->touches; i++)
      r->touch[i] = a->touches[(a->touch_count - 1 - i) % GCX__REPORT_TOUCHES];
  }
  gcx__unlock(&gcx__aux_lock);
}

static void misuse_call_describe(struct gcx_report *r, uint32_t number)
{
  const struct gcx_type *type = gcx__type_at(gcx__record_at(number)->type);
  const void *object = gcx__record_object(number);

  for (; type != NULL; type = type->base)
    if (type->describe != NULL) {
      if (type->describe(object, r->description, sizeof r->description) < 0)
        r->description[0] = '\0';
      r->description[sizeof r->description - 1] = '\0';
      return;
    }
}

void (*gcx__misuse_on_stand_in)(struct gcx_report *r,
                                const struct gcx_type *type);

void gcx__misuse_identify(struct gcx_report *r, uint32_t number)
{
  const struct gcx__record *rec = gcx__record_at(number);
  const struct gcx_type *type = gcx__type_at(rec->type);

  r->type_name = type != NULL ? type->name : NULL;
  r->is_block = type == &gcx__type_block;
  r->object = gcx__record_object(number);
  r->bytes = gcx__object_bytes(number);
  r->count = 1;
  r->total_bytes = r->bytes;
  r->birth_site = rec->site;
  r->birth_ms = rec->birth_ms;
  r->birth_tid = rec->tid;
  gcx__thread_name(rec->tid, r->birth_thread, sizeof r->birth_thread);
  misuse_touches(r, number);
  r->is_lent = (gcx__record_state(number) & GCX_FLAG_POOLED) != 0;
  if (type != NULL && gcx__misuse_on_stand_in != NULL)
    gcx__misuse_on_stand_in(r, type);
}

void gcx__misuse_describe(struct gcx_report *r, uint32_t number)
{
  gcx__misuse_identify(r, number);
  if (!gcx__record_has_ended(gcx__record_state(number)))
    misuse_call_describe(r, number);
}

static void misuse_where(struct gcx_report *r, const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();

  r->use_tid = gcx__tid();
  if (t != NULL)
    r->use_site = gcx__trace_site(t, start);
}

static void misuse_bad_pointer(const void *p, enum gcx__found found,
                               uint32_t number, const char *function,
                               const struct gcx__frame *start)
{
  struct gcx_report r = { .id = GCX_REPORT_BAD_POINTER };
  size_t offset;

  if (number != 0)
    gcx__misuse_describe(&r, number);
  r.object = p;
  switch (found) {
  case GCX_FOUND_INTERIOR:
    offset = (size_t)((uintptr_t)p - (uintptr_t)gcx__record_object(number));
    misuse_detail(&r,
                  "%s(%p): points %zu bytes into an object of %zu bytes at "
                  "%p, not at its start",
                  function, p, offset, r.bytes, gcx__record_object(number));
    break;
  case GCX_FOUND_CORRUPT:
    r.id = GCX_REPORT_CORRUPT;
    misuse_detail(&r,
                  "%s(%p): the bytes behind the object's %zu were "
                  "overwritten",
                  function, p, r.bytes);
    break;
  case GCX_FOUND_UNTRACKED:
    misuse_detail(&r,
                  "%s(%p): in the collected heap, but not a gcx object "
                  "(allocated by the collector for somebody else, or given "
                  "back)",
                  function, p);
    break;
  case GCX_FOUND_NULL:
    misuse_detail(&r, "%s(NULL)", function);
    break;
  case GCX_FOUND_FOREIGN:
  case GCX_FOUND:
    misuse_detail(&r,
                  "%s(%p): not in gcx's heap (malloc memory, a stack, "
                  "static data, or no memory at all)",
                  function, p);
    break;
  }
  misuse_where(&r, start);
  gcx__report(&r, 1, true);
}

void gcx__misuse_finalized(uint32_t number, const char *function,
                           const struct gcx__frame *start)
{
  struct gcx_report r = { .id = GCX_REPORT_USE_AFTER_DISPOSE,
                          .finalized = true };

  gcx__misuse_describe(&r, number);
  misuse_detail(&r, "%s(%p): finalized already, in the finalizer of %p",
                function, r.object,
                gcx__record_object(gcx__thread_current->finalizing));
  misuse_where(&r, start);
  gcx__report(&r, 1, true);
}

/* Stacks hold return addresses: one byte into the function. */
void gcx__misuse_finalizer(enum gcx__report_id id, uint32_t number,
                           void (*function)(void *obj), const char *detail)
{
  struct gcx_report r = { .id = id };
  uintptr_t pc = (uintptr_t)function + 1;

  gcx__misuse_identify(&r, number);
  misuse_detail(&r, "%s", detail != NULL ? detail : "");
  r.use_tid = gcx__tid();
  if (function != NULL)
    r.use_site = gcx__depot_put(&pc, 1);
  gcx__report(&r, 1, true);
}

void gcx__misuse_slow_finalizer(uint32_t number, uint32_t tid, uint32_t site,
                                const char *detail)
{
  struct gcx_report r = { .id = GCX_REPORT_SLOW_FINALIZER };

  gcx__misuse_identify(&r, number);
  misuse_detail(&r, "%s", detail);
  r.use_tid = tid;
  r.use_site = site;
  gcx__report(&r, 1, true);
}

void gcx__misuse_critical_alloc(size_t bytes, const struct gcx__frame *start)
{
  struct gcx_report r = { .id = GCX_REPORT_CRITICAL_ALLOC };

  gcx__misuse_identify(&r, gcx__thread_current->finalizing);
  misuse_detail(&r, "%zu bytes", bytes);
  misuse_where(&r, start);
  gcx__report(&r, 1, true);
}

void gcx__misuse_over_release(uint32_t number, const char *function,
                              uint32_t use_site, uint32_t closed_site)
{
  struct gcx_report r = { .id = GCX_REPORT_OVER_RELEASE };

  gcx__misuse_describe(&r, number);
  r.dispose_site = closed_site;
  r.use_site = use_site;
  r.use_tid = gcx__tid();
  misuse_detail(&r, "%s(%p): no reference is left to give back", function,
                r.object);
  gcx__report(&r, 1, true);
}

void gcx__misuse_other_type(uint32_t number, const char *function,
                            const char *wanted, const struct gcx__frame *start)
{
  struct gcx_report r = { .id = GCX_REPORT_BAD_POINTER };

  gcx__misuse_describe(&r, number);
  misuse_detail(&r, "%s(%p): %s%s, no %s", function, r.object,
                r.type_name != NULL ? "an object of " : "plain memory",
                r.type_name != NULL ? r.type_name : "", wanted);
  misuse_where(&r, start);
  gcx__report(&r, 1, true);
}

uint32_t gcx__misuse_find(const void *p, const char *function, bool null_is_bad,
                          const struct gcx__frame *start)
{
  uint32_t number = 0;
  enum gcx__found found = gcx__object_find(p, &number);

  if (GCX_LIKELY(found == GCX_FOUND))
    return number;
  if (found == GCX_FOUND_NULL && !null_is_bad)
    return 0;
  misuse_bad_pointer(p, found, number, function, start);
  return 0;
}

uint32_t gcx__misuse_dispose_site(uint32_t number)
{
  struct gcx__aux *a;
  uint32_t site;

  if ((gcx__record_state(number) & GCX_FLAG_AUX) == 0)
    return gcx__record_fate(number)->link;
  gcx__lock(&gcx__aux_lock);
  a = gcx__aux_of(number);
  site = a != NULL ? a->dispose_site : 0;
  gcx__unlock(&gcx__aux_lock);
  return site;
}

void gcx__misuse_disposed(enum gcx__report_id id, uint32_t number,
                          const char *function, const struct gcx__frame *start)
{
  struct gcx_report r = { .id = id };

  gcx__misuse_describe(&r, number);
  r.dispose_site = gcx__misuse_dispose_site(number);
  misuse_detail(&r, "%s(%p)", function, r.object);
  misuse_where(&r, start);
  gcx__report(&r, 1, true);
}
