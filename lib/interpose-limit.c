/* SPDX-License-Identifier: MIT */
/* interpose-limit.c - see interpose-limit.h */
#include "interpose-limit.h"

#include <sys/socket.h>

#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__)

static struct {
  int (*ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *limit,
               const sigset_t *mask);
  bool looked_up;
} limit_real;

static void __attribute__((constructor(101))) limit_look_up(void)
{
  GCX__WAIT_LOOK_UP(limit_real, ppoll);
  limit_real.looked_up = true;
}

struct gcx__limit gcx__limit_begin(void)
{
  struct gcx__limit l;

  if (GCX_UNLIKELY(!limit_real.looked_up))
    limit_look_up();
  l.w = gcx__wait_begin(GCX__WAIT_FOREVER);
  l.begun = gcx__now_ns();
  return l;
}

static void limit_ask(struct gcx__limit *l, int fd,
                      const struct gcx__limit_kind *kind)
{
  struct timeval t = { 0, 0 };
  socklen_t bytes = sizeof t;

  if (getsockopt(fd, SOL_SOCKET, kind->option, &t, &bytes) == 0 &&
      (t.tv_sec != 0 || t.tv_usec != 0))
    l->w.until = l->begun + (uint64_t)t.tv_sec * GCX__WAIT_NS +
                 (uint64_t)t.tv_usec * 1000;
}

static bool limit_is_ready(struct gcx__limit *l, int fd,
                           const struct gcx__limit_kind *kind)
{
  struct pollfd p = { .fd = fd, .events = kind->events };
  struct timespec limit;
  int result = -1;

  if (l->w.until == GCX__WAIT_FOREVER)
    limit_ask(l, fd, kind);
  errno = EINTR;
  if (kind->must_exist && l->w.until == GCX__WAIT_FOREVER)
    return false;
  while (result < 0 && gcx__wait_again(&l->w, errno))
    result =
        limit_real.ppoll(&p, 1, gcx__wait_limit(&l->w, &limit), &l->w.mask);
  gcx__wait_end(&l->w);
  l->w.blocked = false;
  if (result == 0 || (result > 0 && gcx__wait_left(&l->w) == 0)) {
    errno = kind->timeout;
    return false;
  }
  return result > 0;
}

bool gcx__limit_again(struct gcx__limit *l, int fd,
                      const struct gcx__limit_kind *kind)
{
  return GCX_UNLIKELY(errno == EINTR) && gcx__signal_only_stops(&l->w.mark) &&
         limit_is_ready(l, fd, kind);
}

struct timespec gcx__limit_rest(const struct gcx__limit *l, uint64_t ns)
{
  uint64_t passed = gcx__now_ns() - l->begun;
  uint64_t rest = ns > passed ? ns - passed : 0;
  struct timespec t = { .tv_sec = (time_t)(rest / GCX__WAIT_NS),
                        .tv_nsec = (long)(rest % GCX__WAIT_NS) };

  return t;
}

#endif
