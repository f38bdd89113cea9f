/* SPDX-License-Identifier: MIT */
/*
 * corpse.c - loses objects, for a debugger to look at; a handler leaves the address
 *            of the reported one in `reported`
 */
#ifdef __clang__
#pragma clang optimize off
#else
#pragma GCC optimize("O0")
#endif

#include <gcx.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct corpse {
  char name[32];
  char *child; /* at 32, as check_debugger knows */
};

const struct corpse *reported;

static void note(const struct gcx_report *r, void *unused)
{
  (void)unused;
  reported = gcx_report_object(r);
}

__attribute__((noinline)) static struct corpse *make(int i)
{
  struct corpse *c = gcx_alloc(sizeof(*c));
  char *child = gcx_alloc(48);

  if (c == NULL || child == NULL)
    abort();
  (void)snprintf(c->name, sizeof(c->name), "corpse %d", i);
  (void)snprintf(child, 48, "held by corpse %d", i);
  c->child = child;
  return c;
}

__attribute__((noinline)) static size_t forget(void)
{
  size_t length = 0;

  for (int i = 0; i < 100; i++)
    length += strlen(make(i)->name);
  return length;
}

/* Whichever thread reports, this one waits for it here. */
__attribute__((noinline)) static size_t innermost(size_t length)
{
  return gcx_check() + length;
}

int main(void)
{
  if (gcx_handler_add(note, NULL) != 0)
    return 99;
  return innermost(forget()) > 0 ? 98 : 97;
}
