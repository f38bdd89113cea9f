/* SPDX-License-Identifier: MIT */
/*
 * handle.c - safe handles: one atomic word decides who closes
 *
 *      31 ........... 2   1         0
 *     | references      | disposed | closed |        begins as 1, -, -
 *
 *   acquire      +1                 unless closed
 *   release      -1                 at 0: closed
 *   dispose      -1, disposed       at 0: closed; at most once
 *   set_invalid  closed             the release function has lost its turn
 *
 * The thread whose compare-and-swap makes the count 0 runs the type's release
 * function, if the word was not closed before, the handle owns the value and the
 * value is a valid one: once at the most, since the count never rises again from
 * there (acquire refuses what is closed). Taking one off 0 is GCX-OVER-RELEASE.
 *
 * Each handle type has a gcx_type made for it, with its name: the object layer
 * knows nothing of handles. Those lie in a table that only grows, read and
 * filled without a lock.
 *
 * A word says nothing of gcx_discard(), which runs no function of the type: that
 * is asked of the record.
 */
#include "handle.h"

#include <errno.h>

#include "alloc.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "out.h"
#include "trace.h"
#include "type.h"
#include "vm.h"

#define HANDLE_CLOSED 1u
#define HANDLE_DISPOSED 2u
#define HANDLE_ONE 4u
#define HANDLE_FULL (UINT32_MAX - HANDLE_ONE)

struct handle_class {
  struct gcx_type object; /* what its handles are to the object layer */
  const struct gcx_handle_type *type;
};

struct gcx_handle {
  uint32_t word;
  uint32_t closed_site; /* who closed it, 0: unknown */
  bool owns;
  bool counted;
  const struct gcx_handle_type *type;
  intptr_t raw;
};

#define HANDLE_CLASSES 1024u /* kinds of handle in one program */
static struct handle_class *handle_classes[HANDLE_CLASSES];

/* ---- closing */

static uint32_t handle_word(const struct gcx_handle *h)
{
  return __atomic_load_n(&h->word, __ATOMIC_ACQUIRE);
}

static bool handle_raw_is_invalid(const struct gcx_handle *h)
{
  return h->type->is_invalid != NULL && h->type->is_invalid(h->raw);
}

static int handle_run_release(const struct gcx_handle *h)
{
  int saved = errno;
  int result = h->type->release(h->raw);

  errno = saved;
  return result;
}

struct handle_drop {
  bool over;    /* there was no reference to give back */
  bool last;    /* it was the last one */
  bool release; /* and the release function is ours to run */
  bool undisposed;
};

/* Give one reference back; @flag: HANDLE_DISPOSED from gcx_dispose(). */
static struct handle_drop handle_drop(struct gcx_handle *h, uint32_t flag)
{
  uint32_t old = handle_word(h), now;
  struct handle_drop d;

