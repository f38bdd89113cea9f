/* SPDX-License-Identifier: MIT */
/*
 * pkgdeps - which packages do the others depend on most?
 *
 *   pkgdeps FILE...
 *
 * Each FILE is a list of packages as dpkg and apt write it, for example
 * /var/lib/dpkg/status. A package counts once for each clause of Depends or
 * Pre-Depends that names it. A choice ("a | b") counts for none: which one is
 * meant depends on what else is installed.
 *
 * This version loses an object on one of its paths, and gcx says where.
 * pkgdeps_fixed.c is the same program without the fault.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gcx.h>

#define BUCKETS 4096
#define SHOWN 12
#define CHECKED 50 /* packages between two checks */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789+-."

/* -------------------------------------------------------------- packages */

struct package {
  struct package *next; /* in its bucket */
  char *name;
  unsigned long users; /* clauses that name it */
  unsigned long kib;
};

struct catalog {
  size_t count;
  struct package *bucket[BUCKETS];
};

static const struct gcx_type package_type =
    GCX_TYPE_INIT("package", sizeof(struct package), 0, NULL, NULL, NULL, NULL);

/* Owns its packages. */
static const struct gcx_type catalog_type =
    GCX_TYPE_INIT("catalog", sizeof(struct catalog), 0, NULL, NULL, NULL, NULL);

static size_t name_hash(const char *name, size_t bytes)
{
  size_t h = 5381;

  for (size_t i = 0; i < bytes; i++)
    h = h * 33 + (unsigned char)name[i];
  return h % BUCKETS;
}

static struct package *package_create(const char *name, size_t bytes)
{
  gcx_auto struct package *p = gcx_new(&package_type);

  if (p == NULL)
    return NULL;
  p->name = gcx_strndup(name, bytes);
  if (p->name == NULL || gcx_own(p, p->name) != 0) {
    gcx_dispose(p->name);
    return NULL;
  }
  return gcx_steal(p);
}

/* The package of that name, made if it is new; NULL without memory. */
static struct package *catalog_get(struct catalog *c, const char *name,
                                   size_t bytes)
{
  struct package **bucket = &c->bucket[name_hash(name, bytes)];
  struct package *p;

  for (p = *bucket; p != NULL; p = p->next) {
    if (strncmp(p->name, name, bytes) == 0 && p->name[bytes] == '\0')
      return p;
  }
  p = package_create(name, bytes);
  if (p == NULL || gcx_own(c, p) != 0) {
    gcx_dispose(p);
    return NULL;
  }
  p->next = *bucket;
  *bucket = p;
  c->count++;
  return p;
}

/* ---------------------------------------------------------- dependencies */

struct dependency {
  char *clause; /* "libc6 (>= 2.34)" */
  size_t name_bytes;
};

static int dependency_describe(const void *obj, char *buf, size_t n)
{
  const struct dependency *d = obj;

  return snprintf(buf, n, "%s", d->clause != NULL ? d->clause : "");
}

static const struct gcx_type dependency_type =
    GCX_TYPE_INIT("dependency", sizeof(struct dependency), 0, NULL, NULL, NULL,
                  dependency_describe);

/* One clause of a Depends field. NULL and errno: ENOMEM; ENOTSUP for a choice,
 * EINVAL for what is no name. */
static struct dependency *dependency_parse(const char *text, size_t bytes)
{
  struct dependency *d = gcx_new(&dependency_type);

  if (d == NULL)
    return NULL;
  d->clause = gcx_strndup(text, bytes);
  if (d->clause == NULL || gcx_own(d, d->clause) != 0) {
    gcx_dispose(d->clause);
    gcx_dispose(d);
    errno = ENOMEM;
    return NULL;
  }
  if (strchr(d->clause, '|') != NULL) {
    errno = ENOTSUP;
    return NULL;
  }
  d->name_bytes = strspn(d->clause, NAME_CHARACTERS);
  if (d->name_bytes == 0) {
    gcx_dispose(d);
    errno = EINVAL;
    return NULL;
  }
  return d;
}

/* ----------------------------------------------------------------- files */

struct reader {
  FILE *file;
  const char *path;
  char *line;
  size_t room;
  unsigned long packages;
  unsigned long clauses;
  unsigned long choices;
};

static int reader_dispose(void *obj)
{
  struct reader *r = obj;

  free(r->line);
  return r->file == NULL || fclose(r->file) == 0 ? 0 : -errno;
}

static int reader_describe(const void *obj, char *buf, size_t n)
{
  const struct reader *r = obj;

  return snprintf(buf, n, "%s", r->path);
}

