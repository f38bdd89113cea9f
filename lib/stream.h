/* SPDX-License-Identifier: MIT */
/*
 * stream.h - FILE and DIR of a program with gcx/malloc.h: found when lost
 */
#ifndef GCX_STREAM_H
#define GCX_STREAM_H

#include "marker.h"
#include "unwind.h"

enum gcx__stream_kind {
  GCX_STREAM_FILE,
  GCX_STREAM_PIPE, /* popen(): libc has a list of its own */
  GCX_STREAM_DIR
};

/* @stream, of descriptor @fd (-1: none), was opened by the caller at @start. */
void gcx__stream_opened(void *stream, enum gcx__stream_kind kind, int fd,
                        const struct gcx__frame *start);

/* The program closes it: what is known of it ends, before libc's call. Its size
 * in bytes, 0 if it was not followed. */
size_t gcx__stream_closing(const void *stream, int fd,
                           const struct gcx__frame *start);

/* Places of the table that can be used again but do not end a search. */
size_t gcx__stream_gone(void);

/* After libc's call: its memory is free now and points to other streams. */
void gcx__stream_wipe(size_t bytes);

/* One stream of the table, as a stop sees it. */
struct gcx__stream_block {
  uintptr_t low;
  uintptr_t high;
  void *stand_in; /* object that lives as long as somebody points at it */
  uint32_t number;
  uint32_t slot;
  bool is_dir;
  bool seen;
};
/* All of them into @to; how many. World stopped. */
size_t gcx__stream_list(struct gcx__stream_block *to, size_t max);
#define GCX__STREAMS_MAX 8192u

/* A directory stream: is it open? World stopped. */
bool gcx__stream_dir_is_open(const struct gcx__stream_block *b);

/* It was closed by who knows nothing of gcx. World stopped. */
void gcx__stream_note_closed(const struct gcx__stream_block *b);

/* Forgets those that were noted. */
void gcx__stream_drop_closed(void);

/* ---- stream-scan.c */
/* Joins the termination phase, once; false: no memory for searching. */
bool gcx__stream_scan_start(void);

/* Is @stream on libc's list, and @fd its descriptor? Never faults. */
bool gcx__stream_libc_has(uintptr_t stream, int fd);

/* Address of libc's list, once there was a start; 0: it has none. */
uintptr_t gcx__stream_libc_list(void);

/* ---- stream-popen.c */
/* Around a call of popen(): learn where libc's list of processes begins. @begun is
 * what the first one answered, @stream what popen() did. errno is kept. */
bool gcx__stream_popen_begin(void);
void gcx__stream_popen_end(bool begun, const void *stream);

/* In the child of a fork: nobody is in that call. */
void gcx__stream_popen_after_fork(void);

/* Address of that list; 0: not known (yet). */
uintptr_t gcx__stream_popen_chain(void);

/* Offset in a stream on it of the word that points to the next one. */
size_t gcx__stream_popen_next(void);

#endif
