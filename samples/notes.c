/* SPDX-License-Identifier: MIT */
/*
 * notes - the program of README.md: the first letter of each file
 */
#include <gcx.h>
#include <stdio.h>

struct note {
  FILE *file;
};

static int note_dispose(void *obj) /* what a note stands for ends here */
{
  struct note *n = obj;

  return n->file == NULL || fclose(n->file) == 0 ? 0 : -1;
}

static const struct gcx_type note_type = GCX_TYPE_INIT(
    "note", sizeof(struct note), 0, NULL, note_dispose, NULL, NULL);

static struct note *note_open(const char *path)
{
  gcx_auto struct note *n = gcx_new(&note_type);

  if (n == NULL || (n->file = fopen(path, "r")) == NULL)
    return NULL;       /* disposed by itself */
  return gcx_steal(n); /* the caller's from here on */
}

static int first_letter(const char *path)
{
  struct note *n = note_open(path);
  int c = n != NULL ? fgetc(n->file) : EOF;

  if (c == EOF)
    return -1; /* the forgotten one */
  gcx_dispose(n);
  return c;
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    printf("%s: %d\n", argv[i], first_letter(argv[i]));
  return 0;
}
