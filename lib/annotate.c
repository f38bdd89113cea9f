/* SPDX-License-Identifier: MIT */
/*
 * annotate.c - blocks of the program's own allocators
 *
 * A block that is taken gets a token: an object of gcx's, born where it was
 * taken, which a table keeps alive. Returning the block disposes the token;
 * when the region ends, the table lets go, and a token that is not disposed is
 * lost like any object. So a finding needs no guess about the block itself:
 * whether anything in the program still points to it makes no difference.
 *
 *   taken --returned--> disposed token, stays until the block is taken again
 *     |                 or its region ends: a second return is recognised
 *     +----region ends--> lost
 *
 * The table hides the addresses of blocks: a block may lie in memory of the
 * collected heap, which it must not keep alive. Its tokens are scanned. Objects
 * are made and disposed without the lock.
 */
#include "annotate.h"

#include "../include/gcx/annotate.h"

#include <string.h>

#include "alloc.h"
#include "lock.h"
#include "out.h"
#include "roots.h"
#include "thing.h"
#include "vm.h"

struct token {
  uintptr_t hidden;
  size_t bytes;
};

struct annotate_entry {
  uintptr_t hidden; /* 0: free */
  struct token *token;
};

struct annotate_region {
  struct annotate_region *next;
  uintptr_t hidden; /* 0: not in use */
  size_t bytes;
  bool is_root;
};

static struct gcx__lock annotate_lock = GCX_LOCK_INIT(GCX_RANK_ANNOTATE);
static struct annotate_entry *annotate_table;
static size_t annotate_room; /* a power of two, or 0 */
static size_t annotate_used;
static struct annotate_region *annotate_regions; /* never freed, used again */

static int token_describe(const void *obj, char *buf, size_t n)
{
  const struct token *t = obj;
  struct gcx__out o;

  gcx__out_init(&o, -1, buf, n);
  gcx__out_fmt(&o, "%zu bytes at %p, taken and not returned", t->bytes,
               GCX_REVEAL(t->hidden));
  return 0;
}

static const struct gcx_type token_type =
    GCX_TYPE_INIT("block", sizeof(struct token), GCX_TYPE_ATOMIC, NULL, NULL,
                  NULL, token_describe);

/* ---- the table; under the lock */

static struct annotate_entry *annotate_slot_in(struct annotate_entry *table,
                                               size_t room, uintptr_t hidden)
{
  size_t i = (size_t)((hidden * UINT64_C(0x9E3779B97F4A7C15)) >> 20);

  while (table[i & (room - 1)].hidden != 0 &&
         table[i & (room - 1)].hidden != hidden)
    i++;
  return &table[i & (room - 1)];
}

/* The block's entry, NULL if there is none. */
static struct annotate_entry *annotate_find_locked(const void *block)
{
  struct annotate_entry *e;

  GCX_ASSERT(gcx__lock_held(&annotate_lock));
  if (annotate_room == 0)
    return NULL;
  e = annotate_slot_in(annotate_table, annotate_room, GCX_HIDE(block));
  return e->hidden != 0 ? e : NULL;
}

static bool annotate_is_in(const struct annotate_entry *e, uintptr_t start,
                           size_t bytes)
{
  return (uintptr_t)GCX_REVEAL(e->hidden) - start < bytes;
}

/* A table of @room entries, without those of a region that has ended. */
static bool annotate_move_locked(size_t room, uintptr_t start, size_t bytes)
{
  struct annotate_entry *old = annotate_table, *made;
  size_t old_room = annotate_room;

  made = gcx__vm_map(room * sizeof *made);
  if (made == NULL)
    return false;
  if (gcx__roots_add(made, room * sizeof *made) != 0) {
    gcx__vm_unmap(made, room * sizeof *made);
    return false;
  }
  annotate_used = 0;
  for (size_t i = 0; i < old_room; i++) {
    if (old[i].hidden == 0 || annotate_is_in(&old[i], start, bytes))
      continue;
    *annotate_slot_in(made, room, old[i].hidden) = old[i];
    annotate_used++;
  }
  annotate_table = made;
  annotate_room = room;
  if (old != NULL) {
    gcx__roots_remove(old, old_room * sizeof *old);
    gcx__vm_unmap(old, old_room * sizeof *old);
  }
  return true;
}

