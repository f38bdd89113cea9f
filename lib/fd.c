/* SPDX-License-Identifier: MIT */
/*
 * fd.c - the ledger of descriptors
 *
 * An int can't be traced: it looks like any other number. So it is written down
 * who opened which descriptor, and whose it is now; what is still open at exit can
 * be listed, and a close() of what somebody else owns, or of what is closed
 * already, can be told with both stacks.
 *
 * One entry a number, in mapped memory of its own, changed by atomic stores: the
 * kernel sees to it that a number has one owner at a time. An entry is marked
 * closed *before* the kernel closes: right afterwards the number may be another
 * thread's, who writes his own.
 *
 *   unknown --opened--> open --closing--> closed --opened--> open ...
 *
 * What the ledger does not see (a library that opens or closes by itself) must
 * not lead to a false report:
 *   - EBADF from the kernel is the only proof that a number was not open, and is
 *     reported only if the ledger knows who closed it;
 *   - not for a sweep over all numbers (the call before closed a neighbour from
 *     the same place; what it leaves out ends no sweep), nor in the child of a
 *     fork, where sweeps are the custom; that of a vfork() shares this memory, but
 *     not the process's number;
 *   - an owned number is reported only if it is still the file that the owner
 *     opened: its device and inode are kept for that; of a FILE libc's list is
 *     asked;
 *   - at exit what the kernel does not call open is left out.
 * What remains: a number that was reused behind the ledger's back for the same
 * file.
 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "describe.h"
#include "finalizer.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "record.h"
#include "report.h"
#include "thread.h"
#include "trace.h"
#include "vm.h"

#define FD_MAX (1u << 20) /* the kernel's own limit unless raised */
#define FD_MIN 1024u
#define FD_SKIPPED 8 /* descriptors that a sweep may leave out at a time */

enum fd_state { FD_UNKNOWN, FD_OPEN, FD_CLOSED };

struct fd_entry {
  uint32_t state; /* enum fd_state, epoch << 8 */
  uint32_t owner; /* enum gcx__fd_owner */
  uint32_t number;
  uint32_t open_site;
  uint32_t close_site;
  uint32_t open_ms;
  uint32_t open_tid;
  uint32_t identity; /* of the file, owned ones only; 0: unknown */
  uint32_t reclaimed_site;
  uint32_t reclaimed; /* the how manieth it was that the finalizer thread closed
                         and that @reclaimed_site had opened; 0: never */
};

static struct fd_entry *fd_entries;
static uint32_t fd_limit; /* entries */
static uint32_t fd_high;  /* numbers below it were seen */
static uint32_t fd_epoch; /* counts forks above this process */
static pid_t fd_process;
static uint32_t fd_reclaimed;
bool (*gcx__fd_libc_has)(uint32_t number, int fd);

/* The latest close() of this thread, to recognise sweeps. */
static __thread struct {
  uintptr_t pc;
  int fd;
  int direction; /* of the sweep it belongs to, 0: none */
} fd_previous __attribute__((tls_model("initial-exec")));

/* ---- entries */

static struct fd_entry *fd_map(void)
{
  struct fd_entry *entries = NULL, *none = NULL;
  uint32_t n = FD_MAX;

  while (entries == NULL && n >= FD_MIN) {
    entries = gcx__vm_map(n * sizeof *entries);
    if (entries == NULL)
      n /= 4;
  }
  if (entries == NULL)
    return NULL;
  if (!__atomic_compare_exchange_n(&fd_entries, &none, entries, false,
                                   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    gcx__vm_unmap(entries, n * sizeof *entries);
    return none;
  }
  fd_process = getpid();
  __atomic_store_n(&fd_limit, n, __ATOMIC_RELEASE);
  return entries;
}

/* NULL: not in the ledger. @make: there is to be one. */
static struct fd_entry *fd_entry(int fd, bool make)
{
  struct fd_entry *entries = __atomic_load_n(&fd_entries, __ATOMIC_ACQUIRE);

