/* SPDX-License-Identifier: MIT */
/*
 * critical - critical finalizers run after all ordinary ones of a collection
 *
 * A record is written to a log by its finalizer; the log closes itself in a
 * critical one. Both are forgotten together, and nothing is written to a closed
 * log.
 */
#include <pthread.h>
#include <stdio.h>

#include <gcx.h>

#define LOGS 50

struct log {
  int closed;
};

struct entry {
  struct log *log;
};

static int closed, written, too_late;

static void log_finalize(void *obj)
{
  struct log *l = obj;

  l->closed = 1;
  closed++;
}

static void entry_finalize(void *obj)
{
  const struct entry *e = obj;

  too_late += e->log->closed;
  written++;
}

static const struct gcx_type log_type = GCX_TYPE_INIT(
    "log", sizeof(struct log), GCX_TYPE_OPTIONAL | GCX_TYPE_CRITICAL, NULL,
    NULL, log_finalize, NULL);
static const struct gcx_type entry_type =
    GCX_TYPE_INIT("entry", sizeof(struct entry), GCX_TYPE_OPTIONAL, NULL, NULL,
                  entry_finalize, NULL);

static void *forget_logs(void *failed)
{
  for (int i = 0; i < LOGS; i++) {
    struct log *l = gcx_new(&log_type);

    for (int k = 0; k < 4; k++) {
      struct entry *e = gcx_new(&entry_type);

      if (l == NULL || e == NULL)
        return failed;
      e->log = l;
    }
  }
  return NULL;
}

int main(void)
{
  pthread_t thread;
  void *failed = NULL;

  if (pthread_create(&thread, NULL, forget_logs, &failed) != 0 ||
      pthread_join(thread, &failed) != 0 || failed != NULL)
    return 1;
  for (int i = 0; i < 20 && closed < LOGS; i++) {
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
  }
  printf("most entries written: %s\n", written > 2 * LOGS ? "yes" : "no");
  printf("most logs closed: %s\n", closed > LOGS / 2 ? "yes" : "no");
  printf("entries written to a closed log: %d\n", too_late);
  return 0;
}
