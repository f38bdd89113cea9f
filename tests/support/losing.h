/* SPDX-License-Identifier: MIT */
/*
 * losing.h - functions that lose objects, compiled with and without optimisation
 */
#ifndef GCX_TESTS_LOSING_H
#define GCX_TESTS_LOSING_H

#include <stddef.h>

/* Lose @n objects of @bytes, each in functions of its own that have returned. */
void losing_returned_o0(size_t n, size_t bytes);
void losing_returned_o2(size_t n, size_t bytes);

#endif