  do {
    d = (struct handle_drop){ .over = old < HANDLE_ONE };
    if ((old & flag) != 0 || d.over)
      return d;
    now = (old - HANDLE_ONE) | flag;
    d.last = now < HANDLE_ONE;
    if (d.last) {
      now |= HANDLE_CLOSED;
      d.undisposed = (now & HANDLE_DISPOSED) == 0;
      d.release =
          (old & HANDLE_CLOSED) == 0 && h->owns && !handle_raw_is_invalid(h);
    }
  } while (!__atomic_compare_exchange_n(&h->word, &old, now, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  return d;
}

static int handle_close(struct gcx_handle *h, const struct handle_drop *d,
                        uint32_t site)
{
  __atomic_store_n(&h->closed_site, site, __ATOMIC_RELEASE);
  return d->release ? handle_run_release(h) : 0;
}

/* Without a count: closed at once, whoever uses it. */
static int handle_close_uncounted(struct gcx_handle *h, uint32_t site)
{
  struct handle_drop d = { .last = true };
  uint32_t word = handle_word(h);

  __atomic_store_n(&h->word, HANDLE_DISPOSED | HANDLE_CLOSED, __ATOMIC_RELEASE);
  if ((word & HANDLE_CLOSED) != 0)
    return 0;
  d.release = h->owns && !handle_raw_is_invalid(h);
  return handle_close(h, &d, site);
}

static void handle_over(const struct gcx_handle *h, const char *function,
                        uint32_t site)
{
  uint32_t number = gcx__object_number(h);

  if (number != 0)
    gcx__misuse_over_release(
        number, function, site,
        __atomic_load_n(&h->closed_site, __ATOMIC_ACQUIRE));
}

/* ---- as an object */

static int handle_dispose(void *obj)
{
  struct gcx_handle *h = obj;
  uint32_t site = gcx__lifecycle_site();
  struct handle_drop d;

  if (!h->counted)
    return handle_close_uncounted(h, site);
  d = handle_drop(h, HANDLE_DISPOSED);
  if (d.over)
    handle_over(h, "gcx_dispose", site);
  return d.last ? handle_close(h, &d, site) : 0;
}

static void handle_finalize(void *obj)
{
  (void)handle_dispose(obj);
}

static int handle_describe(const void *obj, char *buf, size_t n)
{
  const struct gcx_handle *h = obj;
  struct gcx__out o;

  if ((handle_word(h) & HANDLE_CLOSED) == 0 && h->type->describe != NULL)
    return h->type->describe(h->raw, buf, n);
  gcx__out_init(&o, -1, buf, n);
  gcx__out_fmt(&o, "value %ld%s", (long)h->raw,
               (handle_word(h) & HANDLE_CLOSED) != 0 ? ", closed" : "");
  return 0;
}

/* ---- kinds */

static bool handle_type_is_good(const struct gcx_handle_type *type, bool owns)
{
  return type != NULL && type->name != NULL &&
         (type->flags & ~GCX_HANDLE_UNCOUNTED) == 0 &&
         (type->release != NULL || !owns);
}

static struct handle_class *handle_class_make(
    const struct gcx_handle_type *type)
{
  struct handle_class *c = gcx__vm_alloc(sizeof *c);

  if (c == NULL)
    return NULL;
  gcx__type_pin(type);
  c->type = type;
  c->object.name = type->name;
  c->object.size = sizeof(struct gcx_handle);
  c->object.flags = GCX_TYPE_CRITICAL;
  c->object.dispose = handle_dispose;
  c->object.finalize = handle_finalize;
  c->object.describe = handle_describe;
  return c;
}

/* Of two threads that come with the same new type one has made a class in vain. */
static const struct handle_class *handle_class_of(
    const struct gcx_handle_type *type)
{
  uint64_t hash = (uintptr_t)type * UINT64_C(0x9E3779B97F4A7C15);
  struct handle_class *made = NULL;

  for (uint32_t i = 0; i < HANDLE_CLASSES; i++) {
    struct handle_class **slot =
        &handle_classes[((hash >> 32) + i) % HANDLE_CLASSES];
    struct handle_class *c = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

    if (c == NULL) {
      if (made == NULL)
        made = handle_class_make(type);
      if (made == NULL ||
          __atomic_compare_exchange_n(slot, &c, made, false, __ATOMIC_ACQ_REL,
                                      __ATOMIC_ACQUIRE))
        return made;
    }
    if (c->type == type)
      return c;
  }
  return NULL;
}

struct gcx_handle *gcx__handle_create(const struct gcx_handle_type *type,
                                      intptr_t raw, bool owns,
                                      const struct gcx__frame *start)
{
  bool nothing = !owns || (type->is_invalid != NULL && type->is_invalid(raw));
  const struct handle_class *c = handle_class_of(type);
  struct gcx_handle *h = NULL;

  if (c == NULL)
    errno = ENOMEM;
  else
    h = gcx__alloc_typed(&c->object, 0, nothing ? GCX_FLAG_OPTIONAL : 0, start);
  if (h == NULL)
    return NULL;
  h->owns = owns;
  h->counted = (type->flags & GCX_HANDLE_UNCOUNTED) == 0;
  h->type = type;
  h->raw = raw;
  __atomic_store_n(&h->word, HANDLE_ONE, __ATOMIC_RELEASE);
  return h;
}

/* ---- public */

/* Is it a handle, and not one that was discarded? */
static inline bool handle_check(const struct gcx_handle *h,
                                const char *function, bool *ret_discarded,
                                const struct gcx__frame *start)
{
  uint32_t number = gcx__misuse_object(h, function, false, start);
  const struct gcx_type *type;

  if (GCX_UNLIKELY(number == 0))
    return false;
  type = gcx__type_at(gcx__record_at(number)->type);
  if (GCX_UNLIKELY(type == NULL || type->dispose != handle_dispose)) {
    gcx__misuse_other_type(number, function, "handle", start);
    return false;
  }
  gcx__lifecycle_note_use(number, start);
  *ret_discarded =
      (gcx__record_state(number) & GCX_STATE_MASK) == GCX_STATE_DISPOSED &&
      (handle_word(h) & HANDLE_DISPOSED) == 0;
  return true;
}

struct gcx_handle *gcx_handle_create(const struct gcx_handle_type *type,
                                     intptr_t raw, bool owns)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (handle_type_is_good(type, owns))
    return gcx__handle_create(type, raw, owns, &start);
  errno = EINVAL;
  return NULL;
}

bool gcx_handle_acquire(struct gcx_handle *h, intptr_t *ret_raw)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  bool discarded;
  uint32_t old;

