/* SPDX-License-Identifier: MIT */
/*
 * exhaust.c - out of descriptors or memory: is it because of what was lost?
 *
 * A program that has lost its descriptors fails where it opens the next one, far
 * from where it lost them. So the failure is taken as an occasion to collect:
 * under leak=dispose what is lost is closed, and the call is tried again; else it
 * is reported. Either way GCX-EXHAUSTED says how many of how many descriptors
 * were lost objects', once for each of the stacks that had opened most.
 *
 * Room is what the finalizer thread has closed since before the call: it may be
 * at work already, or another thread's collection may have found it.
 *
 * The collection needs descriptors itself. Where the program's limit is not the
 * hard one it is raised for the time; else a thread collects that has a copy of
 * the table of descriptors to itself, and closes some there.
 *
 * And it needs memory, to note what it finds. When the address space is full there
 * is none: so some is kept back, from the first call on, in address space alone,
 * and given up for the time of a collection that was asked for because of ENOMEM.
 *
 * A program that is full without having lost anything asks again and again: after
 * a collection in vain there is none for fifty times as long as it took.
 *
 * State: a time, who raised the limit, what is kept back; atomic. No lock.
 */
#include "exhaust.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bdw.h"
#include "fd.h"
#include "finalizer.h"
#include "finding.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "report.h"
#include "roots.h"
#include "service.h"
#include "thread.h"

#define EXHAUST_WAIT_MS 5000
#define EXHAUST_PAUSE 50
#define EXHAUST_SPARE 16 /* descriptors for a collection */
#define EXHAUST_KEPT_BYTES ((size_t)24 << 20)

static uint64_t exhaust_not_before; /* ns */
static uint32_t exhaust_raised;     /* one at a time may raise the limit */
static struct rlimit exhaust_limit_before;
static void *exhaust_kept; /* NULL: not yet, or given up */

/* ---- what is said */

static size_t exhaust_limit(void)
{
  struct rlimit limit;

  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur : 0;
}

static const char *exhaust_name(int error)
{
  return error == EMFILE ? "EMFILE" : error == ENFILE ? "ENFILE" : "ENOMEM";
}

static void exhaust_report(size_t count, uint32_t site, const char *fmt, ...)
    GCX_PRINTF(3, 4);

static void exhaust_report(size_t count, uint32_t site, const char *fmt, ...)
{
  struct gcx_report r = { .id = GCX_REPORT_EXHAUSTED,
                          .count = count,
                          .birth_site = site };
  struct gcx__out o;
  va_list ap;

  gcx__out_init(&o, -1, r.detail, sizeof r.detail);
  va_start(ap, fmt);
  gcx__out_vfmt(&o, fmt, ap);
  va_end(ap);
  gcx__report(&r, 1, false);
}

/* One site of @held. */
static void exhaust_report_site(int error, const struct gcx__tally *held,
                                size_t count, uint32_t site, const char *where)
{
  exhaust_report(count, site,
                 "%s: %zu of at most %zu descriptors were held by lost "
                 "objects, %zu of them opened %s",
                 exhaust_name(error), held->total, exhaust_limit(), count,
                 where);
}

static void exhaust_tell(int error, uint32_t mark, size_t found)
{
  struct gcx__tally held;
  size_t elsewhere;

  gcx__fd_held(mark, &held);
  elsewhere = held.total;
  for (size_t i = 0; i < held.sites; i++)
    if (held.at[i].count > 0) {
      exhaust_report_site(error, &held, held.at[i].count, held.at[i].site,
                          "here");
      elsewhere -= held.at[i].count;
    }
  if (elsewhere > 0)
    exhaust_report_site(error, &held, elsewhere, 0, "elsewhere");
  if (held.total == 0 && found > 0 && error == ENOMEM)
    /* memory can run out for want of what held no descriptor */
    exhaust_report(found, 0,
                   "ENOMEM: %zu lost objects were found, none of which held a "
                   "descriptor",
                   found);
}

/* ---- a collection */

/* A function of its own: below the part of the stack that counts. */
static GCX_NOINLINE void exhaust_collect_from(uintptr_t sp,
                                              const uintptr_t *registers,
                                              size_t n)
{
  gcx__roots_scan_from(sp, registers, n);
  gcx__bdw_clear_stack();
  gcx__bdw_collect();
  gcx__roots_scan_from(0, NULL, 0);
}

/* As gcx_collect() does: a collection that was asked for. In any other the
 * search for streams is left out when one has just been made, and the stale part
 * of the stack counts. AddressSanitizer would move @context. */
__attribute__((no_sanitize_address)) static GCX_NOINLINE void
exhaust_collect_here(void)
{
  ucontext_t context;
  uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

  memset(&context, 0, sizeof context);
  (void)getcontext(&context);
  exhaust_collect_from(GCX_MIN(frame, (uintptr_t)&context),
                       (const uintptr_t *)(const void *)&context,
                       sizeof context / sizeof(uintptr_t));
  GCX_KEEP(&context);
}

/* ---- descriptors for a collection, which reads /proc */

struct exhaust_apart {
  uint32_t done;
};

/* Of a thread that has a table of its own. */
static void exhaust_close_some(size_t limit)
{
  size_t closed = 0;

  for (size_t fd = limit; fd-- > 3 && closed < EXHAUST_SPARE;)
    closed += syscall(SYS_close, (int)fd) == 0;
}

