/* SPDX-License-Identifier: MIT */
/*
 * handlers.h - the program's functions that are told of every finding
 */
#ifndef GCX_HANDLERS_H
#define GCX_HANDLERS_H

#include "../include/gcx/report.h"
#include "assert.h"

#define GCX__HANDLERS_MAX 32 /* gcx_handler_add() beyond: -ENOMEM */

/* Call all handlers, in the order in which they were added, without a lock. One
 * that is removed meanwhile may still be called. */
void gcx__handlers_call(const struct gcx_report *r);

#endif
