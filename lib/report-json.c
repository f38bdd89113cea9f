/* SPDX-License-Identifier: MIT */
/*
 * report-json.c - a finding as one line of JSON
 *
 * Every line is an object whose "event" is finding, note or summary. The keys of
 * an event are always all there; what is not known is null (an empty list where
 * a list stands). docs/reports.md has the schema. State and locks: none.
 */
#include "report-format.h"

#include <unistd.h>

#include "depot.h"
#include "modules.h"
#include "symbolize.h"

/* ,"key": - the opening brace of the object has been written. */
static void json_key(struct gcx__out *o, const char *key)
{
  if (o->used == 0 || o->buffer[o->used - 1] != '{')
    gcx__out_char(o, ',');
  gcx__out_fmt(o, "\"%s\":", key);
}

static void json_number(struct gcx__out *o, const char *key, uint64_t value)
{
  json_key(o, key);
  gcx__out_fmt(o, "%llu", (unsigned long long)value);
}

/* NULL and "": null */
static void json_text(struct gcx__out *o, const char *key, const char *value)
{
  json_key(o, key);
  gcx__out_json(o, value != NULL && *value != '\0' ? value : NULL);
}

/* 0: null. As text: 64 bits are too many for most readers' numbers. */
static void json_address(struct gcx__out *o, const char *key, uintptr_t value)
{
  json_key(o, key);
  if (value == 0)
    gcx__out_text(o, "null");
  else
    gcx__out_fmt(o, "\"0x%lx\"", (unsigned long)value);
}

static void json_begin(struct gcx__out *o, const char *event)
{
  gcx__out_char(o, '{');
  json_text(o, "event", event);
  json_number(o, "pid", (uint64_t)getpid());
}

static void json_end(struct gcx__out *o)
{
  gcx__out_text(o, "}\n");
}

static void json_build_id(struct gcx__out *o, const struct gcx__module *m)
{
  json_key(o, "build_id");
  if (m == NULL || m->build_id_bytes == 0) {
    gcx__out_text(o, "null");
    return;
  }
  gcx__out_char(o, '"');
  for (size_t i = 0; i < m->build_id_bytes; i++)
    gcx__out_fmt(o, "%02x", (unsigned)m->build_id[i]);
  gcx__out_char(o, '"');
}

/* One source frame of @pc; of an inlined function several share a pc. */
static void json_frame(struct gcx__out *o, uintptr_t pc,
                       const struct gcx__module *m,
                       const struct gcx__source *source)
{
  gcx__out_char(o, '{');
  json_address(o, "pc", pc);
  json_text(o, "module", m != NULL ? m->path : NULL);
  json_address(o, "offset", m != NULL ? pc - m->bias : 0);
  json_build_id(o, m);
  json_text(o, "function", source->function);
  json_text(o, "file", source->file);
  json_key(o, "line");
  if (source->line == 0)
    gcx__out_text(o, "null");
  else
    gcx__out_fmt(o, "%u", source->line);
  json_key(o, "inlined");
  gcx__out_text(o, source->inlined ? "true}" : "false}");
}

void gcx__report_json_stack(struct gcx__out *o, uint32_t site)
{
  const uintptr_t *pcs = NULL;
  uint32_t epoch = 0;
  size_t n = gcx__report_stack(site, &pcs, &epoch);

  json_key(o, "stack");
  gcx__out_char(o, '[');
  for (size_t i = 0; i < n; i++) {
    const struct gcx__module *m = gcx__modules_find(pcs[i], epoch);
    struct gcx__source source = { .function = NULL };
    size_t at = 0;

    do {
      bool known = gcx__symbolize_get(pcs[i], epoch, at, &source);

      if (!known && at > 0)
        break;
      if (i + at > 0)
        gcx__out_char(o, ',');
      json_frame(o, pcs[i], m, &source);
      at++;
    } while (source.inlined);
  }
  gcx__out_char(o, ']');
}

