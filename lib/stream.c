/* SPDX-License-Identifier: MIT */
/*
 * stream.c - FILE and DIR of a program with gcx/malloc.h
 *
 * A stream is libc's: its memory comes from libc's own malloc, libc's list points
 * at it, and libc frees it. So gcx tracks a *stand-in* for it, a small object that
 * only this table knows of, by a hidden pointer. Each stop that can tell marks
 * the stand-ins of the streams that somebody points at (stream-scan.c); one that
 * stays unmarked is lost like any other object, reported with the stack of the
 * fopen(), or, under leak=dispose, disposed: that closes the stream.
 *
 * The table is hashed by address, open addressing, changed under stream_lock and
 * read by stops without: of a slot the address is stored last and taken off
 * first. A stand-in is held on the caller's stack whenever the table does not.
 */
#include "stream.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "describe.h"
#include "fd.h"
#include "lifecycle.h"
#include "lock.h"
#include "misuse.h"
#include "options.h"
#include "service.h"
#include "thread.h"
#include "vm.h"

#define STREAM_SLOTS (2 * GCX__STREAMS_MAX)
#define STREAM_FREE ((uintptr_t)0)
#define STREAM_GONE ((uintptr_t)1)

struct stream_slot {
  uintptr_t hidden; /* complement of the address; or FREE, GONE */
  uint32_t number;
  uint32_t bytes;
  bool closed; /* noted by a stop */
};

struct stream_stand_in {
  uintptr_t hidden;
  enum gcx__stream_kind kind;
  int fd; /* when it was opened */
};

static struct gcx__lock stream_lock = GCX_LOCK_INIT(GCX_RANK_STREAMS);
static struct stream_slot *stream_slots;
static uint32_t stream_count;

/* ---- the table */

static uint32_t stream_hash(uintptr_t address)
{
  return (uint32_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 40);
}

static struct stream_slot *stream_find_locked(uintptr_t address)
{
  uint32_t i = stream_hash(address);

  for (uint32_t n = 0; stream_slots != NULL && n < STREAM_SLOTS; n++, i++) {
    struct stream_slot *s = &stream_slots[i % STREAM_SLOTS];

    if (s->hidden == STREAM_FREE)
      return NULL;
    if (s->hidden == ~address)
      return s;
  }
  return NULL;
}

/* One that nothing lies behind is free, and so are those before it that are gone:
 * else the table fills with them, and each search ends where it began. */
static void stream_clear_locked(struct stream_slot *s)
{
  uint32_t i = (uint32_t)(s - stream_slots);
  bool last = stream_slots[(i + 1) % STREAM_SLOTS].hidden == STREAM_FREE;

  __atomic_store_n(&s->hidden, STREAM_GONE, __ATOMIC_RELEASE);
  for (; last && stream_slots[i].hidden == STREAM_GONE;
       i = (i - 1) % STREAM_SLOTS)
    __atomic_store_n(&stream_slots[i].hidden, STREAM_FREE, __ATOMIC_RELEASE);
}

/* Off the table; the record of its stand-in, which *@ret_keep holds. */
static uint32_t stream_take_locked(uintptr_t address, void **ret_keep,
                                   size_t *ret_bytes)
{
  struct stream_slot *s = stream_find_locked(address);
  const struct stream_stand_in *p;

  if (s == NULL)
    return 0;
  *ret_keep = gcx__record_object(s->number);
  *ret_bytes = s->bytes;
  p = *ret_keep;
  stream_clear_locked(s);
  stream_count--;
  /* In the child of a fork the record may have been dropped. */
  return p != NULL && p->hidden == ~address ? s->number : 0;
}

static uint32_t stream_take(const void *stream, void **ret_keep,
                            size_t *ret_bytes)
{
  uint32_t number;

  gcx__lock(&stream_lock);
  number = stream_take_locked((uintptr_t)stream, ret_keep, ret_bytes);
  gcx__unlock(&stream_lock);
  return number;
}

static bool stream_put(const void *stream, uint32_t number, uint32_t bytes)
{
  uintptr_t address = (uintptr_t)stream;
  uint32_t i = stream_hash(address);
  void *stale = NULL;
  size_t stale_bytes;
  uint32_t stale_number;
  bool put = false;

  gcx__lock(&stream_lock);
  if (stream_slots == NULL)
    stream_slots = gcx__vm_map(STREAM_SLOTS * sizeof *stream_slots);
  /* closed behind our back */
  stale_number = stream_take_locked(address, &stale, &stale_bytes);
  if (stream_slots != NULL && stream_count < GCX__STREAMS_MAX) {
    while (stream_slots[i % STREAM_SLOTS].hidden != STREAM_FREE &&
           stream_slots[i % STREAM_SLOTS].hidden != STREAM_GONE)
      i++;
    stream_slots[i % STREAM_SLOTS].number = number;
    stream_slots[i % STREAM_SLOTS].bytes = bytes;
    stream_slots[i % STREAM_SLOTS].closed = false;
    __atomic_store_n(&stream_slots[i % STREAM_SLOTS].hidden, ~address,
                     __ATOMIC_RELEASE);
    stream_count++;
    put = true;
  }
  gcx__unlock(&stream_lock);
  if (stale_number != 0)
    (void)gcx__lifecycle_end(stale_number, GCX_END_DISCARD, 0, NULL);
  GCX_KEEP(stale);
  return put;
}

