/* SPDX-License-Identifier: MIT */
/*
 * libunwind-aarch64.h - what libunwind.h needs to know of aarch64
 *
 * For `make cross-check` on machines that have libunwind's headers of their own
 * architecture only: names and types, enough to compile, not to link.
 */
#ifndef LIBUNWIND_H
#define LIBUNWIND_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#define UNW_TARGET aarch64
#define UNW_TARGET_AARCH64 1
#define UNW_TDEP_CURSOR_LEN 250

typedef uint64_t unw_word_t;
typedef int64_t unw_sword_t;
typedef long double unw_tdep_fpreg_t;

typedef enum {
  UNW_AARCH64_X0,
  UNW_AARCH64_X1,
  UNW_AARCH64_X2,
  UNW_AARCH64_X3,
  UNW_AARCH64_X4,
  UNW_AARCH64_X5,
  UNW_AARCH64_X6,
  UNW_AARCH64_X7,
  UNW_AARCH64_X8,
  UNW_AARCH64_X9,
  UNW_AARCH64_X10,
  UNW_AARCH64_X11,
  UNW_AARCH64_X12,
  UNW_AARCH64_X13,
  UNW_AARCH64_X14,
  UNW_AARCH64_X15,
  UNW_AARCH64_X16,
  UNW_AARCH64_X17,
  UNW_AARCH64_X18,
  UNW_AARCH64_X19,
  UNW_AARCH64_X20,
  UNW_AARCH64_X21,
  UNW_AARCH64_X22,
  UNW_AARCH64_X23,
  UNW_AARCH64_X24,
  UNW_AARCH64_X25,
  UNW_AARCH64_X26,
  UNW_AARCH64_X27,
  UNW_AARCH64_X28,
  UNW_AARCH64_X29,
  UNW_AARCH64_X30,
  UNW_AARCH64_SP,
  UNW_AARCH64_PC,
  UNW_TDEP_LAST_REG = UNW_AARCH64_PC,
  UNW_TDEP_IP = UNW_AARCH64_X30,
  UNW_TDEP_SP = UNW_AARCH64_SP,
  UNW_TDEP_EH = UNW_AARCH64_X0
} aarch64_regnum_t;

#define UNW_TDEP_NUM_EH_REGS 4

typedef struct unw_tdep_save_loc {
  char unused;
} unw_tdep_save_loc_t;

typedef ucontext_t unw_tdep_context_t;

typedef struct {
  char unused;
} unw_tdep_proc_info_t;

#include "libunwind-dynamic.h"

#include "libunwind-common.h"

#define unw_tdep_getcontext UNW_ARCH_OBJ(getcontext)
#define unw_tdep_is_fpreg UNW_ARCH_OBJ(is_fpreg)

extern int unw_tdep_getcontext(unw_tdep_context_t *uc);
extern int unw_tdep_is_fpreg(int reg);

#endif
