/* SPDX-License-Identifier: MIT */
/*
 * resource.c - the ready-made kinds: descriptors and sockets as handles;
 *              streams, directories, mapped files as objects
 *
 * Each constructor makes the object first and discards it if there is nothing to
 * put into it: so what was opened is never left without an owner for want of
 * memory. State and locks: none of its own.
 */
#include "../include/gcx/fd.h"
#include "../include/gcx/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "describe.h"
#include "exhaust.h"
#include "fd.h"
#include "handle.h"
#include "lifecycle.h"
#include "misuse.h"
#include "out.h"
#include "type.h"

/* ---- descriptors */

static int resource_close(intptr_t raw)
{
  gcx__fd_closing((int)raw, gcx__lifecycle_site());
  return close((int)raw) == 0 ? 0 : -errno;
}

static int resource_describe_fd(intptr_t raw, char *buf, size_t n)
{
  gcx__describe_fd((int)raw, buf, n);
  return 0;
}

static const struct gcx_handle_type resource_fd =
    GCX_HANDLE_TYPE_INIT("fd", gcx_handle_minus_one_is_invalid, resource_close,
                         resource_describe_fd, 0);
static const struct gcx_handle_type resource_socket =
    GCX_HANDLE_TYPE_INIT("socket", gcx_handle_minus_one_is_invalid,
                         resource_close, resource_describe_fd, 0);

static void resource_own(const void *obj, enum gcx__fd_owner owner, int fd)
{
  uint32_t number = gcx__object_number(obj);

  if (number != 0)
    gcx__fd_opened(fd, owner, number, gcx__record_at(number)->site);
}

/* A handle for @fd, which is closed if there is no memory for one. */
static struct gcx_handle *resource_handle(const struct gcx_handle_type *type,
                                          int fd,
                                          const struct gcx__frame *start)
{
  struct gcx_handle *h;

  if (fd < 0)
    return NULL;
  h = gcx__handle_create(type, fd, true, start);
  if (h == NULL) {
    (void)close(fd);
    errno = ENOMEM;
    return NULL;
  }
  resource_own(h, GCX_FD_HANDLE, fd);
  return h;
}

struct gcx_handle *gcx_fd_open(const char *path, int flags, unsigned mode)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int fd;

  GCX__WITH_ROOM(fd, open(path, flags | O_CLOEXEC, (mode_t)mode), fd >= 0);
  return resource_handle(&resource_fd, fd, &start);
}

struct gcx_handle *gcx_fd_wrap(int fd, bool owns)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  struct gcx_handle *h = gcx__handle_create(&resource_fd, fd, owns, &start);

  if (h != NULL && owns && fd >= 0)
    resource_own(h, GCX_FD_HANDLE, fd);
  return h;
}

struct gcx_handle *gcx_socket_open(int domain, int type, int protocol)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int fd;

  GCX__WITH_ROOM(fd, socket(domain, type | SOCK_CLOEXEC, protocol), fd >= 0);
  return resource_handle(&resource_socket, fd, &start);
}

struct gcx_handle *gcx_socket_accept(struct gcx_handle *listener)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  intptr_t raw;
  int fd;

  if (!gcx_handle_acquire(listener, &raw)) {
    errno = EBADF;
    return NULL;
  }
  GCX__WITH_ROOM(fd, accept4((int)raw, NULL, NULL, SOCK_CLOEXEC), fd >= 0);
  gcx_handle_release(listener);
  return resource_handle(&resource_socket, fd, &start);
}

/* ---- objects: live ones of the type asked for */

static bool resource_is(const void *p, const struct gcx_type *type,
                        const char *function, const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(p, function, false, start);

  if (number == 0)
    return false;
  if (gcx__type_at(gcx__record_at(number)->type) != type) {
    gcx__misuse_other_type(number, function, type->name, start);
    return false;
  }
  gcx__lifecycle_note_use(number, start);
  return (gcx__record_state(number) & GCX_STATE_MASK) != GCX_STATE_DISPOSED;
}

/* There was nothing to put into it: errno is the caller's to read. */
static void resource_give_up(void *obj)
{
  int saved = errno;

  gcx_discard(obj);
  errno = saved;
}

/* ---- streams */

#define RESOURCE_MODE_BYTES 16

struct gcx_file {
  FILE *stream;
};

static int file_dispose(void *obj)
{
  struct gcx_file *f = obj;
  FILE *stream = f->stream;

  f->stream = NULL;
  if (stream != NULL)
    gcx__fd_closing(fileno(stream), gcx__lifecycle_site());
  return stream == NULL || fclose(stream) == 0 ? 0 : -errno;
}

static int file_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_file *f = obj;

  if (f->stream == NULL)
    return -EBADF;
  gcx__describe_fd(fileno(f->stream), buf, n);
  return 0;
}

static void file_finalize(void *obj)
{
  (void)file_dispose(obj);
}

static const struct gcx_type file_type =
    GCX_TYPE_INIT("file", sizeof(struct gcx_file), GCX_TYPE_CRITICAL, NULL,
                  file_dispose, file_finalize, file_describe);

