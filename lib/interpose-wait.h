/* SPDX-License-Identifier: MIT */
/*
 * interpose-wait.h - a call that waits, and is taken up again after a collection
 *
 * For the files that stand in front of such calls (interpose-ready.c, -sleep.c,
 * -socket.c, -file.c, -sysv.c). Not under AddressSanitizer, which has these functions
 * itself.
 */
#ifndef GCX_INTERPOSE_WAIT_H
#define GCX_INTERPOSE_WAIT_H

#include <dlfcn.h>
#include <time.h>

#include "interpose-signal.h"

#define GCX__WAIT_EXPORT __attribute__((visibility("default")))
#define GCX__WAIT_FOREVER UINT64_MAX
#define GCX__WAIT_NS ((uint64_t)1000000000)

/* Functions behind are looked up by a constructor: a call may come in a signal
 * handler. */
#define GCX__WAIT_LOOK_UP(real, name) \
  *(void **)(void *)&(real).name = dlsym(RTLD_NEXT, #name)

struct gcx__wait {
  struct gcx__signal_mark mark;
  uint64_t until; /* gcx__now_ns() */
  sigset_t mask;  /* of the thread, once it is blocked */
  bool blocked;
};

/* Before the call is made: it may take @ns. */
struct gcx__wait gcx__wait_begin(uint64_t ns);

/* The call has failed with @error. True: it is to be made again, with @w->mask.
 * The mark stays: what has been handled since the beginning is what counts. */
bool gcx__wait_again(struct gcx__wait *w, int error);

/* The call is over; errno stays. */
void gcx__wait_end(const struct gcx__wait *w);

/* For a call without a mask: the same question, and no signal is blocked. One of
 * the program's that comes between the two calls is slept over. */
bool gcx__wait_again_unmasked(const struct gcx__wait *w, int error);

/* Nanoseconds; GCX__WAIT_FOREVER for no limit, or none that makes sense. */
uint64_t gcx__wait_left(const struct gcx__wait *w);
uint64_t gcx__wait_ns(const struct timespec *t);

/* What is left, for a call that takes NULL for ever. */
struct timespec *gcx__wait_limit(const struct gcx__wait *w,
                                 struct timespec *ret_limit);

/* glibc's, for programs built with _FORTIFY_SOURCE */
extern void __chk_fail(void) __attribute__((noreturn));

#endif
