/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - the public functions that allocate, resize and ask
 */
#include "../include/gcx/object.h"
#include "../include/gcx/scope.h"
#include "../include/gcx/type.h"

#include <errno.h>
#include <string.h>

#include "alloc.h"
#include "aux.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "trace.h"
#include "type.h"

void *gcx_alloc(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return gcx__object_alloc_plain(bytes, &start);
}

void *gcx_alloc_atomic(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return gcx__object_alloc(bytes, GCX__ALIGN_MIN, 0, GCX_FLAG_ATOMIC, &start);
}

void *gcx_alloc_managed(size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return gcx__object_alloc(bytes, GCX__ALIGN_MIN, 0, GCX_FLAG_OPTIONAL, &start);
}

void *gcx_calloc(size_t n, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  size_t total;

  if (__builtin_mul_overflow(n, bytes, &total))
    total = SIZE_MAX;
  return gcx__object_alloc_plain(total, &start);
}

void *gcx_aligned_alloc(size_t align, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (align == 0 || (align & (align - 1)) != 0 || align > GCX__ALIGN_MAX) {
    errno = EINVAL;
    return NULL;
  }
  return gcx__object_alloc(bytes, GCX_MAX(align, (size_t)GCX__ALIGN_MIN), 0, 0,
                           &start);
}

static char *alloc_copy(const char *s, size_t n, const struct gcx__frame *start)
{
  char *copy =
      gcx__object_alloc(n + 1, GCX__ALIGN_MIN, 0, GCX_FLAG_ATOMIC, start);

  if (copy != NULL)
    memcpy(copy, s, n);
  return copy;
}

char *gcx_strdup(const char *s)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (s == NULL) {
    errno = EINVAL;
    return NULL;
  }
  return alloc_copy(s, strlen(s), &start);
}

char *gcx_strndup(const char *s, size_t n)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (s == NULL) {
    errno = EINVAL;
    return NULL;
  }
  return alloc_copy(s, strnlen(s, n), &start);
}

/* ---- typed */

static uint32_t alloc_type_flags(const struct gcx_type *type)
{
  uint32_t flags = 0;
  const struct gcx_type *t;

  if ((type->flags & GCX_TYPE_ATOMIC) != 0)
    flags |= GCX_FLAG_ATOMIC;
  if ((type->flags & GCX_TYPE_OPTIONAL) != 0)
    flags |= GCX_FLAG_OPTIONAL;
  for (t = type; t != NULL; t = t->base) {
    if ((t->flags & GCX_TYPE_SECRET) != 0)
      flags |= GCX_FLAG_SECRET;
    if ((t->flags & GCX_TYPE_CRITICAL) != 0)
      flags |= GCX_FLAG_CRITICAL;
    if (t->finalize != NULL)
      flags |= GCX_FLAG_FINALIZER;
  }
  return flags;
}

void *gcx__alloc_typed(const struct gcx_type *type, size_t extra,
                       uint32_t flags, const struct gcx__frame *start)
{
  size_t bytes;
  uint32_t number = gcx__type_number(type);

  if (number == 0) {
    errno = ENOMEM;
    return NULL;
  }
  if (__builtin_add_overflow(type->size, extra, &bytes))
    bytes = SIZE_MAX;
  return gcx__object_alloc(bytes, GCX__ALIGN_MIN, number,
                           alloc_type_flags(type) | flags, start);
}

static void *alloc_new(const struct gcx_type *type, size_t extra,
                       const struct gcx__frame *start)
{
  if (gcx__type_fault(type) == NULL)
    return gcx__alloc_typed(type, extra, 0, start);
  errno = EINVAL;
  return NULL;
}

void *gcx_new(const struct gcx_type *type)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return alloc_new(type, 0, &start);
}

void *gcx_new_extra(const struct gcx_type *type, size_t extra)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  return alloc_new(type, extra, &start);
}

/* ---- resizing */

/* A cell that is much too large is given up when the object shrinks. */
static bool alloc_fits(size_t bytes, size_t room)
{
  return bytes <= room && (room <= 512 || bytes >= room / 2);
}

static void alloc_resize_in_place(uint32_t number, void *p, size_t had,
                                  size_t bytes)
{
  char *at = p;

  if (bytes > had)
    memset(at + had, 0, bytes - had);
  else if ((gcx__record_state(number) & GCX_FLAG_SECRET) != 0)
    explicit_bzero(at + bytes, gcx__object_room(p) - bytes);
  gcx__object_set_bytes(number, bytes);
}