static bool annotate_put_locked(const void *block, struct token *token,
                                struct token **ret_old)
{
  struct annotate_entry *e;

  if ((annotate_used + 1) * 4 > annotate_room * 3 &&
      !annotate_move_locked(annotate_room != 0 ? 2 * annotate_room : 1024, 0,
                            0))
    return false;
  e = annotate_slot_in(annotate_table, annotate_room, GCX_HIDE(block));
  annotate_used += e->hidden == 0;
  *ret_old = e->token;
  e->hidden = GCX_HIDE(block);
  e->token = token;
  return true;
}

size_t gcx__annotate_count(void)
{
  size_t count;

  gcx__lock(&annotate_lock);
  count = annotate_used;
  gcx__unlock(&annotate_lock);
  return count;
}

/* ---- blocks */

void gcx_block_taken(const void *block, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct token *token, *old = NULL;
  bool known;

  if (block == NULL)
    return;
  token = gcx__thing_new(&token_type, &start);
  if (token == NULL)
    return;
  token->hidden = GCX_HIDE(block);
  token->bytes = bytes;
  gcx__lock(&annotate_lock);
  known = annotate_put_locked(block, token, &old);
  gcx__unlock(&annotate_lock);
  if (!known)
    gcx_discard(token);
  else if (!gcx_is_disposed(old))
    gcx_discard(old);
}

/* The token that the table has for it, kept by the caller's stack. */
static struct token *annotate_token(const void *block)
{
  const struct annotate_entry *e;
  struct token *token;

  gcx__lock(&annotate_lock);
  e = annotate_find_locked(block);
  token = e != NULL ? e->token : NULL;
  gcx__unlock(&annotate_lock);
  return token;
}

void gcx_block_returned(const void *block)
{
  gcx_dispose(annotate_token(block));
}

void gcx_block_ignore(const void *block)
{
  struct token *token = annotate_token(block);
  uint32_t number = 0;

  if (token != NULL)
    gcx_suppress_finalize(token);
  else if (gcx__object_find(block, &number) == GCX_FOUND)
    gcx_suppress_finalize((void *)(uintptr_t)block);
}

/* ---- regions */

static struct annotate_region *annotate_region_locked(uintptr_t hidden)
{
  struct annotate_region *r = annotate_regions;

  while (r != NULL && r->hidden != hidden)
    r = r->next;
  return r;
}

void gcx_region_begin(void *start, size_t bytes)
{
  struct annotate_region *r;
  bool is_root;

  if (start == NULL || bytes == 0)
    return;
  /* in the collected heap it is scanned as what it is */
  is_root = gcx__bdw_base(start) == NULL && gcx__roots_add(start, bytes) == 0;
  gcx__lock(&annotate_lock);
  r = annotate_region_locked(0);
  if (r == NULL && (r = gcx__vm_alloc(sizeof *r)) != NULL) {
    r->next = annotate_regions;
    annotate_regions = r;
  }
  if (r != NULL) {
    r->hidden = GCX_HIDE(start);
    r->bytes = bytes;
    r->is_root = is_root;
  }
  gcx__unlock(&annotate_lock);
  if (r == NULL && is_root)
    gcx__roots_remove(start, bytes);
}

/* Without memory for a smaller table its entries stay, and are not lost. */
void gcx_region_end(void *start)
{
  struct annotate_region *r, ended = { 0 };

  if (start == NULL)
    return;
  gcx__lock(&annotate_lock);
  r = annotate_region_locked(GCX_HIDE(start));
  if (r != NULL) {
    ended = *r;
    r->hidden = 0;
    if (annotate_room != 0)
      (void)annotate_move_locked(annotate_room, (uintptr_t)start, r->bytes);
  }
  gcx__unlock(&annotate_lock);
  if (ended.is_root)
    gcx__roots_remove(start, ended.bytes);
}
