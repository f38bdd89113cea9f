/* SPDX-License-Identifier: MIT */
/*
 * weak_live - which sessions are there?
 *
 * A list of everything that is alive, for a status page. With strong pointers it
 * would be what keeps everything alive. Here each place in the list holds a weak
 * reference; places of sessions that are gone are used again, so the list is as
 * long as there were ever sessions at one time, not as long as its history.
 */
#include <stdio.h>

#include <gcx.h>

#define PLACES 2000
#define ROUNDS 40
#define SESSIONS 100

struct session {
  int number;
};

static struct gcx_weak *places[PLACES];
static int used; /* places that were ever taken */
static struct session *held[SESSIONS];

/* A place whose session is gone, or a new one. */
static int live_add(struct session *s)
{
  for (int i = 0; i < used; i++)
    if (gcx_weak_get(places[i]) == NULL)
      return gcx_weak_set(places[i], s);
  if (used == PLACES)
    return -1;
  places[used] = gcx_weak_create(s, GCX_WEAK_SHORT);
  return places[used++] != NULL ? 0 : -1;
}

__attribute__((noinline)) static int live_count(void)
{
  int n = 0;

  for (int i = 0; i < used; i++)
    n += gcx_weak_get(places[i]) != NULL;
  return n;
}

__attribute__((noinline)) static int open_sessions(int round)
{
  for (int i = 0; i < SESSIONS; i++) {
    struct session *s = gcx_alloc_managed(sizeof *s);

    if (s == NULL || live_add(s) != 0)
      return -1;
    s->number = round * SESSIONS + i;
    held[i] = s;
  }
  return 0;
}

__attribute__((noinline)) static int newest(void)
{
  int number = 0;

  for (int i = 0; i < SESSIONS; i++)
    if (held[i]->number > number)
      number = held[i]->number;
  return number;
}

int main(void)
{
  for (int round = 0; round < ROUNDS; round++) {
    if (open_sessions(round) != 0)
      return 1;
    gcx_collect();
  }
  printf("sessions so far: %d\n", ROUNDS * SESSIONS);
  printf("alive now: %s\n",
         live_count() >= SESSIONS && live_count() <= SESSIONS + SESSIONS / 10
             ? "the last 100"
             : "others");
  printf("the newest: %d\n", newest());
  printf("places in the list: %s\n",
         used <= 3 * SESSIONS ? "at most 300" : "more than 300");
  return 0;
}
