/* SPDX-License-Identifier: MIT */
/*
 * weak-cell.h - the cells of weak references: what lies off-heap
 */
#ifndef GCX_WEAK_CELL_H
#define GCX_WEAK_CELL_H

#include "lock.h"

#define GCX__WEAK_CHUNK_BITS 14
#define GCX__WEAK_CHUNK (1u << GCX__WEAK_CHUNK_BITS)
#define GCX__WEAK_CHUNKS 16384u

/* Numbers of cells, 0: none. */
struct gcx__weak_links {
  uint32_t next; /* on the chain, or on a list of free or dead ones */
  uint32_t previous;
  uint32_t bucket; /* 1 + bucket, 0: on no chain */
  uint32_t kind;
  uint32_t next_dead;
};

struct gcx__weak_chunk {
  uintptr_t target[GCX__WEAK_CHUNK]; /* hidden; 0: none */
  uintptr_t self[GCX__WEAK_CHUNK];   /* hidden; 0: not in use */
  struct gcx__weak_links links[GCX__WEAK_CHUNK];
  bool foreign; /* has had a target that is not gcx's */
};

extern struct gcx__lock gcx__weak_lock GCX_HIDDEN; /* GCX_RANK_WEAK */
extern struct gcx__weak_chunk *gcx__weak_chunks[GCX__WEAK_CHUNKS] GCX_HIDDEN;
extern uint32_t gcx__weak_limit GCX_HIDDEN; /* cells that ever were, and one */

static inline struct gcx__weak_chunk *gcx__weak_chunk_of(uint32_t cell)
{
  return __atomic_load_n(&gcx__weak_chunks[cell >> GCX__WEAK_CHUNK_BITS],
                         __ATOMIC_ACQUIRE);
}

static inline uintptr_t *gcx__weak_target_of(uint32_t cell)
{
  return &gcx__weak_chunk_of(cell)->target[cell & (GCX__WEAK_CHUNK - 1)];
}

static inline uintptr_t *gcx__weak_self_of(uint32_t cell)
{
  return &gcx__weak_chunk_of(cell)->self[cell & (GCX__WEAK_CHUNK - 1)];
}

static inline struct gcx__weak_links *gcx__weak_links_of(uint32_t cell)
{
  return &gcx__weak_chunk_of(cell)->links[cell & (GCX__WEAK_CHUNK - 1)];
}

/* A cell that is on no chain and not in use; 0: no memory. */
uint32_t gcx__weak_take_locked(void);

/* It is not in use any more. */
void gcx__weak_give_locked(uint32_t cell);

/* Its target is another one from here on, or NULL; @foreign: not gcx's. */
void gcx__weak_aim_locked(uint32_t cell, const void *target, bool foreign);

/* Stopped: its reference is dead. The next who takes the lock gives it back. */
void gcx__weak_note_dead(uint32_t cell);

#endif
