/* SPDX-License-Identifier: MIT */
/*
 * stream-popen.c - libc's list of popen()'s processes, which has no name
 *
 *     proc_file_chain --> latest stream --next--> one before it --next--> ...
 *
 * It holds each stream of popen(), lost or not, so a search (stream-scan.c) has to
 * know its words. Where the list begins is learnt from a call of popen(): among
 * the words of libc's data one, and no other, has changed to the new stream, and
 * what it held before is the new stream's `next`. Nobody but libc has seen the
 * stream at that time, so it is no word of the program's.
 *
 * Any doubt, and the next call is looked at; until then every stream of popen() is
 * held.
 */
#include "stream.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/wait.h>

#include "maps.h"
#include "vm.h"

#define POPEN_DATA_BYTES ((size_t)1 << 20) /* libc has a tenth of it */

/* glibc's, since 2.1. */
struct popen_stream {
  FILE file;
  const void *functions;
  pid_t pid;
  uintptr_t next;
};

struct popen_data {
  uintptr_t low, high;  /* libc's data; high 0: not found */
  uintptr_t *was, *now; /* copies of them, before the call and after it */
};

static uintptr_t popen_chain; /* address of the first word; 0: unknown */
static bool popen_busy;       /* one caller looks at a time */
static struct popen_data popen_data;

static int popen_segment(struct dl_phdr_info *info, size_t bytes, void *arg)
{
  uintptr_t wanted = *(const uintptr_t *)arg;

  (void)bytes;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *h = &info->dlpi_phdr[i];
    uintptr_t low = info->dlpi_addr + h->p_vaddr;

    if (h->p_type != PT_LOAD || wanted - low >= h->p_memsz)
      continue;
    popen_data.low = (low + 7) & ~(uintptr_t)7;
    popen_data.high = (low + h->p_memsz) & ~(uintptr_t)7;
    return 1;
  }
  return 0;
}

static bool popen_find_data(void)
{
  uintptr_t list = gcx__stream_libc_list();

  if (popen_data.high == 0 && list != 0)
    (void)dl_iterate_phdr(popen_segment, &list);
  if (popen_data.high - popen_data.low > POPEN_DATA_BYTES)
    return false;
  if (popen_data.high != 0 && popen_data.was == NULL)
    popen_data.was = gcx__vm_map(POPEN_DATA_BYTES);
  if (popen_data.high != 0 && popen_data.now == NULL)
    popen_data.now = gcx__vm_map(POPEN_DATA_BYTES);
  return popen_data.was != NULL && popen_data.now != NULL;
}

static bool popen_copy(uintptr_t *to)
{
  size_t bytes = popen_data.high - popen_data.low;

  return gcx__maps_copy(to, popen_data.low, bytes) == bytes;
}

/* One that can be waited for: then @s is laid out as we think. */
static bool popen_is_child(const struct popen_stream *s)
{
  siginfo_t info;

  return s->pid > 0 &&
         waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* The word that became @stream and held its `next`; 0: none, or several. */
static uintptr_t popen_find(uintptr_t stream)
{
  size_t words = (popen_data.high - popen_data.low) / sizeof(uintptr_t);
  uintptr_t list = gcx__stream_libc_list(), found = 0;
  struct popen_stream s;

  if (malloc_usable_size((void *)stream) < sizeof s ||
      gcx__maps_copy(&s, stream, sizeof s) != sizeof s || !popen_is_child(&s) ||
      !popen_copy(popen_data.now))
    return 0;
  for (size_t i = 0; i < words; i++) {
    uintptr_t at = popen_data.low + i * sizeof(uintptr_t);

    if (at == list || popen_data.now[i] != stream)
      continue;
    if (found != 0 || popen_data.was[i] != s.next)
      return 0;
    found = at;
  }
  return found;
}

static bool popen_begin(void)
{
  if (gcx__stream_popen_chain() != 0 || !gcx__stream_scan_start() ||
      __atomic_exchange_n(&popen_busy, true, __ATOMIC_ACQ_REL))
    return false;
  if (popen_find_data() && popen_copy(popen_data.was))
    return true;
  __atomic_store_n(&popen_busy, false, __ATOMIC_RELEASE);
  return false;
}

bool gcx__stream_popen_begin(void)
{
  int saved = errno;
  bool begun = popen_begin();

  errno = saved;
  return begun;
}

void gcx__stream_popen_end(bool begun, const void *stream)
{
  int saved = errno;

  if (!begun)
    return;
  if (stream != NULL && gcx__stream_popen_chain() == 0)
    __atomic_store_n(&popen_chain, popen_find((uintptr_t)stream),
                     __ATOMIC_RELEASE);
  __atomic_store_n(&popen_busy, false, __ATOMIC_RELEASE);
  errno = saved;
}

void gcx__stream_popen_after_fork(void)
{
  popen_busy = false;
}

uintptr_t gcx__stream_popen_chain(void)
{
  return __atomic_load_n(&popen_chain, __ATOMIC_ACQUIRE);
}

size_t gcx__stream_popen_next(void)
{
  return offsetof(struct popen_stream, next);
}
