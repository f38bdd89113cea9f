/* SPDX-License-Identifier: MIT */
/*
 * note_program.c - a program that loses objects; how it is built says what becomes of
 *                  them
 *
 * Built several times: with and without NDEBUG, with default options, with a
 * gcx_default_options(), with a part (note_part.c) that is always built without
 * NDEBUG. Prints how many objects were disposed.
 */
#include "note_programs.h"

#include <gcx.h>
#include <stdio.h>
#include <string.h>

static int disposed;

static int count_disposal(void *obj)
{
  (void)obj;
  (void)__atomic_add_fetch(&disposed, 1, __ATOMIC_RELAXED);
  return 0;
}

static const struct gcx_type noted_type =
    GCX_TYPE_INIT("noted", 40, 0, NULL, count_disposal, NULL, NULL);

#ifdef NOTE_FUNCTION
const char *gcx_default_options(void)
{
  return NOTE_FUNCTION;
}
#endif

__attribute__((noinline)) static void lose_one(void)
{
  char *p = gcx_new(&noted_type);

  (void)snprintf(p, 40, "lost");
}

int main(void)
{
#ifdef NOTE_PART
  note_part();
#endif
  for (int i = 0; i < NOTE_LOST; i++)
    lose_one();
  (void)gcx_check();
  (void)printf("%d disposed\n", __atomic_load_n(&disposed, __ATOMIC_RELAXED));
  return 0;
}
