/* SPDX-License-Identifier: MIT */
/*
 * own-fd.h - descriptors that gcx keeps open
 *
 * The program may close a descriptor that it does not know (a daemon closes all of
 * them), and have a file of its own at that number.
 */
#ifndef GCX_OWN_FD_H
#define GCX_OWN_FD_H

#include "assert.h"

struct gcx__own_fd {
  int fd;
  uint64_t device,
      inode; /* what it was when it was opened; both 0: not known */
};

/* @fd, just opened. */
void gcx__own_fd_note(struct gcx__own_fd *ret_own, int fd);

/* Is it still that? Asked before each use. */
bool gcx__own_fd_has(const struct gcx__own_fd *own);

/* Close it, if it is still that. */
void gcx__own_fd_close(const struct gcx__own_fd *own);

#endif
