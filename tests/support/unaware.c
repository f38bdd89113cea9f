/* SPDX-License-Identifier: MIT */
/*
 * unaware.c - a program that knows nothing of gcx, with a library that uses it:
 *             linked, or opened (-DLIBRARY="path")
 *
 * Its threads hold the library's objects and never call it; what they hold is
 * never lost. UNAWARE_PART makes the library of the same file.
 */
#include <stdio.h>

#define THREADS 8

struct part {
  void *(*make)(void);
  unsigned long (*look)(void);
  void (*lose)(void);
};

extern const struct part part;

#ifdef UNAWARE_PART

#include <gcx.h>

static void *part_make(void)
{
  return gcx_alloc(100);
}

static unsigned long part_look(void)
{
  return gcx_check();
}

static __attribute__((noinline)) void part_lose(void)
{
  for (int i = 0; i < 500; i++)
    gcx_keep_alive(gcx_alloc(40));
}

const struct part part = { part_make, part_look, part_lose };

#else

#include <dlfcn.h>
#include <pthread.h>

static pthread_barrier_t begun, looked;

static void *hold(void *p)
{
  char *volatile held = p;

  (void)pthread_barrier_wait(&begun);
  (void)pthread_barrier_wait(&looked);
  held[0] = 1;
  return NULL;
}

static const struct part *find_part(void)
{
#ifdef LIBRARY
  void *library = dlopen(LIBRARY, RTLD_NOW);

  return library != NULL ? dlsym(library, "part") : NULL;
#else
  return &part;
#endif
}

int main(void)
{
  const struct part *p = find_part();
  pthread_t threads[THREADS];

  if (p == NULL || pthread_barrier_init(&begun, NULL, THREADS + 1) != 0 ||
      pthread_barrier_init(&looked, NULL, THREADS + 1) != 0)
    return 99;
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, hold, p->make()) != 0)
      return 98;
  (void)pthread_barrier_wait(&begun);
  (void)printf("held: %lu lost\n", p->look() + p->look());
  (void)pthread_barrier_wait(&looked);
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  p->lose();
  return 0;
}

#endif
