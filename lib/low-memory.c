/* SPDX-License-Identifier: MIT */
/*
 * low-memory.c - a collection when the system is short of memory
 *
 *   NONE --ensure--> WATCHING --the file fails, or can't be had--> OVER
 *     ^                  |
 *     +-- fork (child) --+
 *
 * With low_memory=psi a thread sleeps on the kernel's pressure stall information:
 * of the process's own cgroup (version 2) where there is one, else of the whole
 * system. When some task was stalled for want of memory for STALL_US within
 * WINDOW_US, it collects and gives what is free back to the system. The kernel
 * tells once in a window at the most, so that nothing else limits the rate; a
 * window of two seconds may be asked for without privileges.
 *
 * Where the kernel does not tell (built without PSI, no right to), one line says
 * so, and the program goes on without. The child of a fork starts a thread of its
 * own when it allocates.
 *
 * Source: Documentation/accounting/psi.rst of Linux.
 */
#include "low-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../include/gcx/latency.h"
#include "bdw.h"
#include "options.h"
#include "out.h"
#include "own-fd.h"
#include "service.h"
#include "thread.h"

#define STALL_US 150000
#define WINDOW_US 2000000
#define SYSTEM_FILE "/proc/pressure/memory"

enum low_state { LOW_NONE, LOW_WATCHING, LOW_OVER };

static uint32_t low_state;
static uint32_t low_reactions;
static struct gcx__own_fd low_own = { .fd = -1 };

int gcx__low_memory_open(const char *path)
{
  char trigger[64];
  int n = snprintf(trigger, sizeof trigger, "some %d %d", STALL_US, WINDOW_US);
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0)
    return -errno;
  if (write(fd, trigger, (size_t)n + 1) < 0) {
    int why = errno;

    (void)close(fd);
    return -why;
  }
  return fd;
}

/* The line "0::PATH" of /proc/self/cgroup names the group of version 2; the root
 * group has no file of its own. */
static bool low_cgroup_file(char *to, size_t size)
{
  char line[512];
  FILE *f = fopen("/proc/self/cgroup", "re");
  bool found = false;

  while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    found = strncmp(line, "0::/", 4) == 0 && line[4] != '\0';
    if (found)
      found = snprintf(to, size, "/sys/fs/cgroup%s/memory.pressure", line + 3) <
              (int)size;
  }
  if (f != NULL)
    (void)fclose(f);
  return found;
}

static int low_open(void)
{
  char path[640];
  int fd = -ENOENT;

  if (low_cgroup_file(path, sizeof path))
    fd = gcx__low_memory_open(path);
  return fd >= 0 ? fd : gcx__low_memory_open(SYSTEM_FILE);
}

static void *low_wait(void *arg)
{
  struct pollfd *p = arg;

  while (poll(p, 1, -1) < 0)
    if (errno != EINTR) {
      p->revents = POLLERR;
      break;
    }
  return NULL;
}

void gcx__low_memory_watch(int fd)
{
  struct pollfd p = { .fd = fd, .events = POLLPRI };
  struct gcx__own_fd own;

  gcx__own_fd_note(&own, fd);
  while (gcx__own_fd_has(&own)) {
    (void)gcx__bdw_blocking(low_wait, &p);
    if ((p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
      return;
    gcx_collect_and_unmap();
    __atomic_fetch_add(&low_reactions, 1, __ATOMIC_ACQ_REL);
  }
}

uint32_t gcx__low_memory_reactions(void)
{
  return __atomic_load_n(&low_reactions, __ATOMIC_ACQUIRE);
}

static void *low_main(void *unused)
{
  struct gcx__thread *self = gcx__thread_self();
  int fd = low_open();

  gcx__service_begin("gcx-memory");
  if (self != NULL)
    self->is_gcx = true;
  if (fd < 0) {
    gcx__warn("low_memory=psi has no effect: %s: %s", SYSTEM_FILE,
              strerror(-fd));
  } else {
    gcx__own_fd_note(&low_own, fd);
    gcx__low_memory_watch(fd);
  }
  __atomic_store_n(&low_state, LOW_OVER, __ATOMIC_RELEASE);
  return unused;
}

void gcx__low_memory_ensure(void)
{
  uint32_t none = LOW_NONE;

  if (GCX_LIKELY(gcx__opt.low_memory == GCX_LOW_MEMORY_OFF ||
                 __atomic_load_n(&low_state, __ATOMIC_ACQUIRE) != LOW_NONE))
    return;
  if (__atomic_compare_exchange_n(&low_state, &none, LOW_WATCHING, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) &&
      !gcx__service_start(low_main, NULL))
    __atomic_store_n(&low_state, LOW_NONE, __ATOMIC_RELEASE);
}

void gcx__low_memory_after_fork(void)
{
  gcx__own_fd_close(&low_own);
  low_own.fd = -1;
  low_state = LOW_NONE;
}
