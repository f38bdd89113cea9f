/* SPDX-License-Identifier: MIT */
/*
 * lifecycle.c - the end of an object
 *
 *              dispose wins the CAS            functions have run
 *   LIVE ------------------------> DISPOSING ---------------------> DISPOSED
 *    |  ^                              ^                               ^
 *    |  | used after all (FALSE)       |                               |
 *    v  |                              |       nothing to run          |
 *   LOST --> REPORTED -----------------+-------------------------------+
 *
 * LIVE -> LOST in the stopped world (termination.c), LOST -> REPORTED on the
 * finalizer thread (finding.c), everything else here and in lifecycle-run.c.
 * There is no way back from DISPOSED.
 *
 * One compare-and-swap decides who ends an object. Without a dispose function,
 * owner or children it leads straight to DISPOSED. Otherwise the winner runs the
 * functions: lifecycle-run.c.
 */
#include "lifecycle.h"

#include "lifecycle-run.h"
#include "misuse.h"
#include "options.h"
#include "platform.h"
#include "trace.h"
#include "type.h"

/* ---- the end */

/* Nothing runs: no frame, no lock. */
static void lifecycle_end_plain(uint32_t number, uint32_t site)
{
  gcx__lifecycle_wipe(number);
  gcx__record_fate(number)->link = site;
}

/* Of a discarded object no function runs. */
static bool lifecycle_is_plain(uint32_t number, uint32_t state,
                               enum gcx__end how)
{
  uint32_t type = gcx__record_at(number)->type;

  return (state & GCX_FLAG_AUX) == 0 &&
         (type == 0 || how == GCX_END_DISCARD ||
          !gcx__type_has_dispose(gcx__type_at(type)));
}

int gcx__lifecycle_end(uint32_t number, enum gcx__end how, uint32_t site,
                       bool *ret_won)
{
  uint32_t state = gcx__record_state(number);
  uint32_t type = gcx__record_at(number)->type;
  int result = 0;

  for (;;) {
    bool won;

    switch (state & GCX_STATE_MASK) {
    case GCX_STATE_LIVE:
    case GCX_STATE_LOST:
    case GCX_STATE_REPORTED:
      break;
    case GCX_STATE_DISPOSING:
      gcx__lifecycle_wait_for(number);
      return 0;
    default:
      return 0;
    }
    if (!lifecycle_is_plain(number, state, how)) {
      won = gcx__lifecycle_run(number, state, how, site, &result);
    } else {
      won = gcx__record_change(number, state,
                               (state & ~GCX_STATE_MASK) | GCX_STATE_DISPOSED);
      if (won)
        lifecycle_end_plain(number, site);
    }
    if (won) {
      gcx__type_count_up(type, GCX_TYPE_COUNT_DISPOSED);
      if (ret_won != NULL)
        *ret_won = true;
      return result;
    }
    state = gcx__record_state(number);
  }
}

void gcx__lifecycle_used_after_all(uint32_t number,
                                   const struct gcx__frame *start)
{
  uint32_t state = gcx__record_state(number);
  struct gcx_report r = { .id = GCX_REPORT_FALSE };
  struct gcx__thread *t;

  if ((state & GCX_STATE_MASK) != GCX_STATE_REPORTED ||
      !gcx__record_change(number, state,
                          (state & ~GCX_STATE_MASK) | GCX_STATE_LIVE |
                              GCX_FLAG_FALSE))
    return;
  gcx__misuse_describe(&r, number);
  t = gcx__thread_self();
  r.use_tid = gcx__tid();
  r.use_site = t != NULL ? gcx__trace_site(t, start) : 0;
  gcx__report(&r, 1, false);
}

/* ---- public */

