/* SPDX-License-Identifier: MIT */
/*
 * report-text.c - a finding as text, for a reader who has never heard of gcx
 *
 *     ==PID== gcx: GCX-LEAK: what has happened, in one line
 *       label     one fact
 *         #0 function file:line       (label's stack)
 *       do        what to do about it
 *       more      what shows more
 *
 * Only what is known is printed. A value that comes from the program (names,
 * descriptions, hints) is printed so that it can neither break the line nor
 * control a terminal. The last lines: report-advice.c. State and locks: none.
 */
#include "report-format.h"

#include <unistd.h>

#define TEXT_INDENT 12 /* where a label's text begins */
#define TEXT_COLUMNS 92

/* What has happened to one object, with what behind its name. */
static const char *const text_events[GCX_REPORT_ID_COUNT] = {
  [GCX_REPORT_LEAK] = "lost without gcx_dispose",
  [GCX_REPORT_USE_AFTER_DISPOSE] = "used after gcx_dispose",
  [GCX_REPORT_DOUBLE_DISPOSE] = "disposed a second time",
  [GCX_REPORT_FD_OWNER] = "closed by somebody else",
  [GCX_REPORT_EXHAUSTED] = "no room left",
  [GCX_REPORT_OVER_RELEASE] = "released too often",
  [GCX_REPORT_DOUBLE_FREE] = "freed a second time",
  [GCX_REPORT_BAD_POINTER] = "is not an object of gcx",
  [GCX_REPORT_CORRUPT] = "written past its end",
  [GCX_REPORT_FALSE] = "reported as lost has been used: that report was false",
  [GCX_REPORT_UNDISPOSED] = "still reachable at exit and not disposed",
  [GCX_REPORT_POOL_RETURN] = "given back to a pool that has not lent it",
  [GCX_REPORT_POOL_OUTSTANDING] = "still taken when its pool was disposed",
  [GCX_REPORT_CRITICAL_ALLOC] = "allocates in its critical finalizer",
  [GCX_REPORT_FINALIZER_LEFT] = "has a finalizer that did not return",
  [GCX_REPORT_FINALIZER_CRASH] = "crashes in its finalizer",
  [GCX_REPORT_SLOW_FINALIZER] = "has a finalizer that takes long",
};

/* Label of use_site. */
static const char *const text_uses[GCX_REPORT_ID_COUNT] = {
  [GCX_REPORT_LEAK] = "used",
  [GCX_REPORT_USE_AFTER_DISPOSE] = "used",
  [GCX_REPORT_DOUBLE_DISPOSE] = "again",
  [GCX_REPORT_FD_OWNER] = "closed",
  [GCX_REPORT_EXHAUSTED] = "used",
  [GCX_REPORT_OVER_RELEASE] = "released",
  [GCX_REPORT_DOUBLE_FREE] = "again",
  [GCX_REPORT_BAD_POINTER] = "passed",
  [GCX_REPORT_CORRUPT] = "noticed",
  [GCX_REPORT_FALSE] = "used",
  [GCX_REPORT_UNDISPOSED] = "used",
  [GCX_REPORT_POOL_RETURN] = "passed",
  [GCX_REPORT_POOL_OUTSTANDING] = "pool ends",
  [GCX_REPORT_CRITICAL_ALLOC] = "allocates",
  [GCX_REPORT_FINALIZER_LEFT] = "finalizer",
  [GCX_REPORT_FINALIZER_CRASH] = "finalizer",
  [GCX_REPORT_SLOW_FINALIZER] = "finalizer",
};

/* Label of dispose_site. */
static const char *text_disposal_label(enum gcx__report_id id)
{
  return id == GCX_REPORT_POOL_RETURN   ? "returned"
         : id == GCX_REPORT_DOUBLE_FREE ? "freed"
                                        : "disposed";
}

/* ------------------------------------------------------------------- parts */

static const char *text_plural(size_t n)
{
  return n == 1 ? "" : "s";
}

void gcx__report_text_label(struct gcx__out *o, const char *label)
{
  gcx__out_fmt(o, "  %-10s", label);
}

