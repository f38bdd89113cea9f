/* SPDX-License-Identifier: MIT */
/*
 * redirect_edges.c - what the C library answers at the edges: built by
 * tests/check_redirect as it is and with gcx/malloc.h, it prints the same
 *
 * With redirect_part.c, which never has the header: the C library's own functions
 * with a block of gcx's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

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

/* ---- text */

static void show_copies(void)
{
  const char unended[4] = { 'f', 'o', 'u', 'r' };
  char *s = strndup(unended, 4), *t = strndup("longer", two), *u = strdup("");
  char *none = strndup("", half);
  wchar_t *w = wcsdup(L"");

  SHOW(strlen(s) == 4 && memcmp(s, unended, 4) == 0);
  SHOW(strcmp(t, "lo"));
  SHOW(*u);
  SHOW(*none);
  SHOW(*w);
  free(s);
  free(t);
  free(u);
  free(none);
  free(w);
}

static void show_formatted(void)
{
  char *s = NULL;

  SHOW(asprintf(&s, "%s", "") == 0 && *s == '\0');
  free(s);
  SHOW(asprintf(&s, "%0*d", 70000, 1) == 70000 && s[69999] == '1');
  free(s);
  SHOW(asprintf(&s, "%lc", (wint_t)0x20ac) == -1); /* not in this locale */
  errno = ENOENT;
  printf("%d, ", asprintf(&s, "%m"));
  printf("%s\n", s);
  free(s);
}

/* ---- streams in memory */

static void show_written(FILE *f, char *const *text, const size_t *bytes)
{
  SHOW(fflush(f));
  printf("%zu bytes, at %ld:", *bytes, ftell(f));
  for (size_t i = 0; i < *bytes; i++)
    printf(" %02x", (unsigned)(unsigned char)(*text)[i]);
  printf(", then %02x\n", (unsigned)(unsigned char)(*text)[*bytes]);
}

static void show_memstream(void)
{
  char *text = NULL;
  size_t bytes = 77;
  FILE *f = open_memstream(&text, &bytes);

  SHOW(f);
  SHOW(fileno(f) == -1);
  SHOW(fwide(f, 0) < 0);
  show_written(f, &text, &bytes);
  SHOW(fputs("hello", f) >= 0);
  show_written(f, &text, &bytes);
  SHOW(fseek(f, 2, SEEK_SET));
  SHOW(fputs("L", f) >= 0);
  show_written(f, &text, &bytes);
  SHOW(fseek(f, -1, SEEK_SET) == -1);
  SHOW(fseek(f, 9, SEEK_SET));
  SHOW(fputs("far", f) >= 0);
  show_written(f, &text, &bytes);
  SHOW(fclose(f));
  printf("%zu bytes\n", bytes);
  free(text);
  f = open_memstream(&text, &bytes); /* nothing is written to it */
  SHOW(fclose(f));
  printf("%zu bytes, %d\n", bytes, text[0]);
  free(text);
}

/* ---- names of files */

static int fails(const struct dirent *e)
{
  (void)e;
  errno = EAGAIN; /* that is its own affair */
  return 0;
}

static void show_paths(void)
{
  char room[4096], *s;
  struct dirent *mark = NULL, **list = &mark;

  SHOW(realpath(NULL, NULL));
  SHOW(realpath("", NULL));
  SHOW(realpath("/nowhere/at/all", NULL));
  SHOW(realpath("/dev/null/below", NULL));
  SHOW(realpath("/nowhere/at/all", room));
  SHOW(realpath("/dev/../dev/null", room) == room &&
       strcmp(room, "/dev/null") == 0);
  SHOW(canonicalize_file_name(""));
  s = realpath("/", NULL);
  SHOW(strcmp(s, "/"));
  free(s);
  SHOW(chdir("/tmp"));
  SHOW(getcwd(NULL, two));
  SHOW(getcwd(room, two));
  SHOW(getcwd(room, nothing));
  s = getcwd(NULL, 100);
  SHOW(strcmp(s, "/tmp"));
  SHOW(malloc_usable_size(s) >= 100);
  free(s);
  s = getcwd(NULL, 5); /* just enough */
  SHOW(strcmp(s, "/tmp"));
  free(s);
  SHOW(scandir("/nowhere/at/all", &list, NULL, NULL) == -1 && list == &mark);
  SHOW(scandir("/dev/null", &list, NULL, NULL) == -1 && list == &mark);
  SHOW(scandir("/", &list, fails, NULL));
  free(list);
}

int main(void)
{
  show_sizes();
  show_failures();
  show_zero();
  show_alignment();
  show_errno();
  show_lines();
  show_copies();
  show_formatted();
  show_memstream();
  show_paths();
  puts("done");
  return 0;
}
