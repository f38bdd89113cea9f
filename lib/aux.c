/* SPDX-License-Identifier: MIT */
/*
 * aux.c - the side table
 *
 * Entries lie in chunks of vm memory and are reused. A thread that holds the
 * lock may be stopped anywhere: the hook frees onto a chain of its own, which
 * the next allocation takes over with one exchange.
 *
 * An entry is attached in this order: the state word gets GCX_FLAG_AUX by
 * compare-and-swap (so a concurrent disposal either came first, and nothing is
 * attached, or sees the flag and takes the lock), then the link is stored. In
 * between the link is 0, which means: no entry.
 */
#include "aux.h"

#include "vm.h"

#define CHUNK_BITS 10
#define CHUNK (1u << CHUNK_BITS)
#define CHUNKS 65536u

struct gcx__lock gcx__aux_lock = GCX_LOCK_INIT(GCX_RANK_OWNERS);

static struct gcx__aux *aux_chunks[CHUNKS];
GCX_NOT_A_ROOT_FROM(aux_chunks, 0);
static uint32_t aux_limit = 1;
static uint32_t aux_free;
static uint32_t aux_freed_stopped;
static size_t aux_used;

struct gcx__aux *gcx__aux_at(uint32_t index)
{
  if (index == 0 || index >= __atomic_load_n(&aux_limit, __ATOMIC_ACQUIRE))
    return NULL;
  return &aux_chunks[index >> CHUNK_BITS][index & (CHUNK - 1)];
}

struct gcx__aux *gcx__aux_of(uint32_t number)
{
  if ((gcx__record_state(number) & GCX_FLAG_AUX) == 0)
    return NULL;
  return gcx__aux_at(
      __atomic_load_n(&gcx__record_fate(number)->link, __ATOMIC_ACQUIRE));
}

static uint32_t aux_take_locked(void)
{
  uint32_t i;

  if (aux_free == 0)
    aux_free = __atomic_exchange_n(&aux_freed_stopped, 0, __ATOMIC_ACQ_REL);
  i = aux_free;
  if (i != 0) {
    aux_free = gcx__aux_at(i)->next_free;
    return i;
  }
  if (aux_limit >> CHUNK_BITS >= CHUNKS)
    return 0;
  if (aux_chunks[aux_limit >> CHUNK_BITS] == NULL) {
    struct gcx__aux *c = gcx__vm_map(CHUNK * sizeof *c);

    if (c == NULL)
      return 0;
    aux_chunks[aux_limit >> CHUNK_BITS] = c;
  }
  i = aux_limit;
  __atomic_store_n(&aux_limit, i + 1, __ATOMIC_RELEASE);
  return i;
}

static void aux_give_locked(uint32_t index)
{
  gcx__aux_at(index)->next_free = aux_free;
  aux_free = index;
}

struct gcx__aux *gcx__aux_have_locked(uint32_t number)
{
  struct gcx__aux *a = gcx__aux_of(number);
  struct gcx__touch *touches;
  uint32_t index, state;

  GCX_ASSERT(gcx__lock_held(&gcx__aux_lock));
  if (a != NULL)
    return a;
  index = aux_take_locked();
  if (index == 0)
    return NULL;
  a = gcx__aux_at(index);
  touches = a->touches; /* memory of the entry, kept for its next user */
  *a = (struct gcx__aux){ .touches = touches };
  do {
    state = gcx__record_state(number);
    if ((state & GCX_STATE_MASK) == GCX_STATE_DISPOSED ||
        (state & GCX_STATE_MASK) == GCX_STATE_FREE ||
        (state & GCX_FLAG_IDLE) != 0) {
      aux_give_locked(index);
      return NULL;
    }
  } while (!gcx__record_change(number, state, state | GCX_FLAG_AUX));
  GCX_DELAY();
  __atomic_store_n(&a->number, number, __ATOMIC_RELEASE);
  __atomic_store_n(&gcx__record_fate(number)->link, index, __ATOMIC_RELEASE);
  aux_used++;
  return a;
}

/* Take @a out of its owner's list: one store ends it for a walker. */
static void aux_unlink(struct gcx__aux *a)
{
  struct gcx__aux *previous, *next, *owner;

  if (a->owner == 0)
    return;
  owner = gcx__aux_of(a->owner);
  previous = a->previous_sibling != 0 ? gcx__aux_of(a->previous_sibling) : NULL;
  next = a->next_sibling != 0 ? gcx__aux_of(a->next_sibling) : NULL;
  if (previous != NULL)
    __atomic_store_n(&previous->next_sibling, a->next_sibling,
                     __ATOMIC_RELEASE);
  else if (owner != NULL)
    __atomic_store_n(&owner->first_child, a->next_sibling, __ATOMIC_RELEASE);
  if (next != NULL)
    next->previous_sibling = a->previous_sibling;
  a->owner = a->next_sibling = a->previous_sibling = 0;
}

/* The children have no owner any more. */
static void aux_orphan(struct gcx__aux *a)
{
  uint32_t child = a->first_child;

  __atomic_store_n(&a->first_child, 0, __ATOMIC_RELEASE);
  while (child != 0) {
    struct gcx__aux *c = gcx__aux_of(child);

    if (c == NULL)
      return;
    child = c->next_sibling;
    c->owner = c->next_sibling = c->previous_sibling = 0;
  }
}

size_t gcx__aux_pressure;
size_t gcx__aux_released;

static void aux_end_pressure(struct gcx__aux *a)
{
  if (a->pressure == 0)
    return;
  __atomic_fetch_sub(&gcx__aux_pressure, a->pressure, __ATOMIC_RELAXED);
  __atomic_fetch_add(&gcx__aux_released, a->pressure, __ATOMIC_RELAXED);
  a->pressure = 0;
}

void gcx__aux_detach_locked(uint32_t number, uint32_t site)
{
  struct gcx__aux *a = gcx__aux_of(number);

  GCX_ASSERT(gcx__lock_held(&gcx__aux_lock));
  if (a == NULL)
    return;
  aux_unlink(a);
  aux_orphan(a);
  aux_end_pressure(a);
  a->dispose_site = site;
}

void gcx__aux_rest_locked(uint32_t number, uint32_t site)
{
  struct gcx__aux *a = gcx__aux_of(number);

  GCX_ASSERT(gcx__lock_held(&gcx__aux_lock));
  if (a == NULL)
    return;
  aux_unlink(a);
  a->touch_count = 0;
  a->dispose_site = site;
}

static uint32_t aux_clear(uint32_t number)
{
  struct gcx__aux *a = gcx__aux_of(number);
  uint32_t index;

  if (a == NULL)
    return 0;
  aux_unlink(a);
  aux_orphan(a);
  aux_end_pressure(a);
  index = gcx__record_fate(number)->link;
  __atomic_store_n(&gcx__record_fate(number)->link, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&a->number, 0, __ATOMIC_RELEASE);
  aux_used--;
  return index;
}

void gcx__aux_release_locked(uint32_t number)
{
  uint32_t index;

  GCX_ASSERT(gcx__lock_held(&gcx__aux_lock));
  index = aux_clear(number);
  if (index != 0)
    aux_give_locked(index);
}

void gcx__aux_release_stopped(uint32_t number)
{
  uint32_t index = aux_clear(number);

  if (index == 0)
    return;
  gcx__aux_at(index)->next_free = aux_freed_stopped;
  aux_freed_stopped = index;
}

size_t gcx__aux_count(void)
{
  return aux_used;
}
