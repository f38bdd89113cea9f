/* SPDX-License-Identifier: MIT */
/*
 * report-view.c - what a handler, or a debugger, can ask of a report
 *
 * A report does not change once it is made, and lives until the handlers have
 * returned; stacks live for ever. State and locks: none.
 */
#include "report.h"

#include "depot.h"

__attribute__((noinline, used)) void gcx_on_report(const struct gcx_report *r)
{
  GCX_KEEP(r);
}

const char *gcx_report_id(const struct gcx_report *r)
{
  return gcx__report_name(r->id);
}

const char *gcx_report_type(const struct gcx_report *r)
{
  return r->type_name;
}

size_t gcx_report_bytes(const struct gcx_report *r)
{
  return r->count > 1 ? r->total_bytes : r->bytes;
}

size_t gcx_report_count(const struct gcx_report *r)
{
  return r->count;
}

const void *gcx_report_object(const struct gcx_report *r)
{
  return r->object;
}

static uint32_t report_site(const struct gcx_report *r, int which)
{
  switch (which) {
  case GCX_STACK_BIRTH:
    return r->birth_site;
  case GCX_STACK_DISPOSE:
    return r->dispose_site;
  case GCX_STACK_USE:
    if (r->use_site == 0 && r->touches > 0)
      return r->touch[0].site;
    return r->use_site;
  default:
    return 0;
  }
}

/* Bounds of the section gcx_outermost (base.h), by the linker; absent where
 * nothing is in front of the C library. */
extern char __start_gcx_outermost[] __attribute__((weak));
extern char __stop_gcx_outermost[] __attribute__((weak));

size_t gcx__report_stack(uint32_t site, const uintptr_t **ret_pcs,
                         uint32_t *ret_epoch)
{
  size_t n = gcx__depot_get(site, ret_pcs, ret_epoch);
  uintptr_t low = (uintptr_t)__start_gcx_outermost;
  uintptr_t high = (uintptr_t)__stop_gcx_outermost;

  for (size_t i = 0; i < n; i++)
    if ((*ret_pcs)[i] - 1 - low < high - low)
      return i;
  return n;
}

size_t gcx_report_stack(const struct gcx_report *r, int which,
                        void *const **ret_frames)
{
  const uintptr_t *pcs = NULL;
  uint32_t epoch = 0;
  size_t n = gcx__report_stack(report_site(r, which), &pcs, &epoch);

  if (n > 0)
    *ret_frames = (void *const *)(const void *)pcs;
  return n;
}