static const struct gcx_type reader_type =
    GCX_TYPE_INIT("reader", sizeof(struct reader), 0, NULL, reader_dispose,
                  NULL, reader_describe);

static struct reader *reader_open(const char *path)
{
  gcx_auto struct reader *r = gcx_new(&reader_type);

  if (r == NULL)
    return NULL;
  r->path = path;
  r->file = fopen(path, "r");
  return r->file == NULL ? NULL : gcx_steal(r);
}

/* What follows "NAME:" in the current line, or NULL. */
static const char *reader_field(const struct reader *r, const char *name)
{
  size_t bytes = strlen(name);

  if (strncmp(r->line, name, bytes) != 0 || r->line[bytes] != ':')
    return NULL;
  return r->line + bytes + 1 + strspn(r->line + bytes + 1, " ");
}

static int read_clause(struct reader *r, struct catalog *c, const char *text,
                       size_t bytes)
{
  gcx_auto struct dependency *d = dependency_parse(text, bytes);
  struct package *p;

  r->clauses++;
  if (d == NULL) {
    r->choices += errno == ENOTSUP;
    return errno == ENOMEM ? -ENOMEM : 0;
  }
  p = catalog_get(c, d->clause, d->name_bytes);
  if (p == NULL)
    return -ENOMEM;
  p->users++;
  return 0;
}

static int read_depends(struct reader *r, struct catalog *c, const char *list)
{
  while (*list != '\0') {
    size_t bytes = strcspn(list, ",\n");
    int err = bytes == 0 ? 0 : read_clause(r, c, list, bytes);

    if (err != 0)
      return err;
    list += bytes;
    list += strspn(list, ", \n");
  }
  return 0;
}

/* One line; *package is the one that the lines are about. */
static int read_line(struct reader *r, struct catalog *c,
                     struct package **package)
{
  const char *value;

  if ((value = reader_field(r, "Package")) != NULL) {
    r->packages++;
#ifndef GCX_DISABLE
    if (r->packages % CHECKED == 0)
      gcx_check(); /* near the lines that lost something */
#endif
    gcx_breadcrumb("%s package %lu", r->path, r->packages);
    *package = catalog_get(c, value, strspn(value, NAME_CHARACTERS));
    return *package == NULL ? -ENOMEM : 0;
  }
  if ((value = reader_field(r, "Installed-Size")) != NULL && *package != NULL) {
    (*package)->kib = strtoul(value, NULL, 10);
    return 0;
  }
  if ((value = reader_field(r, "Depends")) != NULL ||
      (value = reader_field(r, "Pre-Depends")) != NULL)
    return read_depends(r, c, value);
  return 0;
}

static int read_file(struct catalog *c, const char *path)
{
  gcx_auto struct reader *r = reader_open(path);
  struct package *package = NULL;

  if (r == NULL)
    return -errno;
  while (getline(&r->line, &r->room, r->file) >= 0) {
    int err = read_line(r, c, &package);

    if (err != 0)
      return err;
  }
  if (ferror(r->file))
    return -EIO;
  printf("%s: %lu packages, %lu dependencies, %lu of them a choice\n", path,
         r->packages, r->clauses, r->choices);
  return 0;
}

/* ----------------------------------------------------------------- table */

static int compare_users(const void *a, const void *b)
{
  const struct package *const *p = a;
  const struct package *const *q = b;

  if ((*p)->users != (*q)->users)
    return (*p)->users < (*q)->users ? 1 : -1;
  return strcmp((*p)->name, (*q)->name);
}

static int print_table(const struct catalog *c)
{
  gcx_auto struct package **sorted =
      gcx_calloc(c->count + 1, sizeof(struct package *));
  size_t n = 0;

  if (sorted == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < BUCKETS; i++) {
    for (struct package *p = c->bucket[i]; p != NULL; p = p->next)
      sorted[n++] = p;
  }
  qsort(sorted, n, sizeof(*sorted), compare_users);
  printf("%8s %10s  %s\n", "users", "KiB", "package");
  for (size_t i = 0; i < n && i < SHOWN; i++)
    printf("%8lu %10lu  %s\n", sorted[i]->users, sorted[i]->kib,
           sorted[i]->name);
  return 0;
}

int main(int argc, char **argv)
{
  gcx_auto struct catalog *c = gcx_new(&catalog_type);
  int err = c == NULL ? -ENOMEM : 0;

  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 2;
  }
  for (int i = 1; i < argc && err == 0; i++) {
    err = read_file(c, argv[i]);
    if (err != 0)
      fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i], strerror(-err));
  }
  if (err == 0)
    err = print_table(c);
  return err == 0 ? 0 : 1;
}
