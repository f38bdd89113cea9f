/* SPDX-License-Identifier: MIT */
/*
 * discard - construction that fails half-way
 *
 * dispose() may rely on a whole object. A constructor that fails before the
 * object is whole calls gcx_discard(): no dispose function runs, what it owns
 * already is disposed, and nothing is reported.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

struct source {
  char *path;
  FILE *file;
};

/* file is never NULL here. */
static int source_dispose(void *obj)
{
  struct source *s = obj;

  printf("  closed %s\n", s->path);
  return fclose(s->file) == 0 ? 0 : -errno;
}

static const struct gcx_type source_type = GCX_TYPE_INIT(
    "source", sizeof(struct source), 0, NULL, source_dispose, NULL, NULL);

/* *ret_source is untouched on failure. */
static int source_open(const char *path, struct source **ret_source)
{
  struct source *s = gcx_new(&source_type);
  int err = ENOMEM;

  if (s == NULL)
    return -err;
  s->path = gcx_strdup(path);
  if (s->path == NULL || gcx_own(s, s->path) != 0) {
    gcx_dispose(s->path);
    goto fail;
  }
  s->file = fopen(path, "r");
  if (s->file == NULL) {
    err = errno;
    goto fail;
  }
  *ret_source = s;
  return 0;

fail:
  gcx_discard(s);
  return -err;
}

static void try_to_open(const char *path)
{
  struct source *s = NULL;
  int err = source_open(path, &s);

  printf("%s: %s\n", path, err == 0 ? "open" : strerror(-err));
  gcx_dispose(s);
}

int main(void)
{
  for (int i = 0; i < 10; i++)
    try_to_open(i == 5 ? "/dev/null" : "/nonexistent");
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
