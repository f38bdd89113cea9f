/* SPDX-License-Identifier: MIT */
/*
 * lock_file - a lock that outlives who took it
 *
 * The lock is a file; giving it back removes the file. Who loses the object
 * leaves the file behind, and the next run waits for nobody. gcx stops at the
 * loss, with the path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gcx.h>

struct lock {
  int fd;
  char path[64];
};

static int lock_dispose(void *obj)
{
  struct lock *l = obj;

  (void)close(l->fd);
  return unlink(l->path) == 0 ? 0 : -errno;
}

static int lock_describe(const void *obj, char *buf, size_t n)
{
  const struct lock *l = obj;

  return snprintf(buf, n, "%s", l->path);
}

static const struct gcx_type lock_type =
    GCX_TYPE_INIT("lock file", sizeof(struct lock), 0, NULL, lock_dispose, NULL,
                  lock_describe);

static struct lock *lock_take(const char *path)
{
  struct lock *l = gcx_new(&lock_type);

  if (l == NULL)
    return NULL;
  (void)snprintf(l->path, sizeof l->path, "%s", path);
  l->fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (l->fd >= 0)
    return l;
  gcx_discard(l);
  return NULL;
}

/* The early return keeps the lock. */
__attribute__((noinline)) static int update(const char *path, int fail)
{
  struct lock *l = lock_take(path);

  if (l == NULL || fail)
    return -1;
  gcx_dispose(l);
  return 0;
}

static void forget(const struct gcx_report *r, void *path)
{
  (void)r;
  (void)unlink(path); /* this program cleans up after its demonstration */
}

int main(void)
{
  char path[64];

  (void)snprintf(path, sizeof path, "/tmp/gcx-sample-%d.lock", (int)getpid());
  if (gcx_handler_add(forget, path) != 0)
    return 1;
  printf("update: %d\n", update(path, 0));
  printf("update: %d\n", update(path, 1));
  printf("the next one: %d, it waits for nobody\n", update(path, 0));
  (void)fflush(stdout);
  gcx_check();
  return 0;
}
