/* SPDX-License-Identifier: MIT */
/*
 * handle.h - handles made by gcx itself, in the name of a public function
 */
#ifndef GCX_HANDLE_INTERNAL_H
#define GCX_HANDLE_INTERNAL_H

#include "../include/gcx/handle.h"
#include "unwind.h"

/* gcx_handle_create() for the caller at @start; @type must be a good one. */
struct gcx_handle *gcx__handle_create(const struct gcx_handle_type *type,
                                      intptr_t raw, bool owns,
                                      const struct gcx__frame *start);

#endif
