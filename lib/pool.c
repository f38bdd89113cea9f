/* SPDX-License-Identifier: MIT */
/*
 * pool.c - the public functions of pools
 *
 * A member is an object with a record of its own, made once and lent many times:
 *
 *        make, take                        return
 *   ---> TAKEN  <----------------------------------------------> IDLE
 *          |     \                                                 |
 *          |      lost: GCX-LEAK, or back to IDLE (leak=dispose)   | trim, unfit,
 *          | gcx_dispose                                           | pool ends
 *          +------------------> DISPOSED <-------------------------+
 *
 * TAKEN is an ordinary live object whose birth is the take: nothing of the pool
 * refers to it. IDLE is the flag GCX_FLAG_IDLE with GCX_FLAG_OPTIONAL, and held
 * by the pool: buffers by pool-idle.c, objects by the anchors of struct gcx_pool.
 * On either way an object is CLAIMED while the pool's functions look at it.
 * The compare-and-swap from TAKEN to IDLE decides between two that return, or
 * dispose, the same. The way back needs none: an idle member is nobody else's.
 *
 * How a pool is made: pool-create.c.
 */
#include "pool.h"

#include <errno.h>

#include "finding.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "termination.h"
#include "thing.h"
#include "trace.h"
#include "type.h"

/* ---- a pool that is passed in */

/* False: a report was made, or it was discarded. */
static bool pool_is_live(struct gcx_pool *p, const char *function,
                         const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(p, function, true, start);
  uint32_t state;

  if (number == 0)
    return false;
  if (gcx__type_at(gcx__record_at(number)->type) != &gcx__pool_type) {
    gcx__misuse_other_type(number, function, "pool", start);
    return false;
  }
  gcx__thing_note_heap();
  state = gcx__record_state(number);
  if (gcx__record_has_ended(state)) {
    gcx__misuse_disposed(GCX_REPORT_USE_AFTER_DISPOSE, number, function, start);
    return false;
  }
  gcx__lifecycle_note_use(number, start);
  return p->signature == GCX__POOL_SIGNATURE;
}

static bool pool_can_be_used(const struct gcx_pool *p)
{
  return GCX_LIKELY(gcx__thing_may_be(p) &&
                    p->signature == GCX__POOL_SIGNATURE);
}

/* ---- taking */

static void *pool_lend(struct gcx_pool *p, struct gcx__pool_hand *h,
                       uint32_t number, void *object, size_t bytes,
                       const struct gcx__frame *start)
{
  gcx__pool_lend(p->pool, number, bytes, gcx__thread_current, start);
  if (h != NULL)
    h->taken++;
  else
    __atomic_fetch_add(&p->pool->stats.taken, 1, __ATOMIC_RELAXED);
  return object;
}

static void *pool_take_buffer(struct gcx_pool *p, size_t bytes,
                              const struct gcx__frame *start)
{
  struct gcx__pool_hand *h = gcx__pool_have_hand(gcx__thread_self(), p->pool);
  void *object = NULL;
  uint32_t number;

  if (bytes <= p->max_bytes) {
    number = gcx__pool_get(h, p->pool, gcx__pool_class(bytes), &object);
    if (number != 0)
      return pool_lend(p, h, number, object, bytes, start);
  }
  object = gcx__pool_make(p, bytes, start);
  if (object != NULL)
    __atomic_fetch_add(&p->pool->stats.taken, 1, __ATOMIC_RELAXED);
  return object;
}

static uint32_t pool_idle_object(struct gcx_pool *p, void **ret_object)
{
  uint32_t number;

  gcx__lock(&gcx__pool_lock);
  number = gcx__pool_unshelve_locked(&p->pool->shelf[0], ret_object);
  if (number != 0) {
    uint32_t state = gcx__record_state(number);

    p->anchor[p->pool->shelf[0].count] = NULL;
    gcx__record_lend(number, (state & ~GCX_FLAG_IDLE) | GCX_FLAG_CLAIMED);
  }
  gcx__unlock(&gcx__pool_lock);
  return number;
}

static void *pool_take_object(struct gcx_pool *p, size_t bytes,
                              const struct gcx__frame *start)
{
  struct gcx__pool *pool = p->pool;
  void *object = NULL;
  uint32_t number;

  if (bytes > p->max_bytes) {
    errno = EINVAL;
    return NULL;
  }
  bytes = bytes != 0 ? bytes : p->max_bytes;
  while ((number = pool_idle_object(p, &object)) != 0) {
    if (pool->config.check == NULL || pool->config.check(object, p->arg))
      return pool_lend(p, NULL, number, object, bytes, start);
    gcx__pool_end_member(pool, number, object, 0);
    __atomic_fetch_add(&pool->stats.dropped, 1, __ATOMIC_RELAXED);
  }
  object = gcx__pool_make(p, bytes, start);
  if (object != NULL)
    __atomic_fetch_add(&pool->stats.taken, 1, __ATOMIC_RELAXED);
  return object;
}

