/* SPDX-License-Identifier: MIT */
/*
 * report.c - what happens with a finding: handlers, log, counts, policy
 *
 * The only place that ends the process because of the program's mistakes.
 *
 *     gcx__report() -> symbols -> handlers -> gcx_on_report() -> log -+-> return
 *                                                                     |
 *                                           fatal: closing line, abort()
 *
 * Two gates:
 *  - report_lock is held while symbols are looked up and text is written, never
 *    while a handler runs. It also guards the buffer and the totals.
 *  - report_claim is the thread that has a fatal finding, for ever. It is taken
 *    before the handlers are called; every other thread that comes here parks.
 *    It writes with report_lock held until the process is gone, so that its
 *    closing line is the last one.
 * A thread that holds either and comes here again (a handler that misuses an
 * object, a crash inside the report) must not wait for itself: report_recursion().
 */
#include "report.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "lock.h"
#include "options.h"
#include "platform.h"
#include "report-format.h"
#include "report-log.h"
#include "symbolize.h"

#define REPORT_NOTE_BYTES 1024
#define REPORT_MAX_NOTE_BYTES 128

/* A visit of one thread, from gcx__report() until it returns. */
struct report_visit {
  int saved_errno;
  int cancel;
};

static struct gcx__lock report_lock = GCX_LOCK_INIT(GCX_RANK_FATAL);
static uint32_t report_claim; /* tid; see above */
static __thread uint32_t report_depth
    __attribute__((tls_model("initial-exec")));

/* Under report_lock. */
static struct gcx__report_totals report_totals;
static size_t report_written; /* findings, for max_reports */
static bool report_said_max;

static size_t report_counted; /* gcx__report_count() */

/* What the claiming thread wants to say, until it is said. */
static const struct gcx_report *report_unsaid;
static size_t report_unsaid_count;

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

/* ------------------------------------------------------------------ policy */

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
static bool report_makes_status(enum gcx__report_id id)
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

static bool report_is_ignored(const struct gcx_report *r)
{
  return r->id == GCX_REPORT_DOUBLE_DISPOSE &&
         gcx__opt.double_dispose == GCX_DOUBLE_IGNORE;
}

static bool report_any_fatal(const struct gcx_report *reports, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (gcx__report_is_fatal(reports[i].id))
      return true;
  return false;
}

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
  if (report_makes_status(r->id))
    __atomic_add_fetch(&report_counted, 1, __ATOMIC_RELAXED);
}

/* ----------------------------------------------------------------- writing */

static bool report_is_json(void)
{
  return gcx__opt.format == GCX_FORMAT_JSON;
}

static void report_format(struct gcx__out *o, const struct gcx_report *r,
                          bool json)
{
  if (json)
    gcx__report_json(o, r);
  else
    gcx__report_text(o, r);
}

static void report_format_note(struct gcx__out *o, const char *note)
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
  report_format_note(o, note);
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
  report_format(o, r, report_is_json());
  (void)gcx__out_flush(o);
}

/* If @fatal, at least one finding that is. */
static void report_write_all(const struct gcx_report *reports, size_t n,
                             bool fatal)
{
  struct gcx__report_log l;
  bool must = fatal;

  gcx__report_log_begin(&l);
  for (size_t i = 0; i < n; i++) {
    bool is_fatal = gcx__report_is_fatal(reports[i].id);

    if (report_is_ignored(&reports[i]))
      continue;
    report_write(&l.out, &reports[i], must && is_fatal);
    must = must && !is_fatal;
  }
  gcx__report_log_end(&l);
}

/* With report_lock. */
static void report_write_summary(void)
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

/* ------------------------------------------------------------------- fatal */

/* A plain wait: signals are still delivered, the collector can stop it. */
GCX_NORETURN static void report_park(void)
{
  static uint32_t never;

  while (true)
    gcx__futex_wait(&never, 0, UINT64_MAX);
}

/* A handler for SIGABRT could return into a program that must not go on. */
GCX_NORETURN static void report_abort(void)
{
  struct sigaction action;
  sigset_t only;

  memset(&action, 0, sizeof(action));
  action.sa_handler = SIG_DFL;
  (void)sigaction(SIGABRT, &action, NULL);
  (void)sigemptyset(&only);
  (void)sigaddset(&only, SIGABRT);
  (void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);
  (void)raise(SIGABRT);
  abort();
}

/* Who watches the terminal should not be left with "Aborted". */
static void report_point_to_log(const struct gcx_report *reports, size_t n)
{
  const char *file = gcx__report_log_file();

  if (file == NULL)
    return;
  for (size_t i = 0; i < n; i++)
    if (gcx__report_is_fatal(reports[i].id)) {
      gcx__warn("%s: fatal, see %s", gcx__report_name(reports[i].id), file);
      return;
    }
}

/* With the claim and report_lock. */
GCX_NORETURN static void report_finish(const struct gcx_report *reports,
                                       size_t n)
{
  report_unsaid = NULL;
  report_write_all(reports, n, true);
  report_point_to_log(reports, n);
  report_write_summary();
  report_abort();
}

/* The claiming thread came here again. What it came with at first is said, if
 * that has not begun, then one line about this. */
GCX_NORETURN static void report_recursion(const char *name)
{
  const struct gcx_report *reports = report_unsaid;

  gcx__warn("%s while a fatal finding is reported: nothing more can be done",
            name);
  if (reports == NULL || gcx__lock_held(&report_lock))
    report_abort();
  gcx__lock(&report_lock);
  report_finish(reports, report_unsaid_count);
}

