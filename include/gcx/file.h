/* SPDX-License-Identifier: MIT */
/*
 * gcx/file.h - streams, directories and mapped files as objects
 *
 * Each is opened by its constructor and ends with gcx_dispose(); gcx_close()
 * tells whether closing, and with it the last write, went well.
 *
 *   struct gcx_file *f = gcx_file_open("notes.txt", "w");
 *   if (f == NULL)
 *     return -errno;
 *   fprintf(gcx_file_stream(f), "%d\n", n);
 *   return gcx_close(f);
 */
#ifndef GCX_FILE_H
#define GCX_FILE_H

#include <gcx/object.h>
#include <gcx/visibility.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dirent;
struct gcx_file;
struct gcx_dir;
struct gcx_map;

#ifndef GCX_DISABLE /* else: gcx/shim-file.h */

/**
 * gcx_file_open - fopen(), as an object
 * @path: of the file
 * @mode: as for fopen(); "e" (close-on-exec) is added
 *
 * Return:    the file; NULL
 * Errors:    NULL and errno: ENOMEM; EINVAL (no or overlong @mode); what fopen()
 *            sets
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_file *gcx_file_open(const char *path,
                                       const char *mode) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_file_stream - the stream, for the functions of stdio.h
 * @f: a file
 *
 * Not to be closed with fclose(), nor used when @f has been disposed.
 *
 * Return:    the stream; NULL once @f is disposed, and for NULL
 * Errors:    NULL and errno EBADF
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrowed from @f
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API FILE *gcx_file_stream(const struct gcx_file *f);

/**
 * gcx_dir_open - opendir(), as an object
 * @path: of the directory
 *
 * Return:    the directory; NULL
 * Errors:    NULL and errno: ENOMEM, and what opendir() sets
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose()
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_dir *gcx_dir_open(const char *path) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_dir_next - the next entry
 * @d: a directory
 *
 * Return:    the entry, valid until the next call; NULL at the end, with errno 0
 * Errors:    NULL and errno: EBADF (disposed, or NULL); what readdir() sets
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrowed from @d
 * Threads:   any thread, one at a time; in a finalizer: yes; in a signal
 *            handler: no
 * Allocates: no
 */
GCX_API struct dirent *gcx_dir_next(struct gcx_dir *d);

/**
 * gcx_map_file - a whole file in memory
 * @path:     of the file; an empty one gives a mapping without bytes
 * @writable: are writes to the memory writes to the file?
 *
 * Return:    the mapping; NULL
 * Errors:    NULL and errno: ENOMEM, and what open(), fstat(), mmap() set
 * Fatal:     none
 * Ownership: the caller owes a gcx_dispose(), which unmaps it
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: yes
 */
GCX_API struct gcx_map *gcx_map_file(const char *path,
                                     bool writable) GCX_WARN_UNUSED
    GCX_ENDED_BY(gcx_dispose);

/**
 * gcx_map_start - first byte of a mapping
 * @m: a mapping
 *
 * Return:    the address; NULL if it has no bytes, once it is disposed, and for
 *            NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrowed from @m; reading it does not keep @m alive
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API void *gcx_map_start(const struct gcx_map *m);

/**
 * gcx_map_bytes - size of a mapping
 * @m: a mapping
 *
 * Return:    bytes; 0 once it is disposed, and for NULL
 * Errors:    none
 * Fatal:     GCX-BAD-POINTER, GCX-CORRUPT as gcx_dispose()
 * Ownership: borrows @m
 * Threads:   any thread; in a finalizer: yes; in a signal handler: no
 * Allocates: no
 */
GCX_API size_t gcx_map_bytes(const struct gcx_map *m);

#endif /* GCX_DISABLE */

#ifdef __cplusplus
}
#endif

#ifdef GCX_DISABLE
#include <gcx/shim-file.h>
#endif

#endif
