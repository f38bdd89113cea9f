/* SPDX-License-Identifier: MIT */
/*
 * gcx/root.h - memory that the collector must look into
 *
 * gcx looks into static data, stacks, registers, thread-local storage and, with
 * roots=all (the default), into all private writable memory. What is left:
 * shared mappings, memory of a device, and, with roots=strict, malloc memory.
 *
 *   gcx_root_add(shared, sizeof(*shared));
 */
#ifndef GCX_ROOT_H
#define GCX_ROOT_H

#include <gcx/visibility.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim-hints.h */

/**
 * gcx_root_add - pointers in this region keep objects alive
 * @start: first byte
 * @bytes: size; may overlap with other regions
 *
 * Must stay readable until it is removed.
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM: nothing changed; -EINVAL: NULL, no bytes, or past the end
 *            of the address space
 * Fatal:     none
 * Ownership: borrows the region
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_root_add(void *start, size_t bytes);

/**
 * gcx_root_remove - undo a gcx_root_add()
 * @start: as given there
 * @bytes: as given there
 *
 * One call undoes one call with the same arguments; others are harmless.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: gives the region back
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_root_remove(void *start, size_t bytes);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-hints.h>
#endif

#endif
