/* SPDX-License-Identifier: MIT */
/* redirect_exhaust.h - socket() that fails on demand */
#ifndef REDIRECT_EXHAUST_H
#define REDIRECT_EXHAUST_H

/* The next @times fail with @error. */
void exhaust_fail(int times, int error);

/* How many of those are still to come. */
int exhaust_failures(void);

#endif
