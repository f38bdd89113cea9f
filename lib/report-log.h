/* SPDX-License-Identifier: MIT */
/*
 * report-log.h - where reports go: stderr, stdout or a file of this process
 *
 * One user at a time: the caller holds the lock of who prints.
 */
#ifndef GCX_REPORT_LOG_H
#define GCX_REPORT_LOG_H

#include "out.h"

/* The log during one occasion. */
struct gcx__report_log {
  struct gcx__out out; /* falls back to stderr by itself */
  int fd;
  bool opened;    /* close it again */
  bool elsewhere; /* another process writes it */
};

void gcx__report_log_init(void); /* after the options */

void gcx__report_log_begin(struct gcx__report_log *l);
void gcx__report_log_end(struct gcx__report_log *l);

/* The log's buffer for another descriptor. */
void gcx__report_log_borrow(struct gcx__out *o, int fd);

/* Name of the file, NULL if there is none. */
const char *gcx__report_log_file(void);

#endif
