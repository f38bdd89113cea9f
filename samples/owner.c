/* SPDX-License-Identifier: MIT */
/*
 * owner - what an object owns ends with it, in which order
 *
 * The owner's own function runs first, while its children are still live; then
 * they are disposed, latest first. A function that needs them gone first begins
 * with gcx_dispose_owned().
 */
#include <stdio.h>

#include <gcx.h>

struct part {
  const char *name;
  struct part *uses; /* part of the same session, made before */
};

struct session {
  struct part *log;
  struct part *buffer;
};

static int part_dispose(void *obj)
{
  const struct part *p = obj;

  printf("  %s ends", p->name);
  if (p->uses != NULL)
    printf("; %s is still %s", p->uses->name,
           gcx_is_disposed(p->uses) ? "disposed" : "live");
  putchar('\n');
  return 0;
}

static const struct gcx_type part_type = GCX_TYPE_INIT(
    "part", sizeof(struct part), 0, NULL, part_dispose, NULL, NULL);

/* Says good-bye in its log: the children must still be there. */
static int session_dispose(void *obj)
{
  const struct session *s = obj;

  printf("  session ends; its log is %s\n",
         gcx_is_disposed(s->log) ? "disposed" : "live");
  return 0;
}

static const struct gcx_type session_type = GCX_TYPE_INIT(
    "session", sizeof(struct session), 0, NULL, session_dispose, NULL, NULL);

/* Unmaps a region in which the children lie: they must be gone. */
static int region_dispose(void *obj)
{
  gcx_dispose_owned(obj);
  puts("  region ends; nothing is in it");
  return 0;
}

static const struct gcx_type region_type = GCX_TYPE_INIT(
    "region", sizeof(struct session), 0, NULL, region_dispose, NULL, NULL);

static struct part *part_create(void *owner, const char *name,
                                struct part *uses)
{
  gcx_auto struct part *p = gcx_new(&part_type);

  if (p == NULL)
    return NULL;
  p->name = name;
  p->uses = uses;
  if (gcx_own(owner, p) != 0)
    return NULL;
  return gcx_steal(p);
}

static struct session *session_create(const struct gcx_type *type)
{
  gcx_auto struct session *s = gcx_new(type);

  if (s == NULL)
    return NULL;
  s->log = part_create(s, "log", NULL);
  s->buffer = s->log != NULL ? part_create(s, "buffer", s->log) : NULL;
  return s->buffer != NULL ? gcx_steal(s) : NULL;
}

int main(void)
{
  struct session *s = session_create(&session_type);
  struct session *region = session_create(&region_type);

  if (s == NULL || region == NULL)
    return 1;
  puts("the owner first, then its children, latest first:");
  gcx_dispose(s);
  puts("children first, because the owner asks for it:");
  gcx_dispose(region);
  puts("a child alone, then its owner:");
  s = session_create(&session_type);
  if (s == NULL)
    return 1;
  gcx_dispose(s->buffer);
  gcx_dispose(s);
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
