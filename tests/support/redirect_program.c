/* SPDX-License-Identifier: MIT */
/* redirect_program.c - a program that has never heard of gcx, built with
 * -include gcx/malloc.h by tests/check_redirect, in many ways. This first line of
 * code must mean what it says: */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

/* gcx's, to see what is tracked: what is not ends the program. */
extern _Bool gcx_is_disposed(const void *p);

#define CHECK(e)                                         \
  do                                                     \
    if (!(e)) {                                          \
      printf("%s:%d: %s: no\n", __FILE__, __LINE__, #e); \
      exit(1);                                           \
    }                                                    \
  while (0)
#define TRACKED(p) CHECK((p) != NULL && !gcx_is_disposed(p))

#ifdef REDIRECT_CXX
extern void cxx_check(void);
#endif

#ifdef REDIRECT_PART
extern void *part_make(size_t bytes);
extern void *part_grow(void *p, size_t bytes);
extern void part_end(void *p);

static void check_part(void)
{
  char *p = malloc(10), *q = part_make(10);

  p = part_grow(p, 3000);
  TRACKED(p);
  part_end(p);
  CHECK(gcx_is_disposed(p));
  q = realloc(q, 3000);
  free(q);
}
#endif

#ifdef REDIRECT_POISON
static void *(*const poisoned_malloc)(size_t) = malloc;
static void (*const poisoned_free)(void *) = free;
#endif

/* functions as values */
struct hooks {
  void *(*malloc)(size_t bytes);
  void *(*realloc)(void *p, size_t bytes);
  void (*free)(void *p);
};
static const struct hooks hooks = { malloc, realloc, free };

/* names of members, variables, parameters, macros */
struct node {
  struct node *free;
  int malloc;
};

static size_t named(struct node *malloc, size_t calloc)
{
  struct node *free = malloc->free;

  return free != NULL ? named(free, calloc + 1) : calloc;
}

static void check_values(void)
{
  struct node second = { NULL, 2 }, first = { &second, 1 };
  void (*volatile end)(void *) = free;
  void *p = hooks.malloc(10);

  TRACKED(p);
  p = hooks.realloc(p, 2000);
  TRACKED(p);
  hooks.free(p);
  p = malloc(10);
  end(p);
  CHECK(gcx_is_disposed(p));
  CHECK(named(&first, (size_t)first.malloc) == 2);
}

/* gcc makes one calloc() of it */
static __attribute__((noinline)) char *merged(size_t bytes)
{
  char *p = malloc(bytes);

  if (p != NULL)
    memset(p, 0, bytes);
  return p;
}

/* gcc makes a malloc() of it, by its own name for it */
static __attribute__((noinline)) void *resized_from_nothing(size_t bytes)
{
  return realloc(NULL, bytes);
}

/* as gnulib has it: a replacement that calls the original */
static __attribute__((noinline)) void *rpl_malloc(size_t bytes)
{
  return malloc(bytes == 0 ? 1 : bytes);
}
#define malloc rpl_malloc

static void check_memory(volatile size_t n)
{
  void *p = malloc(0);

  TRACKED(p);
  free(p);
  p = calloc(n, 4);
  TRACKED(p);
  p = reallocarray(p, n, 16); /* cppcheck-suppress memleakOnRealloc */
  TRACKED(p);
  free(p);
  p = aligned_alloc(64, 128);
  TRACKED(p);
  free(p);
  CHECK(posix_memalign(&p, 256, n) == 0);
  TRACKED(p);
  CHECK(malloc_usable_size(p) >= n);
  free(p);
  p = merged(n);
  TRACKED(p);
  free(p);
  p = resized_from_nothing(n);
  TRACKED(p);
  free(p);
}
#undef malloc

static void check_copies(void)
{
  char *s = strdup("text");
  wchar_t *w = wcsdup(L"wide");

  TRACKED(s);
  free(s);
  s = strndup("text", 2);
  TRACKED(s);
  CHECK(strcmp(s, "te") == 0);
  free(s);
  TRACKED(w);
  CHECK(wcscmp(w, L"wide") == 0);
  free(w);
}

static __attribute__((format(printf, 2, 3))) int format(char **ret,
                                                        const char *fmt, ...)
{
  va_list ap;
  int n;

  va_start(ap, fmt);
  n = vasprintf(ret, fmt, ap);
  va_end(ap);
  return n;
}

static void check_text(void)
{
  char *s = NULL;
  size_t bytes = 0;
  FILE *f;

  CHECK(asprintf(&s, "%d %s", 5, "five") == 6);
  TRACKED(s);
  CHECK(strcmp(s, "5 five") == 0);
  free(s);
  CHECK(format(&s, "%05d", 42) == 5);
  TRACKED(s);
  free(s);
  f = open_memstream(&s, &bytes);
  CHECK(f != NULL && fprintf(f, "%s", "hello") == 5 && fflush(f) == 0);
  CHECK(bytes == 5 && strcmp(s, "hello") == 0);
  CHECK(fseek(f, 10, SEEK_SET) == 0 && fputc('x', f) == 'x');
  CHECK(fclose(f) == 0 && bytes == 11 && s[9] == '\0' && s[10] == 'x');
  TRACKED(s);
  free(s);
}

static void check_lines(void)
{
  static char lines[] = "one\ntwo;three\n";
  FILE *f = fmemopen(lines, strlen(lines), "r");
  char *line = NULL;
  size_t room = 0;

  CHECK(f != NULL && getline(&line, &room, f) == 4);
  TRACKED(line);
  CHECK(strcmp(line, "one\n") == 0 && room >= 5);
  CHECK(getdelim(&line, &room, ';', f) == 4);
  CHECK(getdelim(&line, &room, ';', f) == 6);
  CHECK(getline(&line, &room, f) == -1 && feof(f));
  free(line);
  line = NULL;
  CHECK(getline(&line, &room, f) == -1);
  free(line);
  errno = 0;
  CHECK(getline(NULL, &room, f) == -1 && errno == EINVAL);
  fclose(f);
}

static void check_paths(const char *path)
{
  char *s = realpath(path, NULL);
  struct dirent **list = NULL;
  int n;

  TRACKED(s);
  CHECK(strcmp(s, "/") == 0);
  free(s);
  s = getcwd(NULL, 0);
  TRACKED(s);
  free(s);
  s = canonicalize_file_name(path);
  TRACKED(s);
  free(s);
  s = get_current_dir_name();
  TRACKED(s);
  free(s);
  errno = 0;
  CHECK(realpath("/nowhere/at/all", NULL) == NULL && errno == ENOENT);
  n = scandir("/", &list, NULL, alphasort);
  CHECK(n > 2);
  TRACKED(list);
  TRACKED(list[n - 1]);
  while (n > 0)
    free(list[--n]);
  free(list);
  CHECK(scandir("/nowhere/at/all", &list, NULL, alphasort) == -1);
}

/* ---- what goes wrong on purpose */

static __attribute__((noinline)) void lose(void)
{
  char *p = malloc(321); /* LOST HERE */

  __asm__ volatile("" : : "r"(p) : "memory");
} /* cppcheck-suppress memleak */

static __attribute__((noinline)) void twice(void)
{
  void *p = malloc(123); /* BORN HERE */
  void *volatile q = p;

  free(q); /* FIRST HERE */
  /* cppcheck-suppress doubleFree */
  free(q); /* AGAIN HERE */
}

#ifdef REDIRECT_POISON
#pragma GCC poison malloc free
static void check_poison(void)
{
  void *p = poisoned_malloc(10);

  TRACKED(p);
  poisoned_free(p);
}
#endif

int main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "lose") == 0)
    for (int i = 0; i < 20; i++)
      lose();
  if (argc > 1 && strcmp(argv[1], "twice") == 0)
    twice();
  check_values();
  check_memory((size_t)argc * 20);
  check_copies();
  check_text();
  check_lines();
  check_paths("/tmp/..");
#ifdef REDIRECT_POISON
  check_poison();
#endif
#ifdef REDIRECT_PART
  check_part();
#endif
#ifdef REDIRECT_CXX
  cxx_check();
#endif
  puts("done");
  return 0;
}
