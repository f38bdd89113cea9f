/* SPDX-License-Identifier: MIT */
/*
 * weak.c - weak references
 *
 * A reference is an object that names a cell; the cell, off-heap, holds the
 * hidden target and the hidden reference itself:
 *
 *             create                target found dead (stopped)
 *   FREE ---------------> target ----------------------------> none
 *    ^ ^                    ^             gcx_weak_set()         |
 *    | |                    +------------------------------------+
 *    | +-- unlinked --- DEAD <-- the reference is found dead (stopped)
 *    +------------------ gcx_dispose()
 *
 * Cells with a target are on a chain by the hash of its address, so that one
 * whose memory goes back at once, or that moves, finds what knows it. Chains are
 * under weak_lock and not touched in a stop, where a stopped thread may hold it: a
 * cell whose target died stays on its chain until it is set or freed, and cells
 * of dead references wait on a list of their own for the next who takes the lock.
 *
 * Reading takes no lock. The hidden word in a register is no root, the revealed
 * one is; if the cell still holds the same word after it was revealed, the
 * target was alive at the last stop before that and is protected from then on.
 * No cell serves another reference while somebody can read it: a reader keeps
 * the reference, and looks again whether it was disposed.
 */
#include "weak.h"

#include <errno.h>

#include "lock.h"
#include "marker.h"
#include "termination.h"
#include "thing.h"
#include "vm.h"

#define WEAK_SIGNATURE UINT64_C(0x6763782d7765616b) /* "gcx-weak" */
#define CHUNK_BITS 14
#define CHUNK (1u << CHUNK_BITS)
#define CHUNKS 16384u
#define BUCKETS_FIRST 1024u

struct gcx_weak {
  uint64_t signature;
  uintptr_t *target; /* in its cell */
  uint32_t cell;
  uint32_t kind;
};

/* Numbers of cells, 0: none. */
struct weak_links {
  uint32_t next; /* on the chain, or on a list of free or dead ones */
  uint32_t previous;
  uint32_t bucket; /* 1 + bucket, 0: on no chain */
  uint32_t kind;
  uint32_t next_dead;
};

struct weak_chunk {
  uintptr_t target[CHUNK]; /* hidden; 0: none */
  uintptr_t self[CHUNK];   /* hidden; 0: not in use */
  struct weak_links links[CHUNK];
  bool foreign; /* has had a target that is not gcx's */
};

static struct gcx__lock weak_lock = GCX_LOCK_INIT(GCX_RANK_WEAK);
static struct weak_chunk *weak_chunks[CHUNKS];
static uint32_t weak_limit = 1;
static uint32_t weak_free;
static uint32_t weak_dead; /* chain made in stops */
static uint32_t *weak_buckets;
static uint32_t weak_bucket_count;
static size_t weak_used;
static bool weak_long_dead; /* in this stop: long ones with unmarked targets */
static uint32_t weak_found[CHUNK] GCX_NOT_A_ROOT;

static int weak_dispose(void *obj);

static const struct gcx_type weak_type = GCX_TYPE_INIT(
    "gcx_weak", sizeof(struct gcx_weak), GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC,
    NULL, weak_dispose, NULL, NULL);

static struct weak_chunk *weak_chunk_of(uint32_t cell)
{
  return __atomic_load_n(&weak_chunks[cell >> CHUNK_BITS], __ATOMIC_ACQUIRE);
}

static uintptr_t *weak_target_of(uint32_t cell)
{
  return &weak_chunk_of(cell)->target[cell & (CHUNK - 1)];
}

static uintptr_t *weak_self_of(uint32_t cell)
{
  return &weak_chunk_of(cell)->self[cell & (CHUNK - 1)];
}

static struct weak_links *weak_links_of(uint32_t cell)
{
  return &weak_chunk_of(cell)->links[cell & (CHUNK - 1)];
}

/* ---- chains */

