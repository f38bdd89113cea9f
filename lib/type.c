/* SPDX-License-Identifier: MIT */
/*
 * type.c - types, numbered
 *
 * An open-addressing table from address to number, and a directory from number
 * to address. Both only grow; a table that is full is replaced by one twice as
 * large and stays readable. Readers take no lock.
 */
#include "type.h"

#include <dlfcn.h>

#include "lock.h"
#include "roots.h"
#include "vm.h"

#define TYPES_MAX 65536u
#define TYPES_FIRST 256u

/* A type may be an object itself: the directory is a root, its first part always,
 * the rest once it is used. */
#define TYPES_ROOTS 512u

struct type_table {
  uint32_t slots; /* a power of two */
  struct {
    const struct gcx_type *type; /* stored last */
    uint32_t number;
  } slot[];
};

const struct gcx_type gcx__type_block =
    GCX_TYPE_INIT("malloc block", 0, 0, NULL, NULL, NULL, NULL);

static struct gcx__lock type_lock = GCX_LOCK_INIT(GCX_RANK_TYPES);
static struct type_table *type_table;
static const struct gcx_type *type_by_number[TYPES_MAX];
GCX_NOT_A_ROOT_FROM(type_by_number, TYPES_ROOTS);
static uint32_t type_count;

struct type_counts {
  uint64_t count[2];
};
static struct type_counts *type_counts; /* of TYPES_MAX; NULL: no memory */
static struct type_counts type_plain_counts;

static uint32_t type_hash(const struct gcx_type *type)
{
  return (uint32_t)(((uintptr_t)type * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

static uint32_t type_find(const struct gcx_type *type)
{
  const struct type_table *t = __atomic_load_n(&type_table, __ATOMIC_ACQUIRE);

  if (t == NULL)
    return 0;
  for (uint32_t i = type_hash(type);; i++) {
    const struct gcx_type *found =
        __atomic_load_n(&t->slot[i & (t->slots - 1)].type, __ATOMIC_ACQUIRE);

    if (found == type)
      return t->slot[i & (t->slots - 1)].number;
    if (found == NULL)
      return 0;
  }
}

static void type_insert(struct type_table *t, const struct gcx_type *type,
                        uint32_t number)
{
  uint32_t i = type_hash(type);

  while (t->slot[i & (t->slots - 1)].type != NULL)
    i++;
  t->slot[i & (t->slots - 1)].number = number;
  __atomic_store_n(&t->slot[i & (t->slots - 1)].type, type, __ATOMIC_RELEASE);
}

/* A table with room for one more. */
static bool type_make_room_locked(void)
{
  struct type_table *t;
  uint32_t slots;

  GCX_ASSERT(gcx__lock_held(&type_lock));
  if (type_table != NULL && type_count * 2 < type_table->slots)
    return true;
  slots = type_table == NULL ? TYPES_FIRST : type_table->slots * 2;
  t = gcx__vm_map(sizeof *t + slots * sizeof t->slot[0]);
  if (t == NULL)
    return false;
  t->slots = slots;
  for (uint32_t n = 1; n <= type_count; n++)
    type_insert(t, type_by_number[n], n);
  __atomic_store_n(&type_table, t, __ATOMIC_RELEASE);
  return true;
}

static uint32_t type_add_locked(const struct gcx_type *type)
{
  uint32_t number = type_find(type);

  if (number != 0)
    return number;
  if (type_count + 1 >= TYPES_MAX || !type_make_room_locked())
    return 0;
  if (type_count + 1 == TYPES_ROOTS)
    gcx__roots_set_own(&type_by_number[TYPES_ROOTS],
                       sizeof type_by_number - TYPES_ROOTS * sizeof(void *));
  if (type_counts == NULL)
    __atomic_store_n(&type_counts, gcx__vm_map(TYPES_MAX * sizeof *type_counts),
                     __ATOMIC_RELEASE);
  number = type_count + 1;
  __atomic_store_n(&type_by_number[number], type, __ATOMIC_RELEASE);
  __atomic_store_n(&type_count, number, __ATOMIC_RELEASE);
  type_insert(type_table, type, number);
  return number;
}

/* The code of its functions is needed as long as its objects are. */
void gcx__type_pin(const void *data)
{
  Dl_info info;

  if (dladdr(data, &info) == 0 || info.dli_fname == NULL)
    return;
  if (dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == NULL)
    (void)dlerror(); /* the executable itself: nothing to pin */
}

uint32_t gcx__type_number(const struct gcx_type *type)
{
  uint32_t number = type_find(type);

  if (GCX_LIKELY(number != 0))
    return number;
  gcx__type_pin(type);
  gcx__lock(&type_lock);
  number = type_add_locked(type);
  gcx__unlock(&type_lock);
  return number;
}

uint32_t gcx__type_known(const struct gcx_type *type)
{
  return type_find(type);
}

static struct type_counts *type_counts_of(uint32_t number)
{
  struct type_counts *counts = __atomic_load_n(&type_counts, __ATOMIC_ACQUIRE);

  if (number == 0)
    return &type_plain_counts;
  return counts != NULL ? &counts[number] : NULL;
}

void gcx__type_count_up(uint32_t number, enum gcx__type_count which)
{
  struct type_counts *counts = type_counts_of(number);

  if (counts != NULL)
    __atomic_fetch_add(&counts->count[which], 1, __ATOMIC_RELAXED);
}

uint64_t gcx__type_count(uint32_t number, enum gcx__type_count which)
{
  struct type_counts *counts = type_counts_of(number);

  return counts != NULL
             ? __atomic_load_n(&counts->count[which], __ATOMIC_RELAXED)
             : 0;
}

uint32_t gcx__type_last(void)
{
  return __atomic_load_n(&type_count, __ATOMIC_ACQUIRE);
}

const struct gcx_type *gcx__type_at(uint32_t number)
{
  return number < TYPES_MAX
             ? __atomic_load_n(&type_by_number[number], __ATOMIC_ACQUIRE)
             : NULL;
}

const char *gcx__type_fault(const struct gcx_type *type)
{
  const unsigned known =
      GCX_TYPE_ATOMIC | GCX_TYPE_CRITICAL | GCX_TYPE_SECRET | GCX_TYPE_OPTIONAL;

  if (type == NULL)
    return "the type is NULL";
  if (type->name == NULL)
    return "the type has no name";
  if ((type->flags & ~known) != 0)
    return "the type has an unknown flag";
  return NULL;
}

bool gcx__type_has_dispose(const struct gcx_type *type)
{
  for (; type != NULL; type = type->base)
    if (type->dispose != NULL)
      return true;
  return false;
}
