/* SPDX-License-Identifier: MIT */
/*
 * pressure.c - memory and handles that the collector does not see
 *
 * What was added and removed is counted for each of the last four collections,
 * in a ring. The budget is what may be added before a collection is asked for:
 * at least 4 MiB and a third of the heap. If in the three earlier slots much
 * more was added than removed, collections have not helped, and the budget
 * rises up to tenfold. Between two collections that were asked for lies at least
 * five times the duration of the first: they take at most a sixth of the time.
 *
 * Pressure of an object is in its aux entry, and taken off the sum when the
 * entry goes, whatever the reason (aux.c). It counts as removed in the slot in
 * which that is noticed.
 */
#include "pressure.h"

#include <errno.h>
#include <string.h>

#include "aux.h"
#include "finalizer.h"
#include "lifecycle.h"
#include "misuse.h"
#include "out.h"
#include "platform.h"
#include "start.h"
#include "type.h"

#define BUDGET_BYTES ((size_t)4 << 20)
#define BUDGET_FACTOR 10
#define PAUSES_BETWEEN 5
#define SLOTS 4
#define WAIT_MS 100

struct pressure_slot {
  uint64_t collection;
  size_t added;
  size_t removed;
};

static struct pressure_slot pressure_slots[SLOTS];
static size_t pressure_free; /* not attached to an object */
static uint32_t pressure_busy;
static uint64_t pressure_last_end, pressure_last_ns, pressure_ns;
static uint64_t pressure_collections;

/* ---- counting */

