/* SPDX-License-Identifier: MIT */
/* redirect_part.c - a file without gcx/malloc.h in a program that has it, or a
 * library: it frees what the program made, and the other way round */
#include <stdlib.h>
#include <string.h>

extern void *part_make(size_t bytes);
extern void *part_grow(void *p, size_t bytes);
extern void part_end(void *p);

void *part_make(size_t bytes)
{
  return malloc(bytes);
}

void *part_grow(void *p, size_t bytes)
{
  return realloc(p, bytes);
}

void part_end(void *p)
{
  free(p);
}
