/* SPDX-License-Identifier: MIT */
/*
 * unwind-libunwind.c - stacks by libunwind
 *
 * Two ways outwards. unw_backtrace() is fast, tells return addresses only, and
 * is wrong after a library was unloaded and another one took its addresses (its
 * per-thread cache is never flushed). Stepping a cursor after a flush of the
 * other caches is slow and right, and tells the registers of every frame.
 *
 * A walk starts in here, below the public function that was called, and has to
 * go on from that function's caller. The frame is recognised by its stack
 * pointer where one steps; unw_backtrace() tells none, so there the return
 * address must occur once only, else the walk is stepped (a site of
 * gcx_dispose() can be on the stack twice, when a dispose function led back to
 * it). The first few walks of a thread are stepped, too.
 *
 * No locks of gcx. libunwind takes its own, with all signals blocked (masks), and that
 * of ld.so: not to be called inside ld.so nor while it may be stopped. errno is
 * preserved.
 */
#include "unwind.h"

#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#define UNWIND_INNER 16 /* frames of gcx below the start of a walk, at most */
#define UNWIND_MAX 256

#if defined(__x86_64__)
#define UNWIND_FP UNW_X86_64_RBP
static const unw_regnum_t unwind_saved_regs[] = {
  UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12,
  UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15,
};
#elif defined(__aarch64__)
#define UNWIND_FP UNW_AARCH64_X29
static const unw_regnum_t unwind_saved_regs[] = {
  UNW_AARCH64_X19, UNW_AARCH64_X20, UNW_AARCH64_X21, UNW_AARCH64_X22,
  UNW_AARCH64_X23, UNW_AARCH64_X24, UNW_AARCH64_X25, UNW_AARCH64_X26,
  UNW_AARCH64_X27, UNW_AARCH64_X28, UNW_AARCH64_X29,
};
#endif

/* The C start-up code; what calls main. Absent with other C libraries. */
extern int __libc_start_main(void) __attribute__((weak));

static uintptr_t cursor_reg(unw_cursor_t *c, unw_regnum_t reg)
{
  unw_word_t value = 0;

  return unw_get_reg(c, reg, &value) < 0 ? 0 : (uintptr_t)value;
}

static struct gcx__frame cursor_frame(unw_cursor_t *c)
{
  return (struct gcx__frame){ cursor_reg(c, UNW_REG_IP),
                              cursor_reg(c, UNW_REG_SP),
                              cursor_reg(c, UNWIND_FP) };
}

static bool frame_is_start(const struct gcx__frame *f,
                           const struct gcx__frame *start)
{
  return f->pc == start->pc && (start->sp == 0 || f->sp == start->sp);
}

/* Put @c on @start's frame; false if the walk doesn't meet it. */
static bool cursor_seek(unw_cursor_t *c, const struct gcx__frame *start)
{
  while (unw_step(c) > 0) {
    struct gcx__frame f = cursor_frame(c);

    if (frame_is_start(&f, start)) {
      return true;
    }
    if (start->sp != 0 && f.sp > start->sp) {
      return false;
    }
  }
  return false;
}

static size_t cursor_collect(unw_cursor_t *c, uintptr_t *ret_pcs, size_t max)
{
  size_t n = 0;

  do {
    uintptr_t pc = cursor_reg(c, UNW_REG_IP);

    if (pc == 0) {
      break;
    }
    ret_pcs[n++] = pc;
  } while (n < max && unw_step(c) > 0);
  return n;
}

static size_t unwind_stepping(const struct gcx__frame *start,
                              uintptr_t *ret_pcs, size_t max)
{
  unw_context_t context;
  unw_cursor_t c;

  if (unw_getcontext(&context) != 0 || unw_init_local(&c, &context) != 0 ||
      !cursor_seek(&c, start)) {
    return 0;
  }
  return cursor_collect(&c, ret_pcs, max);
}

