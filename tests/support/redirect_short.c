/* SPDX-License-Identifier: MIT */
/* redirect_short.c - part of redirect_exhaust.c without gcx/malloc.h: the
 * program's own socket(), which the library's calls come to as well */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "redirect_exhaust.h"

static int failures, failure;

void exhaust_fail(int times, int error)
{
  failures = times;
  failure = error;
}

int exhaust_failures(void)
{
  return failures;
}

int socket(int domain, int type, int protocol)
{
  if (failures > 0) {
    failures--;
    errno = failure;
    return -1;
  }
  return (int)syscall(SYS_socket, domain, type, protocol);
}
