/* SPDX-License-Identifier: MIT */
/*
 * meter.c - stands in a program's place while cost-real measures it
 *
 * The program lies beside it as NAME.metered. It is run, by itself or as an
 * argument of the command that REAL_UNDER names (valgrind), and when it has ended
 * one line goes into the file REAL_METER: its largest resident set in KiB, its
 * user time in microseconds, its name. The program's end is then this one's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS 4096

static char program[4096];
static char *arguments[ARGUMENTS];

static void fail(const char *what)
{
  perror(what);
  exit(126);
}

/* NAME.metered, wherever this program was called from. */
static void find_program(void)
{
  static const char suffix[] = ".metered";
  ssize_t n =
      readlink("/proc/self/exe", program, sizeof(program) - sizeof(suffix));

  if (n <= 0)
    fail("/proc/self/exe");
  memcpy(program + n, suffix, sizeof(suffix));
}

/* The words of REAL_UNDER, the program, its arguments; what is to be executed. */
static const char *build_command(int argc, char **argv)
{
  char *under = getenv("REAL_UNDER"), *word, *rest = NULL;
  int n = 0;

  under = under != NULL && *under != '\0' ? strdup(under) : NULL;
  for (word = under != NULL ? strtok_r(under, " ", &rest) : NULL;
       word != NULL && n < ARGUMENTS / 2; word = strtok_r(NULL, " ", &rest))
    arguments[n++] = word;
  if (argc + n >= ARGUMENTS)
    fail("too many arguments");
  arguments[n] = n > 0 ? program : argv[0];
  for (int i = 1; i < argc; i++)
    arguments[n + i] = argv[i];
  return n > 0 ? arguments[0] : program;
}

static void note(const struct rusage *used)
{
  const char *path = getenv("REAL_METER"), *name = strrchr(program, '/');
  char text[300];
  int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
  int n = snprintf(text, sizeof(text), "%ld %lld %s\n", used->ru_maxrss,
                   (long long)used->ru_utime.tv_sec * 1000000 +
                       used->ru_utime.tv_usec,
                   name != NULL ? name + 1 : program);

  if (fd < 0)
    return;
  if (n <= 0 || write(fd, text, (size_t)n) != n)
    fail(path);
  close(fd);
}

int main(int argc, char **argv)
{
  const char *command;
  struct rusage used;
  int status = 0;
  pid_t child;

  find_program();
  command = build_command(argc, argv);
  child = vfork(); /* no page of this one is counted as the program's */
  if (child == 0) {
    execvp(command, arguments);
    _exit(127);
  }
  if (child < 0 || wait4(child, &status, 0, &used) != child)
    fail(command);
  note(&used);
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
