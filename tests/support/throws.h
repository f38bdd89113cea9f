/* SPDX-License-Identifier: MIT */
/*
 * throws.h - C++ exceptions for tests in C
 */
#ifndef GCX_TESTS_THROWS_H
#define GCX_TESTS_THROWS_H

#ifdef __cplusplus
extern "C" {
#endif

void throws_number(int number);
/* Calls fn(arg); the number that it threw, 0 if it did not. */
int throws_caught(void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
