/* SPDX-License-Identifier: MIT */
/*
 * judge.h - every unmarked record: finalized, lost, kept or gone
 *
 * Part of the termination phase (termination.c), in the order of the calls below.
 */
#ifndef GCX_JUDGE_H
#define GCX_JUDGE_H

#include "batch.h"
#include "marker.h"

/* World running, before the stop: memory. False: a stop can give no verdict. */
bool gcx__judge_reserve(void);
/* Stopped: is there room for all records? */
bool gcx__judge_has_room(void);

/* Objects that wait for the finalizer thread and what they reach: marked. */
void gcx__judge_keep_waiting(struct gcx__marker *m);
/* What is unreachable only as far as can be seen: whose finalizer or dispose
 * function would run is kept, and nothing is said. Before listing. */
void gcx__judge_keep_undisposed(struct gcx__marker *m);
/* Look at every record; nothing is decided yet. */
void gcx__judge_list(const struct gcx__marker *m);
/* Finalizers of what was listed are due: queued and marked. */
void gcx__judge_finalizables(struct gcx__marker *m);
/* Of what was listed, candidates that are marked by now are not lost. Corpses of
 * earlier collections, and what they reach, are marked. */
void gcx__judge_corpses(struct gcx__marker *m);
/* The other candidates are lost, and marked, with what they reach. */
void gcx__judge_lost(struct gcx__marker *m);
/* What is unmarked goes. */
void gcx__judge_drop_rest(const struct gcx__marker *m);
/* All that was found into @b; false: there is nothing. Then memory must be
 * reserved anew. */
bool gcx__judge_hand_over(struct gcx__marker *m, struct gcx__batch *b);

/* Dispose @object on the finalizer thread; marks it. Nothing if it is none of
 * gcx's or has ended. After gcx__judge_list(), before gcx__judge_lost(). */
void gcx__judge_dispose_later(struct gcx__marker *m, void *object);

/* Is this object unmarked and its disposal owed? */
bool gcx__judge_will_be_lost(const void *object);

/* Calls @fn for every record whose object is unmarked at that moment. */
void gcx__judge_each_unmarked(void (*fn)(uint32_t number));
/* Its object goes. */
void gcx__judge_drop(uint32_t number);

size_t gcx__judge_unmarked(void);   /* listed in the latest stop */
uint32_t gcx__judge_canaries(void); /* found dead since start */

/* In the child of a fork: what the parent allocated is dropped in silence when
 * it becomes unreachable (gcx__record_inherited). Adopt: no more. */
void gcx__judge_adopt(void);

#endif
