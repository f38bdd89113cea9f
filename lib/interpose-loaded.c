/* SPDX-License-Identifier: MIT */
/*
 * interpose-loaded.c - in front of the C library: dl_iterate_phdr
 *
 * bdwgc calls it with its lock held, to list what it is going to scan, libunwind
 * with another; everybody else's callback may allocate, and unwind for it. loaded.c
 * lets neither wait for the other.
 */
#include "bdw.h"
#include "interpose.h"
#include "loaded.h"
#include "platform.h"
#include "segments.h"
#include "unwind.h"

struct interpose_listing {
  gcx__loaded_fn fn;
  void *arg;
};

static int interpose_list_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct interpose_listing *l = arg;

  if (gcx__page_bytes() != 0) /* else gcx has not begun, and will not look */
    gcx__segments_add(info);
  return l->fn(info, size, l->arg);
}

static int interpose_iterate(uintptr_t caller, gcx__loaded_fn fn, void *arg)
{
  struct interpose_listing listing = { fn, arg };

  if (gcx__unwind_is_own_code(caller))
    return gcx__loaded_iterate_brief(fn, arg);
  if (!gcx__bdw_is_own_code(caller))
    return gcx__loaded_iterate(fn, arg);
  if (gcx__page_bytes() != 0)
    gcx__segments_begin();
  return gcx__loaded_iterate_to_scan(interpose_list_one, &listing);
}

/* AddressSanitizer calls it before it has any shadow memory, which code built with
 * it would look at. */
__attribute__((visibility("default"))) GCX_BEFORE_SANITIZERS int
dl_iterate_phdr(gcx__loaded_fn fn, void *arg)
{
  if (!gcx__loaded_ready)
    return gcx__loaded_iterate_plain(fn, arg);
  return interpose_iterate((uintptr_t)__builtin_return_address(0), fn, arg);
}

void gcx__interpose_loaded_init(void)
{
  gcx__loaded_init();
}