static GCX_NOINLINE void *pool_take_slowly(struct gcx_pool *p, size_t bytes,
                                           const struct gcx__frame *start)
{
  void *object;

  if (!pool_is_live(p, "gcx_pool_take", start)) {
    errno = EINVAL;
    return NULL;
  }
  (void)gcx__thread_self();
  object = p->lends_buffers ? pool_take_buffer(p, bytes, start)
                            : pool_take_object(p, bytes, start);
  GCX_KEEP(p);
  return object;
}

/* leak=off: a birth without a stack and a time, and no call. */
static inline void pool_lend_off(const struct gcx__pool *pool, uint32_t number,
                                 size_t bytes, const struct gcx__thread *t)
{
  struct gcx__record_chunk *c = gcx__record_chunk_of(number);
  struct gcx__record *r = gcx__record_in(c, number);
  struct gcx__fate *f = gcx__record_fate_in(c, number);
  uint32_t kept = f->state & (GCX_FLAG_AUX | GCX_FLAG_WEAK | GCX_STATE_TABLES);

  r->site = 0;
  r->bytes = (uint32_t)bytes;
  r->tid = t->tid;
  r->birth_ms = 0;
  r->birth_order = gcx__cells_next_order(t->cells);
  if (GCX_LIKELY((kept & GCX_FLAG_AUX) == 0))
    f->link = 0;
  GCX_DELAY();
  __atomic_store_n(&f->state, pool->lent_flags | kept, __ATOMIC_RELEASE);
}

void *gcx_pool_take(struct gcx_pool *p, size_t bytes)
{
  const struct gcx__thread *t = gcx__thread_current;
  struct gcx__pool_hand *h;
  void *object = NULL;
  uint32_t number = 0;

  if (pool_can_be_used(p) && p->lends_buffers && bytes <= p->max_bytes) {
    h = gcx__pool_hand(t, p->id);
    if (GCX_LIKELY(h != NULL))
      number = gcx__pool_hand_get(h, gcx__pool_class(bytes), &object);
  }
  if (GCX_UNLIKELY(number == 0)) {
    struct gcx__frame start = GCX__CALLER_FRAME();

    return pool_take_slowly(p, bytes, &start);
  }
  if (gcx__opt.leak == GCX_LEAK_OFF && GCX_LIKELY(t->cells != NULL)) {
    pool_lend_off(p->pool, number, bytes, t);
  } else {
    struct gcx__frame start = GCX__CALLER_FRAME();

    gcx__pool_lend(p->pool, number, bytes, gcx__thread_current, &start);
  }
  h->taken++;
  GCX_KEEP(object);
  return object;
}

/* ---- giving back */

static struct gcx__pool_recent *pool_recent(const struct gcx__thread *t,
                                            const void *buf)
{
  return &t->pools->recent[((uintptr_t)buf >> 12) % GCX__POOL_RECENT];
}

/* Record of @buf and the size of its cell, if both can be told quickly; else 0. */
static inline uint32_t pool_recall(const struct gcx__thread *t, const void *buf,
                                   size_t *ret_cell)
{
  const struct gcx__pool_recent *r;

  *ret_cell = gcx__object_cell(buf);
  if (*ret_cell == 0) {
    r = pool_recent(t, buf);
    if (r->hidden != GCX_HIDE(buf) ||
        r->collection != (uint32_t)gcx__bdw_collections())
      return 0;
    *ret_cell = r->cell;
  }
  return gcx__object_number_in(buf, *ret_cell);
}

static void pool_remember(const struct gcx__thread *t, const void *buf,
                          size_t cell)
{
  if (t == NULL || t->pools == NULL || cell > UINT32_MAX)
    return;
  *pool_recent(t, buf) = (struct gcx__pool_recent){
    .hidden = GCX_HIDE(buf),
    .collection = (uint32_t)gcx__bdw_collections(),
    .cell = (uint32_t)cell,
  };
}

static uint32_t pool_site(const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();

  return gcx__opt.leak == GCX_LEAK_OFF || t == NULL ? 0
                                                    : gcx__trace_site(t, start);
}

static GCX_NOINLINE void pool_return_slowly(struct gcx_pool *p, void *buf,
                                            const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();
  struct gcx__pool_hand *h;
  uint32_t number, state = 0, site;

  if (!pool_is_live(p, "gcx_pool_return", start))
    return;
  h = p->lends_buffers ? gcx__pool_have_hand(t, p->pool) : NULL;
  site = pool_site(start);
  do {
    number = gcx__pool_find_taken(p, buf, &state, start);
    if (number == 0)
      return;
  } while (!gcx__pool_claim(p->pool, number, state, site));
  pool_remember(t, buf, gcx__bdw_cell_bytes(buf));
  gcx__pool_keep(p, h, number, buf, site);
  if (h != NULL)
    h->returned++;
  else
    __atomic_fetch_add(&p->pool->stats.returned, 1, __ATOMIC_RELAXED);
  GCX_KEEP(p);
  GCX_KEEP(buf);
}

