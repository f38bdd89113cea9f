/* SPDX-License-Identifier: MIT */
/*
 * plugin_types.h - what plugin_types.c exports, found by dlsym("plugin_types")
 */
#ifndef GCX_TESTS_PLUGIN_TYPES_H
#define GCX_TESTS_PLUGIN_TYPES_H

#include <pthread.h>
#include <stddef.h>
#include <threads.h>

#define PLUGIN_HELD 64     /* objects a thread holds, in each of two places */
#define PLUGIN_DROPPED 300 /* and that it drops */

enum plugin_end { PLUGIN_RETURNS, PLUGIN_EXITS, PLUGIN_IS_CANCELLED };

struct plugin_work {
  enum plugin_end end;
  int *disposals; /* of objects of the plugin's type */
  int holding;    /* flag: all is set up */
  int go_on;      /* flag: check what you hold and end */
  int intact;     /* objects held that were not touched by anybody */
};

struct gcx_handle;

struct plugin_types {
  void *(*make)(int *disposals);
  /* A handle of a kind of the plugin's: @closed counts its release. */
  struct gcx_handle *(*make_handle)(int *closed);
  /* Threads that hold objects in locals and in thread-local storage. */
  int (*start)(pthread_t *ret_thread, struct plugin_work *work);
  int (*start_c11)(thrd_t *ret_thread, struct plugin_work *work);
  /* Threads that hold PLUGIN_HELD objects by a key, whose destructor disposes
   * them. */
  int (*start_keyed)(pthread_t *ret_thread, struct plugin_work *work);
  int (*start_keyed_c11)(thrd_t *ret_thread, struct plugin_work *work);
};

#endif
