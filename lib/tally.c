/* SPDX-License-Identifier: MIT */
/*
 * tally.c - the sites that most of something come from: two passes, no memory
 *
 * The first pass finds who can be frequent: a site that has a place gets a vote,
 * one that finds none takes a vote from each of those that have (Misra and Gries,
 * 1982). The second one counts.
 */
#include "tally.h"

/* GCX__TALLY_SITES: it is not there. */
static size_t tally_index(const struct gcx__tally *t, uint32_t site)
{
  for (size_t i = 0; i < t->sites; i++)
    if (t->at[i].site == site)
      return i;
  return GCX__TALLY_SITES;
}

static void tally_vote_against_all(struct gcx__tally *t)
{
  size_t kept = 0;

  for (size_t i = 0; i < t->sites; i++)
    if (--t->at[i].count > 0)
      t->at[kept++] = t->at[i];
  t->sites = kept;
}

void gcx__tally_vote(struct gcx__tally *t, uint32_t site)
{
  size_t i = tally_index(t, site);

  if (i == GCX__TALLY_SITES && t->sites < GCX__TALLY_SITES) {
    i = t->sites++;
    t->at[i].site = site;
    t->at[i].count = 0;
  }
  if (i < GCX__TALLY_SITES)
    t->at[i].count++;
  else
    tally_vote_against_all(t);
}

void gcx__tally_begin_count(struct gcx__tally *t)
{
  t->total = 0;
  for (size_t i = 0; i < t->sites; i++)
    t->at[i].count = 0;
}

void gcx__tally_count(struct gcx__tally *t, uint32_t site)
{
  size_t i = tally_index(t, site);

  t->total++;
  if (i < GCX__TALLY_SITES)
    t->at[i].count++;
}

static void tally_swap(struct gcx__tally *t, size_t a, size_t b)
{
  uint32_t site = t->at[a].site;
  size_t count = t->at[a].count;

  t->at[a] = t->at[b];
  t->at[b].site = site;
  t->at[b].count = count;
}

void gcx__tally_end_count(struct gcx__tally *t)
{
  for (size_t i = 1; i < t->sites; i++)
    for (size_t k = i; k > 0 && t->at[k].count > t->at[k - 1].count; k--)
      tally_swap(t, k, k - 1);
}
