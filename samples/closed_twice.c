/* SPDX-License-Identifier: MIT */
/*
 * closed_twice - a descriptor that two places close; built with
 *                -include gcx/malloc.h
 *
 * In a program with threads the second close() hits whoever was given the number
 * meanwhile. Here nobody was, the kernel says EBADF, and few look at what close()
 * returns.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char first_byte(int fd)
{
  char c = '?';

  if (read(fd, &c, 1) != 1)
    c = '?';
  close(fd); /* it is the caller's */
  return c;
}

int main(void)
{
  int fd = open("/etc/passwd", O_RDONLY);

  printf("%c\n", first_byte(fd));
  (void)fflush(stdout);
  close(fd);
  return 0;
}
