/* SPDX-License-Identifier: MIT */
/* redirect_critical.c - a critical finalizer that allocates through
 * gcx/malloc.h. Built and run by tests/check_redirect; the argument says how it
 * allocates: the library has to end the process there. "nothing": it does what is
 * allowed, and "done" is printed. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <gcx.h>

#define OBJECTS 20 /* one of them is found, whatever words lie about */
#define FREED 1100 /* from the 1,001st on a block is used again */

static const char *how;
static int finalized;
static FILE *input; /* opened beforehand */
static char *text;  /* allocated beforehand */
static char *volatile sink;
static char *many[FREED];

static void keep(void *p)
{
  sink = p;
}

/* ---- ways of getting memory; the line of each is looked for */

static void by_malloc(void)
{
  keep(malloc(100)); /* CRITICAL malloc */
}

static void by_calloc(void)
{
  keep(calloc(4, 25)); /* CRITICAL calloc */
}

static void by_realloc(void)
{
  keep(realloc(NULL, 100)); /* CRITICAL realloc */
}

static void by_growing(void)
{
  keep(realloc(text, 100)); /* CRITICAL growing */
}

static void by_aligned(void)
{
  keep(aligned_alloc(64, 100)); /* CRITICAL aligned */
}

static void by_memalign(void)
{
  void *p = NULL;

  (void)posix_memalign(&p, 64, 100); /* CRITICAL memalign */
  keep(p);
}

static void by_large(void)
{
  keep(malloc(1000000)); /* CRITICAL large */
}

static void by_strdup(void)
{
  keep(strdup("nine left")); /* CRITICAL strdup */
}

static void by_strndup(void)
{
  keep(strndup("nine left", 4)); /* CRITICAL strndup */
}

static void by_wcsdup(void)
{
  keep(wcsdup(L"wide")); /* CRITICAL wcsdup */
}

static void by_asprintf(void)
{
  char *s = NULL;

  if (asprintf(&s, "%d", 12345) > 0) /* CRITICAL asprintf */
    keep(s);
}

static void by_getline(void)
{
  char *line = NULL;
  size_t room = 0;

  if (getline(&line, &room, input) > 0) /* CRITICAL getline */
    keep(line);
}

static void by_fopen(void)
{
  keep(fopen("/dev/null", "r")); /* CRITICAL fopen */
}

static void by_opendir(void)
{
  keep(opendir("/")); /* CRITICAL opendir */
}

static void by_memstream(void)
{
  static char *memory;
  static size_t bytes;

  keep(open_memstream(&memory, &bytes)); /* CRITICAL memstream */
}

static void by_realpath(void)
{
  keep(realpath("/", NULL)); /* CRITICAL realpath */
}

/* There would be no need to ask the collector. */
static void by_again(void)
{
  keep(malloc(40)); /* CRITICAL again */
}

/* The same with what the critical finalizer has freed itself. */
static void by_itself(void)
{
  for (int i = 0; i < FREED; i++)
    free(many[i]);
  keep(malloc(40)); /* CRITICAL itself */
}

static void by_nothing(void)
{
  char line[16];
  int fd = open("/dev/null", O_RDONLY); /* no memory of the program's */

  free(text);
  text = NULL;
  (void)snprintf(line, sizeof line, "%d", fd);
  (void)close(fd);
}

static const struct {
  const char *name;
  void (*allocate)(void);
} ways[] = {
  { "malloc", by_malloc },       { "calloc", by_calloc },
  { "realloc", by_realloc },     { "growing", by_growing },
  { "aligned", by_aligned },     { "memalign", by_memalign },
  { "large", by_large },         { "strdup", by_strdup },
  { "strndup", by_strndup },     { "wcsdup", by_wcsdup },
  { "asprintf", by_asprintf },   { "getline", by_getline },
  { "fopen", by_fopen },         { "opendir", by_opendir },
  { "memstream", by_memstream }, { "realpath", by_realpath },
  { "again", by_again },         { "itself", by_itself },
  { "nothing", by_nothing },
};

/* ---- the objects */

static void lock_finalize(void *obj)
{
  (void)obj;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (strcmp(ways[i].name, how) == 0)
      ways[i].allocate(); /* CALLED HERE */
  finalized++;
}

/* Ordinary ones come first, on the same thread: what it frees is what the
 * critical one could be given. */
static void file_finalize(void *obj)
{
  (void)obj;
  for (int i = 0; i < FREED && strcmp(how, "again") == 0; i++) {
    free(many[i]);
    many[i] = NULL;
  }
}

static const struct gcx_type lock_type =
    GCX_TYPE_INIT("lock", 32, GCX_TYPE_OPTIONAL | GCX_TYPE_CRITICAL, NULL, NULL,
                  lock_finalize, NULL);
static const struct gcx_type file_type = GCX_TYPE_INIT(
    "file", 32, GCX_TYPE_OPTIONAL, NULL, NULL, file_finalize, NULL);

__attribute__((noinline)) static void lose(void)
{
  for (int i = 0; i < OBJECTS; i++) {
    keep(gcx_new(&lock_type));
    keep(gcx_new(&file_type));
  }
  keep(NULL);
}

int main(int argc, char **argv)
{
  how = argc > 1 ? argv[1] : "nothing";
  input = fopen("/proc/self/status", "r");
  text = malloc(10);
  for (int i = 0; i < FREED; i++)
    many[i] = malloc(40);
  if (input == NULL || text == NULL)
    return 2;
  lose();
  gcx_collect();
  if (!gcx_wait_for_finalizers(60000))
    return 3;
  if (finalized == 0)
    return 4;
  free(text);
  for (int i = 0; i < FREED; i++)
    free(many[i]);
  (void)fclose(input);
  puts("done");
  return 0;
}
