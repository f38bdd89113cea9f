/* SPDX-License-Identifier: MIT */
/*
 * drops.c - a whole program that drops 1,000 objects in functions that have
 *           returned, holds as many, and ends; compiled by several compilers
 *
 *   drops return|exit|quit
 *
 * It ends by returning from main, by exit() called from main, or from deeper.
 */
#include <stdlib.h>

#define LOSING(name) name
void losing_returned(size_t n, size_t bytes);
#include "losing-body.h"

static void
    *volatile held[1000]; /* or the compiler drops it, never being read */

static void hold(void)
{
  for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
    held[i] = gcx_alloc(48);
    if (held[i] == NULL)
      abort();
  }
}

static void quit(int depth)
{
  char room[64];

  (void)snprintf(room, sizeof(room), "%d", depth);
  if (depth == 0)
    exit(0);
  quit(depth - 1);
  abort();
}

int main(int argc, char **argv)
{
  const char *end = argc > 1 ? argv[1] : "";

  hold();
  losing_returned(1000, 48);
  if (strcmp(end, "quit") == 0)
    quit(10);
  if (strcmp(end, "exit") == 0)
    exit(0);
  return strcmp(end, "return") == 0 ? 0 : 98;
}
