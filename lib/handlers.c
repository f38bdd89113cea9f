/* SPDX-License-Identifier: MIT */
/*
 * handlers.c - list of the program's report handlers
 *
 * A small array under a lock. Whoever calls copies it and lets go of the lock:
 * a handler may add and remove handlers, and the lock of who prints may be taken
 * inside one (gcx_report_print()).
 */
#include "handlers.h"

#include <errno.h>
#include <string.h>

#include "lock.h"

struct handlers_entry {
  gcx_report_fn fn;
  void *arg;
};

static struct gcx__lock handlers_lock = GCX_LOCK_INIT(GCX_RANK_HANDLERS);
static struct handlers_entry handlers_list[GCX__HANDLERS_MAX];
static size_t handlers_count;

int gcx_handler_add(gcx_report_fn fn, void *arg)
{
  int result = -ENOMEM;

  if (fn == NULL)
    return -EINVAL;
  gcx__lock(&handlers_lock);
  if (handlers_count < GCX__HANDLERS_MAX) {
    handlers_list[handlers_count++] = (struct handlers_entry){ fn, arg };
    result = 0;
  }
  gcx__unlock(&handlers_lock);
  return result;
}

/* Of several equal ones the latest. */
void gcx_handler_remove(gcx_report_fn fn, void *arg)
{
  gcx__lock(&handlers_lock);
  for (size_t i = handlers_count; i > 0; i--) {
    struct handlers_entry *e = &handlers_list[i - 1];

    if (e->fn != fn || e->arg != arg)
      continue;
    memmove(e, e + 1, (handlers_count - i) * sizeof(*e));
    handlers_count--;
    handlers_list[handlers_count] = (struct handlers_entry){ NULL, NULL };
    break;
  }
  gcx__unlock(&handlers_lock);
}

void gcx__handlers_call(const struct gcx_report *r)
{
  struct handlers_entry copy[GCX__HANDLERS_MAX];
  size_t n;

  gcx__lock(&handlers_lock);
  n = handlers_count;
  memcpy(copy, handlers_list, n * sizeof(copy[0]));
  gcx__unlock(&handlers_lock);
  for (size_t i = 0; i < n; i++)
    copy[i].fn(r, copy[i].arg);
}
