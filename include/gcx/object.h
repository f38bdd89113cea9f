/* SPDX-License-Identifier: MIT */
/*
 * gcx/object.h - objects: memory with a lifetime that is checked
 *
 * An object is allocated, used, and disposed exactly once; its memory is given
 * back by the collector alone, some time after the last pointer to it is gone.
 *
 *   live --gcx_dispose()--> disposed --(unreachable)--> memory reused
 *     |
 *     +---(unreachable)---> lost: GCX-LEAK, with the stack that allocated it
 *
 * Rules: keep a pointer to an object where a collector looks (variables, other
 * objects, static data, thread-local storage, and, unless roots=strict, malloc
 * memory); dispose what you allocate; a second dispose is harmless. A pointer
 * to any byte of the object, or one past its end, keeps it alive.
 *
 *   char *line = gcx_alloc(80);
 *   if (line == NULL)
 *     return -ENOMEM;
 *   ...
 *   gcx_dispose(line);
 */
#ifndef GCX_OBJECT_H
#define GCX_OBJECT_H

#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef GCX_DISABLE /* else: gcx/shim.h */

/**
 * gcx_dispose - end an object: its clean-up is done now
 * @p: an object, or NULL
 *
 * The type's dispose function runs (derived, then base), then the objects that
 * @p owns are disposed, latest first. Idempotent: of any number of calls on any
 * threads exactly one does the work, the others return when it is done, except
 * from inside the dispose function itself and where threads would wait for each
 * other in a circle. The memory stays readable until the collector takes it.
 *
 * Return:    nothing
 * Errors:    none (gcx_close() tells what the type's dispose returned)
 * Fatal:     GCX-BAD-POINTER when @p is no object of gcx's; GCX-CORRUPT when its
 *            end was overwritten; GCX-DOUBLE-DISPOSE only if
 *            double_dispose=fatal
 * Ownership: ends the caller's duty to dispose
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_dispose(void *p);

/**
 * gcx_close - gcx_dispose(), and how it went
 * @p: an object, or NULL
 *
 * Return:    0, or the first negative errno that a dispose function of the chain
 *            returned; 0 if @p was disposed before
 * Errors:    what the type's dispose returned; the object is disposed all the
 *            same
 * Fatal:     as gcx_dispose(): GCX-BAD-POINTER, GCX-CORRUPT, GCX-DOUBLE-DISPOSE
 * Ownership: ends the caller's duty to dispose
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API int gcx_close(void *p);

/**
 * gcx_discard - end an object whose construction failed
 * @p: an object, or NULL
 *
 * No dispose function runs and nothing is reported: neither for @p, nor later.
 * What it owns is disposed.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: ends the caller's duty to dispose
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_discard(void *p);

/**
 * gcx_alloc - a zeroed object of plain memory
 * @bytes: size; 0 gives an object of its own without bytes
 *
 * Replaces malloc() and calloc(). Scanned for pointers conservatively.
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno ENOMEM, also for a size that can't be had
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_alloc(size_t bytes) GCX_ALLOC_SIZE(1) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_alloc_atomic - a zeroed object that holds no pointers
 * @bytes: size
 *
 * Text, numbers, pixels: never scanned, so nothing in it keeps an object alive.
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno ENOMEM
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_alloc_atomic(size_t bytes) GCX_ALLOC_SIZE(1) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

#endif /* GCX_DISABLE */

/**
 * gcx_alloc_managed - collected memory without a duty
 * @bytes: size
 *
 * No disposal is expected and none is reported; gcx_dispose() is allowed.
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno ENOMEM
 * Fatal:     none
 * Ownership: the collector's
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_alloc_managed(size_t bytes) GCX_ALLOC_SIZE(1) GCX_WARN_UNUSED;

#ifndef GCX_DISABLE /* else: gcx/shim.h */

