/* SPDX-License-Identifier: MIT */
/*
 * modules.c - the executable and the shared libraries, past and present
 *
 * A module is born when a refresh first sees it and dies (last_epoch) when a
 * refresh misses it; its entry is never changed otherwise nor freed. Readers
 * take no lock: entries lie in chunks that never move, and the count is
 * published after the entry.
 *
 * A refresh copies ld.so's list (loaded.h), under ld.so's lock, and merges the copy
 * afterwards under GCX_RANK_MODULES: ld.so's lock and ours are never held
 * together, since a constructor runs under the former and may need the latter.
 * Of two copies that race, the older (by ld.so's own counters, which only grow)
 * is dropped.
 *
 * The address of a library that was closed and another that took its place
 * between two refreshes can't be told apart: whoever closes libraries refreshes
 * at once.
 */
#include "modules.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "loaded.h"
#include "lock.h"
#include "maps.h"
#include "platform.h"
#include "vm.h"

#define MODULES_PER_CHUNK 64
#define MODULES_CHUNKS 1024

/* What ld.so says in one call back, as far as it is kept. */
struct seen_module {
  struct gcx__module module;
  size_t path_at; /* in the text of the copy */
};

struct module_copy {
  unsigned long long adds;
  unsigned long long subs;
  size_t n, max;
  size_t text_used, text_max;
  struct seen_module *seen; /* NULL: only count */
  char *text;
};

uint32_t gcx__modules_epoch_now;
uint32_t gcx__modules_doubt;

static struct gcx__lock modules_lock = GCX_LOCK_INIT(GCX_RANK_MODULES);
static struct gcx__module *modules_chunks[MODULES_CHUNKS];
static size_t modules_count;
/* ld.so's counters at the last merge. */
static unsigned long long modules_adds;
static unsigned long long modules_subs;

static struct gcx__module *module_entry(size_t index)
{
  return &modules_chunks[index / MODULES_PER_CHUNK][index % MODULES_PER_CHUNK];
}

/* ----------------------------------------------------------- ld.so's list */

#define NOTES_MAX 1024 /* the build-id is among the first */

static size_t note_round(size_t bytes)
{
  return (bytes + 3) & ~(size_t)3;
}

static void take_build_id(struct gcx__module *m, const char *note, size_t bytes)
{
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    size_t whole;

    memcpy(&head, note, sizeof(head));
    whole =
        sizeof(head) + note_round(head.n_namesz) + note_round(head.n_descsz);
    if (whole > bytes) {
      return;
    }
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
        memcmp(note + sizeof(head), "GNU", 4) == 0) {
      m->build_id_bytes =
          (uint8_t)GCX_MIN((size_t)head.n_descsz, sizeof(m->build_id));
      memcpy(m->build_id, note + sizeof(head) + 4, m->build_id_bytes);
      return;
    }
    note += whole;
    bytes -= whole;
  }
}

/* Copied, since the object may go at this moment (loaded.h). */
static void take_notes(struct gcx__module *m, uintptr_t at, size_t bytes)
{
  char notes[NOTES_MAX];

  bytes = gcx__maps_copy(notes, at, GCX_MIN(bytes, sizeof(notes)));
  take_build_id(m, notes, bytes);
}

static void take_segments(struct gcx__module *m,
                          const struct dl_phdr_info *info)
{
  m->low = UINTPTR_MAX;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    uintptr_t at = (uintptr_t)info->dlpi_addr + p->p_vaddr;

    if (p->p_type == PT_LOAD) {
      m->low = GCX_MIN(m->low, at);
      m->high = GCX_MAX(m->high, at + p->p_memsz);
    } else if (p->p_type == PT_TLS) {
      m->tls_bytes = p->p_memsz;
    } else if (p->p_type == PT_NOTE && m->build_id_bytes == 0) {
      take_notes(m, at, p->p_memsz);
    }
  }
}

static void take_module(struct seen_module *s, const struct dl_phdr_info *info,
                        size_t size, bool is_main)
{
  memset(s, 0, sizeof(*s));
  s->module.bias = (uintptr_t)info->dlpi_addr;
  s->module.is_main = is_main;
  take_segments(&s->module, info);
  if (s->module.tls_bytes != 0 &&
      size >= offsetof(struct dl_phdr_info, dlpi_tls_data)) {
    s->module.tls_module = info->dlpi_tls_modid;
  }
}

