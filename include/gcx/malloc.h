/* SPDX-License-Identifier: MIT */
/*
 * gcx/malloc.h - an existing program's malloc and free become gcx's
 *
 *   cc -include gcx/malloc.h $(pkg-config --cflags gcx) ... $(pkg-config --libs gcx)
 *
 * Nothing in the source changes. Every block that malloc() or a relative of it
 * returns is tracked; one that is lost without free() is a GCX-LEAK at the line
 * that allocated it; free() of a freed block is a GCX-DOUBLE-FREE, of a pointer
 * into one a GCX-BAD-POINTER. Memory that the C library allocates and hands out
 * (getline, asprintf, realpath, scandir, ...) is adopted. A pointer that is not
 * gcx's goes to the C library.
 *
 * How: the names stay what they are, the symbols behind them change
 * (#pragma redefine_extname). So members, local variables and macros of the same
 * name are left alone, and a function's address is gcx's function. This header
 * includes none of the system's: what the program defines before its first one
 * means what it meant.
 *
 * The rules:
 * - first in every file, by -include; a file without it uses the C library, and
 *   both kinds can be mixed;
 * - link with gcx;
 * - -DGCX_DISABLE turns it off.
 * docs/adopting.md tells more.
 */
#ifndef GCX_MALLOC_H
#define GCX_MALLOC_H

#if !defined(GCX_DISABLE)

#if !defined(__GNUC__)
#error "gcx/malloc.h needs #pragma redefine_extname: gcc or clang"
#endif

#include <gcx/build.h>

/* ---- memory */
#pragma redefine_extname malloc gcx_redirect_malloc
#pragma redefine_extname calloc gcx_redirect_calloc
#pragma redefine_extname realloc gcx_redirect_realloc
#pragma redefine_extname reallocarray gcx_redirect_reallocarray
#pragma redefine_extname free gcx_redirect_free
#pragma redefine_extname cfree gcx_redirect_free
#pragma redefine_extname free_sized gcx_redirect_free
#pragma redefine_extname free_aligned_sized gcx_redirect_free
#pragma redefine_extname aligned_alloc gcx_redirect_aligned_alloc
#pragma redefine_extname memalign gcx_redirect_memalign
#pragma redefine_extname valloc gcx_redirect_valloc
#pragma redefine_extname pvalloc gcx_redirect_pvalloc
#pragma redefine_extname posix_memalign gcx_redirect_posix_memalign
#pragma redefine_extname malloc_usable_size gcx_redirect_malloc_usable_size

/* ---- copies, text, lines */
#pragma redefine_extname strdup gcx_redirect_strdup
#pragma redefine_extname __strdup gcx_redirect_strdup
#pragma redefine_extname strndup gcx_redirect_strndup
#pragma redefine_extname __strndup gcx_redirect_strndup
#pragma redefine_extname wcsdup gcx_redirect_wcsdup
#pragma redefine_extname asprintf gcx_redirect_asprintf
#pragma redefine_extname __asprintf gcx_redirect_asprintf
#pragma redefine_extname __asprintf_chk gcx_redirect_asprintf_chk
#pragma redefine_extname vasprintf gcx_redirect_vasprintf
#pragma redefine_extname __vasprintf_chk gcx_redirect_vasprintf_chk
#pragma redefine_extname getline gcx_redirect_getline
#pragma redefine_extname getdelim gcx_redirect_getdelim
#pragma redefine_extname __getdelim gcx_redirect_getdelim
#pragma redefine_extname open_memstream gcx_redirect_open_memstream

/* ---- names of files */
#pragma redefine_extname realpath gcx_redirect_realpath
#pragma redefine_extname __realpath_chk gcx_redirect_realpath_chk
/* clang-format off */
#pragma redefine_extname canonicalize_file_name gcx_redirect_canonicalize_file_name
/* clang-format on */
#pragma redefine_extname getcwd gcx_redirect_getcwd
#pragma redefine_extname __getcwd_chk gcx_redirect_getcwd_chk
#pragma redefine_extname get_current_dir_name gcx_redirect_get_current_dir_name
#pragma redefine_extname tempnam gcx_redirect_tempnam
#pragma redefine_extname scandir gcx_redirect_scandir
#pragma redefine_extname scandirat gcx_redirect_scandirat
#if defined(__LP64__) /* off_t has 64 bits with or without the suffix */
#pragma redefine_extname scandir64 gcx_redirect_scandir
#pragma redefine_extname scandirat64 gcx_redirect_scandirat
#endif

