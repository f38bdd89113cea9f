/* SPDX-License-Identifier: MIT */
/*
 * report.c - what happens with a finding: handlers, log, the end
 *
 * The only place that ends the process because of the program's mistakes.
 *
 *     gcx__report() -> symbols -> handlers -> gcx_on_report() -> log -+-> return
 *                                                                     |
 *                                           fatal: closing line, abort()
 *
 * Two gates:
 *  - report_lock is held while symbols are looked up and text is written, never
 *    while a handler runs. It also guards the buffer and report-write.c.
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
#include "left.h"
#include "lock.h"
#include "platform.h"
#include "report-log.h"
#include "report-policy.h"
#include "report-write.h"
#include "symbolize.h"

#define REPORT_NOTE_BYTES 1024

/* A visit of one thread, from gcx__report() until it returns. */
struct report_visit {
  int saved_errno;
  int cancel;
};

/* Findings that are told to the program. A handler that does not return must not
 * call off what comes afterwards. */
struct report_telling {
  const struct gcx_report *reports;
  size_t n;
  const struct report_visit *visit;
  bool fatal;
  uint32_t depth; /* as it was before */
  bool told;
};

static struct gcx__lock report_lock = GCX_LOCK_INIT(GCX_RANK_FATAL);
static uint32_t report_claim; /* tid; see above */
static __thread uint32_t report_depth
    __attribute__((tls_model("initial-exec")));

/* What the claiming thread wants to say, until it is said. */
static const struct gcx_report *report_unsaid;
static size_t report_unsaid_count;

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
  gcx__report_write_all(reports, n, true);
  report_point_to_log(reports, n);
  gcx__report_write_summary();
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

/* What comes after the handlers, whichever way they were left. */
static void report_conclude(const struct report_telling *t)
{
  report_depth = t->depth;
  gcx__lock(&report_lock);
  report_symbolize(t->reports, t->n);
  if (t->fatal)
    report_finish(t->reports, t->n);
  gcx__report_write_all(t->reports, t->n, false);
  gcx__unlock(&report_lock);
  report_leave(t->visit);
}

/* By longjmp(), pthread_exit() or an exception. */
static void report_left(void *arg)
{
  struct report_telling *t = arg;

  if (t->told)
    return;
  t->told = true;
  report_conclude(t);
}

/* A handler whose own mistake is reported is not told of it. */
static void report_tell_program(const struct gcx_report *reports, size_t n)
{
  report_depth++;
  for (size_t i = 0; i < n; i++) {
    if (gcx__report_is_ignored(&reports[i]))
      continue;
    if (report_depth == 1)
      gcx__handlers_call(&reports[i]);
    gcx_on_report(&reports[i]);
  }
}

static void report_tell(struct report_telling telling)
{
  struct report_telling t __attribute__((cleanup(report_left))) = telling;
  struct _pthread_cleanup_buffer buffer;

  _pthread_cleanup_push(&buffer, report_left, &t);
  report_tell_program(t.reports, t.n);
  _pthread_cleanup_pop(&buffer, 0);
  t.told = true;
}

void gcx__report(const struct gcx_report *reports, size_t n, bool fatal_allowed)
{
  struct report_visit v;
  struct report_telling t = {
    .reports = reports,
    .n = n,
    .visit = &v,
    .fatal = fatal_allowed && gcx__report_any_fatal(reports, n),
    .depth = report_depth,
  };

  if (n == 0 || (n == 1 && gcx__report_is_ignored(reports)))
    return;
  if (report_is_mine())
    report_recursion(gcx__report_name(reports[0].id));
  report_enter(&v);
  if (t.fatal)
    report_become_fatal(reports, n);
  gcx__lock(&report_lock);
  report_symbolize(reports, n);
  gcx__unlock(&report_lock);
  report_tell(t);
  report_conclude(&t);
}

void gcx__report_summary(void)
{
  struct report_visit v;

  report_enter(&v);
  gcx__lock(&report_lock);
  gcx__report_write_summary();
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
  gcx__report_format_note(&l.out, note);
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
  gcx__report_format(&o, r, format == GCX_FORMAT_JSON);
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
  gcx__report_write_after_fork();
  report_claim = 0;
  report_unsaid = NULL;
}
