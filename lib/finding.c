/* SPDX-License-Identifier: MIT */
/*
 * finding.c - from what a collection found to reports
 *
 * Objects of one collection, type and allocation stack make one finding; those
 * held only by other lost objects are counted with the one that holds them. With
 * leak=dispose nothing is said: what is lost is disposed, holders before what
 * they hold, owned objects by their owners.
 */
#include "finding.h"

#include <string.h>

#include "../include/gcx/collector.h"
#include "aux.h"
#include "classify.h"
#include "judge.h"
#include "lifecycle.h"
#include "misuse.h"
#include "object.h"
#include "options.h"
#include "order.h"
#include "owner.h"
#include "record.h"
#include "report.h"
#include "type.h"
#include "vm.h"
#include "window.h"

static size_t finding_total;

void gcx__finding_add(size_t n)
{
  __atomic_fetch_add(&finding_total, n, __ATOMIC_ACQ_REL);
}

size_t gcx__finding_count(void)
{
  return __atomic_load_n(&finding_total, __ATOMIC_ACQUIRE);
}

/* ---- groups */

/* Findings in the making: one report per (site, type), found through a table. */
struct finding_set {
  struct gcx_report *reports;
  size_t count;
  size_t capacity;
  uint32_t *slots; /* 1 + index */
  size_t slot_count;
  uint32_t *of; /* index in the batch -> 1 + index of its report */
  size_t bytes; /* of the mapping, which begins at reports */
};

static size_t finding_slots_for(size_t n)
{
  size_t slots = 64;

  while (slots < 2 * n)
    slots *= 2;
  return slots;
}

static bool finding_set_init(struct finding_set *s, size_t objects)
{
  s->capacity = objects;
  s->slot_count = finding_slots_for(objects);
  s->bytes = objects * sizeof *s->reports +
             (s->slot_count + objects) * sizeof *s->slots;
  s->reports = gcx__vm_map(s->bytes);
  if (s->reports == NULL)
    return false;
  s->slots = (uint32_t *)(void *)(s->reports + objects);
  s->of = s->slots + s->slot_count;
  s->count = 0;
  return true;
}

static struct gcx_report *finding_of(struct finding_set *s, uint32_t number,
                                     bool *ret_is_new, uint32_t *ret_index)
{
  const struct gcx__record *r = gcx__record_at(number);
  uint64_t h =
      ((uint64_t)r->site << 32 | r->type) * UINT64_C(0x9E3779B97F4A7C15);

  for (uint64_t i = h >> 20;; i++) {
    uint32_t *slot = &s->slots[i & (s->slot_count - 1)];
    struct gcx_report *found;

    *ret_is_new = *slot == 0;
    if (*slot == 0)
      *slot = (uint32_t)++s->count;
    found = &s->reports[*slot - 1];
    *ret_index = *slot;
    if (*ret_is_new) {
      found->use_site = number; /* the record it stands for, until filled */
      return found;
    }
    if (gcx__record_at(found->use_site)->site == r->site &&
        gcx__record_at(found->use_site)->type == r->type)
      return found;
  }
}

/* ---- one finding */

static void finding_window(struct gcx_report *r, uint32_t stop)
{
  r->has_window = true;
  gcx__window_moment(stop - 1, &r->last_seen);
  gcx__window_moment(stop, &r->gone);
  if (stop == 1 || (int32_t)(r->birth_ms - r->last_seen.ms) > 0) {
    r->last_seen.ms = r->birth_ms; /* born since the collection before */
    r->last_seen.breadcrumb[0] = '\0';
  }
}

static void finding_group(struct finding_set *s, const struct gcx__lost *lost,
                          size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct gcx_report *r;
    bool is_new;

    if (lost[i].head != i)
      continue;
    r = finding_of(s, lost[i].number, &is_new, &s->of[i]);
    r->count++;
    r->total_bytes += gcx__object_bytes(lost[i].number);
  }
  for (size_t i = 0; i < n; i++) {
    struct gcx_report *r;
    bool is_new;

    if (lost[i].head == i)
      continue;
    r = lost[i].head == GCX__LOST_LATE
            ? finding_of(s, lost[i].number, &is_new, &s->of[i])
            : &s->reports[s->of[lost[i].head] - 1];
    r->indirect_count++;
    r->indirect_bytes += gcx__object_bytes(lost[i].number);
  }
}

