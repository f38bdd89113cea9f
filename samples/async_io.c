/* SPDX-License-Identifier: MIT */
/*
 * async_io - a buffer that only the kernel knows
 *
 * An event loop hands the kernel a request and drops its own pointer; it gets it
 * back with the event. The collector does not see into the kernel: a hold keeps
 * the request for as long as it is on its way.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <gcx.h>

struct request {
  struct gcx_hold *hold;
  char buffer[64];
};

static int request_dispose(void *obj)
{
  const struct request *r = obj;

  gcx_dispose(r->hold);
  return 0;
}

static const struct gcx_type request_type = GCX_TYPE_INIT(
    "request", sizeof(struct request), 0, NULL, request_dispose, NULL, NULL);

/* From here on only the kernel has the pointer. */
__attribute__((noinline)) static int submit(int queue, int fd)
{
  struct request *r = gcx_new(&request_type);
  struct epoll_event event = { .events = EPOLLIN };

  if (r == NULL || (r->hold = gcx_hold_create(r)) == NULL)
    return -1;
  event.data.ptr = r->hold; /* the kernel keeps it; the hold keeps itself */
  return epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
}

int main(void)
{
  int fds[2], queue = epoll_create1(0);
  struct epoll_event event;
  struct request *r;

  if (queue < 0 || pipe(fds) != 0 || submit(queue, fds[0]) != 0)
    return 1;
  printf("lost while it is on its way: %zu\n", gcx_check());
  if (write(fds[1], "done", 4) != 4 || epoll_wait(queue, &event, 1, -1) != 1)
    return 1;
  r = gcx_hold_get(event.data.ptr);
  if (r == NULL || read(fds[0], r->buffer, sizeof r->buffer) != 4)
    return 1;
  printf("the event brought it back: %s\n", r->buffer);
  gcx_dispose(r);
  (void)close(fds[0]);
  (void)close(fds[1]);
  (void)close(queue);
  return gcx_check() == 0 ? 0 : 1;
}
