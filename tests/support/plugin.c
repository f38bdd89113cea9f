/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - a library to be loaded and unloaded
 *
 * Built twice; the two differ in the size of one frame and in nothing else, so
 * that one can take the other's place at the same addresses. A sanitizer's code
 * would depend on that size.
 */
#include <stddef.h>

__attribute__((visibility("default"))) size_t plugin_call(
    size_t (*fn)(void *arg), void *arg);

extern __thread int plugin_local;
__thread int plugin_local = PLUGIN_ROOM;

__attribute__((no_sanitize_address)) size_t plugin_call(size_t (*fn)(void *arg),
                                                        void *arg)
{
  char room[PLUGIN_ROOM];
  size_t result;

  __asm__ volatile("" : : "r"(room) : "memory");
  result = fn(arg);
  __asm__ volatile("" : : "r"(room) : "memory");
  return result;
}
