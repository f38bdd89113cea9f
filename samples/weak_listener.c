/* SPDX-License-Identifier: MIT */
/*
 * weak_listener - a subscription that does not keep its subscriber
 *
 * A clock tells its listeners. The list of strong ones keeps every window that
 * ever listened, closed or not. The list of weak ones knows them as long as
 * something else does, and drops the others when it comes across them.
 */
#include <stdio.h>

#include <gcx.h>

#define WINDOWS 100

struct window {
  int ticks;
};

static struct window *strong[WINDOWS];
static struct gcx_weak *weak[WINDOWS];
static struct gcx_weak *watch_strong[WINDOWS]; /* to see who is still there */
static struct gcx_weak *watch_weak[WINDOWS];

static struct window *window_open(struct gcx_weak **ret_watch)
{
  struct window *w = gcx_alloc_managed(sizeof *w);

  *ret_watch = w != NULL ? gcx_weak_create(w, GCX_WEAK_SHORT) : NULL;
  return w;
}

/* Two windows each time, closed again at once: nobody keeps a pointer. */
__attribute__((noinline)) static void open_and_close(void)
{
  for (int i = 0; i < WINDOWS; i++) {
    strong[i] = window_open(&watch_strong[i]);
    weak[i] = gcx_weak_create(window_open(&watch_weak[i]), GCX_WEAK_SHORT);
  }
}

__attribute__((noinline)) static int count(struct gcx_weak *const *watch)
{
  int n = 0;

  for (int i = 0; i < WINDOWS; i++)
    n += gcx_weak_get(watch[i]) != NULL;
  return n;
}

__attribute__((noinline)) static int tick(void)
{
  int told = 0;

  for (int i = 0; i < WINDOWS; i++) {
    struct window *w = gcx_weak_get(weak[i]);

    if (strong[i] != NULL) {
      strong[i]->ticks++;
      told++;
    }
    if (w != NULL) {
      w->ticks++;
      told++;
    } else if (weak[i] != NULL) {
      gcx_dispose(weak[i]);
      weak[i] = NULL;
    }
  }
  return told;
}

int main(void)
{
  int told;

  open_and_close();
  gcx_collect();
  told = tick();
  printf("closed windows that the strong list keeps: %d of %d\n",
         count(watch_strong), WINDOWS);
  printf("closed windows that the weak list keeps: %s\n",
         count(watch_weak) <= WINDOWS / 10 ? "none, or nearly so" : "many");
  printf("told by a tick: %s\n",
         told >= WINDOWS && told <= WINDOWS + WINDOWS / 10 ? "the strong list's"
                                                           : "others, too");
  return 0;
}
