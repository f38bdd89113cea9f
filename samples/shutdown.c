/* SPDX-License-Identifier: MIT */
/*
 * shutdown - what a finalizer can rely on while the process exits
 *
 * No finalizer runs at exit, unless critical_at_exit=1 asks for the critical
 * ones. Such a one asks gcx_shutting_down() and keeps to what can't be gone: here
 * it removes a lock file's stand-in and leaves its log alone.
 */
#include <stdio.h>

#include <gcx.h>

static void lock_finalize(void *obj)
{
  (void)obj;
  puts(gcx_shutting_down() ? "lock removed while the process exits"
                           : "lock removed");
  fflush(stdout);
}

static void cache_finalize(void *obj)
{
  (void)obj;
  puts("never printed: an ordinary finalizer, and the cache is in use");
}

static const struct gcx_type lock_type =
    GCX_TYPE_INIT("lock", 16, GCX_TYPE_OPTIONAL | GCX_TYPE_CRITICAL, NULL, NULL,
                  lock_finalize, NULL);
static const struct gcx_type cache_type = GCX_TYPE_INIT(
    "cache", 16, GCX_TYPE_OPTIONAL, NULL, NULL, cache_finalize, NULL);

/* volatile: what is never read, the compiler does not store. */
static void *volatile lock, *volatile cache;

int main(void)
{
  lock = gcx_new(&lock_type);
  cache = gcx_new(&cache_type);
  if (lock == NULL || cache == NULL)
    return 1;
  gcx_collect(); /* both are held: nothing is finalized */
  puts(gcx_shutting_down() ? "shutting down" : "running");
  fflush(stdout);
  return 0;
}