static void finding_fill(struct gcx_report *r, uint32_t stop)
{
  uint32_t number = r->use_site;
  size_t count = r->count, total = r->total_bytes;

  r->id = GCX_REPORT_LEAK;
  r->use_site = 0;
  gcx__misuse_describe(r, number);
  r->count = count;
  r->total_bytes = r->ended_by == NULL ? total : 0;
  finding_window(r, stop);
}

/* From here on a use of the object shows that the report is false. */
static void finding_set_reported(const struct gcx__lost *lost, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    uint32_t state = gcx__record_state(lost[i].number);

    while ((state & GCX_STATE_MASK) == GCX_STATE_LOST &&
           !gcx__record_change(lost[i].number, state,
                               (state & ~GCX_STATE_MASK) | GCX_STATE_REPORTED))
      state = gcx__record_state(lost[i].number);
  }
}

static void finding_report(const struct gcx__batch *b, struct gcx__lost *lost,
                           size_t n)
{
  struct finding_set s;

  if (!finding_set_init(&s, n)) {
    gcx__report_note("%zu objects were lost at collection %u, but there is no "
                     "memory for their reports",
                     n, b->stop);
    return;
  }
  finding_group(&s, lost, n);
  for (size_t i = 0; i < s.count; i++)
    finding_fill(&s.reports[i], b->stop);
  finding_set_reported(lost, n);
  gcx__report(s.reports, s.count, b->certain);
  gcx__vm_unmap(s.reports, s.bytes);
}

/* ---- leak=dispose */

bool (*gcx__finding_on_lent)(uint32_t number);

static __thread bool finding_disposing
    __attribute__((tls_model("initial-exec")));

bool gcx__finding_is_disposing(void)
{
  return finding_disposing;
}

static bool finding_give_back(uint32_t number)
{
  return (gcx__record_state(number) & GCX_FLAG_POOLED) != 0 &&
         gcx__finding_on_lent != NULL && gcx__finding_on_lent(number);
}

static void finding_dispose_one(uint32_t number)
{
  void *object = gcx__record_object(number);
  uint32_t state = gcx__record_state(number) & GCX_STATE_MASK;

  if (object != NULL && state == GCX_STATE_LOST && !gcx_shutting_down() &&
      !gcx__record_is_inherited(number) && !finding_give_back(number))
    (void)gcx__lifecycle_end(number, GCX_END_DISPOSE, 0, NULL);
  GCX_KEEP(object);
}

/* Numbers in the order of their ranks; those without one at the end. */
static void finding_sort(const struct gcx__lost *lost, size_t n,
                         uint32_t *ret_numbers)
{
  size_t last = n;

  memset(ret_numbers, 0, n * sizeof *ret_numbers);
  for (size_t i = 0; i < n; i++)
    if (lost[i].rank < n)
      ret_numbers[lost[i].rank] = lost[i].number;
  for (size_t i = n; i-- > 0;)
    if (lost[i].rank >= n) {
      while (ret_numbers[last - 1] != 0)
        last--;
      ret_numbers[--last] = lost[i].number;
    }
}

/* Those of them whose owners are not lost, but have ended otherwise, in the order in
 * which the owners would have disposed them. @memory: as many numbers. */
static void finding_dispose_heirs(uint32_t *numbers, size_t n, uint32_t *memory)
{
  size_t heirs = 0;

  for (size_t i = 0; i < n; i++)
    if (gcx__owner_heir(numbers[i]) == GCX_HEIR_OF_OTHER)
      memory[heirs++] = numbers[i];
  gcx__order_by_owner(memory, heirs, memory + n);
  for (size_t i = 0; i < heirs; i++)
    finding_dispose_one(memory[n + i]);
}

/* What refers before what it refers to; an owned object by its owner. Heirs come
 * together, when it is the turn of the first. What is left are rings of owners. */
