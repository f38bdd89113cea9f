/* SPDX-License-Identifier: MIT */
/*
 * losing-body.h - what losing-o0.c and losing-o2.c are made of; LOSING(name)
 *                 gives the name in that file
 *
 * A small program's way of doing it: one function makes a thing, another uses it
 * and forgets it on a path that it takes early.
 */
#include <gcx.h>
#include <stdio.h>
#include <string.h>

struct thing {
  char name[16];
  struct thing *self;
  size_t used;
};

__attribute__((noinline)) static struct thing *LOSING(thing_open)(size_t i,
                                                                  size_t bytes)
{
  struct thing *t =
      gcx_alloc(bytes > sizeof(struct thing) ? bytes : sizeof(struct thing));

  if (t == NULL)
    return NULL;
  (void)snprintf(t->name, sizeof(t->name), "thing %zu", i);
  t->self = t;
  return t;
}

__attribute__((noinline)) static size_t LOSING(thing_use)(struct thing *t)
{
  t->used++;
  return strlen(t->name) + t->self->used;
}

__attribute__((noinline)) static int LOSING(thing_work)(size_t i, size_t bytes)
{
  struct thing *t = LOSING(thing_open)(i, bytes);

  if (t == NULL)
    return -1;
  if (LOSING(thing_use)(t) > 3)
    return 1; /* forgets it */
  gcx_dispose(t);
  return 0;
}

__attribute__((noinline)) void LOSING(losing_returned)(size_t n, size_t bytes)
{
  int forgotten = 0;

  for (size_t i = 0; i < n; i++)
    forgotten += LOSING(thing_work)(i, bytes);
  if (forgotten != (int)n)
    abort();
}
