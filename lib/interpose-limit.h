/* SPDX-License-Identifier: MIT */
/*
 * interpose-limit.h - calls that a socket's own time limit makes fail with EINTR
 *
 * For interpose-socket.c and interpose-file.c. None of these calls has a mask:
 * after an EINTR it is ppoll() that waits, for the time that is left, and then the
 * call is made again. The limit (SO_RCVTIMEO, SO_SNDTIMEO) counts from the
 * beginning; it is asked for only then.
 */
#ifndef GCX_INTERPOSE_LIMIT_H
#define GCX_INTERPOSE_LIMIT_H

#include <errno.h>
#include <poll.h>

#include "interpose-wait.h"

/* What a call waits for, and what it says when the time has passed. */
struct gcx__limit_kind {
  int option;      /* of the limit */
  short events;    /* for poll() */
  int timeout;     /* errno */
  bool must_exist; /* without a limit, EINTR is the program's */
};

struct gcx__limit {
  struct gcx__wait w;
  uint64_t begun;
};

struct gcx__limit gcx__limit_begin(void);

/* The call has failed: is it to be made again? If not, errno is what it would have
 * said. */
bool gcx__limit_again(struct gcx__limit *l, int fd,
                      const struct gcx__limit_kind *kind);

/* What is left of @ns since the beginning, perhaps nothing. */
struct timespec gcx__limit_rest(const struct gcx__limit *l, uint64_t ns);

#define GCX__LIMIT_CALL(type, begin, fd, kind, call)          \
  do {                                                        \
    struct gcx__limit l = (begin);                            \
    type result;                                              \
                                                              \
    do                                                        \
      result = (call);                                        \
    while (result < 0 && gcx__limit_again(&l, (fd), (kind))); \
    return result;                                            \
  } while (0)

#endif
