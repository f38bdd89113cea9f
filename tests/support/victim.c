/* SPDX-License-Identifier: MIT */
/*
 * victim.c - a program as a user would write it, that goes wrong as its first
 *            argument says
 */
#ifdef __clang__
#pragma clang optimize off
#else
#pragma GCC optimize("O0")
#endif

#define _GNU_SOURCE
#include <gcx.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char *volatile kept; /* or the compiler drops it, never being read */
static char *kept_by_handler[10];

/* An object that only main's frame refers to, when main has returned. */
static int frame(int argc, char **argv)
{
  char *line = gcx_alloc(40);

  (void)argc;
  (void)snprintf(line, 40, "%s", argv[1]);
  return line[0] == 'f' ? 0 : 99;
}

static char *fill(int i)
{
  char *p = gcx_alloc(40);

  (void)snprintf(p, 40, "object %d", i);
  return p;
}

/* As a set-user-ID program is: /proc shows little of it, not to itself either. */
static bool be_private(void)
{
  return (geteuid() != 0 || setresuid(65534, 65534, 65534) == 0) &&
         prctl(PR_SET_DUMPABLE, 0) == 0;
}

static int forget(void)
{
  int length = 0;

  for (int i = 0; i < 100; i++)
    length += (int)strlen(fill(i));
  return length > 0 ? 0 : 99;
}

__attribute__((noinline)) static void leave(int depth, int status)
{
  if (depth == 0)
    exit(status);
  if (depth > 0)
    leave(depth - 1, status);
  (void)getpid(); /* no tail call */
}

static void *leaves(void *arg)
{
  (void)forget();
  exit(*(const int *)arg);
}

static int leave_by_thread(int status)
{
  pthread_t thread;

  if (pthread_create(&thread, NULL, leaves, &status) != 0)
    return 99;
  (void)pthread_join(thread, NULL);
  return 99;
}

static void dispose_kept(void)
{
  for (size_t i = 0; i < 10; i++)
    gcx_dispose(kept_by_handler[i]);
}

static int keep_for_handler(void)
{
  if (atexit(dispose_kept) != 0)
    return 99;
  for (int i = 0; i < 10; i++)
    kept_by_handler[i] = fill(i);
  return 0;
}

/* More than a pipe and stdio's buffer hold, and not flushed. */
static int print_much(void)
{
  for (int i = 0; i < 20000; i++)
    (void)printf("line %d of the output\n", i);
  (void)printf("the last one");
  return forget();
}

/* Exits in a child with what the parent holds; then the parent disposes it. */
static int fork_holding(int adopts)
{
  int status = 0;
  pid_t child;

  kept = fill(1);
  child = fork();
  if (child == 0) {
    if (adopts)
      gcx_fork_adopt();
    exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
    return 97;
  gcx_dispose(kept);
  return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  char *in_main = NULL;

  if (strcmp(what, "frame") == 0) {
    in_main = gcx_alloc(40); /* lost when main returns */
    (void)snprintf(in_main, 40, "%s", what);
    return frame(argc, argv);
  }
  if (strcmp(what, "forget") == 0)
    return forget();
  if (strcmp(what, "exit-holding") == 0) {
    in_main = fill(1);
    leave(20, 0); /* main goes on to hold it */
  }
  if (strcmp(what, "exit-forgetting") == 0) {
    (void)forget();
    leave(20, 0);
  }
  if (strcmp(what, "exit-status") == 0)
    leave(3, 5);
  if (strcmp(what, "_exit") == 0) {
    (void)forget();
    _exit(0);
  }
  if (strcmp(what, "thread") == 0)
    return leave_by_thread(0);
  if (strcmp(what, "handler") == 0)
    return keep_for_handler();
  if (strcmp(what, "static") == 0) {
    kept = fill(1);
    return 0;
  }
  if (strcmp(what, "fork") == 0 || strcmp(what, "fork-adopting") == 0)
    return fork_holding(strcmp(what, "fork") != 0);
  if (strcmp(what, "print") == 0)
    return print_much();
  if (strcmp(what, "private") == 0)
    return be_private() ? forget() : 97;
  if (strcmp(what, "verdict") == 0) {
    (void)forget();
    (void)printf("verdict %d\n", gcx_verdict());
    return 0;
  }
  return strcmp(what, "clean") == 0 ? 0 : 98;
}
