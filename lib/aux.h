/* SPDX-License-Identifier: MIT */
/*
 * aux.h - what only some objects need: owners, touches, sizes over 4 GiB
 *
 * One entry per object that needs one, in a side table; the record's link names
 * it while GCX_FLAG_AUX is set. Everything here is read by the collection's hook
 * too, so each store leaves the structure walkable.
 */
#ifndef GCX_AUX_H
#define GCX_AUX_H

#include "lock.h"
#include "record.h"
#include "report.h"

struct gcx__aux {
  uint32_t number;      /* of the record, 0: free */
  uint32_t owner;       /* record numbers, 0: none */
  uint32_t first_child; /* latest owned first */
  uint32_t next_sibling;
  uint32_t previous_sibling;
  uint32_t dispose_site;
  uint64_t bytes;             /* size, with GCX_FLAG_BIG */
  uint64_t pressure;          /* memory elsewhere that hangs on it, bytes */
  struct gcx__touch *touches; /* ring of GCX__REPORT_TOUCHES, or NULL */
  uint32_t touch_count;       /* ever made */
  uint32_t next_free;
  uint32_t judged; /* what gcx__owner_ends_it() found in a stop, owner.c */
};

extern struct gcx__lock gcx__aux_lock; /* GCX_RANK_OWNERS */

extern size_t gcx__aux_pressure; /* sum of all entries' */
extern size_t gcx__aux_released; /* pressure that ended, until it is counted */

/* Entry of a record, NULL if it has none. With the lock, or stopped. */
struct gcx__aux *gcx__aux_of(uint32_t number);

/* Entry of a record that is not disposed, made if there is none; NULL without
 * memory or if it is disposed. */
struct gcx__aux *gcx__aux_have_locked(uint32_t number);

/* The object was disposed at @site, but its entry stays. */
void gcx__aux_detach_locked(uint32_t number, uint32_t site);

/* The object goes back to its pool: no owner, no touches any more; what it owns
 * stays. */
void gcx__aux_rest_locked(uint32_t number, uint32_t site);

/* The record goes, or needs its entry no more. */
void gcx__aux_release_locked(uint32_t number);
void gcx__aux_release_stopped(uint32_t number);

/* All entries, by index from 1; NULL past the last. Stopped, or with the lock. */
struct gcx__aux *gcx__aux_at(uint32_t index);

size_t gcx__aux_count(void); /* entries in use */

#endif