static void finding_dispose(struct gcx__batch *b, const struct gcx__lost *lost,
                            size_t n)
{
  size_t bytes = 3 * n * sizeof(uint32_t), owned = 0;
  uint32_t *numbers = gcx__vm_map(bytes);
  bool heirs_ended = false;

  if (numbers == NULL) {
    for (size_t i = 0; i < n; i++)
      finding_dispose_one(lost[i].number);
    return;
  }
  gcx__batch_keep(b, GCX_BATCH_DISPOSALS, numbers, bytes);
  finding_sort(lost, n, numbers);
  for (size_t i = 0; i < n; i++) {
    enum gcx__heir heir = gcx__owner_heir(numbers[i]);

    if (heir == GCX_HEIR_OF_OTHER && !heirs_ended) {
      finding_dispose_heirs(numbers + i, n - i, numbers + n);
      heirs_ended = true;
    } else if (heir == GCX_HEIR_FREE) {
      finding_dispose_one(numbers[i]);
    } else {
      numbers[owned++] = numbers[i];
    }
  }
  gcx__order_by_owner(numbers, owned, numbers + n);
  for (size_t i = 0; i < owned; i++)
    finding_dispose_one(numbers[n + i]);
}

/* Once for a batch, though it be taken up again. */
static void finding_count_lost(struct gcx__batch *b,
                               const struct gcx__lost *lost, size_t n)
{
  if (b->counted)
    return;
  b->counted = true;
  gcx__finding_add(n);
  for (size_t i = 0; i < n; i++)
    gcx__type_count_up(gcx__record_at(lost[i].number)->type,
                       GCX_TYPE_COUNT_ABANDONED);
}

void gcx__finding_process(struct gcx__batch *b)
{
  size_t n = 0;
  struct gcx__lost *lost;

  if (b->count == 0)
    return;
  lost = gcx__classify(b, &n);
  if (lost == NULL) {
    gcx__report_note("%zu objects were lost at collection %u, but there is no "
                     "memory to look at them",
                     b->count, b->stop);
    return;
  }
  gcx__batch_keep(b, GCX_BATCH_LOST, lost, gcx__classify_bytes(b));
  if (n == 0)
    return;
  finding_count_lost(b, lost, n);
  if (gcx__opt.leak == GCX_LEAK_DISPOSE) {
    finding_disposing = true;
    finding_dispose(b, lost, n);
    finding_disposing = false;
  } else {
    finding_report(b, lost, n);
  }
}

/* ---- exit_check=undisposed */

/* What the parent of a fork holds is not this process's to dispose. */
static bool finding_is_undisposed(uint32_t number)
{
  const uint32_t exempt = GCX_FLAG_OPTIONAL | GCX_FLAG_SUPPRESSED |
                          GCX_FLAG_CANARY | GCX_FLAG_FINALIZED |
                          GCX_FLAG_PENDING | GCX_FLAG_DUE;
  uint32_t state = gcx__record_state(number);

  return (state & GCX_STATE_MASK) == GCX_STATE_LIVE && (state & exempt) == 0 &&
         !gcx__record_is_inherited(number) &&
         gcx__record_object(number) != NULL;
}

size_t gcx__finding_undisposed(void)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  struct finding_set s;
  size_t live = 0;

  for (uint32_t n = 1; n < limit; n++)
    live += finding_is_undisposed(n);
  if (live == 0 || !finding_set_init(&s, live))
    return live;
  for (uint32_t n = 1; n < limit && s.count < s.capacity; n++) {
    struct gcx_report *r;
    uint32_t index;
    bool is_new;

    if (!finding_is_undisposed(n))
      continue;
    r = finding_of(&s, n, &is_new, &index);
    r->count++;
    r->total_bytes += gcx__object_bytes(n);
  }
  for (size_t i = 0; i < s.count; i++) {
    finding_fill(&s.reports[i], gcx__window_stops());
    s.reports[i].id = GCX_REPORT_UNDISPOSED;
    s.reports[i].has_window = false;
  }
  gcx__report(s.reports, s.count, true);
  gcx__vm_unmap(s.reports, s.bytes);
  return live;
}
