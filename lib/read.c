/* SPDX-License-Identifier: MIT */
/*
 * read.c - the epoch of readers that take no lock
 */
#include "read.h"

uint64_t gcx__read_epoch = 1;
uint64_t gcx__read_safe;

void gcx__read_stop(void)
{
  uint64_t safe = gcx__read_epoch + 1;

  for (struct gcx__thread *t = gcx__thread_first(); t != NULL;
       t = gcx__thread_next(t)) {
    uint64_t reading = __atomic_load_n(&t->reading, __ATOMIC_RELAXED);

    if (reading != 0 && reading < safe)
      safe = reading;
  }
  __atomic_store_n(&gcx__read_safe, safe, __ATOMIC_RELEASE);
  __atomic_store_n(&gcx__read_epoch, gcx__read_epoch + 1, __ATOMIC_RELEASE);
}
