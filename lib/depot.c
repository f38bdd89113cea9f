/* SPDX-License-Identifier: MIT */
/*
 * depot.c - interned stacks
 *
 * An entry is written once, published, and never moves or goes away:
 *
 *     (none) --put, locked--> live --retire, locked--> retired
 *
 * A live entry is found by its frames, a retired one by its id only.
 *
 * Three structures, all in vm memory. The entries themselves, cut from big
 * blocks. The directory, id -> entry, in chunks that never move. The table,
 * frames -> id: open addressing in words of (upper half of the hash, id), so
 * that a probe that fails costs no look at an entry. A full table is copied to
 * one of twice the size and the old one kept, since readers may be in it: all
 * old ones together are smaller than the present one.
 *
 * Readers take no lock. A word of the table is stored (release) after the entry
 * and its place in the directory; a reader that loads it (acquire) sees both. A
 * reader in an old table, or before a word, misses a stack that is there; put
 * then looks again under the lock. GCX_RANK_DEPOT guards everything that
 * writes.
 */
#include "depot.h"

#include <string.h>

#include "lock.h"
#include "modules.h"
#include "vm.h"

#define DEPOT_BLOCK_BYTES ((size_t)1024 * 1024)
#define DEPOT_PER_CHUNK ((size_t)8192)
#define DEPOT_CHUNKS ((size_t)1 << 19) /* 2^32 ids */
#define DEPOT_TABLE_FIRST ((size_t)1024)

struct depot_entry {
  uint64_t hash;
  uint32_t epoch;
  uint16_t n;
  uint8_t retired;
  uintptr_t pcs[];
};

struct depot_table {
  size_t mask;
  size_t used;
  uint64_t words[]; /* hash's upper half, id; 0: free */
};

static struct gcx__lock depot_lock = GCX_LOCK_INIT(GCX_RANK_DEPOT);
static struct depot_table *depot_table;
static struct depot_entry ***depot_directory; /* [chunk][index] */
static uint32_t depot_count;
static size_t depot_bytes;
static char *depot_block; /* entries are cut from here */
static size_t depot_block_left;

/* -------------------------------------------------------------------- hash */

static uint64_t hash_mix(uint64_t h)
{
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15u;
  h ^= h >> 29;
  return h;
}

/* Two chains, so that one multiplication needn't wait for the other. */
static uint64_t hash_frames(const uintptr_t *pcs, size_t n)
{
  uint64_t a = n, b = 0x2545f4914f6cdd1du;
  size_t i;

  for (i = 0; i + 1 < n; i += 2) {
    a = (a ^ pcs[i]) * 0x9e3779b97f4a7c15u;
    a ^= a >> 32;
    b = (b ^ pcs[i + 1]) * 0xc2b2ae3d27d4eb4fu;
    b ^= b >> 32;
  }
  if (i < n) {
    a = (a ^ pcs[i]) * 0x9e3779b97f4a7c15u;
  }
  return hash_mix(a ^ (b << 1));
}

/* ---------------------------------------------------------------- directory */

static struct depot_entry *entry_at(uint32_t id)
{
  uint32_t index = id - 1;

  return depot_directory[index / DEPOT_PER_CHUNK][index % DEPOT_PER_CHUNK];
}

static void *map_counted(size_t bytes)
{
  void *p = gcx__vm_map(bytes);

  if (p != NULL) {
    __atomic_add_fetch(&depot_bytes, bytes, __ATOMIC_RELAXED);
  }
  return p;
}

/* Room for the id after the last one. */
static bool directory_ready(void)
{
  struct depot_entry ***directory = depot_directory;
  size_t chunk = depot_count / DEPOT_PER_CHUNK;

  if (depot_count >= UINT32_MAX - 1) {
    return false;
  }
  if (directory == NULL) {
    directory = gcx__vm_map(DEPOT_CHUNKS * sizeof(*directory));
    if (directory == NULL) {
      return false;
    }
    __atomic_store_n(&depot_directory, directory, __ATOMIC_RELEASE);
  }
  if (directory[chunk] == NULL) {
    struct depot_entry **made =
        map_counted(DEPOT_PER_CHUNK * sizeof(struct depot_entry *));

    if (made == NULL) {
      return false;
    }
    __atomic_store_n(&directory[chunk], made, __ATOMIC_RELEASE);
  }
  return true;
}

/* ------------------------------------------------------------------ entries */

static void *block_cut(size_t bytes)
{
  void *p;

  if (bytes > depot_block_left) {
    char *made = map_counted(DEPOT_BLOCK_BYTES);

    if (made == NULL) {
      return NULL;
    }
    depot_block = made;
    depot_block_left = DEPOT_BLOCK_BYTES;
  }
  p = depot_block;
  depot_block += bytes;
  depot_block_left -= bytes;
  return p;
}

static bool entry_is(const struct depot_entry *e, uint64_t hash,
                     const uintptr_t *pcs, size_t n)
{
  uintptr_t difference = 0;

  if (e->hash != hash || e->n != n ||
      __atomic_load_n(&e->retired, __ATOMIC_RELAXED) != 0) {
    return false;
  }
  for (size_t i = 0; i < n; i++) {
    difference |= e->pcs[i] ^ pcs[i];
  }
  return difference == 0;
}

/* -------------------------------------------------------------------- table */

static uint64_t word_make(uint64_t hash, uint32_t id)
{
  return (hash & ~(uint64_t)UINT32_MAX) | id;
}

