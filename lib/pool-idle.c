/* SPDX-License-Identifier: MIT */
/*
 * pool-idle.c - what waits in pools
 *
 * An idle buffer is a record number: on the shelf of its class, which any thread
 * reaches under the lock, or in the hand of a thread, which needs none. Both lie
 * in vm memory, so they keep nothing alive by themselves: the termination phase
 * marks what they name without following it, in every stop (pool-list.c). What a
 * buffer's last user left in it therefore holds nothing.
 *
 * The upper bound of what is kept is a number of tokens, one for each byte.
 * Tokens are in the pool, with a hand that may put so much more into it, or with
 * the buffers on shelves and in hands: their sum is max_kept_bytes, whatever
 * threads do at the same time.
 *
 * A number is written before it counts, and an address is in a register before
 * its number counts no more: a stop anywhere in between finds it one way or the
 * other. A hand whose id is not its pool's any more is void.
 *
 * Idle objects (not buffers) are on the first shelf; the struct gcx_pool itself
 * refers to them.
 */
#include "pool-idle.h"

#include <string.h>

#include "vm.h"

#define SHELF_FIRST 64u

struct gcx__lock gcx__pool_lock = GCX_LOCK_INIT(GCX_RANK_POOLS);

static struct gcx__pools *pool_free_hands;

/* ---- shelves */

static bool shelf_grow(struct gcx__pool_shelf *s)
{
  size_t capacity = s->capacity == 0 ? SHELF_FIRST : s->capacity * 2;
  size_t old_capacity = s->capacity;
  uint32_t *old = s->numbers, *numbers;

  numbers = gcx__vm_map(capacity * sizeof *numbers);
  if (numbers == NULL)
    return false;
  if (old != NULL)
    memcpy(numbers, old, s->count * sizeof *old);
  __atomic_store_n(&s->numbers, numbers, __ATOMIC_RELEASE);
  s->capacity = capacity;
  if (old != NULL)
    gcx__vm_unmap(old, old_capacity * sizeof *old);
  return true;
}

bool gcx__pool_shelve_locked(struct gcx__pool_shelf *s, uint32_t number)
{
  GCX_ASSERT(gcx__lock_held(&gcx__pool_lock));
  if (s->count == s->capacity && !shelf_grow(s))
    return false;
  s->numbers[s->count] = number;
  GCX_DELAY();
  __atomic_store_n(&s->count, s->count + 1, __ATOMIC_RELEASE);
  return true;
}

uint32_t gcx__pool_unshelve_locked(struct gcx__pool_shelf *s, void **ret_object)
{
  uint32_t number;
  void *object;

  GCX_ASSERT(gcx__lock_held(&gcx__pool_lock));
  if (s->count == 0)
    return 0;
  number = s->numbers[s->count - 1];
  object = gcx__record_object(number);
  __asm__ volatile("" : "+r"(object) : : "memory");
  GCX_DELAY();
  __atomic_store_n(&s->count, s->count - 1, __ATOMIC_RELEASE);
  *ret_object = object;
  return number;
}

/* ---- hands */

static struct gcx__pools *pool_hands_new(void)
{
  struct gcx__pools *all;

  gcx__lock(&gcx__pool_lock);
  all = pool_free_hands;
  if (all != NULL)
    pool_free_hands = all->next_free;
  gcx__unlock(&gcx__pool_lock);
  if (all == NULL)
    return gcx__vm_alloc(sizeof *all);
  memset(all, 0, sizeof *all);
  return all;
}

/* What does not fit on a shelf for lack of memory is forgotten: nothing marks it
 * any more. */
static void hand_empty_locked(struct gcx__pool_hand *h)
{
  struct gcx__pool *pool = h->pool;

  if (h->id == 0)
    return;
  if (pool->id == h->id) {
    for (unsigned c = 0; c < GCX__POOL_CLASSES; c++)
      for (uint32_t i = 0; i < h->count[c]; i++)
        if (!gcx__pool_shelve_locked(&pool->shelf[c], h->numbers[c][i]))
          pool->tokens += gcx__pool_class_bytes(c);
    pool->tokens += h->tokens;
    pool->stats.taken += h->taken;
    pool->stats.returned += h->returned;
  }
  __atomic_store_n(&h->id, 0, __ATOMIC_RELEASE);
  h->tokens = 0;
  h->taken = h->returned = 0;
  memset(h->count, 0, sizeof h->count);
}