/* Take the claim or park. */
static void report_become_fatal(const struct gcx_report *reports, size_t n)
{
  uint32_t nobody = 0;

  if (!__atomic_compare_exchange_n(&report_claim, &nobody, gcx__tid(), false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    report_park();
  report_unsaid_count = n;
  report_unsaid = reports;
}

/* ------------------------------------------------------------------ visits */

/* Is the process being ended by a thread that is not this one? */
static void report_park_if_claimed(void)
{
  uint32_t claim = __atomic_load_n(&report_claim, __ATOMIC_ACQUIRE);

  if (claim != 0 && claim != gcx__tid())
    report_park();
}

static bool report_is_mine(void)
{
  return __atomic_load_n(&report_claim, __ATOMIC_ACQUIRE) == gcx__tid();
}

static void report_enter(struct report_visit *v)
{
  v->saved_errno = errno;
  report_park_if_claimed();
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &v->cancel);
}

static void report_leave(const struct report_visit *v)
{
  (void)pthread_setcancelstate(v->cancel, NULL);
  errno = v->saved_errno;
}

static void report_symbolize(const struct gcx_report *reports, size_t n)
{
  gcx__symbolize_begin();
  for (size_t i = 0; i < n; i++) {
    const struct gcx_report *r = &reports[i];

    gcx__symbolize_add(r->use_site);
    gcx__symbolize_add(r->dispose_site);
    gcx__symbolize_add(r->birth_site);
    for (size_t k = 0; k < r->touches; k++)
      gcx__symbolize_add(r->touch[k].site);
  }
  gcx__symbolize_run();
}

/* A handler whose own mistake is reported is not told of it. */
static void report_tell_program(const struct gcx_report *reports, size_t n)
{
  report_depth++;
  for (size_t i = 0; i < n; i++) {
    if (report_is_ignored(&reports[i]))
      continue;
    if (report_depth == 1)
      gcx__handlers_call(&reports[i]);
    gcx_on_report(&reports[i]);
  }
  report_depth--;
}

void gcx__report(const struct gcx_report *reports, size_t n, bool fatal_allowed)
{
  bool fatal = fatal_allowed && report_any_fatal(reports, n);
  struct report_visit v;

  if (n == 0 || (n == 1 && report_is_ignored(reports)))
    return;
  if (report_is_mine())
    report_recursion(gcx__report_name(reports[0].id));
  report_enter(&v);
  if (fatal)
    report_become_fatal(reports, n);
  gcx__lock(&report_lock);
  report_symbolize(reports, n);
  gcx__unlock(&report_lock);
  report_tell_program(reports, n);
  gcx__lock(&report_lock);
  report_symbolize(reports, n);
  if (fatal)
    report_finish(reports, n);
  report_write_all(reports, n, false);
  gcx__unlock(&report_lock);
  report_leave(&v);
}

void gcx__report_summary(void)
{
  struct report_visit v;

  report_enter(&v);
  gcx__lock(&report_lock);
  report_write_summary();
  gcx__unlock(&report_lock);
  report_leave(&v);
}

void gcx__report_note(const char *fmt, ...)
{
  char note[REPORT_NOTE_BYTES];
  struct gcx__out n;
  struct report_visit v;
  struct gcx__report_log l;
  va_list ap;

  gcx__out_init(&n, -1, note, sizeof(note));
  va_start(ap, fmt);
  gcx__out_vfmt(&n, fmt, ap);
  va_end(ap);

  report_enter(&v);
  gcx__lock(&report_lock);
  gcx__report_log_begin(&l);
  report_format_note(&l.out, note);
  gcx__report_log_end(&l);
  gcx__unlock(&report_lock);
  report_leave(&v);
}

/* With report_lock. */
static bool report_list_to(int fd, void (*write)(struct gcx__out *o, void *arg),
                           void *arg)
{
  struct gcx__report_log l;
  struct gcx__out o;

  if (fd >= 0) {
    gcx__report_log_borrow(&o, fd);
    write(&o, arg);
    return gcx__out_flush(&o);
  }
  gcx__report_log_begin(&l);
  write(&l.out, arg);
  gcx__report_log_end(&l);
  return true;
}

bool gcx__report_list(int fd, size_t n, uint32_t (*site)(size_t i, void *arg),
                      void (*write)(struct gcx__out *o, void *arg), void *arg)
{
  struct report_visit v;
  bool written;

  report_enter(&v);
  gcx__lock(&report_lock);
  gcx__symbolize_begin();
  for (size_t i = 0; i < n; i++)
    gcx__symbolize_add(site(i, arg));
  gcx__symbolize_run();
  written = report_list_to(fd, write, arg);
  gcx__unlock(&report_lock);
  report_leave(&v);
  return written;
}

/* ------------------------------------------------------------- public side */

int gcx_report_print(const struct gcx_report *r, int fd, int format)
{
  struct report_visit v;
  struct gcx__out o;
  bool written;

  if (r == NULL || fd < 0 ||
      (format != GCX_FORMAT_TEXT && format != GCX_FORMAT_JSON))
    return -EINVAL;
  report_enter(&v);
  gcx__lock(&report_lock);
  report_symbolize(r, 1);
  gcx__report_log_borrow(&o, fd);
  report_format(&o, r, format == GCX_FORMAT_JSON);
  written = gcx__out_flush(&o);
  gcx__unlock(&report_lock);
  report_leave(&v);
  return written ? 0 : -EIO;
}

/* ---------------------------------------------------------------- start-up */

void gcx__report_init(void)
{
  int saved = errno;

  gcx__report_log_init();
  gcx__symbolize_init();
  errno = saved;
}

void gcx__report_after_fork(void)
{
  gcx__symbolize_after_fork();
  memset(&report_totals, 0, sizeof(report_totals));
  report_claim = 0;
  report_unsaid = NULL;
  report_written = 0;
  report_said_max = false;
  report_counted = 0;
}
