/* SPDX-License-Identifier: MIT */
/*
 * census.c - live objects by type and stack: count, compare
 *
 * Records are read while the program runs: they lie in memory that is never
 * unmapped, so what another thread changes meanwhile makes a number wrong by one,
 * and nothing worse. Counting allocates from gcx's own memory only; the finished
 * census is one object in the collected heap, so nobody has to end it.
 */
#include "census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../include/gcx/object.h"
#include "misuse.h"
#include "object.h"
#include "options.h"
#include "platform.h"
#include "report.h"
#include "type.h"
#include "vm.h"

#define SIGNATURE UINT64_C(0x7375736e65632d67)
#define FIRST_ROWS 256u

static const struct gcx_type census_type =
    GCX_TYPE_INIT("struct gcx_census", sizeof(struct gcx_census),
                  GCX_TYPE_OPTIONAL | GCX_TYPE_ATOMIC, NULL, NULL, NULL, NULL);

/* ---- sets */

static bool set_map(struct gcx__census_set *s, size_t capacity)
{
  s->capacity = capacity;
  s->slot_count = capacity * 2;
  s->rows = gcx__vm_map(capacity * sizeof *s->rows);
  s->slots = gcx__vm_map(s->slot_count * sizeof *s->slots);
  return s->rows != NULL && s->slots != NULL;
}

void gcx__census_set_fini(struct gcx__census_set *s)
{
  if (s->rows != NULL)
    gcx__vm_unmap(s->rows, s->capacity * sizeof *s->rows);
  if (s->slots != NULL)
    gcx__vm_unmap(s->slots, s->slot_count * sizeof *s->slots);
  *s = (struct gcx__census_set){ .rows = NULL };
}

bool gcx__census_set_init(struct gcx__census_set *s)
{
  *s = (struct gcx__census_set){ .rows = NULL };
  if (set_map(s, FIRST_ROWS))
    return true;
  gcx__census_set_fini(s);
  return false;
}

static uint32_t *set_slot(const struct gcx__census_set *s, uint32_t type,
                          uint32_t site)
{
  uint64_t h = ((uint64_t)site << 32 | type) * UINT64_C(0x9E3779B97F4A7C15);

  for (uint64_t i = h >> 20;; i++) {
    uint32_t *slot = &s->slots[i & (s->slot_count - 1)];

    if (*slot == 0 ||
        (s->rows[*slot - 1].type == type && s->rows[*slot - 1].site == site))
      return slot;
  }
}

static bool set_grow(struct gcx__census_set *s)
{
  struct gcx__census_set larger = { .count = s->count };

  if (!set_map(&larger, s->capacity * 2)) {
    gcx__census_set_fini(&larger);
    return false;
  }
  memcpy(larger.rows, s->rows, s->count * sizeof *s->rows);
  for (size_t i = 0; i < s->count; i++)
    *set_slot(&larger, s->rows[i].type, s->rows[i].site) = (uint32_t)i + 1;
  gcx__census_set_fini(s);
  *s = larger;
  return true;
}

struct gcx__census_row *gcx__census_set_row(struct gcx__census_set *s,
                                            uint32_t type, uint32_t site)
{
  uint32_t *slot = set_slot(s, type, site);
  struct gcx__census_row *row;

  if (*slot != 0)
    return &s->rows[*slot - 1];
  if (s->count == s->capacity) {
    if (!set_grow(s))
      return NULL;
    slot = set_slot(s, type, site);
  }
  row = &s->rows[s->count++];
  *slot = (uint32_t)s->count;
  *row = (struct gcx__census_row){ .type = type,
                                   .site = site,
                                   .newest_ms = UINT64_MAX };
  return row;
}

bool gcx__census_set_add(struct gcx__census_set *s, uint32_t number,
                         uint64_t now_ms)
{
  const struct gcx__record *r = gcx__record_at(number);
  struct gcx__census_row *row = gcx__census_set_row(s, r->type, r->site);
  uint64_t age = (uint32_t)now_ms - r->birth_ms;

  if (row == NULL)
    return false;
  if (age > UINT32_MAX / 2 || gcx__opt.leak == GCX_LEAK_OFF)
    age = 0; /* born since, or its birth is not known */
  row->count++;
  row->bytes += (int64_t)gcx__object_bytes(number);
  row->oldest_ms = GCX_MAX(row->oldest_ms, age);
  row->newest_ms = GCX_MIN(row->newest_ms, age);
  return true;
}

