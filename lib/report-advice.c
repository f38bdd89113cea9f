/* SPDX-License-Identifier: MIT */
/*
 * report-advice.c - the end of a report's text: what to do about it, and what
 *                   shows more
 *
 * A sentence or two for each id, for a reader who has never heard of gcx. State
 * and locks: none.
 */
#include "report-format.h"

#include "depot.h"
#include "options.h"
#include "symbolize.h"

static const char *const advice_remedies[GCX_REPORT_ID_COUNT] = {
  [GCX_REPORT_LEAK] =
      "call gcx_dispose() on every path that gives up the last reference "
      "(gcx_auto does it at the end of a scope), or let another object own it "
      "(gcx_own)",
  [GCX_REPORT_USE_AFTER_DISPOSE] =
      "dispose after the last use, or drop the pointer when it is disposed; a "
      "second user needs an owner that outlives both",
  [GCX_REPORT_DOUBLE_DISPOSE] =
      "harmless, but two places believe that they own it: decide which one "
      "does, or ignore it (double_dispose=ignore)",
  [GCX_REPORT_FD_OWNER] =
      "close a descriptor once, and one that belongs to a stream, a directory "
      "or a handle through its owner alone (fclose, closedir, gcx_dispose); "
      "after a close() the number may be somebody else's",
  [GCX_REPORT_EXHAUSTED] = "dispose what was opened there: the findings beside "
                           "this one say what was "
                           "lost",
  [GCX_REPORT_OVER_RELEASE] =
      "pair each gcx_handle_release() with a gcx_handle_acquire() that "
      "returned "
      "true; the handle's own reference is gcx_dispose()'s to give back",
  [GCX_REPORT_DOUBLE_FREE] =
      "one of the two calls must go: decide who owns the block, and set the "
      "other pointers to it to NULL when it is freed",
  [GCX_REPORT_BAD_POINTER] =
      "pass the pointer that gcx_alloc(), gcx_new() or a relative of theirs "
      "returned; memory of malloc() belongs to free()",
  [GCX_REPORT_CORRUPT] =
      "the program wrote behind the bytes it had asked for: look for the "
      "write with -fsanitize=address, or watch the object's end in gdb from "
      "its birth on",
  [GCX_REPORT_FALSE] =
      "tell gcx of the memory that holds it (gcx_root_add) or hold it for the "
      "time (gcx_hold_create); with roots=strict, roots=all may be enough",
  [GCX_REPORT_UNDISPOSED] =
      "dispose it before the process exits, from its owner or from atexit(); "
      "exit_check=unreachable reports lost objects only",
  [GCX_REPORT_POOL_RETURN] =
      "give each back once, to the pool that it was taken from, and drop the "
      "pointer then; an object that must not be used again is disposed "
      "(gcx_dispose) instead of given back",
  [GCX_REPORT_POOL_OUTSTANDING] =
      "give everything back (gcx_pool_return) before the pool is disposed; the "
      "stacks show who has taken what is missing",
  [GCX_REPORT_CRITICAL_ALLOC] =
      "allocate what the finalizer needs when the object is made; or drop "
      "GCX_TYPE_CRITICAL from its type",
  [GCX_REPORT_FINALIZER_LEFT] =
      "let the finalizer return: longjmp(), pthread_exit() and exceptions must "
      "end inside it",
  [GCX_REPORT_FINALIZER_CRASH] =
      "look at the object in the core file or the debugger; objects that it "
      "refers to may have been finalized before it (gcx_require_live tells)",
  [GCX_REPORT_SLOW_FINALIZER] =
      "all other finalizers, disposals and reports wait for it: hand slow work "
      "to a thread of the program's, or dispose the object in time",
};

/* The same for a block of a redirected malloc(), where it differs. */
static const char *const advice_block_remedies[GCX_REPORT_ID_COUNT] = {
  [GCX_REPORT_LEAK] =
      "call free() on every path that gives up the last pointer to the block; "
      "of realloc(), keep the old pointer until the new one is there",
  [GCX_REPORT_BAD_POINTER] =
      "pass to free() and realloc() exactly what malloc() or a relative of it "
      "returned, not a pointer into it",
  [GCX_REPORT_UNDISPOSED] =
      "free() it before the process exits; exit_check=unreachable reports lost "
      "blocks only",
};