size_t gcx__stream_gone(void)
{
  size_t n = 0;

  for (uint32_t i = 0; stream_slots != NULL && i < STREAM_SLOTS; i++)
    n += stream_slots[i].hidden == STREAM_GONE;
  return n;
}

/* The last word of a block is where malloc's next one begins: its lists of free
 * blocks point there. */
size_t gcx__stream_list(struct gcx__stream_block *to, size_t max)
{
  size_t n = 0;

  for (uint32_t i = 0; stream_slots != NULL && i < STREAM_SLOTS && n < max;
       i++) {
    const struct stream_slot *s = &stream_slots[i];
    uintptr_t hidden = __atomic_load_n(&s->hidden, __ATOMIC_ACQUIRE);
    const struct stream_stand_in *p;

    if (hidden == STREAM_FREE || hidden == STREAM_GONE)
      continue;
    p = gcx__record_object(s->number);
    if (p == NULL || p->hidden != hidden || s->bytes < sizeof(uintptr_t))
      continue;
    to[n++] = (struct gcx__stream_block){
      .low = ~hidden,
      .high = ~hidden + s->bytes - sizeof(uintptr_t),
      .stand_in = (void *)(uintptr_t)p,
      .number = s->number,
      .slot = i,
      .is_dir = p->kind == GCX_STREAM_DIR,
      .seen = p->kind == GCX_STREAM_PIPE && gcx__stream_popen_chain() == 0
    };
  }
  return n;
}

/* ---- closed by somebody else */

/* A library that was not compiled with gcx/malloc.h may close what the program has
 * opened: its memory is free then, or another's. */
bool gcx__stream_dir_is_open(const struct gcx__stream_block *b)
{
  const struct stream_stand_in *p = b->stand_in;

  return gcx__fd_is_still(p->fd, b->number);
}

void gcx__stream_note_closed(const struct gcx__stream_block *b)
{
  stream_slots[b->slot].closed = true;
}

/* One of those that were noted, from the place @i on: its record, which *@ret_keep
 * holds, or 0. */
static uint32_t stream_take_closed(uint32_t *i, void **ret_keep)
{
  uint32_t number = 0;
  size_t bytes;

  gcx__lock(&stream_lock);
  for (; stream_slots != NULL && *i < STREAM_SLOTS && number == 0; ++*i) {
    const struct stream_slot *s = &stream_slots[*i];

    if (s->hidden != STREAM_FREE && s->hidden != STREAM_GONE && s->closed)
      number = stream_take_locked(~s->hidden, ret_keep, &bytes);
  }
  gcx__unlock(&stream_lock);
  return number;
}

void gcx__stream_drop_closed(void)
{
  void *keep = NULL;
  uint32_t i = 0, number;

  while ((number = stream_take_closed(&i, &keep)) != 0) {
    (void)gcx__lifecycle_end(number, GCX_END_DISCARD, 0, NULL);
    GCX_KEEP(keep);
  }
}

/* ---- the stand-in, as an object */

static int stream_fd(const struct stream_stand_in *p)
{
  void *stream = GCX_REVEAL(p->hidden);

  return p->kind == GCX_STREAM_DIR ? dirfd((DIR *)stream)
                                   : fileno((FILE *)stream);
}

static void *stream_pclose_main(void *stream)
{
  size_t bytes = malloc_usable_size(stream);

  gcx__service_begin("gcx-pclose");
  if (gcx__thread_self() != NULL)
    gcx__thread_self()->is_gcx = true;
  (void)pclose(stream);
  gcx__stream_wipe(bytes);
  return NULL;
}

/* It waits for a process that may never end: in a thread that nobody waits for. */
static int stream_pclose(void *stream)
{
  if (gcx__service_start(stream_pclose_main, stream))
    return 0;
  errno = EAGAIN; /* it stays open */
  return -1;
}

static int stream_end(const struct stream_stand_in *p, size_t bytes)
{
  void *stream = GCX_REVEAL(p->hidden);
  int result;

  if (p->kind == GCX_STREAM_PIPE)
    return stream_pclose(stream) == 0 ? 0 : -errno;
  result = p->kind == GCX_STREAM_DIR ? closedir(stream) : fclose(stream);
  result = result == 0 ? 0 : -errno;
  gcx__stream_wipe(bytes);
  return result;
}