static uint32_t weak_bucket(const void *target)
{
  uint64_t h = ((uintptr_t)target >> 4) * UINT64_C(0x9E3779B97F4A7C15);

  return (uint32_t)(h >> 32) & (weak_bucket_count - 1);
}

static void weak_unlink_locked(uint32_t cell)
{
  struct weak_links *l = weak_links_of(cell);

  GCX_ASSERT(gcx__lock_held(&weak_lock));
  if (l->bucket == 0)
    return;
  if (l->previous != 0)
    weak_links_of(l->previous)->next = l->next;
  else
    weak_buckets[l->bucket - 1] = l->next;
  if (l->next != 0)
    weak_links_of(l->next)->previous = l->previous;
  l->next = l->previous = l->bucket = 0;
}

static void weak_link_locked(uint32_t cell, const void *target)
{
  struct weak_links *l = weak_links_of(cell);
  uint32_t bucket = weak_bucket(target);

  GCX_ASSERT(l->bucket == 0);
  l->previous = 0;
  l->next = weak_buckets[bucket];
  l->bucket = bucket + 1;
  if (l->next != 0)
    weak_links_of(l->next)->previous = cell;
  weak_buckets[bucket] = cell;
}

/* A cell whose target is gone is on no chain afterwards. */
static void weak_rehash_locked(void)
{
  for (uint32_t cell = 1; cell < weak_limit; cell++) {
    struct weak_links *l = weak_links_of(cell);
    uintptr_t h = __atomic_load_n(weak_target_of(cell), __ATOMIC_ACQUIRE);

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

  if (weak_limit <= weak_bucket_count)
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

static void weak_give_locked(uint32_t cell)
{
  weak_unlink_locked(cell);
  weak_links_of(cell)->next = weak_free;
  weak_free = cell;
}

/* Cells of references that stops found dead: still on the chains that they were
 * on. */
static void weak_bury_locked(void)
{
  uint32_t cell = __atomic_exchange_n(&weak_dead, 0, __ATOMIC_ACQ_REL), next;

  for (; cell != 0; cell = next) {
    next = weak_links_of(cell)->next_dead;
    weak_give_locked(cell);
    weak_used--;
  }
}

static bool weak_have_chunk_locked(void)
{
  uint32_t index = weak_limit >> CHUNK_BITS;

  if (index >= CHUNKS)
    return false;
  if (weak_chunks[index] == NULL) {
    struct weak_chunk *c = gcx__vm_map(sizeof *c);

    if (c == NULL)
      return false;
    __atomic_store_n(&weak_chunks[index], c, __ATOMIC_RELEASE);
  }
  return true;
}

/* A cell that is on no chain and not in use; 0: no memory. */
static uint32_t weak_take_locked(void)
{
  uint32_t cell;

  weak_bury_locked();
  if (!weak_have_buckets_locked())
    return 0;
  cell = weak_free;
  if (cell != 0) {
    weak_free = weak_links_of(cell)->next;
    weak_links_of(cell)->next = 0;
  } else if (weak_have_chunk_locked()) {
    cell = weak_limit;
    __atomic_store_n(&weak_limit, cell + 1, __ATOMIC_RELEASE);
  }
  if (cell != 0)
    weak_used++;
  return cell;
}

static void weak_aim_locked(uint32_t cell, const void *target, bool foreign)
{
  weak_unlink_locked(cell);
  if (foreign)
    weak_chunk_of(cell)->foreign = true;
  if (target != NULL)
    weak_link_locked(cell, target);
  GCX_DELAY();
  __atomic_store_n(weak_target_of(cell), target != NULL ? GCX_HIDE(target) : 0,
                   __ATOMIC_RELEASE);
}

/* ---- public */

/* 0, or -EINVAL. */
static int weak_know(const void *target, bool *ret_foreign)
{
  *ret_foreign = false;
  if (target == NULL)
    return 0;
  if (!gcx__thing_is_base(target))
    return -EINVAL;
  *ret_foreign = !gcx__thing_know(target);
  return 0;
}

/* Published last: from there on a stop looks at the cell. */
static bool weak_begin(struct gcx_weak *w, void *target, bool foreign)
{
  gcx__lock(&weak_lock);
  w->cell = weak_take_locked();
  if (w->cell != 0) {
    w->target = weak_target_of(w->cell);
    weak_links_of(w->cell)->kind = w->kind;
    weak_aim_locked(w->cell, target, foreign);
    gcx__thing_sign(w, WEAK_SIGNATURE);
    __atomic_store_n(weak_self_of(w->cell), GCX_HIDE(w), __ATOMIC_RELEASE);
  }
  gcx__unlock(&weak_lock);
  return w->cell != 0;
}

struct gcx_weak *gcx_weak_create(void *target, int kind)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_weak *w;
  bool foreign;

  if ((kind != GCX_WEAK_SHORT && kind != GCX_WEAK_LONG) ||
      weak_know(target, &foreign) != 0) {
    errno = EINVAL;
    return NULL;
  }
  w = gcx__thing_new(&weak_type, &start);
  if (w == NULL)
    return NULL;
  w->kind = (uint32_t)kind;
  if (!weak_begin(w, target, foreign)) {
    gcx_discard(w);
    errno = ENOMEM;
    return NULL;
  }
  GCX_KEEP(target);
  return w;
}

void *gcx_weak_get(const struct gcx_weak *w)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uintptr_t h;
  void *p;

  if (GCX_UNLIKELY(
          !gcx__thing_check(w, WEAK_SIGNATURE, "gcx_weak_get", &start)))
    return NULL;
  do {
    h = __atomic_load_n(w->target, __ATOMIC_ACQUIRE);
    if (h == 0)
      return NULL;
    GCX_DELAY();
    p = GCX_REVEAL(h);
    __asm__ volatile("" : "+r"(p) : : "memory");
  } while (GCX_UNLIKELY(__atomic_load_n(w->target, __ATOMIC_ACQUIRE) != h));
  if (GCX_UNLIKELY(!gcx__thing_is(w, WEAK_SIGNATURE)))
    return NULL; /* disposed meanwhile: the cell may be another's */
  GCX_KEEP(w);
  return p;
}

