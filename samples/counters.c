/* SPDX-License-Identifier: MIT */
/*
 * counters - counters kept by finalizers, gone under NDEBUG
 *
 * A debug build counts what was lost in a finalizer; with NDEBUG the type has
 * none, and objects cost nothing more than their memory.
 */
#include <stdio.h>

#include <gcx.h>

struct job {
  int number;
};

#ifndef NDEBUG
static int lost;

static void job_finalize(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&lost, 1, __ATOMIC_RELAXED);
}
#define JOB_FINALIZE job_finalize
#else
#define JOB_FINALIZE NULL
#endif

static const struct gcx_type job_type =
    GCX_TYPE_INIT("job", sizeof(struct job), GCX_TYPE_OPTIONAL, NULL, NULL,
                  JOB_FINALIZE, NULL);

static __attribute__((noinline)) void lose(int n)
{
  for (int i = 0; i < n; i++) {
    struct job *j = gcx_new(&job_type);

    if (j != NULL)
      j->number = i;
  }
}

int main(void)
{
  lose(100);
  gcx_check();
  gcx_check();
#ifndef NDEBUG
  puts(__atomic_load_n(&lost, __ATOMIC_RELAXED) >= 90 ? "lost: about 100"
                                                      : "lost: too few");
#else
  puts("nobody counts");
#endif
  return 0;
}