/* Index of @pc, -1 if it is not there, -2 if it is there twice. */
static int index_of(uintptr_t pc, void *const *pcs, int n)
{
  int found = -1;

  for (int i = 0; i < n; i++) {
    if ((uintptr_t)pcs[i] == pc) {
      if (found >= 0) {
        return -2;
      }
      found = i;
    }
  }
  return found;
}

/* 0 if it can't tell. */
static size_t unwind_fast(const struct gcx__frame *start, uintptr_t *ret_pcs,
                          size_t max)
{
  void *pcs[UNWIND_MAX + UNWIND_INNER];
  size_t want = max + UNWIND_INNER;
  int got = unw_backtrace(pcs, (int)want);
  int from = index_of(start->pc, pcs, got);
  size_t n;

  if (from < 0) {
    return 0;
  }
  n = (size_t)(got - from);
  if (n < max && (size_t)got == want) {
    return 0; /* cut off before its end */
  }
  n = GCX_MIN(n, max);
  memcpy(ret_pcs, pcs + from, n * sizeof(*ret_pcs));
  return n;
}

/* -------------------------------------------------------------------- gate */

/* libunwind has locks of its own. A fork must not catch one in the hands of a
 * thread that the child will not have: it closes the gate and waits until nobody
 * is inside. A second at most: whoever forks in a signal handler may have come
 * from inside itself. */
#define GATE_CLOSED UINT32_C(0x80000000)
#define GATE_CHILD UINT32_C(0x00010000) /* counts forks, in 15 bits */
#define GATE_INSIDE UINT32_C(0x0000ffff)
#define GATE_WAIT_MS 10
#define GATE_WAITS_MAX 100

/* Whether it is closed; how many forks this process is away from the first one; how
 * many threads are inside. A handler that forks inside returns there in the child as
 * well: who came in before the fork is not counted any more, and must not count
 * itself off. */
static uint32_t gate;

/* What to give gate_leave(). */
struct gate_pass {
  uint32_t child;
  int cancel;
};

static uint32_t gate_child(uint32_t word)
{
  return word & ~(GATE_CLOSED | GATE_INSIDE);
}

/* libunwind reads and writes files: a thread that is to be cancelled must not end
 * there. */
static void gate_enter(struct gate_pass *ret_pass)
{
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ret_pass->cancel);
  for (;;) {
    uint32_t now = __atomic_load_n(&gate, __ATOMIC_ACQUIRE);

    if ((now & GATE_CLOSED) != 0) {
      gcx__futex_wait(&gate, now, GATE_WAIT_MS);
    } else if (__atomic_compare_exchange_n(&gate, &now, now + 1, false,
                                           __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
      ret_pass->child = gate_child(now);
      return;
    }
  }
}

static void gate_leave(const struct gate_pass *pass)
{
  uint32_t now = __atomic_load_n(&gate, __ATOMIC_ACQUIRE);

  while (gate_child(now) == pass->child &&
         !__atomic_compare_exchange_n(&gate, &now, now - 1, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
  }
  if ((now & GATE_CLOSED) != 0) {
    gcx__futex_wake(&gate);
  }
  (void)pthread_setcancelstate(pass->cancel, NULL);
}

void gcx__unwind_before_fork(void)
{
  uint32_t now = __atomic_or_fetch(&gate, GATE_CLOSED, __ATOMIC_ACQ_REL);

  for (int i = 0; (now & GATE_INSIDE) != 0 && i < GATE_WAITS_MAX; i++) {
    gcx__futex_wait(&gate, now, GATE_WAIT_MS);
    now = __atomic_load_n(&gate, __ATOMIC_ACQUIRE);
  }
}

void gcx__unwind_after_fork(bool is_child)
{
  if (is_child) {
    uint32_t now = __atomic_load_n(&gate, __ATOMIC_ACQUIRE);

    __atomic_store_n(&gate, gate_child(gate_child(now) + GATE_CHILD),
                     __ATOMIC_RELEASE);
  } else {
    (void)__atomic_and_fetch(&gate, ~GATE_CLOSED, __ATOMIC_ACQ_REL);
    gcx__futex_wake(&gate);
  }
}

/* ------------------------------------------------------------------- masks */

/* libunwind blocks all signals around each of its locks, two system calls a lock
 * and several locks a frame. Blocked once around a whole walk, what it does then
 * is left out: interpose.c asks. (unw_backtrace() takes no lock where its cache
 * knows the frames, and is called without.) */
__thread bool gcx__unwind_masked __attribute__((tls_model("initial-exec")));

static void masks_block(sigset_t *ret_old)
{
  sigset_t all;

  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, ret_old);
  gcx__unwind_masked = true;
}

