/* SPDX-License-Identifier: MIT */
/*
 * maps-linux.c - mappings and resident pages from /proc, memory that may vanish
 *
 * Everything goes through /proc/thread-self and the calling thread's own id, not
 * /proc/self and the process's: once main has left by pthread_exit(), the latter
 * name a task that has no memory any more.
 *
 * Residency: PAGEMAP_SCAN (Linux 6.7) skips what was never touched in one step,
 * which matters where terabytes are reserved; else pagemap's eight bytes a page.
 *
 * Copying: process_vm_readv() stops short of what is unmapped, where a load would
 * fault; if a sandbox forbids it, /proc/thread-self/mem does the same.
 *
 * No lock and no memory but the stack's: 4 KiB a call. The files of a session are
 * static; only the thread that collects has one.
 */
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform.h"

#define MAPS_BUFFER_BYTES 4096

/* ---- raw files */

static int maps_open(const char *path)
{
  int saved = errno;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

  errno = saved;
  return fd;
}

static void maps_close(int fd)
{
  int saved = errno;

  if (fd >= 0)
    (void)syscall(SYS_close, fd);
  errno = saved;
}

/* Bytes read, 0 at the end, -1 if it fails. */
static ssize_t maps_read(int fd, char *buffer, size_t bytes)
{
  int saved = errno;
  ssize_t n;

  do {
    n = syscall(SYS_read, fd, buffer, bytes);
  } while (n < 0 && errno == EINTR);
  errno = saved;
  return n;
}

static ssize_t maps_read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
  int saved = errno;
  ssize_t n;

  do {
    n = syscall(SYS_pread64, fd, buffer, bytes, offset);
  } while (n < 0 && errno == EINTR);
  errno = saved;
  return n;
}

/* ---- one line of /proc/thread-self/maps */

static const char *maps_hex(const char *s, uintptr_t *ret_value)
{
  uintptr_t value = 0;

  for (;; s++) {
    unsigned digit;
    if (*s >= '0' && *s <= '9')
      digit = (unsigned)(*s - '0');
    else if (*s >= 'a' && *s <= 'f')
      digit = (unsigned)(*s - 'a') + 10;
    else
      break;
    value = value << 4 | digit;
  }
  *ret_value = value;
  return s;
}

static const char *maps_skip_field(const char *s)
{
  while (*s != '\0' && *s != ' ')
    s++;
  while (*s == ' ')
    s++;
  return s;
}

/* "low-high rwxp offset device inode   path" */
static bool maps_parse(const char *line, struct gcx__mapping *ret_mapping)
{
  struct gcx__mapping m = { .low = 0 };
  const char *s = maps_hex(line, &m.low);
  bool has_inode;

  if (*s != '-')
    return false;
  s = maps_hex(s + 1, &m.high);
  if (*s != ' ' || strlen(s) < 6)
    return false;
  m.readable = s[1] == 'r';
  m.writable = s[2] == 'w';
  m.executable = s[3] == 'x';
  m.shared = s[4] == 's';
  s = maps_skip_field(maps_skip_field(maps_skip_field(s + 1)));
  has_inode = *s != '0';
  s = maps_skip_field(s);
  m.is_anonymous = !has_inode && *s != '/';
  for (size_t i = 0; i < sizeof(m.name) - 1 && s[i] != '\0'; i++)
    m.name[i] = s[i];
  *ret_mapping = m;
  return true;
}

/* ---- lines */

struct maps_reader {
  int fd;
  size_t next, have; /* in buffer */
  bool failed;
  char buffer[MAPS_BUFFER_BYTES];
};

/* False at the end of the file. */
static bool maps_fill(struct maps_reader *r)
{
  ssize_t n = maps_read(r->fd, r->buffer, sizeof(r->buffer));

  r->failed = n < 0;
  r->next = 0;
  r->have = (size_t)GCX_MAX(n, 0);
  return n > 0;
}

/* The start of the next line; what doesn't fit is the end of a path. False at
 * the end of the file. */
static bool maps_next_line(struct maps_reader *r, char *ret_line, size_t bytes)
{
  const char *end = NULL;
  size_t n = 0, read = 0;

  while (end == NULL && (r->next < r->have || maps_fill(r))) {
    const char *from = r->buffer + r->next;
    size_t here, kept;
    end = memchr(from, '\n', r->have - r->next);
    here = end != NULL ? (size_t)(end - from) : r->have - r->next;
    kept = GCX_MIN(here, bytes - 1 - n);
    memcpy(ret_line + n, from, kept);
    n += kept;
    read += here;
    r->next += here + (end != NULL);
  }
  ret_line[n] = '\0';
  return read != 0;
}

bool gcx__maps_walk(bool (*fn)(const struct gcx__mapping *m, void *arg),
                    void *arg)
{
  struct maps_reader r;
  struct gcx__mapping m;
  char line[160] = "";
  bool parsed = true;

  r.fd = maps_open("/proc/thread-self/maps");
  r.next = r.have = 0;
  r.failed = r.fd < 0;
  while (!r.failed && parsed && maps_next_line(&r, line, sizeof(line))) {
    parsed = maps_parse(line, &m);
    if (parsed && !fn(&m, arg))
      break;
  }
  maps_close(r.fd);
  return parsed && !r.failed;
}

/* ---- resident pages */

/* From linux/fs.h, which Debian 12 has without it. */
struct maps_region {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};

struct maps_scan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};

#define MAPS_PAGEMAP_SCAN _IOWR('f', 16, struct maps_scan)
#define MAPS_PAGE_PRESENT ((uint64_t)1 << 3)
#define MAPS_PAGE_SWAPPED ((uint64_t)1 << 4)
#define MAPS_PAGE_ZERO ((uint64_t)1 << 5)
#define MAPS_REGIONS 128

