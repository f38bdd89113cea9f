/* SPDX-License-Identifier: MIT */
/*
 * alloc.h - gcx's own objects, made in the name of a public function
 */
#ifndef GCX_ALLOC_H
#define GCX_ALLOC_H

#include "object.h"

/* gcx_new_extra() for the caller at @start, with flags of record.h besides those
 * of @type, which must be without fault. NULL and ENOMEM. */
void *gcx__alloc_typed(const struct gcx_type *type, size_t extra,
                       uint32_t flags, const struct gcx__frame *start);

/* Switch flags of a record. */
void gcx__alloc_set_flag(uint32_t number, uint32_t flag, bool on);

#endif
