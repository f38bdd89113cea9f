/* SPDX-License-Identifier: MIT */
/*
 * owner.c - ownership
 *
 * An owned object is on its owner's list in the side table, latest first. The
 * edge is as strong as a pointer in the owner would be: the collection follows
 * it (gcx__owner_edges() is called for every owner that becomes marked). Under
 * gcx__aux_lock; the functions of types run without it.
 */
#include "owner.h"

#include <errno.h>

#include "aux.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "trace.h"

static bool owner_is_alive(uint32_t number)
{
  uint32_t state = gcx__record_state(number);

  return !gcx__record_has_ended(state) &&
         (state & GCX_STATE_MASK) != GCX_STATE_FREE;
}

static int owner_link_locked(uint32_t owner, uint32_t child)
{
  struct gcx__aux *o, *c, *next;

  if (!owner_is_alive(owner) || !owner_is_alive(child))
    return -EINVAL;
  c = gcx__aux_have_locked(child);
  if (c == NULL)
    return owner_is_alive(child) ? -ENOMEM : -EINVAL;
  if (c->owner != 0)
    return -EBUSY;
  o = gcx__aux_have_locked(owner);
  if (o == NULL)
    return owner_is_alive(owner) ? -ENOMEM : -EINVAL;
  next = o->first_child != 0 ? gcx__aux_of(o->first_child) : NULL;
  c->next_sibling = o->first_child;
  c->previous_sibling = 0;
  c->owner = owner;
  if (next != NULL)
    next->previous_sibling = child;
  __atomic_store_n(&o->first_child, child, __ATOMIC_RELEASE);
  return 0;
}

int gcx_own(void *owner, void *child)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t o = gcx__misuse_object(owner, "gcx_own", false, &start);
  uint32_t c = o == 0 ? 0 : gcx__misuse_object(child, "gcx_own", false, &start);
  int result;

  if (o == 0 || c == 0 || o == c)
    return -EINVAL;
  gcx__lifecycle_note_use(o, &start);
  gcx__lifecycle_note_use(c, &start);
  gcx__lock(&gcx__aux_lock);
  result = owner_link_locked(o, c);
  gcx__unlock(&gcx__aux_lock);
  GCX_KEEP(owner);
  GCX_KEEP(child);
  return result;
}

static void owner_unlink_locked(uint32_t owner, uint32_t child)
{
  struct gcx__aux *o = gcx__aux_of(owner), *c = gcx__aux_of(child);
  struct gcx__aux *previous, *next;

  if (o == NULL || c == NULL || c->owner != owner)
    return;
  previous = c->previous_sibling != 0 ? gcx__aux_of(c->previous_sibling) : NULL;
  next = c->next_sibling != 0 ? gcx__aux_of(c->next_sibling) : NULL;
  if (previous != NULL)
    __atomic_store_n(&previous->next_sibling, c->next_sibling,
                     __ATOMIC_RELEASE);
  else
    __atomic_store_n(&o->first_child, c->next_sibling, __ATOMIC_RELEASE);
  if (next != NULL)
    next->previous_sibling = c->previous_sibling;
  c->owner = c->next_sibling = c->previous_sibling = 0;
}

void gcx_disown(void *owner, void *child)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t o = gcx__misuse_object(owner, "gcx_disown", false, &start);
  uint32_t c =
      o == 0 ? 0 : gcx__misuse_object(child, "gcx_disown", false, &start);

  if (o == 0 || c == 0)
    return;
  gcx__lifecycle_note_use(c, &start);
  gcx__lock(&gcx__aux_lock);
  owner_unlink_locked(o, c);
  gcx__unlock(&gcx__aux_lock);
  GCX_KEEP(owner);
  GCX_KEEP(child);
}

