/* SPDX-License-Identifier: MIT */
/*
 * list.h - intrusive doubly linked ring; the head is a link like any other
 */
#ifndef GCX_LIST_H
#define GCX_LIST_H

#include "assert.h"

struct gcx__link {
  struct gcx__link *next;
  struct gcx__link *prev;
};

static inline void gcx__link_init(struct gcx__link *l)
{
  l->next = l;
  l->prev = l;
}

static inline bool gcx__link_is_alone(const struct gcx__link *l)
{
  return l->next == l;
}

/* @l becomes the last of the ring that @head stands for. A reader in a stopped
 * world walks `next` only: each store below leaves that walk whole. */
static inline void gcx__link_add(struct gcx__link *head, struct gcx__link *l)
{
  struct gcx__link *last = head->prev;

  l->prev = last;
  l->next = head;
  __atomic_store_n(&last->next, l, __ATOMIC_RELEASE);
  head->prev = l;
}

static inline void gcx__link_remove(struct gcx__link *l)
{
  __atomic_store_n(&l->prev->next, l->next, __ATOMIC_RELEASE);
  l->next->prev = l->prev;
  gcx__link_init(l);
}

#endif