static uint32_t table_find(const struct depot_table *t, uint64_t hash,
                           const uintptr_t *pcs, size_t n)
{
  uint64_t tag = hash >> 32;

  for (size_t at = hash & t->mask;; at = (at + 1) & t->mask) {
    uint64_t word = __atomic_load_n(&t->words[at], __ATOMIC_ACQUIRE);

    if (word == 0) {
      return 0;
    }
    if (word >> 32 == tag && entry_is(entry_at((uint32_t)word), hash, pcs, n)) {
      return (uint32_t)word;
    }
  }
}

static void table_add(struct depot_table *t, uint64_t hash, uint32_t id)
{
  size_t at = hash & t->mask;

  while (t->words[at] != 0) {
    at = (at + 1) & t->mask;
  }
  __atomic_store_n(&t->words[at], word_make(hash, id), __ATOMIC_RELEASE);
  t->used++;
}

static struct depot_table *table_make(size_t words)
{
  struct depot_table *t = map_counted(sizeof(*t) + words * sizeof(t->words[0]));

  if (t != NULL) {
    t->mask = words - 1;
  }
  return t;
}

/* Retired entries are left behind: their words only cost time. */
static bool table_grow(void)
{
  struct depot_table *old = depot_table;
  struct depot_table *t =
      table_make(old == NULL ? DEPOT_TABLE_FIRST : (old->mask + 1) * 2);

  if (t == NULL) {
    return false;
  }
  for (uint32_t id = 1; id <= depot_count; id++) {
    const struct depot_entry *e = entry_at(id);

    if (!e->retired) {
      table_add(t, e->hash, id);
    }
  }
  __atomic_store_n(&depot_table, t, __ATOMIC_RELEASE);
  return true;
}

/* At most half full; if it can't grow, seven eighths. */
static bool table_ready(void)
{
  const struct depot_table *t = depot_table;

  if (t != NULL && t->used < (t->mask + 1) / 2) {
    return true;
  }
  return table_grow() || (t != NULL && t->used < (t->mask + 1) / 8 * 7);
}

/* ------------------------------------------------------------------- public */

static uint32_t put_locked(uint64_t hash, const uintptr_t *pcs, size_t n)
{
  struct depot_entry *e;
  uint32_t id;

  if (!directory_ready() || !table_ready()) {
    return 0;
  }
  id = table_find(depot_table, hash, pcs, n);
  if (id != 0) {
    return id;
  }
  e = block_cut(sizeof(*e) + n * sizeof(e->pcs[0]));
  if (e == NULL) {
    return 0;
  }
  e->hash = hash;
  e->epoch = gcx__modules_epoch();
  e->n = (uint16_t)n;
  memcpy(e->pcs, pcs, n * sizeof(e->pcs[0]));
  id = depot_count + 1;
  __atomic_store_n(&depot_directory[depot_count / DEPOT_PER_CHUNK]
                                   [depot_count % DEPOT_PER_CHUNK],
                   e, __ATOMIC_RELEASE);
  __atomic_store_n(&depot_count, id, __ATOMIC_RELEASE);
  table_add(depot_table, hash, id);
  return id;
}

uint32_t gcx__depot_put(const uintptr_t *pcs, size_t n)
{
  const struct depot_table *t = __atomic_load_n(&depot_table, __ATOMIC_ACQUIRE);
  uint64_t hash = hash_frames(pcs, n);
  uint32_t id = 0;

  GCX_ASSERT(n >= 1 && n <= UINT16_MAX);
  if (t != NULL) {
    id = table_find(t, hash, pcs, n);
  }
  if (id == 0) {
    gcx__lock(&depot_lock);
    id = put_locked(hash, pcs, n);
    gcx__unlock(&depot_lock);
  }
  return id;
}

size_t gcx__depot_get(uint32_t id, const uintptr_t **ret_pcs,
                      uint32_t *ret_epoch)
{
  const struct depot_entry *e;

  if (id == 0 || id > __atomic_load_n(&depot_count, __ATOMIC_ACQUIRE)) {
    *ret_pcs = NULL;
    *ret_epoch = 0;
    return 0;
  }
  e = entry_at(id);
  *ret_pcs = e->pcs;
  *ret_epoch = e->epoch;
  return e->n;
}

static bool passes_through(const struct depot_entry *e, uintptr_t low,
                           uintptr_t high)
{
  for (size_t i = 0; i < e->n; i++) {
    /* A return address may be the first byte after a call that ends it. */
    if (low < e->pcs[i] && e->pcs[i] <= high) {
      return true;
    }
  }
  return false;
}

void gcx__depot_retire(uintptr_t low, uintptr_t high)
{
  gcx__lock(&depot_lock);
  for (uint32_t id = 1; id <= depot_count; id++) {
    struct depot_entry *e = entry_at(id);

    if (passes_through(e, low, high)) {
      __atomic_store_n(&e->retired, 1, __ATOMIC_RELEASE);
    }
  }
  gcx__unlock(&depot_lock);
}

size_t gcx__depot_count(void)
{
  return __atomic_load_n(&depot_count, __ATOMIC_ACQUIRE);
}

size_t gcx__depot_bytes(void)
{
  return __atomic_load_n(&depot_bytes, __ATOMIC_RELAXED);
}

bool gcx__depot_check(void)
{
  bool good = true;

  gcx__lock(&depot_lock);
  for (uint32_t id = 1; id <= depot_count && good; id++) {
    const struct depot_entry *e = entry_at(id);

    good = e->n > 0 && e->hash == hash_frames(e->pcs, e->n) &&
           (e->retired || table_find(depot_table, e->hash, e->pcs, e->n) == id);
  }
  good = good && (depot_table == NULL ||
                  depot_table->used <= (depot_table->mask + 1) / 8 * 7);
  gcx__unlock(&depot_lock);
  return good;
}
