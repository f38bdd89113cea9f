/* SPDX-License-Identifier: MIT */
/*
 * programs.h - programs of this directory, run with options of their own
 */
#ifndef GCX_TESTS_PROGRAMS_H
#define GCX_TESTS_PROGRAMS_H

#include <stdlib.h>

#include "death.h"

struct program {
  const char *name; /* in tests/ of the build directory */
  const char *argument;
  const char *options;  /* GCX_OPTIONS, NULL: none */
  const char *variable; /* one more variable of the environment, or NULL */
  const char *value;
};

static inline void program_become(void *arg)
{
  const struct program *p = arg;
  const char *build = getenv("GCX_TEST_BUILDDIR");
  char path[4096];

  (void)snprintf(path, sizeof(path), "%s/tests/%s", build != NULL ? build : ".",
                 p->name);
  if (p->options != NULL)
    (void)setenv("GCX_OPTIONS", p->options, 1);
  else
    (void)unsetenv("GCX_OPTIONS");
  if (p->variable != NULL)
    (void)setenv(p->variable, p->value, 1);
  (void)execl(path, path, p->argument, (char *)NULL);
  _exit(127);
}

static inline const struct death *program_run(const char *name,
                                              const char *argument,
                                              const char *options)
{
  struct program p = { name, argument, options, NULL, NULL };

  return death_run(program_become, &p);
}

#endif
