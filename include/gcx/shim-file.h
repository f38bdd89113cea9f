/* SPDX-License-Identifier: MIT */
/*
 * gcx/shim-file.h - descriptors, sockets, streams, directories and mapped files
 *                   over plain calloc and free
 *
 * Not for direct use: gcx/fd.h and gcx/file.h include it where GCX_DISABLE is
 * defined. They open and close as with gcx. When descriptors run out the call
 * fails at once: there is nobody who could find lost ones.
 */
#ifndef GCX_SHIM_FILE_H
#define GCX_SHIM_FILE_H
#ifdef GCX_DISABLE

#include <gcx/handle.h>
#include <gcx/shim.h>
#include <gcx/visibility.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- descriptors */

static inline int gcx_shim_fd_close(intptr_t raw)
{
  return close((int)raw) == 0 ? 0 : -errno;
}

/* Close-on-exec, also where the headers hide O_CLOEXEC. */
static inline int gcx_shim_fd_guard(int fd)
{
  if (fd >= 0)
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

GCX_WARN_UNUSED static inline struct gcx_handle *gcx_fd_wrap(int fd, bool owns)
{
  static const struct gcx_handle_type type = GCX_HANDLE_TYPE_INIT(
      "fd", gcx_handle_minus_one_is_invalid, gcx_shim_fd_close, NULL, 0);

  return gcx_handle_create(&type, fd, owns);
}

/* A handle for @fd, which is closed if there is no memory for one. */
static inline struct gcx_handle *gcx_shim_fd_handle(int fd)
{
  struct gcx_handle *h;

  if (fd < 0)
    return NULL;
  h = gcx_fd_wrap(fd, true);
  if (h == NULL) {
    (void)close(fd);
    errno = ENOMEM;
  }
  return h;
}

GCX_WARN_UNUSED static inline struct gcx_handle *gcx_fd_open(const char *path,
                                                             int flags,
                                                             unsigned mode)
{
#ifdef O_CLOEXEC
  return gcx_shim_fd_handle(open(path, flags | O_CLOEXEC, (mode_t)mode));
#else
  return gcx_shim_fd_handle(gcx_shim_fd_guard(open(path, flags, (mode_t)mode)));
#endif
}

GCX_WARN_UNUSED static inline struct gcx_handle *gcx_socket_open(int domain,
                                                                 int type,
                                                                 int protocol)
{
#ifdef SOCK_CLOEXEC
  return gcx_shim_fd_handle(socket(domain, type | SOCK_CLOEXEC, protocol));
#else
  return gcx_shim_fd_handle(gcx_shim_fd_guard(socket(domain, type, protocol)));
#endif
}

GCX_WARN_UNUSED static inline struct gcx_handle *gcx_socket_accept(
    struct gcx_handle *listener)
{
  intptr_t raw;
  int fd;

  if (!gcx_handle_acquire(listener, &raw))
    return (struct gcx_handle *)gcx_shim_fail(EBADF);
  fd = gcx_shim_fd_guard(accept((int)raw, NULL, NULL));
  gcx_handle_release(listener);
  return gcx_shim_fd_handle(fd);
}

/* ---- objects */

/* There was nothing to put into it: errno is the caller's to read. */
static inline void gcx_shim_give_up(void *obj)
{
  int saved = errno;

  gcx_discard(obj);
  errno = saved;
}

struct gcx_file {
  FILE *stream;
};

static inline int gcx_shim_file_dispose(void *obj)
{
  return fclose(((struct gcx_file *)obj)->stream) == 0 ? 0 : -errno;
}

GCX_WARN_UNUSED static inline struct gcx_file *gcx_file_open(const char *path,
                                                             const char *mode)
{
  static const struct gcx_type type =
      GCX_TYPE_INIT("file", sizeof(struct gcx_file), GCX_TYPE_CRITICAL, NULL,
                    gcx_shim_file_dispose, NULL, NULL);
  char with_e[16];
  struct gcx_file *f;

  if (mode == NULL || strlen(mode) + 2 > sizeof(with_e))
    return (struct gcx_file *)gcx_shim_fail(EINVAL);
  /* Behind the first letter: at the end it may be a charset's. */
  memcpy(with_e, mode, strlen(mode) + 1);
  if (*mode != '\0') {
    with_e[1] = 'e';
    memcpy(with_e + 2, mode + 1, strlen(mode));
  }
  f = (struct gcx_file *)gcx_new(&type);
  if (f == NULL)
    return NULL;
  f->stream = fopen(path, with_e);
  if (f->stream != NULL)
    return f;
  gcx_shim_give_up(f);
  return NULL;
}

static inline FILE *gcx_file_stream(const struct gcx_file *f)
{
  if (f == NULL)
    return (FILE *)gcx_shim_fail(EBADF);
  return f->stream;
}

struct gcx_dir {
  DIR *stream;
};

static inline int gcx_shim_dir_dispose(void *obj)
{
  return closedir(((struct gcx_dir *)obj)->stream) == 0 ? 0 : -errno;
}

GCX_WARN_UNUSED static inline struct gcx_dir *gcx_dir_open(const char *path)
{
  static const struct gcx_type type =
      GCX_TYPE_INIT("dir", sizeof(struct gcx_dir), GCX_TYPE_CRITICAL, NULL,
                    gcx_shim_dir_dispose, NULL, NULL);
  struct gcx_dir *d = (struct gcx_dir *)gcx_new(&type);

  if (d == NULL)
    return NULL;
  d->stream = opendir(path);
  if (d->stream != NULL)
    return d;
  gcx_shim_give_up(d);
  return NULL;
}

static inline struct dirent *gcx_dir_next(struct gcx_dir *d)
{
  if (d == NULL)
    return (struct dirent *)gcx_shim_fail(EBADF);
  errno = 0;
  return readdir(d->stream);
}

/* ---- mapped files */

struct gcx_map {
  void *start;
  size_t bytes;
};

static inline int gcx_shim_map_dispose(void *obj)
{
  struct gcx_map *m = (struct gcx_map *)obj;

  return m->start == NULL || munmap(m->start, m->bytes) == 0 ? 0 : -errno;
}

/* False and errno. */
static inline bool gcx_shim_map_fill(struct gcx_map *m, int fd, bool writable)
{
  struct stat st;
  void *start;

  if (fstat(fd, &st) != 0)
    return false;
  if (st.st_size == 0)
    return true;
  start = mmap(NULL, (size_t)st.st_size,
               writable ? PROT_READ | PROT_WRITE : PROT_READ,
               writable ? MAP_SHARED : MAP_PRIVATE, fd, 0);
  if (start == MAP_FAILED)
    return false;
  m->start = start;
  m->bytes = (size_t)st.st_size;
  return true;
}

GCX_WARN_UNUSED static inline struct gcx_map *gcx_map_file(const char *path,
                                                           bool writable)
{
  static const struct gcx_type type =
      GCX_TYPE_INIT("map", sizeof(struct gcx_map), GCX_TYPE_CRITICAL, NULL,
                    gcx_shim_map_dispose, NULL, NULL);
  struct gcx_map *m = (struct gcx_map *)gcx_new(&type);
  int fd, saved;
  bool filled;

  if (m == NULL)
    return NULL;
  fd = gcx_shim_fd_guard(open(path, writable ? O_RDWR : O_RDONLY));
  filled = fd >= 0 && gcx_shim_map_fill(m, fd, writable);
  saved = errno;
  if (fd >= 0)
    (void)close(fd);
  errno = saved;
  if (filled)
    return m;
  gcx_shim_give_up(m);
  return NULL;
}

static inline void *gcx_map_start(const struct gcx_map *m)
{
  return m != NULL ? m->start : NULL;
}

static inline size_t gcx_map_bytes(const struct gcx_map *m)
{
  return m != NULL ? m->bytes : 0;
}

#ifdef __cplusplus
}
#endif

#endif
#endif
