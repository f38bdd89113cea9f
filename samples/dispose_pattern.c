/* SPDX-License-Identifier: MIT */
/*
 * dispose_pattern - a type on a base type, each with an explicit half and a last
 *                   resort
 *
 * dispose is the explicit half: it may use other live objects. finalize is the
 * last resort, on the finalizer thread, for what was lost: it touches nothing
 * but what is its own. Exactly one of them runs.
 */
#include <stdio.h>

#include <gcx.h>

struct base {
  int handle;
};

struct derived {
  struct base base;
  int extra;
};

static int explicitly, at_last;

static int base_dispose(void *obj)
{
  (void)obj;
  puts("  base: released explicitly");
  return 0;
}

static int derived_dispose(void *obj)
{
  (void)obj;
  puts("  derived: released explicitly");
  explicitly++;
  return 0;
}

static void derived_finalize(void *obj)
{
  (void)obj;
  __atomic_fetch_add(&at_last, 1, __ATOMIC_RELAXED);
}

static const struct gcx_type base_type = GCX_TYPE_INIT(
    "struct base", sizeof(struct base), 0, NULL, base_dispose, NULL, NULL);
static const struct gcx_type derived_type =
    GCX_TYPE_INIT("struct derived", sizeof(struct derived), 0, &base_type,
                  derived_dispose, derived_finalize, NULL);

static __attribute__((noinline)) void lose(int n)
{
  for (int i = 0; i < n; i++) {
    struct derived *d = gcx_new(&derived_type);

    if (d != NULL)
      d->extra = i;
  }
}

int main(void)
{
  puts("disposed:");
  gcx_dispose(gcx_new(&derived_type));
  puts("lost 100 of them:");
  lose(100);
  gcx_check();
  gcx_check();
  printf("  explicitly: %d\n", explicitly);
  puts(__atomic_load_n(&at_last, __ATOMIC_RELAXED) >= 90
           ? "  the last resort did the rest"
           : "  the last resort did not run");
  return 0;
}
