/* SPDX-License-Identifier: MIT */
/*
 * reader.c - numbers of DWARF out of bytes that may be cut off or wrong
 */
#include "reader.h"

#include <string.h>

uint64_t gcx__read_bytes(struct gcx__reader *r, size_t n)
{
  uint64_t value = 0;

  if ((size_t)(r->end - r->at) < n) {
    r->failed = true;
    r->at = r->end;
    return 0;
  }
  memcpy(&value, r->at, n);
  r->at += n;
  return value;
}

void gcx__read_skip(struct gcx__reader *r, uint64_t n)
{
  if ((uint64_t)(r->end - r->at) < n) {
    r->failed = true;
    n = (uint64_t)(r->end - r->at);
  }
  r->at += n;
}

uint64_t gcx__read_uleb(struct gcx__reader *r)
{
  uint64_t value = 0;
  unsigned shift = 0, byte;

  do {
    byte = (unsigned)gcx__read_bytes(r, 1);
    value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
    shift += 7;
  } while ((byte & 0x80) != 0 && !r->failed);
  return value;
}

int64_t gcx__read_sleb(struct gcx__reader *r)
{
  uint64_t value = 0;
  unsigned shift = 0, byte;

  do {
    byte = (unsigned)gcx__read_bytes(r, 1);
    value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
    shift += 7;
  } while ((byte & 0x80) != 0 && !r->failed);
  if ((byte & 0x40) != 0 && shift < 64) {
    value |= ~(uint64_t)0 << shift;
  }
  return (int64_t)value;
}

uintptr_t gcx__read_encoded(struct gcx__reader *r, unsigned encoding)
{
  uintptr_t base = 0;

  if ((encoding & 0x70) == GCX_ENC_PC_RELATIVE) {
    base = (uintptr_t)r->at;
  } else if ((encoding & 0xf0) != 0) {
    r->failed = true;
  }
  switch (encoding & 0x0f) {
  case GCX_ENC_ABSOLUTE:
  case GCX_ENC_UDATA8:
  case GCX_ENC_SDATA8:
    return base + (uintptr_t)gcx__read_bytes(r, 8);
  case GCX_ENC_UDATA4:
    return base + (uintptr_t)gcx__read_bytes(r, 4);
  case GCX_ENC_SDATA4:
    return base + (uintptr_t)(intptr_t)(int32_t)gcx__read_bytes(r, 4);
  default:
    r->failed = true;
    return 0;
  }
}