/**
 * gcx_calloc - gcx_alloc() of an array
 * @n:     number of elements
 * @bytes: size of each
 *
 * Return:    the object, zeroed, 16-aligned; NULL when there is no memory
 * Errors:    NULL and errno ENOMEM, also when the product overflows
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_calloc(size_t n, size_t bytes)
    GCX_ALLOC_SIZE2(1, 2) GCX_WARN_UNUSED GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_realloc - change the size of an object
 * @p:     an object, or NULL: then gcx_alloc(@bytes)
 * @bytes: new size; 0 is a size like any other and ends nothing
 *
 * Bytes that are new are zero. If the object has to move, its identity moves
 * with it (birth, type, owner and owned objects, weak references) and the old
 * pointer names a disposed object from then on.
 *
 * Return:    the object, perhaps at another address; NULL when there is no
 *            memory: nothing changed then
 * Errors:    NULL and errno: ENOMEM; EINVAL when @p was disposed
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: the duty to dispose follows the object
 * Threads:   any thread, but one at a time for an object; in a finalizer: yes;
 *            in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_realloc(void *p, size_t bytes)
    GCX_ALLOC_SIZE(2) GCX_WARN_UNUSED;

/**
 * gcx_aligned_alloc - gcx_alloc() at a multiple of an alignment
 * @align: a power of two up to 4096, bytes
 * @bytes: size; need not be a multiple of @align
 *
 * More than 4096 can't be had: an object begins where its cell begins.
 *
 * Return:    the object, zeroed, aligned; NULL
 * Errors:    NULL and errno: EINVAL (@align is no power of two or above 4096);
 *            ENOMEM
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API void *gcx_aligned_alloc(size_t align, size_t bytes)
    GCX_ALLOC_SIZE(2) GCX_WARN_UNUSED GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_strdup - a copy of a string
 * @s: the string
 *
 * Return:    the copy, without pointers for the collector; NULL
 * Errors:    NULL and errno: ENOMEM; EINVAL when @s is NULL
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API char *gcx_strdup(const char *s) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_strndup - a copy of at most some bytes of a string
 * @s: the string; need not be terminated within @n bytes
 * @n: bytes to copy at the most, without the terminator
 *
 * Return:    the copy, terminated; NULL
 * Errors:    NULL and errno: ENOMEM; EINVAL when @s is NULL
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API char *gcx_strndup(const char *s, size_t n) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_size - bytes that were asked for
 * @p: an object, disposed or not, or NULL
 *
 * Return:    size in bytes; 0 for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @p
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_size(const void *p);

/**
 * gcx_is_disposed - has gcx_dispose() been called on it?
 * @p: an object
 *
 * True from the moment its disposal begins, for ever. A disposed object's memory
 * is not reused while a pointer to it exists, so the answer is never about
 * another object.
 *
 * Return:    true or false; true for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @p
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_is_disposed(const void *p);

/**
 * gcx_require_live - a check at the top of a function that uses an object
 * @p: an object
 *
 * A diagnostic, not a guard: another thread may dispose @p right afterwards.
 *
 * Return:    @p
 * Errors:    none
 * Fatal:     GCX-USE-AFTER-DISPOSE with both stacks when @p was disposed;
 *            GCX-BAD-POINTER (also for NULL), GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @p
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void *gcx_require_live(void *p);

/**
 * gcx_suppress_finalize - neither finalized nor reported from now on
 * @p: an object, or NULL
 *
 * Also when it was found unreachable already and waits for its finalizer; one that
 * is running runs on. The object still may be disposed, and its finalizer does not
 * run after that. gcx_reregister_finalize() takes it back.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: ends the caller's duty to dispose
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_suppress_finalize(void *p);

/**
 * gcx_reregister_finalize - the duty is back
 * @p: an object that is not disposed, or NULL; harmless if nothing was suppressed
 *
 * A finalizer runs once for each registration; birth is the first. One that stores
 * its object where the collector looks brings it back to life (resurrection): it can
 * be used and disposed, but is neither finalized nor reported again unless it is
 * registered here, in the finalizer or later. Registering twice counts once.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: the caller owes a gcx_dispose() again
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_reregister_finalize(void *p);

/**
 * gcx_keep_alive - reachable up to here
 * @p: any pointer, or NULL
 *
 * A compiler drops a variable after its last use; an object that is used only
 * through something derived from it can be lost before. A compiler barrier, no
 * memory fence.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     none
 * Ownership: borrows @p
 * Threads:   any; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API void gcx_keep_alive(const void *p);

/**
 * gcx_touch - remember where an object was last used
 * @p:    an object, or NULL
 * @hint: a word for the report, or NULL; 63 bytes of it are copied
 *
 * The last four touches of an object appear in its report, with stacks.
 *
 * Return:    nothing
 * Errors:    none (without memory the touch is not remembered)
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @p and @hint
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap, once for an object
 */
GCX_API void gcx_touch(const void *p, const char *hint);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-hints.h>
#include <gcx/shim.h>
#endif

#endif
