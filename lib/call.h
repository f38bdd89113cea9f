/* SPDX-License-Identifier: MIT */
/*
 * call.h - the call of one finalizer
 */
#ifndef GCX_CALL_H
#define GCX_CALL_H

#include "assert.h"

typedef void (*gcx__call_fn)(void *obj);

/* Run the finalizers of the object's type and its bases. The caller keeps
 * @object, which is that of the record @number, reachable. */
void gcx__call_finalizer(uint32_t number, void *object);

#endif
