/* SPDX-License-Identifier: MIT */
/*
 * tls-glibc.c - where glibc keeps what belongs to one thread
 *
 *   pthread_t --> struct pthread, sizeof_pthread bytes
 *                   TCB: dtv ------> [-1] length  [0] generation
 *                                    [m] block of module m, or unallocated
 *                   specific[0..31] -> second-level blocks of 32 keys each, the
 *                                      first of them inside struct pthread
 *
 * The sizes and offsets that vary between releases come from symbols that glibc
 * keeps for debuggers (nptl_db): "_thread_db_x", private, but found by dlsym().
 * A field's descriptor is { bits of an element, elements, offset }. All of it is
 * proved by gcx__roots_init(), which plants values and looks for them this way.
 *
 * The dtv covers static and dynamic TLS alike. A module's size comes from the
 * list of modules; the slot of a library that was closed may be stale, which
 * costs a copy of memory that is no TLS any more, or fails.
 */
#include "tls.h"

#include <dlfcn.h>

#include "maps.h"
#include "modules.h"

/* Upper bounds of what is taken for plausible. */
#define TLS_DESCRIPTOR_MAX 65536
#define TLS_LEVELS_MAX 64
#define TLS_MODULES_MAX 4096
#define TLS_DTV_PIECE 64

struct tls_slot { /* dtv_t */
  uintptr_t value;
  uintptr_t to_free;
};

#define TLS_UNALLOCATED UINTPTR_MAX

/* As glibc's DB_STRUCT_FIELD and DB_ARRAY_FIELD describe a field. */
struct tls_field {
  uint32_t bits;
  uint32_t elements;
  uint32_t offset;
};

static size_t tls_descriptor_bytes; /* sizeof(struct pthread) */
static size_t tls_dtv_offset; /* from pthread_t to the pointer to the dtv */
static size_t tls_tid_offset;
static size_t tls_specific_offset;
static size_t tls_levels; /* second-level blocks of keys */
static size_t tls_level_bytes;

static bool tls_size(const char *symbol, size_t *ret_bytes)
{
  const uint32_t *bytes = dlsym(RTLD_DEFAULT, symbol);

  if (bytes == NULL)
    return false;
  *ret_bytes = *bytes;
  return true;
}

static bool tls_field(const char *symbol, struct tls_field *ret_field)
{
  const struct tls_field *field = dlsym(RTLD_DEFAULT, symbol);

  if (field == NULL)
    return false;
  *ret_field = *field;
  return true;
}

const char *gcx__tls_init(void)
{
  struct tls_field specific, tid, keys, dtv;
  size_t key_bytes;

  if (!tls_size("_thread_db_sizeof_pthread", &tls_descriptor_bytes) ||
      !tls_size("_thread_db_sizeof_pthread_key_data", &key_bytes) ||
      !tls_field("_thread_db_pthread_specific", &specific) ||
      !tls_field("_thread_db_pthread_tid", &tid) ||
      !tls_field("_thread_db_pthread_dtvp", &dtv) ||
      !tls_field("_thread_db_pthread_key_data_level2_data", &keys))
    return "this C library does not say where it keeps thread-local data";
  tls_specific_offset = specific.offset;
  tls_levels = (size_t)specific.bits * specific.elements / (8 * sizeof(void *));
  tls_tid_offset = tid.offset;
  tls_level_bytes = key_bytes * keys.elements;
  tls_dtv_offset = dtv.offset;
  if (tls_descriptor_bytes > TLS_DESCRIPTOR_MAX || tls_levels == 0 ||
      tls_levels > TLS_LEVELS_MAX ||
      tls_specific_offset + tls_levels * sizeof(void *) > tls_descriptor_bytes)
    return "the layout of this C library's thread-local data is not known";
  return NULL;
}

static bool tls_copy(void *to, uintptr_t from, size_t bytes)
{
  return gcx__maps_copy(to, from, bytes) == bytes;
}

static bool tls_walk_keys(uintptr_t descriptor, gcx__tls_fn fn, void *arg)
{
  uintptr_t blocks[TLS_LEVELS_MAX];

  if (!tls_copy(blocks, descriptor + tls_specific_offset,
                tls_levels * sizeof(void *)))
    return false;
  for (size_t i = 0; i < tls_levels; i++)
    if (blocks[i] != 0)
      fn(blocks[i], blocks[i] + tls_level_bytes, arg);
  return true;
}

/* Blocks of modules [first, first + n) that are in @slots. */
static void tls_walk_slots(const struct tls_slot *slots, size_t first, size_t n,
                           gcx__tls_fn fn, void *arg)
{
  const struct gcx__module *m;

  for (size_t i = 0; (m = gcx__modules_at(i)) != NULL; i++) {
    uintptr_t block;
    if (m->last_epoch != UINT32_MAX || m->tls_module < first ||
        m->tls_module >= first + n)
      continue;
    block = slots[m->tls_module - first].value;
    if (block != 0 && block != TLS_UNALLOCATED)
      fn(block, block + m->tls_bytes, arg);
  }
}

static bool tls_walk_dtv(uintptr_t descriptor, gcx__tls_fn fn, void *arg)
{
  struct tls_slot piece[TLS_DTV_PIECE];
  uintptr_t dtv, length;

  if (!tls_copy(&dtv, descriptor + tls_dtv_offset, sizeof(dtv)))
    return false;
  if (dtv == 0) /* not yet, or no longer, a thread */
    return true;
  if (!tls_copy(&length, dtv - sizeof(struct tls_slot), sizeof(length)))
    return false;
  length = GCX_MIN(length, TLS_MODULES_MAX);
  for (size_t i = 1; i <= length; i += TLS_DTV_PIECE) {
    size_t n = GCX_MIN(length - i + 1, TLS_DTV_PIECE);
    if (!tls_copy(piece, dtv + i * sizeof(piece[0]), n * sizeof(piece[0])))
      return false;
    tls_walk_slots(piece, i, n, fn, arg);
  }
  return true;
}

bool gcx__tls_walk(pthread_t id, gcx__tls_fn fn, void *arg)
{
  uintptr_t descriptor = (uintptr_t)id;
  bool keys, dtv;

  fn(descriptor, descriptor + tls_descriptor_bytes, arg);
  keys = tls_walk_keys(descriptor, fn, arg);
  dtv = tls_walk_dtv(descriptor, fn, arg);
  return keys && dtv;
}

/* struct pthread begins with the TCB, whose words 0 and 2 point at itself, in
 * variant II; elsewhere its tid alone must do, and is not asked. */
bool gcx__tls_has_ended(pthread_t id)
{
#ifdef __x86_64__
  uintptr_t head[3];
  int32_t tid; /* 0 once the thread has ended, -1 once it was joined */

  return tls_tid_offset != 0 && tls_copy(head, (uintptr_t)id, sizeof(head)) &&
         head[0] == (uintptr_t)id && head[2] == (uintptr_t)id &&
         tls_copy(&tid, (uintptr_t)id + tls_tid_offset, sizeof(tid)) &&
         tid <= 0;
#else
  (void)id;
  return false;
#endif
}

bool gcx__tls_may_be_joined(pthread_t id)
{
  int32_t tid;

  return tls_copy(&tid, (uintptr_t)id + tls_tid_offset, sizeof(tid)) &&
         tid == 0;
}
