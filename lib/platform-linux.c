/* SPDX-License-Identifier: MIT */
/*
 * platform-linux.c - the operating system, on Linux
 *
 * Raw system calls wherever libc might take a lock, allocate, be a point of
 * cancellation, or be interposed by gcx itself. errno is left as it was: gcx
 * runs inside functions of the program that must not change it.
 *
 * State: what doesn't change while the process lives (page size, path), set by
 * gcx__platform_init(); the id of a thread, cached per thread and dropped in
 * the child of a fork.
 */
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static size_t platform_page_bytes = 4096;
static uint64_t platform_start_ms;
static char platform_exe[PATH_MAX];
static bool platform_ready;

static __thread uint32_t platform_tid
    __attribute__((tls_model("initial-exec")));

static uint64_t clock_ns(clockid_t id)
{
  struct timespec ts = { 0, 0 };

  (void)clock_gettime(id, &ts); /* vdso: neither lock nor errno */
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void forget_tid(void)
{
  platform_tid = 0;
}

static void read_exe_path(void)
{
  int saved = errno;
  long n = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", platform_exe,
                   sizeof(platform_exe) - 1);

  platform_exe[n > 0 ? n : 0] = '\0';
  errno = saved;
}

void gcx__platform_init(void)
{
  if (platform_ready) {
    return;
  }
  platform_page_bytes = (size_t)getauxval(AT_PAGESZ);
  platform_start_ms = clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000u;
  read_exe_path();
  (void)pthread_atfork(NULL, NULL, forget_tid);
  platform_ready = true;
}

size_t gcx__page_bytes(void)
{
  return platform_page_bytes;
}

uint32_t gcx__tid(void)
{
  if (GCX_UNLIKELY(platform_tid == 0)) {
    platform_tid = (uint32_t)syscall(SYS_gettid);
  }
  return platform_tid;
}

bool gcx__is_secure(void)
{
  return getauxval(AT_SECURE) != 0;
}

uint64_t gcx__now_ns(void)
{
  return clock_ns(CLOCK_MONOTONIC);
}

uint32_t gcx__now_ms(void)
{
  return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000u -
                    platform_start_ms);
}

struct gcx__clock gcx__clock;

uint32_t gcx__clock_wake(void)
{
  uint32_t now = gcx__now_ms();
  uint32_t *keeper = __atomic_load_n(&gcx__clock.keeper, __ATOMIC_ACQUIRE);
  uint32_t not_kept = 0;

  if (keeper == NULL)
    return now;
  __atomic_store_n(&gcx__clock.ms, now, __ATOMIC_RELAXED);
  if (__atomic_compare_exchange_n(&gcx__clock.is_kept, &not_kept, 1, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    gcx__futex_wake(keeper);
  /* It may have gone to work in between, and would not see this. */
  if (__atomic_load_n(&gcx__clock.keeper, __ATOMIC_ACQUIRE) == NULL)
    __atomic_store_n(&gcx__clock.is_kept, 0, __ATOMIC_RELEASE);
  return now;
}

const char *gcx__getenv(const char *name)
{
  return gcx__is_secure() ? NULL : getenv(name);
}

/* A descriptor that does not block, and is full: false if it stays so. */
static bool wait_writable(int fd)
{
  struct pollfd p = { .fd = fd, .events = POLLOUT };
  struct timespec limit = { .tv_sec = 5 };

  return syscall(SYS_ppoll, &p, 1, &limit, NULL, 0) > 0 &&
         (p.revents & POLLOUT) != 0;
}

bool gcx__write(int fd, const void *bytes, size_t n)
{
  const char *at = bytes;
  int saved = errno;

  while (n > 0) {
    long done = syscall(SYS_write, fd, at, n);

    if (done < 0 &&
        (errno == EINTR || (errno == EAGAIN && wait_writable(fd)))) {
      continue;
    }
    if (done <= 0) {
      break;
    }
    at += done;
    n -= (size_t)done;
  }
  errno = saved;
  return n == 0;
}

void gcx__futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ms)
{
  struct timespec ts = { (time_t)(timeout_ms / 1000u),
                         (long)(timeout_ms % 1000u) * 1000000L };
  int saved = errno;

  (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                timeout_ms == UINT64_MAX ? NULL : &ts, NULL, 0);
  errno = saved;
}

void gcx__futex_wake(uint32_t *word)
{
  int saved = errno;

  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
  errno = saved;
}

/* A process says once that it is going to ask. */
bool gcx__fence_all(void)
{
  int saved = errno;
  long result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);

  if (result != 0 &&
      syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
              0) == 0)
    result = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  errno = saved;
  return result == 0;
}