void gcx_dispose_owned(void *owner)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t o = gcx__misuse_object(owner, "gcx_dispose_owned", false, &start);
  struct gcx__thread *t;

  if (o == 0)
    return;
  t = gcx__thread_self();
  gcx__lifecycle_end_owned(o, gcx__opt.leak == GCX_LEAK_OFF || t == NULL
                                  ? 0
                                  : gcx__trace_site(t, &start));
  GCX_KEEP(owner);
}

enum gcx__heir gcx__owner_heir(uint32_t number)
{
  const struct gcx__aux *a;
  uint32_t owner;

  gcx__lock(&gcx__aux_lock);
  a = gcx__aux_of(number);
  owner = a != NULL ? a->owner : 0;
  gcx__unlock(&gcx__aux_lock);
  if (owner == 0)
    return GCX_HEIR_FREE;
  return (gcx__record_state(owner) & GCX_STATE_MASK) == GCX_STATE_LOST
             ? GCX_HEIR_OF_LOST
             : GCX_HEIR_OF_OTHER;
}

/* ---- the collection's view; stopped */

static void owner_mark_children(struct gcx__marker *m, const struct gcx__aux *a)
{
  uint32_t child = a->first_child;

  while (child != 0) {
    const struct gcx__aux *c = gcx__aux_of(child);
    void *object = gcx__record_object(child);

    if (object != NULL)
      gcx__marker_add(m, object);
    child = c != NULL ? c->next_sibling : 0;
  }
}

bool gcx__owner_any(void)
{
  return gcx__aux_at(1) != NULL;
}

/* What was found is noted for every owner on the way, for those that come by
 * later; while the way is walked it says no, which ends a ring. */
static uint32_t owner_verdict(uint32_t stop, bool ends)
{
  return stop << 1 | (ends ? 1 : 0);
}

static bool owner_walk_up(uint32_t from, uint32_t stop,
                          bool (*ends)(uint32_t owner), uint32_t *ret_last)
{
  uint32_t at = from;

  for (;;) {
    struct gcx__aux *a = gcx__aux_of(at);

    *ret_last = at;
    if (a != NULL && a->judged >> 1 == (stop & (UINT32_MAX >> 1)))
      return (a->judged & 1) != 0;
    if (ends(at))
      return true;
    if (a == NULL || a->owner == 0)
      return false;
    a->judged = owner_verdict(stop, false);
    at = a->owner;
  }
}

bool gcx__owner_ends_it(uint32_t number, uint32_t stop,
                        bool (*ends)(uint32_t owner))
{
  const struct gcx__aux *a = gcx__aux_of(number);
  uint32_t at = a != NULL ? a->owner : 0, last;
  bool found;

  if (at == 0)
    return false;
  found = owner_walk_up(at, stop, ends, &last);
  while (found && at != last) {
    struct gcx__aux *o = gcx__aux_of(at);

    o->judged = owner_verdict(stop, true);
    at = o->owner;
  }
  return found;
}

bool gcx__owner_has(uint32_t number, enum gcx__state state)
{
  const struct gcx__aux *a = gcx__aux_of(number);

  for (uint32_t child = a != NULL ? a->first_child : 0; child != 0;) {
    const struct gcx__aux *c = gcx__aux_of(child);

    if ((gcx__record_state(child) & GCX_STATE_MASK) == state)
      return true;
    child = c != NULL ? c->next_sibling : 0;
  }
  return false;
}

void gcx__owner_edges(struct gcx__marker *m, void *base)
{
  uint32_t number = gcx__object_number(base);
  const struct gcx__aux *a = number != 0 ? gcx__aux_of(number) : NULL;

  if (a != NULL)
    owner_mark_children(m, a);
}

void gcx__owner_mark(struct gcx__marker *m)
{
  const struct gcx__aux *a;
  uint32_t i;

  for (i = 1; (a = gcx__aux_at(i)) != NULL; i++) {
    const void *object;

    if (a->number == 0 || a->first_child == 0)
      continue;
    object = gcx__record_object(a->number);
    if (object != NULL && gcx__bdw_is_marked(object))
      owner_mark_children(m, a);
  }
  gcx__marker_drain(m);
}