int gcx_weak_set(struct gcx_weak *w, void *target)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int result = -EINVAL;
  bool foreign;

  if (!gcx__thing_check(w, WEAK_SIGNATURE, "gcx_weak_set", &start) ||
      weak_know(target, &foreign) != 0)
    return -EINVAL;
  gcx__lock(&weak_lock);
  if (gcx__thing_is(w, WEAK_SIGNATURE)) {
    weak_aim_locked(w->cell, target, foreign);
    result = 0;
  }
  gcx__unlock(&weak_lock);
  GCX_KEEP(target);
  GCX_KEEP(w);
  return result;
}

static int weak_dispose(void *obj)
{
  struct gcx_weak *w = obj;

  gcx__lock(&weak_lock);
  if (gcx__thing_is(w, WEAK_SIGNATURE)) {
    gcx__thing_sign(w, 0);
    __atomic_store_n(weak_self_of(w->cell), 0, __ATOMIC_RELEASE);
    __atomic_store_n(w->target, 0, __ATOMIC_RELEASE);
    weak_give_locked(w->cell);
    weak_used--;
  }
  gcx__unlock(&weak_lock);
  return 0;
}

void gcx__weak_follow(void *old, void *now)
{
  uint32_t cell, next;

  gcx__lock(&weak_lock);
  cell = weak_bucket_count != 0 ? weak_buckets[weak_bucket(old)] : 0;
  for (; cell != 0; cell = next) {
    next = weak_links_of(cell)->next;
    if (*weak_target_of(cell) == GCX_HIDE(old))
      weak_aim_locked(cell, now, false);
  }
  gcx__unlock(&weak_lock);
}

/* ---- the collection's view; stopped */

/* Cells of a chunk that a stop looks at: [0, n). */
static uint32_t weak_cells_in(uint32_t base)
{
  return GCX_MIN(weak_limit - base, CHUNK);
}

