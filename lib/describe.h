/* SPDX-License-Identifier: MIT */
/*
 * describe.h - which descriptor is it? One line for reports
 */
#ifndef GCX_DESCRIBE_H
#define GCX_DESCRIBE_H

#include "assert.h"

/* "fd 5: /etc/hosts, reading", "fd 7: socket, peer 127.0.0.1:80", "fd 9: not
 * open". Blocks for nothing, allocates nothing. */
void gcx__describe_fd(int fd, char *ret_text, size_t bytes);

#endif
