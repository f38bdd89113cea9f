/* SPDX-License-Identifier: MIT */
/*
 * weak-cell.c - the cells of weak references
 *
 * Cells with a target are on a chain by the hash of its address, so that one
 * whose memory goes back at once, or that moves, finds what knows it. Chains are
 * under gcx__weak_lock and not touched in a stop, where a stopped thread may hold
 * it: a cell whose target died stays on its chain until it is set or freed, and
 * cells of dead references wait on a list of their own for the next who takes the
 * lock. States: weak.c.
 */
#include "weak-cell.h"

#include "vm.h"
#include "weak.h"

#define BUCKETS_FIRST 1024u

struct gcx__lock gcx__weak_lock = GCX_LOCK_INIT(GCX_RANK_WEAK);
struct gcx__weak_chunk *gcx__weak_chunks[GCX__WEAK_CHUNKS];
GCX_NOT_A_ROOT_FROM(gcx__weak_chunks, 0);
uint32_t gcx__weak_limit = 1;
static uint32_t weak_free;
static uint32_t weak_dead; /* chain made in stops */
static uint32_t *weak_buckets;
static uint32_t weak_bucket_count;
static size_t weak_used;

/* ---- chains */

static uint32_t weak_bucket(const void *target)
{
  uint64_t h = ((uintptr_t)target >> 4) * UINT64_C(0x9E3779B97F4A7C15);

  return (uint32_t)(h >> 32) & (weak_bucket_count - 1);
}

static void weak_unlink_locked(uint32_t cell)
{
  struct gcx__weak_links *l = gcx__weak_links_of(cell);

  GCX_ASSERT(gcx__lock_held(&gcx__weak_lock));
  if (l->bucket == 0)
    return;
  if (l->previous != 0)
    gcx__weak_links_of(l->previous)->next = l->next;
  else
    weak_buckets[l->bucket - 1] = l->next;
  if (l->next != 0)
    gcx__weak_links_of(l->next)->previous = l->previous;
  l->next = l->previous = l->bucket = 0;
}

static void weak_link_locked(uint32_t cell, const void *target)
{
  struct gcx__weak_links *l = gcx__weak_links_of(cell);
  uint32_t bucket = weak_bucket(target);

  GCX_ASSERT(l->bucket == 0);
  l->previous = 0;
  l->next = weak_buckets[bucket];
  l->bucket = bucket + 1;
  if (l->next != 0)
    gcx__weak_links_of(l->next)->previous = cell;
  weak_buckets[bucket] = cell;
}

/* A cell whose target is gone is on no chain afterwards. */
static void weak_rehash_locked(void)
{
  for (uint32_t cell = 1; cell < gcx__weak_limit; cell++) {
    struct gcx__weak_links *l = gcx__weak_links_of(cell);
    uintptr_t h = __atomic_load_n(gcx__weak_target_of(cell), __ATOMIC_ACQUIRE);

    if (l->bucket == 0)
      continue;
    l->next = l->previous = l->bucket = 0;
    if (h != 0)
      weak_link_locked(cell, GCX_REVEAL(h));
  }
}

/* As many buckets as there are cells, at least. */
static bool weak_have_buckets_locked(void)
{
  uint32_t count = GCX_MAX(weak_bucket_count * 2, BUCKETS_FIRST);
  uint32_t *buckets;

  if (gcx__weak_limit <= weak_bucket_count)
    return true;
  buckets = gcx__vm_map(count * sizeof *buckets);
  if (buckets == NULL)
    return weak_bucket_count != 0;
  if (weak_buckets != NULL)
    gcx__vm_unmap(weak_buckets, weak_bucket_count * sizeof *buckets);
  weak_buckets = buckets;
  weak_bucket_count = count;
  weak_rehash_locked();
  return true;
}

/* ---- cells */

void gcx__weak_give_locked(uint32_t cell)
{
  weak_unlink_locked(cell);
  gcx__weak_links_of(cell)->next = weak_free;
  weak_free = cell;
  weak_used--;
}

