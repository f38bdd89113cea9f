/* SPDX-License-Identifier: MIT */
/*
 * redirect_files.c - a program that has never heard of gcx, built with -include
 * gcx/malloc.h by tests/check_redirect: each name that opens a descriptor or a
 * stream is entered with the stack that called it, and its closing is seen
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* gcx's, to see what is reported */
#include <gcx/report.h>

#define CHECK(e)                                                      \
  do                                                                  \
    if (!(e)) {                                                       \
      printf("%s:%d: %s: %s: no\n", __FILE__, __LINE__, current, #e); \
      exit(1);                                                        \
    }                                                                 \
  while (0)
#define NOINLINE __attribute__((noinline))

static const char *current = "start";
static volatile int read_only =
    O_RDONLY; /* so that fortified names are called */
static int listening, connected;
static struct sockaddr_in at;

/* ---- each name: the descriptor that it opens; a second one in @other */

static int other;

/* No tail call: it is this function that opens. */
#define OPENER(name, expression)           \
  static NOINLINE int open_by_##name(void) \
  {                                        \
    int fd = expression;                   \
                                           \
    __asm__ volatile("" : "+r"(fd));       \
    return fd;                             \
  }

OPENER(open, open("/etc/passwd", read_only))
OPENER(open_create, open("/tmp", O_TMPFILE | O_RDWR, 0600))
OPENER(openat, openat(AT_FDCWD, "/etc/passwd", read_only))
OPENER(creat, creat("/dev/null", 0600))
OPENER(socket, socket(AF_INET, SOCK_STREAM, 0))
OPENER(dup, dup(2))
OPENER(dup2, dup2(2, 40))
OPENER(dup3, dup3(2, 41, O_CLOEXEC))
OPENER(epoll_create1, epoll_create1(EPOLL_CLOEXEC))
OPENER(eventfd, eventfd(0, EFD_CLOEXEC))
OPENER(timerfd_create, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC))
OPENER(memfd_create, memfd_create("it", MFD_CLOEXEC))

static int connect_one(void)
{
  connected = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  return connect(connected, (struct sockaddr *)&at, sizeof at);
}

static NOINLINE int open_by_accept(void)
{
  int fd = connect_one() == 0 ? accept(listening, NULL, NULL) : -1;

  syscall(SYS_close, connected);
  return fd;
}

static NOINLINE int open_by_accept4(void)
{
  int fd =
      connect_one() == 0 ? accept4(listening, NULL, NULL, SOCK_CLOEXEC) : -1;

  syscall(SYS_close, connected);
  return fd;
}

#define OPENER_OF_TWO(name, call)          \
  static NOINLINE int open_by_##name(void) \
  {                                        \
    int fds[2];                            \
                                           \
    if (call != 0)                         \
      return -1;                           \
    other = fds[1];                        \
    return fds[0];                         \
  }

OPENER_OF_TWO(pipe, pipe(fds))
OPENER_OF_TWO(pipe2, pipe2(fds, O_CLOEXEC))
OPENER_OF_TWO(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, fds))

static const struct opener {
  const char *name;
  int (*open)(void);
} openers[] = {
#define ROW(name)         \
  {                       \
#name, open_by_##name \
  }
  ROW(open),          ROW(open_create), ROW(openat),         ROW(creat),
  ROW(socket),        ROW(dup),         ROW(dup2),           ROW(dup3),
  ROW(epoll_create1), ROW(eventfd),     ROW(timerfd_create), ROW(memfd_create),
  ROW(accept),        ROW(accept4),     ROW(pipe),           ROW(pipe2),
  ROW(socketpair),
};
#define OPENERS (sizeof openers / sizeof openers[0])

/* ---- what is reported */

static int reports;
static int (*birth)(void); /* the opener in whose code a stack of it lies */

static int (*opener_of(void *pc))(void)
{
  int (*nearest)(void) = NULL;

  for (size_t i = 0; i < OPENERS; i++)
    if ((char *)(void *)openers[i].open <= (char *)pc &&
        (nearest == NULL ||
         (char *)(void *)openers[i].open > (char *)(void *)nearest))
      nearest = openers[i].open;
  return nearest;
}