static void json_birth(struct gcx__out *o, const struct gcx_report *r)
{
  json_key(o, "birth");
  gcx__out_char(o, '{');
  json_number(o, "ms", r->birth_ms);
  json_number(o, "tid", r->birth_tid);
  json_text(o, "thread", r->birth_thread);
  gcx__report_json_stack(o, r->birth_site);
  gcx__out_char(o, '}');
}

static void json_misuse(struct gcx__out *o, const struct gcx_report *r)
{
  json_key(o, "dispose");
  gcx__out_char(o, '{');
  gcx__report_json_stack(o, r->dispose_site);
  gcx__out_char(o, '}');
  json_key(o, "use");
  gcx__out_char(o, '{');
  json_number(o, "tid", r->use_tid);
  gcx__report_json_stack(o, r->use_site);
  gcx__out_char(o, '}');
}

static void json_moment(struct gcx__out *o, const char *key,
                        const struct gcx__moment *m)
{
  json_key(o, key);
  gcx__out_char(o, '{');
  json_number(o, "ms", m->ms);
  json_number(o, "collection", m->collection);
  json_text(o, "breadcrumb", m->breadcrumb);
  gcx__out_char(o, '}');
}

static void json_window(struct gcx__out *o, const struct gcx_report *r)
{
  json_key(o, "window");
  if (!r->has_window) {
    gcx__out_text(o, "null");
    return;
  }
  gcx__out_char(o, '{');
  json_moment(o, "last_seen", &r->last_seen);
  json_moment(o, "gone", &r->gone);
  gcx__out_char(o, '}');
}

static void json_touches(struct gcx__out *o, const struct gcx_report *r)
{
  json_key(o, "touches");
  gcx__out_char(o, '[');
  for (size_t i = 0; i < r->touches; i++) {
    gcx__out_text(o, i == 0 ? "{" : ",{");
    json_number(o, "ms", r->touch[i].ms);
    json_number(o, "tid", r->touch[i].tid);
    json_text(o, "hint", r->touch[i].hint);
    gcx__report_json_stack(o, r->touch[i].site);
    gcx__out_char(o, '}');
  }
  gcx__out_char(o, ']');
}

void gcx__report_json(struct gcx__out *o, const struct gcx_report *r)
{
  json_begin(o, "finding");
  json_text(o, "id", gcx__report_name(r->id));
  json_text(o, "type", r->type_name);
  json_address(o, "object", (uintptr_t)r->object);
  json_number(o, "bytes", r->bytes);
  json_number(o, "count", r->count);
  json_number(o, "total_bytes", r->total_bytes);
  json_number(o, "indirect_count", r->indirect_count);
  json_number(o, "indirect_bytes", r->indirect_bytes);
  json_text(o, "description", r->description);
  json_text(o, "detail", r->detail);
  json_key(o, "lent");
  gcx__out_text(o, r->is_lent ? "true" : "false");
  json_birth(o, r);
  json_misuse(o, r);
  json_window(o, r);
  json_touches(o, r);
  json_end(o);
}

void gcx__report_json_note(struct gcx__out *o, const char *note)
{
  json_begin(o, "note");
  json_text(o, "text", note);
  json_end(o);
}

static void json_totals(struct gcx__out *o, enum gcx__report_id id,
                        const struct gcx__report_totals *totals)
{
  json_key(o, gcx__report_name(id));
  gcx__out_char(o, '{');
  json_number(o, "findings", totals->findings[id]);
  json_number(o, "objects", totals->objects[id]);
  json_number(o, "bytes", totals->bytes[id]);
  gcx__out_char(o, '}');
}

void gcx__report_json_summary(struct gcx__out *o,
                              const struct gcx__report_totals *totals)
{
  json_begin(o, "summary");
  json_key(o, "ids");
  gcx__out_char(o, '{');
  for (int id = 0; id < GCX_REPORT_ID_COUNT; id++)
    if (totals->findings[id] > 0)
      json_totals(o, (enum gcx__report_id)id, totals);
  gcx__out_char(o, '}');
  json_number(o, "indirect_objects", totals->indirect_objects);
  json_number(o, "indirect_bytes", totals->indirect_bytes);
  json_end(o);
}
