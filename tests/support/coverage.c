/* SPDX-License-Identifier: MIT */
/*
 * coverage.c - the counters of a process that dies on purpose are kept
 *
 * gcov writes its counters at exit(). The tests of fatal reports end in abort(),
 * _exit() and raise(SIGABRT): in a build for coverage these write them first.
 * Linked in only with --enable-coverage.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

int raise(int sig)
{
  if (sig == SIGABRT)
    __gcov_dump();
  return (int)syscall(SYS_tgkill, getpid(), gettid(), sig);
}

__attribute__((noreturn)) void abort(void)
{
  struct sigaction by_default = { .sa_handler = SIG_DFL };
  sigset_t only;

  raise(SIGABRT);
  sigaction(SIGABRT, &by_default, NULL);
  sigemptyset(&only);
  sigaddset(&only, SIGABRT);
  sigprocmask(SIG_UNBLOCK, &only, NULL);
  for (;;)
    raise(SIGABRT);
}

__attribute__((noreturn)) void _exit(int status)
{
  __gcov_dump();
  for (;;)
    syscall(SYS_exit_group, status);
}
