/* SPDX-License-Identifier: MIT */
/*
 * describe.c - which descriptor is it?
 *
 * /proc/self/fd says what a descriptor is, the kernel how it was opened and whom
 * a socket talks to. State and locks: none.
 */
#include "describe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "out.h"

static void describe_address(struct gcx__out *o,
                             const struct sockaddr_storage *a, socklen_t bytes)
{
  char text[INET6_ADDRSTRLEN] = "";

  if (a->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const void *)a;

    (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
    gcx__out_fmt(o, "%s:%u", text, (unsigned)ntohs(in->sin_port));
  } else if (a->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in = (const void *)a;

    (void)inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
    gcx__out_fmt(o, "[%s]:%u", text, (unsigned)ntohs(in->sin6_port));
  } else if (a->ss_family == AF_UNIX) {
    const struct sockaddr_un *un = (const void *)a;
    size_t length = bytes > offsetof(struct sockaddr_un, sun_path)
                        ? bytes - offsetof(struct sockaddr_un, sun_path)
                        : 0;

    if (length == 0)
      gcx__out_text(o, "unnamed");
    else if (un->sun_path[0] == '\0')
      gcx__out_fmt(o, "@%.*s", (int)length - 1, un->sun_path + 1);
    else
      gcx__out_fmt(o, "%.*s", (int)strnlen(un->sun_path, length), un->sun_path);
  } else {
    gcx__out_fmt(o, "family %u", (unsigned)a->ss_family);
  }
}

static void describe_socket(struct gcx__out *o, int fd)
{
  struct sockaddr_storage a;
  socklen_t bytes = sizeof a;

  memset(&a, 0, sizeof a);
  if (getpeername(fd, (struct sockaddr *)(void *)&a, &bytes) == 0) {
    gcx__out_text(o, "socket, peer ");
    describe_address(o, &a, bytes);
    return;
  }
  bytes = sizeof a;
  memset(&a, 0, sizeof a);
  gcx__out_text(o, "socket, no peer");
  if (getsockname(fd, (struct sockaddr *)(void *)&a, &bytes) == 0) {
    gcx__out_text(o, ", local ");
    describe_address(o, &a, bytes);
  }
}

static const char *describe_mode(int flags)
{
  switch (flags & O_ACCMODE) {
  case O_RDONLY:
    return "reading";
  case O_WRONLY:
    return (flags & O_APPEND) != 0 ? "appending" : "writing";
  default:
    return "reading and writing";
  }
}

static void describe_open(struct gcx__out *o, int fd, int flags)
{
  char link[32], target[160];
  struct gcx__out l;
  ssize_t n;

  gcx__out_init(&l, -1, link, sizeof link);
  gcx__out_fmt(&l, "/proc/self/fd/%d", fd);
  n = readlink(link, target, sizeof target - 1);
  if (n < 0) {
    gcx__out_text(o, "open");
    return;
  }
  target[n] = '\0';
  if (strncmp(target, "socket:", 7) == 0) {
    describe_socket(o, fd);
    return;
  }
  gcx__out_fmt(o, "%s, %s", target, describe_mode(flags));
}

void gcx__describe_fd(int fd, char *ret_text, size_t bytes)
{
  int saved = errno;
  int flags = fcntl(fd, F_GETFL);
  struct gcx__out o;

  gcx__out_init(&o, -1, ret_text, bytes);
  gcx__out_fmt(&o, "fd %d: ", fd);
  if (flags < 0)
    gcx__out_text(&o, "not open");
  else
    describe_open(&o, fd, flags);
  errno = saved;
}
