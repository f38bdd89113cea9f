/* SPDX-License-Identifier: MIT */
/*
 * cfi.h - what the compiler says about the frame at a return address
 *
 * Call frame information (.eh_frame) describes how to leave a frame from any
 * instruction. Nearly every return address has a description of the simplest
 * form: two numbers. Only those are told here; all others are left to the
 * unwinder.
 */
#ifndef GCX_CFI_H
#define GCX_CFI_H

#include "assert.h"

enum gcx__cfi_kind {
  GCX_CFI_SP, /* CFA = sp + cfa_offset */
  GCX_CFI_FP, /* CFA = fp + cfa_offset */
  GCX_CFI_END /* the outermost frame: there is no caller */
};

/* The return address lies at CFA - 8; the caller's sp is CFA. */
struct gcx__cfi {
  enum gcx__cfi_kind kind;
  uint32_t cfa_offset;
  uint32_t fp_at; /* the caller's fp lies at CFA - fp_at; 0: fp is unchanged */
};

/* False if the frame that @pc returns into is not of that form, or unknown, or
 * a signal trampoline. Takes ld.so's lock; no memory. */
bool gcx__cfi_find(uintptr_t pc, struct gcx__cfi *ret_cfi);

/* An .eh_frame_hdr; no byte outside [low, high) is read, whatever is in it. */
struct gcx__cfi_table {
  const uint8_t *header;
  size_t bytes;
  const uint8_t *low;
  const uint8_t *high;
};

/* The same for the instruction at @target, out of a table. */
bool gcx__cfi_read(const struct gcx__cfi_table *table, uintptr_t target,
                   struct gcx__cfi *ret_cfi);

#endif
