/* SPDX-License-Identifier: MIT */
/*
 * tally.h - the sites that most of something come from: two passes, no memory
 */
#ifndef GCX_TALLY_H
#define GCX_TALLY_H

#include "assert.h"

#define GCX__TALLY_SITES 8u

/* Zeroed to begin with. */
struct gcx__tally {
  size_t total; /* all that were counted, whatever their site */
  size_t sites; /* of the following, most first */
  struct {
    uint32_t site;
    size_t count;
  } at[GCX__TALLY_SITES];
};

/* First pass, once for each: what more than a ninth of them come from is among
 * @t->at afterwards. */
void gcx__tally_vote(struct gcx__tally *t, uint32_t site);

/* Second pass: between these, the same once more; what has changed since the
 * first one is counted as it is now. */
void gcx__tally_begin_count(struct gcx__tally *t);
void gcx__tally_count(struct gcx__tally *t, uint32_t site);
void gcx__tally_end_count(struct gcx__tally *t);

#endif
