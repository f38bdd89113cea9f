/* SPDX-License-Identifier: MIT */
/*
 * handle_copy - a handle by value, and why gcx has none
 *
 * A struct with a descriptor in it can be copied, and then there are two that
 * think they own the number. The second close() hits whoever has it by then.
 * gcx's handles are objects: a copy of the pointer is the same handle, which
 * closes once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <gcx.h>

struct by_value {
  int fd;
};

static void by_value_close(struct by_value v)
{
  (void)close(v.fd);
}

int main(void)
{
  struct by_value first = { open("/dev/null", O_RDONLY) };
  struct by_value copy = first;
  struct gcx_handle *handle, *same;
  int log;

  by_value_close(first);
  log = open("/etc/passwd", O_RDONLY); /* gets the number */
  by_value_close(copy);
  printf("by value: the log is %s\n",
         fcntl(log, F_GETFD) < 0 ? "closed by somebody else" : "open");

  handle = gcx_fd_open("/dev/null", O_RDONLY, 0);
  same = handle;
  gcx_dispose(handle);
  log = open("/etc/passwd", O_RDONLY);
  gcx_dispose(same);
  printf("by handle: the log is %s\n",
         fcntl(log, F_GETFD) < 0 ? "closed by somebody else" : "open");
  (void)close(log);
  return gcx_check() == 0 ? 0 : 1;
}
