/* SPDX-License-Identifier: MIT */
/* sanitized_threads.c - threads that make and dispose objects (check_compilers) */
#include <gcx.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define THREADS 4
#define OBJECTS 100

static void *make(void *arg)
{
  uintptr_t made = 0;

  (void)arg;
  for (int i = 0; i < OBJECTS; i++) {
    void *p = gcx_alloc(48);

    made += p != NULL;
    gcx_dispose(p);
  }
  return (void *)made;
}

int main(void)
{
  pthread_t threads[THREADS];
  size_t made = 0;

  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, make, NULL) != 0)
      return 1;
  for (int i = 0; i < THREADS; i++) {
    void *result;

    if (pthread_join(threads[i], &result) != 0)
      return 1;
    made += (uintptr_t)result;
  }
  printf("%zu made\n", made);
  return 0;
}
