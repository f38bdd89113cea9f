/* SPDX-License-Identifier: MIT */
/*
 * use_versus_close - one thread closes what another is using
 *
 * A descriptor is a number: closed in the middle of somebody's call it is given
 * to whatever is opened next, and the call goes there. A handle closes when the
 * last user has let go.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <gcx.h>

static struct gcx_handle *passwords;
static pthread_barrier_t acquired, disposed;

static void *reader(void *unused)
{
  char text[5] = "";
  intptr_t fd;

  if (!gcx_handle_acquire(passwords, &fd))
    return unused;
  pthread_barrier_wait(&acquired);
  pthread_barrier_wait(&disposed); /* now it has been disposed */
  if (read((int)fd, text, 4) == 4)
    printf("the reader still reads its own file: %s\n", text);
  gcx_handle_release(passwords); /* closed here */
  printf("closed with the last user: %s\n",
         gcx_handle_is_closed(passwords) ? "yes" : "no");
  return unused;
}

int main(void)
{
  pthread_t thread;
  struct gcx_handle *other;
  intptr_t fd;

  passwords = gcx_fd_open("/etc/passwd", O_RDONLY, 0);
  if (passwords == NULL || pthread_barrier_init(&acquired, NULL, 2) != 0 ||
      pthread_barrier_init(&disposed, NULL, 2) != 0 ||
      pthread_create(&thread, NULL, reader, NULL) != 0)
    return 1;
  pthread_barrier_wait(&acquired);
  gcx_dispose(passwords);
  printf("disposed while it is used, closed: %s\n",
         gcx_handle_is_closed(passwords) ? "yes" : "no");
  other = gcx_fd_open("/dev/zero", O_RDONLY, 0); /* would get the number */
  pthread_barrier_wait(&disposed);
  (void)pthread_join(thread, NULL);
  printf("acquired after that: %s\n",
         gcx_handle_acquire(passwords, &fd) ? "yes" : "no");
  gcx_dispose(other);
  return gcx_check() == 0 ? 0 : 1;
}
