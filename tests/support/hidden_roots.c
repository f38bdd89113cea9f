/* SPDX-License-Identifier: MIT */
/*
 * hidden_roots.c - a C library whose thread-local memory gcx can't find
 *
 * What is looked up by name (tls-glibc.c) is found here first, and makes no sense.
 * Objects that only a __thread variable holds must then neither end nor be reused,
 * under leak=dispose and leak=off, and weak references must still find them; the
 * verdict is indeterminate. Run with roots=strict. Status 0: so it is.
 */
#include <gcx.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS 200

extern uint32_t _thread_db_sizeof_pthread;
__attribute__((visibility("default"))) uint32_t _thread_db_sizeof_pthread =
    1u << 30;

static __thread void *held[OBJECTS];
static struct gcx_weak *weak[OBJECTS];
static int ended;

static int end(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
  return 0;
}

static void finalize(void *obj)
{
  (void)end(obj);
}

static const struct gcx_type plain =
    GCX_TYPE_INIT("plain", 48, 0, NULL, end, NULL, NULL);
static const struct gcx_type finalized =
    GCX_TYPE_INIT("finalized", 48, 0, NULL, end, finalize, NULL);
static const struct gcx_type optional =
    GCX_TYPE_INIT("optional", 48, GCX_TYPE_OPTIONAL, NULL, end, finalize, NULL);

/* Under leak=off what has no finalizer is collected, by design. */
static const struct gcx_type *type_of(int i, bool off)
{
  static const struct gcx_type *const types[] = { &finalized, &optional,
                                                  &plain };

  return types[i % (off ? 2 : 3)];
}

static __attribute__((noinline)) void make(bool off)
{
  for (int i = 0; i < OBJECTS; i++) {
    held[i] = gcx_new(type_of(i, off));
    weak[i] = gcx_weak_create(held[i], GCX_WEAK_SHORT);
    if (held[i] == NULL || weak[i] == NULL)
      exit(3);
    if (gcx_new(type_of(i, off)) == NULL) /* lost: looks like the others */
      exit(3);
  }
}

static void fail(const char *text)
{
  printf("hidden_roots: %s\n", text);
  exit(1);
}

int main(int argc, char **argv)
{
  make(argc > 1 && strcmp(argv[1], "off") == 0);
  for (int round = 0; round < 3; round++)
    if (gcx_check() != 0)
      fail("something was called lost");
  if (gcx_verdict() != GCX_INDETERMINATE)
    fail("the verdict is not indeterminate");
  if (__atomic_load_n(&ended, __ATOMIC_RELAXED) != 0)
    fail("something was disposed or finalized");
  for (int i = 0; i < OBJECTS; i++)
    if (gcx_weak_get(weak[i]) != held[i])
      fail("a weak reference was cleared");
  for (int i = 0; i < OBJECTS; i++)
    gcx_dispose(held[i]);
  if (__atomic_load_n(&ended, __ATOMIC_RELAXED) != OBJECTS)
    fail("what was disposed has not ended");
  return 0;
}
