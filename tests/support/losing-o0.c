/* SPDX-License-Identifier: MIT */
/* losing-o0.c - losing.h without optimisation, whatever CFLAGS says */
#ifdef __clang__
#pragma clang optimize off
#else
#pragma GCC optimize("O0")
#endif
#include "losing.h"

#include <stdlib.h>

#define LOSING(name) name##_o0
#include "losing-body.h"
