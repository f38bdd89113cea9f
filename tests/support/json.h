/* SPDX-License-Identifier: MIT */
/*
 * json.h - a strict reader of JSON (RFC 8259), for what the library writes
 *
 *   json_demand(line, "birth.stack.0.line", "42");
 *
 * checks all of @line, then compares the value at a path: keys and list indices
 * with dots between. The value is as it stands in the text, quotes included.
 */
#ifndef GCX_TESTS_JSON_H
#define GCX_TESTS_JSON_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each of these takes what it is named for at @s, and returns what follows, or
 * NULL if it isn't there. */
static inline const char *json_value(const char *s);

static inline const char *json_escape(const char *s)
{
  if (*s == 'u')
    return strspn(s + 1, "0123456789abcdefABCDEF") >= 4 ? s + 5 : NULL;
  return *s != '\0' && strchr("\"\\/bfnrt", *s) != NULL ? s + 1 : NULL;
}

static inline const char *json_string(const char *s)
{
  if (*s++ != '"')
    return NULL;
  while (s != NULL && *s != '"') {
    if ((unsigned char)*s < 0x20)
      return NULL;
    s = *s == '\\' ? json_escape(s + 1) : s + 1;
  }
  return s != NULL ? s + 1 : NULL;
}

static inline const char *json_digits(const char *s)
{
  size_t n = strspn(s, "0123456789");
  return n > 0 ? s + n : NULL;
}

static inline const char *json_number(const char *s)
{
  s += *s == '-';
  s = *s == '0' ? s + 1 : json_digits(s);
  if (s != NULL && *s == '.')
    s = json_digits(s + 1);
  if (s != NULL && (*s == 'e' || *s == 'E'))
    s = json_digits(s + 1 + (s[1] == '+' || s[1] == '-'));
  return s;
}

/* Members of an object or list up to @close, which is taken as well. */
static inline const char *json_members(const char *s, char close)
{
  if (*s == close)
    return s + 1;
  while (s != NULL) {
    if (close == '}') {
      s = json_string(s);
      if (s == NULL || *s++ != ':')
        return NULL;
    }
    s = json_value(s);
    if (s == NULL || *s == close)
      return s != NULL ? s + 1 : NULL;
    if (*s++ != ',')
      return NULL;
  }
  return NULL;
}

static inline const char *json_word(const char *s)
{
  static const char *const words[] = { "true", "false", "null" };

  for (size_t i = 0; i < 3; i++)
    if (strncmp(s, words[i], strlen(words[i])) == 0)
      return s + strlen(words[i]);
  return NULL;
}

/* Without white space: the library writes none. */
static inline const char *json_value(const char *s)
{
  if (*s == '{')
    return json_members(s + 1, '}');
  if (*s == '[')
    return json_members(s + 1, ']');
  if (*s == '"')
    return json_string(s);
  return *s == '-' || (*s >= '0' && *s <= '9') ? json_number(s) : json_word(s);
}

/* The value of the member of the valid @s that the first part of @path names;
 * NULL if there is none. */
static inline const char *json_member(const char *s, const char *path)
{
  size_t n = strcspn(path, ".");
  bool is_object = *s == '{';
  unsigned long index = strtoul(path, NULL, 10);

  if ((*s != '{' && *s != '[') || s[1] == '}' || s[1] == ']')
    return NULL;
  for (unsigned long i = 0; *s == ',' || i == 0; i++) {
    const char *key = ++s;

    if (is_object)
      s = json_string(s) + 1;
    if (is_object ? (size_t)(s - key) == n + 3 && memcmp(key + 1, path, n) == 0
                  : i == index)
      return s;
    s = json_value(s);
  }
  return NULL;
}

/* One line, valid, an object, nothing behind it. */
static inline void json_check(const char *line)
{
  const char *end = *line == '{' ? json_value(line) : NULL;
  ck_assert_msg(end != NULL && strcmp(end, "\n") == 0, "no line of JSON:\n%s",
                line);
}

static inline void json_demand(const char *line, const char *path,
                               const char *want)
{
  const char *at = line, *p = path;
  size_t n;

  json_check(line);
  for (; at != NULL && *p != '\0';
       p += p[strcspn(p, ".")] == '.' ? strcspn(p, ".") + 1 : strlen(p))
    at = json_member(at, p);
  ck_assert_msg(at != NULL, "no %s in:\n%s", path, line);
  n = (size_t)(json_value(at) - at);
  ck_assert_msg(n == strlen(want) && memcmp(at, want, n) == 0,
                "%s is %.*s, not %s", path, (int)n, at, want);
}

#endif
