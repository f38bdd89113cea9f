/* SPDX-License-Identifier: MIT */
/*
 * misuse.h - a pointer from the program: a tracked object, or a report
 */
#ifndef GCX_MISUSE_H
#define GCX_MISUSE_H

#include "object.h"
#include "report.h"

uint32_t gcx__misuse_find(const void *p, const char *function, bool null_is_bad,
                          const struct gcx__frame *start);

/* Record of the object @p, for the public function @function. 0 if @p is NULL
 * (silently, unless @null_is_bad) or no object: then a report was made, and the
 * process goes on only if policy lets it. */
static inline uint32_t gcx__misuse_object(const void *p, const char *function,
                                          bool null_is_bad,
                                          const struct gcx__frame *start)
{
  uint32_t number = gcx__object_recall(p);

  return GCX_LIKELY(number != 0)
             ? number
             : gcx__misuse_find(p, function, null_is_bad, start);
}

/* Fill what is known about @number: type, size, birth, touches, description. */
void gcx__misuse_describe(struct gcx_report *r, uint32_t number);

/* Of a type whose objects stand for something of libc's: what it is, instead.
 * NULL: nobody makes such. */
extern void (*gcx__misuse_on_stand_in)(struct gcx_report *r,
                                       const struct gcx_type *type);

/* The same without a call of the program's. */
void gcx__misuse_identify(struct gcx_report *r, uint32_t number);

/* Used by the finalizer that this thread runs, after its own has run. */
void gcx__misuse_finalized(uint32_t number, const char *function,
                           const struct gcx__frame *start);

/* @bytes are asked for inside a critical finalizer: gcx__thread_is_critical(). */
void gcx__misuse_critical_alloc(size_t bytes, const struct gcx__frame *start);

/* About the finalizer @function (or NULL) of @number; @detail, or NULL. No call of
 * the program's. */
void gcx__misuse_finalizer(enum gcx__report_id id, uint32_t number,
                           void (*function)(void *obj), const char *detail);

/* The finalizer of @number that the thread @tid runs takes long; @site: where it
 * is, or which one it is. No call of the program's. */
void gcx__misuse_slow_finalizer(uint32_t number, uint32_t tid, uint32_t site,
                                const char *detail);

/* Use, or second disposal, of a disposed object. */
void gcx__misuse_disposed(enum gcx__report_id id, uint32_t number,
                          const char *function, const struct gcx__frame *start);

/* One reference of @number too many was given back, at @use_site; the last one
 * had been at @closed_site. */
void gcx__misuse_over_release(uint32_t number, const char *function,
                              uint32_t use_site, uint32_t closed_site);

/* @number is no "handle", or whatever @function wants. */
void gcx__misuse_other_type(uint32_t number, const char *function,
                            const char *wanted, const struct gcx__frame *start);

/* Where @number was disposed: a site id, 0 if unknown. */
uint32_t gcx__misuse_dispose_site(uint32_t number);

#endif