static bool is_vdso(const struct dl_phdr_info *info)
{
  uintptr_t vdso = (uintptr_t)getauxval(AT_SYSINFO_EHDR);

  for (size_t i = 0; vdso != 0 && i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_LOAD &&
        (uintptr_t)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr == vdso) {
      return true;
    }
  }
  return false;
}

/* Runs under ld.so's lock: copies, and calls nothing. */
static int copy_one(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct module_copy *c = arg;
  size_t path_bytes = strlen(info->dlpi_name) + 1;
  size_t index = c->n;

  c->adds = info->dlpi_adds;
  c->subs = info->dlpi_subs;
  if (index > 0 && is_vdso(info)) {
    return 0;
  }
  c->n++;
  c->text_used += path_bytes;
  if (c->seen != NULL && c->n <= c->max && c->text_used <= c->text_max) {
    struct seen_module *s = &c->seen[index];

    take_module(s, info, size, index == 0);
    s->path_at = c->text_used - path_bytes;
    memcpy(c->text + s->path_at, info->dlpi_name, path_bytes);
  }
  return 0;
}

static int copy_counters(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct module_copy *c = arg;

  (void)size;
  c->adds = info->dlpi_adds;
  c->subs = info->dlpi_subs;
  return 1;
}

static bool anything_changed(void)
{
  struct module_copy now = { .n = 0 };

  (void)gcx__loaded_iterate_brief(copy_counters, &now);
  return now.adds != __atomic_load_n(&modules_adds, __ATOMIC_ACQUIRE) ||
         now.subs != __atomic_load_n(&modules_subs, __ATOMIC_ACQUIRE);
}

static size_t copy_bytes(const struct module_copy *c)
{
  return c->max * sizeof(struct seen_module) + c->text_max;
}

/* Copy ld.so's list into memory that the caller unmaps; false: none is left. */
static bool copy_make(struct module_copy *ret_copy)
{
  struct module_copy count = { .n = 0 };

  for (;;) {
    struct module_copy c = { .n = 0 };

    (void)gcx__loaded_iterate_brief(copy_one, &count);
    c.max = count.n + 8; /* some may come between the two passes */
    c.text_max = count.text_used + 4096;
    c.seen = gcx__vm_map(copy_bytes(&c));
    if (c.seen == NULL) {
      return false;
    }
    c.text = (char *)(c.seen + c.max);
    (void)gcx__loaded_iterate_brief(copy_one, &c);
    if (c.n <= c.max && c.text_used <= c.text_max) {
      *ret_copy = c;
      return true;
    }
    gcx__vm_unmap(c.seen, copy_bytes(&c));
    count = (struct module_copy){ .n = 0 };
  }
}

/* ------------------------------------------------------------------ merging */

