/* SPDX-License-Identifier: MIT */
/*
 * window.h - the run's time line: when each collection stopped the world, and
 *            the breadcrumbs between them
 */
#ifndef GCX_WINDOW_H
#define GCX_WINDOW_H

#include <stdarg.h>

#include "report.h"

/* Stopped, once per stop that reached the end of marking; tells its number. */
uint32_t gcx__window_stop(void);

uint32_t gcx__window_stops(void);

/* The moment of stop @number (0: start of the run), with the latest breadcrumb
 * dropped before it. */
void gcx__window_moment(uint32_t number, struct gcx__moment *ret_moment);

void gcx__window_breadcrumb(const char *fmt, va_list ap);

#endif
