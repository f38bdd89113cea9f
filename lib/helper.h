/* SPDX-License-Identifier: MIT */
/*
 * helper.h - a helper process that the program does not notice
 */
#ifndef GCX_HELPER_H
#define GCX_HELPER_H

#include <sys/types.h>

#include "own-fd.h"

/* Stacks of two short-lived children that share our memory. */
#define GCX__HELPER_STACK_BYTES ((size_t)128 * 1024)

/* Both ends of the connection to a helper; 0, or an error number. */
int gcx__helper_connect(struct gcx__own_fd ret_ends[2]);

/* Run "@path --serve" with @fd for its input and output. 0, or an error number
 * if it could not be started. @stacks: GCX__HELPER_STACK_BYTES, aligned to 16. */
int gcx__helper_start(const char *path, int fd, char *stacks, pid_t *ret_pid);

/* The helper is needed no more; @fd is our end of the socket. @kill: it did not
 * do what it should. */
void gcx__helper_end(pid_t pid, int fd, bool kill_it);

/* Append @n bytes at @text to the file @path, made if there is none: in a child that
 * has descriptors of its own, closes one of them, and ends. For a process that can't
 * have another one. 0, or an error number. @stack: GCX__HELPER_STACK_BYTES. */
int gcx__helper_append(const char *path, const char *text, size_t n,
                       char *stack);

#endif
