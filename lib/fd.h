/* SPDX-License-Identifier: MIT */
/*
 * fd.h - the ledger of descriptors: who opened which number, and whose it is
 */
#ifndef GCX_FD_INTERNAL_H
#define GCX_FD_INTERNAL_H

#include "assert.h"
#include "tally.h"
#include "unwind.h"

enum gcx__fd_owner {
  GCX_FD_PLAIN,  /* an int, and nobody knows where */
  GCX_FD_HANDLE, /* a struct gcx_handle */
  GCX_FD_STREAM, /* a FILE */
  GCX_FD_DIR,    /* a DIR */
  GCX_FD_LIBC    /* a FILE that libc's list can be asked about */
};

/* Site of a caller, 0 where no stacks are recorded. */
uint32_t gcx__fd_site(const struct gcx__frame *start);

/* @fd is open from now on (opened, or handed to its @owner, the record @number
 * or 0). Nothing for a number that is none, or beyond the ledger. */
void gcx__fd_opened(int fd, enum gcx__fd_owner owner, uint32_t number,
                    uint32_t site);

/* Its owner is about to close @fd: before the call, since the number may be
 * somebody else's right after it. */
void gcx__fd_closing(int fd, uint32_t site);

/* close() of a program. Reports what is not the program's to close. */
int gcx__fd_close(int fd, const struct gcx__frame *start);

/* The program gave @fd to @function, which wants a stream. */
void gcx__fd_not_a_stream(int fd, const char *function,
                          const struct gcx__frame *start);

/* All in [first, last] were closed by one call. */
void gcx__fd_closed_range(uint32_t first, uint32_t last, uint32_t site);

/* Of a GCX_FD_LIBC owner: is its stream on libc's list, with this number? Set by
 * who knows streams; NULL: nobody does. */
extern bool (*gcx__fd_libc_has)(uint32_t number, int fd);

/* Does a handle, a stream or a directory have it? */
bool gcx__fd_is_owned(int fd);

/* Is @fd still what the record @number opened it for: the same file? */
bool gcx__fd_is_still(int fd, uint32_t number);

/* Is @fd, as far as the ledger knows, somebody else's than the record @number's by
 * now: closed, or opened again? */
bool gcx__fd_has_changed_hands(int fd, uint32_t number);

/* Of this process, opened by it, says the ledger. */
size_t gcx__fd_open_count(void);

/* Descriptors that the finalizer thread has closed, since start. */
uint32_t gcx__fd_reclaimed(void);

/* Descriptors that lost objects held, by the sites that had opened them: those
 * that the finalizer thread has closed since gcx__fd_reclaimed() was @since; if
 * there are none, those that lost objects hold still. */
void gcx__fd_held(uint32_t since, struct gcx__tally *ret_held);

/* exit_check=undisposed: report plain ones that are still open, by site; how
 * many. */
size_t gcx__fd_undisposed(void);

/* In the child of a fork: what is open is the parent's business. */
void gcx__fd_after_fork(void);

#endif
