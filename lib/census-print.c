/* SPDX-License-Identifier: MIT */
/*
 * census-print.c - a census as text, as JSON Lines, as folded stacks
 *
 * Written as reports are: by one at a time, without the program's heap.
 */
#include <errno.h>
#include <unistd.h>

#include "census.h"
#include "modules.h"
#include "out.h"
#include "report-format.h"
#include "symbolize.h"
#include "type.h"

struct census_listing {
  const struct gcx__census_row *rows;
  size_t n;
  const char *what;
  bool signs;
  int format;
};

static const char *print_type(const struct gcx__census_row *row)
{
  const struct gcx_type *type = gcx__type_at(row->type);

  return type != NULL ? type->name : NULL;
}

/* "12 objects", "+12 objects" */
static void print_number(struct gcx__out *o, int64_t n, bool sign,
                         const char *unit)
{
  gcx__out_fmt(o, "%s%lld %s%s", sign && n > 0 ? "+" : "", (long long)n, unit,
               n == 1 || n == -1 ? "" : "s");
}

static void print_age(struct gcx__out *o, uint64_t ms)
{
  gcx__out_fmt(o, "%llu.%03llu s", (unsigned long long)(ms / 1000),
               (unsigned long long)(ms % 1000));
}

static void print_sums(struct gcx__out *o, const struct census_listing *l)
{
  int64_t count = 0, bytes = 0;

  for (size_t i = 0; i < l->n; i++) {
    count += l->rows[i].count;
    bytes += l->rows[i].bytes;
  }
  if (l->format == GCX_CENSUS_JSON) {
    gcx__out_fmt(o, "\"count\":%lld,\"bytes\":%lld,\"rows\":%zu",
                 (long long)count, (long long)bytes, l->n);
    return;
  }
  print_number(o, count, l->signs, "object");
  gcx__out_text(o, ", ");
  print_number(o, bytes, l->signs, "byte");
  gcx__out_fmt(o, " in %zu row%s\n", l->n, l->n == 1 ? "" : "s");
}

/* ---- text */

static void print_text_row(struct gcx__out *o, const struct census_listing *l,
                           const struct gcx__census_row *row)
{
  const char *type = print_type(row);

  gcx__out_text(o, "  ");
  print_number(o, row->count, l->signs, "object");
  gcx__out_text(o, ", ");
  print_number(o, row->bytes, l->signs, "byte");
  gcx__out_text(o, " of ");
  gcx__out_foreign(o, type != NULL ? type : "plain memory");
  if (row->oldest_ms > 0 || row->newest_ms > 0) {
    gcx__out_text(o, "; ages ");
    print_age(o, row->newest_ms);
    gcx__out_text(o, " to ");
    print_age(o, row->oldest_ms);
  }
  gcx__out_char(o, '\n');
  (void)gcx__report_text_stack(o, row->site);
}

static void print_text(struct gcx__out *o, const struct census_listing *l)
{
  gcx__out_fmt(o, "==%d== gcx: %s: ", (int)getpid(), l->what);
  print_sums(o, l);
  for (size_t i = 0; i < l->n; i++)
    print_text_row(o, l, &l->rows[i]);
}

/* ---- JSON Lines */

static void print_json_row(struct gcx__out *o, const struct census_listing *l,
                           const struct gcx__census_row *row)
{
  gcx__out_fmt(o, "{\"event\":\"%s\",\"pid\":%d,\"type\":", l->what,
               (int)getpid());
  gcx__out_json(o, print_type(row));
  gcx__out_fmt(o,
               ",\"count\":%lld,\"bytes\":%lld,\"newest_ms\":%llu,"
               "\"oldest_ms\":%llu",
               (long long)row->count, (long long)row->bytes,
               (unsigned long long)row->newest_ms,
               (unsigned long long)row->oldest_ms);
  gcx__report_json_stack(o, row->site);
  gcx__out_text(o, "}\n");
}

static void print_json(struct gcx__out *o, const struct census_listing *l)
{
  for (size_t i = 0; i < l->n; i++)
    print_json_row(o, l, &l->rows[i]);
  gcx__out_fmt(o, "{\"event\":\"%s sum\",\"pid\":%d,", l->what, (int)getpid());
  print_sums(o, l);
  gcx__out_text(o, "}\n");
}

/* ---- folded stacks */

/* A name in which nothing separates. */
static void print_folded_name(struct gcx__out *o, const char *s)
{
  for (; *s != '\0'; s++)
    gcx__out_char(o, *s == ';' || *s == ' ' || (unsigned char)*s < 0x20 ? '_'
                                                                        : *s);
}

static void print_folded_raw(struct gcx__out *o, uintptr_t pc, uint32_t epoch)
{
  const struct gcx__module *m = gcx__modules_find(pc, epoch);
  const char *path = m != NULL && m->path != NULL ? m->path : "?";
  const char *name = path;

  for (const char *at = path; *at != '\0'; at++)
    if (*at == '/')
      name = at + 1;
  print_folded_name(o, name);
  gcx__out_fmt(o, "+0x%lx", (unsigned long)(m != NULL ? pc - m->bias : pc));
}

/* Outermost function first, of inlined ones too. */
static void print_folded_address(struct gcx__out *o, uintptr_t pc,
                                 uint32_t epoch)
{
  struct gcx__source source;
  size_t n = 0;

  while (gcx__symbolize_get(pc, epoch, n, &source))
    n++;
  if (n == 0)
    print_folded_raw(o, pc, epoch);
  for (size_t i = n; i-- > 0;) {
    (void)gcx__symbolize_get(pc, epoch, i, &source);
    if (*source.function != '\0')
      print_folded_name(o, source.function);
    else
      print_folded_raw(o, pc, epoch);
    if (i > 0)
      gcx__out_char(o, ';');
  }
}

/* Flame graphs know no negative width: what has become fewer is left out. */
static void print_folded(struct gcx__out *o, const struct census_listing *l)
{
  for (size_t i = 0; i < l->n; i++) {
    const struct gcx__census_row *row = &l->rows[i];
    const char *type = print_type(row);
    const uintptr_t *pcs = NULL;
    uint32_t epoch = 0;
    size_t n = gcx__report_stack(row->site, &pcs, &epoch);

    if (row->bytes <= 0)
      continue;
    for (size_t k = n; k-- > 0;) {
      print_folded_address(o, pcs[k], epoch);
      gcx__out_char(o, ';');
    }
    print_folded_name(o, type != NULL ? type : "plain_memory");
    gcx__out_fmt(o, " %lld\n", (long long)row->bytes);
  }
}

/* ---- */

static uint32_t print_site(size_t i, void *arg)
{
  const struct census_listing *l = arg;

  return l->rows[i].site;
}

static void print_all(struct gcx__out *o, void *arg)
{
  const struct census_listing *l = arg;

  if (l->format == GCX_CENSUS_JSON)
    print_json(o, l);
  else if (l->format == GCX_CENSUS_FOLDED)
    print_folded(o, l);
  else
    print_text(o, l);
}

int gcx__census_write(const struct gcx__census_row *rows, size_t n,
                      const char *what, bool signs, int fd, int format)
{
  struct census_listing l = { rows, n, what, signs, format };

  return gcx__report_list(fd, n, print_site, print_all, &l) ? 0 : -EIO;
}
