/* SPDX-License-Identifier: MIT */
/*
 * exhaust.c - out of descriptors or memory: is it because of what was lost?
 *
 * A program that has lost its descriptors fails where it opens the next one, far
 * from where it lost them. So the failure is taken as an occasion to collect:
 * under leak=dispose what is lost is closed, and the call is tried again; else it
 * is reported. Either way GCX-EXHAUSTED says how many of how many descriptors
 * were lost objects', and which stack had opened most.
 *
 * A program that is full without having lost anything asks again and again: after
 * a collection in vain there is none for fifty times as long as it took.
 *
 * State: the two times, atomic. No lock.
 */
#include "exhaust.h"

#include <string.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "bdw.h"
#include "fd.h"
#include "finalizer.h"
#include "finding.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "report.h"
#include "roots.h"
#include "thread.h"

#define EXHAUST_WAIT_MS 5000
#define EXHAUST_PAUSE 50
#define EXHAUST_SPARE 16 /* descriptors for a collection */

static uint64_t exhaust_not_before; /* ns */

static size_t exhaust_limit(void)
{
  struct rlimit limit;

  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur : 0;
}

/* @held of them were lost; @at_site, if known, opened at @site. */
static void exhaust_report(int error, size_t held, size_t at_site,
                           uint32_t site)
{
  struct gcx_report r = { .id = GCX_REPORT_EXHAUSTED, .count = held };
  struct gcx__out o;

  gcx__out_init(&o, -1, r.detail, sizeof r.detail);
  gcx__out_fmt(&o,
               "%s: %zu of at most %zu descriptors were held by lost objects",
               error == EMFILE   ? "EMFILE"
               : error == ENFILE ? "ENFILE"
                                 : "ENOMEM",
               held, exhaust_limit());
  if (at_site > 0)
    gcx__out_fmt(&o, ", %zu of them opened here", at_site);
  r.birth_site = site;
  gcx__report(&r, 1, false);
}

static void exhaust_tell(int error, size_t reclaimed, uint32_t site)
{
  struct gcx__fd_count count;

  if (reclaimed > 0) {
    exhaust_report(error, reclaimed, 0, site);
    return;
  }
  gcx__fd_count(&count);
  if (count.lost > 0)
    exhaust_report(error, count.lost, count.at_site, count.site);
}

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

/* A collection reads /proc, for which it needs descriptors: where the program's
 * limit is not the hard one it is raised for the time. */
static void exhaust_let_collect(void)
{
  struct rlimit limit, more;

  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  more = limit;
  more.rlim_cur = GCX_MIN(limit.rlim_cur + EXHAUST_SPARE, limit.rlim_max);
  if (more.rlim_cur > limit.rlim_cur)
    (void)setrlimit(RLIMIT_NOFILE, &more);
  (void)gcx__thread_self(); /* who is unknown to bdwgc can't collect */
  (void)gcx__bdw_check_hooks();
  exhaust_collect_here();
  (void)gcx__finalizer_wait(EXHAUST_WAIT_MS);
  if (more.rlim_cur > limit.rlim_cur)
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static bool exhaust_collect(int error)
{
  uint32_t site;
  size_t reclaimed = gcx__fd_reclaimed(&site);
  size_t found = gcx__finding_count();

  exhaust_let_collect();
  reclaimed = gcx__fd_reclaimed(&site) - reclaimed;
  exhaust_tell(error, reclaimed, site);
  return reclaimed > 0 || gcx__finding_count() != found;
}

bool gcx__exhaust_make_room(int error)
{
  uint64_t begin;
  bool made;

  if (error != EMFILE && error != ENFILE && error != ENOMEM)
    return false;
  begin = gcx__now_ns();
  if (begin < __atomic_load_n(&exhaust_not_before, __ATOMIC_RELAXED) ||
      gcx__finalizer_is_self())
    return false;
  made = exhaust_collect(error);
  if (!made)
    __atomic_store_n(&exhaust_not_before,
                     gcx__now_ns() + (gcx__now_ns() - begin) * EXHAUST_PAUSE,
                     __ATOMIC_RELAXED);
  errno = error;
  return made;
}
