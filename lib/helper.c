/* SPDX-License-Identifier: MIT */
/*
 * helper.c - starting and ending a helper process, in any program, at any time
 *
 * Starting it must disturb nothing. The child is made by clone() the way
 * posix_spawn() does it: it shares the memory until exec, so nothing is copied,
 * no atfork handler runs, no lock is touched and nothing is allocated; all
 * signals are blocked meanwhile.
 *
 *     program --clone, no exit signal--> child in between --clone--> helper
 *                                        ends at once                orphan
 *
 * It is the child of a child that ends at once and without an exit signal: the
 * program gets no SIGCHLD, and its wait() never sees a process that it did not
 * start. An orphan belongs to init, unless the program has made itself a reaper;
 * then the helper is reaped here.
 *
 * Killing it is safe: as long as the socket is open at the other end the process
 * lives, hence its id is still its own.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What runs on a stack that AddressSanitizer does not know of. */
#define HELPER_CHILD __attribute__((no_sanitize_address))

#define HELPER_GRACE_MS 100 /* for a helper that has been told to end */

/* What the two children need to know; they write to it, too. */
struct helper_plan {
  const char *path;
  int fd;
  char *stack_top; /* of the second child */
  pid_t pid;
  int error;
};

static char helper_path_variable[] = "PATH=/usr/local/bin:/usr/bin:/bin";
static char helper_locale_variable[] = "LC_ALL=C";
static char helper_name[] = "gcx-symbolize";
static char helper_serve[] = "--serve";

/* Nothing of the program's: LD_PRELOAD or GCX_OPTIONS would put gcx into it. */
static char *const helper_environment[] = { helper_path_variable,
                                            helper_locale_variable, NULL };
static char *const helper_arguments[] = { helper_name, helper_serve, NULL };

/* By system call: libgcx interposes the C library's functions, which leave the
 * collector's signals alone, and those leave two of their own alone. */
HELPER_CHILD static void helper_mask(uint64_t mask, uint64_t *ret_before)
{
  (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, ret_before,
                sizeof(mask));
}

/* Handlers of the program would run in its memory; what is ignored would stay so
 * across exec. All zero is SIG_DFL, whatever the members' order. */
HELPER_CHILD static void child_reset_signals(void)
{
  static const unsigned long defaults[8];

  for (int sig = 1; sig < _NSIG; sig++)
    (void)syscall(SYS_rt_sigaction, sig, defaults, NULL, sizeof(uint64_t));
  helper_mask(0, NULL);
}

/* Standard input and output are the socket, errors go nowhere, nothing else is
 * open. The socket's own number may be 0 to 2 if the program has closed those. */
HELPER_CHILD static void child_set_descriptors(int fd)
{
  int quiet;

  (void)dup2(fd, STDIN_FILENO);
  (void)dup2(STDIN_FILENO, STDOUT_FILENO);
  (void)fcntl(STDIN_FILENO, F_SETFD, 0);
  (void)fcntl(STDOUT_FILENO, F_SETFD, 0);
  quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (quiet >= 0)
    (void)dup2(quiet, STDERR_FILENO);
  (void)syscall(SYS_close_range, 3u, ~0u, 0u);
}

/* Not _exit(), which may be somebody else's and write to the program's memory; nor
 * execve(), for which gcc puts a function of gcov's when it counts lines. */
HELPER_CHILD GCX_NORETURN static void child_end(int status)
{
  for (;;)
    (void)syscall(SYS_exit_group, status);
}

/* Runs in the program's memory, on a stack of its own: the helper to be. */
HELPER_CHILD static int child_exec(void *arg)
{
  struct helper_plan *plan = arg;
  struct rlimit no_core = { 0, 0 };

  (void)setrlimit(RLIMIT_CORE, &no_core);
  child_set_descriptors(plan->fd);
  child_reset_signals();
  (void)syscall(SYS_execve, plan->path, helper_arguments, helper_environment);
  plan->error = errno;
  child_end(127);
}

/* The child in between. */
HELPER_CHILD static int child_start(void *arg)
{
  struct helper_plan *plan = arg;

  plan->pid = clone(child_exec, plan->stack_top,
                    CLONE_VM | CLONE_VFORK | SIGCHLD, plan);
  if (plan->pid < 0)
    plan->error = errno;
  child_end(0);
}

int gcx__helper_start(const char *path, int fd, char *stacks, pid_t *ret_pid)
{
  struct helper_plan plan = { .path = path, .fd = fd };
  uint64_t before = 0;
  pid_t between;

  plan.stack_top = stacks + GCX__HELPER_STACK_BYTES;
  helper_mask(UINT64_MAX, &before);
  between = clone(child_start, stacks + GCX__HELPER_STACK_BYTES / 2,
                  CLONE_VM | CLONE_VFORK, &plan);
  if (between < 0)
    plan.error = errno;
  else
    while (waitpid(between, NULL, __WCLONE) < 0 && errno == EINTR) {
    }
  helper_mask(before, NULL);
  *ret_pid = plan.pid;
  return plan.error;
}

int gcx__helper_connect(struct gcx__own_fd ret_ends[2])
{
  int pair[2];

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return errno;
  gcx__own_fd_note(&ret_ends[0], pair[0]);
  gcx__own_fd_note(&ret_ends[1], pair[1]);
  return 0;
}

/* The process at the other end of @fd has closed it, or does within @ms. */
static bool helper_hangs_up(int fd, int ms)
{
  struct pollfd p = { .fd = fd, .events = 0 };
  return poll(&p, 1, ms) > 0 && (p.revents & POLLHUP) != 0;
}

void gcx__helper_end(pid_t pid, int fd, bool kill_it)
{
  if (pid <= 0)
    return;
  if (kill_it && !helper_hangs_up(fd, 0))
    (void)kill(pid, SIGKILL);
  if (waitpid(pid, NULL, WNOHANG) != 0)
    return;
  if (!helper_hangs_up(fd, HELPER_GRACE_MS))
    (void)kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* ---- a file that this process has no descriptor for */

struct helper_text {
  const char *path;
  const char *text;
  size_t bytes;
  int error;
};

/* Runs in the program's memory, with its own table of descriptors. */
HELPER_CHILD static int child_append(void *arg)
{
  struct helper_text *t = arg;
  long fd, n = 1;

  (void)syscall(SYS_close, STDIN_FILENO);
  fd = syscall(SYS_openat, AT_FDCWD, t->path,
               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  while (fd >= 0 && t->bytes > 0 && n > 0) {
    n = syscall(SYS_write, fd, t->text, t->bytes);
    if (n > 0) {
      t->text += n;
      t->bytes -= (size_t)n;
    }
  }
  t->error = t->bytes > 0 ? errno : 0;
  child_end(0);
}

int gcx__helper_append(const char *path, const char *text, size_t n,
                       char *stack)
{
  struct helper_text t = { .path = path, .text = text, .bytes = n };
  uint64_t before = 0;
  int saved = errno;
  pid_t pid;

  helper_mask(UINT64_MAX, &before);
  pid = clone(child_append, stack + GCX__HELPER_STACK_BYTES,
              CLONE_VM | CLONE_VFORK, &t);
  if (pid < 0)
    t.error = errno;
  else
    while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR) {
    }
  helper_mask(before, NULL);
  errno = saved;
  return t.error;
}
