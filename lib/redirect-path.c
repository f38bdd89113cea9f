/* SPDX-License-Identifier: MIT */
/*
 * redirect-path.c - names of files and directories that the C library allocates
 */
#include "redirect.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exhaust.h"

/* glibc's, for programs built with _FORTIFY_SOURCE: they end a program whose
 * buffer is too small */
extern char *__realpath_chk(const char *path, char *resolved, size_t room);
extern char *__getcwd_chk(char *buffer, size_t bytes, size_t room);

static char *path_adopt(char *path, const struct gcx__frame *start)
{
  return path != NULL ? gcx__redirect_adopt(path, strlen(path) + 1, start)
                      : NULL;
}

char *gcx_redirect_realpath(const char *path, char *resolved)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *found = realpath(path, resolved);

  return resolved != NULL ? found : path_adopt(found, &start);
}

char *gcx_redirect_realpath_chk(const char *path, char *resolved, size_t room)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return resolved != NULL ? __realpath_chk(path, resolved, room)
                          : path_adopt(realpath(path, NULL), &start);
}

char *gcx_redirect_canonicalize_file_name(const char *path)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return path_adopt(canonicalize_file_name(path), &start);
}

/* The C library's block has @bytes, if they were asked for. */
static char *path_getcwd(size_t bytes, const struct gcx__frame *start)
{
  char *found = getcwd(NULL, bytes);
  size_t length;

  if (found == NULL)
    return NULL;
  length = strlen(found) + 1;
  return gcx__redirect_adopt(found, bytes != 0 ? bytes : length, start);
}

char *gcx_redirect_getcwd(char *buffer, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return buffer != NULL ? getcwd(buffer, bytes) : path_getcwd(bytes, &start);
}

char *gcx_redirect_getcwd_chk(char *buffer, size_t bytes, size_t room)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return buffer != NULL ? __getcwd_chk(buffer, bytes, room)
                        : path_getcwd(bytes, &start);
}

char *gcx_redirect_get_current_dir_name(void)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return path_adopt(get_current_dir_name(), &start);
}

/* Looked up: the linker warns whoever names it. */
char *gcx_redirect_tempnam(const char *dir, const char *prefix)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  char *(*real)(const char *, const char *) = NULL;

  *(void **)(void *)&real = dlsym(RTLD_DEFAULT, "tempnam");
  return real != NULL ? path_adopt(real(dir, prefix), &start) : NULL;
}

/* ---- directories */

/* The array first: from then on it holds the entries, wherever they lie. */
static void path_adopt_list(struct dirent ***list, int n,
                            const struct gcx__frame *start)
{
  struct dirent **blocks =
      gcx__redirect_adopt(*list, (size_t)n * sizeof **list, start);

  for (int i = 0; i < n; i++)
    blocks[i] = gcx__redirect_adopt(blocks[i], blocks[i]->d_reclen, start);
  *list = blocks;
}

/* Before it has asked the filter of any entry: it has no directory. */
static bool path_scanned(int n)
{
  return n >= 0 || errno == ENOMEM;
}

int gcx_redirect_scandir(const char *dir, struct dirent ***ret_list,
                         gcx__redirect_filter_fn filter,
                         gcx__redirect_order_fn order)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct dirent **list = NULL;
  int n;

  GCX__WITH_ROOM(n, scandir(dir, &list, filter, order), path_scanned(n));
  if (n >= 0) {
    path_adopt_list(&list, n, &start);
    *ret_list = list;
  }
  return n;
}

int gcx_redirect_scandirat(int dirfd, const char *dir,
                           struct dirent ***ret_list,
                           gcx__redirect_filter_fn filter,
                           gcx__redirect_order_fn order)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct dirent **list = NULL;
  int n;

  GCX__WITH_ROOM(n, scandirat(dirfd, dir, &list, filter, order),
                 path_scanned(n));
  if (n >= 0) {
    path_adopt_list(&list, n, &start);
    *ret_list = list;
  }
  return n;
}
