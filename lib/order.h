/* SPDX-License-Identifier: MIT */
/*
 * order.h - in which order things that were lost together end
 */
#ifndef GCX_ORDER_H
#define GCX_ORDER_H

#include "assert.h"

/* Owners before what they own, of that the latest first: the order of an explicit
 * disposal. @numbers (of records) in that order into @ret; those that have
 * nothing to do with each other stay in the order given. Without memory, or if
 * nothing owns anything, they are merely copied. No lock held. */
void gcx__order_by_owner(const uint32_t *numbers, size_t n,
                         uint32_t *ret_numbers);

#endif
