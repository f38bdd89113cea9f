/* SPDX-License-Identifier: MIT */
/*
 * unwind-access.c - how libunwind reads memory
 *
 * libunwind asks for each word whether it can be read, by writing it into a pipe
 * of its own, which it opens when it is first used. A program that closes what it
 * does not know (a daemon, a child before exec) and then opens files of its own has
 * them at these numbers: libunwind reads from the one, writes into the other, or
 * closes both. So it gets another way to read, and its pipe is closed.
 *
 * Source of the probe: rt_sigprocmask() copies the new mask before it looks at what
 * it is asked to do, which nobody ever asked: EFAULT or EINVAL, no effect.
 */
#include "unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "thread.h"

#define UNW_LOCAL_ONLY
#include <libunwind.h>

static bool access_asked; /* libunwind does read that way */

/* The calling thread's own stack, from here outwards, is there. */
static bool access_is_own_stack(uintptr_t address)
{
  const struct gcx__thread *t = gcx__thread_current;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);

  return t != NULL && here >= t->stack_low && address >= here &&
         address < t->stack_high &&
         t->stack_high - address >= sizeof(unw_word_t);
}

static bool access_is_word_there(uintptr_t address)
{
  enum { MASK_BYTES = 8, NO_SUCH_WAY = -1 };

  return syscall(SYS_rt_sigprocmask, NO_SUCH_WAY, address, NULL, MASK_BYTES) ==
             0 ||
         errno != EFAULT;
}

bool gcx__unwind_can_read(uintptr_t address)
{
  const uintptr_t last = sizeof(unw_word_t) - 1; /* its word, or two */
  int saved = errno;
  bool there =
      access_is_word_there(address & ~last) &&
      ((address & last) == 0 || access_is_word_there((address + last) & ~last));

  errno = saved;
  return there;
}

GCX_READS_STACK
static int access_memory(unw_addr_space_t as, unw_word_t address,
                         unw_word_t *value, int write, void *arg)
{
  typedef unw_word_t word __attribute__((may_alias, aligned(1)));

  (void)as;
  (void)arg;
  __atomic_store_n(&access_asked, true, __ATOMIC_RELAXED);
  if (!access_is_own_stack((uintptr_t)address) &&
      !gcx__unwind_can_read((uintptr_t)address))
    return -UNW_EINVAL;
  if (write)
    *(word *)(uintptr_t)address = *value;
  else
    *value = *(const word *)(uintptr_t)address;
  return 0;
}

/* Where the pipe will be, if nobody else opens something at this moment. */
static bool access_guess_pipe(int ret_ends[2])
{
  if (pipe2(ret_ends, O_CLOEXEC) != 0)
    return false;
  (void)close(ret_ends[0]);
  (void)close(ret_ends[1]);
  return true;
}

static bool access_is_end(int fd, int access, struct stat *ret_stat)
{
  return fstat(fd, ret_stat) == 0 && S_ISFIFO(ret_stat->st_mode) &&
         fcntl(fd, F_GETFD) == FD_CLOEXEC &&
         fcntl(fd, F_GETFL) == (O_NONBLOCK | access);
}

static void access_close_pipe(const int ends[2])
{
  struct stat from, to;

  if (access_is_end(ends[0], O_RDONLY, &from) &&
      access_is_end(ends[1], O_WRONLY, &to) && from.st_ino == to.st_ino &&
      from.st_dev == to.st_dev) {
    (void)close(ends[0]);
    (void)close(ends[1]);
  }
}

void gcx__unwind_init(void)
{
  unw_context_t context;
  unw_cursor_t c;
  int ends[2], saved = errno;
  bool guessed = access_guess_pipe(ends);

  /* This makes it ready, with its own way to read. */
  if (unw_getcontext(&context) == 0 && unw_init_local(&c, &context) == 0) {
    unw_get_accessors(unw_local_addr_space)->access_mem = access_memory;
    (void)unw_step(&c);
    if (guessed && __atomic_load_n(&access_asked, __ATOMIC_RELAXED))
      access_close_pipe(ends);
  }
  errno = saved;
}