static const char advice_remedy_lent[] =
    "give it back with gcx_pool_return() on every path that gives up the last "
    "reference; what goes with an object is given back by its dispose function";

static const char *const advice_causes[GCX_REPORT_ID_COUNT] = {
  [GCX_REPORT_FALSE] =
      "its holder lies where the collector does not look: memory of malloc() "
      "under roots=strict, a device, the kernel (epoll data), another process, "
      "or a pointer that is stored in disguise",
};

static bool advice_stack_is_cut(uint32_t site)
{
  const uintptr_t *pcs;
  uint32_t epoch;
  return gcx__depot_get(site, &pcs, &epoch) >= gcx__opt.stack_depth;
}

void gcx__report_text_more_stacks(struct gcx__out *o,
                                  const struct gcx_report *r, size_t raw)
{
  if (r->bytes > 0 && r->birth_site == 0 && gcx__opt.unwind == GCX_UNWIND_NONE)
    gcx__report_text_sentence(o, "more",
                              "GCX_OPTIONS=unwind=auto records stacks");
  if (advice_stack_is_cut(r->birth_site) || advice_stack_is_cut(r->use_site))
    gcx__report_text_sentence(o, "more",
                              "a stack is cut: GCX_OPTIONS=stack_depth=256 "
                              "shows all of it");
  if (raw == 0 || *gcx__symbolize_problem() == '\0')
    return;
  gcx__report_text_label(o, "more");
  gcx__out_fmt(o, "functions and lines: gcx-symbolize < report; here %s\n",
               gcx__symbolize_problem());
}

void gcx__report_text_more(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->id == GCX_REPORT_LEAK && r->touches == 0 && !r->is_block &&
      r->ended_by == NULL)
    gcx__report_text_sentence(
        o, "more",
        "gcx_touch(p, \"hint\") and gcx_breadcrumb(\"...\") in the "
        "program narrow down where it was lost");
  if (!gcx__report_is_fatal(r->id))
    return;
  gcx__report_text_label(o, "more");
  gcx__out_fmt(o,
               "to go on instead: GCX_OPTIONS=%s; to look around: gdb, "
               "break gcx_on_report\n",
               r->id == GCX_REPORT_LEAK             ? "leak=report"
               : r->id == GCX_REPORT_DOUBLE_DISPOSE ? "double_dispose=report"
                                                    : "misuse=report");
}

/* Of a stream or a descriptor. */
static void advice_ended(struct gcx__out *o, const struct gcx_report *r)
{
  char text[160];
  struct gcx__out to;

  gcx__out_init(&to, -1, text, sizeof text);
  gcx__out_fmt(&to,
               r->id == GCX_REPORT_LEAK
                   ? "call %s() on every path that gives up the last pointer "
                     "to it"
                   : "call %s() before the process exits",
               r->ended_by);
  gcx__report_text_sentence(o, "do", text);
}

void gcx__report_text_advice(struct gcx__out *o, const struct gcx_report *r)
{
  gcx__report_text_sentence(o, "cause", advice_causes[r->id]);
  if (r->id == GCX_REPORT_LEAK && r->count == 0)
    gcx__report_text_sentence(
        o, "do",
        "look at the finding of what held it; dispose the holder, "
        "which must dispose or own (gcx_own) what it holds");
  else if (r->ended_by != NULL &&
           (r->id == GCX_REPORT_LEAK || r->id == GCX_REPORT_UNDISPOSED))
    advice_ended(o, r);
  else if (r->finalized)
    gcx__report_text_sentence(
        o, "do",
        "finalizers of one collection run in no promised order: "
        "use in one only what has no finalizer, or root the object "
        "that must come later and let go of it in the finalizer");
  else
    gcx__report_text_sentence(
        o, "do",
        r->is_block && advice_block_remedies[r->id] != NULL
            ? advice_block_remedies[r->id]
        : r->id == GCX_REPORT_LEAK && r->is_lent ? advice_remedy_lent
                                                 : advice_remedies[r->id]);
  if (r->id == GCX_REPORT_LEAK && gcx__opt.roots == GCX_ROOTS_STRICT &&
      r->ended_by == NULL)
    gcx__report_text_sentence(
        o, "or",
        "it is still in use, held by memory of malloc(): "
        "roots=strict does not look there, roots=all does");
}
