/* SPDX-License-Identifier: MIT */
/*
 * gcx/table.h - weak-keyed tables: extra data for any object
 *
 * A table attaches a value to an object without changing the object. An entry
 * lives while both its table and its key are reachable; as long as it lives it
 * holds its value. The value may lead back to its key, to the table or to other
 * keys: that keeps nothing alive (a true ephemeron table).
 *
 * A table owns its values: when an entry ends, because its key died, it was
 * removed, overwritten or cleared, the table ended, or another thread's value won
 * in gcx_table_get_or_add(), the value is disposed once on gcx's finalizer
 * thread. With GCX_TABLE_BORROWS it is merely let go.
 *
 *   static struct gcx_table *tags;
 *   tags = gcx_table_create(0);
 *   gcx_table_set(tags, sock, tag_new("login"));      sock knows nothing of it
 *   ...
 *   struct tag *t = gcx_table_get(tags, sock);
 *
 * Keys are compared by address. A key is the start of any object of the collected
 * heap, gcx's or bdwgc's (disposed or not; disposal is not death). A value is any
 * pointer but (void *)UINTPTR_MAX. A table is itself an object, can be key and
 * value, and needs no disposal.
 *
 * All functions may be called from any thread. Reading takes no lock and never
 * waits. None of them may be called in a signal handler.
 */
#ifndef GCX_TABLE_H
#define GCX_TABLE_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are let go when their entry ends, not disposed. */
#define GCX_TABLE_BORROWS 1u

struct gcx_table;

/* Makes a value for @key; NULL: it can't (gcx_table_get_or_add()). */
typedef void *(*gcx_make_fn)(const void *key, void *arg);

/**
 * gcx_table_create - an empty table
 * @flags: 0, or GCX_TABLE_BORROWS
 *
 * Return:    the table; NULL on failure
 * Errors:    NULL and errno: ENOMEM; EINVAL: an unknown flag
 * Fatal:     none
 * Ownership: gcx_dispose() of the result is optional; it ends all entries
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_table *gcx_table_create(unsigned flags) GCX_WARN_UNUSED;

/**
 * gcx_table_add - a new entry
 * @t:     a table
 * @key:   start of an object of the collected heap
 * @value: any pointer, NULL too
 *
 * Return:    0, or a negative errno
 * Errors:    -EEXIST: the key has an entry, which stays; -ENOMEM; -EINVAL: @key
 *            is no object's start, @t is NULL or disposed; in all cases nothing
 *            changed, and @value is the caller's
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows @t and @key; takes @value over unless GCX_TABLE_BORROWS
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_table_add(struct gcx_table *t, const void *key, void *value);

/**
 * gcx_table_set - an entry with this value, new or not
 * @t:     a table
 * @key:   start of an object of the collected heap
 * @value: any pointer, NULL too
 *
 * An earlier value is let go as when its entry ends; the value that is there
 * already is no change.
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM; -EINVAL: @key is no object's start, @t is NULL or disposed;
 *            nothing changed, and @value is the caller's
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows @t and @key; takes @value over unless GCX_TABLE_BORROWS
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_table_set(struct gcx_table *t, const void *key, void *value);

/**
 * gcx_table_get - the value of a key
 * @t:   a table, or NULL
 * @key: any pointer
 *
 * Return:    the value; NULL if there is no entry, or the value is NULL
 * Errors:    none: what can't be a key has no entry
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows both; the result is the table's, and reachable for as long
 *            as the caller holds it
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void *gcx_table_get(struct gcx_table *t, const void *key);

/**
 * gcx_table_find - the value of a key, and whether there is one
 * @t:         a table, or NULL
 * @key:       any pointer
 * @ret_value: set if there is an entry; or NULL
 *
 * Return:    is there an entry?
 * Errors:    none: what can't be a key has no entry
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: as gcx_table_get()
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API bool gcx_table_find(struct gcx_table *t, const void *key,
                            void **ret_value);

/**
 * gcx_table_get_or_add - the value of a key, made if there is none
 * @t:         a table
 * @key:       start of an object of the collected heap
 * @make:      called as make(@key, @arg) if there is no entry
 * @arg:       for @make
 * @ret_value: the value of the entry; or NULL
 *
 * @make runs with no lock held and may use the table. If several threads make a
 * value at once, or @make adds an entry for the key itself, the entry that was
 * added first stays, all get its value, and what else was made is let go as when
 * an entry ends.
 *
 * Return:    0, or a negative errno
 * Errors:    -ENOMEM, also if @make returned NULL; -EINVAL: @key is no object's
 *            start, @t is NULL or disposed, @make is NULL; @ret_value untouched
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows @t and @key; takes what @make returns over unless
 *            GCX_TABLE_BORROWS
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap
 */
GCX_API int gcx_table_get_or_add(struct gcx_table *t, const void *key,
                                 gcx_make_fn make, void *arg, void **ret_value);

/**
 * gcx_table_remove - end the entry of a key
 * @t:   a table, or NULL
 * @key: any pointer
 *
 * Return:    was there one?
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: the value is disposed later unless GCX_TABLE_BORROWS
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: outside the collected heap, and does without if there is no memory
 */
GCX_API bool gcx_table_remove(struct gcx_table *t, const void *key);

/**
 * gcx_table_clear - end all entries
 * @t: a table, or NULL
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: the values are disposed later unless GCX_TABLE_BORROWS
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_table_clear(struct gcx_table *t);

/**
 * gcx_table_count - entries
 * @t: a table, or NULL
 *
 * Entries whose keys have died since the last collection are still counted.
 *
 * Return:    how many there are at this moment
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows @t
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_table_count(struct gcx_table *t);

/* A walk through a table, on the caller's stack; nothing needs to be ended. */
struct gcx_table_iter {
  struct gcx_table *table; /* the rest is private */
  uint64_t array;
  uint64_t next;
  uint64_t end;
  uint32_t place;
};

/**
 * gcx_table_iter_init - begin to walk through a table
 * @it: to be filled
 * @t:  a table, or NULL
 *
 *   struct gcx_table_iter it;
 *   void *key, *value;
 *   gcx_table_iter_init(&it, t);
 *   while (gcx_table_iter_next(&it, &key, &value))
 *     ...
 *
 * In the order in which the entries were added first. The body may add, remove,
 * allocate, collect: an entry that ends before it was reached is not seen, one
 * that is added after this call neither.
 *
 * Return:    nothing
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if @t is no table
 * Ownership: borrows @t
 * Threads:   any thread; lock-free; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void gcx_table_iter_init(struct gcx_table_iter *it,
                                 struct gcx_table *t);

/**
 * gcx_table_iter_next - the next entry of a walk
 * @it:        as gcx_table_iter_init() made it
 * @ret_key:   the key; or NULL
 * @ret_value: its value; or NULL
 *
 * Return:    false: there is none, nothing was set
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER if what @it began with is no table
 * Ownership: as gcx_table_get()
 * Threads:   one at a time uses @it; lock-free; in a finalizer: yes; in a signal
 *            handler: no
 * Allocates: no
 */
GCX_API bool gcx_table_iter_next(struct gcx_table_iter *it, void **ret_key,
                                 void **ret_value);

#ifdef __cplusplus
}
#endif

#endif
