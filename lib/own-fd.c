/* SPDX-License-Identifier: MIT */
/* own-fd.c - descriptors that gcx keeps open */
#include "own-fd.h"

#include <sys/stat.h>
#include <unistd.h>

void gcx__own_fd_note(struct gcx__own_fd *ret_own, int fd)
{
  struct stat s = { .st_ino = 0 };

  (void)fstat(fd, &s);
  *ret_own = (struct gcx__own_fd){ fd, s.st_dev, s.st_ino };
}

bool gcx__own_fd_has(const struct gcx__own_fd *own)
{
  struct stat now;

  return own->fd >= 0 && fstat(own->fd, &now) == 0 &&
         now.st_dev == own->device && now.st_ino == own->inode;
}

void gcx__own_fd_close(const struct gcx__own_fd *own)
{
  if (gcx__own_fd_has(own))
    (void)close(own->fd);
}
