/* SPDX-License-Identifier: MIT */
/*
 * plugin_lamp - what plugin.c loads: a type of objects, and nothing else
 */
#include <stdio.h>

#include <gcx.h>

struct lamp {
  int number;
};

static int lamp_dispose(void *obj)
{
  const struct lamp *l = obj;

  printf("lamp %d is off\n", l->number);
  return 0;
}

static int lamp_describe(const void *obj, char *buf, size_t n)
{
  const struct lamp *l = obj;

  return snprintf(buf, n, "lamp %d, still on", l->number);
}

extern __attribute__((visibility("default"))) const struct gcx_type lamp_type;
const struct gcx_type lamp_type =
    GCX_TYPE_INIT("lamp", sizeof(struct lamp), GCX_TYPE_ATOMIC, NULL,
                  lamp_dispose, NULL, lamp_describe);
