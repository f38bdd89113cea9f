/* SPDX-License-Identifier: MIT */
/*
 * lost_stream - a program that has never heard of gcx, built with
 *               -include gcx/malloc.h
 *
 * An early return forgets fclose(). The C library's own list still points at
 * the stream, so a leak checker that looks for pointers calls it reachable; gcx
 * knows that nobody else does.
 */
#include <stdio.h>
#include <string.h>

static int has_comment(const char *path)
{
  FILE *f = fopen(path, "r");
  char line[256];

  if (f == NULL)
    return -1;
  while (fgets(line, sizeof line, f) != NULL)
    if (strchr(line, ':') != NULL)
      return 1; /* and f? */
  (void)fclose(f);
  return 0;
}

int main(void)
{
  int n = 0;

  for (int i = 0; i < 20; i++)
    n += has_comment("/etc/passwd");
  printf("%d\n", n);
  return 0;
}
