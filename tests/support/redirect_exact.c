/* SPDX-License-Identifier: MIT */
/* redirect_exact.c - the rarer allocators of the C library through
 * gcx/malloc.h: tracked, and all else as the C library has it. Built and run by
 * tests/check_redirect; with an argument it loses what each of them returns. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

/* gcx's, to see what is tracked: what is not ends the program. */
extern _Bool gcx_is_disposed(const void *p);

/* No header of every C library has them: an old program, or one for C23, says
 * itself what they are. */
extern void cfree(void *p);
extern void free_sized(void *p, size_t bytes);
extern void free_aligned_sized(void *p, size_t align, size_t bytes);

#define CHECK(e)                                         \
  do                                                     \
    if (!(e)) {                                          \
      printf("%s:%d: %s: no\n", __FILE__, __LINE__, #e); \
      exit(1);                                           \
    }                                                    \
  while (0)
#define TRACKED(p) CHECK((p) != NULL && !gcx_is_disposed(p))
#define ALIGNED(p, align) CHECK(((uintptr_t)(p) & ((align)-1)) == 0)

/* E fails with the number ERROR. */
#define FAILS(e, error)      \
  do {                       \
    errno = 0;               \
    CHECK(e);                \
    CHECK(errno == (error)); \
  } while (0)

static volatile size_t too_many = SIZE_MAX - 100;
static volatile size_t nothing = 0, odd = 48;

static size_t page_bytes(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- what frees */

static void check_frees(void)
{
  void *p = malloc(40), *q = malloc(50), *r = aligned_alloc(64, 128);

  cfree(p);
  free_sized(q, 50);
  free_aligned_sized(r, 64, 128);
  CHECK(gcx_is_disposed(p));
  CHECK(gcx_is_disposed(q));
  CHECK(gcx_is_disposed(r));
  cfree(NULL);
  free_sized(NULL, 0);
  free_aligned_sized(NULL, 0, 0);
}

/* ---- alignment */

static void check_memalign(void)
{
  char *p, *q;

  for (size_t align = 1; align <= page_bytes(); align *= 2) {
    p = memalign(align, 100);
    TRACKED(p);
    ALIGNED(p, align);
    CHECK(malloc_usable_size(p) >= 100);
    memset(p, 'x', 100);
    free(p);
  }
  p = memalign(64, nothing);
  q = memalign(64, nothing);
  TRACKED(p);
  CHECK(p != q);
  free(p);
  free(q);
  FAILS(memalign(64, too_many) == NULL, ENOMEM);
}

/* What gcx can't do, the C library does: above a page, or no power of two. */
static void check_memalign_elsewhere(void)
{
  void *p = memalign(4 * page_bytes(), 100), *q = memalign(odd, 100);

  CHECK(p != NULL && q != NULL);
  ALIGNED(p, 4 * page_bytes());
  ALIGNED(q, 64); /* the C library's rounds it up */
  free(p);
  free(q);
}

static void check_pages(void)
{
  char *p = valloc(10), *q = valloc(nothing);

  TRACKED(p);
  TRACKED(q);
  ALIGNED(p, page_bytes());
  ALIGNED(q, page_bytes());
  free(p);
  free(q);
  p = pvalloc(page_bytes() + 1);
  q = pvalloc(nothing);
  TRACKED(p);
  TRACKED(q);
  ALIGNED(p, page_bytes());
  ALIGNED(q, page_bytes());
  CHECK(malloc_usable_size(p) == 2 * page_bytes());
  memset(p, 'x', 2 * page_bytes());
  free(p);
  free(q);
  FAILS(valloc(too_many) == NULL, ENOMEM);
  FAILS(pvalloc(too_many) == NULL, ENOMEM);
  FAILS(pvalloc(too_many + 100) == NULL, ENOMEM);
}

/* ---- a failure leaves the block */

static void check_failures(void)
{
  char *p = malloc(20), *q;

  TRACKED(p);
  memcpy(p, "still here", 11);
  FAILS((q = realloc(p, too_many)) == NULL, ENOMEM);
  FAILS((q = reallocarray(p, too_many, 16)) == NULL, ENOMEM);
  TRACKED(p);
  CHECK(q == NULL && strcmp(p, "still here") == 0);
  free(p);
}

/* ---- text */

static void check_wcsdup(void)
{
  wchar_t *empty = wcsdup(L""), *w = wcsdup(L"wide");

  TRACKED(empty);
  TRACKED(w);
  CHECK(empty[0] == L'\0' && wcscmp(w, L"wide") == 0);
  CHECK(malloc_usable_size(w) >= 5 * sizeof *w);
  free(empty);
  free(w);
}

static void check_getdelim(void)
{
  static char text[] = "one;\0a longer one than that;rest";
  FILE *f = fmemopen(text, sizeof text - 1, "r");
  char *line = malloc(2), *before;
  size_t room = 2;

  CHECK(f != NULL && getdelim(&line, &room, ';', f) == 4);
  TRACKED(line);
  CHECK(strcmp(line, "one;") == 0 && room >= 5);
  CHECK(getdelim(&line, &room, '\0', f) == 1 && line[0] == '\0');
  CHECK(getdelim(&line, &room, ';', f) == 23 && room >= 24);
  CHECK(getdelim(&line, &room, ';', f) == 4 && strcmp(line, "rest") == 0);
  before = line;
  CHECK(getdelim(&line, &room, ';', f) == -1 && feof(f));
  CHECK(line == before);
  TRACKED(line);
  FAILS(getdelim(NULL, &room, ';', f) == -1, EINVAL);
  FAILS(getdelim(&line, NULL, ';', f) == -1, EINVAL);
  fclose(f);
  f = fopen("/dev/null", "w");
  CHECK(f != NULL);
  FAILS(getdelim(&line, &room, ';', f) == -1, EBADF);
  CHECK(line == before && ferror(f));
  TRACKED(line);
  fclose(f);
  free(line);
  f = fmemopen(text, sizeof text - 1, "r");
  line = text; /* with a size of 0 it may be anything */
  room = 0;
  CHECK(f != NULL && getdelim(&line, &room, ';', f) == 4 && line != text);
  TRACKED(line);
  fclose(f);
  free(line);
}

/* ---- names of files */

static void check_tempnam(void)
{
  char *p, *q;

  unsetenv("TMPDIR");
  p = tempnam("/", "abc");
  q = tempnam("/nowhere/at/all", NULL);
  TRACKED(p);
  TRACKED(q);
  CHECK(strncmp(p, "/", 1) == 0 && strstr(p, "abc") != NULL);
  CHECK(strncmp(q, P_tmpdir "/", strlen(P_tmpdir) + 1) == 0);
  CHECK(access(p, F_OK) == -1 && access(q, F_OK) == -1);
  free(p);
  free(q);
}

static int none(const struct dirent *e)
{
  (void)e;
  return 0;
}

static int dots(const struct dirent *e)
{
  return strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
}

static void check_scandirat(void)
{
  struct dirent *mark = NULL, **list = &mark;
  int root = open("/", O_RDONLY | O_DIRECTORY);

  CHECK(root >= 0);
  FAILS(scandirat(root, "nowhere/at/all", &list, NULL, NULL) == -1, ENOENT);
  FAILS(scandirat(-1, "tmp", &list, NULL, NULL) == -1, EBADF);
  FAILS(scandirat(root, "dev/null", &list, NULL, NULL) == -1, ENOTDIR);
  CHECK(list == &mark);
  CHECK(scandirat(root, "tmp", &list, none, alphasort) == 0);
  CHECK(list != &mark);
  free(list);
  CHECK(scandirat(root, "tmp", &list, dots, alphasort) == 2);
  TRACKED(list);
  TRACKED(list[0]);
  TRACKED(list[1]);
  CHECK(strcmp(list[0]->d_name, ".") == 0);
  CHECK(strcmp(list[1]->d_name, "..") == 0);
  free(list[0]);
  free(list[1]);
  free(list);
  close(root);
}

/* ---- what goes wrong on purpose: a line each that allocates */

static __attribute__((noinline)) void drop(void *p)
{
  CHECK(p != NULL);
  __asm__ volatile("" : : "r"(p) : "memory");
}

static __attribute__((noinline)) void lose_line(void)
{
  static char text[] = "one;two";
  FILE *f = fmemopen(text, sizeof text - 1, "r");
  char *line = NULL;
  size_t room = 0;

  CHECK(f != NULL);
  CHECK(getdelim(&line, &room, ';', f) == 4); /* LOST getdelim */
  fclose(f);
  drop(line);
} /* cppcheck-suppress memleak */

static __attribute__((noinline)) void lose_list(void)
{
  struct dirent **list = NULL;

  CHECK(scandirat(AT_FDCWD, "/", &list, dots, NULL) == 2); /* LOST scandirat */
  drop(list);
}

static __attribute__((noinline)) void lose(void)
{
  drop(memalign(64, 100));  /* LOST memalign */
  drop(valloc(100));        /* LOST valloc */
  drop(pvalloc(100));       /* LOST pvalloc */
  drop(wcsdup(L"wide"));    /* LOST wcsdup */
  drop(tempnam("/", NULL)); /* LOST tempnam */
  lose_line();
  lose_list();
}

int main(int argc, char **argv)
{
  (void)argv;
  if (argc > 1)
    for (volatile int i = 0; i < 20; i++)
      lose();
  check_frees();
  check_memalign();
  check_memalign_elsewhere();
  check_pages();
  check_failures();
  check_wcsdup();
  check_getdelim();
  check_tempnam();
  check_scandirat();
  puts("done");
  return 0;
}