/* A labelled sentence, wrapped; nothing if there is none. */
void gcx__report_text_sentence(struct gcx__out *o, const char *label,
                               const char *s)
{
  if (s == NULL || *s == '\0')
    return;
  gcx__report_text_label(o, label);
  gcx__out_wrap(o, s, TEXT_INDENT, TEXT_COLUMNS);
  gcx__out_char(o, '\n');
}

static void text_foreign(struct gcx__out *o, const char *s)
{
  gcx__out_foreign(o, s);
}

static void text_quoted(struct gcx__out *o, const char *s)
{
  gcx__out_char(o, '"');
  text_foreign(o, s);
  gcx__out_char(o, '"');
}

static void text_bytes(struct gcx__out *o, size_t n)
{
  gcx__out_fmt(o, "%zu byte%s", n, text_plural(n));
}

static void text_time(struct gcx__out *o, uint32_t ms)
{
  gcx__out_fmt(o, "%u.%03u s", ms / 1000, ms % 1000);
}

/* "3 objects of struct conn", "3 malloc blocks" */
static void text_objects(struct gcx__out *o, size_t n,
                         const struct gcx_report *r)
{
  const char *type = r->type_name;

  if (r->is_block) {
    gcx__out_fmt(o, "%zu %s%s", n, type, text_plural(n));
    return;
  }
  gcx__out_fmt(o, "%zu object%s", n, text_plural(n));
  if (type != NULL) {
    gcx__out_text(o, " of ");
    text_foreign(o, type);
  }
}

/* ------------------------------------------------------------------- facts */

/* There is no object, or only one that the pointer leads into. */
static bool text_is_about_a_pointer(const struct gcx_report *r)
{
  return r->id == GCX_REPORT_BAD_POINTER ||
         (r->id == GCX_REPORT_POOL_RETURN && r->bytes == 0);
}

/* A finding about descriptors: they have no size and no address. */
static bool text_is_no_object(const struct gcx_report *r)
{
  return r->id == GCX_REPORT_FD_OWNER || r->id == GCX_REPORT_EXHAUSTED;
}

/* Behind "==PID== gcx: ID: ". */
static const char *text_event(const struct gcx_report *r)
{
  if (r->finalized)
    return "used after its finalizer has run";
  return r->id == GCX_REPORT_LEAK && r->is_block ? "lost without free"
                                                 : text_events[r->id];
}

/* "lost without fclose": it is no object of gcx's, and has no size to speak of. */
static void text_event_of_ended(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->id == GCX_REPORT_LEAK)
    gcx__out_fmt(o, " lost without %s\n", r->ended_by);
  else
    gcx__out_fmt(o, " %s\n",
                 r->id == GCX_REPORT_UNDISPOSED ? "still open at exit"
                                                : text_event(r));
}

static void text_headline(struct gcx__out *o, const struct gcx_report *r)
{
  if (text_is_about_a_pointer(r)) {
    gcx__out_fmt(o, "%p %s\n", r->object, text_events[r->id]);
    return;
  }
  if (text_is_no_object(r)) {
    text_foreign(o, r->detail);
    gcx__out_char(o, '\n');
    return;
  }
  if (r->id == GCX_REPORT_LEAK && r->count == 0) {
    text_objects(o, r->indirect_count, r);
    gcx__out_text(o, " (");
    text_bytes(o, r->indirect_bytes);
    gcx__out_fmt(o, ") %s, held only by other lost objects\n", text_event(r));
    return;
  }
  text_objects(o, GCX_MAX(r->count, (size_t)1), r);
  if (r->ended_by != NULL) {
    text_event_of_ended(o, r);
    return;
  }
  gcx__out_text(o, " (");
  text_bytes(o, r->count > 1 ? r->total_bytes : r->bytes);
  gcx__out_fmt(o, ") %s\n", text_event(r));
}

/* A labelled line of the program's; nothing if there is none. */
static void text_own_line(struct gcx__out *o, const char *label, const char *s)
{
  if (*s == '\0')
    return;
  gcx__report_text_label(o, label);
  text_foreign(o, s);
  gcx__out_char(o, '\n');
}

