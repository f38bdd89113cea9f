/* SPDX-License-Identifier: MIT */
/*
 * plugin_holder.c - a library that holds pointers in its data, and tells the
 *                   program when it comes and goes, from inside ld.so
 */
#include <stddef.h>

#define HOLDER_N 64

__attribute__((visibility("default"))) void **holder_slots(int where);

/* The program's, if it has one. */
void holder_event(void **slots, int is_loaded) __attribute__((weak));

/* .data, .bss, and each thread's own */
static void *holder_data[HOLDER_N] = { (void *)1 };
static void *holder_bss[HOLDER_N];
static __thread void *holder_local[HOLDER_N];

void **holder_slots(int where)
{
  if (where == 0)
    return holder_data;
  return where == 1 ? holder_bss : holder_local;
}

__attribute__((constructor)) static void holder_come(void)
{
  if (holder_event != NULL)
    holder_event(holder_data, 1);
}

__attribute__((destructor)) static void holder_go(void)
{
  if (holder_event != NULL)
    holder_event(holder_data, 0);
}
