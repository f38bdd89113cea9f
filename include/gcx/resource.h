/* SPDX-License-Identifier: MIT */
/*
 * gcx/resource.h - a type of resource out of any open and close pair, in a line
 *
 *   GCX_RESOURCE(pattern, regex_t, (const char *text),
 *                regcomp(it, text, REG_EXTENDED) == 0, regfree(it))
 *
 * defines struct pattern with a member `value` of the type given, a gcx_type
 * pattern_type, and a constructor:
 *
 *   struct pattern *p = pattern_open("^a+$");
 *   if (p != NULL && regexec(&p->value, line, 0, NULL, 0) == 0)
 *     ...
 *   gcx_dispose(p);
 *
 * In both expressions `it` points to the value. The opening one is true if it
 * worked; if not, nothing is closed, and the constructor returns NULL with errno
 * as the expression left it. What closing returns is dropped: a type whose
 * close can fail has a dispose function of its own (gcx/type.h).
 */
#ifndef GCX_RESOURCE_H
#define GCX_RESOURCE_H

#include <gcx/object.h>
#include <gcx/type.h>
#include <gcx/visibility.h>

#include <errno.h>

#if defined(__GNUC__)
#define GCX_RESOURCE_MAY_BE_UNUSED __attribute__((unused))
#else
#define GCX_RESOURCE_MAY_BE_UNUSED
#endif

/* @name: of struct, type (name_type) and constructor (name_open). @ctype: of the
 * value. @params: of the constructor, in parentheses. */
#define GCX_RESOURCE(name, ctype, params, open_expression, close_expression) \
  struct name {                                                              \
    ctype value;                                                             \
  };                                                                         \
  static int name##_dispose(void *gcx_object)                                \
  {                                                                          \
    ctype *it = &((struct name *)gcx_object)->value;                         \
                                                                             \
    (void)it;                                                                \
    (void)(close_expression);                                                \
    return 0;                                                                \
  }                                                                          \
  static const struct gcx_type name##_type = GCX_TYPE_INIT(                  \
      #name, sizeof(struct name), 0, NULL, name##_dispose, NULL, NULL);      \
  GCX_RESOURCE_MAY_BE_UNUSED static struct name *name##_open params          \
  {                                                                          \
    struct name *gcx_object = (struct name *)gcx_new(&name##_type);          \
    int gcx_error;                                                           \
    ctype *it;                                                               \
                                                                             \
    if (gcx_object == NULL)                                                  \
      return NULL;                                                           \
    it = &gcx_object->value;                                                 \
    if (open_expression)                                                     \
      return gcx_object;                                                     \
    gcx_error = errno;                                                       \
    gcx_discard(gcx_object);                                                 \
    errno = gcx_error;                                                       \
    return NULL;                                                             \
  }                                                                          \
  typedef int name##_needs_a_semicolon

#endif
