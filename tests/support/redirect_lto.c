/* SPDX-License-Identifier: MIT */
/*
 * redirect_lto.c - a program of several files that has never heard of gcx, built
 * with -include gcx/malloc.h by tests/check_redirect: what of it is untracked?
 *
 * Compiled with LTO_PART=0, which is the main part, and with 1 to 3. It
 * prints the names of the calls whose block is not gcx's, each once, and frees
 * them all.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

struct row {
  const char *name;
  void *(*make)(size_t bytes);
};

#if LTO_PART > 0

/* ---- a part: the calls, each in a function of its own */

static NOINLINE void *by_malloc(size_t bytes)
{
  return malloc(bytes);
}

/* gcc makes one calloc() of it */
static NOINLINE void *by_memset(size_t bytes)
{
  void *p = malloc(bytes);

  if (p != NULL)
    memset(p, 0, bytes);
  return p;
}

/* gcc makes a malloc() of it */
static NOINLINE void *by_realloc(size_t bytes)
{
  return realloc(NULL, bytes);
}

static NOINLINE void *by_calloc(size_t bytes)
{
  return calloc(bytes, 2);
}

static NOINLINE void *by_strdup(size_t bytes)
{
  return strdup(bytes > 4 ? "long" : "short");
}

static NOINLINE void *by_asprintf(size_t bytes)
{
  char *s;

  return asprintf(&s, "%zu", bytes) > 0 ? s : NULL;
}

static NOINLINE void *by_realpath(size_t bytes)
{
  return realpath(bytes > 4 ? "/" : "/tmp", NULL);
}

static NOINLINE void *by_getcwd(size_t bytes)
{
  return getcwd(NULL, bytes * 0);
}

static NOINLINE void *by_scandir(size_t bytes)
{
  struct dirent **list;
  int n = scandir(bytes > 4 ? "/" : "/tmp", &list, NULL, NULL);

  if (n < 0)
    return NULL;
  while (n > 0)
    free(list[--n]);
  return list;
}

extern const struct row PASTE(part_, LTO_PART)[];
const struct row PASTE(part_, LTO_PART)[] = {
  { "malloc", by_malloc },     { "malloc+memset", by_memset },
  { "calloc", by_calloc },     { "realloc(NULL)", by_realloc },
  { "strdup", by_strdup },     { "asprintf", by_asprintf },
  { "realpath", by_realpath }, { "getcwd", by_getcwd },
  { "scandir", by_scandir },   { NULL, NULL },
};

#else

/* ---- the main part */

/* gcx's: NULL for what is not in the collected heap */
struct gcx_weak;
extern struct gcx_weak *gcx_weak_create(void *target, int kind);
extern void gcx_dispose(void *p);

extern const struct row part_1[], part_2[], part_3[];

static int is_tracked(void *p)
{
  struct gcx_weak *w = gcx_weak_create(p, 1);
  int is = w != NULL;

  gcx_dispose(w);
  return is;
}

int main(int argc, char **argv)
{
  const struct row *const parts[] = { part_1, part_2, part_3 };

  (void)argv;
  for (int i = 0; part_1[i].name != NULL; i++) {
    int untracked = 0;

    for (int part = 0; part < 3; part++) {
      void *p = parts[part][i].make((size_t)argc * 40);

      if (p == NULL) {
        printf("%s: no\n", part_1[i].name);
        return 1;
      }
      untracked += !is_tracked(p);
      free(p);
    }
    if (untracked > 0)
      printf("%s ", part_1[i].name);
  }
  puts("done");
  return 0;
}

#endif
