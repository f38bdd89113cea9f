/* SPDX-License-Identifier: MIT */
/*
 * report-policy.c - what each kind of finding is called, and what it is for the
 *                   process: fatal, counted in its exit status, ignored
 *
 * The options decide. State and locks: none.
 */
#include "report-policy.h"

#include "options.h"

const char *gcx__report_name(enum gcx__report_id id)
{
  static const char *const names[GCX_REPORT_ID_COUNT] = {
    [GCX_REPORT_LEAK] = "GCX-LEAK",
    [GCX_REPORT_USE_AFTER_DISPOSE] = "GCX-USE-AFTER-DISPOSE",
    [GCX_REPORT_DOUBLE_DISPOSE] = "GCX-DOUBLE-DISPOSE",
    [GCX_REPORT_FD_OWNER] = "GCX-FD-OWNER",
    [GCX_REPORT_EXHAUSTED] = "GCX-EXHAUSTED",
    [GCX_REPORT_OVER_RELEASE] = "GCX-OVER-RELEASE",
    [GCX_REPORT_DOUBLE_FREE] = "GCX-DOUBLE-FREE",
    [GCX_REPORT_BAD_POINTER] = "GCX-BAD-POINTER",
    [GCX_REPORT_CORRUPT] = "GCX-CORRUPT",
    [GCX_REPORT_FALSE] = "GCX-FALSE-REPORT",
    [GCX_REPORT_UNDISPOSED] = "GCX-UNDISPOSED",
    [GCX_REPORT_POOL_RETURN] = "GCX-POOL-RETURN",
    [GCX_REPORT_POOL_OUTSTANDING] = "GCX-POOL-OUTSTANDING",
    [GCX_REPORT_CRITICAL_ALLOC] = "GCX-CRITICAL-ALLOC",
    [GCX_REPORT_FINALIZER_LEFT] = "GCX-FINALIZER-LEFT",
    [GCX_REPORT_FINALIZER_CRASH] = "GCX-FINALIZER-CRASH",
    [GCX_REPORT_SLOW_FINALIZER] = "GCX-SLOW-FINALIZER",
  };
  GCX_ASSERT(id < GCX_REPORT_ID_COUNT);
  return names[id];
}

bool gcx__report_is_fatal(enum gcx__report_id id)
{
  switch (id) {
  case GCX_REPORT_LEAK:
    return gcx__opt.leak == GCX_LEAK_ABORT;
  case GCX_REPORT_USE_AFTER_DISPOSE:
  case GCX_REPORT_FD_OWNER:
  case GCX_REPORT_OVER_RELEASE:
  case GCX_REPORT_DOUBLE_FREE:
  case GCX_REPORT_BAD_POINTER:
  case GCX_REPORT_CORRUPT:
  case GCX_REPORT_POOL_RETURN:
  case GCX_REPORT_POOL_OUTSTANDING:
  case GCX_REPORT_CRITICAL_ALLOC:
  case GCX_REPORT_FINALIZER_LEFT:
    return gcx__opt.misuse == GCX_MISUSE_FATAL;
  case GCX_REPORT_DOUBLE_DISPOSE:
    return gcx__opt.double_dispose == GCX_DOUBLE_FATAL;
  case GCX_REPORT_EXHAUSTED:
  case GCX_REPORT_FALSE:
  case GCX_REPORT_UNDISPOSED:
  case GCX_REPORT_FINALIZER_CRASH: /* the signal ends the process */
  case GCX_REPORT_SLOW_FINALIZER:
  case GCX_REPORT_ID_COUNT:
    break;
  }
  return false;
}

/* Does a finding that the process survived make its exit status? Not under
 * leak=report, which changes nothing about the program. */
bool gcx__report_makes_status(enum gcx__report_id id)
{
  if (gcx__opt.leak == GCX_LEAK_REPORT)
    return false;
  if (id == GCX_REPORT_LEAK)
    return gcx__opt.leak == GCX_LEAK_EXIT;
  if (id == GCX_REPORT_UNDISPOSED)
    return gcx__opt.leak == GCX_LEAK_EXIT || gcx__opt.leak == GCX_LEAK_ABORT;
  return id != GCX_REPORT_FALSE && id != GCX_REPORT_EXHAUSTED &&
         id != GCX_REPORT_SLOW_FINALIZER;
}

bool gcx__report_is_ignored(const struct gcx_report *r)
{
  return r->id == GCX_REPORT_DOUBLE_DISPOSE &&
         gcx__opt.double_dispose == GCX_DOUBLE_IGNORE;
}

bool gcx__report_any_fatal(const struct gcx_report *reports, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (gcx__report_is_fatal(reports[i].id))
      return true;
  return false;
}