#define MAPS_ENTRY_PRESENT ((uint64_t)1 << 63)
#define MAPS_ENTRY_SWAPPED ((uint64_t)1 << 62)

/* Of the session. -1: none. */
static int maps_pagemap_fd = -1;
static int maps_mem_fd = -1;

typedef void (*maps_run_fn)(uintptr_t low, uintptr_t high, void *arg);

/* False if the kernel doesn't know the call, or not from @*low on: @*low is then
 * where another way has to go on. */
static bool maps_scan(int fd, uintptr_t *low, uintptr_t high, maps_run_fn fn,
                      void *arg)
{
  struct maps_region regions[MAPS_REGIONS];
  struct maps_scan scan = {
    .size = sizeof(scan),
    .end = high,
    .vec = (uintptr_t)regions,
    .vec_len = MAPS_REGIONS,
    .category_inverted = MAPS_PAGE_ZERO,
    .category_mask = MAPS_PAGE_ZERO,
    .category_anyof_mask = MAPS_PAGE_PRESENT | MAPS_PAGE_SWAPPED,
    .return_mask = MAPS_PAGE_PRESENT,
  };
  int saved = errno;
  long n = 0;

  while (*low < high && n >= 0) {
    scan.start = *low;
    n = syscall(SYS_ioctl, fd, MAPS_PAGEMAP_SCAN, &scan);
    for (long i = 0; i < n; i++)
      fn(regions[i].start, regions[i].end, arg);
    if (n >= 0)
      *low = scan.walk_end;
  }
  errno = saved;
  return n >= 0;
}

/* The same from pagemap: one entry for each page. */
static bool maps_scan_entries(int fd, uintptr_t *low, uintptr_t high,
                              maps_run_fn fn, void *arg)
{
  uint64_t entries[MAPS_BUFFER_BYTES / 8];
  size_t page = gcx__page_bytes();
  uintptr_t run = 0; /* where a run began, 0: none */

  while (*low < high) {
    size_t n = GCX_MIN((high - *low) / page, GCX_ARRAY_LENGTH(entries));
    ssize_t got = maps_read_at(fd, entries, n * 8, *low / page * 8);

    if (got <= 0)
      break;
    for (size_t i = 0; i < (size_t)got / 8; i++, *low += page) {
      bool there =
          (entries[i] & (MAPS_ENTRY_PRESENT | MAPS_ENTRY_SWAPPED)) != 0;
      if (there && run == 0)
        run = *low;
      if (!there && run != 0) {
        fn(run, *low, arg);
        run = 0;
      }
    }
  }
  if (run != 0)
    fn(run, *low, arg);
  return *low >= high;
}

bool gcx__maps_resident(uintptr_t low, uintptr_t high, maps_run_fn fn,
                        void *arg)
{
  int fd = maps_pagemap_fd >= 0 ? maps_pagemap_fd
                                : maps_open("/proc/thread-self/pagemap");
  bool known = fd >= 0 && (maps_scan(fd, &low, high, fn, arg) ||
                           maps_scan_entries(fd, &low, high, fn, arg));

  if (!known)
    fn(low, high, arg);
  if (fd != maps_pagemap_fd)
    maps_close(fd);
  return known;
}

/* ---- threads */

/* The 20th field of stat; the second is a name in brackets, with anything in
 * it. */
uint32_t gcx__maps_threads(void)
{
  char text[512];
  int fd = maps_open("/proc/thread-self/stat");
  ssize_t n = fd >= 0 ? maps_read(fd, text, sizeof(text) - 1) : 0;
  const char *s;
  uint32_t count = 0;

  maps_close(fd);
  text[GCX_MAX(n, 0)] = '\0';
  s = strrchr(text, ')');
  if (s == NULL)
    return 0;
  for (int field = 2; field < 20; field++)
    s = maps_skip_field(s);
  for (; *s >= '0' && *s <= '9'; s++)
    count = count * 10 + (uint32_t)(*s - '0');
  return count;
}

/* ---- copying */

/* In a session the file stays open. */
static size_t maps_copy_mem(void *to, uintptr_t from, size_t bytes)
{
  int fd = maps_mem_fd >= 0 ? maps_mem_fd : maps_open("/proc/thread-self/mem");
  ssize_t n = fd >= 0 ? maps_read_at(fd, to, bytes, from) : 0;

  if (maps_pagemap_fd >= 0)
    maps_mem_fd = fd;
  if (fd != maps_mem_fd)
    maps_close(fd);
  return n > 0 ? (size_t)n : 0;
}

size_t gcx__maps_copy(void *to, uintptr_t from, size_t bytes)
{
  struct iovec local = { .iov_base = to, .iov_len = bytes };
  struct iovec remote = { .iov_base = (void *)from, .iov_len = bytes };
  int saved = errno;
  long n = syscall(SYS_process_vm_readv, (pid_t)gcx__tid(), &local, 1L, &remote,
                   1L, 0L);
  bool refused = n < 0 && errno != EFAULT;

  errno = saved;
  if (refused)
    return maps_copy_mem(to, from, bytes);
  return n > 0 ? (size_t)n : 0;
}

void gcx__maps_session_begin(void)
{
  maps_pagemap_fd = maps_open("/proc/thread-self/pagemap");
}

void gcx__maps_session_end(void)
{
  maps_close(maps_pagemap_fd);
  maps_close(maps_mem_fd);
  maps_pagemap_fd = -1;
  maps_mem_fd = -1;
}
