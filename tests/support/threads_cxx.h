/* SPDX-License-Identifier: MIT */
/*
 * threads_cxx.h - threads of C++ for tests in C
 */
#ifndef GCX_TESTS_THREADS_CXX_H
#define GCX_TESTS_THREADS_CXX_H

#ifdef __cplusplus
extern "C" {
#endif

/* Each of @n std::threads makes an object, holds it by a thread_local whose
 * destructor disposes it, calls fn(arg), and ends. */
void threads_run(int n, void *(*make)(void *arg), void (*fn)(void *arg),
                 void *arg);

#ifdef __cplusplus
}
#endif

#endif
