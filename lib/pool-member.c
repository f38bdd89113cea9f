/* SPDX-License-Identifier: MIT */
/*
 * pool-member.c - one buffer or object of a pool: lent, taken back, ended; and
 *                 what is said of those that were not taken, or still are
 *
 * States and transitions: pool.c.
 */
#include "pool.h"

#include <errno.h>
#include <string.h>

#include "aux.h"
#include "finding.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "report.h"
#include "trace.h"
#include "type.h"
#include "vm.h"

/* An idle member is in nobody's hands: plain stores, and the state last. What it
 * owns (in its aux entry) stays. */
void gcx__pool_lend(struct gcx__pool *pool, uint32_t number, size_t bytes,
                    struct gcx__thread *t, const struct gcx__frame *start)
{
  struct gcx__record *r = gcx__record_at(number);
  struct gcx__fate *f = gcx__record_fate(number);
  uint32_t kept = f->state & (GCX_FLAG_AUX | GCX_FLAG_WEAK | GCX_STATE_TABLES);

  gcx__object_set_birth(t, number, start);
  r->bytes = (uint32_t)bytes;
  if ((kept & GCX_FLAG_AUX) == 0)
    f->link = 0;
  GCX_DELAY();
  gcx__record_lend(number, pool->lent_flags | kept);
}

/* ---- new ones */

/* A member that has not been lent: nobody owes its disposal. */
static void *member_create(struct gcx_pool *p, void *object)
{
  uint32_t number = gcx__object_number(object);
  struct gcx__pool *pool = p->pool;
  int r = pool->config.create != NULL ? pool->config.create(object, p->arg) : 0;

  if (r == 0)
    return object;
  (void)gcx__lifecycle_end(number, GCX_END_DISCARD, 0, NULL);
  errno = r < 0 ? -r : EINVAL;
  return NULL;
}

void *gcx__pool_make(struct gcx_pool *p, size_t bytes,
                     const struct gcx__frame *start)
{
  struct gcx__pool *pool = p->pool;
  uint32_t flags = pool->lent_flags & ~GCX_STATE_MASK;
  size_t room = bytes;
  void *object;

  if (!pool->lends_buffers)
    room = pool->type.size;
  else if (bytes <= pool->config.max_bytes)
    room = gcx__pool_class_bytes(gcx__pool_class(bytes));
  object =
      gcx__object_alloc(room, GCX__ALIGN_MIN, pool->type_number, flags, start);
  if (object == NULL || member_create(p, object) == NULL)
    return NULL;
  if (room <= UINT32_MAX)
    gcx__record_at(gcx__object_number(object))->bytes = (uint32_t)bytes;
  __atomic_fetch_add(&pool->members, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&pool->stats.created, 1, __ATOMIC_RELAXED);
  GCX_KEEP(object);
  return object;
}

/* ---- back */

/* Owner and touches are the last user's. */
static void member_rest(uint32_t number, uint32_t site)
{
  gcx__lock(&gcx__aux_lock);
  gcx__aux_rest_locked(number, site);
  gcx__unlock(&gcx__aux_lock);
}

bool gcx__pool_claim(const struct gcx__pool *pool, uint32_t number,
                     uint32_t state, uint32_t site)
{
  uint32_t claimed = (state & ~(GCX_STATE_MASK | GCX_FLAG_SUPPRESSED)) |
                     GCX_STATE_LIVE | GCX_FLAG_OPTIONAL |
                     (pool->lends_buffers ? GCX_FLAG_IDLE : GCX_FLAG_CLAIMED);

  if (!gcx__record_change(number, state, claimed))
    return false;
  if ((state & GCX_FLAG_AUX) != 0)
    member_rest(number, site);
  else
    gcx__record_fate(number)->link = site;
  return true;
}

void gcx__pool_end_member(struct gcx__pool *pool, uint32_t number, void *object,
                          uint32_t site)
{
  if (site == 0 && (gcx__record_state(number) & GCX_FLAG_AUX) == 0)
    site = gcx__record_fate(number)->link; /* where it was given back */
  (void)gcx__lifecycle_end(number, GCX_END_DISPOSE, site, NULL);
  if (pool->lends_buffers)
    __atomic_fetch_sub(&pool->members, 1, __ATOMIC_RELAXED);
  if (gcx__opt.quarantine == 0)
    gcx__object_free(number);
  GCX_KEEP(object);
}