static int64_t row_weight(const struct gcx__census_row *row)
{
  return row->bytes < 0 ? -row->bytes : row->bytes;
}

/* Equal ones in an order that is the same for each run. */
static int row_compare(const void *a, const void *b)
{
  const struct gcx__census_row *x = a, *y = b;

  if (row_weight(x) != row_weight(y))
    return row_weight(x) < row_weight(y) ? 1 : -1;
  if (x->site != y->site)
    return x->site < y->site ? -1 : 1;
  return x->type < y->type ? -1 : x->type > y->type;
}

/* Of large arrays qsort() allocates: heap sort does not. */
static void rows_sift(struct gcx__census_row *rows, size_t root, size_t n)
{
  for (size_t child; (child = 2 * root + 1) < n; root = child) {
    struct gcx__census_row keep = rows[root];

    if (child + 1 < n && row_compare(&rows[child], &rows[child + 1]) < 0)
      child++;
    if (row_compare(&keep, &rows[child]) >= 0)
      return;
    rows[root] = rows[child];
    rows[child] = keep;
  }
}

void gcx__census_set_sort(struct gcx__census_set *s)
{
  for (size_t i = s->count / 2; i-- > 0;)
    rows_sift(s->rows, i, s->count);
  for (size_t n = s->count; n > 1; n--) {
    struct gcx__census_row keep = s->rows[0];

    s->rows[0] = s->rows[n - 1];
    s->rows[n - 1] = keep;
    rows_sift(s->rows, 0, n - 1);
  }
}

/* ---- counting */

static bool census_is_live(uint32_t number)
{
  uint32_t state = gcx__record_state(number);
  uint32_t type = gcx__record_at(number)->type;

  if (gcx__record_object(number) == NULL ||
      (state & (GCX_FLAG_IDLE | GCX_FLAG_CANARY)) != 0 ||
      gcx__type_at(type) == &census_type)
    return false;
  switch (state & GCX_STATE_MASK) {
  case GCX_STATE_LIVE:
  case GCX_STATE_LOST:
  case GCX_STATE_REPORTED:
    return true;
  default:
    return false;
  }
}

bool gcx__census_count(struct gcx__census_set *s,
                       bool (*wants)(uint32_t number, void *arg), void *arg)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  uint64_t now = gcx__now_ms();

  for (uint32_t n = 1; n < limit; n++)
    if (census_is_live(n) && (wants == NULL || wants(n, arg)) &&
        !gcx__census_set_add(s, n, now))
      return false;
  gcx__census_set_sort(s);
  return true;
}

size_t gcx__census_count_only(bool (*wants)(uint32_t number, void *arg),
                              void *arg)
{
  uint32_t limit = __atomic_load_n(&gcx__record_limit, __ATOMIC_ACQUIRE);
  size_t count = 0;

  for (uint32_t n = 1; n < limit; n++)
    count += census_is_live(n) && wants(n, arg);
  return count;
}

/* An object with the rows of @s, which it ends. */
static struct gcx_census *census_finish(struct gcx__census_set *s, bool made,
                                        bool is_difference,
                                        const struct gcx__frame *start)
{
  size_t bytes = s->count * sizeof *s->rows;
  struct gcx_census *c = NULL;

  if (made)
    c = gcx__object_alloc_of(&census_type, sizeof *c + bytes,
                             GCX_FLAG_OPTIONAL | GCX_FLAG_ATOMIC, start);
  if (c != NULL) {
    c->at_ms = gcx__now_ms();
    c->is_difference = is_difference;
    c->rows = s->count;
    memcpy(c->row, s->rows, bytes);
    c->signature = SIGNATURE;
  }
  gcx__census_set_fini(s);
  if (c == NULL)
    errno = ENOMEM;
  return c;
}