static void masks_restore(const sigset_t *old)
{
  gcx__unwind_masked = false;
  (void)pthread_sigmask(SIG_SETMASK, old, NULL);
}

/* Cursors: the gate and the masks. */
struct cursor_pass {
  sigset_t mask;
  struct gate_pass gate;
};

static void cursor_enter(struct cursor_pass *ret_pass)
{
  gate_enter(&ret_pass->gate);
  masks_block(&ret_pass->mask);
}

static void cursor_leave(const struct cursor_pass *pass)
{
  masks_restore(&pass->mask);
  gate_leave(&pass->gate);
}

static size_t unwind_by_cursor(const struct gcx__frame *start,
                               uintptr_t *ret_pcs, size_t max, bool careful)
{
  struct cursor_pass pass;
  size_t n;

  cursor_enter(&pass);
  if (careful) {
    unw_flush_cache(unw_local_addr_space, 0, 0);
  }
  n = unwind_stepping(start, ret_pcs, max);
  cursor_leave(&pass);
  return n;
}

/* unw_backtrace() keeps half a MiB for each thread and writes to all of it when it
 * is first called: more than a few walks frame by frame cost. Most threads never
 * need more, since their stacks are walked by rules (rules.h). */
#define UNWIND_STEPPED 8

static __thread uint32_t unwind_stepped
    __attribute__((tls_model("initial-exec")));

void gcx__unwind_prime(void)
{
  unwind_stepped = UNWIND_STEPPED;
}

static bool unwind_may_be_fast(bool careful)
{
  if (!careful && unwind_stepped < UNWIND_STEPPED) {
    unwind_stepped++;
    return false;
  }
  return !careful;
}

size_t gcx__unwind(const struct gcx__frame *start, uintptr_t *ret_pcs,
                   size_t max, bool careful)
{
  struct gate_pass pass;
  int saved = errno;
  size_t n = 0;

  max = GCX_MIN(max, (size_t)UNWIND_MAX);
  if (unwind_may_be_fast(careful)) {
    gate_enter(&pass);
    n = unwind_fast(start, ret_pcs, max);
    gate_leave(&pass);
  }
  if (n == 0) {
    n = unwind_by_cursor(start, ret_pcs, max, careful);
  }
  errno = saved;
  return n;
}

/* Where the frame's fp lies; 0 if in the register, or saved below @start by a
 * function of gcx, which is the same to who starts there. */
static uintptr_t cursor_fp_slot(unw_cursor_t *c, const struct gcx__frame *start)
{
  unw_save_loc_t loc;

  if (unw_get_save_loc(c, UNWIND_FP, &loc) < 0 || loc.type != UNW_SLT_MEMORY ||
      loc.u.addr < start->sp) {
    return 0;
  }
  return (uintptr_t)loc.u.addr;
}

/* One step from where @c is; false if there is none further. */
static bool step_describe(unw_cursor_t *c, const struct gcx__frame *start,
                          struct gcx__unwind_step *ret_step)
{
  struct gcx__unwind_step s = { .frame = cursor_frame(c) };
  int more;

  s.is_signal = unw_is_signal_frame(c) > 0;
  more = unw_step(c);
  if (more > 0) {
    s.caller = cursor_frame(c);
    s.fp_saved_at = cursor_fp_slot(c, start);
  }
  s.is_outermost = more == 0;
  *ret_step = s;
  return more > 0 && s.caller.pc != 0;
}

