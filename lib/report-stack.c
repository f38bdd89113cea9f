/* SPDX-License-Identifier: MIT */
/*
 * report-stack.c - a stack as text: functions and lines where they are known,
 *                  module and offset where not
 *
 * State and locks: none.
 */
#include "report-format.h"

#include "modules.h"
#include "symbolize.h"

/* "path+0xoffset (BuildId hex)": what gcx-symbolize can look up later. */
static void stack_raw_address(struct gcx__out *o, uintptr_t pc,
                              const struct gcx__module *m)
{
  if (m == NULL || m->path == NULL) {
    gcx__out_fmt(o, "0x%lx (in no known module)", (unsigned long)pc);
    return;
  }
  gcx__out_foreign(o, m->path);
  gcx__out_fmt(o, "+0x%lx", (unsigned long)(pc - m->bias));
  if (m->build_id_bytes == 0)
    return;
  gcx__out_text(o, " (BuildId ");
  for (size_t i = 0; i < m->build_id_bytes; i++)
    gcx__out_fmt(o, "%02x", (unsigned)m->build_id[i]);
  gcx__out_char(o, ')');
}

static void stack_source(struct gcx__out *o, uintptr_t pc,
                         const struct gcx__module *m,
                         const struct gcx__source *s)
{
  gcx__out_foreign(o, *s->function != '\0' ? s->function : "??");
  if (*s->file != '\0') {
    gcx__out_char(o, ' ');
    gcx__out_foreign(o, s->file);
    gcx__out_fmt(o, ":%u", s->line);
  } else {
    gcx__out_text(o, " in ");
    stack_raw_address(o, pc, m);
  }
  if (s->inlined)
    gcx__out_text(o, " (inlined)");
}

/* All source frames of one address; returns the number of the next frame. */
static size_t stack_address(struct gcx__out *o, uintptr_t pc, uint32_t epoch,
                            size_t number, size_t *ret_raw)
{
  const struct gcx__module *m = gcx__modules_find(pc, epoch);
  struct gcx__source source;
  size_t n = 0;

  for (; gcx__symbolize_get(pc, epoch, n, &source); n++) {
    gcx__out_fmt(o, "    #%zu ", number + n);
    stack_source(o, pc, m, &source);
    gcx__out_char(o, '\n');
  }
  if (n > 0)
    return number + n;
  gcx__out_fmt(o, "    #%zu ", number);
  stack_raw_address(o, pc, m);
  gcx__out_char(o, '\n');
  *ret_raw += m != NULL;
  return number + 1;
}

size_t gcx__report_text_stack(struct gcx__out *o, uint32_t site)
{
  const uintptr_t *pcs = NULL;
  uint32_t epoch = 0;
  size_t n = gcx__report_stack(site, &pcs, &epoch);
  size_t number = 0, raw = 0;

  for (size_t i = 0; i < n; i++)
    number = stack_address(o, pcs[i], epoch, number, &raw);
  return raw;
}