struct gcx_census *gcx_census_take(void)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct gcx__census_set s = { .rows = NULL };
  bool made = gcx__census_set_init(&s) && gcx__census_count(&s, NULL, NULL);

  return census_finish(&s, made, false, &start);
}

/* NULL: a report was made, unless it was NULL or has ended. */
static const struct gcx_census *census_of(const struct gcx_census *c,
                                          const char *function,
                                          const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(c, function, false, start);

  if (number == 0)
    return NULL;
  if (gcx__type_at(gcx__record_at(number)->type) != &census_type) {
    gcx__misuse_other_type(number, function, "census", start);
    return NULL;
  }
  return c->signature == SIGNATURE ? c : NULL;
}

static bool census_subtract(struct gcx__census_set *s,
                            const struct gcx_census *before,
                            const struct gcx_census *after)
{
  size_t kept = 0;

  for (size_t i = 0; i < after->rows; i++) {
    struct gcx__census_row *row =
        gcx__census_set_row(s, after->row[i].type, after->row[i].site);

    if (row == NULL)
      return false;
    *row = after->row[i];
  }
  for (size_t i = 0; i < before->rows; i++) {
    struct gcx__census_row *row =
        gcx__census_set_row(s, before->row[i].type, before->row[i].site);

    if (row == NULL)
      return false;
    row->count -= before->row[i].count;
    row->bytes -= before->row[i].bytes;
    if (row->newest_ms == UINT64_MAX)
      row->newest_ms = 0; /* all of them are gone */
  }
  for (size_t i = 0; i < s->count; i++)
    if (s->rows[i].count != 0 || s->rows[i].bytes != 0)
      s->rows[kept++] = s->rows[i];
  s->count = kept;
  gcx__census_set_sort(s);
  return true;
}

struct gcx_census *gcx_census_diff(const struct gcx_census *before,
                                   const struct gcx_census *after)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  const struct gcx_census *b = census_of(before, "gcx_census_diff", &start);
  const struct gcx_census *a = census_of(after, "gcx_census_diff", &start);
  struct gcx_census *difference;
  struct gcx__census_set s = { .rows = NULL };

  if (a == NULL || b == NULL) {
    errno = EINVAL;
    return NULL;
  }
  difference = census_finish(
      &s, gcx__census_set_init(&s) && census_subtract(&s, b, a), true, &start);
  GCX_KEEP(before);
  GCX_KEEP(after);
  return difference;
}

/* ---- asking */

size_t gcx_census_rows(const struct gcx_census *c)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  c = census_of(c, "gcx_census_rows", &start);
  return c != NULL ? c->rows : 0;
}

bool gcx_census_get(const struct gcx_census *c, size_t i,
                    struct gcx_census_row *ret_row)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  const struct gcx__census_row *row;
  const struct gcx_type *type;
  const uintptr_t *pcs = NULL;
  uint32_t epoch;

  c = census_of(c, "gcx_census_get", &start);
  if (c == NULL || i >= c->rows)
    return false;
  row = &c->row[i];
  type = gcx__type_at(row->type);
  *ret_row = (struct gcx_census_row){
    .type = type != NULL ? type->name : NULL,
    .count = row->count,
    .bytes = row->bytes,
    .oldest_ms = row->oldest_ms,
    .newest_ms = row->newest_ms,
    .frame_count = gcx__report_stack(row->site, &pcs, &epoch),
  };
  ret_row->frames = (void *const *)(const void *)pcs;
  GCX_KEEP(c);
  return true;
}

int gcx_census_print(const struct gcx_census *c, int fd, int format)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  int result;

  c = census_of(c, "gcx_census_print", &start);
  if (c == NULL || fd < 0 || format < GCX_CENSUS_TEXT ||
      format > GCX_CENSUS_FOLDED)
    return -EINVAL;
  result = gcx__census_write(c->row, c->rows,
                             c->is_difference ? "difference" : "census",
                             c->is_difference, fd, format);
  GCX_KEEP(c);
  return result;
}
