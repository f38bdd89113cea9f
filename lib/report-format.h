/* SPDX-License-Identifier: MIT */
/*
 * report-format.h - what a report looks like; between report-write.c and the
 *                   formats
 *
 * Each writes to a writer that is set up; symbols have been looked up
 * by then.
 */
#ifndef GCX_REPORT_FORMAT_H
#define GCX_REPORT_FORMAT_H

#include "out.h"
#include "report.h"

/* What was reported since the last closing line. */
struct gcx__report_totals {
  size_t findings[GCX_REPORT_ID_COUNT];
  size_t objects[GCX_REPORT_ID_COUNT];
  size_t bytes[GCX_REPORT_ID_COUNT];
  size_t indirect_objects; /* lost with those */
  size_t indirect_bytes;
};

void gcx__report_text(struct gcx__out *o, const struct gcx_report *r);
/* A line for each frame; how many addresses stayed module and offset. */
size_t gcx__report_text_stack(struct gcx__out *o, uint32_t site);
/* Between report-text.c and report-advice.c: a line's label; a labelled sentence,
 * nothing if there is none; and the last lines. @raw: addresses of the stacks
 * that stayed module and offset. */
void gcx__report_text_label(struct gcx__out *o, const char *label);
void gcx__report_text_sentence(struct gcx__out *o, const char *label,
                               const char *s);
void gcx__report_text_advice(struct gcx__out *o, const struct gcx_report *r);
void gcx__report_text_more_stacks(struct gcx__out *o,
                                  const struct gcx_report *r, size_t raw);
void gcx__report_text_more(struct gcx__out *o, const struct gcx_report *r);
void gcx__report_text_note(struct gcx__out *o, const char *note);
void gcx__report_text_summary(struct gcx__out *o,
                              const struct gcx__report_totals *totals);

/* ,"stack":[...], for other listings */
void gcx__report_json_stack(struct gcx__out *o, uint32_t site);

void gcx__report_json(struct gcx__out *o, const struct gcx_report *r);
void gcx__report_json_note(struct gcx__out *o, const char *note);
void gcx__report_json_summary(struct gcx__out *o,
                              const struct gcx__report_totals *totals);

#endif