/* ---- descriptors: who opened which, and whose it is */
#pragma redefine_extname open gcx_redirect_open
#pragma redefine_extname open64 gcx_redirect_open
#pragma redefine_extname __open_2 gcx_redirect_open_2
#pragma redefine_extname __open64_2 gcx_redirect_open_2
#pragma redefine_extname openat gcx_redirect_openat
#pragma redefine_extname openat64 gcx_redirect_openat
#pragma redefine_extname __openat_2 gcx_redirect_openat_2
#pragma redefine_extname __openat64_2 gcx_redirect_openat_2
#pragma redefine_extname creat gcx_redirect_creat
#pragma redefine_extname creat64 gcx_redirect_creat
#pragma redefine_extname socket gcx_redirect_socket
#pragma redefine_extname accept gcx_redirect_accept
#pragma redefine_extname accept4 gcx_redirect_accept4
#pragma redefine_extname socketpair gcx_redirect_socketpair
#pragma redefine_extname pipe gcx_redirect_pipe
#pragma redefine_extname pipe2 gcx_redirect_pipe2
#pragma redefine_extname dup gcx_redirect_dup
#pragma redefine_extname dup2 gcx_redirect_dup2
#pragma redefine_extname dup3 gcx_redirect_dup3
#pragma redefine_extname epoll_create1 gcx_redirect_epoll_create1
#pragma redefine_extname eventfd gcx_redirect_eventfd
#pragma redefine_extname timerfd_create gcx_redirect_timerfd_create
#pragma redefine_extname memfd_create gcx_redirect_memfd_create
#pragma redefine_extname close gcx_redirect_close
#pragma redefine_extname close_range gcx_redirect_close_range

/* ---- streams: found when lost */
#pragma redefine_extname fopen gcx_redirect_fopen
#pragma redefine_extname fopen64 gcx_redirect_fopen
#pragma redefine_extname fdopen gcx_redirect_fdopen
#pragma redefine_extname freopen gcx_redirect_freopen
#pragma redefine_extname freopen64 gcx_redirect_freopen
#pragma redefine_extname popen gcx_redirect_popen
#pragma redefine_extname tmpfile gcx_redirect_tmpfile
#pragma redefine_extname tmpfile64 gcx_redirect_tmpfile
#pragma redefine_extname fclose gcx_redirect_fclose
#pragma redefine_extname pclose gcx_redirect_pclose
#pragma redefine_extname opendir gcx_redirect_opendir
#pragma redefine_extname fdopendir gcx_redirect_fdopendir
#pragma redefine_extname closedir gcx_redirect_closedir

/* Symbols that no declaration of these names leads to: the calloc() that gcc makes
 * of malloc() and memset(), the malloc() that it makes of realloc(NULL, n), and
 * what the C library's headers name by an asm label (_FORTIFY_SOURCE,
 * _FILE_OFFSET_BITS=64). The assembler renames them. */
#if defined(__ELF__) && !defined(GCX_REDIRECT_NO_ASM)
__asm__(".set malloc, gcx_redirect_malloc\n"
        ".set calloc, gcx_redirect_calloc\n"
        ".set realpath, gcx_redirect_realpath\n"
        ".set getcwd, gcx_redirect_getcwd\n"
        ".set open, gcx_redirect_open\n"
        ".set openat, gcx_redirect_openat\n");
#if defined(__LP64__)
__asm__(".set fopen64, gcx_redirect_fopen\n"
        ".set freopen64, gcx_redirect_freopen\n"
        ".set tmpfile64, gcx_redirect_tmpfile\n"
        ".set __open64_2, gcx_redirect_open_2\n"
        ".set __openat64_2, gcx_redirect_openat_2\n"
        ".set open64, gcx_redirect_open\n"
        ".set openat64, gcx_redirect_openat\n"
        ".set creat64, gcx_redirect_creat\n"
        ".set scandir64, gcx_redirect_scandir\n"
        ".set scandirat64, gcx_redirect_scandirat\n");
#endif
#endif

#endif

#endif
