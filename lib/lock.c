/* SPDX-License-Identifier: MIT */
/*
 * lock.c - ranked locks
 *
 * Each thread keeps the list of locks it holds; acquiring one whose rank is not
 * above all of them is a gcx bug, found at the first such call and not at the
 * first deadlock. The list is thread-local in the initial-exec model, so that
 * asking (gcx__lock_any_held() on every capture) is one load, and no first
 * touch can allocate.
 *
 * Each rank is one lock, so that a table by rank knows all that were ever taken:
 * fork walks it. A lock that is first taken while another thread forks may be
 * missed by gcx__lock_all(), not by gcx__lock_reinit_all(): it is entered in the
 * table before it is taken.
 *
 * A trylock can't deadlock: it may go against the order.
 */
#include "lock.h"

#include <string.h>

#include "platform.h"

__thread uint32_t gcx__lock_held_count
    __attribute__((tls_model("initial-exec")));
static __thread const struct gcx__lock *lock_held[GCX_RANK_COUNT]
    __attribute__((tls_model("initial-exec")));
static uint64_t lock_count;
static struct gcx__lock *lock_known[GCX_RANK_COUNT];

static enum gcx__rank highest_rank_held(void)
{
  enum gcx__rank highest = 0;

  for (uint32_t i = 0; i < gcx__lock_held_count; i++) {
    highest = GCX_MAX(highest, lock_held[i]->rank);
  }
  return highest;
}

static void list_add(struct gcx__lock *l)
{
  GCX_ASSERT(gcx__lock_held_count < GCX_ARRAY_LENGTH(lock_held));
  lock_held[gcx__lock_held_count++] = l;
  __atomic_store_n(&l->holder, gcx__tid(), __ATOMIC_RELAXED);
}

static void lock_enter_known(struct gcx__lock *l)
{
  struct gcx__lock *none = NULL;

  GCX_ASSERT(l->rank > 0 && l->rank < GCX_RANK_COUNT);
  if (GCX_UNLIKELY(__atomic_load_n(&lock_known[l->rank], __ATOMIC_RELAXED) ==
                   NULL)) {
    (void)__atomic_compare_exchange_n(&lock_known[l->rank], &none, l, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  }
}

/* True if @l was on the list. Locks may be released in any order. */
static bool list_remove(const struct gcx__lock *l)
{
  for (uint32_t i = gcx__lock_held_count; i > 0; i--) {
    if (lock_held[i - 1] == l) {
      memmove(&lock_held[i - 1], &lock_held[i],
              (gcx__lock_held_count - i) * sizeof(lock_held[0]));
      gcx__lock_held_count--;
      return true;
    }
  }
  return false;
}

void gcx__lock(struct gcx__lock *l)
{
  int failure;

  GCX_ASSERT(l->rank > highest_rank_held());
  lock_enter_known(l);
  __atomic_add_fetch(&lock_count, 1, __ATOMIC_RELAXED);
  failure = pthread_mutex_lock(&l->mutex);
  GCX_ASSERT(failure == 0);
  list_add(l);
}

bool gcx__trylock(struct gcx__lock *l)
{
  lock_enter_known(l);
  if (gcx__lock_held(l) || pthread_mutex_trylock(&l->mutex) != 0) {
    return false;
  }
  __atomic_add_fetch(&lock_count, 1, __ATOMIC_RELAXED);
  list_add(l);
  return true;
}

void gcx__unlock(struct gcx__lock *l)
{
  bool was_held = list_remove(l);
  int failure;

  GCX_ASSERT(was_held);
  __atomic_store_n(&l->holder, 0, __ATOMIC_RELAXED);
  failure = pthread_mutex_unlock(&l->mutex);
  GCX_ASSERT(failure == 0);
}

bool gcx__lock_held(const struct gcx__lock *l)
{
  for (uint32_t i = 0; i < gcx__lock_held_count; i++) {
    if (lock_held[i] == l) {
      return true;
    }
  }
  return false;
}

void gcx__lock_reinit(struct gcx__lock *l)
{
  static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

  (void)list_remove(l);
  l->mutex = fresh;
  l->holder = 0;
}

static struct gcx__lock *lock_of_rank(size_t rank)
{
  return __atomic_load_n(&lock_known[rank], __ATOMIC_ACQUIRE);
}

void gcx__lock_all(void)
{
  for (size_t rank = 1; rank < GCX_RANK_MODULES; rank++) {
    if (lock_of_rank(rank) != NULL) {
      gcx__lock(lock_of_rank(rank));
    }
  }
}

void gcx__unlock_all(void)
{
  for (size_t rank = GCX_RANK_COUNT; rank-- > 1;) {
    if (lock_of_rank(rank) != NULL && gcx__lock_held(lock_of_rank(rank))) {
      gcx__unlock(lock_of_rank(rank));
    }
  }
}

void gcx__lock_reinit_all(void)
{
  for (size_t rank = 1; rank < GCX_RANK_COUNT; rank++) {
    if (lock_of_rank(rank) != NULL) {
      gcx__lock_reinit(lock_of_rank(rank));
    }
  }
}

uint64_t gcx__lock_count(void)
{
  return __atomic_load_n(&lock_count, __ATOMIC_RELAXED);
}
