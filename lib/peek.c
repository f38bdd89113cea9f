/* SPDX-License-Identifier: MIT */
/*
 * peek.c - the stack of a thread that runs, asked for by another
 *
 *   asker     asks, signals                                   walks the copy
 *   thread                   handler copies, answers, goes on
 *
 * The handler copies registers and the inner part of the stack to memory that was
 * mapped before, and returns; it unwinds nothing and takes no lock. The asker then
 * goes from frame to frame in the copy, by what the compiler says of them (cfi.h),
 * as far as that goes: a stack that ends early is still right as far as it is
 * shown. libunwind is not asked: it would read the stack itself, which runs on.
 *
 * The signal is a real-time one that nobody uses. It is looked for when it is
 * first needed; if the program takes it later, nobody is asked any more.
 */
#include "peek.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cfi.h"
#include "platform.h"
#include "vm.h"

#define PEEK_BYTES ((size_t)64 << 10)

/* What is asked, and the answer. Each question is answered once, so that nobody
 * writes while the other side reads; who does not answer is not asked again. */
struct peek {
  uint32_t asked; /* number of the question */
  uint32_t answered;
  uint32_t tid; /* who is asked */
  const uint32_t *word;
  uint32_t value;
  struct gcx__frame frame;
  size_t bytes; /* copied, from frame.sp on */
  uintptr_t copy[PEEK_BYTES / sizeof(uintptr_t)];
};

static struct peek *peek_data;
static int peek_signal;   /* 0: not looked for yet; -1: none to be had */
static uint32_t peek_tid; /* who has it unblocked */

#if defined(__x86_64__)

static bool peek_frame(const void *context, struct gcx__frame *ret_frame)
{
  const ucontext_t *c = context;

  ret_frame->pc = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
  ret_frame->sp = (uintptr_t)c->uc_mcontext.gregs[REG_RSP];
  ret_frame->fp = (uintptr_t)c->uc_mcontext.gregs[REG_RBP];
  return true;
}

#else

static bool peek_frame(const void *context, struct gcx__frame *ret_frame)
{
  (void)context;
  (void)ret_frame;
  return false;
}

#endif

/* ---- the thread that is looked at */

/* By words: a sanitizer has functions of its own for the rest. */
GCX_READS_STACK static size_t peek_copy(struct peek *p, uintptr_t high)
{
  const uintptr_t *from = (const uintptr_t *)p->frame.sp;
  size_t n =
      GCX_MIN((high - p->frame.sp) / sizeof *from, GCX_ARRAY_LENGTH(p->copy));

  for (size_t i = 0; i < n; i++) {
    p->copy[i] = from[i];
    __asm__ volatile("" : : : "memory"); /* a loop, not a call of memcpy() */
  }
  return n * sizeof *from;
}

/* Bytes of the stack that could be copied. */
static size_t peek_answer(struct peek *p, const void *context)
{
  const struct gcx__thread *t = gcx__thread_current;

  if (__atomic_load_n(p->word, __ATOMIC_ACQUIRE) != p->value || t == NULL ||
      !peek_frame(context, &p->frame) || p->frame.sp < t->stack_low ||
      p->frame.sp >= t->stack_high || p->frame.sp % sizeof(uintptr_t) != 0)
    return 0;
  return peek_copy(p, t->stack_high);
}

static void peek_handle(int sig, siginfo_t *info, void *context)
{
  struct peek *p = __atomic_load_n(&peek_data, __ATOMIC_ACQUIRE);
  uint32_t asked = __atomic_load_n(&p->asked, __ATOMIC_ACQUIRE);

  (void)sig;
  (void)info;
  if (p->answered == asked || p->tid != gcx__tid())
    return;
  p->bytes = peek_answer(p, context);
  __atomic_store_n(&p->answered, asked, __ATOMIC_RELEASE);
  gcx__futex_wake(&p->answered);
}

