/* SPDX-License-Identifier: MIT */
/*
 * report-write.c - findings are written into the log, and counted
 *
 * Text or JSON; max_reports bounds what is written, not what is counted. All of it
 * under report.c's lock.
 */
#include "report-write.h"

#include <string.h>

#include "options.h"
#include "report-format.h"
#include "report-log.h"
#include "report-policy.h"

#define REPORT_MAX_NOTE_BYTES 128

static struct gcx__report_totals report_totals;
static size_t report_written; /* findings, for max_reports */
static bool report_said_max;

static size_t report_counted; /* gcx__report_count() */

size_t gcx__report_count(void)
{
  return __atomic_load_n(&report_counted, __ATOMIC_RELAXED);
}

static void report_count(const struct gcx_report *r)
{
  report_totals.findings[r->id]++;
  report_totals.objects[r->id] += r->count;
  report_totals.bytes[r->id] += r->total_bytes;
  if (r->id == GCX_REPORT_LEAK) {
    report_totals.indirect_objects += r->indirect_count;
    report_totals.indirect_bytes += r->indirect_bytes;
  }
  if (gcx__report_makes_status(r->id))
    __atomic_add_fetch(&report_counted, 1, __ATOMIC_RELAXED);
}

static bool report_is_json(void)
{
  return gcx__opt.format == GCX_FORMAT_JSON;
}

void gcx__report_format(struct gcx__out *o, const struct gcx_report *r,
                        bool json)
{
  if (json)
    gcx__report_json(o, r);
  else
    gcx__report_text(o, r);
}

void gcx__report_format_note(struct gcx__out *o, const char *note)
{
  if (report_is_json())
    gcx__report_json_note(o, note);
  else
    gcx__report_text_note(o, note);
}

static void report_format_max(struct gcx__out *o)
{
  char note[REPORT_MAX_NOTE_BYTES];
  struct gcx__out n;

  if (report_said_max)
    return;
  report_said_max = true;
  gcx__out_init(&n, -1, note, sizeof(note));
  gcx__out_fmt(&n, "more findings are counted, not shown (max_reports=%llu)",
               (unsigned long long)gcx__opt.max_reports);
  gcx__report_format_note(o, note);
}

/* Each finding leaves in one write if it fits the buffer. @must: the limit of
 * max_reports does not count. */
static void report_write(struct gcx__out *o, const struct gcx_report *r,
                         bool must)
{
  report_count(r);
  if (gcx__opt.max_reports != 0 && report_written >= gcx__opt.max_reports &&
      !must) {
    report_format_max(o);
    return;
  }
  report_written++;
  gcx__report_format(o, r, report_is_json());
  (void)gcx__out_flush(o);
}

void gcx__report_write_all(const struct gcx_report *reports, size_t n,
                           bool fatal)
{
  struct gcx__report_log l;
  bool must = fatal;

  gcx__report_log_begin(&l);
  for (size_t i = 0; i < n; i++) {
    bool is_fatal = gcx__report_is_fatal(reports[i].id);

    if (gcx__report_is_ignored(&reports[i]))
      continue;
    report_write(&l.out, &reports[i], must && is_fatal);
    must = must && !is_fatal;
  }
  gcx__report_log_end(&l);
}

void gcx__report_write_summary(void)
{
  struct gcx__report_log l;
  size_t findings = 0;

  for (size_t id = 0; id < GCX_REPORT_ID_COUNT; id++)
    findings += report_totals.findings[id];
  if (findings == 0)
    return;
  gcx__report_log_begin(&l);
  if (report_is_json())
    gcx__report_json_summary(&l.out, &report_totals);
  else
    gcx__report_text_summary(&l.out, &report_totals);
  gcx__report_log_end(&l);
  memset(&report_totals, 0, sizeof(report_totals));
}

void gcx__report_write_after_fork(void)
{
  memset(&report_totals, 0, sizeof(report_totals));
  report_written = 0;
  report_said_max = false;
  report_counted = 0;
}
