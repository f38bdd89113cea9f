/* SPDX-License-Identifier: MIT */
/*
 * reopen - close() that can be followed by open(), and dispose, which can not
 *
 * A connection that is closed between requests and opened again is one object
 * with a state of its own. Dispose is the end of the object: there is no way
 * back, and a use after it is recognised.
 */
#include <stdio.h>

#include <gcx.h>

struct log {
  const char *path;
  FILE *file; /* NULL: closed at the moment */
};

static void log_close(struct log *l)
{
  if (l->file != NULL)
    (void)fclose(l->file);
  l->file = NULL;
}

static int log_dispose(void *obj)
{
  log_close(obj);
  return 0;
}

static const struct gcx_type log_type =
    GCX_TYPE_INIT("log", sizeof(struct log), 0, NULL, log_dispose, NULL, NULL);

static int log_open(struct log *l)
{
  l = gcx_require_live(l);
  if (l->file == NULL)
    l->file = fopen(l->path, "r");
  return l->file != NULL ? 0 : -1;
}

int main(void)
{
  struct log *l = gcx_new(&log_type);

  if (l == NULL)
    return 1;
  l->path = "/etc/passwd";
  for (int i = 1; i <= 3; i++) {
    printf("opened for the %d. time: %d\n", i, log_open(l));
    log_close(l);
  }
  (void)fflush(stdout);
  gcx_dispose(l);
  return log_open(l);
}
