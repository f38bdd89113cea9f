/* SPDX-License-Identifier: MIT */
/*
 * hold.c - holds
 *
 * A hold is an object that points to what it keeps; a cell in memory of gcx's
 * own, which the collector is told to scan, points to the hold. So both stay
 * until the cell is cleared, whoever else has forgotten them. A free cell holds
 * the number of the next one, odd, which no scan takes for a pointer.
 */
#include "../include/gcx/hold.h"

#include <errno.h>

#include "lock.h"
#include "out.h"
#include "roots.h"
#include "thing.h"
#include "vm.h"

#define HOLD_SIGNATURE UINT64_C(0x6763782d686f6c64) /* "gcx-hold" */
#define CHUNK 4096u
#define CHUNKS 65536u

struct gcx_hold {
  uint64_t signature;
  void *object;
  uint32_t cell; /* 1 + index */
};

static struct gcx__lock hold_lock = GCX_LOCK_INIT(GCX_RANK_HOLDS);
static uintptr_t *hold_chunks[CHUNKS];
GCX_NOT_A_ROOT_FROM(hold_chunks, 0);
static uint32_t hold_limit; /* cells there are */
static uint32_t hold_free;  /* 1 + index of the first, 0: none */

static int hold_dispose(void *obj);
static int hold_describe(const void *obj, char *buf, size_t n);

static const struct gcx_type hold_type =
    GCX_TYPE_INIT("gcx_hold", sizeof(struct gcx_hold), 0, NULL, hold_dispose,
                  NULL, hold_describe);

static const struct gcx__thing_kind hold_kind = { HOLD_SIGNATURE, &hold_type,
                                                  "hold" };

static uintptr_t *hold_cell(uint32_t cell)
{
  return &hold_chunks[(cell - 1) / CHUNK][(cell - 1) % CHUNK];
}

static bool hold_have_chunk_locked(void)
{
  uint32_t index = hold_limit / CHUNK;
  uintptr_t *chunk;

  GCX_ASSERT(gcx__lock_held(&hold_lock));
  if (hold_limit % CHUNK != 0)
    return true;
  if (index >= CHUNKS)
    return false;
  chunk = gcx__vm_map(CHUNK * sizeof *chunk);
  if (chunk == NULL)
    return false;
  if (gcx__roots_add(chunk, CHUNK * sizeof *chunk) != 0) {
    gcx__vm_unmap(chunk, CHUNK * sizeof *chunk);
    return false;
  }
  hold_chunks[index] = chunk;
  return true;
}

/* 0: no memory. */
static uint32_t hold_take_locked(void)
{
  uint32_t cell = hold_free;

  if (cell != 0) {
    hold_free = (uint32_t)(*hold_cell(cell) >> 1);
    return cell;
  }
  if (!hold_have_chunk_locked())
    return 0;
  return ++hold_limit;
}

struct gcx_hold *gcx_hold_create(void *obj)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_hold *h;

  if (obj == NULL || gcx__bdw_base(obj) == NULL) {
    errno = EINVAL;
    return NULL;
  }
  h = gcx__thing_new(&hold_type, &start);
  if (h == NULL)
    return NULL;
  h->object = obj;
  gcx__lock(&hold_lock);
  h->cell = hold_take_locked();
  if (h->cell != 0) {
    gcx__thing_sign(h, HOLD_SIGNATURE);
    __atomic_store_n(hold_cell(h->cell), (uintptr_t)h, __ATOMIC_RELEASE);
  }
  gcx__unlock(&hold_lock);
  if (h->cell == 0) {
    gcx_discard(h);
    errno = ENOMEM;
    return NULL;
  }
  return h;
}

void *gcx_hold_get(const struct gcx_hold *h)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (!gcx__thing_check(h, &hold_kind, "gcx_hold_get", &start))
    return NULL;
  return __atomic_load_n(&h->object, __ATOMIC_ACQUIRE);
}

static int hold_dispose(void *obj)
{
  struct gcx_hold *h = obj;

  gcx__thing_sign(h, 0);
  gcx__lock(&hold_lock);
  __atomic_store_n(hold_cell(h->cell), (uintptr_t)hold_free << 1 | 1,
                   __ATOMIC_RELEASE);
  hold_free = h->cell;
  gcx__unlock(&hold_lock);
  __atomic_store_n(&h->object, NULL, __ATOMIC_RELEASE);
  return 0;
}

static int hold_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_hold *h = obj;
  struct gcx__out o;

  gcx__out_init(&o, -1, buf, n);
  gcx__out_fmt(&o, "keeps %p", h->object);
  return 0;
}
