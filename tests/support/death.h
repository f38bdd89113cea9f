/* SPDX-License-Identifier: MIT */
/*
 * death.h - a part of a test that is expected to end its process
 *
 *   static void loses(void *arg) { ... }
 *   death_demand_abort(loses, NULL, "GCX-LEAK");
 *
 * The function runs in a forked child with standard output and error captured.
 * A child that comes out of the function ends at once with status 0, which is
 * no abort: a fatal path that merely prints is found out. What is demanded is
 * the signal and the report id, so that a crash of another kind does not pass.
 */
#ifndef GCX_TESTS_DEATH_H
#define GCX_TESTS_DEATH_H

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEATH_TEXT_BYTES ((size_t)1 << 20)

struct death {
  pid_t pid;
  int status; /* as from waitpid() */
  char out[DEATH_TEXT_BYTES];
  char err[DEATH_TEXT_BYTES];
};

typedef void (*death_fn)(void *arg);

/* What @fd holds, as a string. */
static inline void death_read(int fd, char *ret_text, size_t bytes)
{
  size_t used = 0;
  ssize_t n;

  ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
  while (used < bytes - 1 &&
         (n = read(fd, ret_text + used, bytes - 1 - used)) > 0)
    used += (size_t)n;
  ret_text[used] = '\0';
}

/* Run fn(arg) in a child and wait for it. The result is good until the next
 * call; one thread. */
static inline const struct death *death_run(death_fn fn, void *arg)
{
  static struct death d;
  struct rlimit no_core = { 0, 0 };
  int out = memfd_create("out", MFD_CLOEXEC);
  int err = memfd_create("err", MFD_CLOEXEC);

  ck_assert_int_ge(out, 0);
  ck_assert_int_ge(err, 0);
  d.pid = fork();
  ck_assert_int_ge(d.pid, 0);
  if (d.pid == 0) {
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    fn(arg);
    _exit(0);
  }
  while (waitpid(d.pid, &d.status, 0) < 0)
    ck_assert_int_eq(errno, EINTR);
  death_read(out, d.out, sizeof(d.out));
  death_read(err, d.err, sizeof(d.err));
  (void)close(out);
  (void)close(err);
  return &d;
}

static inline size_t death_occurrences(const char *text, const char *part)
{
  size_t n = 0;

  for (const char *at = strstr(text, part); at != NULL;
       at = strstr(at + 1, part))
    n++;
  return n;
}

/* Aborted with exactly one report of the kind @id, on standard error. */
static inline const struct death *death_demand_abort(death_fn fn, void *arg,
                                                     const char *id)
{
  const struct death *d = death_run(fn, arg);
  char head[128];

  (void)snprintf(head, sizeof(head), "gcx: %s: ", id);
  ck_assert_msg(WIFSIGNALED(d->status) && WTERMSIG(d->status) == SIGABRT,
                "no abort(): status 0x%x, and it said:\n%s",
                (unsigned)d->status, d->err);
  ck_assert_msg(death_occurrences(d->err, head) == 1, "not one report %s:\n%s",
                id, d->err);
  ck_assert_msg(death_occurrences(d->err, "\nSUMMARY: gcx: ") == 1,
                "no closing line:\n%s", d->err);
  return d;
}

/* Ended with this exit status; 0 also for one that comes out of @fn. */
static inline const struct death *death_demand_exit(death_fn fn, void *arg,
                                                    int status)
{
  const struct death *d = death_run(fn, arg);

  ck_assert_msg(WIFEXITED(d->status) && WEXITSTATUS(d->status) == status,
                "status 0x%x instead of exit %d, and it said:\n%s",
                (unsigned)d->status, status, d->err);
  return d;
}

#endif
