/* SPDX-License-Identifier: MIT */
/*
 * reader.h - numbers of DWARF out of bytes that may be cut off or wrong
 *
 * Reading past the end sets failed and gives zeroes: whoever reads may look at it
 * once, at the end.
 */
#ifndef GCX_READER_H
#define GCX_READER_H

#include "assert.h"

struct gcx__reader {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
};

/* DW_EH_PE_*: format in the low half, what it is relative to in the high one. */
enum {
  GCX_ENC_ABSOLUTE = 0x00,
  GCX_ENC_UDATA4 = 0x03,
  GCX_ENC_UDATA8 = 0x04,
  GCX_ENC_SDATA4 = 0x0b,
  GCX_ENC_SDATA8 = 0x0c,
  GCX_ENC_PC_RELATIVE = 0x10,
  GCX_ENC_TABLE = 0x3b /* sdata4, relative to the start of the table */
};

uint64_t gcx__read_bytes(struct gcx__reader *r, size_t n); /* at most 8 */
void gcx__read_skip(struct gcx__reader *r, uint64_t n);
uint64_t gcx__read_uleb(struct gcx__reader *r);
int64_t gcx__read_sleb(struct gcx__reader *r);
/* An address; an encoding that is not understood is a failure. */
uintptr_t gcx__read_encoded(struct gcx__reader *r, unsigned encoding);

#endif