static GCX_NOINLINE int lifecycle_call_disposed(uint32_t number,
                                                enum gcx__end how,
                                                const char *function,
                                                const struct gcx__frame *start)
{
  if (gcx__opt.double_dispose != GCX_DOUBLE_IGNORE && how == GCX_END_DISPOSE)
    gcx__misuse_disposed(GCX_REPORT_DOUBLE_DISPOSE, number, function, start);
  return 0;
}

/* What gcx_dispose(), gcx_close() and gcx_discard() share. */
static int lifecycle_call(void *p, enum gcx__end how, const char *function,
                          const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(p, function, false, start);
  struct gcx__thread *t;
  uint32_t site;
  bool won = false;
  int result;

  if (number == 0)
    return 0;
  if (GCX_UNLIKELY(gcx__record_has_ended(gcx__record_state(number))))
    return lifecycle_call_disposed(number, how, function, start);
  gcx__lifecycle_note_use(number, start);
  t = gcx__thread_self();
  site = gcx__opt.leak == GCX_LEAK_OFF || t == NULL ? 0
                                                    : gcx__trace_site(t, start);
  result = gcx__lifecycle_end(number, how, site, &won);
  if (won && gcx__opt.quarantine == 0)
    gcx__object_free(number);
  GCX_KEEP(p);
  return result;
}

/* The common case, where there is nothing to run, wipe, tell or wait for, and the
 * object is found at once: the compare-and-swap is all there is. With
 * quarantine=0 nobody will ask where it was disposed. False: it is not so simple,
 * or another thread was faster. */
static inline bool lifecycle_dispose_simply(void *p,
                                            const struct gcx__frame *start)
{
  const uint32_t harmless = GCX_FLAG_ATOMIC | GCX_FLAG_OPTIONAL |
                            GCX_FLAG_SUPPRESSED | GCX_FLAG_FALSE;
  struct gcx__thread *t = gcx__thread_current;
  bool goes = gcx__opt.quarantine == 0;
  uint32_t number, state, site = 0;
  struct gcx__record_chunk *chunk;
  struct gcx__fate *f;
  size_t cell;

  if (GCX_UNLIKELY(t == NULL || t->cells == NULL))
    return false;
  cell = gcx__object_cell_in(t->cells, p);
  number = GCX_LIKELY(cell != 0) ? gcx__object_record_in(p, cell, &chunk) : 0;
  if (GCX_UNLIKELY(number == 0))
    return false;
  f = gcx__record_fate_in(chunk, number);
  __asm__("" : "+r"(f)); /* kept, not computed anew */
  state = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
  if (GCX_UNLIKELY(gcx__record_in(chunk, number)->type != 0 ||
                   (state & ~(goes ? harmless
                                   : harmless | GCX_FLAG_WEAK |
                                         GCX_STATE_TABLES)) != GCX_STATE_LIVE))
    return false;
  if (gcx__opt.leak != GCX_LEAK_OFF && !goes)
    site = gcx__trace_site(t, start);
  __asm__("" : "+r"(state)); /* what becomes of it is not kept over the call */
  if (GCX_UNLIKELY(!gcx__record_change_in(
          f, state, (state & ~GCX_STATE_MASK) | GCX_STATE_DISPOSED)))
    return false;
  t->ended_plain++;
  if (goes)
    gcx__object_free_plain(t->cells, number, state, p, cell);
  else
    f->link = site;
  GCX_KEEP(p);
  return true;
}

void gcx__lifecycle_dispose(void *p, const char *function,
                            const struct gcx__frame *start)
{
  (void)lifecycle_call(p, GCX_END_DISPOSE, function, start);
}

void gcx_dispose(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (GCX_UNLIKELY(!lifecycle_dispose_simply(p, &start)))
    (void)lifecycle_call(p, GCX_END_DISPOSE, "gcx_dispose", &start);
}

int gcx_close(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return lifecycle_call(p, GCX_END_DISPOSE, "gcx_close", &start);
}

void gcx_discard(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  (void)lifecycle_call(p, GCX_END_DISCARD, "gcx_discard", &start);
}