/* Only of a lost one: who closes it by himself has taken it off before. It stays
 * open if its descriptor is somebody else's by now, who would lose it. */
static int stream_dispose(void *obj)
{
  const struct stream_stand_in *p = obj;
  void *keep = NULL;
  uint32_t number = 0;
  size_t bytes = 0;

  if (p->hidden != 0)
    number = stream_take(GCX_REVEAL(p->hidden), &keep, &bytes);
  if (number == 0)
    return 0;
  if (gcx__fd_has_changed_hands(stream_fd(p), number))
    return -EBADF;
  gcx__fd_closing(stream_fd(p), gcx__lifecycle_site());
  return stream_end(p, bytes);
}

static void stream_finalize(void *obj)
{
  (void)stream_dispose(obj);
}

static int stream_describe(const void *obj, char *buf, size_t n)
{
  gcx__describe_fd(stream_fd(obj), buf, n);
  return 0;
}

#define STREAM_TYPE(name)                                                  \
  GCX_TYPE_INIT(name, sizeof(struct stream_stand_in),                      \
                GCX_TYPE_ATOMIC | GCX_TYPE_CRITICAL, NULL, stream_dispose, \
                stream_finalize, stream_describe)
static const struct gcx_type stream_types[] = { STREAM_TYPE("FILE"),
                                                STREAM_TYPE("FILE of popen"),
                                                STREAM_TYPE("DIR") };

/* To the reader it is the stream; the stand-in's size says nothing. */
static void stream_identify(struct gcx_report *r, const struct gcx_type *type)
{
  static const char *const ended_by[] = { [GCX_STREAM_FILE] = "fclose",
                                          [GCX_STREAM_PIPE] = "pclose",
                                          [GCX_STREAM_DIR] = "closedir" };
  const struct stream_stand_in *p = r->object;

  for (size_t kind = 0; kind < GCX_ARRAY_LENGTH(stream_types); kind++)
    if (type == &stream_types[kind]) {
      r->ended_by = ended_by[kind];
      r->object = p != NULL && p->hidden != 0 ? GCX_REVEAL(p->hidden) : NULL;
      r->bytes = 0;
      r->total_bytes = 0;
    }
}

static enum gcx__fd_owner stream_owner(enum gcx__stream_kind kind)
{
  return kind == GCX_STREAM_DIR ? GCX_FD_DIR : GCX_FD_LIBC;
}

/* For fd.c, before it calls a close() a mistake. */
static bool stream_has(uint32_t number, int fd)
{
  const struct stream_stand_in *p = gcx__record_object(number);
  uintptr_t hidden = p != NULL ? p->hidden : 0;

  return hidden != 0 && gcx__stream_libc_has(~hidden, fd);
}

void gcx__stream_opened(void *stream, enum gcx__stream_kind kind, int fd,
                        const struct gcx__frame *start)
{
  struct stream_stand_in *p = NULL;
  uint32_t number = 0;
  int saved = errno;

  if (gcx__opt.leak != GCX_LEAK_OFF && gcx__stream_scan_start())
    p = gcx__alloc_typed(&stream_types[kind], 0, 0, start);
  if (p != NULL) {
    gcx__fd_libc_has = stream_has;
    gcx__misuse_on_stand_in = stream_identify;
    p->hidden = GCX_HIDE(stream);
    p->kind = kind;
    p->fd = fd;
    number = gcx__object_number(p);
    if (!stream_put(stream, number, (uint32_t)malloc_usable_size(stream))) {
      gcx_discard(p); /* too many: not tracked */
      number = 0;
    }
  }
  gcx__fd_opened(fd, stream_owner(kind), number,
                 number != 0 ? gcx__record_at(number)->site
                             : gcx__fd_site(start));
  errno = saved;
  GCX_KEEP(p);
}

/* libc's list runs through the FILEs themselves, each pointing to the one opened
 * before it: in memory that has been freed that word would hold a lost stream for
 * as long as nobody uses the memory again. What libc's malloc gives out first is
 * what this thread has freed last. */
void gcx__stream_wipe(size_t bytes)
{
  int saved = errno;
  void *p = bytes != 0 ? malloc(bytes) : NULL;

  if (p != NULL) {
    GCX_KEEP(p); /* no calloc(), which would take another block */
    memset(p, 0, bytes);
    GCX_KEEP(p);
    free(p);
  }
  errno = saved;
}

size_t gcx__stream_closing(const void *stream, int fd,
                           const struct gcx__frame *start)
{
  void *keep = NULL;
  size_t bytes = 0;
  uint32_t number = stream_take(stream, &keep, &bytes);
  uint32_t site = gcx__fd_site(start);

  gcx__fd_closing(fd, site);
  if (number != 0) {
    gcx__lifecycle_note_use(number, start);
    (void)gcx__lifecycle_end(number, GCX_END_DISCARD, site, NULL);
  }
  GCX_KEEP(keep);
  return bytes;
}
