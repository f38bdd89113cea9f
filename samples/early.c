/* SPDX-License-Identifier: MIT */
/*
 * early - an object is finalized while a function still works with what it had
 *
 * A compiler keeps a variable up to its last use, not to the end of its block.
 * read_early() takes the descriptor out of its object and needs the object no more;
 * a collection then finds it lost, and its finalizer closes the descriptor under
 * the reader. Optimized (early) this happens, not optimized (early_o0) it does not:
 * the variable lies in memory until the function returns. Each of the four cures helps
 * in every build.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <gcx.h>

#define NOINLINE __attribute__((noinline))
#define ROUNDS 20

struct source {
  struct gcx_handle *file; /* closes the descriptor */
  int fd;                  /* its number, which keeps nothing open */
};

static void source_finalize(void *obj)
{
  const struct source *s = obj;

  gcx_dispose(s->file);
}

static const struct gcx_type source_type =
    GCX_TYPE_INIT("source", sizeof(struct source), GCX_TYPE_OPTIONAL, NULL,
                  NULL, source_finalize, NULL);

static struct source *sources[ROUNDS]; /* what somebody owns */

/* Something allocates, here or in another thread, and the collector comes. */
static void meanwhile(void)
{
  gcx_collect();
  (void)gcx_wait_for_finalizers(UINT64_MAX);
}

static int is_closed(int fd)
{
  char byte;

  return read(fd, &byte, 1) != 1;
}

static NOINLINE int read_early(struct source *s)
{
  int fd = s->fd;

  meanwhile();
  return is_closed(fd);
}

/* First cure: the function says how long it needs the object. */
static NOINLINE int read_kept_alive(struct source *s)
{
  int fd = s->fd, closed;

  meanwhile();
  closed = is_closed(fd);
  gcx_keep_alive(s);
  return closed;
}

/* Second cure: a hold keeps it, also across functions and threads. */
static NOINLINE int read_held(struct source *s)
{
  struct gcx_hold *hold = gcx_hold_create(s);
  int fd = s->fd, closed;

  if (hold == NULL)
    return 1;
  meanwhile();
  closed = is_closed(fd);
  gcx_dispose(hold);
  return closed;
}

/* Third cure: who acquires the handle has the descriptor until the release. The
 * source may be finalized meanwhile; what that disposes is closed with its last
 * user. */
static NOINLINE int read_acquired(struct source *s)
{
  struct gcx_handle *file = s->file;
  intptr_t fd;
  int closed;

  if (!gcx_handle_acquire(file, &fd))
    return 1;
  meanwhile();
  closed = is_closed((int)fd);
  gcx_handle_release(file);
  return closed;
}

/* Ownership passes to the caller: nobody else has it now. */
static NOINLINE struct source *take(int i)
{
  struct source *s = sources[i];

  sources[i] = NULL;
  return s;
}

static struct gcx_handle *open_file(int *ret_fd)
{
  struct gcx_handle *file = gcx_fd_open("/dev/zero", O_RDONLY, 0);
  intptr_t fd;

  if (gcx_handle_acquire(file, &fd)) {
    *ret_fd = (int)fd;
    gcx_handle_release(file);
  }
  return file;
}

static void *open_sources(void *failed)
{
  for (int i = 0; i < ROUNDS; i++) {
    struct source *s = gcx_new(&source_type);

    if (s == NULL || (s->file = open_file(&s->fd)) == NULL)
      return failed;
    sources[i] = s;
  }
  return NULL;
}

/* On a thread of its own: nothing of it is left on this stack. */
static int is_open(void)
{
  pthread_t thread;
  void *failed = &thread;

  return pthread_create(&thread, NULL, open_sources, failed) == 0 &&
         pthread_join(thread, &failed) == 0 && failed == NULL;
}

static void show(const char *what, int closed)
{
  printf("%s: %s\n", what,
         closed == 0           ? "never"
         : closed > ROUNDS / 2 ? "most times"
                               : "sometimes");
}

static int count_taken(int (*reader)(struct source *))
{
  int closed = 0;

  if (!is_open())
    return -1;
  for (int i = 0; i < ROUNDS; i++)
    closed += reader(take(i));
  return closed;
}

/* Fourth cure: who owns it keeps it where the collector looks. */
static int count_owned(void)
{
  int closed = 0;

  if (!is_open())
    return -1;
  for (int i = 0; i < ROUNDS; i++) {
    closed += read_early(sources[i]);
    sources[i] = NULL;
  }
  return closed;
}

int main(void)
{
  printf("closed under its reader\n");
  show("  nothing done", count_taken(read_early));
  show("  gcx_keep_alive at the end", count_taken(read_kept_alive));
  show("  a hold around the use", count_taken(read_held));
  show("  the handle acquired", count_taken(read_acquired));
  show("  its owner keeps it", count_owned());
  return 0;
}
