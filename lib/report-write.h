/* SPDX-License-Identifier: MIT */
/*
 * report-write.h - findings into the log; with the lock of report.c
 */
#ifndef GCX_REPORT_WRITE_H
#define GCX_REPORT_WRITE_H

#include "out.h"
#include "report.h"

void gcx__report_format(struct gcx__out *o, const struct gcx_report *r,
                        bool json);
void gcx__report_format_note(struct gcx__out *o, const char *note);

/* All that are not ignored; if @fatal, at least one finding that is. */
void gcx__report_write_all(const struct gcx_report *reports, size_t n,
                           bool fatal);

/* The closing line, if there was anything since the last one. */
void gcx__report_write_summary(void);

void gcx__report_write_after_fork(void);

#endif
