/* SPDX-License-Identifier: MIT */
/*
 * bdw-code.c - where bdwgc's code lies: is it the caller of what libgcx interposes?
 *
 * No API tells which mappings are bdwgc's own; that its code asked for them does.
 */
#include "bdw-gc.h"

#include <dlfcn.h>

#define BDW_MEMBER_BYTES 16384 /* more than one member of libgc.a has */

static uintptr_t bdw_text_low, bdw_text_high;

/* libgc linked into the same object as gcx: its members lie together, and these
 * functions come from as many of them as may call mmap or pthread_create. */
static void bdw_static_bounds(void)
{
  const uintptr_t known[] = {
    (uintptr_t)GC_gcollect,
    (uintptr_t)GC_expand_hp,
    (uintptr_t)GC_base,
    (uintptr_t)GC_push_all,
    (uintptr_t)GC_malloc,
    (uintptr_t)GC_init,
    (uintptr_t)GC_register_my_thread,
    (uintptr_t)GC_set_push_other_roots,
    (uintptr_t)GC_invoke_finalizers,
    (uintptr_t)GC_generic_malloc_many,
  };
  uintptr_t low = UINTPTR_MAX, high = 0;

  for (size_t i = 0; i < GCX_ARRAY_LENGTH(known); i++) {
    low = GCX_MIN(low, known[i]);
    high = GCX_MAX(high, known[i]);
  }
  bdw_text_low = low;
  __atomic_store_n(&bdw_text_high, high + BDW_MEMBER_BYTES, __ATOMIC_RELEASE);
}

/* Takes no lock: it runs inside mmap, called from anywhere. */
static void bdw_find_text(void)
{
  struct dl_find_object libgc, own;

  if (_dl_find_object((void *)(uintptr_t)GC_gcollect, &libgc) != 0 ||
      _dl_find_object((void *)(uintptr_t)bdw_find_text, &own) != 0 ||
      libgc.dlfo_map_start == own.dlfo_map_start) {
    bdw_static_bounds();
    return;
  }
  bdw_text_low = (uintptr_t)libgc.dlfo_map_start;
  __atomic_store_n(&bdw_text_high, (uintptr_t)libgc.dlfo_map_end,
                   __ATOMIC_RELEASE);
}

bool gcx__bdw_is_own_code(uintptr_t pc)
{
  if (GCX_UNLIKELY(__atomic_load_n(&bdw_text_high, __ATOMIC_ACQUIRE) == 0))
    bdw_find_text();
  return pc >= bdw_text_low && pc < bdw_text_high;
}
