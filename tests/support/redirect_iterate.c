/* SPDX-License-Identifier: MIT */
/* redirect_iterate.c - built with -include gcx/malloc.h by tests/check_redirect:
 * a callback of dl_iterate_phdr() that allocates while another thread collects.
 * An alarm ends what waits for ever. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void gcx_collect(void);

static int done;

static int copy_name(struct dl_phdr_info *info, size_t size, void *arg)
{
  unsigned *names = arg;

  (void)size;
  for (int i = 0; i < 50; i++) {
    char *name = strdup(info->dlpi_name);
    void *block = malloc(4000);

    if (name == NULL || block == NULL)
      return 1;
    free(block);
    free(name);
  }
  ++*names;
  return 0;
}

static void *iterate(void *arg)
{
  for (int i = 0; i < 20; i++)
    if (dl_iterate_phdr(copy_name, arg) != 0)
      exit(1);
  __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
  return arg;
}

int main(void)
{
  unsigned names = 0;
  pthread_t id;

  alarm(60);
  if (pthread_create(&id, NULL, iterate, &names) != 0)
    return 1;
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
    gcx_collect();
  if (pthread_join(id, NULL) != 0 || names < 40)
    return 1;
  puts("done");
  return 0;
}
