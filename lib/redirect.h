/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - what gcx/malloc.h turns the C library's names into; same
 *              contracts as there
 *
 * No header for programs: they see the C library's own declarations, under other
 * symbols. A row here, its definition in a redirect-*.c, its #pragma in
 * include/gcx/malloc.h, its name in gcx.map: tools/check-symbols compares.
 */
#ifndef GCX_REDIRECT_H
#define GCX_REDIRECT_H

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <wchar.h>

#include "block.h"

#define GCX_REDIRECTED __attribute__((visibility("default")))

/* ---- memory: redirect-memory.c */
GCX_REDIRECTED void *gcx_redirect_malloc(size_t bytes);
GCX_REDIRECTED void *gcx_redirect_calloc(size_t n, size_t bytes);
GCX_REDIRECTED void *gcx_redirect_realloc(void *p, size_t bytes);
GCX_REDIRECTED void *gcx_redirect_reallocarray(void *p, size_t n, size_t bytes);
GCX_REDIRECTED void gcx_redirect_free(void *p);
GCX_REDIRECTED void *gcx_redirect_aligned_alloc(size_t align, size_t bytes);
GCX_REDIRECTED void *gcx_redirect_memalign(size_t align, size_t bytes);
GCX_REDIRECTED void *gcx_redirect_valloc(size_t bytes);
GCX_REDIRECTED void *gcx_redirect_pvalloc(size_t bytes);
GCX_REDIRECTED int gcx_redirect_posix_memalign(void **ret_p, size_t align,
                                               size_t bytes);
GCX_REDIRECTED size_t gcx_redirect_malloc_usable_size(void *p);

/* ---- copies: redirect-text.c */
GCX_REDIRECTED char *gcx_redirect_strdup(const char *s);
GCX_REDIRECTED char *gcx_redirect_strndup(const char *s, size_t n);
GCX_REDIRECTED wchar_t *gcx_redirect_wcsdup(const wchar_t *s);
GCX_REDIRECTED int gcx_redirect_asprintf(char **ret_s, const char *fmt, ...)
    GCX_PRINTF(2, 3);
GCX_REDIRECTED int gcx_redirect_vasprintf(char **ret_s, const char *fmt,
                                          va_list ap) GCX_PRINTF(2, 0);
GCX_REDIRECTED int gcx_redirect_asprintf_chk(char **ret_s, int flag,
                                             const char *fmt, ...)
    GCX_PRINTF(3, 4);
GCX_REDIRECTED int gcx_redirect_vasprintf_chk(char **ret_s, int flag,
                                              const char *fmt, va_list ap)
    GCX_PRINTF(3, 0);
GCX_REDIRECTED ssize_t gcx_redirect_getline(char **line, size_t *room,
                                            FILE *file);
GCX_REDIRECTED ssize_t gcx_redirect_getdelim(char **line, size_t *room,
                                             int delimiter, FILE *file);

/* ---- names of files: redirect-path.c */
GCX_REDIRECTED char *gcx_redirect_realpath(const char *path, char *resolved);
GCX_REDIRECTED char *gcx_redirect_realpath_chk(const char *path, char *resolved,
                                               size_t room);
GCX_REDIRECTED char *gcx_redirect_canonicalize_file_name(const char *path);
GCX_REDIRECTED char *gcx_redirect_getcwd(char *buffer, size_t bytes);
GCX_REDIRECTED char *gcx_redirect_getcwd_chk(char *buffer, size_t bytes,
                                             size_t room);
GCX_REDIRECTED char *gcx_redirect_get_current_dir_name(void);
GCX_REDIRECTED char *gcx_redirect_tempnam(const char *dir, const char *prefix);
typedef int (*gcx__redirect_filter_fn)(const struct dirent *entry);
typedef int (*gcx__redirect_order_fn)(const struct dirent **a,
                                      const struct dirent **b);
GCX_REDIRECTED int gcx_redirect_scandir(const char *dir,
                                        struct dirent ***ret_list,
                                        gcx__redirect_filter_fn filter,
                                        gcx__redirect_order_fn order);
GCX_REDIRECTED int gcx_redirect_scandirat(int dirfd, const char *dir,
                                          struct dirent ***ret_list,
                                          gcx__redirect_filter_fn filter,
                                          gcx__redirect_order_fn order);

/* ---- redirect-memstream.c */
GCX_REDIRECTED FILE *gcx_redirect_open_memstream(char **ret_text,
                                                 size_t *ret_bytes);

/* ---- for the above */

/* What the C library allocated and handed out, as a block of gcx's, its first
 * @bytes copied; where there is none to be had, as it is. errno stays. */
void *gcx__redirect_adopt(void *p, size_t bytes,
                          const struct gcx__frame *start);

/* ---- descriptors: redirect-fd.c */
GCX_REDIRECTED int gcx_redirect_open(const char *path, int flags, ...);
GCX_REDIRECTED int gcx_redirect_open_2(const char *path, int flags);
GCX_REDIRECTED int gcx_redirect_openat(int dir, const char *path, int flags,
                                       ...);
GCX_REDIRECTED int gcx_redirect_openat_2(int dir, const char *path, int flags);
GCX_REDIRECTED int gcx_redirect_creat(const char *path, mode_t mode);
GCX_REDIRECTED int gcx_redirect_socket(int domain, int type, int protocol);
GCX_REDIRECTED int gcx_redirect_accept(int fd, struct sockaddr *ret_peer,
                                       socklen_t *peer_bytes);
GCX_REDIRECTED int gcx_redirect_accept4(int fd, struct sockaddr *ret_peer,
                                        socklen_t *peer_bytes, int flags);
GCX_REDIRECTED int gcx_redirect_socketpair(int domain, int type, int protocol,
                                           int ret_fds[2]);
GCX_REDIRECTED int gcx_redirect_pipe(int ret_fds[2]);
GCX_REDIRECTED int gcx_redirect_pipe2(int ret_fds[2], int flags);
GCX_REDIRECTED int gcx_redirect_dup(int fd);
GCX_REDIRECTED int gcx_redirect_dup2(int fd, int to);
GCX_REDIRECTED int gcx_redirect_dup3(int fd, int to, int flags);
GCX_REDIRECTED int gcx_redirect_epoll_create1(int flags);
GCX_REDIRECTED int gcx_redirect_eventfd(unsigned value, int flags);
GCX_REDIRECTED int gcx_redirect_timerfd_create(int clock, int flags);
GCX_REDIRECTED int gcx_redirect_memfd_create(const char *name, unsigned flags);
GCX_REDIRECTED int gcx_redirect_close(int fd);
GCX_REDIRECTED int gcx_redirect_close_range(unsigned first, unsigned last,
                                            int flags);

/* ---- streams: redirect-stream.c */
GCX_REDIRECTED FILE *gcx_redirect_fopen(const char *path, const char *mode);
GCX_REDIRECTED FILE *gcx_redirect_fdopen(int fd, const char *mode);
GCX_REDIRECTED FILE *gcx_redirect_freopen(const char *path, const char *mode,
                                          FILE *f);
GCX_REDIRECTED FILE *gcx_redirect_popen(const char *command, const char *mode);
GCX_REDIRECTED FILE *gcx_redirect_tmpfile(void);
GCX_REDIRECTED int gcx_redirect_fclose(FILE *f);
GCX_REDIRECTED int gcx_redirect_pclose(FILE *f);
GCX_REDIRECTED DIR *gcx_redirect_opendir(const char *path);
GCX_REDIRECTED DIR *gcx_redirect_fdopendir(int fd);
GCX_REDIRECTED int gcx_redirect_closedir(DIR *d);

#endif
