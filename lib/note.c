/* SPDX-License-Identifier: MIT */
/*
 * note.c - how the executable was built
 *
 * Each of its files that includes gcx has a note in the section .note.gcx; the
 * linker puts them one behind the other into a PT_NOTE segment. One file without
 * NDEBUG makes a debug build; default options add up, the same text once.
 */
#include "note.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "loaded.h"

static void note_add_options(struct gcx__note *n, const char *text,
                             size_t bytes)
{
  size_t used = strlen(n->options);
  size_t length = strnlen(text, bytes);

  if (length == 0 || length == bytes || strstr(n->options, text) != NULL ||
      used + length + 2 > sizeof n->options)
    return;
  if (used > 0)
    n->options[used++] = ':';
  memcpy(n->options + used, text, length + 1);
}

static void note_one(struct gcx__note *n, const char *descriptor, size_t bytes)
{
  uint32_t debug;

  if (bytes < sizeof debug)
    return;
  memcpy(&debug, descriptor, sizeof debug);
  n->found = true;
  n->debug = n->debug || debug != 0;
  note_add_options(n, descriptor + sizeof debug, bytes - sizeof debug);
}

static size_t note_padded(size_t bytes)
{
  return (bytes + 3) & ~(size_t)3;
}

static void note_segment(struct gcx__note *n, const char *at, size_t bytes)
{
  ElfW(Nhdr) head;

  while (bytes >= sizeof head) {
    size_t name, whole;

    memcpy(&head, at, sizeof head);
    name = note_padded(head.n_namesz);
    whole = sizeof head + name + note_padded(head.n_descsz);
    if (whole > bytes)
      return;
    if (head.n_namesz == 4 && head.n_type == 1 &&
        memcmp(at + sizeof head, "gcx", 4) == 0)
      note_one(n, at + sizeof head + name, head.n_descsz);
    at += whole;
    bytes -= whole;
  }
}

/* The first object is the executable. */
static int note_of_object(struct dl_phdr_info *info, size_t bytes, void *arg)
{
  (void)bytes;
  for (size_t i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];

    if (p->p_type == PT_NOTE && p->p_align <= 4)
      note_segment(arg, (const char *)(info->dlpi_addr + p->p_vaddr),
                   p->p_memsz);
  }
  return 1;
}

void gcx__note_read(struct gcx__note *ret_note)
{
  memset(ret_note, 0, sizeof *ret_note);
  (void)gcx__loaded_iterate_brief(note_of_object, ret_note);
}