/* False: one of the pool's functions has disposed it. */
static bool member_set_idle(uint32_t number)
{
  uint32_t state;

  do {
    state = gcx__record_state(number);
    if ((state & (GCX_STATE_MASK | GCX_FLAG_CLAIMED)) !=
        (GCX_STATE_LIVE | GCX_FLAG_CLAIMED))
      return false;
  } while (!gcx__record_change(number, state,
                               (state & ~GCX_FLAG_CLAIMED) | GCX_FLAG_IDLE));
  return true;
}

/* The pool's own reference to an idle object. */
static bool member_anchor(struct gcx_pool *p, uint32_t number, void *object)
{
  struct gcx__pool *pool = p->pool;
  struct gcx__pool_shelf *s = &pool->shelf[0];
  bool kept;

  gcx__lock(&gcx__pool_lock);
  kept = pool->id != 0 && s->count < pool->config.max_kept &&
         (s->count + 1) * pool->type.size <= pool->config.max_kept_bytes &&
         member_set_idle(number);
  if (kept) {
    p->anchor[s->count] = object;
    kept = gcx__pool_shelve_locked(s, number);
  }
  gcx__unlock(&gcx__pool_lock);
  return kept;
}

static bool member_keep(struct gcx_pool *p, struct gcx__pool_hand *h,
                        uint32_t number, void *object)
{
  struct gcx__pool *pool = p->pool;
  size_t room = gcx__object_room(object);

  if (gcx__record_is_inherited(number))
    return false; /* the parent has it, too */
  if (!pool->lends_buffers)
    return (pool->config.reset == NULL ||
            pool->config.reset(object, p->arg) == 0) &&
           member_anchor(p, number, object);
  if ((pool->lent_flags & GCX_FLAG_SECRET) != 0)
    explicit_bzero(object, room);
  return gcx__object_bytes(number) <= p->max_bytes &&
         gcx__pool_put(h, pool, gcx__pool_home(p, room), number);
}

void gcx__pool_keep(struct gcx_pool *p, struct gcx__pool_hand *h,
                    uint32_t number, void *object, uint32_t site)
{
  if (member_keep(p, h, number, object))
    return;
  __atomic_fetch_add(&p->pool->stats.dropped, 1, __ATOMIC_RELAXED);
  gcx__pool_end_member(p->pool, number, object, site);
}

/* Nobody has it any more, so it goes back: the one resurrection there is. A pool
 * that is lost as well has nothing to take it back for. */
bool gcx__pool_reclaim(uint32_t number)
{
  uint32_t state = gcx__record_state(number);
  struct gcx__pool *pool = GCX_CONTAINER_OF(
      (void *)(uintptr_t)gcx__type_at(gcx__record_at(number)->type),
      struct gcx__pool, type);
  struct gcx_pool *p = gcx__pool_object(pool);
  void *object = gcx__record_object(number);

  if ((state & GCX_STATE_MASK) != GCX_STATE_LOST)
    return true; /* somebody has it after all */
  if (p == NULL || p->signature != GCX__POOL_SIGNATURE ||
      (gcx__record_state(gcx__object_number(p)) & GCX_STATE_MASK) !=
          GCX_STATE_LIVE)
    return false;
  if (!gcx__pool_claim(pool, number, state, 0))
    return true; /* the same */
  __atomic_fetch_add(&pool->stats.reclaimed, 1, __ATOMIC_RELAXED);
  gcx__pool_keep(p, NULL, number, object, 0);
  GCX_KEEP(object);
  GCX_KEEP(p);
  return true;
}

/* ---- given back, and not taken */

static void member_report_return(const struct gcx_pool *p, const void *buf,
                                 uint32_t number,
                                 const struct gcx__frame *start)
{
  struct gcx_report r = { .id = GCX_REPORT_POOL_RETURN };
  struct gcx__thread *t = gcx__thread_self();
  const char *why = "it is not in the collected heap";
  struct gcx__out o;

  if (number != 0) {
    gcx__misuse_describe(&r, number);
    why = "it is an object that no pool has lent, or another one";
  } else if (gcx__bdw_base(buf) != NULL) {
    why = "it is not the address that was taken";
  }
  if (number != 0 && gcx__record_at(number)->type == p->type_number) {
    r.dispose_site = gcx__misuse_dispose_site(number);
    why = "it was given back before, or disposed";
  }
  r.object = buf;
  gcx__out_init(&o, -1, r.detail, sizeof r.detail);
  gcx__out_fmt(&o, "gcx_pool_return(\"%s\", %p): %s", p->pool->name, buf, why);
  r.use_tid = gcx__tid();
  r.use_site = t != NULL ? gcx__trace_site(t, start) : 0;
  gcx__report(&r, 1, true);
}

