/* SPDX-License-Identifier: MIT */
/*
 * redirect_exhaust.c - a program with gcx/malloc.h that has lost streams, and then
 *                      finds no room for what it opens
 *
 *   release       leak=dispose: each function finds room after all
 *   full          leak=report: the first fopen() that finds none
 *   short ERRNO   the kernel's answer is ENFILE, ENOMEM: once, then twice
 *   hard          before it: the limit is the hard one, too
 *
 * Prints "done".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <gcx/report.h>

#include "redirect_exhaust.h"

#define ROOM 40
#define LOST 20
#define NOINLINE __attribute__((noinline))

static int failed;
static volatile size_t told, told_count;
static const char *volatile it = "/etc/passwd"; /* any file that is there */

static void note(const struct gcx_report *r, void *unused)
{
  (void)unused;
  if (strcmp(gcx_report_id(r), "GCX-EXHAUSTED") != 0)
    return;
  told++;
  told_count = gcx_report_count(r);
}

static void demand(int good, const char *what)
{
  if (good)
    return;
  failed = 1;
  printf("%s: errno %d, told %zu, count %zu\n", what, errno, told, told_count);
}

static int open_ones(void)
{
  int n = 0;

  for (int fd = 0; fd < ROOM; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

static NOINLINE int lose(int n)
{
  int opened = 0;

  while (opened < n) {
    FILE *f = fopen(it, "r"); /* LOST HERE */

    if (f == NULL)
      break;
    opened++;
  }
  return opened;
}

/* What is left of them on the stack. */
static NOINLINE void wipe(void)
{
  char below[8192];

  memset(below, 0, sizeof below);
  __asm__ volatile("" : : "r"(below) : "memory");
}

/* A collection may come between: then again. */
static void fill(void)
{
  for (int i = 0; i < 20 && open_ones() < ROOM; i++) {
    (void)lose(ROOM - open_ones());
    wipe();
  }
}

static void limit(int hard)
{
  struct rlimit l;

  (void)getrlimit(RLIMIT_NOFILE, &l);
  l.rlim_cur = ROOM;
  if (hard)
    l.rlim_max = ROOM;
  (void)setrlimit(RLIMIT_NOFILE, &l);
}

/* @call finds no room, and succeeds: @undo then. */
#define TRY(call, undo)             \
  do {                              \
    size_t before = told;           \
                                    \
    fill();                         \
    errno = 0;                      \
    if (call) {                     \
      demand(told > before, #call); \
      undo;                         \
    } else {                        \
      demand(0, #call);             \
    }                               \
  } while (0)

static void release_streams(void)
{
  FILE *f = fopen(it, "r"), *again;
  DIR *d;

  TRY((again = freopen(it, "r", f)) != NULL, fclose(again));
  TRY((f = fopen(it, "r")) != NULL, fclose(f));
  TRY((f = tmpfile()) != NULL, fclose(f));
  TRY((f = popen("true", "r")) != NULL, pclose(f));
  TRY((d = opendir("/")) != NULL, closedir(d));
}

static int none(const struct dirent *entry)
{
  (void)entry;
  return 0;
}

static void release_descriptors(void)
{
  struct dirent **list;
  int fd, two[2];

  TRY((fd = open(it, O_RDONLY)) >= 0, close(fd));
  TRY((fd = openat(AT_FDCWD, it, O_RDONLY)) >= 0, close(fd));
  TRY((fd = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0, close(fd));
  TRY((fd = dup(1)) >= 0, close(fd));
  TRY((fd = epoll_create1(0)) >= 0, close(fd));
  TRY((fd = eventfd(0, 0)) >= 0, close(fd));
  TRY((fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0, close(fd));
  TRY((fd = memfd_create("it", 0)) >= 0, close(fd));
  TRY(pipe(two) == 0, (close(two[0]), close(two[1])));
  TRY(pipe2(two, O_CLOEXEC) == 0, (close(two[0]), close(two[1])));
  TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0,
      (close(two[0]), close(two[1])));
  TRY(scandir("/", &list, none, NULL) == 0, free(list));
}

/* Numbers below the limit, and memory only: no descriptor is wanted. */
static void full_without_need(void)
{
  int fd = open(it, O_RDONLY), other = open(it, O_RDONLY), dir = open("/", 0);
  FILE *f;
  DIR *d;

  fill();
  told = 0;
  demand(dup2(fd, other) == other, "dup2");
  demand(dup3(fd, other, O_CLOEXEC) == other, "dup3");
  f = fdopen(fd, "r");
  d = fdopendir(dir);
  demand(f != NULL && d != NULL, "fdopen");
  demand(told == 0, "told though there was room");
  if (f != NULL)
    (void)fclose(f);
  if (d != NULL)
    (void)closedir(d);
  (void)close(other);
}

static void full(void)
{
  FILE *f;

  fill();
  told = 0; /* a descriptor of gcx's own can have made it full too early */
  errno = 0;
  f = fopen(it, "r");
  demand(f == NULL && errno == EMFILE, "the limit");
  demand(told == 1 && told_count >= (ROOM - 3) * 8 / 10, "what was lost");
}

static void run_short(int error)
{
  int fd;

  (void)lose(LOST);
  wipe();
  exhaust_fail(1, error);
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  demand(fd >= 0, "the second try");
  demand(told == 1 && told_count >= LOST / 2, "what was lost");
  (void)close(fd);

  (void)lose(LOST);
  wipe();
  exhaust_fail(2, error);
  errno = 0;
  fd = socket(AF_UNIX, SOCK_STREAM, 0);
  demand(fd == -1 && errno == error, "there is no third one");
  demand(exhaust_failures() == 0, "two were tried");
}

int main(int argc, char **argv)
{
  int hard = argc > 1 && strcmp(argv[1], "hard") == 0;
  const char *what = argc > 1 + hard ? argv[1 + hard] : "";

  gcx_handler_add(note, NULL);
  if (strcmp(what, "short") != 0)
    limit(hard);
  if (strcmp(what, "release") == 0) {
    release_streams();
    release_descriptors();
    full_without_need();
  } else if (strcmp(what, "full") == 0) {
    full();
  } else if (strcmp(what, "short") == 0 && argc > 2) {
    run_short(strcmp(argv[2], "ENFILE") == 0 ? ENFILE : ENOMEM);
  }
  if (!failed)
    printf("done\n");
  return failed;
}
