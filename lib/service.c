/* SPDX-License-Identifier: MIT */
/*
 * service.c - threads of gcx's own: the finalizer thread, and who watches it
 */
#include "service.h"

#include <pthread.h>
#include <signal.h>

#include "bdw.h"

/* All but the collector's two, and what a mistake on the thread itself raises. */
static void service_mask(sigset_t *ret_blocked)
{
  const int own[] = {
    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS
  };
  int suspend, restart;

  (void)sigfillset(ret_blocked);
  gcx__bdw_signals(&suspend, &restart);
  (void)sigdelset(ret_blocked, suspend);
  (void)sigdelset(ret_blocked, restart);
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(own); i++)
    (void)sigdelset(ret_blocked, own[i]);
}

/* By the thread itself: who started it may find it gone. */
void gcx__service_begin(const char *name)
{
  (void)pthread_setname_np(pthread_self(), name);
}

bool gcx__service_start(void *(*main)(void *arg), void *arg)
{
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t blocked, before;
  bool started;

  if (pthread_attr_init(&attributes) != 0)
    return false;
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  service_mask(&blocked);
  (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
  started = pthread_create(&thread, &attributes, main, arg) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  return started;
}