/* "  what      struct conn, 48 bytes at 0x7f..., one of 3: "peer ..."". */
static void text_what(struct gcx__out *o, const struct gcx_report *r)
{
  size_t n = r->count == 0 ? r->indirect_count : r->count;

  if (text_is_no_object(r)) {
    text_own_line(o, "what", r->description);
    return;
  }
  if (text_is_about_a_pointer(r) && r->bytes == 0)
    return;
  gcx__report_text_label(o,
                         r->id == GCX_REPORT_BAD_POINTER ? "inside" : "what");
  text_foreign(o, r->type_name != NULL ? r->type_name : "plain memory");
  if (r->ended_by == NULL) {
    gcx__out_text(o, ", ");
    text_bytes(o, r->bytes);
  }
  if (r->id != GCX_REPORT_BAD_POINTER && r->object != NULL)
    gcx__out_fmt(o, " at %p", r->object);
  if (n > 1)
    gcx__out_fmt(o, ", one of %zu", n);
  if (r->description[0] != '\0') {
    gcx__out_text(o, ": ");
    text_quoted(o, r->description);
  }
  gcx__out_char(o, '\n');
}

static void text_detail(struct gcx__out *o, const struct gcx_report *r)
{
  if (!text_is_no_object(r))
    text_own_line(o, "detail", r->detail);
}

static void text_holds(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->count == 0 || r->indirect_count == 0)
    return;
  gcx__report_text_label(o, "holds");
  gcx__out_fmt(o, "%zu more object%s (", r->indirect_count,
               text_plural(r->indirect_count));
  text_bytes(o, r->indirect_bytes);
  gcx__out_fmt(o, ") lost with %s\n", r->count == 1 ? "it" : "them");
}

static void text_thread(struct gcx__out *o, uint32_t tid, const char *name)
{
  if (tid == 0)
    return;
  gcx__out_fmt(o, "thread %u", tid);
  if (*name != '\0') {
    gcx__out_char(o, ' ');
    text_quoted(o, name);
  }
}

static size_t text_use(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->use_site == 0 && r->use_tid == 0)
    return 0;
  gcx__report_text_label(o, text_uses[r->id]);
  gcx__out_text(o, r->use_tid == 0 ? "here" : "in ");
  text_thread(o, r->use_tid, "");
  gcx__out_char(o, '\n');
  return gcx__report_text_stack(o, r->use_site);
}

static size_t text_disposal(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->dispose_site == 0)
    return 0;
  gcx__report_text_label(o, text_disposal_label(r->id));
  gcx__out_text(o, "here\n");
  return gcx__report_text_stack(o, r->dispose_site);
}

static size_t text_birth(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->birth_site == 0 && r->birth_tid == 0)
    return 0;
  gcx__report_text_label(o, text_is_no_object(r) || r->ended_by != NULL
                                ? "opened"
                            : r->is_lent ? "taken"
                                         : "born");
  text_time(o, r->birth_ms);
  gcx__out_text(o, " after start");
  if (r->birth_tid != 0)
    gcx__out_text(o, ", in ");
  text_thread(o, r->birth_tid, r->birth_thread);
  gcx__out_char(o, '\n');
  return gcx__report_text_stack(o, r->birth_site);
}

/* Many, at different times. */
static size_t text_opened(struct gcx__out *o, const struct gcx_report *r)
{
  if (r->birth_site == 0)
    return 0;
  gcx__report_text_label(o, "opened");
  gcx__out_text(o, "here\n");
  return gcx__report_text_stack(o, r->birth_site);
}

static size_t text_touches(struct gcx__out *o, const struct gcx_report *r)
{
  size_t raw = 0;

  for (size_t i = 0; i < r->touches; i++) {
    const struct gcx__touch *t = &r->touch[i];

    gcx__report_text_label(o, "touched");
    text_time(o, t->ms);
    gcx__out_text(o, " after start");
    if (t->tid != 0)
      gcx__out_text(o, ", in ");
    text_thread(o, t->tid, "");
    if (t->hint[0] != '\0') {
      gcx__out_text(o, ": ");
      text_quoted(o, t->hint);
    }
    gcx__out_char(o, '\n');
    raw += gcx__report_text_stack(o, t->site);
  }
  return raw;
}