static bool module_equal(const struct gcx__module *a,
                         const struct gcx__module *b)
{
  return a->low == b->low && a->high == b->high && a->bias == b->bias &&
         a->tls_module == b->tls_module && a->tls_bytes == b->tls_bytes &&
         a->build_id_bytes == b->build_id_bytes &&
         memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

/* A relative name means something only in the directory of this moment. */
static const char *path_keep(const char *name, bool is_main)
{
  char directory[4096] = "";
  size_t n = strlen(name), before = 0;
  char *kept;

  if (is_main) {
    name = gcx__exe_path();
    n = strlen(name);
  } else if (name[0] != '/' && strchr(name, '/') != NULL &&
             getcwd(directory, sizeof(directory) - 1) != NULL) {
    before = strlen(directory);
    directory[before++] = '/';
  }
  kept = gcx__vm_alloc(before + n + 1);
  if (kept == NULL) {
    return "";
  }
  memcpy(kept, directory, before);
  memcpy(kept + before, name, n + 1);
  return kept;
}

static struct gcx__module *entry_new(void)
{
  size_t chunk = modules_count / MODULES_PER_CHUNK;

  if (chunk >= MODULES_CHUNKS) {
    return NULL;
  }
  if (modules_chunks[chunk] == NULL) {
    struct gcx__module *made =
        gcx__vm_map(MODULES_PER_CHUNK * sizeof(struct gcx__module));

    if (made == NULL) {
      return NULL;
    }
    __atomic_store_n(&modules_chunks[chunk], made, __ATOMIC_RELEASE);
  }
  return module_entry(modules_count);
}

/* False: no memory; the list is as good as it was. */
static bool merge_new(const struct seen_module *s, const char *path)
{
  struct gcx__module *e = entry_new();

  if (e == NULL) {
    return false;
  }
  *e = s->module;
  e->path = path_keep(path, s->module.is_main);
  e->first_epoch = gcx__modules_epoch_now;
  e->last_epoch = UINT32_MAX;
  __atomic_store_n(&modules_count, modules_count + 1, __ATOMIC_RELEASE);
  return true;
}

static bool copy_has(const struct module_copy *c, const struct gcx__module *m)
{
  for (size_t i = 0; i < c->n; i++) {
    if (module_equal(&c->seen[i].module, m)) {
      return true;
    }
  }
  return false;
}

static bool is_known(const struct gcx__module *m)
{
  for (size_t i = 0; i < modules_count; i++) {
    const struct gcx__module *e = module_entry(i);

    if (e->last_epoch == UINT32_MAX && module_equal(e, m)) {
      return true;
    }
  }
  return false;
}

static void merge_gone(const struct module_copy *c)
{
  for (size_t i = 0; i < modules_count; i++) {
    struct gcx__module *e = module_entry(i);

    if (e->last_epoch == UINT32_MAX && !copy_has(c, e)) {
      __atomic_store_n(&e->last_epoch, gcx__modules_epoch_now,
                       __ATOMIC_RELEASE);
    }
  }
}

/* True if something was unloaded. */
static bool merge_locked(const struct module_copy *c)
{
  bool unloaded = c->subs != modules_subs && modules_count > 0;
  bool complete = true;

  GCX_ASSERT_DEBUG(gcx__lock_held(&modules_lock));
  if (c->adds < modules_adds || c->subs < modules_subs) {
    return false; /* an older copy came late */
  }
  if (unloaded) {
    __atomic_store_n(&gcx__modules_epoch_now, gcx__modules_epoch_now + 1,
                     __ATOMIC_RELEASE);
    __atomic_add_fetch(&gcx__modules_doubt, 1, __ATOMIC_RELEASE);
    merge_gone(c);
  }
  for (size_t i = 0; i < c->n; i++) {
    if (!is_known(&c->seen[i].module)) {
      complete &= merge_new(&c->seen[i], c->text + c->seen[i].path_at);
    }
  }
  __atomic_store_n(&modules_subs, c->subs, __ATOMIC_RELEASE);
  if (complete) { /* else the next refresh tries again */
    __atomic_store_n(&modules_adds, c->adds, __ATOMIC_RELEASE);
  }
  return unloaded;
}

/* ------------------------------------------------------------------- public */

void gcx__modules_init(void)
{
  (void)gcx__modules_refresh();
}

bool gcx__modules_refresh(void)
{
  struct module_copy c;
  bool unloaded;

  if (!anything_changed() || !copy_make(&c)) {
    return false;
  }
  gcx__lock(&modules_lock);
  unloaded = merge_locked(&c);
  gcx__unlock(&modules_lock);
  gcx__vm_unmap(c.seen, copy_bytes(&c));
  return unloaded;
}

uint32_t gcx__modules_epoch(void)
{
  return __atomic_load_n(&gcx__modules_epoch_now, __ATOMIC_ACQUIRE);
}

const struct gcx__module *gcx__modules_at(size_t index)
{
  return index < __atomic_load_n(&modules_count, __ATOMIC_ACQUIRE)
             ? module_entry(index)
             : NULL;
}

const struct gcx__module *gcx__modules_find(uintptr_t pc, uint32_t epoch)
{
  const struct gcx__module *m;

  for (size_t i = 0; (m = gcx__modules_at(i)) != NULL; i++) {
    if (m->low <= pc && pc < m->high && m->first_epoch <= epoch &&
        epoch < __atomic_load_n(&m->last_epoch, __ATOMIC_ACQUIRE)) {
      return m;
    }
  }
  return NULL;
}

void gcx__modules_unloaded(uint32_t since_epoch,
                           void (*fn)(const struct gcx__module *m, void *arg),
                           void *arg)
{
  const struct gcx__module *m;

  for (size_t i = 0; (m = gcx__modules_at(i)) != NULL; i++) {
    uint32_t last = __atomic_load_n(&m->last_epoch, __ATOMIC_ACQUIRE);

    if (last != UINT32_MAX && last > since_epoch) {
      fn(m, arg);
    }
  }
}
