/* SPDX-License-Identifier: MIT */
/*
 * touch.c - where an object was last used
 *
 * The last few touches of an object lie in a ring that hangs in its aux entry
 * and is made at the first touch. Under gcx__aux_lock.
 */
#include "../include/gcx/object.h"

#include <string.h>

#include "aux.h"
#include "lifecycle.h"
#include "misuse.h"
#include "options.h"
#include "platform.h"
#include "trace.h"
#include "vm.h"

static void touch_record_locked(uint32_t number, const struct gcx__touch *touch)
{
  struct gcx__aux *a = gcx__aux_have_locked(number);

  if (a == NULL)
    return;
  if (a->touches == NULL)
    a->touches = gcx__vm_alloc(GCX__REPORT_TOUCHES * sizeof *a->touches);
  if (a->touches == NULL)
    return;
  a->touches[a->touch_count++ % GCX__REPORT_TOUCHES] = *touch;
}

void gcx_touch(const void *p, const char *hint)
{
  struct gcx__frame start = GCX__CALLER_FRAME();
  uint32_t number = gcx__misuse_object(p, "gcx_touch", false, &start);
  struct gcx__thread *t = gcx__thread_self();
  struct gcx__touch touch = { 0 };

  if (number == 0)
    return;
  gcx__lifecycle_note_use(number, &start);
  if (gcx__opt.leak == GCX_LEAK_OFF || t == NULL)
    return;
  touch.site = gcx__trace_site(t, &start);
  touch.ms = gcx__now_ms();
  touch.tid = t->tid;
  if (hint != NULL)
    memcpy(touch.hint, hint, strnlen(hint, sizeof touch.hint - 1));
  gcx__lock(&gcx__aux_lock);
  touch_record_locked(number, &touch);
  gcx__unlock(&gcx__aux_lock);
  GCX_KEEP(p);
}
