/* SPDX-License-Identifier: MIT */
/*
 * interpose-sysv.c - in front of System V message queues and semaphores
 *
 * interpose-wait.h says how. An operation that was interrupted has not been done,
 * not in part either: the same call again is the rest of it. Only semtimedop()
 * has a time limit, which counts from the beginning.
 */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "interpose-wait.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  ssize_t (*msgrcv)(int id, void *to, size_t bytes, long type, int flags);
  int (*msgsnd)(int id, const void *from, size_t bytes, int flags);
  int (*semop)(int id, struct sembuf *ops, size_t n);
  int (*semtimedop)(int id, struct sembuf *ops, size_t n,
                    const struct timespec *limit);
  bool looked_up;
} sysv_real;

static void __attribute__((constructor(101))) sysv_look_up(void)
{
  GCX__WAIT_LOOK_UP(sysv_real, msgrcv);
  GCX__WAIT_LOOK_UP(sysv_real, msgsnd);
  GCX__WAIT_LOOK_UP(sysv_real, semop);
  GCX__WAIT_LOOK_UP(sysv_real, semtimedop);
  sysv_real.looked_up = true;
}

/* A library whose constructor runs before ours may wait there. */
static struct gcx__wait sysv_begin(uint64_t ns)
{
  if (GCX_UNLIKELY(!sysv_real.looked_up))
    sysv_look_up();
  return gcx__wait_begin(ns);
}

GCX__WAIT_EXPORT ssize_t msgrcv(int id, void *to, size_t bytes, long type,
                                int flags)
{
  struct gcx__wait w = sysv_begin(GCX__WAIT_FOREVER);
  ssize_t result;

  do
    result = sysv_real.msgrcv(id, to, bytes, type, flags);
  while (result < 0 && gcx__wait_again_unmasked(&w, errno));
  return result;
}

GCX__WAIT_EXPORT int msgsnd(int id, const void *from, size_t bytes, int flags)
{
  struct gcx__wait w = sysv_begin(GCX__WAIT_FOREVER);
  int result;

  do
    result = sysv_real.msgsnd(id, from, bytes, flags);
  while (result < 0 && gcx__wait_again_unmasked(&w, errno));
  return result;
}

GCX__WAIT_EXPORT int semop(int id, struct sembuf *ops, size_t n)
{
  struct gcx__wait w = sysv_begin(GCX__WAIT_FOREVER);
  int result;

  do
    result = sysv_real.semop(id, ops, n);
  while (result < 0 && gcx__wait_again_unmasked(&w, errno));
  return result;
}

GCX__WAIT_EXPORT int semtimedop(int id, struct sembuf *ops, size_t n,
                                const struct timespec *limit)
{
  struct gcx__wait w = sysv_begin(gcx__wait_ns(limit));
  int result = sysv_real.semtimedop(id, ops, n, limit);
  struct timespec left;

  while (result < 0 && gcx__wait_again_unmasked(&w, errno))
    result = sysv_real.semtimedop(id, ops, n, gcx__wait_limit(&w, &left));
  return result;
}

#endif
