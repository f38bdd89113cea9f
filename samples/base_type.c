/* SPDX-License-Identifier: MIT */
/*
 * base_type - a type that builds on another one
 *
 * The dispose function of the derived type runs first, then that of its base.
 * The base's struct is the first member, so a pointer to the derived object is
 * one to the base, too.
 */
#include <errno.h>
#include <stdio.h>

#include <gcx.h>

struct stream {
  FILE *file;
};

static int stream_dispose(void *obj)
{
  struct stream *s = obj;

  puts("  stream: file closed");
  return s->file == NULL || fclose(s->file) == 0 ? 0 : -errno;
}

static const struct gcx_type stream_type = GCX_TYPE_INIT(
    "stream", sizeof(struct stream), 0, NULL, stream_dispose, NULL, NULL);

struct table {
  struct stream base;
  int rows;
  int open_rows;
};

/* The file is still open: it is closed by the base, afterwards. */
static int table_dispose(void *obj)
{
  struct table *t = obj;

  printf("  table: end of %d rows written\n", t->rows);
  if (t->base.file == NULL || fputs("end\n", t->base.file) < 0)
    return -EIO;
  return t->open_rows > 0 ? -EBUSY : 0;
}

static const struct gcx_type table_type = GCX_TYPE_INIT(
    "table", sizeof(struct table), 0, &stream_type, table_dispose, NULL, NULL);

static struct table *table_create(void)
{
  gcx_auto struct table *t = gcx_new(&table_type);

  if (t == NULL)
    return NULL;
  t->base.file = tmpfile();
  return t->base.file == NULL ? NULL : gcx_steal(t);
}

static int write_table(int rows, int open_rows)
{
  struct table *t = table_create();

  if (t == NULL)
    return -ENOMEM;
  t->rows = rows;
  t->open_rows = open_rows;
  for (int i = 0; i < rows; i++)
    fprintf(t->base.file, "row %d\n", i);
  return gcx_close(t);
}

int main(void)
{
  puts("derived, then base:");
  printf("result %d\n", write_table(3, 0));
  puts("the base's part is done also where the derived one fails:");
  printf("%s\n", write_table(1, 1) == -EBUSY ? "result -EBUSY" : "wrong");
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