static void *alloc_resize(uint32_t number, void *p, size_t bytes,
                          const struct gcx__frame *start)
{
  size_t had = gcx__object_bytes(number);
  size_t room = gcx__object_room(p);
  bool secret = (gcx__record_state(number) & GCX_FLAG_SECRET) != 0;
  void *moved;

  if (!gcx__object_reserve_bytes(number, bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  if (alloc_fits(bytes, room)) {
    alloc_resize_in_place(number, p, had, bytes);
    return p;
  }
  moved = gcx__object_move(number, bytes, start);
  if (moved == NULL && bytes <= room) {
    alloc_resize_in_place(number, p, had, bytes);
    return p;
  }
  if (moved != NULL && secret)
    explicit_bzero(p, room);
  return moved;
}

/* Its disposal has at least begun, or it was given back to its pool. */
static bool alloc_has_ended(uint32_t number)
{
  uint32_t state = gcx__record_state(number);

  return (state & GCX_STATE_MASK) == GCX_STATE_DISPOSED ||
         (state & GCX_STATE_MASK) == GCX_STATE_DISPOSING ||
         (state & GCX_FLAG_IDLE) != 0;
}

void *gcx_realloc(void *p, size_t bytes)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number;
  void *result;

  if (p == NULL)
    return gcx__object_alloc(bytes, GCX__ALIGN_MIN, 0, 0, &start);
  number = gcx__misuse_object(p, "gcx_realloc", false, &start);
  if (number == 0 || alloc_has_ended(number)) {
    errno = EINVAL;
    return NULL;
  }
  gcx__lifecycle_note_use(number, &start);
  result = alloc_resize(number, p, bytes, &start);
  GCX_KEEP(p);
  return result;
}

/* ---- questions */

size_t gcx_size(const void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number = gcx__misuse_object(p, "gcx_size", false, &start);
  size_t bytes = number == 0 ? 0 : gcx__object_bytes(number);

  if (number != 0)
    gcx__lifecycle_note_use(number, &start);
  GCX_KEEP(p);
  return bytes;
}

bool gcx_is_disposed(const void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number = gcx__misuse_object(p, "gcx_is_disposed", false, &start);
  bool ended;

  if (number == 0)
    return true;
  gcx__lifecycle_note_use(number, &start);
  ended = alloc_has_ended(number);
  GCX_KEEP(p);
  return ended;
}

/* Has its finalizer run, and does this thread run that of another? */
static bool alloc_was_finalized(uint32_t number)
{
  const struct gcx__thread *t = gcx__thread_current;

  return t != NULL && t->finalizing != 0 && t->finalizing != number &&
         (gcx__record_state(number) & GCX_FLAG_FINALIZED) != 0;
}

void *gcx_require_live(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number = gcx__misuse_object(p, "gcx_require_live", true, &start);

  if (number == 0)
    return p;
  gcx__lifecycle_note_use(number, &start);
  if (GCX_UNLIKELY(gcx__record_has_ended(gcx__record_state(number))))
    gcx__misuse_disposed(GCX_REPORT_USE_AFTER_DISPOSE, number,
                         "gcx_require_live", &start);
  else if (GCX_UNLIKELY(alloc_was_finalized(number)))
    gcx__misuse_finalized(number, "gcx_require_live", &start);
  return p;
}

/* ---- duties */

void gcx__alloc_set_flag(uint32_t number, uint32_t flag, bool on)
{
  uint32_t state;

  do
    state = gcx__record_state(number);
  while (!gcx__record_change(number, state, on ? state | flag : state & ~flag));
}

void gcx_suppress_finalize(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number =
      gcx__misuse_object(p, "gcx_suppress_finalize", false, &start);

  if (number == 0)
    return;
  gcx__lifecycle_note_use(number, &start);
  gcx__alloc_set_flag(number, GCX_FLAG_SUPPRESSED, true);
  GCX_KEEP(p);
}

void gcx_reregister_finalize(void *p)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number =
      gcx__misuse_object(p, "gcx_reregister_finalize", false, &start);

  if (number == 0)
    return;
  gcx__lifecycle_note_use(number, &start);
  gcx__alloc_set_flag(number, GCX_FLAG_SUPPRESSED | GCX_FLAG_FINALIZED, false);
  GCX_KEEP(p);
}

void gcx_keep_alive(const void *p)
{
  GCX_KEEP(p);
}

/* ---- scopes */

void gcx_cleanup(const void *variable)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  void *p;

  memcpy(&p, variable, sizeof p);
  gcx__lifecycle_dispose(p, "gcx_auto", &start);
}

void *gcx_take(void *variable)
{
  void *p, *none = NULL;

  memcpy(&p, variable, sizeof p);
  memcpy(variable, &none, sizeof none);
  return p;
}
