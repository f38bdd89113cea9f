/* SPDX-License-Identifier: MIT */
/* losing-o2.c - losing.h with optimisation */
#ifndef __clang__
#pragma GCC optimize("O2")
#endif
#include "losing.h"

#include <stdlib.h>

#define LOSING(name) name##_o2
#include "losing-body.h"