size_t gcx__unwind_steps(const struct gcx__frame *start,
                         struct gcx__unwind_step *ret_steps, size_t max)
{
  unw_context_t context;
  unw_cursor_t c;
  struct cursor_pass pass;
  int saved = errno;
  size_t n = 0;

  cursor_enter(&pass);
  unw_flush_cache(unw_local_addr_space, 0, 0);
  if (unw_getcontext(&context) == 0 && unw_init_local(&c, &context) == 0 &&
      cursor_seek(&c, start)) {
    while (n < max && step_describe(&c, start, &ret_steps[n++])) {
    }
  }
  cursor_leave(&pass);
  errno = saved;
  return n;
}

/* Bounds of the object that libunwind is; none where it is linked into the same as
 * gcx. Takes no lock. */
bool gcx__unwind_is_own_code(uintptr_t pc)
{
  struct dl_find_object unwind, own;

  return _dl_find_object((void *)(uintptr_t)unw_backtrace, &unwind) == 0 &&
         _dl_find_object((void *)(uintptr_t)gcx__unwind_is_own_code, &own) ==
             0 &&
         unwind.dlfo_map_start != own.dlfo_map_start &&
         pc >= (uintptr_t)unwind.dlfo_map_start &&
         pc < (uintptr_t)unwind.dlfo_map_end;
}

/* -------------------------------------------------------------------- exit */

static uintptr_t cursor_procedure(unw_cursor_t *c)
{
  unw_proc_info_t info;

  memset(&info, 0, sizeof(info));
  return unw_get_proc_info(c, &info) < 0 ? 0 : (uintptr_t)info.start_ip;
}

/* An executable that isn't position-independent may have an entry of its own
 * for exit(), which is what &exit names then: hence the second look. */
static bool is_exit(uintptr_t procedure)
{
  void *next = dlsym(RTLD_NEXT, "exit");

  return procedure != 0 &&
         (procedure == (uintptr_t)&exit || procedure == (uintptr_t)next);
}

/* @c is on the caller of exit(). main has returned if that is the start-up
 * code: __libc_start_main itself (glibc before 2.34) or what it calls. That a
 * function of libc called exit() says nothing: error() does so with main alive. */
static bool cursor_is_startup(unw_cursor_t *c)
{
  uintptr_t startup = (uintptr_t)&__libc_start_main;
  unw_cursor_t outer = *c;

  if (startup == 0) {
    return false;
  }
  return cursor_procedure(c) == startup ||
         (unw_step(&outer) > 0 && cursor_procedure(&outer) == startup &&
          unw_step(&outer) > 0);
}

static void cursor_saved_regs(unw_cursor_t *c, uintptr_t ret_regs[12])
{
  memset(ret_regs, 0, 12 * sizeof(ret_regs[0]));
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(unwind_saved_regs); i++) {
    ret_regs[i] = cursor_reg(c, unwind_saved_regs[i]);
  }
}

bool gcx__unwind_find_exit(uintptr_t *ret_sp, uintptr_t ret_regs[12],
                           bool *ret_main_returned)
{
  unw_context_t context;
  unw_cursor_t c;
  struct cursor_pass pass;
  int saved = errno;
  bool found = false;

  cursor_enter(&pass);
  unw_flush_cache(unw_local_addr_space, 0, 0);
  if (unw_getcontext(&context) == 0 && unw_init_local(&c, &context) == 0) {
    while (!found && unw_step(&c) > 0) {
      found = is_exit(cursor_procedure(&c));
    }
    found = found && unw_step(&c) > 0;
  }
  if (found) {
    *ret_sp = cursor_reg(&c, UNW_REG_SP);
    cursor_saved_regs(&c, ret_regs);
    *ret_main_returned = cursor_is_startup(&c);
  }
  cursor_leave(&pass);
  errno = saved;
  return found;
}