/* Record of a member of @p that is taken; 0: reported. */
uint32_t gcx__pool_find_taken(const struct gcx_pool *p, const void *buf,
                              uint32_t *ret_state,
                              const struct gcx__frame *start)
{
  uint32_t number = 0;
  enum gcx__found found = gcx__object_find(buf, &number);

  if (found == GCX_FOUND_CORRUPT) {
    (void)gcx__misuse_find(buf, "gcx_pool_return", false, start);
    return 0;
  }
  if (found != GCX_FOUND)
    number = 0;
  if (number != 0 && gcx__record_at(number)->type == p->type_number) {
    gcx__lifecycle_note_use(number, start);
    *ret_state = gcx__record_state(number);
    if (!gcx__record_has_ended(*ret_state) &&
        (*ret_state & GCX_FLAG_CLAIMED) == 0 &&
        (*ret_state & GCX_STATE_MASK) != GCX_STATE_DISPOSING)
      return number;
  }
  member_report_return(p, buf, number, start);
  return 0;
}

/* ---- outstanding */

#define SITES 16

struct outstanding {
  struct gcx_report report[SITES];
  uint32_t site[SITES];
  size_t sites;
  size_t count;
  size_t inherited; /* the parent of a fork has taken them: not counted */
};

/* What is lost is reported as such, or just being disposed. */
static bool member_is_outstanding(const struct gcx__pool *pool, uint32_t number)
{
  uint32_t state = gcx__record_state(number);

  return gcx__record_object(number) != NULL &&
         gcx__record_at(number)->type == pool->type_number &&
         (state & GCX_STATE_MASK) == GCX_STATE_LIVE &&
         (state & (GCX_FLAG_IDLE | GCX_FLAG_OPTIONAL | GCX_FLAG_SUPPRESSED)) ==
             0;
}

/* By stack; the last entry is for all that have no entry of their own. */
static void outstanding_add(struct outstanding *o, uint32_t number)
{
  uint32_t site = gcx__record_at(number)->site;
  size_t i = 0;

  while (i < o->sites && o->site[i] != site)
    i++;
  if (i == SITES)
    i--;
  if (i == o->sites) {
    o->sites++;
    o->site[i] = site;
    o->report[i] = (struct gcx_report){ .id = GCX_REPORT_POOL_OUTSTANDING };
    gcx__misuse_describe(&o->report[i], number);
    o->report[i].count = o->report[i].total_bytes = 0;
  }
  o->report[i].count++;
  o->report[i].total_bytes += gcx__object_bytes(number);
  o->count++;
}

static void outstanding_report(struct outstanding *o,
                               const struct gcx__pool *pool,
                               const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();
  uint32_t site = t != NULL ? gcx__trace_site(t, start) : 0;

  for (size_t i = 0; i < o->sites; i++) {
    struct gcx_report *r = &o->report[i];
    struct gcx__out out;

    r->use_tid = gcx__tid();
    r->use_site = site;
    gcx__out_init(&out, -1, r->detail, sizeof r->detail);
    gcx__out_fmt(&out, "pool \"%s\" is disposed, and %zu of its %s taken",
                 pool->name, o->count,
                 o->count == 1 ? "members is" : "members are");
  }
  gcx__report(o->report, o->sites, true);
}

size_t gcx__pool_report_outstanding(struct gcx__pool *pool,
                                    const struct gcx__frame *start)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  struct gcx_pool_stats stats = { .idle = 0 };
  struct outstanding *o;
  size_t count;

  gcx__pool_sum(pool, &stats);
  if (__atomic_load_n(&pool->members, __ATOMIC_RELAXED) <= stats.idle)
    return 0;
  o = gcx__vm_map(sizeof *o);
  if (o == NULL)
    return 1; /* as if there were: nothing is said, nothing used again */
  for (uint32_t n = 1; n < limit; n++)
    if (!member_is_outstanding(pool, n))
      continue;
    else if (gcx__record_is_inherited(n))
      o->inherited++;
    else
      outstanding_add(o, n);
  count = o->count + o->inherited;
  if (o->count > 0 && !gcx__finding_is_disposing())
    outstanding_report(o, pool, start);
  gcx__vm_unmap(o, sizeof *o);
  return count;
}
