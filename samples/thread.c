/* SPDX-License-Identifier: MIT */
/*
 * thread - a thread that forgets what it allocated
 *
 * Each worker keeps a buffer in thread-local storage: held there, it is live.
 * When the thread ends, the storage goes, and with it the last pointer. The
 * next collection finds it, and the report has the stack of the thread that is
 * gone.
 */
#include <pthread.h>
#include <stdio.h>

#include <gcx.h>

#define WORKERS 8

static __thread char *scratch; /* this thread's buffer, made on first use */

static char *scratch_get(void)
{
  if (scratch == NULL)
    scratch = gcx_alloc_atomic(256);
  return scratch;
}

static void *worker(void *arg)
{
  const char *text = arg;

  if (scratch_get() == NULL)
    return NULL;
  snprintf(scratch_get(), 256, "%s", text);
  gcx_collect(); /* held by thread-local storage: nothing is lost */
  return NULL;   /* without gcx_dispose(scratch) */
}

static int run_workers(void)
{
  static char text[] = "work";
  pthread_t thread[WORKERS];

  for (int i = 0; i < WORKERS; i++) {
    if (pthread_create(&thread[i], NULL, worker, text) != 0)
      return -1;
    pthread_join(thread[i], NULL);
  }
  return 0;
}

int main(void)
{
  if (run_workers() != 0)
    return 1;
  gcx_breadcrumb("all workers have ended");
  gcx_check();
  return 0;
}
