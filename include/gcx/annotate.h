/* SPDX-License-Identifier: MIT */
/*
 * gcx/annotate.h - for programs that hand out memory themselves
 *
 * An arena, a slab or a free list cuts blocks out of memory of its own. gcx sees
 * the memory, and not the blocks: one that is forgotten stays part of the whole.
 * These macros tell gcx of them. A block that was taken and not returned is
 * reported like a lost object, with the stack that took it, once it can't come
 * back any more: when its region ends. While the region lives, it is listed by
 * exit_check=undisposed. Returning a block twice is a second dispose
 * (double_dispose=).
 *
 *   void *chunk = mmap(...);
 *   GCX_REGION_BEGIN(chunk, bytes);
 *   ...
 *   GCX_BLOCK_TAKEN(block, 48);          in the allocator
 *   GCX_BLOCK_RETURNED(block);           in its free
 *   ...
 *   GCX_REGION_END(chunk);               what is still taken is lost
 *   munmap(chunk, bytes);
 *
 * They are statements, and expand to nothing, with nothing to link, where
 * GCX_DISABLE or GCX_NO_ANNOTATIONS is defined. An arena that is dropped with
 * all its blocks needs none for its blocks: they end with it.
 */
#ifndef GCX_ANNOTATE_H
#define GCX_ANNOTATE_H

#include <gcx/visibility.h>

#include <stddef.h>

#if defined(GCX_DISABLE) || defined(GCX_NO_ANNOTATIONS)

#define GCX_REGION_BEGIN(start, bytes) ((void)0)
#define GCX_REGION_END(start) ((void)0)
#define GCX_BLOCK_TAKEN(block, bytes) ((void)0)
#define GCX_BLOCK_RETURNED(block) ((void)0)
#define GCX_BLOCK_IGNORE(block) ((void)0)
#define GCX_ROOT_BEGIN(start, bytes) ((void)0)
#define GCX_ROOT_END(start, bytes) ((void)0)

#else

#include <gcx/root.h>

/* This memory is a pool: blocks are cut out of it, and pointers lie in it. */
#define GCX_REGION_BEGIN(start, bytes) gcx_region_begin((start), (bytes))
/* It is one no more: its blocks can't be returned from here on. */
#define GCX_REGION_END(start) gcx_region_end((start))
/* A block was handed out. */
#define GCX_BLOCK_TAKEN(block, bytes) gcx_block_taken((block), (bytes))
/* And came back. */
#define GCX_BLOCK_RETURNED(block) gcx_block_returned((block))
/* It is meant to stay: a block, or an object of gcx. */
#define GCX_BLOCK_IGNORE(block) gcx_block_ignore((block))
/* Pointers in this memory keep objects alive: gcx_root_add(). */
#define GCX_ROOT_BEGIN(start, bytes) ((void)gcx_root_add((start), (bytes)))
#define GCX_ROOT_END(start, bytes) gcx_root_remove((start), (bytes))

#ifdef __cplusplus
extern "C" {
#endif

/**
 * gcx_region_begin - blocks are cut out of this memory; see GCX_REGION_BEGIN
 * @start: its first byte; NULL is harmless
 * @bytes: its size
 *
 * Memory that the collector would not look into by itself is looked into.
 *
 * Return:    nothing
 * Errors:    none: without memory the region is not known, and its blocks are
 *            never called lost
 * Fatal:     none
 * Ownership: borrows the memory until gcx_region_end()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API void gcx_region_begin(void *start, size_t bytes);

/**
 * gcx_region_end - what is still taken out of it is lost
 * @start: as given to gcx_region_begin(); anything else is harmless
 *
 * The blocks are found by the next collection and reported as GCX-LEAK, type
 * "block", with the stack of gcx_block_taken().
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none here; GCX-LEAK later, as for any object
 * Ownership: gives the memory back to the caller
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_region_end(void *start);

/**
 * gcx_block_taken - the program's own allocator has handed out a block
 * @block: its first byte; NULL is harmless
 * @bytes: its size
 *
 * A block that is taken again without having been returned is taken for the last
 * time: an allocator that resets itself is none of gcx's business.
 *
 * Return:    nothing
 * Errors:    none: without memory the block is not tracked
 * Fatal:     none
 * Ownership: the program owes a gcx_block_returned()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void gcx_block_taken(const void *block, size_t bytes);

/**
 * gcx_block_returned - and has it back
 * @block: its first byte; one that gcx does not know is harmless
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-DOUBLE-DISPOSE if it came back before, if double_dispose=fatal
 * Ownership: ends the program's duty
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_block_returned(const void *block);

/**
 * gcx_block_ignore - it is meant to stay
 * @block: a block that was taken, or an object of gcx; anything else is harmless
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: ends the program's duty
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_block_ignore(const void *block);

#ifdef __cplusplus
}
#endif

#endif
#endif
