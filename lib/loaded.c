/* SPDX-License-Identifier: MIT */
/*
 * loaded.c - ld.so's list of loaded objects, walked by those who must not wait
 *            for each other
 *
 * Two locks besides ld.so's. `loaded_turn` is held by who is in callbacks, as long
 * as they take; ld.so's lock would make others wait as well. `loaded_gate` is held
 * for a moment only, never while a callback of the program's runs:
 *
 *   who walks      turn, gate, ld.so's lock: the list is copied and published; gate
 *                  given back; callbacks; gate again, for an instant: withdrawn,
 *                  and ld.so's lock given back
 *   who is brief   (a collection, libunwind, gcx) gate; published? then the copy;
 *                  else ld.so's lock, which is then held by ld.so alone, and not
 *                  for long
 *
 * While it is published the walker holds ld.so's lock: the copy is exact, unless
 * the walker itself loads something in its callback. That, and what is loaded
 * between the list and the stop of a collection, gcx__loaded_grew() sees: ld.so
 * appends to a list that debuggers read, and which is read here as memory that may
 * vanish. Unloading needs no such care: what is gone holds nothing.
 *
 * Both are taken with any of gcx's locks held; who has them takes none but ld.so's.
 *
 * A thread that comes again while it is inside (a callback that walks, a handler of
 * a signal) goes straight to ld.so, whose lock it may take again. So does one whose
 * callback was left by longjmp(): ld.so's lock is then its own for ever. Leaving by
 * an exception or pthread_exit() gives everything back.
 */
#include "loaded.h"

#include <dlfcn.h>
#include <string.h>

#include "latch.h"
#include "maps.h"
#include "vm.h"

typedef int (*loaded_walk_fn)(gcx__loaded_fn fn, void *arg);

/* A copy of the list; all of it lies in one mapping that begins at `info`. */
struct loaded_copy {
  unsigned long long adds;
  unsigned long long subs;
  struct dl_phdr_info *info;
  size_t n;
  size_t bytes;
};

/* What ld.so's own list ended with, as debuggers see it. */
struct loaded_end {
  const struct link_map *last;
  uintptr_t bias;
  const void *dynamic;
  unsigned long long adds;
  unsigned long long subs;
};

bool gcx__loaded_ready;

static loaded_walk_fn loaded_real;
static const struct link_map *loaded_first;

static struct gcx__latch loaded_turn;
static struct gcx__latch loaded_gate;

/* Guarded by the gate. */
static struct loaded_copy loaded_copy;
static bool loaded_published;
static struct loaded_end loaded_end; /* while published: the copy's */

/* Guarded by the collector's lock. */
static struct loaded_end loaded_scanned;

/* The calling thread is inside one of the functions below. */
static __thread unsigned loaded_depth
    __attribute__((tls_model("initial-exec")));
/* It forks, and has the gate for that. */
static __thread bool loaded_forks __attribute__((tls_model("initial-exec")));

static GCX_BEFORE_SANITIZERS loaded_walk_fn loaded_walk(void)
{
  loaded_walk_fn walk = __atomic_load_n(&loaded_real, __ATOMIC_RELAXED);

  if (GCX_UNLIKELY(walk == NULL)) {
    *(void **)(void *)&walk = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    if (walk == NULL) /* behind the C library: then it is the first there is */
      *(void **)(void *)&walk = dlsym(RTLD_DEFAULT, "dl_iterate_phdr");
    GCX_ASSERT(walk != NULL);
    __atomic_store_n(&loaded_real, walk, __ATOMIC_RELAXED);
  }
  return walk;
}

GCX_BEFORE_SANITIZERS int gcx__loaded_iterate_plain(gcx__loaded_fn fn,
                                                    void *arg)
{
  return loaded_walk()(fn, arg);
}