  if (!handle_check(h, "gcx_handle_acquire", &discarded, &start) || discarded)
    return false;
  old = handle_word(h);
  do {
    if ((old & HANDLE_CLOSED) != 0 || old >= HANDLE_FULL)
      return false;
  } while (h->counted &&
           !__atomic_compare_exchange_n(&h->word, &old, old + HANDLE_ONE, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
  *ret_raw = h->raw;
  GCX_KEEP(h);
  return true;
}

static uint32_t handle_site(const struct gcx__frame *start)
{
  struct gcx__thread *t = gcx__thread_self();

  return t == NULL || gcx__opt.leak == GCX_LEAK_OFF ? 0
                                                    : gcx__trace_site(t, start);
}

/* The last reference was given back, not by gcx_dispose(): nothing is left that
 * could be lost. */
static GCX_NOINLINE void handle_release_last(struct gcx_handle *h,
                                             const struct handle_drop *d,
                                             const struct gcx__frame *start)
{
  uint32_t number = gcx__object_number(h);

  if (d->over) {
    handle_over(h, "gcx_handle_release", handle_site(start));
    return;
  }
  if (d->undisposed && number != 0)
    gcx__alloc_set_flag(number, GCX_FLAG_SUPPRESSED, true);
  (void)handle_close(h, d, handle_site(start));
}

void gcx_handle_release(struct gcx_handle *h)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  struct handle_drop d;
  bool discarded;

  if (!handle_check(h, "gcx_handle_release", &discarded, &start) || discarded ||
      !h->counted)
    return;
  d = handle_drop(h, 0);
  if (GCX_UNLIKELY(d.last || d.over))
    handle_release_last(h, &d, &start);
  GCX_KEEP(h);
}

void gcx_handle_set_invalid(struct gcx_handle *h)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number;
  bool discarded;

  if (!handle_check(h, "gcx_handle_set_invalid", &discarded, &start))
    return;
  (void)__atomic_fetch_or(&h->word, HANDLE_CLOSED, __ATOMIC_ACQ_REL);
  number = gcx__object_number(h);
  if (number != 0)
    gcx__alloc_set_flag(number, GCX_FLAG_SUPPRESSED, true);
  GCX_KEEP(h);
}

bool gcx_handle_is_invalid(const struct gcx_handle *h)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  bool discarded, invalid = true;

  if (handle_check(h, "gcx_handle_is_invalid", &discarded, &start))
    invalid = handle_raw_is_invalid(h);
  GCX_KEEP(h);
  return invalid;
}

bool gcx_handle_is_closed(const struct gcx_handle *h)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  bool discarded, closed = true;

  if (handle_check(h, "gcx_handle_is_closed", &discarded, &start))
    closed = discarded || (handle_word(h) & HANDLE_CLOSED) != 0;
  GCX_KEEP(h);
  return closed;
}

bool gcx_handle_minus_one_is_invalid(intptr_t raw)
{
  return raw == -1;
}

bool gcx_handle_zero_or_minus_one_is_invalid(intptr_t raw)
{
  return raw == 0 || raw == -1;
}
