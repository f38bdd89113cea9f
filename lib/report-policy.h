/* SPDX-License-Identifier: MIT */
/*
 * report-policy.h - what a finding is for the process, beside report.h
 */
#ifndef GCX_REPORT_POLICY_H
#define GCX_REPORT_POLICY_H

#include "report.h"

/* Does a finding that the process survived make its exit status? */
bool gcx__report_makes_status(enum gcx__report_id id);
bool gcx__report_is_ignored(const struct gcx_report *r);
bool gcx__report_any_fatal(const struct gcx_report *reports, size_t n);

#endif