/* The executable's handle is never given back, as it can't be unloaded. */
void gcx__loaded_init(void)
{
  struct link_map *map = NULL;
  void *self;

  (void)loaded_walk();
  gcx__loaded_ready = true;
  self = loaded_first == NULL ? dlopen(NULL, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (self == NULL || dlinfo(self, RTLD_DI_LINKMAP, &map) != 0)
    return;
  while (map->l_prev != NULL)
    map = map->l_prev;
  loaded_first = map;
}

/* ---- the end of the list; ld.so's lock is held */

static void loaded_find_end(struct loaded_end *e,
                            const struct dl_phdr_info *info)
{
  const struct link_map *map = loaded_first;

  if (map == NULL || (e->last != NULL && e->adds == info->dlpi_adds &&
                      e->subs == info->dlpi_subs))
    return;
  while (map->l_next != NULL)
    map = map->l_next;
  *e = (struct loaded_end){ .last = map,
                            .bias = (uintptr_t)map->l_addr,
                            .dynamic = map->l_ld,
                            .adds = info->dlpi_adds,
                            .subs = info->dlpi_subs };
}

/* The last entry may be gone, its memory used for anything. The same library at
 * the same place again is as good as the one before. */
bool gcx__loaded_grew(void)
{
  const struct loaded_end *e = &loaded_scanned;
  struct link_map now;

  if (e->last == NULL)
    return false;
  return gcx__maps_copy(&now, (uintptr_t)e->last, sizeof now) != sizeof now ||
         now.l_next != NULL || (uintptr_t)now.l_addr != e->bias ||
         now.l_ld != e->dynamic;
}

/* ---- the copy; gate and ld.so's lock are held */

struct loaded_fill {
  struct loaded_copy *copy; /* NULL: only count */
  size_t n;
  size_t headers;
  size_t text;
  ElfW(Phdr) * next_header;
  char *next_text;
};

static int loaded_fill_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct loaded_fill *f = arg;
  size_t text = strlen(info->dlpi_name) + 1;

  if (f->copy != NULL) {
    struct dl_phdr_info *to = &f->copy->info[f->n];

    memset(to, 0, sizeof *to);
    memcpy(to, info, GCX_MIN(size, sizeof *to));
    to->dlpi_phdr = f->next_header;
    to->dlpi_name = f->next_text;
    memcpy(f->next_header, info->dlpi_phdr,
           info->dlpi_phnum * sizeof *f->next_header);
    memcpy(f->next_text, info->dlpi_name, text);
    f->next_header += info->dlpi_phnum;
    f->next_text += text;
  }
  f->n++;
  f->headers += info->dlpi_phnum;
  f->text += text;
  return 0;
}

/* False: no memory. */
static bool loaded_copy_make(const struct dl_phdr_info *first)
{
  struct loaded_copy *c = &loaded_copy;
  struct loaded_fill fill = { .copy = NULL };
  ElfW(Phdr) * headers;

  if (c->info != NULL && c->adds == first->dlpi_adds &&
      c->subs == first->dlpi_subs)
    return true;
  if (c->info != NULL)
    gcx__vm_unmap(c->info, c->bytes);
  (void)loaded_walk()(loaded_fill_one, &fill);
  c->bytes =
      fill.n * sizeof *c->info + fill.headers * sizeof(ElfW(Phdr)) + fill.text;
  c->info = gcx__vm_map(c->bytes);
  if (c->info == NULL)
    return false;
  c->n = fill.n;
  c->adds = first->dlpi_adds;
  c->subs = first->dlpi_subs;
  headers = (ElfW(Phdr) *)(void *)(c->info + c->n);
  fill = (struct loaded_fill){ .copy = c,
                               .next_header = headers,
                               .next_text = (char *)(headers + fill.headers) };
  (void)loaded_walk()(loaded_fill_one, &fill);
  GCX_ASSERT(fill.next_text == (char *)c->info + c->bytes);
  return true;
}

/* ---- who walks */

struct loaded_call {
  gcx__loaded_fn fn;
  void *arg;
  bool has_gate;
  bool published;
  int result;
};

/* The gate is kept until ld.so's lock has been given back: who has the gate and
 * sees nothing published knows that no walker has that lock. */
