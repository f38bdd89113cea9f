/* SPDX-License-Identifier: MIT */
/*
 * segments.c - data of loaded objects that bdwgc is about to scan
 *
 * bdwgc lists the writable segments of all loaded objects while the world runs,
 * and reads them when it stands still. What another thread unloads in between is
 * read all the same, and the process dies of it. So the list is kept here as well,
 * and in the stop those segments that are not there any more are replaced by pages
 * of zeros, which hold nothing, until marking is over.
 *
 * An object is unmapped in one system call: whether its first and its last byte
 * can be read tells. One call asks for hundreds; if a sandbox forbids it, nothing
 * is guarded.
 */
#include "segments.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform.h"
#include "vm.h"

#define SEGMENTS_MAX ((size_t)1 << 16)
#define SEGMENTS_PLUGS_MAX 256
#define SEGMENTS_PROBES 128 /* in one call */

struct segments_range {
  uintptr_t low; /* whole pages */
  uintptr_t high;
};

static struct segments_range *segments_list;
static size_t segments_count;
static struct segments_range segments_plugs[SEGMENTS_PLUGS_MAX];
static size_t segments_plug_count;

/* ---- the list */

void gcx__segments_begin(void)
{
  gcx__segments_release();
  if (segments_list == NULL)
    segments_list = gcx__vm_map(SEGMENTS_MAX * sizeof *segments_list);
  segments_count = 0;
}

void gcx__segments_add(const struct dl_phdr_info *info)
{
  uintptr_t page = gcx__page_bytes();

  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    uintptr_t low = (uintptr_t)info->dlpi_addr + p->p_vaddr;

    if (p->p_type != PT_LOAD || (p->p_flags & PF_W) == 0 || p->p_memsz == 0 ||
        segments_list == NULL || segments_count == SEGMENTS_MAX)
      continue;
    segments_list[segments_count++] =
        (struct segments_range){ low & ~(page - 1),
                                 (low + p->p_memsz + page - 1) & ~(page - 1) };
  }
}

/* ---- plugs */

static bool segments_map_zeros(uintptr_t low, uintptr_t high)
{
  uintptr_t at;

  if (segments_plug_count == SEGMENTS_PLUGS_MAX)
    return false;
  at = (uintptr_t)syscall(SYS_mmap, low, high - low, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                          0L);
  if (at == (uintptr_t)-1)
    return false;
  if (at != low) { /* a kernel that takes the address for a wish */
    (void)syscall(SYS_munmap, at, high - low);
    return false;
  }
  segments_plugs[segments_plug_count++] = (struct segments_range){ low, high };
  return true;
}

/* Something else may lie in part of it by now. */
static void segments_plug(const struct segments_range *r)
{
  uintptr_t page = gcx__page_bytes();

  if (segments_map_zeros(r->low, r->high))
    return;
  for (uintptr_t at = r->low; at < r->high; at += page)
    (void)segments_map_zeros(at, at + page);
}

/* The first and the last byte of each of @n ranges: how many bytes can be read
 * before one can't; -1: it can't be told. */
static long segments_probe(const struct segments_range *first, size_t n)
{
  char bytes[2 * SEGMENTS_PROBES];
  struct iovec to = { .iov_base = bytes, .iov_len = 2 * n };
  struct iovec from[2 * SEGMENTS_PROBES];
  long got;

  for (size_t i = 0; i < n; i++) {
    from[2 * i] = (struct iovec){ (void *)first[i].low, 1 };
    from[2 * i + 1] = (struct iovec){ (void *)(first[i].high - 1), 1 };
  }
  got = syscall(SYS_process_vm_readv, (pid_t)gcx__tid(), &to, 1L, from, 2 * n,
                0L);
  if (got >= 0)
    return got;
  return errno == EFAULT ? 0 : -1;
}

void gcx__segments_guard(void)
{
  int saved = errno;
  size_t i = 0;

  while (i < segments_count) {
    size_t n = GCX_MIN(segments_count - i, (size_t)SEGMENTS_PROBES);
    long got = segments_probe(&segments_list[i], n);

    if (got < 0)
      break;
    i += (size_t)got / 2;
    if ((size_t)got < 2 * n)
      segments_plug(&segments_list[i++]);
  }
  errno = saved;
}

void gcx__segments_release(void)
{
  while (segments_plug_count > 0) {
    const struct segments_range *p = &segments_plugs[--segments_plug_count];

    (void)syscall(SYS_munmap, p->low, p->high - p->low);
  }
}
