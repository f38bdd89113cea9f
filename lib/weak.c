/* SPDX-License-Identifier: MIT */
/*
 * weak.c - weak references
 *
 * A reference is an object that names a cell; the cell, off-heap, holds the
 * hidden target and the hidden reference itself (weak-cell.c):
 *
 *             create                target found dead (stopped)
 *   FREE ---------------> target ----------------------------> none
 *    ^ ^                    ^             gcx_weak_set()         |
 *    | |                    +------------------------------------+
 *    | +-- unlinked --- DEAD <-- the reference is found dead (stopped)
 *    +------------------ gcx_dispose()
 *
 * Reading takes no lock. The hidden word in a register is no root, the revealed
 * one is; if the cell still holds the same word after it was revealed, the
 * target was alive at the last stop before that and is protected from then on.
 * No cell serves another reference while somebody can read it: a reader keeps
 * the reference, and looks again whether it was disposed.
 */
#include "weak.h"

#include <errno.h>

#include "marker.h"
#include "termination.h"
#include "thing.h"
#include "weak-cell.h"
#include "words.h"

#define WEAK_SIGNATURE UINT64_C(0x6763782d7765616b) /* "gcx-weak" */

struct gcx_weak {
  uint64_t signature;
  uintptr_t *target; /* in its cell */
  uint32_t cell;
  uint32_t kind;
};

static bool weak_long_dead; /* in this stop: long ones with unmarked targets */
static uint32_t weak_found[GCX__WEAK_CHUNK] GCX_NOT_A_ROOT;

static int weak_dispose(void *obj);

static const struct gcx_type weak_type = GCX_TYPE_INIT(
    "gcx_weak", sizeof(struct gcx_weak), GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC,
    NULL, weak_dispose, NULL, NULL);

static const struct gcx__thing_kind weak_kind = { WEAK_SIGNATURE, &weak_type,
                                                  "weak reference" };

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
  gcx__lock(&gcx__weak_lock);
  w->cell = gcx__weak_take_locked();
  if (w->cell != 0) {
    w->target = gcx__weak_target_of(w->cell);
    gcx__weak_links_of(w->cell)->kind = w->kind;
    gcx__weak_aim_locked(w->cell, target, foreign);
    gcx__thing_sign(w, WEAK_SIGNATURE);
    __atomic_store_n(gcx__weak_self_of(w->cell), GCX_HIDE(w), __ATOMIC_RELEASE);
  }
  gcx__unlock(&gcx__weak_lock);
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

  if (GCX_UNLIKELY(!gcx__thing_check(w, &weak_kind, "gcx_weak_get", &start)))
    return NULL;
  do {
    h = __atomic_load_n(w->target, __ATOMIC_ACQUIRE);
    if (h == 0)
      return NULL;
    GCX_DELAY_HIDDEN(h);
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

  if (!gcx__thing_check(w, &weak_kind, "gcx_weak_set", &start) ||
      weak_know(target, &foreign) != 0)
    return -EINVAL;
  gcx__lock(&gcx__weak_lock);
  if (gcx__thing_is(w, WEAK_SIGNATURE)) {
    gcx__weak_aim_locked(w->cell, target, foreign);
    result = 0;
  }
  gcx__unlock(&gcx__weak_lock);
  GCX_KEEP(target);
  GCX_KEEP(w);
  return result;
}

static int weak_dispose(void *obj)
{
  struct gcx_weak *w = obj;

  gcx__lock(&gcx__weak_lock);
  if (gcx__thing_is(w, WEAK_SIGNATURE)) {
    gcx__thing_sign(w, 0);
    __atomic_store_n(gcx__weak_self_of(w->cell), 0, __ATOMIC_RELEASE);
    __atomic_store_n(w->target, 0, __ATOMIC_RELEASE);
    gcx__weak_give_locked(w->cell);
  }
  gcx__unlock(&gcx__weak_lock);
  return 0;
}

/* ---- the collection's view; stopped */

/* Cells of a chunk that a stop looks at: [0, n). */
static uint32_t weak_cells_in(uint32_t base)
{
  return GCX_MIN(gcx__weak_limit - base, GCX__WEAK_CHUNK);
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
  struct gcx__weak_chunk *c = gcx__weak_chunk_of(base);
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
  struct gcx__weak_chunk *c = gcx__weak_chunk_of(base);
  size_t found = gcx__bdw_unmarked(c->self, weak_cells_in(base), 0, weak_found);

  for (size_t i = 0; i < found; i++) {
    uint32_t cell = weak_found[i];

    c->self[cell] = 0;
    c->target[cell] = 0;
    gcx__weak_note_dead(base + cell);
  }
}

static void weak_clear_short(void)
{
  weak_long_dead = false;
  for (uint32_t base = 0; base < gcx__weak_limit && gcx__weak_limit > 1;
       base += GCX__WEAK_CHUNK)
    weak_clear(base, false);
}

static void weak_clear_long(void)
{
  for (uint32_t base = 0; base < gcx__weak_limit && gcx__weak_limit > 1;
       base += GCX__WEAK_CHUNK) {
    if (weak_long_dead)
      weak_clear(base, true);
    weak_drop_dead(base);
  }
}

/* The cell's reference is still what it was. */
static bool weak_is_of(uint32_t cell)
{
  const struct gcx_weak *w = GCX_REVEAL(*gcx__weak_self_of(cell));

  return gcx__thing_is_marked(w) && gcx__thing_is(w, WEAK_SIGNATURE) &&
         w->cell == cell;
}

static void weak_forget(void)
{
  weak_long_dead = true;
  for (uint32_t cell = 1; cell < gcx__weak_limit; cell++)
    if (*gcx__weak_self_of(cell) != 0) {
      *gcx__weak_target_of(cell) = 0;
      if (!weak_is_of(cell)) {
        *gcx__weak_self_of(cell) = 0;
        gcx__weak_note_dead(cell);
      }
    }
  weak_clear_long();
}

static void weak_add_words(void)
{
  for (uint32_t cell = 1; cell < gcx__weak_limit; cell++)
    if (*gcx__weak_self_of(cell) != 0) {
      gcx__words_add(~*gcx__weak_self_of(cell));
      if (*gcx__weak_target_of(cell) != 0)
        gcx__words_add(~*gcx__weak_target_of(cell));
    }
}

/* No verdict: what is not gcx's would go all the same. */
static void weak_keep(struct gcx__marker *m)
{
  for (uint32_t cell = 1; cell < gcx__weak_limit; cell++) {
    uintptr_t h = *gcx__weak_target_of(cell);

    if (h != 0 && *gcx__weak_self_of(cell) != 0 &&
        gcx__bdw_base(GCX_REVEAL(h)) == GCX_REVEAL(h))
      gcx__marker_add(m, GCX_REVEAL(h));
  }
}

static const struct gcx__termination_steps weak_steps = {
  .clear_short = weak_clear_short,
  .clear_long = weak_clear_long,
  .keep = weak_keep,
  .forget = weak_forget,
  .unseen = weak_add_words,
};

void gcx__weak_init(void)
{
  gcx__termination_add(&weak_steps);
}
