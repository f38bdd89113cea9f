/* SPDX-License-Identifier: MIT */
/*
 * coverage.c - what a process leaves behind in a build for coverage, however it
 *              ends
 *
 * gcov writes its counters at exit(). The tests of fatal reports end in abort(),
 * _exit() and raise(SIGABRT): these write them first. If GCX_TEST_PRODUCED names a
 * directory, the options under which the process ended are written to a file
 * there, one "name=value" a line, for tools/check-produced. Linked in only with
 * --enable-coverage.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

/* ---- options */

#define COVERAGE_BYTES 4096

struct coverage_text {
  char bytes[COVERAGE_BYTES];
  size_t used;
};

static void coverage_add(struct coverage_text *t, const char *name,
                         const char *value, size_t bytes)
{
  int n = snprintf(t->bytes + t->used, sizeof(t->bytes) - t->used, "%s=%.*s\n",
                   name, (int)bytes, value);

  if (n > 0 && (size_t)n < sizeof(t->bytes) - t->used)
    t->used += (size_t)n;
}

static void coverage_add_word(struct coverage_text *t, const char *name,
                              const char *words, unsigned index)
{
  for (; index > 0 && strchr(words, '|') != NULL; index--)
    words = strchr(words, '|') + 1;
  coverage_add(t, name, words, strcspn(words, "|"));
}

/* Of a large range: is it the default? */
static void coverage_add_number(struct coverage_text *t, const char *name,
                                uint64_t value, uint64_t preset, uint64_t max)
{
  char digits[24];
  int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);

  if (max <= 2)
    coverage_add(t, name, digits, (size_t)n);
  else
    coverage_add(t, name, value == preset ? "default" : "other", 8);
}

static void coverage_add_text(struct coverage_text *t, const char *name,
                              const char *value)
{
  bool known = strcmp(value, "stderr") == 0 || strcmp(value, "stdout") == 0;

  coverage_add(t, name, known ? value : "file", 8);
}

static void coverage_add_options(struct coverage_text *t)
{
#define GCX__OPT_ENUM(name, ctype, dflt, values, help) \
  coverage_add_word(t, #name, values, (unsigned)gcx__opt.name);
#define GCX__OPT_UINT(name, dflt, min, max, help) \
  coverage_add_number(t, #name, gcx__opt.name, dflt, max);
#define GCX__OPT_TEXT(name, dflt, help) \
  coverage_add_text(t, #name, gcx__opt.name);
#include "options.def"
#undef GCX__OPT_ENUM
#undef GCX__OPT_UINT
#undef GCX__OPT_TEXT
}

/* Only where options were read, and not those that are parsed for parsing's
 * sake. One file for each program; lines are appended whole. */
static void coverage_write_options(void)
{
  const char *directory = getenv("GCX_TEST_PRODUCED");
  const char *program = program_invocation_short_name;
  static struct coverage_text text;
  char path[4096];
  int fd;

  if (directory == NULL || gcx__opt.stack_depth == 0)
    return;
  text.used = 0;
  if (strcmp(program, "check_options") != 0)
    coverage_add_options(&text);
  else if (gcx__opt.help == 1)
    coverage_add(&text, "help", "1", 1);
  (void)snprintf(path, sizeof(path), "%s/%s", directory, program);
  fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0)
    return;
  if (write(fd, text.bytes, text.used) < 0)
    (void)unlink(path); /* what is missing then will be said */
  (void)close(fd);
}

/* ---- ends */

static void __attribute__((destructor)) coverage_at_exit(void)
{
  coverage_write_options();
}

static void coverage_dump(void)
{
  coverage_write_options();
  __gcov_dump();
}

int raise(int sig)
{
  if (sig == SIGABRT)
    coverage_dump();
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
  coverage_dump();
  for (;;)
    syscall(SYS_exit_group, status);
}