/* A copy of the table, in which there is room: in the process's own nothing
 * changes. Not even its record locks go: they belong to the table. */
static void *exhaust_apart_main(void *arg)
{
  struct exhaust_apart *a = arg;

  gcx__service_begin("gcx-room");
  if (unshare(CLONE_FILES) == 0) {
    exhaust_close_some(exhaust_limit());
    (void)gcx__thread_self();
    (void)gcx__bdw_check_hooks();
    exhaust_collect_here();
  }
  __atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
  gcx__futex_wake(&a->done);
  return NULL;
}
/* Where the limit can't be raised: in a thread that has descriptors of its own.
 * The wait is no blocking call of the collector's: streams are judged only if
 * every thread stands still. That thread's last word may wake a frame that is
 * gone, where nobody sleeps. */
static void exhaust_collect_apart(void)
{
  struct exhaust_apart a = { 0 };

  if (!gcx__service_start(exhaust_apart_main, &a))
    return;
  while (__atomic_load_n(&a.done, __ATOMIC_ACQUIRE) == 0)
    gcx__futex_wait(&a.done, 0, UINT64_MAX);
}

static void exhaust_lower(void)
{
  (void)setrlimit(RLIMIT_NOFILE, &exhaust_limit_before);
  __atomic_store_n(&exhaust_raised, 0, __ATOMIC_RELEASE);
}

/* False: it can't be, or another thread has raised it and will lower it again. */
static bool exhaust_raise(void)
{
  struct rlimit more;
  uint32_t none = 0;

  if (!__atomic_compare_exchange_n(&exhaust_raised, &none, 1, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    return false;
  if (getrlimit(RLIMIT_NOFILE, &exhaust_limit_before) == 0) {
    more = exhaust_limit_before;
    more.rlim_cur = GCX_MIN(more.rlim_cur + EXHAUST_SPARE, more.rlim_max);
    if (more.rlim_cur > exhaust_limit_before.rlim_cur &&
        setrlimit(RLIMIT_NOFILE, &more) == 0)
      return true;
  }
  __atomic_store_n(&exhaust_raised, 0, __ATOMIC_RELEASE);
  return false;
}

void gcx__exhaust_after_fork(void)
{
  if (__atomic_load_n(&exhaust_raised, __ATOMIC_ACQUIRE) != 0)
    exhaust_lower();
}

static void exhaust_let_collect(int error)
{
  bool raised;

  (void)gcx__thread_self(); /* who is unknown to bdwgc can't collect */
  raised = exhaust_raise();
  if (error == EMFILE && !raised) {
    exhaust_collect_apart();
  } else {
    (void)gcx__bdw_check_hooks();
    exhaust_collect_here();
  }
  (void)gcx__finalizer_wait(EXHAUST_WAIT_MS);
  if (raised)
    exhaust_lower();
}

/* ---- memory for it */

/* Of two threads that come at once one has it, the other gives it back. */
static void exhaust_keep(void)
{
  int saved = errno;
  void *none = NULL,
       *p = mmap(NULL, EXHAUST_KEPT_BYTES, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (p != MAP_FAILED &&
      !__atomic_compare_exchange_n(&exhaust_kept, &none, p, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    (void)munmap(p, EXHAUST_KEPT_BYTES);
  errno = saved;
}

static void exhaust_give_up(void)
{
  void *p = __atomic_exchange_n(&exhaust_kept, NULL, __ATOMIC_ACQ_REL);

  if (p != NULL)
    (void)munmap(p, EXHAUST_KEPT_BYTES);
}

/* ---- making room */

uint32_t gcx__exhaust_mark(void)
{
  if (GCX_UNLIKELY(__atomic_load_n(&exhaust_kept, __ATOMIC_RELAXED) == NULL))
    exhaust_keep();
  return gcx__fd_reclaimed();
}

/* What was found before may be dealt with just now: then that is enough. */
static bool exhaust_collect(int error, uint32_t mark)
{
  size_t found = gcx__finding_count();

  if (error == ENOMEM)
    exhaust_give_up();
  (void)gcx__finalizer_wait(EXHAUST_WAIT_MS);
  if (gcx__fd_reclaimed() == mark)
    exhaust_let_collect(error);
  if (error == ENOMEM)
    exhaust_keep();
  found = gcx__finding_count() - found;
  exhaust_tell(error, mark, found);
  return gcx__fd_reclaimed() != mark || found != 0;
}

static bool exhaust_try(int error, uint32_t mark)
{
  uint64_t begin = gcx__now_ns();
  bool made;

  if (begin < __atomic_load_n(&exhaust_not_before, __ATOMIC_RELAXED))
    return gcx__fd_reclaimed() != mark;
  made = exhaust_collect(error, mark);
  if (!made)
    __atomic_store_n(&exhaust_not_before,
                     gcx__now_ns() + (gcx__now_ns() - begin) * EXHAUST_PAUSE,
                     __ATOMIC_RELAXED);
  return made;
}

bool gcx__exhaust_make_room(int error, uint32_t mark)
{
  bool made;

  if ((error != EMFILE && error != ENFILE && error != ENOMEM) ||
      gcx__finalizer_is_self())
    return false;
  made = exhaust_try(error, mark);
  errno = error;
  return made;
}