static void note(const struct gcx_report *r, void *unused)
{
  void *const *frames;
  size_t n;

  (void)unused;
  if (strcmp(gcx_report_id(r), "GCX-FD-OWNER") != 0)
    return;
  reports++;
  n = gcx_report_stack(r, GCX_STACK_BIRTH, &frames);
  birth = n > 0 ? opener_of(frames[0]) : NULL;
}

static void demand_second_close(const struct opener *o, int fd)
{
  int before = reports;

  CHECK(close(fd) == 0);
  CHECK(reports == before);
  (void)syscall(SYS_getpid); /* the next close is from another place */
  errno = 0;
  CHECK(close(fd) == -1 && errno == EBADF);
  CHECK(reports == before + 1);
  CHECK(birth == o->open);
}

static void check_openers(void)
{
  for (size_t i = 0; i < OPENERS; i++) {
    int fd;

    current = openers[i].name;
    other = -1;
    fd = openers[i].open();
    CHECK(fd > 2);
    demand_second_close(&openers[i], fd);
    if (other >= 0)
      demand_second_close(&openers[i], other);
  }
}

static void check_close_range(void)
{
  int fd = open_by_eventfd(), before = reports;

  current = "close_range";
  CHECK(close_range((unsigned)fd, (unsigned)fd, 0) == 0);
  CHECK(reports == before);
  CHECK(close(fd) == -1);
  CHECK(reports == before + 1);
}

/* ---- streams: close() of their descriptor is a mistake, their own end is not */

static NOINLINE FILE *fdopened(void)
{
  return fdopen(open("/etc/passwd", read_only), "r");
}

static NOINLINE FILE *freopened(void)
{
  FILE *f = fopen("/etc/passwd", "r");

  return f != NULL ? freopen("/etc/group", "r", f) : NULL;
}

static void demand_owner(FILE *f, int (*end)(FILE *))
{
  int before = reports, fd;

  CHECK(f != NULL);
  fd = fileno(f);
  CHECK(end(f) == 0);
  CHECK(reports == before);
  CHECK(close(fd) == -1); /* its end was seen: it is closed already */
  CHECK(reports == before + 1);
}

static void demand_owner_while_open(FILE *f)
{
  int before = reports, copy;

  CHECK(f != NULL);
  copy = (int)syscall(SYS_dup, fileno(f));
  CHECK(close(fileno(f)) == 0);
  CHECK(reports == before + 1);
  CHECK(syscall(SYS_dup2, copy, fileno(f)) >= 0);
  syscall(SYS_close, copy);
  (void)fclose(f);
}

static void check_streams(void)
{
  DIR *d = opendir("/"), *e;
  int before, fd;

  current = "fopen";
  demand_owner(fopen("/etc/passwd", "r"), fclose);
  demand_owner_while_open(fopen("/etc/passwd", "r"));
  current = "fdopen";
  demand_owner(fdopened(), fclose);
  current = "freopen";
  demand_owner(freopened(), fclose);
  current = "tmpfile";
  demand_owner(tmpfile(), fclose);
  current = "popen";
  demand_owner(popen("true", "r"), pclose);
  current = "opendir";
  CHECK(d != NULL);
  fd = dirfd(d);
  before = reports;
  CHECK(closedir(d) == 0 && reports == before);
  CHECK(close(fd) == -1 && reports == before + 1);
  e = fdopendir(open("/", O_RDONLY | O_DIRECTORY));
  CHECK(e != NULL && closedir(e) == 0 && reports == before + 1);
}

int main(void)
{
  socklen_t bytes = sizeof at;

  CHECK(gcx_handler_add(note, NULL) == 0);
  listening = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(bind(listening, (struct sockaddr *)&at, sizeof at) == 0);
  CHECK(listen(listening, 4) == 0);
  CHECK(getsockname(listening, (struct sockaddr *)&at, &bytes) == 0);
  check_openers();
  check_close_range();
  check_streams();
  puts("done");
  return 0;
}