struct gcx__pool_hand *gcx__pool_have_hand(struct gcx__thread *t,
                                           struct gcx__pool *pool)
{
  struct gcx__pool_hand *h = gcx__pool_hand(t, pool->id);

  if (h != NULL || t == NULL)
    return h;
  if (t->pools == NULL) {
    struct gcx__pools *all = pool_hands_new();

    if (all == NULL)
      return NULL;
    __atomic_store_n(&t->pools, all, __ATOMIC_RELEASE);
  }
  h = &t->pools->hand[pool->id % GCX__POOL_HANDS];
  gcx__lock(&gcx__pool_lock);
  hand_empty_locked(h);
  h->pool = pool;
  __atomic_store_n(&h->id, pool->id, __ATOMIC_RELEASE);
  gcx__unlock(&gcx__pool_lock);
  return h;
}

static void pool_give_hands_locked(struct gcx__thread *t)
{
  struct gcx__pools *all = t->pools;

  __atomic_store_n(&t->pools, NULL, __ATOMIC_RELEASE);
  all->next_free = pool_free_hands;
  pool_free_hands = all;
}

void gcx__pool_thread_leave(struct gcx__thread *t)
{
  if (t->pools == NULL)
    return;
  gcx__lock(&gcx__pool_lock);
  for (size_t i = 0; i < GCX__POOL_HANDS; i++)
    hand_empty_locked(&t->pools->hand[i]);
  pool_give_hands_locked(t);
  gcx__unlock(&gcx__pool_lock);
}

static void pool_each_hand(const struct gcx__pool *pool,
                           void (*fn)(struct gcx__pool_hand *h, void *arg),
                           void *arg)
{
  struct gcx__thread *t;

  gcx__thread_lock();
  for (t = gcx__thread_first(); t != NULL; t = gcx__thread_next(t)) {
    struct gcx__pool_hand *h = gcx__pool_hand(t, pool->id);

    if (h != NULL)
      fn(h, arg);
  }
  gcx__thread_unlock();
}

static void pool_empty_hand(struct gcx__pool_hand *h, void *arg)
{
  (void)arg;
  hand_empty_locked(h);
}

void gcx__pool_gather(struct gcx__pool *pool)
{
  gcx__lock(&gcx__pool_lock);
  pool_each_hand(pool, pool_empty_hand, NULL);
  gcx__unlock(&gcx__pool_lock);
}

/* ---- lending and keeping */

/* More tokens than a hand needs go back to the pool. */
static void hand_settle_locked(struct gcx__pool_hand *h, struct gcx__pool *pool)
{
  size_t fair = pool->config.max_kept_bytes / 8;

  if (h->tokens > fair) {
    pool->tokens += h->tokens - fair;
    h->tokens = fair;
  }
}

uint32_t gcx__pool_get(struct gcx__pool_hand *h, struct gcx__pool *pool,
                       unsigned class, void **ret_object)
{
  struct gcx__pool_shelf *s = &pool->shelf[class];
  uint32_t number = h != NULL ? gcx__pool_hand_get(h, class, ret_object) : 0;

  if (number != 0)
    return number;
  gcx__lock(&gcx__pool_lock);
  number = gcx__pool_unshelve_locked(s, ret_object);
  if (number != 0)
    pool->tokens += gcx__pool_class_bytes(class);
  if (h != NULL) {
    while (h->count[class] < GCX__POOL_AT_HAND / 2 && s->count > 0) {
      h->numbers[class][h->count[class]] = s->numbers[s->count - 1];
      __atomic_store_n(&h->count[class], h->count[class] + 1, __ATOMIC_RELEASE);
      __atomic_store_n(&s->count, s->count - 1, __ATOMIC_RELEASE);
    }
    hand_settle_locked(h, pool);
  }
  gcx__unlock(&gcx__pool_lock);
  return number;
}