static void loaded_withdraw(struct loaded_call **call)
{
  if (!(*call)->published)
    return;
  gcx__latch_lock(&loaded_gate);
  (*call)->has_gate = true;
  loaded_published = false;
}

static void loaded_leave(struct loaded_call *call)
{
  if (call->has_gate)
    gcx__latch_unlock(&loaded_gate);
  gcx__latch_unlock(&loaded_turn);
  loaded_depth--;
}

/* Called for the first object, with ld.so's lock held: everything happens here. */
static int loaded_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct loaded_call *call __attribute__((cleanup(loaded_withdraw))) = arg;

  (void)size;
  call->published = loaded_published = loaded_copy_make(info);
  if (call->published)
    loaded_find_end(&loaded_end, info);
  call->has_gate = false;
  gcx__latch_unlock(&loaded_gate);
  call->result = loaded_walk()(call->fn, call->arg);
  return 1;
}

static int loaded_take_turn(gcx__loaded_fn fn, void *arg)
{
  struct loaded_call call
      __attribute__((cleanup(loaded_leave))) = { fn, arg, true, false, 0 };

  gcx__latch_lock(&loaded_turn);
  gcx__latch_lock(&loaded_gate);
  (void)loaded_walk()(loaded_inside, &call);
  return call.result;
}

int gcx__loaded_iterate(gcx__loaded_fn fn, void *arg)
{
  if (loaded_depth > 0)
    return loaded_walk()(fn, arg);
  loaded_depth++;
  return loaded_take_turn(fn, arg);
}

/* ---- who is brief */

static int loaded_iterate_copy(gcx__loaded_fn fn, void *arg)
{
  int result = 0;

  for (size_t i = 0; i < loaded_copy.n && result == 0; i++)
    result = fn(&loaded_copy.info[i], sizeof(struct dl_phdr_info), arg);
  return result;
}

int gcx__loaded_iterate_brief(gcx__loaded_fn fn, void *arg)
{
  int result;

  if (loaded_depth > 0)
    return loaded_walk()(fn, arg);
  loaded_depth++;
  gcx__latch_lock(&loaded_gate);
  result =
      loaded_published ? loaded_iterate_copy(fn, arg) : loaded_walk()(fn, arg);
  gcx__latch_unlock(&loaded_gate);
  loaded_depth--;
  return result;
}

struct loaded_scan {
  gcx__loaded_fn fn;
  void *arg;
  bool begun;
};

/* Either the copy's, or ld.so's lock is held: also by a thread that collects in its
 * own callback, whatever it has loaded there. */
static int loaded_scan_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct loaded_scan *s = arg;

  if (!s->begun && info == loaded_copy.info)
    loaded_scanned = loaded_end;
  else if (!s->begun)
    loaded_find_end(&loaded_scanned, info);
  s->begun = true;
  return s->fn(info, size, s->arg);
}

int gcx__loaded_iterate_to_scan(gcx__loaded_fn fn, void *arg)
{
  struct loaded_scan s = { .fn = fn, .arg = arg };

  return gcx__loaded_iterate_brief(loaded_scan_one, &s);
}

/* ---- fork */

/* ld.so's lock is not made anew in a child: held by a thread that is gone, it would
 * be waited for by the first collection. With the gate in our hands nobody is at
 * the list but who has published it. A handler of the program's that asks for the
 * list now, or a fork from a handler of a signal that came inside, goes straight to
 * ld.so. */
void gcx__loaded_before_fork(void)
{
  if (loaded_depth > 0)
    return;
  loaded_depth++;
  gcx__latch_lock(&loaded_gate);
  loaded_forks = true;
}

/* In the child, whoever else was inside is gone. What was published stays so, and
 * the list can't change any more. */
void gcx__loaded_after_fork(bool is_child)
{
  if (loaded_forks) {
    gcx__latch_unlock(&loaded_gate);
    loaded_depth--;
  }
  loaded_forks = false;
  if (is_child)
    gcx__latch_reset(&loaded_gate);
  if (is_child && loaded_depth == 0)
    gcx__latch_reset(&loaded_turn);
}
