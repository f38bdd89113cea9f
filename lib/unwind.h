/* SPDX-License-Identifier: MIT */
/*
 * unwind.h - the seam to libunwind: the only files that include it are
 *            unwind-libunwind.c and unwind-access.c
 */
#ifndef GCX_UNWIND_H
#define GCX_UNWIND_H

#include "assert.h"

/* gcx reads the stacks of others: no sanitizer knows that this is meant. */
#define GCX_READS_STACK \
  __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* State of a frame at the return into it: what continues a walk outwards. */
struct gcx__frame {
  uintptr_t pc; /* return address into this frame's function */
  uintptr_t sp; /* stack pointer after that return (the callee's CFA) */
  uintptr_t fp; /* rbp, x29 there */
};

/* The frame that called the function in which this stands (a public entry
 * point of gcx): exact, since asking for the frame address makes the compiler
 * keep one. A macro: it must be expanded in that very function. */
#if defined(__x86_64__)
#define GCX__CALLER_FRAME()                                         \
  ((struct gcx__frame){ (uintptr_t)__builtin_return_address(0),     \
                        (uintptr_t)__builtin_frame_address(0) + 16, \
                        *(const uintptr_t *)__builtin_frame_address(0) })
#else
#define GCX__CALLER_FRAME()                                                  \
  ((struct gcx__frame){                                                      \
      (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)), \
      0, 0 })
#endif

/* Once, at start, before anything is opened: makes libunwind ready, without a
 * descriptor of its own. */
void gcx__unwind_init(void);
/* A word of 8 bytes, as far as can be told: a thread may unmap it now. */
bool gcx__unwind_can_read(uintptr_t address);

/* Return addresses from @start's outwards (pcs[0] == start->pc), at most @max,
 * complete and slow; 0 if there is no stack to be had. After a library was
 * closed (@careful) unw_backtrace() is wrong and each frame is stepped, as in the
 * first few walks of a thread. */
size_t gcx__unwind(const struct gcx__frame *start, uintptr_t *ret_pcs,
                   size_t max, bool careful);

/* One step outwards from a frame, with what is needed to learn its rule. */
struct gcx__unwind_step {
  struct gcx__frame frame;  /* the frame itself */
  struct gcx__frame caller; /* and the one it returns to */
  uintptr_t fp_saved_at;    /* address of the stack slot that holds the caller's
                               fp, 0 if it is still in the register */
  bool is_signal;           /* a signal trampoline: no rule can be learnt */
  bool is_outermost;        /* nothing called it: @caller is all 0 */
};
/* Steps from @start's frame outwards; ret_steps[0].frame is @start's. */
size_t gcx__unwind_steps(const struct gcx__frame *start,
                         struct gcx__unwind_step *ret_steps, size_t max);

/* This thread is inside libunwind with its signals blocked: what libunwind does
 * to its mask there has been done. For interpose.c alone. */
extern __thread bool gcx__unwind_masked GCX_HIDDEN
    __attribute__((tls_model("initial-exec")));

/* The calling thread is going to unwind often: by unw_backtrace() from now on, which
 * needs half a MiB for it. Others come to that by themselves. */
void gcx__unwind_prime(void);

/* Is @pc libunwind's? Then it called, with a lock of its own held. Any time. */
bool gcx__unwind_is_own_code(uintptr_t pc);

/* Around a fork, with gcx's locks held: nobody is inside libunwind meanwhile. */
void gcx__unwind_before_fork(void);
void gcx__unwind_after_fork(bool is_child);

/* Frames above exit(): where did the process leave main? True if exit() was
 * found on the calling thread's stack; then @ret_sp is the stack pointer of its
 * caller, @ret_regs that frame's callee-saved registers (6 on x86-64: rbx, rbp,
 * r12-r15; others: as many as there are, the rest 0), and @ret_main_returned
 * whether that caller is the C start-up code and not the program. */
bool gcx__unwind_find_exit(uintptr_t *ret_sp, uintptr_t ret_regs[12],
                           bool *ret_main_returned);

#endif