static bool peek_is_ours(void)
{
  struct sigaction now;

  return peek_signal > 0 && sigaction(peek_signal, NULL, &now) == 0 &&
         (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == peek_handle;
}

static int peek_take_signal(void)
{
  struct sigaction now,
      mine = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

  mine.sa_sigaction = peek_handle;
  for (int sig = SIGRTMAX; sig > SIGRTMIN; sig--)
    if (sigaction(sig, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_DFL)
      return sigaction(sig, &mine, NULL) == 0 ? sig : -1;
  return -1;
}

void gcx__peek_allow(const struct gcx__thread *t)
{
  sigset_t set;

  if (GCX_LIKELY(peek_tid == t->tid) || peek_signal < 0)
    return;
  if (peek_data == NULL)
    __atomic_store_n(&peek_data, gcx__vm_map(sizeof *peek_data),
                     __ATOMIC_RELEASE);
  if (peek_signal == 0)
    peek_signal = peek_data != NULL ? peek_take_signal() : -1;
  if (peek_signal < 0)
    return;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, peek_signal);
  (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  __atomic_store_n(&peek_tid, t->tid, __ATOMIC_RELEASE);
}

/* ---- who looks */

/* False: @at was not copied. */
static bool peek_read(const struct peek *p, uintptr_t at, uintptr_t *ret_word)
{
  uintptr_t offset = at - p->frame.sp;

  if (at < p->frame.sp || offset % sizeof(uintptr_t) != 0 || offset >= p->bytes)
    return false;
  *ret_word = p->copy[offset / sizeof(uintptr_t)];
  return true;
}

static bool peek_step(const struct peek *p, const struct gcx__cfi *cfi,
                      struct gcx__frame *f)
{
  uintptr_t cfa = (cfi->kind == GCX_CFI_SP ? f->sp : f->fp) + cfi->cfa_offset;

  if (cfa <= f->sp || !peek_read(p, cfa - sizeof(uintptr_t), &f->pc) ||
      (cfi->fp_at != 0 && !peek_read(p, cfa - cfi->fp_at, &f->fp)))
    return false;
  f->sp = cfa;
  return f->pc != 0;
}

/* The innermost address is no return address: one more makes it look so. */
static size_t peek_walk(const struct peek *p, uintptr_t *ret_pcs, size_t max,
                        bool *ret_complete)
{
  struct gcx__frame f = p->frame;
  struct gcx__cfi cfi;
  size_t n = 0;

  *ret_complete = false;
  f.pc++;
  while (n < max) {
    ret_pcs[n++] = f.pc;
    if (!gcx__cfi_find(f.pc, &cfi))
      break;
    *ret_complete = cfi.kind == GCX_CFI_END;
    if (*ret_complete || !peek_step(p, &cfi, &f))
      break;
  }
  return n;
}

static bool peek_ask(struct peek *p, uint64_t timeout_ms)
{
  uint32_t before = __atomic_load_n(&p->answered, __ATOMIC_ACQUIRE);
  uint32_t number = before + 1;
  uint64_t begin = gcx__now_ns();

  __atomic_store_n(&p->asked, number, __ATOMIC_RELEASE);
  if (syscall(SYS_tgkill, getpid(), (pid_t)p->tid, peek_signal) != 0)
    return false;
  while (__atomic_load_n(&p->answered, __ATOMIC_ACQUIRE) != number) {
    if ((gcx__now_ns() - begin) / 1000000 >= timeout_ms)
      return false;
    gcx__futex_wait(&p->answered, before, 10);
  }
  return true;
}

size_t gcx__peek(const struct gcx__thread *t, const uint32_t *word,
                 uint32_t value, uint64_t timeout_ms, uintptr_t *ret_pcs,
                 size_t max, bool *ret_complete)
{
  struct peek *p = __atomic_load_n(&peek_data, __ATOMIC_ACQUIRE);

  *ret_complete = false;
  if (p == NULL || __atomic_load_n(&peek_tid, __ATOMIC_ACQUIRE) != t->tid ||
      !peek_is_ours())
    return 0;
  p->word = word;
  p->value = value;
  p->tid = t->tid;
  if (!peek_ask(p, timeout_ms)) {
    __atomic_store_n(&peek_signal, -1, __ATOMIC_RELEASE);
    return 0;
  }
  return p->bytes != 0 ? peek_walk(p, ret_pcs, max, ret_complete) : 0;
}

void gcx__peek_after_fork(void)
{
  peek_tid = 0;
  if (peek_data != NULL)
    peek_data->asked = peek_data->answered;
}
