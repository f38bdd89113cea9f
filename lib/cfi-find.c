/* SPDX-License-Identifier: MIT */
/*
 * cfi-find.c - the loaded object that an address lies in, and its table
 *
 * The table is read inside dl_iterate_phdr(), so that the library can't be
 * unloaded meanwhile.
 */
#include "cfi.h"

#include <link.h>

#include "loaded.h"

struct search {
  uintptr_t target;
  struct gcx__cfi cfi;
  bool found;
};

/* The loaded part of the object that @address lies in, or NULL. */
static const ElfW(Phdr) *
    object_part(const struct dl_phdr_info *info, uintptr_t address)
{
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];

    if (p->p_type == PT_LOAD &&
        address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) {
      return p;
    }
  }
  return NULL;
}

static bool object_read(const struct dl_phdr_info *info,
                        const ElfW(Phdr) * frames, struct search *s)
{
  uintptr_t header = info->dlpi_addr + frames->p_vaddr;
  const ElfW(Phdr) *part = object_part(info, header);
  struct gcx__cfi_table table = { (const uint8_t *)header, frames->p_memsz,
                                  NULL, NULL };

  if (part == NULL) {
    return false;
  }
  table.low = (const uint8_t *)(info->dlpi_addr + part->p_vaddr);
  table.high = table.low + part->p_filesz;
  return header <= (uintptr_t)table.high &&
         (uintptr_t)table.high - header >= table.bytes &&
         gcx__cfi_read(&table, s->target, &s->cfi);
}

static int search_object(struct dl_phdr_info *info, size_t size, void *arg)
{
  struct search *s = arg;

  (void)size;
  if (object_part(info, s->target) == NULL) {
    return 0;
  }
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];

    if (p->p_type == PT_GNU_EH_FRAME) {
      s->found = object_read(info, p, s);
    }
  }
  return 1;
}

bool gcx__cfi_find(uintptr_t pc, struct gcx__cfi *ret_cfi)
{
  /* The call itself, which may be the last instruction of its function. */
  struct search s = { .target = pc - 1 };

  (void)gcx__loaded_iterate_brief(search_object, &s);
  if (s.found) {
    *ret_cfi = s.cfi;
  }
  return s.found;
}
