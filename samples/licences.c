/* SPDX-License-Identifier: MIT */
/*
 * licences - forty of something, and a handle collector that gets lost ones back
 *
 * When more are out than the threshold, it collects; what was lost is disposed
 * (leak=dispose) and its licence is free again.
 */
#include <stdio.h>

#include <gcx.h>

#define LICENCES 40

struct licence {
  int number;
};

static struct gcx_handle_collector *licences;

static int licence_dispose(void *obj)
{
  (void)obj;
  return gcx_handle_collector_remove(licences);
}

static const struct gcx_type licence_type =
    GCX_TYPE_INIT("struct licence", sizeof(struct licence), 0, NULL,
                  licence_dispose, NULL, NULL);

static __attribute__((noinline)) bool forget_licence(int number)
{
  struct licence *l;

  if (gcx_handle_collector_add(licences) != 0)
    return false;
  l = gcx_new(&licence_type);
  if (l != NULL)
    l->number = number;
  return l != NULL;
}

int main(void)
{
  int taken = 0;

  licences = gcx_handle_collector_create("licences", LICENCES, LICENCES);
  while (taken < LICENCES + 1 && forget_licence(taken))
    taken++;
  gcx_wait_for_finalizers(60000);
  printf("taken: %d of %d\n", taken, LICENCES);
  puts(gcx_handle_collector_count(licences) < LICENCES / 2
           ? "most are free again"
           : "they are all gone");
  return 0;
}
