/* SPDX-License-Identifier: MIT */
/*
 * gcx/handle.h - safe handles: a raw value of the system's (a descriptor, say)
 *                that is closed exactly once, and never under somebody's hands
 *
 * A handle holds the raw value and counts who is using it. The value can be had
 * between gcx_handle_acquire() and gcx_handle_release() only; a dispose in that
 * time closes it when the last user has released it. So the number can't be
 * given to somebody else while a call with it is on its way.
 *
 *   open --gcx_dispose()--> disposed --last release--> closed: the type's release
 *     |                                                        function ran, once
 *     +---gcx_handle_set_invalid()-------------------> closed: it never runs
 *
 * The pairs are counted as in .NET's SafeHandle: a handle begins with one
 * reference of its own, which gcx_dispose() gives back.
 *
 *   static int fd_release(intptr_t raw) { return close((int)raw) ? -errno : 0; }
 *   static const struct gcx_handle_type fd_type = GCX_HANDLE_TYPE_INIT(
 *       "fd", gcx_handle_minus_one_is_invalid, fd_release, NULL, 0);
 *   struct gcx_handle *h = gcx_handle_create(&fd_type, open(path, O_RDONLY), true);
 *   intptr_t fd;
 *   if (gcx_handle_acquire(h, &fd)) {
 *     n = read((int)fd, buf, sizeof buf);
 *     gcx_handle_release(h);
 *   }
 *   gcx_dispose(h);
 */
#ifndef GCX_HANDLE_H
#define GCX_HANDLE_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* No count: acquire hands the value out and release does nothing; a dispose
 * closes at once. For one thread, as .NET's CriticalHandle. */
#define GCX_HANDLE_UNCOUNTED 1u

/* One static const for each kind; it must outlive its handles (gcx keeps the
 * plugin that defines one mapped). */
struct gcx_handle_type {
  const char *name;                 /* in reports: "fd" */
  bool (*is_invalid)(intptr_t raw); /* nothing to release; NULL: never so */
  int (*release)(intptr_t raw);     /* 0 or -errno; once; errno is kept for
                                        the caller; must not use the handle */
  /* One line for reports into @buf, like snprintf; must not block. NULL: the
   * raw value as a number. */
  int (*describe)(intptr_t raw, char *buf, size_t n);
  unsigned flags; /* GCX_HANDLE_* */
};

/* The form of an initialiser that C++ accepts too. */
#define GCX_HANDLE_TYPE_INIT(name, is_invalid, release, describe, flags) \
  {                                                                      \
    (name), (is_invalid), (release), (describe), (flags)                 \
  }

struct gcx_handle;

#ifndef GCX_DISABLE /* else: gcx/shim-handle.h */

/**
 * gcx_handle_create - a handle for a raw value
 * @type: a static const type
 * @raw:  the value; also one that is_invalid() says is none
 * @owns: does gcx_dispose() close it? If not, the value is somebody else's
 *
 * A handle that does not own its value, or holds an invalid one, stands for
 * nothing that could be lost: its disposal is optional.
 *
 * Return:    the handle; NULL: @raw is still the caller's to close
 * Errors:    NULL and errno: ENOMEM; EINVAL (@type is NULL, nameless, has an
 *            unknown flag, or no release function although @owns)
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose(); @raw is the handle's if @owns
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_handle *gcx_handle_create(const struct gcx_handle_type *type,
                                             intptr_t raw,
                                             bool owns) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_handle_acquire - the raw value, safe from being closed until released
 * @h:       a handle, or NULL
 * @ret_raw: the value; untouched if it can't be had
 *
 * Works until the handle is closed: also on one that was disposed while others
 * are using it. Of the same handle any number may be held at a time.
 *
 * Return:    true: to be paired with gcx_handle_release(); false: it is closed
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER when @h is no handle; GCX-CORRUPT as gcx_dispose()
 * Ownership: @ret_raw is borrowed until the release
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_handle_acquire(struct gcx_handle *h,
                                intptr_t *ret_raw) GCX_WARN_UNUSED;

/**
 * gcx_handle_release - the caller uses the raw value no more
 * @h: a handle that was acquired, or NULL
 *
 * The last release of a disposed handle closes it, on this thread. A release
 * that no acquire was paired with gives the handle's own reference back: it
 * closes a handle that nobody else uses; the next one is fatal.
 *
 * Return:    nothing
 * Errors:    none; errno is not changed
 * Fatal:     GCX-OVER-RELEASE when no reference is left, with the stack that
 *            closed it; GCX-BAD-POINTER, GCX-CORRUPT as gcx_handle_acquire()
 * Ownership: ends the loan of the raw value
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_handle_release(struct gcx_handle *h);

/**
 * gcx_handle_set_invalid - the raw value is no longer the handle's
 * @h: a handle, or NULL
 *
 * For a value that somebody else has closed or taken over. The handle is closed
 * from here on; its release function never runs, and it is not reported. Those
 * who acquired it before release it as always.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_handle_acquire()
 * Ownership: the raw value is the caller's again
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_handle_set_invalid(struct gcx_handle *h);

/**
 * gcx_handle_is_invalid - does the type say that the value is none?
 * @h: a handle, or NULL
 *
 * About the value, which never changes; gcx_handle_is_closed() is about the
 * state.
 *
 * Return:    true or false; true for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_handle_acquire()
 * Ownership: borrows @h
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_handle_is_invalid(const struct gcx_handle *h);

/**
 * gcx_handle_is_closed - can it be acquired no more?
 * @h: a handle, or NULL
 *
 * Return:    true once it is closed, for ever; true for NULL. False for one that
 *            was disposed and is still in use
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_handle_acquire()
 * Ownership: borrows @h
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_handle_is_closed(const struct gcx_handle *h);

/**
 * gcx_handle_minus_one_is_invalid - for is_invalid: descriptors, mmap
 * @raw: a value
 *
 * Return:    true if @raw is -1
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API bool gcx_handle_minus_one_is_invalid(intptr_t raw);

/**
 * gcx_handle_zero_or_minus_one_is_invalid - for is_invalid: pointers, ids
 * @raw: a value
 *
 * Return:    true if @raw is 0 or -1
 * Errors:    none
 * Fatal:     none
 * Ownership: none
 * Threads:   any; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API bool gcx_handle_zero_or_minus_one_is_invalid(intptr_t raw);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-handle.h>
#endif

#endif
