/* SPDX-License-Identifier: MIT */
/*
 * listeners - objects that are kept by a list nobody cleans
 *
 * Windows register as listeners and never leave the list. They stay reachable:
 * not lost, so no collection will report them, but no one needs them any more.
 * exit_check=undisposed lists what is left at the end of the program, and
 * leak=exit makes its exit status 23.
 */
#include <stdio.h>

#include <gcx.h>

#define WINDOWS 5

struct window {
  struct window *next_listener;
  int number;
};

static int window_describe(const void *obj, char *buf, size_t n)
{
  const struct window *w = obj;

  return snprintf(buf, n, "window %d", w->number);
}

static const struct gcx_type window_type = GCX_TYPE_INIT(
    "window", sizeof(struct window), 0, NULL, NULL, NULL, window_describe);

static struct window *listeners;

const char *gcx_default_options(void)
{
  return "leak=exit:exit_check=undisposed";
}

static int window_open(int number)
{
  struct window *w = gcx_new(&window_type);

  if (w == NULL)
    return -1;
  w->number = number;
  w->next_listener = listeners;
  listeners = w;
  return 0;
}

int main(void)
{
  for (volatile int i = 1; i <= WINDOWS; i++) { /* one call site */
    if (window_open(i) != 0)
      return 1;
  }
  printf("lost: %zu\n", gcx_check());
  fflush(stdout);
  return 0;
}