struct gcx_file *gcx_file_open(const char *path, const char *mode)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char with_e[RESOURCE_MODE_BYTES];
  struct gcx_file *f;

  if (mode == NULL || strlen(mode) + 2 > sizeof with_e) {
    errno = EINVAL;
    return NULL;
  }
  /* Behind the first letter: at the end it may be a charset's. */
  memcpy(with_e, mode, strlen(mode) + 1);
  if (*mode != '\0') {
    with_e[1] = 'e';
    memcpy(with_e + 2, mode + 1, strlen(mode));
  }
  f = gcx__alloc_typed(&file_type, 0, 0, &start);
  if (f == NULL)
    return NULL;
  GCX__WITH_ROOM(f->stream, fopen(path, with_e), f->stream != NULL);
  if (f->stream != NULL) {
    resource_own(f, GCX_FD_STREAM, fileno(f->stream));
    return f;
  }
  resource_give_up(f);
  return NULL;
}

FILE *gcx_file_stream(const struct gcx_file *f)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  FILE *stream =
      resource_is(f, &file_type, "gcx_file_stream", &start) ? f->stream : NULL;

  if (stream == NULL)
    errno = EBADF;
  GCX_KEEP(f);
  return stream;
}

/* ---- directories */

struct gcx_dir {
  DIR *stream;
};

static int dir_dispose(void *obj)
{
  struct gcx_dir *d = obj;
  DIR *stream = d->stream;

  d->stream = NULL;
  if (stream != NULL)
    gcx__fd_closing(dirfd(stream), gcx__lifecycle_site());
  return stream == NULL || closedir(stream) == 0 ? 0 : -errno;
}

static void dir_finalize(void *obj)
{
  (void)dir_dispose(obj);
}

static int dir_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_dir *d = obj;

  if (d->stream == NULL)
    return -EBADF;
  gcx__describe_fd(dirfd(d->stream), buf, n);
  return 0;
}

static const struct gcx_type dir_type =
    GCX_TYPE_INIT("dir", sizeof(struct gcx_dir), GCX_TYPE_CRITICAL, NULL,
                  dir_dispose, dir_finalize, dir_describe);

struct gcx_dir *gcx_dir_open(const char *path)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_dir *d = gcx__alloc_typed(&dir_type, 0, 0, &start);

  if (d == NULL)
    return NULL;
  GCX__WITH_ROOM(d->stream, opendir(path), d->stream != NULL);
  if (d->stream != NULL) {
    resource_own(d, GCX_FD_DIR, dirfd(d->stream));
    return d;
  }
  resource_give_up(d);
  return NULL;
}

struct dirent *gcx_dir_next(struct gcx_dir *d)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct dirent *entry = NULL;

  if (!resource_is(d, &dir_type, "gcx_dir_next", &start) || d->stream == NULL) {
    errno = EBADF;
    return NULL;
  }
  errno = 0;
  entry = readdir(d->stream);
  GCX_KEEP(d);
  return entry;
}

/* ---- mapped files */

struct gcx_map {
  void *start;
  size_t bytes;
};

static int map_dispose(void *obj)
{
  struct gcx_map *m = obj;
  void *start = m->start;

  m->start = NULL;
  return start == NULL || munmap(start, m->bytes) == 0 ? 0 : -errno;
}

static void map_finalize(void *obj)
{
  (void)map_dispose(obj);
}

static int map_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_map *m = obj;
  struct gcx__out o;

  gcx__out_init(&o, -1, buf, n);
  gcx__out_fmt(&o, "%zu bytes mapped at %p", m->bytes, m->start);
  return 0;
}

static const struct gcx_type map_type =
    GCX_TYPE_INIT("map", sizeof(struct gcx_map), GCX_TYPE_CRITICAL, NULL,
                  map_dispose, map_finalize, map_describe);

/* False and errno. */
static bool map_fill(struct gcx_map *m, int fd, bool writable)
{
  int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  struct stat st;
  void *start;

  if (fstat(fd, &st) != 0)
    return false;
  if (st.st_size == 0)
    return true;
  GCX__WITH_ROOM(start,
                 mmap(NULL, (size_t)st.st_size, access,
                      writable ? MAP_SHARED : MAP_PRIVATE, fd, 0),
                 start != MAP_FAILED);
  if (start == MAP_FAILED)
    return false;
  m->start = start;
  m->bytes = (size_t)st.st_size;
  return true;
}

struct gcx_map *gcx_map_file(const char *path, bool writable)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_map *m = gcx__alloc_typed(&map_type, 0, 0, &start);
  int fd, saved;
  bool filled;

  if (m == NULL)
    return NULL;
  GCX__WITH_ROOM(fd, open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC),
                 fd >= 0);
  filled = fd >= 0 && map_fill(m, fd, writable);
  saved = errno;
  if (fd >= 0)
    (void)close(fd);
  errno = saved;
  if (filled)
    return m;
  resource_give_up(m);
  return NULL;
}

void *gcx_map_start(const struct gcx_map *m)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *first =
      resource_is(m, &map_type, "gcx_map_start", &start) ? m->start : NULL;

  GCX_KEEP(m);
  return first;
}

size_t gcx_map_bytes(const struct gcx_map *m)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t bytes = 0;

  if (resource_is(m, &map_type, "gcx_map_bytes", &start) && m->start != NULL)
    bytes = m->bytes;
  GCX_KEEP(m);
  return bytes;
}
