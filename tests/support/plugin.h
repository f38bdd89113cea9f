/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - loads what plugin.c was built into
 */
#ifndef GCX_TESTS_PLUGIN_H
#define GCX_TESTS_PLUGIN_H

#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plugin {
  void *handle;
  size_t (*call)(size_t (*fn)(void *arg), void *arg);
};

/* @name: "small" or "large". */
static inline struct plugin plugin_open(const char *name)
{
  const char *build = getenv("GCX_TEST_BUILDDIR");
  struct plugin p = { NULL, NULL };
  char path[4096];
  void *symbol;

  snprintf(path, sizeof(path), "%s/tests/.libs/plugin_%s.so",
           build != NULL ? build : ".", name);
  p.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  ck_assert_msg(p.handle != NULL, "%s", dlerror());
  symbol = dlsym(p.handle, "plugin_call");
  ck_assert_ptr_nonnull(symbol);
  memcpy(&p.call, &symbol, sizeof(p.call));
  return p;
}

#endif
