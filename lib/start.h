/* SPDX-License-Identifier: MIT */
/*
 * start.h - start of the library, for levels that may be used before its constructor
 */
#ifndef GCX_START_H
#define GCX_START_H

#include "assert.h"

/* Everything is initialised when it returns. Any thread, any number of times. */
void gcx__start(void);

#endif
