/* SPDX-License-Identifier: MIT */
/*
 * plugin - objects that outlive the dlclose() of the library that made their type
 *
 *   plugin FILE.so
 *
 * The functions of a type lie in the plugin. Its first object keeps the plugin
 * mapped: dlclose() lets go of it, and what is disposed or lost later still finds
 * its functions. A plugin of whose types there is no object goes away as ever.
 */
#include <dlfcn.h>
#include <stdio.h>

#include <gcx.h>

static bool is_mapped(const char *path)
{
  void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);

  if (library != NULL)
    (void)dlclose(library);
  return library != NULL;
}

/* One object of the plugin's type; the plugin is closed before it returns. */
static int *lamp_from(const char *path, int number)
{
  void *library = dlopen(path, RTLD_NOW);
  const struct gcx_type *type;
  int *lamp = NULL;

  if (library == NULL)
    return NULL;
  type = dlsym(library, "lamp_type");
  if (type != NULL && number != 0)
    lamp = gcx_new(type);
  if (lamp != NULL)
    *lamp = number;
  (void)dlclose(library);
  return lamp;
}

__attribute__((noinline)) static void lose(const char *path)
{
  if (lamp_from(path, 7) == NULL)
    (void)puts("none");
}

int main(int argc, char **argv)
{
  int *lamp;

  if (argc != 2 || lamp_from(argv[1], 0) != NULL)
    return 2;
  printf("opened, closed: %s\n", is_mapped(argv[1]) ? "mapped" : "gone");
  lamp = lamp_from(argv[1], 1);
  if (lamp == NULL)
    return 1;
  printf("with an object: %s\n", is_mapped(argv[1]) ? "mapped" : "gone");
  gcx_dispose(lamp);
  (void)fflush(stdout);
  for (volatile int i = 0; i < 10; i++) /* one call site */
    lose(argv[1]);
  gcx_check();
  return 0;
}