/* "collection 41 (12.031 s, after "parse header")" */
static void text_moment(struct gcx__out *o, const struct gcx__moment *m)
{
  gcx__out_fmt(o, "collection %llu (", (unsigned long long)m->collection);
  text_time(o, m->ms);
  if (m->breadcrumb[0] != '\0') {
    gcx__out_text(o, ", after ");
    text_quoted(o, m->breadcrumb);
  }
  gcx__out_char(o, ')');
}

static void text_window(struct gcx__out *o, const struct gcx_report *r)
{
  if (!r->has_window)
    return;
  gcx__report_text_label(o, "lost");
  if (r->last_seen.collection == 0) {
    gcx__out_text(o, "between its birth and ");
  } else {
    gcx__out_text(o, "reachable at ");
    text_moment(o, &r->last_seen);
    gcx__out_text(o, ", gone at ");
  }
  text_moment(o, &r->gone);
  gcx__out_char(o, '\n');
}

/* --------------------------------------------------------------- the whole */

void gcx__report_text(struct gcx__out *o, const struct gcx_report *r)
{
  size_t raw = 0;

  gcx__out_fmt(o, "==%d== gcx: %s: ", (int)getpid(), gcx__report_name(r->id));
  text_headline(o, r);
  text_what(o, r);
  text_detail(o, r);
  text_holds(o, r);
  raw += text_use(o, r);
  raw += text_disposal(o, r);
  raw += r->id == GCX_REPORT_EXHAUSTED ? text_opened(o, r) : text_birth(o, r);
  raw += text_touches(o, r);
  text_window(o, r);
  gcx__report_text_advice(o, r);
  gcx__report_text_more_stacks(o, r, raw);
  gcx__report_text_more(o, r);
}

void gcx__report_text_note(struct gcx__out *o, const char *note)
{
  gcx__out_fmt(o, "==%d== gcx: note: %s\n", (int)getpid(), note);
}

/* ----------------------------------------------------------------- summary */

/* "3 objects, 144 bytes lost in 1 finding (GCX-LEAK)" */
static void text_total_objects(struct gcx__out *o, enum gcx__report_id id,
                               const struct gcx__report_totals *t)
{
  gcx__out_fmt(o, "%zu object%s", t->objects[id], text_plural(t->objects[id]));
  if (t->bytes[id] > 0) {
    gcx__out_text(o, ", ");
    text_bytes(o, t->bytes[id]);
  }
  gcx__out_fmt(o, " %s in %zu finding%s (%s)",
               id == GCX_REPORT_LEAK ? "lost" : "not disposed at exit",
               t->findings[id], text_plural(t->findings[id]),
               gcx__report_name(id));
  if (id == GCX_REPORT_LEAK && t->indirect_objects > 0) {
    gcx__out_fmt(o, " and %zu object%s, ", t->indirect_objects,
                 text_plural(t->indirect_objects));
    text_bytes(o, t->indirect_bytes);
    gcx__out_text(o, " with them");
  }
}

static void text_total(struct gcx__out *o, enum gcx__report_id id,
                       const struct gcx__report_totals *t)
{
  if (id == GCX_REPORT_LEAK || id == GCX_REPORT_UNDISPOSED)
    text_total_objects(o, id, t);
  else
    gcx__out_fmt(o, "%zu finding%s (%s)", t->findings[id],
                 text_plural(t->findings[id]), gcx__report_name(id));
}

void gcx__report_text_summary(struct gcx__out *o,
                              const struct gcx__report_totals *totals)
{
  const char *separator = "SUMMARY: gcx: ";

  for (int id = 0; id < GCX_REPORT_ID_COUNT; id++) {
    if (totals->findings[id] == 0)
      continue;
    gcx__out_text(o, separator);
    text_total(o, (enum gcx__report_id)id, totals);
    separator = "; ";
  }
  gcx__out_char(o, '\n');
}
