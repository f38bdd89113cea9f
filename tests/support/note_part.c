/* SPDX-License-Identifier: MIT */
/* note_part.c - a file without NDEBUG, for a program and for a library */
#undef NDEBUG
#include <gcx.h>

#include "note_programs.h"

void note_part(void)
{
  gcx_dispose(gcx_alloc(8));
}
