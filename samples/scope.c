/* SPDX-License-Identifier: MIT */
/*
 * scope - disposal at the end of a scope, whichever way it is left
 *
 * gcx_auto before a declaration, GCX_USING before a block. gcx_steal() hands the
 * object on to the caller.
 */
#include <stdbool.h>
#include <stdio.h>

#include <gcx.h>

struct job {
  int number;
};

static int job_dispose(void *obj)
{
  const struct job *j = obj;

  printf("  job %d disposed\n", j->number);
  return 0;
}

static const struct gcx_type job_type = GCX_TYPE_INIT(
    "job", sizeof(struct job), GCX_TYPE_ATOMIC, NULL, job_dispose, NULL, NULL);

static struct job *job_create(int number)
{
  struct job *j = gcx_new(&job_type);

  if (j != NULL)
    j->number = number;
  return j;
}

/* The caller gets the job, or it ends here: there is no third way. */
static struct job *job_prepare(int number)
{
  gcx_auto struct job *j = job_create(number);

  if (j == NULL || number < 0)
    return NULL;
  return gcx_steal(j);
}

static void leave_in_the_middle(void)
{
  for (int i = 1; i <= 3; i++) {
    gcx_auto struct job *j = job_create(i);

    if (j == NULL || i == 2)
      continue;
    printf("job %d done\n", i);
  }
}

static void two_blocks(void)
{
  GCX_USING (struct job *outer = job_create(10)) {
    GCX_USING (struct job *inner = job_create(11)) {
      if (outer != NULL && inner != NULL)
        break; /* leaves the inner block */
    }
    puts("inner block left");
  }
}

int main(void)
{
  struct job *kept;

  puts("continue:");
  leave_in_the_middle();
  puts("break:");
  two_blocks();
  puts("failed construction:");
  if (job_prepare(-1) == NULL)
    puts("no job");
  puts("handed on:");
  kept = job_prepare(4);
  printf("still live: %s\n",
         kept != NULL && !gcx_is_disposed(kept) ? "yes" : "no");
  gcx_dispose(kept);
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
