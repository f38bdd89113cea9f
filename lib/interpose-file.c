/* SPDX-License-Identifier: MIT */
/*
 * interpose-file.c - in front of read() and write(), for sockets with a time limit
 *
 * interpose-limit.h says how. Every other descriptor's call the kernel takes up
 * again by itself after a stop; what it does not is the program's to see: a file
 * system may have a reason of its own for EINTR.
 *
 * A file of its own: a program linked with the static library may define a
 * function of such a name, and has none of this then.
 */
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "interpose-limit.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  ssize_t (*read)(int fd, void *to, size_t bytes);
  ssize_t (*readv)(int fd, const struct iovec *to, int n);
  ssize_t (*write)(int fd, const void *from, size_t bytes);
  ssize_t (*writev)(int fd, const struct iovec *from, int n);
  bool looked_up;
} file_real;

static void __attribute__((constructor(101))) file_look_up(void)
{
  GCX__WAIT_LOOK_UP(file_real, read);
  GCX__WAIT_LOOK_UP(file_real, readv);
  GCX__WAIT_LOOK_UP(file_real, write);
  GCX__WAIT_LOOK_UP(file_real, writev);
  file_real.looked_up = true;
}

static const struct gcx__limit_kind file_reading = { SO_RCVTIMEO, POLLIN,
                                                     EAGAIN, true };
static const struct gcx__limit_kind file_writing = { SO_SNDTIMEO, POLLOUT,
                                                     EAGAIN, true };

/* Whoever reads before our constructor has run. */
static struct gcx__limit file_begin(void)
{
  if (GCX_UNLIKELY(!file_real.looked_up))
    file_look_up();
  return gcx__limit_begin();
}

GCX__WAIT_EXPORT ssize_t read(int fd, void *to, size_t bytes)
{
  GCX__LIMIT_CALL(ssize_t, file_begin(), fd, &file_reading,
                  file_real.read(fd, to, bytes));
}

GCX__WAIT_EXPORT ssize_t readv(int fd, const struct iovec *to, int n)
{
  GCX__LIMIT_CALL(ssize_t, file_begin(), fd, &file_reading,
                  file_real.readv(fd, to, n));
}

GCX__WAIT_EXPORT ssize_t write(int fd, const void *from, size_t bytes)
{
  GCX__LIMIT_CALL(ssize_t, file_begin(), fd, &file_writing,
                  file_real.write(fd, from, bytes));
}

GCX__WAIT_EXPORT ssize_t writev(int fd, const struct iovec *from, int n)
{
  GCX__LIMIT_CALL(ssize_t, file_begin(), fd, &file_writing,
                  file_real.writev(fd, from, n));
}

/* glibc's, for programs built with _FORTIFY_SOURCE */
GCX__WAIT_EXPORT ssize_t __read_chk(int fd, void *to, size_t bytes,
                                    size_t room);

ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room)
{
  if (bytes > room)
    __chk_fail();
  return read(fd, to, bytes);
}

#endif
