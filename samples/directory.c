/* SPDX-License-Identifier: MIT */
/*
 * directory - iteration that may end early
 *
 * A loop over a directory is left by break as soon as it has found what it was
 * looking for: the classic place to forget closedir(). GCX_USING closes it however
 * the block is left.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <gcx.h>

static int has(const char *path, const char *name)
{
  int found = 0;

  GCX_USING (struct gcx_dir *d = gcx_dir_open(path)) {
    const struct dirent *entry;

    while ((entry = gcx_dir_next(d)) != NULL)
      if (strcmp(entry->d_name, name) == 0)
        break;
    found = entry != NULL;
  }
  return found;
}

int main(void)
{
  for (int i = 0; i < 5000; i++) /* far more than there are descriptors */
    if (!has("/etc", "passwd"))
      return 1;
  printf("passwd: %d, none of this name: %d\n", has("/etc", "passwd"),
         has("/etc", "none of this name"));
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
