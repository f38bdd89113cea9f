/* SPDX-License-Identifier: MIT */
/*
 * temp_file - a finalizer that deletes a file, and what it does when it can't
 *
 * Nobody waits for a finalizer, so nobody gets its error. It can end the program,
 * which names the object; it can bring the object back and queue it for somebody to
 * look at; or register it again, which tries once more after the next collection.
 * Deleting fails here because the directory has gone for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gcx.h>

#define FILES 100
#define TRIES 3

struct temp {
  struct temp *next;
  int index, error, tries;
};

static char directory[] = "/tmp/gcx-temp-XXXXXX", away[64];
static struct temp *files[FILES]; /* in use until they are forgotten */
static int deleted;

/* Resurrected: what this list holds is reachable again. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct temp *failures;

static void temp_path(int index, char *buf, size_t n)
{
  (void)snprintf(buf, n, "%s/%d", directory, index);
}

static int temp_dispose(void *obj)
{
  struct temp *t = obj;
  char path[64];

  temp_path(t->index, path, sizeof(path));
  t->tries++;
  t->error = unlink(path) == 0 ? 0 : -errno;
  deleted += t->error == 0;
  return t->error;
}

static void temp_queue(struct temp *t)
{
  pthread_mutex_lock(&lock);
  t->next = failures;
  failures = t;
  pthread_mutex_unlock(&lock);
}

static void finalize_or_abort(void *obj)
{
  if (temp_dispose(obj) != 0)
    abort();
}

static void finalize_or_queue(void *obj)
{
  if (temp_dispose(obj) != 0)
    temp_queue(obj);
}

static void finalize_or_retry(void *obj)
{
  struct temp *t = obj;

  if (temp_dispose(t) == 0)
    return;
  if (t->tries < TRIES)
    gcx_reregister_finalize(t);
  else
    temp_queue(t);
}

static const struct gcx_type throwing_type =
    GCX_TYPE_INIT("temp", sizeof(struct temp), GCX_TYPE_OPTIONAL, NULL,
                  temp_dispose, finalize_or_abort, NULL);
static const struct gcx_type queueing_type =
    GCX_TYPE_INIT("temp", sizeof(struct temp), GCX_TYPE_OPTIONAL, NULL,
                  temp_dispose, finalize_or_queue, NULL);
static const struct gcx_type retrying_type =
    GCX_TYPE_INIT("temp", sizeof(struct temp), GCX_TYPE_OPTIONAL, NULL,
                  temp_dispose, finalize_or_retry, NULL);

static struct temp *temp_new(const struct gcx_type *type, int index)
{
  struct temp *t = gcx_new(type);
  char path[64];
  int fd;

  temp_path(index, path, sizeof(path));
  fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (t == NULL || fd < 0)
    exit(1);
  close(fd);
  t->index = index;
  return t;
}

static void *make_files(void *type)
{
  for (int i = 0; i < FILES; i++)
    files[i] = temp_new(type, i);
  return NULL;
}

/* On a thread of its own: nothing of it is left on this stack. */
static void make(const struct gcx_type *type)
{
  pthread_t thread;

  if (pthread_create(&thread, NULL, make_files, (void *)(uintptr_t)type) != 0 ||
      pthread_join(thread, NULL) != 0)
    exit(1);
}

static void forget(void)
{
  for (int i = 0; i < FILES; i++)
    files[i] = NULL;
}

static void collect(void)
{
  gcx_collect();
  (void)gcx_wait_for_finalizers(UINT64_MAX);
}

static void hide(const char *from, const char *to)
{
  if (rename(from, to) != 0)
    exit(1);
}

/* Files that were not deleted: kept by a leftover pointer, or still queued. */
static void sweep(void)
{
  char path[64];

  for (int i = 0; i < FILES; i++) {
    temp_path(i, path, sizeof(path));
    (void)unlink(path);
  }
  deleted = 0;
}

/* What was queued is looked at, and ended in the ordinary way. */
static int end_queued(int *ret_tries)
{
  int n = 0;

  pthread_mutex_lock(&lock);
  for (struct temp *t = failures; t != NULL; t = t->next) {
    *ret_tries += t->tries;
    n += t->error == -ENOENT && gcx_close(t) == 0;
  }
  failures = NULL;
  pthread_mutex_unlock(&lock);
  return n;
}

static void throw_(void)
{
  make(&throwing_type);
  sweep(); /* somebody has cleaned up in /tmp */
  (void)rmdir(directory);
  forget();
  collect();
}

static void queue(void)
{
  int queued, tries = 0;

  make(&queueing_type);
  hide(directory, away);
  forget();
  collect();
  printf("queued: deleted while the directory was away: %d\n", deleted);
  hide(away, directory);
  queued = end_queued(&tries);
  printf("queued: most were looked at, and deleted: %s\n",
         queued > FILES / 2 && deleted == queued ? "yes" : "no");
  printf("queued: tries of each: %d\n", queued > 0 ? tries / queued : 0);
  sweep();
}

static void retry(int away_for)
{
  int queued, tries = 0;

  make(&retrying_type);
  hide(directory, away);
  forget();
  for (int i = 0; i < away_for; i++)
    collect();
  hide(away, directory);
  collect();
  printf("away for %d tries: most deleted by a finalizer: %s\n", away_for,
         deleted > FILES / 2 ? "yes" : "no");
  queued = end_queued(&tries);
  printf("away for %d tries: most queued, after %d tries: %s\n", away_for,
         TRIES, queued > FILES / 2 && tries == TRIES * queued ? "yes" : "no");
  sweep();
}

int main(int argc, char **argv)
{
  if (mkdtemp(directory) == NULL)
    return 1;
  (void)snprintf(away, sizeof(away), "%s.away", directory);
  if (argc > 1 && strcmp(argv[1], "throw") == 0) {
    throw_();
    return 0;
  }
  queue();
  retry(2);
  retry(3);
  return rmdir(directory) == 0 ? 0 : 1;
}
