/* SPDX-License-Identifier: MIT */
/*
 * redirect_popen.c - a program with gcx/malloc.h that runs commands
 *
 *   all     streams closed as they should be, and in the ways that libc allows
 *   lose    one is lost
 *   end     leak=dispose: of those that are lost the commands come to their end
 *
 * Prints "done".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gcx/collector.h>
#include <gcx/report.h>

#define LOST 20
#define NOINLINE __attribute__((noinline))

static int failed;
static volatile int told;

static void note(const struct gcx_report *r, void *unused)
{
  (void)r;
  (void)unused;
  told++;
}

static void demand(int good, const char *what)
{
  if (good)
    return;
  failed = 1;
  printf("%s: errno %d\n", what, errno);
}

static int exit_status(int status)
{
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void reads_and_writes(void)
{
  FILE *from = popen("echo word; exit 3", "r"), *to = popen("read x", "w");
  char line[16] = "";

  demand(from != NULL && to != NULL, "popen");
  demand(fgets(line, sizeof line, from) != NULL, "fgets");
  demand(strcmp(line, "word\n") == 0, line);
  demand(exit_status(pclose(from)) == 3, "its status");
  demand(fputs("line\n", to) >= 0, "fputs");
  demand(exit_status(pclose(to)) == 0, "the other's");
}

/* To libc both are the same function, and the stream knows what it is. */
static void each_by_the_other(void)
{
  FILE *f = fopen("/etc/passwd", "r"), *p = popen("exit 5", "r");

  demand(pclose(f) == 0, "pclose() of a file");
  demand(exit_status(fclose(p)) == 5, "fclose() of a command");
  errno = 0;
  demand(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD,
         "all were waited for");
}

static void not_to_be_had(void)
{
  errno = 0;
  demand(popen("true", "?") == NULL && errno == EINVAL, "a mode that is none");
}

static NOINLINE void lose(const char *command, const char *mode)
{
  if (popen(command, mode) == NULL) /* LOST HERE */
    demand(0, "popen");
}

static NOINLINE void lose_many(const char *command)
{
  for (int i = 0; i < LOST; i++)
    lose(command, "w");
}

static NOINLINE void wipe(void)
{
  char below[8192];

  memset(below, 0, sizeof below);
  __asm__ volatile("" : : "r"(below) : "memory");
}

static long bytes_of(const char *path)
{
  FILE *f = fopen(path, "r");
  long n = -1;

  if (f != NULL && fseek(f, 0, SEEK_END) == 0)
    n = ftell(f);
  if (f != NULL)
    (void)fclose(f);
  return n;
}

/* Each command reads to its end, and then leaves a byte, if it is still waited for. */
static void end(void)
{
  char path[] = "/tmp/gcx-popen-XXXXXX", command[128];
  const struct timespec a_while = { 0, 10000000 };
  int fd = mkstemp(path);

  demand(fd >= 0 && close(fd) == 0, "mkstemp");
  (void)snprintf(command, sizeof command, "cat; [ ! -e %s ] || printf x >> %s",
                 path, path);
  lose_many(command);
  wipe();
  for (int i = 0; i < 3000 && bytes_of(path) < LOST / 2; i++) {
    if (i % 100 == 0)
      gcx_collect();
    (void)nanosleep(&a_while, NULL);
  }
  demand(bytes_of(path) >= LOST / 2, "they have come to their end");
  (void)remove(path);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";

  gcx_handler_add(note, NULL);
  if (strcmp(what, "all") == 0) {
    reads_and_writes();
    each_by_the_other();
    not_to_be_had();
    demand(gcx_check() == 0 && told == 0, "nothing was said");
  } else if (strcmp(what, "lose") == 0) {
    reads_and_writes();
    lose("exit 0", "r");
    wipe();
    (void)gcx_check();
  } else if (strcmp(what, "end") == 0) {
    end();
  }
  if (!failed)
    printf("done\n");
  return failed;
}
