/* SPDX-License-Identifier: MIT */
/*
 * ephemeron.h - the tables' part of the termination phase, between its files:
 *               ephemeron.c, which lives, and ephemeron-dead.c
 */
#ifndef GCX_EPHEMERON_H
#define GCX_EPHEMERON_H

#include "marker.h"
#include "table.h"
#include "vm.h"

struct gcx__ephemeron_wait {
  struct gcx__table *table;
  struct gcx__entry *entry; /* NULL: the table itself waits */
  void *value;              /* of the entry: base in the heap, or NULL */
  uint32_t next;            /* 1 + wait for the same object, 0: none */
};

#define GCX__EACH_TABLE(l) \
  for (l = gcx__table_list.next; l != &gcx__table_list; l = l->next)

static inline struct gcx__table *gcx__ephemeron_table(struct gcx__link *l)
{
  return GCX_CONTAINER_OF(l, struct gcx__table, link);
}

static inline bool gcx__ephemeron_table_is_marked(const struct gcx__table *t)
{
  return gcx__bdw_is_marked(GCX_REVEAL(t->self));
}

static inline bool gcx__ephemeron_key_is_marked(const struct gcx__entry *e)
{
  return gcx__thing_is_marked(GCX_REVEAL(e->key));
}

/* A value is any pointer. */
static inline void *gcx__ephemeron_base(uintptr_t hidden)
{
  return gcx__bdw_base(GCX_REVEAL(hidden));
}

static inline bool gcx__ephemeron_have(void **memory, size_t *capacity,
                                       size_t wanted, size_t bytes)
{
  void *made;

  if (*capacity >= wanted)
    return true;
  wanted += wanted / 2 + 1024;
  made = gcx__vm_map(wanted * bytes);
  if (made == NULL)
    return false;
  if (*memory != NULL)
    gcx__vm_unmap(*memory, *capacity * bytes);
  *memory = made;
  *capacity = wanted;
  return true;
}

/* ephemeron.c: mark a value, and what waits for it. */
void gcx__ephemeron_mark(struct gcx__marker *m, void *base);

/* ephemeron-dead.c. None are known to be dead. */
void gcx__ephemeron_begin_dead(void);

/* Room for so many; false: no memory. */
bool gcx__ephemeron_have_dead(size_t wanted);

/* What still waits is dead; mark what will be disposed. */
void gcx__ephemeron_find_dead(struct gcx__marker *m,
                              const struct gcx__ephemeron_wait *waits,
                              uint32_t n);

/* What nothing has brought back ends. */
void gcx__ephemeron_end_dead(struct gcx__marker *m);

/* What was freed unseen: all entries end, and the tables that are none any more. */
void gcx__ephemeron_forget(void);

#endif
