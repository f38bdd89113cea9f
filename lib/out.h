/* SPDX-License-Identifier: MIT */
/*
 * out.h - text output that allocates nothing and takes no lock
 *
 * A writer on the caller's stack with a buffer of its own; full lines go to
 * the descriptor when the buffer is full or gcx__out_flush() is called. With
 * fd -1 the text stays in the buffer (truncated, always NUL-terminated).
 */
#ifndef GCX_OUT_H
#define GCX_OUT_H

#include <stdarg.h>

#include "assert.h"

struct gcx__out {
  int fd;
  bool failed; /* a write failed: nothing is written any more */
  size_t used;
  size_t bytes;
  char *buffer;
  const char *prefix; /* put at the start of every line, or NULL */
  bool at_line_start;
  int spare_fd;   /* takes over when fd can't be written, -1: none */
  bool fell_back; /* it has */
  /* What has text written instead of fd, or NULL; false: it could not. */
  bool (*send)(const char *text, size_t n);
};

void gcx__out_init(struct gcx__out *o, int fd, char *buffer, size_t bytes);
void gcx__out_char(struct gcx__out *o, char c);
void gcx__out_text(struct gcx__out *o, const char *s);
/* %s %.*s %c %d %i %u %x %p %% with l, ll, z, width, '-' and '0' (a subset of
 * printf, the rest is a gcx bug); %p as 0x and lower-case hexadecimal. */
void gcx__out_fmt(struct gcx__out *o, const char *fmt, ...) GCX_PRINTF(2, 3);
void gcx__out_vfmt(struct gcx__out *o, const char *fmt, va_list ap);
void gcx__out_json(struct gcx__out *o, const char *s); /* quoted and escaped */
/* Text of the program's: what could break the line or control a terminal, and
 * what is no UTF-8, is shown as \xNN. */
void gcx__out_foreign(struct gcx__out *o, const char *s);
/* The same of at most @n bytes. */
void gcx__out_foreign_bytes(struct gcx__out *o, const char *s, size_t n);
/* Words of @s, broken into lines of at most @width; the first one begins at
 * column @indent, the others are indented by as much. */
void gcx__out_wrap(struct gcx__out *o, const char *s, size_t indent,
                   size_t width);
bool gcx__out_flush(struct gcx__out *o); /* false: not written */

/* One line to stderr: "gcx: " fmt "\n". For what is wrong with the set-up, not
 * for findings. */
void gcx__warn(const char *fmt, ...) GCX_PRINTF(1, 2);

#endif
