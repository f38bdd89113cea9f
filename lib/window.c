/* SPDX-License-Identifier: MIT */
/*
 * window.c - the run's time line
 *
 * An object found unreachable at stop n was reachable at stop n-1, or born
 * since: so one ring of stops and one of breadcrumbs bracket the moment at which
 * it was lost, without a write per object. Older entries are overwritten; a
 * moment that has left the ring is answered with what is known: its number.
 *
 * The ring of stops has one writer, the hook, with the collector's lock held.
 * Breadcrumbs are written by any thread: a slot is claimed by an atomic counter
 * and becomes readable when its sequence number is stored.
 */
#include "window.h"

#include "out.h"
#include "platform.h"

#define STOPS 4096
#define CRUMBS 1024

struct window_crumb {
  uint64_t sequence; /* 1 + index of the breadcrumb in this slot, 0: writing */
  char text[sizeof((struct gcx__moment *)0)->breadcrumb];
};

static uint32_t window_ms[STOPS];
static uint64_t window_crumbs_at[STOPS]; /* breadcrumbs made by then */
static uint32_t window_stops;
static struct window_crumb window_crumbs[CRUMBS];
GCX_NOT_A_ROOT_FROM(window_crumbs, 0);
GCX_NOT_A_ROOT_FROM(window_crumbs_at, 0);
GCX_NOT_A_ROOT_FROM(window_ms, 0);
static uint64_t window_next_crumb;

uint32_t gcx__window_stop(void)
{
  uint32_t n = window_stops + 1;

  window_ms[n % STOPS] = gcx__now_ms();
  /* What is born from now on is not older than this stop. */
  __atomic_store_n(&gcx__clock.ms, window_ms[n % STOPS], __ATOMIC_RELAXED);
  window_crumbs_at[n % STOPS] =
      __atomic_load_n(&window_next_crumb, __ATOMIC_ACQUIRE);
  __atomic_store_n(&window_stops, n, __ATOMIC_RELEASE);
  return n;
}

uint32_t gcx__window_stops(void)
{
  return __atomic_load_n(&window_stops, __ATOMIC_ACQUIRE);
}

/* Copy the crumb with index @i; false if it has been overwritten. */
static bool window_read_crumb(uint64_t i, struct window_crumb *ret_crumb)
{
  const struct window_crumb *c = &window_crumbs[i % CRUMBS];

  if (__atomic_load_n(&c->sequence, __ATOMIC_ACQUIRE) != i + 1)
    return false;
  *ret_crumb = *c;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);
  return __atomic_load_n(&c->sequence, __ATOMIC_RELAXED) == i + 1;
}

/* Latest of the first @next breadcrumbs. */
static void window_crumb_before(uint64_t next, struct gcx__moment *m)
{
  uint64_t oldest = next > CRUMBS ? next - CRUMBS : 0;
  struct window_crumb crumb;

  for (uint64_t i = next; i > oldest; i--)
    if (window_read_crumb(i - 1, &crumb)) {
      __builtin_memcpy(m->breadcrumb, crumb.text, sizeof m->breadcrumb);
      return;
    }
}

void gcx__window_moment(uint32_t number, struct gcx__moment *ret_moment)
{
  uint32_t stops = gcx__window_stops();

  *ret_moment = (struct gcx__moment){ .collection = number };
  if (number == 0 || number > stops || stops - number >= STOPS)
    return;
  ret_moment->ms = window_ms[number % STOPS];
  window_crumb_before(window_crumbs_at[number % STOPS], ret_moment);
}

void gcx__window_breadcrumb(const char *fmt, va_list ap)
{
  uint64_t i = __atomic_fetch_add(&window_next_crumb, 1, __ATOMIC_ACQ_REL);
  struct window_crumb *c = &window_crumbs[i % CRUMBS];
  struct gcx__out o;

  __atomic_store_n(&c->sequence, 0, __ATOMIC_RELEASE);
  gcx__out_init(&o, -1, c->text, sizeof c->text);
  gcx__out_vfmt(&o, fmt, ap);
  __atomic_store_n(&c->sequence, i + 1, __ATOMIC_RELEASE);
}
