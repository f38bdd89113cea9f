/* SPDX-License-Identifier: MIT */
/*
 * assert.c - how gcx ends a process whose gcx is broken
 *
 * One line to stderr, made on the stack and written with write(2): the failure
 * may have happened with the world stopped, inside malloc or while out of
 * memory. Nothing else of gcx is called: it is what has just been found broken.
 */
#include "assert.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASSERT_LINE_BYTES 512

struct assert_line {
  char text[ASSERT_LINE_BYTES];
  size_t used;
};

static void line_add(struct assert_line *l, const char *s)
{
  size_t n = strlen(s);
  size_t room = sizeof(l->text) - 1 - l->used;

  n = GCX_MIN(n, room);
  memcpy(l->text + l->used, s, n);
  l->used += n;
}

static void line_add_uint(struct assert_line *l, unsigned value)
{
  char digits[16];
  size_t at = sizeof(digits);

  digits[--at] = '\0';
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  line_add(l, digits + at);
}

void gcx__assert_fail(const char *file, int line, const char *condition)
{
  struct assert_line l = { .used = 0 };

  line_add(&l, "gcx: gcx bug: ");
  line_add(&l, file);
  line_add(&l, ":");
  line_add_uint(&l, (unsigned)line);
  line_add(&l, ": assertion failed: ");
  line_add(&l, condition);
  l.text[l.used++] = '\n';
  if (write(STDERR_FILENO, l.text, l.used) < 0) {
    abort(); /* nobody can be told */
  }
  abort();
}
