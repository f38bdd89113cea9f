/* SPDX-License-Identifier: MIT */
/*
 * fake_frames.c - objects that only AddressSanitizer's fake frames refer to
 *
 * Compiled with -fsanitize=address and run with detect_stack_use_after_return=1:
 * local variables whose address is taken then lie in memory of their own and not
 * on the stack. In main and in other threads, deep in a recursion, each frame
 * holds objects while the collector runs. Status 0: all of them are whole and none
 * was reported; 1: one was; 2: one is damaged; 3: the frames are not fake.
 */
#include <gcx.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH 40
#define EACH 5
#define THREADS 4

static pthread_barrier_t all_hold, all_looked;

static void fail(int status, const char *text)
{
  (void)fprintf(stderr, "fake_frames: %s\n", text);
  exit(status);
}

static void keep(char **array)
{
  (void)array;
}

/* The compiler can't tell what becomes of the array. Not by inline assembly: clang
 * gives a function with that no fake frame. */
static void (*volatile escape)(char **array) = keep;

static void fill(char **array, int depth)
{
  for (int i = 0; i < EACH; i++) {
    array[i] = gcx_alloc(48);
    if (array[i] == NULL)
      fail(4, "no memory");
    (void)snprintf(array[i], 48, "object %d of frame %d", i, depth);
  }
}

static void demand_whole(char **array, int depth)
{
  for (int i = 0; i < EACH; i++) {
    char text[48];

    (void)snprintf(text, sizeof(text), "object %d of frame %d", i, depth);
    if (gcx_is_disposed(array[i]) || strcmp(array[i], text) != 0)
      fail(2, "a live object is damaged");
    gcx_dispose(array[i]);
  }
}

/* Not within reach of the stack pointer. */
static void demand_fake(char **array)
{
  uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
  uintptr_t at = (uintptr_t)array;

  if ((at > frame ? at - frame : frame - at) < 65536)
    fail(3, "the frames are on the stack");
}

/* What was freed by mistake would be reused. */
static void look(void)
{
  for (int round = 0; round < 5; round++) {
    if (gcx_check() != 0)
      fail(1, "a live object was called lost");
    for (int i = 0; i < 1000; i++)
      memset(gcx_alloc_managed(48), 0x55, 48);
  }
}

static void at_the_bottom(void)
{
  (void)pthread_barrier_wait(&all_hold);
  (void)pthread_barrier_wait(&all_looked);
}

__attribute__((noinline)) static void descend(int depth, void (*bottom)(void))
{
  char *array[EACH];

  escape(array);
  demand_fake(array);
  fill(array, depth);
  if (depth > 0)
    descend(depth - 1, bottom);
  else
    bottom();
  demand_whole(array, depth);
}

static void *thread_holds(void *unused)
{
  descend(DEPTH, at_the_bottom);
  return unused;
}

int main(void)
{
  pthread_t threads[THREADS];

  descend(DEPTH, look);
  (void)pthread_barrier_init(&all_hold, NULL, THREADS + 1);
  (void)pthread_barrier_init(&all_looked, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, thread_holds, NULL) != 0)
      fail(4, "no thread");
  (void)pthread_barrier_wait(&all_hold);
  descend(DEPTH, look);
  (void)pthread_barrier_wait(&all_looked);
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  return 0;
}
