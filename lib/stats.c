/* SPDX-License-Identifier: MIT */
/*
 * stats.c - numbers: collections, pauses, objects, memory
 */
#include "../include/gcx/stats.h"

#include "bdw.h"
#include "finding.h"
#include "object.h"
#include "platform.h"
#include "pressure.h"
#include "record.h"
#include "start.h"
#include "type.h"

static bool stats_is_live(uint32_t number)
{
  uint32_t state = gcx__record_state(number);

  switch (state & GCX_STATE_MASK) {
  case GCX_STATE_LIVE:
  case GCX_STATE_LOST:
  case GCX_STATE_REPORTED:
    return (state & (GCX_FLAG_IDLE | GCX_FLAG_CANARY)) == 0;
  default:
    return false;
  }
}

static void stats_objects(struct gcx_stats *s)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);

  for (uint32_t n = 1; n < limit; n++)
    if (gcx__record_object(n) == NULL) {
      continue;
    } else if (stats_is_live(n)) {
      s->objects_live++;
      s->bytes_live += gcx__object_bytes(n);
    } else {
      s->objects_ended++;
    }
}

void gcx_stats_read(struct gcx_stats *ret_stats)
{
  struct gcx__pressure_stats pressure;
  struct gcx__bdw_pauses pauses;
  size_t heap, free_bytes;

  gcx__start();
  gcx__pressure_read(&pressure);
  gcx__bdw_read_pauses(&pauses);
  gcx__bdw_sizes(&heap, &free_bytes);
  *ret_stats = (struct gcx_stats){
    .collections = gcx__bdw_collections(),
    .pauses = pauses.count,
    .pause_total_ns = pauses.total_ns,
    .pause_max_ns = pauses.max_ns,
    .pause_last_ns = pauses.last_ns,
    .induced = pressure.collections,
    .induced_ns = pressure.ns,
    .pressure_bytes = pressure.bytes,
    .abandoned = gcx__finding_count(),
    .heap_bytes = heap,
    .heap_free_bytes = free_bytes,
    .private_bytes = gcx__private_bytes(),
  };
  stats_objects(ret_stats);
}

void gcx_stats_read_type(const struct gcx_type *type,
                         struct gcx_type_stats *ret_stats)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  uint32_t number = type != NULL ? gcx__type_known(type) : 0;
  struct gcx_type_stats s = { 0, 0, 0, 0 };

  for (uint32_t n = 1; number != 0 && n < limit; n++)
    if (gcx__record_at(n)->type == number && gcx__record_object(n) != NULL &&
        stats_is_live(n)) {
      s.live++;
      s.live_bytes += gcx__object_bytes(n);
    }
  if (number != 0) {
    s.disposed = gcx__type_count(number, GCX_TYPE_COUNT_DISPOSED);
    s.abandoned = gcx__type_count(number, GCX_TYPE_COUNT_ABANDONED);
  }
  *ret_stats = s;
}
