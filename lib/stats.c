/* SPDX-License-Identifier: MIT */
/*
 * stats.c - numbers: collections, pauses, objects, memory
 */
#include "../include/gcx/stats.h"

#include <errno.h>

#include "bdw.h"
#include "finding.h"
#include "object.h"
#include "platform.h"
#include "pressure.h"
#include "record.h"
#include "start.h"
#include "thread.h"
#include "type.h"
#include "vm.h"

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

/* ---- by type */

static void stats_add_live(struct gcx_type_stats *s, uint32_t number)
{
  s->live++;
  s->live_bytes += gcx__object_bytes(number);
}

/* What is counted since start: no look at records. */
static void stats_add_ended(struct gcx_type_stats *s, uint32_t type)
{
  uint64_t plain, blocks;

  gcx__thread_count_ended(&plain, &blocks);
  s->disposed = gcx__type_count(type, GCX_TYPE_COUNT_DISPOSED);
  s->abandoned = gcx__type_count(type, GCX_TYPE_COUNT_ABANDONED);
  if (type == 0)
    s->disposed += plain;
  else if (gcx__type_at(type) == &gcx__type_block)
    s->disposed += blocks;
}

/* Type of the live object that has this record. False: there is none. */
static bool stats_type(uint32_t number, uint32_t *ret_type)
{
  *ret_type = gcx__record_at(number)->type;
  return gcx__record_object(number) != NULL && stats_is_live(number);
}

void gcx_stats_read_type(const struct gcx_type *type,
                         struct gcx_type_stats *ret_stats)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  uint32_t wanted = type != NULL ? gcx__type_known(type) : 0;
  struct gcx_type_stats s = { 0, 0, 0, 0 };
  uint32_t its;

  if (type == NULL || wanted != 0) {
    for (uint32_t n = 1; n < limit; n++)
      if (stats_type(n, &its) && its == wanted)
        stats_add_live(&s, n);
    stats_add_ended(&s, wanted);
  }
  *ret_stats = s;
}

int gcx_stats_visit_types(gcx_stats_type_fn fn, void *arg)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  uint32_t types = gcx__type_last() + 1, type;
  size_t bytes = types * sizeof(struct gcx_type_stats);
  struct gcx_type_stats *all = gcx__vm_map(bytes);

  if (all == NULL)
    return -ENOMEM;
  for (uint32_t n = 1; n < limit; n++)
    if (stats_type(n, &type) && type < types)
      stats_add_live(&all[type], n);
  for (type = 0; type < types; type++) {
    stats_add_ended(&all[type], type);
    if (all[type].live + all[type].disposed + all[type].abandoned > 0)
      fn(type == 0 ? "plain memory" : gcx__type_at(type)->name, &all[type],
         arg);
  }
  gcx__vm_unmap(all, bytes);
  return 0;
}
