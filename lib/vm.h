/* SPDX-License-Identifier: MIT */
/*
 * vm.h - memory that gcx owns: mapped from the system, invisible to the
 *        collector, never a root
 *
 * Everything gcx keeps about the program's objects lives here and not in
 * malloc's or the collector's heap: it must be readable with the world stopped,
 * its growth must not move the program's heap, and a pointer in it must not
 * keep an object alive. roots.c asks gcx__vm_owns() to leave it out.
 */
#ifndef GCX_VM_H
#define GCX_VM_H

#include "assert.h"

/* @bytes of zeroed pages, reserved but not committed (MAP_NORESERVE); NULL if
 * they can't be had. Any thread, also with the world stopped. */
void *gcx__vm_map(size_t bytes) GCX_MUST_CHECK;
void gcx__vm_unmap(void *start, size_t bytes);

/* If @start lies in memory of gcx's: true, and one past the last byte of that
 * run; if not: false, and the next byte that does (UINTPTR_MAX if none). Never
 * waits; exact in a stopped world. */
bool gcx__vm_owns(uintptr_t start, uintptr_t *ret_boundary);

/* Small blocks for ever (threads, aux entries): aligned to 64, never freed. */
void *gcx__vm_alloc(size_t bytes) GCX_MUST_CHECK;

/* Tests. The n-th map or alloc from now by the calling thread fails (0: none does);
 * by any thread: whichever comes first, so that not even the first need be the
 * test's own. Or all of the calling thread's fail, until they no longer do. */
void gcx__vm_fail_at(uint64_t n);
void gcx__vm_fail_at_any(uint64_t n);
void gcx__vm_fail_here(bool fail);
uint64_t gcx__vm_calls(void);

#endif