  if (entries == NULL && make)
    entries = fd_map();
  if (entries == NULL || fd < 0 ||
      (uint32_t)fd >= __atomic_load_n(&fd_limit, __ATOMIC_ACQUIRE))
    return NULL;
  return &entries[fd];
}

static uint32_t fd_word(enum fd_state state)
{
  return (uint32_t)state | fd_epoch << 8;
}

/* The state, if it is this process's own and not a parent's. */
static enum fd_state fd_state(const struct fd_entry *e)
{
  uint32_t word = __atomic_load_n(&e->state, __ATOMIC_ACQUIRE);

  return word >> 8 == (fd_epoch & 0xffffffu) ? (enum fd_state)(word & 0xff)
                                             : FD_UNKNOWN;
}

static uint32_t fd_identity(int fd)
{
  struct stat st;

  if (fstat(fd, &st) != 0)
    return 0;
  return (uint32_t)(((uint64_t)st.st_ino * UINT64_C(0x9E3779B97F4A7C15) ^
                     (uint64_t)st.st_dev) >>
                    32) |
         1u;
}

/* A system call, which a stream is spared: libc's list knows better. */
static bool fd_needs_identity(enum gcx__fd_owner owner)
{
  return owner != GCX_FD_PLAIN && owner != GCX_FD_LIBC;
}

uint32_t gcx__fd_site(const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();

  return t == NULL || gcx__opt.leak == GCX_LEAK_OFF ? 0
                                                    : gcx__trace_site(t, start);
}

static void fd_raise_high(uint32_t above)
{
  uint32_t high = __atomic_load_n(&fd_high, __ATOMIC_RELAXED);

  while (high < above &&
         !__atomic_compare_exchange_n(&fd_high, &high, above, true,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

void gcx__fd_opened(int fd, enum gcx__fd_owner owner, uint32_t number,
                    uint32_t site)
{
  struct fd_entry *e = fd_entry(fd, true);

  if (e == NULL)
    return;
  e->owner = owner;
  e->number = number;
  e->open_site = site;
  e->open_ms = gcx__clock_ms();
  e->open_tid = gcx__thread_current != NULL ? gcx__thread_current->tid : 0;
  e->identity = fd_needs_identity(owner) ? fd_identity(fd) : 0;
  fd_raise_high((uint32_t)fd + 1);
  __atomic_store_n(&e->state, fd_word(FD_OPEN), __ATOMIC_RELEASE);
}

static void fd_note_reclaimed(struct fd_entry *e)
{
  if (!gcx__finalizer_is_self())
    return;
  e->reclaimed_site = e->open_site;
  __atomic_store_n(&e->reclaimed,
                   __atomic_add_fetch(&fd_reclaimed, 1, __ATOMIC_ACQ_REL),
                   __ATOMIC_RELEASE);
}

void gcx__fd_closing(int fd, uint32_t site)
{
  struct fd_entry *e = fd_entry(fd, false);

  if (e == NULL)
    return;
  if (fd_state(e) == FD_OPEN)
    fd_note_reclaimed(e);
  e->close_site = site;
  __atomic_store_n(&e->state, fd_word(FD_CLOSED), __ATOMIC_RELEASE);
}

/* ---- close() */

static const char *fd_owner_name(uint32_t owner)
{
  static const char *const names[] = { "nobody", "a handle", "a stream (FILE)",
                                       "a directory stream (DIR)",
                                       "a stream (FILE)" };

  return names[owner < GCX_ARRAY_LENGTH(names) ? owner : 0];
}

static void fd_report(const char *function, int fd, const struct fd_entry *e,
                      uint32_t site, const char *what, const char *whose)
{
  struct gcx_report r = { .id = GCX_REPORT_FD_OWNER, .count = 1 };
  struct gcx__out o;

  if (fd_process != 0 && fd_process != getpid())
    return; /* between vfork() and exec */
  gcx__out_init(&o, -1, r.detail, sizeof r.detail);
  gcx__out_fmt(&o, "%s(%d): %s%s", function, fd, what, whose);
  gcx__describe_fd(fd, r.description, sizeof r.description);
  r.birth_site = e->open_site;
  r.birth_ms = e->open_ms;
  r.birth_tid = e->open_tid;
  r.use_site = site;
  r.use_tid = gcx__tid();
  if (fd_state(e) == FD_CLOSED)
    r.dispose_site = e->close_site;
  gcx__report(&r, 1, true);
}

static bool fd_is_sweep(int fd, uintptr_t pc)
{
  int64_t step = (int64_t)fd - fd_previous.fd;
  int64_t onwards = step * fd_previous.direction;

  if (fd_previous.pc == pc && (step == 1 || step == -1))
    fd_previous.direction = (int)step;
  else if (fd_previous.pc != pc || onwards <= 0 || onwards > FD_SKIPPED + 1)
    fd_previous.direction = 0;
  fd_previous.pc = pc;
  fd_previous.fd = fd;
  return fd_previous.direction != 0;
}

/* Is it, as far as can be told, still the file that its owner opened? */
static bool fd_is_owned(int fd, const struct fd_entry *e)
{
  if (fd_state(e) != FD_OPEN || e->owner == GCX_FD_PLAIN)
    return false;
  if (e->owner == GCX_FD_LIBC)
    return gcx__fd_libc_has != NULL && gcx__fd_libc_has(e->number, fd);
  return e->identity != 0 && e->identity == fd_identity(fd);
}

int gcx__fd_close(int fd, const struct gcx__frame *start)
{
  struct fd_entry *e = fd_entry(fd, false);
  enum fd_state before = e != NULL ? fd_state(e) : FD_UNKNOWN;
  bool sweep = fd_is_sweep(fd, start->pc);
  uint32_t site = 0;
  int result, saved;

  if (before == FD_UNKNOWN)
    return close(fd);
  site = gcx__fd_site(start);
  if (!sweep && fd_is_owned(fd, e))
    fd_report("close", fd, e, site, "it belongs to ", fd_owner_name(e->owner));
  if (before == FD_OPEN)
    gcx__fd_closing(fd, site);
  result = close(fd);
  saved = errno;
  if (result < 0 && saved == EBADF && !sweep && before == FD_CLOSED &&
      fd_state(e) == FD_CLOSED)
    fd_report("close", fd, e, site, "it has been closed already", "");
  errno = saved;
  return result;
}

void gcx__fd_not_a_stream(int fd, const char *function,
                          const struct gcx__frame *start)
{
  static const struct fd_entry unknown;
  const struct fd_entry *e = fd_entry(fd, false);

  fd_report(function, fd, e != NULL ? e : &unknown, gcx__fd_site(start),
            "a descriptor, and no FILE or DIR", "");
}

void gcx__fd_closed_range(uint32_t first, uint32_t last, uint32_t site)
{
  uint32_t high = __atomic_load_n(&fd_high, __ATOMIC_ACQUIRE);

  for (uint32_t fd = first; fd < high && fd <= last; fd++)
    if (fd_state(&fd_entries[fd]) == FD_OPEN)
      gcx__fd_closing((int)fd, site);
}

bool gcx__fd_is_owned(int fd)
{
  const struct fd_entry *e = fd_entry(fd, false);

  return e != NULL && fd_is_owned(fd, e);
}

/* Whoever opened it, this process or its parent. */
bool gcx__fd_is_still(int fd, uint32_t number)
{
  const struct fd_entry *e = fd_entry(fd, false);

  return e != NULL && e->number == number && e->identity != 0 &&
         e->identity == fd_identity(fd);
}

bool gcx__fd_has_changed_hands(int fd, uint32_t number)
{
  const struct fd_entry *e = fd_entry(fd, false);

  return e != NULL &&
         (e->number != number ||
          (__atomic_load_n(&e->state, __ATOMIC_ACQUIRE) & 0xff) == FD_CLOSED);
}

/* ---- what is open */

static bool fd_is_lost(const struct fd_entry *e)
{
  uint32_t state;

  if (e->number == 0 || !gcx__record_exists(e->number))
    return false;
  state = gcx__record_state(e->number) & GCX_STATE_MASK;
  return state == GCX_STATE_LOST || state == GCX_STATE_REPORTED;
}

static bool fd_is_reclaimed(const struct fd_entry *e, uint32_t since)
{
  uint32_t at = __atomic_load_n(&e->reclaimed, __ATOMIC_ACQUIRE);

  return at != 0 && (int32_t)(at - since) > 0;
}

/* Was it one that counts, and who had opened it? */
static bool fd_is_held(const struct fd_entry *e, uint32_t since, bool reclaimed,
                       uint32_t *ret_site)
{
  if (reclaimed) {
    *ret_site = e->reclaimed_site;
    return fd_is_reclaimed(e, since);
  }
  *ret_site = e->open_site;
  return fd_state(e) == FD_OPEN && fd_is_lost(e);
}

void gcx__fd_held(uint32_t since, struct gcx__tally *ret_held)
{
  uint32_t high = __atomic_load_n(&fd_high, __ATOMIC_ACQUIRE), site;
  bool reclaimed = gcx__fd_reclaimed() != since;
  struct gcx__tally t = { 0 };

  for (uint32_t fd = 0; fd < high; fd++)
    if (fd_is_held(&fd_entries[fd], since, reclaimed, &site))
      gcx__tally_vote(&t, site);
  gcx__tally_begin_count(&t);
  for (uint32_t fd = 0; fd < high; fd++)
    if (fd_is_held(&fd_entries[fd], since, reclaimed, &site))
      gcx__tally_count(&t, site);
  gcx__tally_end_count(&t);
  *ret_held = t;
}

size_t gcx__fd_open_count(void)
{
  uint32_t high = __atomic_load_n(&fd_high, __ATOMIC_ACQUIRE);
  size_t n = 0;

  for (uint32_t fd = 0; fd < high; fd++)
    n += fd_state(&fd_entries[fd]) == FD_OPEN;
  return n;
}

uint32_t gcx__fd_reclaimed(void)
{
  return __atomic_load_n(&fd_reclaimed, __ATOMIC_ACQUIRE);
}

static bool fd_is_left(uint32_t fd)
{
  const struct fd_entry *e = &fd_entries[fd];

  return fd_state(e) == FD_OPEN && e->owner == GCX_FD_PLAIN &&
         fcntl((int)fd, F_GETFD) >= 0;
}

/* One report for those of @first's site, from @first on. */
static size_t fd_report_left(uint32_t first, uint32_t high)
{
  const struct fd_entry *e = &fd_entries[first];
  struct gcx_report r = { .id = GCX_REPORT_UNDISPOSED,
                          .type_name = "fd",
                          .ended_by = "close" };

  for (uint32_t fd = first; fd < high; fd++)
    r.count += fd_entries[fd].open_site == e->open_site && fd_is_left(fd);
  gcx__describe_fd((int)first, r.description, sizeof r.description);
  r.birth_site = e->open_site;
  r.birth_ms = e->open_ms;
  r.birth_tid = e->open_tid;
  gcx__report(&r, 1, false);
  return r.count;
}

size_t gcx__fd_undisposed(void)
{
  uint32_t high = __atomic_load_n(&fd_high, __ATOMIC_ACQUIRE);
  size_t left = 0;

  for (uint32_t fd = 3; fd < high; fd++) {
    bool told = false;

    if (!fd_is_left(fd))
      continue;
    for (uint32_t other = 3; other < fd && !told; other++)
      told = fd_entries[other].open_site == fd_entries[fd].open_site &&
             fd_is_left(other);
    if (!told)
      left += fd_report_left(fd, high);
  }
  return left;
}

void gcx__fd_after_fork(void)
{
  fd_epoch = (fd_epoch + 1) & 0xffffffu;
  if (fd_process != 0)
    fd_process = getpid();
}