/* Some objects of the chunk may have been freed by hand: bdwgc is asked of each
 * whether it is one. */
static size_t weak_unmarked_foreign(const uintptr_t *target, uint32_t n)
{
  size_t found = 0;

  for (uint32_t i = 0; i < n; i++)
    if (target[i] != 0 && !gcx__thing_is_marked(GCX_REVEAL(target[i])))
      weak_found[found++] = i;
  return found;
}

static void weak_clear(uint32_t base, bool long_ones)
{
  struct weak_chunk *c = weak_chunk_of(base);
  uint32_t n = weak_cells_in(base);
  size_t found = c->foreign ? weak_unmarked_foreign(c->target, n)
                            : gcx__bdw_unmarked(c->target, n, 0, weak_found);

  for (size_t i = 0; i < found; i++) {
    uint32_t cell = weak_found[i];

    if (c->self[cell] == 0)
      continue;
    if (long_ones || c->links[cell].kind == GCX_WEAK_SHORT)
      __atomic_store_n(&c->target[cell], 0, __ATOMIC_RELEASE);
    else
      weak_long_dead = true;
  }
}

/* References that are gone themselves. */
static void weak_drop_dead(uint32_t base)
{
  struct weak_chunk *c = weak_chunk_of(base);
  size_t found = gcx__bdw_unmarked(c->self, weak_cells_in(base), 0, weak_found);

  for (size_t i = 0; i < found; i++) {
    uint32_t cell = weak_found[i];

    c->self[cell] = 0;
    c->target[cell] = 0;
    c->links[cell].next_dead = weak_dead;
    weak_dead = base + cell;
  }
}

static void weak_clear_short(void)
{
  weak_long_dead = false;
  for (uint32_t base = 0; base < weak_limit && weak_limit > 1; base += CHUNK)
    weak_clear(base, false);
}

static void weak_clear_long(void)
{
  for (uint32_t base = 0; base < weak_limit && weak_limit > 1; base += CHUNK) {
    if (weak_long_dead)
      weak_clear(base, true);
    weak_drop_dead(base);
  }
}

static void weak_forget(void)
{
  weak_long_dead = true;
  weak_clear_long();
}

/* No verdict: what is not gcx's would go all the same. */
static void weak_keep(struct gcx__marker *m)
{
  for (uint32_t cell = 1; cell < weak_limit; cell++) {
    uintptr_t h = *weak_target_of(cell);

    if (h != 0 && *weak_self_of(cell) != 0 &&
        gcx__bdw_base(GCX_REVEAL(h)) == GCX_REVEAL(h))
      gcx__marker_add(m, GCX_REVEAL(h));
  }
}

static const struct gcx__termination_steps weak_steps = {
  .clear_short = weak_clear_short,
  .clear_long = weak_clear_long,
  .keep = weak_keep,
  .forget = weak_forget,
};

void gcx__weak_init(void)
{
  gcx__termination_add(&weak_steps);
}

/* ---- tests */

size_t gcx__weak_count(void)
{
  size_t count;

  gcx__lock(&weak_lock);
  weak_bury_locked();
  count = weak_used;
  gcx__unlock(&weak_lock);
  return count;
}

size_t gcx__weak_cells(void)
{
  return __atomic_load_n(&weak_limit, __ATOMIC_ACQUIRE) - 1;
}

void gcx__weak_check(void)
{
  gcx__lock(&weak_lock);
  for (uint32_t i = 0; i < weak_bucket_count; i++) {
    uint32_t previous = 0;

    for (uint32_t c = weak_buckets[i]; c != 0; c = weak_links_of(c)->next) {
      GCX_ASSERT(c < weak_limit);
      GCX_ASSERT(weak_links_of(c)->bucket == i + 1);
      GCX_ASSERT(weak_links_of(c)->previous == previous);
      previous = c;
    }
  }
  gcx__unlock(&weak_lock);
}
