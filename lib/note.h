/* SPDX-License-Identifier: MIT */
/*
 * note.h - the notes that <gcx/build.h> leaves in the executable
 */
#ifndef GCX_NOTE_H
#define GCX_NOTE_H

#include "assert.h"

struct gcx__note {
  bool found;         /* the executable was compiled with gcx's headers */
  bool debug;         /* a file of it without NDEBUG */
  char options[1024]; /* GCX_DEFAULT_OPTIONS of its files, ":" between */
};

/* Reads the executable's own, never a library's. World running, once. */
void gcx__note_read(struct gcx__note *ret_note);

#endif