/* Cells of references that stops found dead: still on the chains that they were
 * on. */
static void weak_bury_locked(void)
{
  uint32_t cell = __atomic_exchange_n(&weak_dead, 0, __ATOMIC_ACQ_REL), next;

  for (; cell != 0; cell = next) {
    next = gcx__weak_links_of(cell)->next_dead;
    gcx__weak_give_locked(cell);
  }
}

void gcx__weak_note_dead(uint32_t cell)
{
  gcx__weak_links_of(cell)->next_dead = weak_dead;
  weak_dead = cell;
}

static bool weak_have_chunk_locked(void)
{
  uint32_t index = gcx__weak_limit >> GCX__WEAK_CHUNK_BITS;

  if (index >= GCX__WEAK_CHUNKS)
    return false;
  if (gcx__weak_chunks[index] == NULL) {
    struct gcx__weak_chunk *c = gcx__vm_map(sizeof *c);

    if (c == NULL)
      return false;
    __atomic_store_n(&gcx__weak_chunks[index], c, __ATOMIC_RELEASE);
  }
  return true;
}

/* A cell that is on no chain and not in use; 0: no memory. */
uint32_t gcx__weak_take_locked(void)
{
  uint32_t cell;

  weak_bury_locked();
  if (!weak_have_buckets_locked())
    return 0;
  cell = weak_free;
  if (cell != 0) {
    weak_free = gcx__weak_links_of(cell)->next;
    gcx__weak_links_of(cell)->next = 0;
  } else if (weak_have_chunk_locked()) {
    cell = gcx__weak_limit;
    __atomic_store_n(&gcx__weak_limit, cell + 1, __ATOMIC_RELEASE);
  }
  if (cell != 0)
    weak_used++;
  return cell;
}

void gcx__weak_aim_locked(uint32_t cell, const void *target, bool foreign)
{
  weak_unlink_locked(cell);
  if (foreign)
    gcx__weak_chunk_of(cell)->foreign = true;
  if (target != NULL)
    weak_link_locked(cell, target);
  GCX_DELAY();
  __atomic_store_n(gcx__weak_target_of(cell),
                   target != NULL ? GCX_HIDE(target) : 0, __ATOMIC_RELEASE);
}

/* ---- objects that move or go */

void gcx__weak_follow(void *old, void *now)
{
  uint32_t cell, next;

  gcx__lock(&gcx__weak_lock);
  cell = weak_bucket_count != 0 ? weak_buckets[weak_bucket(old)] : 0;
  for (; cell != 0; cell = next) {
    next = gcx__weak_links_of(cell)->next;
    if (*gcx__weak_target_of(cell) == GCX_HIDE(old))
      gcx__weak_aim_locked(cell, now, false);
  }
  gcx__unlock(&gcx__weak_lock);
}

/* ---- tests */

size_t gcx__weak_count(void)
{
  size_t count;

  gcx__lock(&gcx__weak_lock);
  weak_bury_locked();
  count = weak_used;
  gcx__unlock(&gcx__weak_lock);
  return count;
}

size_t gcx__weak_cells(void)
{
  return __atomic_load_n(&gcx__weak_limit, __ATOMIC_ACQUIRE) - 1;
}

void gcx__weak_check(void)
{
  gcx__lock(&gcx__weak_lock);
  for (uint32_t i = 0; i < weak_bucket_count; i++) {
    uint32_t previous = 0;

    for (uint32_t c = weak_buckets[i]; c != 0;
         c = gcx__weak_links_of(c)->next) {
      GCX_ASSERT(c < gcx__weak_limit);
      GCX_ASSERT(gcx__weak_links_of(c)->bucket == i + 1);
      GCX_ASSERT(gcx__weak_links_of(c)->previous == previous);
      previous = c;
    }
  }
  gcx__unlock(&gcx__weak_lock);
}
