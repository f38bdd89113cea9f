/* SPDX-License-Identifier: MIT */
/*
 * left.h - functions of the program's that are not left by returning
 *
 * glibc's handlers that longjmp, too, runs on its way out of a frame; exported
 * since 2.0, declared in no header any more. C++ exceptions run what the
 * attribute cleanup names.
 */
#ifndef GCX_LEFT_H
#define GCX_LEFT_H

#include <pthread.h>

extern void _pthread_cleanup_push(struct _pthread_cleanup_buffer *buffer,
                                  void (*routine)(void *), void *arg);
extern void _pthread_cleanup_pop(struct _pthread_cleanup_buffer *buffer,
                                 int execute);

#endif
