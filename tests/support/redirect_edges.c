/* SPDX-License-Identifier: MIT */
/*
 * redirect_edges.c - what the C library answers at the edges: built by
 * tests/check_redirect as it is and with gcx/malloc.h, it prints the same
 *
 * With redirect_part.c, which never has the header: the C library's own functions
 * with a block of gcx's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *part_grow(void *p, size_t bytes);

#define SHOW(e)                                                    \
  do {                                                             \
    long long result_;                                             \
                                                                   \
    errno = 0;                                                     \
    result_ = (long long)(e);                                      \
    printf("%s: %s, errno %d\n", #e, result_ ? "is" : "0", errno); \
  } while (0)

static volatile size_t most = SIZE_MAX - 100, half = (size_t)PTRDIFF_MAX + 1;
static volatile size_t half_less_one = PTRDIFF_MAX;
static volatile size_t nothing = 0, three = 3, four = 4, two = 2;

static void show_sizes(void)
{
  SHOW(malloc(most));
  SHOW(malloc(half));
  SHOW(malloc(half_less_one));
  SHOW(calloc(most, two));
  SHOW(calloc(half, 1));
  SHOW(reallocarray(NULL, most, three));
  SHOW(realloc(NULL, half));
  SHOW(malloc_usable_size(NULL));
  free(NULL);
}

static void show_failures(void)
{
  char *p = malloc(20);

  strcpy(p, "still here");
  SHOW(realloc(p, most));
  SHOW(realloc(p, half));
  SHOW(realloc(p, half_less_one));
  SHOW(reallocarray(p, most, three));
  SHOW(part_grow(p, most));
  SHOW(part_grow(p, half));
  SHOW(part_grow(p, half_less_one));
  printf("%s\n", p);
  free(p);
}

static void show_zero(void)
{
  char *p = malloc(nothing), *q = calloc(nothing, 8), *r = malloc(10), *moved;

  SHOW(p);
  SHOW(q);
  SHOW(p != q);
  moved = realloc(p, 10);
  SHOW(moved);
  SHOW(realloc(r, nothing)); /* it is freed */
  free(moved);
  free(q);
}

static void show_alignment(void)
{
  void *q = &q;

  SHOW(aligned_alloc(nothing, 10));
  SHOW(aligned_alloc(three, 10));
  SHOW(aligned_alloc(64, most));
  SHOW(memalign(64, most));
  SHOW(valloc(most));
  SHOW(pvalloc(most));
  SHOW(posix_memalign(&q, three, 10));
  SHOW(posix_memalign(&q, nothing, 10));
  SHOW(posix_memalign(&q, four, 10));
  SHOW(posix_memalign(&q, 64, most));
  SHOW(q == (void *)&q);
}

/* free() leaves errno alone, whatever it does with the memory. */
static void show_errno(void)
{
  int differs = 0;

  for (size_t i = 0; i < 600; i++) {
    char *p = malloc(i < 500 ? i * 100 : (i - 500) << 18);

    errno = 77;
    free(p);
    differs += errno != 77;
  }
  printf("errno differs after %d\n", differs);
}

static void show_lines(void)
{
  FILE *f = fopen("/dev/null", "w");
  char *line = NULL;
  size_t room = 0;

  if (f == NULL)
    return;
  SHOW(getline(&line, &room, f) == -1);
  SHOW(getline(NULL, &room, f) == -1);
  fclose(f);
  free(line);
}

int main(void)
{
  show_sizes();
  show_failures();
  show_zero();
  show_alignment();
  show_errno();
  show_lines();
  puts("done");
  return 0;
}