unsigned gcx__cpus(void)
{
  static unsigned cpus;
  cpu_set_t set;

  if (cpus == 0)
    cpus = sched_getaffinity(0, sizeof set, &set) == 0
               ? (unsigned)CPU_COUNT(&set)
               : 1;
  return cpus;
}

/* "/proc/self/task/<tid>/comm" without stdio. */
static void comm_path(uint32_t tid, char path[48])
{
  static const char head[] = "/proc/self/task/";
  char digits[12];
  size_t at = sizeof(digits);
  size_t used = sizeof(head) - 1;

  do {
    digits[--at] = (char)('0' + tid % 10);
    tid /= 10;
  } while (tid != 0);
  memcpy(path, head, used);
  memcpy(path + used, digits + at, sizeof(digits) - at);
  used += sizeof(digits) - at;
  memcpy(path + used, "/comm", sizeof("/comm"));
}

void gcx__thread_name(uint32_t tid, char *ret_name, size_t bytes)
{
  char path[48];
  int saved = errno;
  long fd, n = 0;

  GCX_ASSERT(bytes > 0);
  comm_path(tid, path);
  fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    n = syscall(SYS_read, (int)fd, ret_name, bytes - 1);
    (void)syscall(SYS_close, (int)fd);
  }
  n = n > 0 ? n : 0;
  if (n > 0 && ret_name[n - 1] == '\n') {
    n--;
  }
  ret_name[n] = '\0';
  errno = saved;
}

const char *gcx__exe_path(void)
{
  return platform_exe;
}

#ifdef GCX_DELAYS
/* One call in 32 spins for a while, one in 1024 gives the processor away. */
static uint32_t delay_random(void)
{
  static __thread uint32_t state __attribute__((tls_model("initial-exec")));
  uint32_t x = state != 0 ? state : gcx__tid() * 2654435761u | 1u;

  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  state = x;
  return x;
}

/* The others run until they have used up their time. */
void gcx__delay_long(void)
{
  if (delay_random() % 1024 == 0)
    for (int i = 0; i < 64; i++)
      (void)syscall(SYS_sched_yield);
}

void gcx__delay(void)
{
  uint32_t x = delay_random();

  if (x % 1024 == 0)
    (void)syscall(SYS_sched_yield);
  else if (x % 32 == 0)
    for (uint32_t i = x >> 22; i > 0; i--)
      __asm__ volatile("" : : : "memory");
}
#endif

/* The number behind @key, in bytes; 0 if it is not there. */
static size_t platform_kilobytes(const char *text, const char *key)
{
  const char *at = strstr(text, key);
  size_t n = 0;

  if (at == NULL)
    return 0;
  for (at += strlen(key); *at == ' ';)
    at++;
  for (; *at >= '0' && *at <= '9'; at++)
    n = n * 10 + (size_t)(*at - '0');
  return n * 1024;
}

size_t gcx__private_bytes(void)
{
  char text[4096];
  long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/smaps_rollup",
                    O_RDONLY | O_CLOEXEC);
  long n = -1;

  if (fd >= 0) {
    n = syscall(SYS_read, (int)fd, text, sizeof text - 1);
    (void)syscall(SYS_close, (int)fd);
  }
  text[n > 0 ? n : 0] = '\0';
  return platform_kilobytes(text, "Private_Clean:") +
         platform_kilobytes(text, "Private_Dirty:");
}