static void count_up(size_t *sum, size_t n)
{
  size_t now = __atomic_load_n(sum, __ATOMIC_RELAXED);

  while (!__atomic_compare_exchange_n(
      sum, &now, n > SIZE_MAX - now ? SIZE_MAX : now + n, false,
      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

static void count_down(size_t *sum, size_t n)
{
  size_t now = __atomic_load_n(sum, __ATOMIC_RELAXED);

  while (!__atomic_compare_exchange_n(sum, &now, n > now ? 0 : now - n, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

/* Slot of the collection that comes; the first to use it clears it. */
static struct pressure_slot *pressure_slot(void)
{
  uint64_t collection = gcx__bdw_collections();
  struct pressure_slot *s = &pressure_slots[collection % SLOTS];
  uint64_t before = __atomic_load_n(&s->collection, __ATOMIC_ACQUIRE);

  if (before != collection &&
      __atomic_compare_exchange_n(&s->collection, &before, collection, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    __atomic_store_n(&s->added, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&s->removed, 0, __ATOMIC_RELAXED);
  }
  if (__atomic_load_n(&gcx__aux_released, __ATOMIC_RELAXED) != 0)
    count_up(&s->removed,
             __atomic_exchange_n(&gcx__aux_released, 0, __ATOMIC_RELAXED));
  return s;
}

static size_t pressure_factor_1024(const struct pressure_slot *now)
{
  size_t added = 0, removed = 0;

  for (size_t i = 0; i < SLOTS; i++)
    if (&pressure_slots[i] != now) {
      count_up(&added, pressure_slots[i].added);
      count_up(&removed, pressure_slots[i].removed);
    }
  if (added <= removed)
    return 1024;
  if (added / BUDGET_FACTOR >= removed)
    return (size_t)1024 * BUDGET_FACTOR;
  return (size_t)((double)added / (double)removed * 1024);
}

static size_t pressure_budget(const struct pressure_slot *now)
{
  return GCX_MAX(BUDGET_BYTES / 1024 * pressure_factor_1024(now),
                 gcx__bdw_heap_bytes() / 3);
}

/* ---- collecting */

static bool pressure_may_collect(void)
{
  uint64_t end = __atomic_load_n(&pressure_last_end, __ATOMIC_ACQUIRE);
  uint64_t ns = __atomic_load_n(&pressure_last_ns, __ATOMIC_ACQUIRE);

  return !gcx__latency_is_no_gc() &&
         (end == 0 || gcx__now_ns() - end >= PAUSES_BETWEEN * ns);
}

/* One at a time; true: it was done. */
static bool pressure_collect(void)
{
  uint64_t begin, end;

  if (!pressure_may_collect() ||
      __atomic_exchange_n(&pressure_busy, 1, __ATOMIC_ACQUIRE) != 0)
    return false;
  (void)gcx__thread_self();
  begin = gcx__now_ns();
  gcx__bdw_clear_stack();
  gcx__bdw_collect();
  end = gcx__now_ns();
  __atomic_store_n(&pressure_last_ns, end - begin, __ATOMIC_RELEASE);
  __atomic_store_n(&pressure_last_end, end, __ATOMIC_RELEASE);
  __atomic_fetch_add(&pressure_ns, end - begin, __ATOMIC_RELAXED);
  __atomic_fetch_add(&pressure_collections, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&pressure_busy, 0, __ATOMIC_RELEASE);
  return true;
}

static void pressure_note_added(size_t bytes)
{
  struct pressure_slot *s = pressure_slot();

  count_up(&s->added, bytes);
  if (__atomic_load_n(&s->added, __ATOMIC_RELAXED) >= pressure_budget(s))
    (void)pressure_collect();
}

void gcx_pressure_add(size_t bytes)
{
  gcx__start();
  count_up(&pressure_free, bytes);
  pressure_note_added(bytes);
}

void gcx_pressure_remove(size_t bytes)
{
  gcx__start();
  count_down(&pressure_free, bytes);
  count_up(&pressure_slot()->removed, bytes);
}

/* ---- attached */

int gcx_pressure_attach(void *obj, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number =
      gcx__misuse_object(obj, "gcx_pressure_attach", false, &start);
  struct gcx__aux *a = NULL;
  size_t before = 0;
  bool ended;

  if (number == 0)
    return -EINVAL;
  gcx__lifecycle_note_use(number, &start);
  gcx__lock(&gcx__aux_lock);
  ended = gcx__record_has_ended(gcx__record_state(number));
  if (!ended)
    a = gcx__aux_have_locked(number);
  if (a != NULL) {
    before = a->pressure;
    a->pressure = bytes;
    __atomic_fetch_add(&gcx__aux_pressure, bytes - before, __ATOMIC_RELAXED);
  }
  gcx__unlock(&gcx__aux_lock);
  if (a == NULL)
    return ended || gcx__record_has_ended(gcx__record_state(number)) ? -EINVAL
                                                                     : -ENOMEM;
  if (bytes > before)
    pressure_note_added(bytes - before);
  else
    count_up(&pressure_slot()->removed, before - bytes);
  GCX_KEEP(obj);
  return 0;
}

void gcx__pressure_read(struct gcx__pressure_stats *ret_stats)
{
  size_t bytes = __atomic_load_n(&pressure_free, __ATOMIC_RELAXED);

  count_up(&bytes, __atomic_load_n(&gcx__aux_pressure, __ATOMIC_RELAXED));
  *ret_stats = (struct gcx__pressure_stats){
    .collections = __atomic_load_n(&pressure_collections, __ATOMIC_RELAXED),
    .ns = __atomic_load_n(&pressure_ns, __ATOMIC_RELAXED),
    .last_ns = __atomic_load_n(&pressure_last_ns, __ATOMIC_RELAXED),
    .bytes = bytes,
    .budget = pressure_budget(pressure_slot()),
  };
}

/* Whoever was collecting is gone. */
void gcx__pressure_after_fork(void)
{
  pressure_busy = 0;
}

/* ---- handle collectors */

struct gcx_handle_collector {
  size_t initial;
  size_t maximum;
  size_t threshold;
  size_t count;
  char name[32];
};

static int collector_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_handle_collector *c = obj;
  struct gcx__out o;

  gcx__out_init(&o, -1, buf, n);
  gcx__out_fmt(&o, "%s: %zu, threshold %zu", c->name, c->count, c->threshold);
  return 0;
}

static const struct gcx_type collector_type = GCX_TYPE_INIT(
    "struct gcx_handle_collector", sizeof(struct gcx_handle_collector),
    GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC, NULL, NULL, NULL, collector_describe);

struct gcx_handle_collector *gcx_handle_collector_create(const char *name,
                                                         size_t initial,
                                                         size_t maximum)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx_handle_collector *c;
  struct gcx__out o;

  if (initial > maximum) {
    errno = EINVAL;
    return NULL;
  }
  c = gcx__object_alloc_of(&collector_type, sizeof *c,
                           GCX_FLAG_OPTIONAL | GCX_FLAG_ATOMIC, &start);
  if (c == NULL)
    return NULL;
  c->initial = c->threshold = initial;
  c->maximum = maximum;
  gcx__out_init(&o, -1, c->name, sizeof c->name);
  gcx__out_text(&o, name != NULL ? name : "handles");
  return c;
}

static bool collector_is_live(const struct gcx_handle_collector *c,
                              const char *function,
                              const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(c, function, false, start);

  if (number == 0)
    return false;
  if (gcx__type_at(gcx__record_at(number)->type) != &collector_type) {
    gcx__misuse_other_type(number, function, "handle collector", start);
    return false;
  }
  return !gcx__record_has_ended(gcx__record_state(number));
}

static void collector_overflow(struct gcx_handle_collector *c)
{
  size_t left;

  if (!pressure_collect())
    return;
  (void)gcx__finalizer_wait(WAIT_MS);
  left = __atomic_load_n(&c->count, __ATOMIC_ACQUIRE);
  left = GCX_MAX(left + left / 10, c->initial);
  __atomic_store_n(&c->threshold, GCX_MIN(left, c->maximum), __ATOMIC_RELEASE);
}

int gcx_handle_collector_add(struct gcx_handle_collector *c)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t now;

  if (!collector_is_live(c, "gcx_handle_collector_add", &start))
    return -EINVAL;
  now = __atomic_load_n(&c->count, __ATOMIC_ACQUIRE);
  do
    if (now == SIZE_MAX)
      return -EOVERFLOW;
  while (!__atomic_compare_exchange_n(&c->count, &now, now + 1, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  if (now + 1 > __atomic_load_n(&c->threshold, __ATOMIC_ACQUIRE))
    collector_overflow(c);
  GCX_KEEP(c);
  return 0;
}

int gcx_handle_collector_remove(struct gcx_handle_collector *c)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t now, threshold;

  if (!collector_is_live(c, "gcx_handle_collector_remove", &start))
    return -EINVAL;
  now = __atomic_load_n(&c->count, __ATOMIC_ACQUIRE);
  do
    if (now == 0)
      return -EINVAL;
  while (!__atomic_compare_exchange_n(&c->count, &now, now - 1, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  threshold = __atomic_load_n(&c->threshold, __ATOMIC_ACQUIRE);
  if (now - 1 < threshold - threshold / 10 && threshold > c->initial)
    (void)__atomic_compare_exchange_n(
        &c->threshold, &threshold,
        GCX_MAX(threshold - threshold / 10, c->initial), false,
        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  GCX_KEEP(c);
  return 0;
}

size_t gcx_handle_collector_count(const struct gcx_handle_collector *c)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t count = collector_is_live(c, "gcx_handle_collector_count", &start)
                     ? __atomic_load_n(&c->count, __ATOMIC_ACQUIRE)
                     : 0;

  GCX_KEEP(c);
  return count;
}