/* Taken -> idle, of a buffer whose state the caller has found to be @state. */
static inline bool pool_claim(uint32_t number, uint32_t state, uint32_t site)
{
  if (!gcx__record_change(number, state,
                          state | GCX_FLAG_IDLE | GCX_FLAG_OPTIONAL))
    return false;
  gcx__record_fate(number)->link = site;
  return true;
}

/* Is it taken, of this pool, and nothing else known of it? */
static inline bool pool_is_plain(const struct gcx_pool *p, uint32_t number,
                                 uint32_t state)
{
  const uint32_t harmless =
      GCX_FLAG_ATOMIC | GCX_FLAG_WEAK | GCX_STATE_TABLES | GCX_FLAG_FALSE;

  return !gcx__record_is_inherited(number) &&
         gcx__record_at(number)->type == p->type_number &&
         (state & ~harmless) == (GCX_STATE_LIVE | GCX_FLAG_POOLED);
}

void gcx_pool_return(struct gcx_pool *p, void *buf)
{
  struct gcx__thread *t = gcx__thread_current;
  struct gcx__pool_hand *h = NULL;
  uint32_t number = 0, state = 0, site = 0;
  size_t cell = 0;

  if (buf == NULL)
    return;
  if (pool_can_be_used(p) && p->lends_buffers &&
      (h = gcx__pool_hand(t, p->id)) != NULL)
    number = pool_recall(t, buf, &cell);
  if (GCX_LIKELY(number != 0))
    state = gcx__record_state(number);
  if (GCX_LIKELY(number != 0 && pool_is_plain(p, number, state))) {
    if (gcx__opt.leak != GCX_LEAK_OFF) {
      struct gcx__frame start = GCX__CALLER_FRAME();

      site = gcx__trace_site(t, &start);
    }
    if (GCX_LIKELY(pool_claim(number, state, site))) {
      h->returned++;
      cell -= sizeof(struct gcx__trailer);
      if (GCX_UNLIKELY(gcx__record_at(number)->bytes > p->max_bytes ||
                       p->wipes ||
                       !gcx__pool_hand_put(h, gcx__pool_home(p, cell), number)))
        gcx__pool_keep(p, h, number, buf, site);
      GCX_KEEP(buf);
      return;
    }
  }
  struct gcx__frame start = GCX__CALLER_FRAME();

  pool_return_slowly(p, buf, &start);
}

/* ---- its end */

static void pool_end_idle(struct gcx_pool *p, struct gcx__pool_hand *h,
                          size_t keep_bytes)
{
  struct gcx__pool *pool = p->pool;
  void *object = NULL;
  uint32_t number;

  if (pool->lends_buffers)
    while ((number = gcx__pool_evict(h, pool, keep_bytes, &object)) != 0)
      gcx__pool_end_member(pool, number, object, 0);
  else
    while (pool->shelf[0].count * pool->type.size > keep_bytes &&
           (number = pool_idle_object(p, &object)) != 0)
      gcx__pool_end_member(pool, number, object, 0);
  GCX_KEEP(object);
}

int gcx__pool_dispose(void *obj)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_pool *p = obj;
  struct gcx__pool *pool = p->pool;
  size_t outstanding;

  if (p->signature != GCX__POOL_SIGNATURE)
    return 0; /* its creation failed */
  if (pool->lends_buffers)
    gcx__pool_gather(pool);
  outstanding = gcx__pool_report_outstanding(pool, &start);
  p->signature = 0;
  pool_end_idle(p, NULL, 0);
  if (outstanding == 0)
    gcx__pool_free(pool);
  else
    gcx__pool_end(pool); /* for ever: members of this type are about */
  return 0;
}

/* ---- the rest */

void gcx_pool_trim(struct gcx_pool *p, size_t keep_bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (pool_is_live(p, "gcx_pool_trim", &start))
    pool_end_idle(p, gcx__pool_hand(gcx__thread_self(), p->id), keep_bytes);
  GCX_KEEP(p);
}

void gcx_pool_stats_read(struct gcx_pool *p, struct gcx_pool_stats *ret_stats)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (pool_is_live(p, "gcx_pool_stats_read", &start))
    gcx__pool_sum(p->pool, ret_stats);
  GCX_KEEP(p);
}

void gcx__pool_init(void)
{
  static const struct gcx__termination_steps steps = {
    .known = gcx__pool_mark_idle,
    .clear_long = gcx__pool_clear_dead,
  };

  gcx__termination_add(&steps);
  gcx__finding_on_lent = gcx__pool_reclaim;
}