/* Room for one more in the hand, if there may be. */
static void hand_make_room_locked(struct gcx__pool_hand *h,
                                  struct gcx__pool *pool, unsigned class)
{
  size_t bytes = gcx__pool_class_bytes(class);
  size_t want =
      GCX_MAX(bytes, GCX_MIN(bytes * 8, pool->config.max_kept_bytes / 8));
  uint32_t *count = &h->count[class];

  while (*count > GCX__POOL_AT_HAND / 2 &&
         gcx__pool_shelve_locked(&pool->shelf[class],
                                 h->numbers[class][*count - 1]))
    __atomic_store_n(count, *count - 1, __ATOMIC_RELEASE);
  if (h->tokens < bytes) {
    want = GCX_MIN(want, pool->tokens);
    h->tokens += want;
    pool->tokens -= want;
  }
}

static bool pool_put_locked(struct gcx__pool_hand *h, struct gcx__pool *pool,
                            unsigned class, uint32_t number)
{
  size_t bytes = gcx__pool_class_bytes(class);

  if (h != NULL) {
    hand_make_room_locked(h, pool, class);
    return gcx__pool_hand_put(h, class, number);
  }
  if (pool->id == 0 || pool->tokens < bytes ||
      !gcx__pool_shelve_locked(&pool->shelf[class], number))
    return false;
  pool->tokens -= bytes;
  return true;
}

bool gcx__pool_put(struct gcx__pool_hand *h, struct gcx__pool *pool,
                   unsigned class, uint32_t number)
{
  bool kept;

  if (h != NULL && gcx__pool_hand_put(h, class, number))
    return true;
  gcx__lock(&gcx__pool_lock);
  kept = pool_put_locked(h, pool, class, number);
  gcx__unlock(&gcx__pool_lock);
  return kept;
}

/* ---- trimming and counting */

static size_t shelves_bytes(const struct gcx__pool *pool)
{
  size_t bytes = 0;

  for (unsigned c = 0; c < GCX__POOL_CLASSES; c++)
    bytes += pool->shelf[c].count * gcx__pool_class_bytes(c);
  return bytes;
}

uint32_t gcx__pool_evict(struct gcx__pool_hand *h, struct gcx__pool *pool,
                         size_t keep_bytes, void **ret_object)
{
  uint32_t number = 0;

  gcx__lock(&gcx__pool_lock);
  if (h != NULL) { /* its tokens come back, too */
    hand_empty_locked(h);
    h->pool = pool;
    __atomic_store_n(&h->id, pool->id, __ATOMIC_RELEASE);
  }
  if (shelves_bytes(pool) > keep_bytes)
    for (unsigned c = GCX__POOL_CLASSES; c-- > 0 && number == 0;) {
      number = gcx__pool_unshelve_locked(&pool->shelf[c], ret_object);
      if (number != 0)
        pool->tokens += gcx__pool_class_bytes(c);
    }
  gcx__unlock(&gcx__pool_lock);
  return number;
}

static void pool_sum_hand(struct gcx__pool_hand *h, void *arg)
{
  struct gcx_pool_stats *s = arg;

  s->taken += __atomic_load_n(&h->taken, __ATOMIC_RELAXED);
  s->returned += __atomic_load_n(&h->returned, __ATOMIC_RELAXED);
  for (unsigned c = 0; c < GCX__POOL_CLASSES; c++) {
    uint32_t n = __atomic_load_n(&h->count[c], __ATOMIC_RELAXED);

    s->idle += n;
    s->idle_bytes += n * gcx__pool_class_bytes(c);
  }
}

void gcx__pool_sum(struct gcx__pool *pool, struct gcx_pool_stats *ret_stats)
{
  gcx__lock(&gcx__pool_lock);
  *ret_stats = pool->stats;
  for (unsigned c = 0; c < GCX__POOL_CLASSES; c++)
    ret_stats->idle += pool->shelf[c].count;
  ret_stats->idle_bytes = pool->lends_buffers
                              ? shelves_bytes(pool)
                              : ret_stats->idle * pool->type.size;
  if (pool->lends_buffers)
    pool_each_hand(pool, pool_sum_hand, ret_stats);
  gcx__unlock(&gcx__pool_lock);
}

/* ---- fork */

void gcx__pool_thread_drop(struct gcx__thread *t)
{
  if (t->pools != NULL)
    pool_give_hands_locked(t);
}
