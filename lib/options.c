/* SPDX-License-Identifier: MIT */
/*
 * options.c - the rows of options.def as a table, and the parser that walks it
 *
 * Grammar (that of LSAN_OPTIONS):
 *
 *   text   = { separator } [ option { separator { separator } option } { separator } ]
 *   option = name "=" value
 *   value  = { any character but a separator } | "'" { any } "'" | '"' { any } '"'
 *
 * Separators are space, comma, colon, tab, carriage return and line feed. A later
 * option wins over an earlier one. Nothing here allocates: options are read before
 * anything else works. gcx__opt is written before the second thread exists, and
 * only read afterwards.
 */
#include "options.h"

#include <string.h>
#include <unistd.h>

#include "out.h"
#include "platform.h"

#define OPTIONS_ERROR_BYTES 512
#define OPTIONS_HELP_BYTES 4096
#define OPTIONS_HELP_COLUMNS 78
#define OPTIONS_NAME_BYTES 32
#define OPTIONS_VALUE_BYTES ((size_t)64) /* shown of one that is wrong */

enum options_kind { OPTIONS_ENUM, OPTIONS_UINT, OPTIONS_TEXT };

/* One row of options.def. */
struct options_row {
  const char *name;
  enum options_kind kind;
  size_t offset;      /* of its field in struct gcx__options */
  const char *values; /* OPTIONS_ENUM: "word|word" */
  uint64_t preset;    /* default of OPTIONS_ENUM and OPTIONS_UINT */
  uint64_t min;
  uint64_t max;
  const char *text; /* default of OPTIONS_TEXT */
  const char *help;
};

#define GCX__OPT_ENUM(name, ctype, dflt, values, help)         \
  { #name,  OPTIONS_ENUM, offsetof(struct gcx__options, name), \
    values, dflt,         0,                                   \
    0,      NULL,         help },
#define GCX__OPT_UINT(name, dflt, min, max, help)             \
  { #name, OPTIONS_UINT, offsetof(struct gcx__options, name), \
    NULL,  dflt,         min,                                 \
    max,   NULL,         help },
#define GCX__OPT_TEXT(name, dflt, help)                                      \
  { #name, OPTIONS_TEXT, offsetof(struct gcx__options, name), NULL, 0, 0, 0, \
    dflt,  help },
static const struct options_row options_rows[] = {
#include "options.def"
};
#undef GCX__OPT_ENUM
#undef GCX__OPT_UINT
#undef GCX__OPT_TEXT

#define GCX__OPT_ENUM(name, ctype, dflt, values, help) \
  _Static_assert(sizeof(ctype) == sizeof(unsigned),    \
                 "options_store() writes an unsigned");
#define GCX__OPT_UINT(name, dflt, min, max, help)        \
  _Static_assert((dflt) <= (max) && (min) <= (dflt) + 1, \
                 "default of " #name " is within its bounds");
#define GCX__OPT_TEXT(name, dflt, help)
#include "options.def"
#undef GCX__OPT_ENUM
#undef GCX__OPT_UINT
#undef GCX__OPT_TEXT

_Static_assert(GCX_ARRAY_LENGTH(options_rows) <= 64,
               "struct gcx__options.said has a bit for each row");

/* A piece of the text that is parsed. */
struct options_span {
  const char *start;
  size_t bytes;
};

struct gcx__options gcx__opt;

/* ---- values ---- */

static void options_store(struct gcx__options *o, const struct options_row *row,
                          uint64_t value)
{
  char *field = (char *)o + row->offset;
  unsigned narrow = (unsigned)value;

  if (row->kind == OPTIONS_ENUM)
    memcpy(field, &narrow, sizeof(narrow));
  else
    memcpy(field, &value, sizeof(value));
}

static uint64_t options_load(const struct gcx__options *o,
                             const struct options_row *row)
{
  const char *field = (const char *)o + row->offset;
  unsigned narrow;
  uint64_t value;

  memcpy(&narrow, field, sizeof(narrow));
  if (row->kind == OPTIONS_ENUM)
    return narrow;
  memcpy(&value, field, sizeof(value));
  return value;
}

/* The @index-th word of "word|word"; bytes 0 behind the last. */
static struct options_span options_word(const char *values, size_t index)
{
  struct options_span word = { values, strcspn(values, "|") };

  for (; index > 0 && word.bytes > 0; index--) {
    word.start += word.bytes + (word.start[word.bytes] == '|');
    word.bytes = strcspn(word.start, "|");
  }
  return word;
}

static bool options_span_is(struct options_span s, const char *text,
                            size_t bytes)
{
  return s.bytes == bytes && memcmp(s.start, text, bytes) == 0;
}

static bool options_parse_enum(const struct options_row *row,
                               struct options_span value, uint64_t *ret_value)
{
  for (size_t i = 0;; i++) {
    struct options_span word = options_word(row->values, i);

    if (word.bytes == 0)
      return false;
    if (options_span_is(value, word.start, word.bytes)) {
      *ret_value = i;
      return true;
    }
  }
}

static bool options_parse_uint(const struct options_row *row,
                               struct options_span value, uint64_t *ret_value)
{
  uint64_t n = 0;

  for (size_t i = 0; i < value.bytes; i++) {
    if (value.start[i] < '0' || value.start[i] > '9' || n > UINT64_MAX / 10 - 1)
      return false;
    n = n * 10 + (uint64_t)(value.start[i] - '0');
  }
  if (value.bytes == 0 || n < row->min || n > row->max)
    return false;
  *ret_value = n;
  return true;
}

static bool options_parse_text(struct gcx__options *o,
                               const struct options_row *row,
                               struct options_span value)
{
  char *field = (char *)o + row->offset;

  if (value.bytes == 0 || value.bytes >= GCX__OPTIONS_TEXT_BYTES)
    return false;
  memcpy(field, value.start, value.bytes);
  field[value.bytes] = '\0';
  return true;
}

static bool options_set(struct gcx__options *o, const struct options_row *row,
                        struct options_span value)
{
  uint64_t number = 0;

  if (row->kind == OPTIONS_TEXT) {
    if (!options_parse_text(o, row, value))
      return false;
  } else {
    if (!(row->kind == OPTIONS_ENUM ? options_parse_enum(row, value, &number)
                                    : options_parse_uint(row, value, &number)))
      return false;
    options_store(o, row, number);
  }
  o->said |= UINT64_C(1) << (row - options_rows);
  return true;
}

/* ---- text ---- */

static bool options_is_separator(char c)
{
  return c != '\0' && strchr(" ,:\t\r\n", c) != NULL;
}

static const struct options_row *options_find(struct options_span name)
{
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(options_rows); i++)
    if (options_span_is(name, options_rows[i].name,
                        strlen(options_rows[i].name)))
      return &options_rows[i];
  return NULL;
}

/* What may stand behind "name=". */
static void options_say_allowed(struct gcx__out *e,
                                const struct options_row *row)
{
  if (row->kind == OPTIONS_ENUM)
    gcx__out_text(e, row->values);
  else if (row->kind == OPTIONS_UINT)
    gcx__out_fmt(e, "%llu to %llu", (unsigned long long)row->min,
                 (unsigned long long)row->max);
  else
    gcx__out_fmt(e, "1 to %d characters", GCX__OPTIONS_TEXT_BYTES - 1);
}

/* Name of an option for an error line, cut if somebody passes a novel. */
static int options_name_bytes(struct options_span s)
{
  return (int)GCX_MIN(s.bytes, (size_t)OPTIONS_NAME_BYTES);
}

/* Value at @at, quoted or not; NULL if a quote is left open, else what follows. */
static const char *options_take_value(const char *at,
                                      struct options_span *ret_value)
{
  const char *end = at;

  if (*at == '\'' || *at == '"') {
    end = strchr(at + 1, *at);
    if (end == NULL)
      return NULL;
    *ret_value = (struct options_span){ at + 1, (size_t)(end - at - 1) };
    return end + 1;
  }
  while (*end != '\0' && !options_is_separator(*end))
    end++;
  *ret_value = (struct options_span){ at, (size_t)(end - at) };
  return end;
}

/* One "name=value" at @at; NULL if it is wrong (@e says why), else what follows. */
static const char *options_take(struct gcx__options *o, const char *at,
                                struct gcx__out *e)
{
  struct options_span name = { at, strcspn(at, "= ,:\t\r\n") };
  int shown = options_name_bytes(name);
  const struct options_row *row = options_find(name);
  struct options_span value;
  const char *next;

  if (row == NULL) {
    gcx__out_text(e, "unknown option '");
    gcx__out_foreign_bytes(e, at, (size_t)shown);
    gcx__out_text(e, "'; GCX_OPTIONS=help=1 lists them");
    return NULL;
  }
  if (at[name.bytes] != '=') {
    gcx__out_fmt(e, "expected '=' after '%.*s', then ", shown, at);
    options_say_allowed(e, row);
    return NULL;
  }
  next = options_take_value(at + name.bytes + 1, &value);
  if (next == NULL) {
    gcx__out_fmt(e, "%.*s: the quote %c is not closed", shown, at,
                 at[name.bytes + 1]);
    return NULL;
  }
  if (*next != '\0' && !options_is_separator(*next)) {
    gcx__out_fmt(e,
                 "%.*s: expected a separator behind the closing quote, found '",
                 shown, at);
    gcx__out_foreign_bytes(e, next, 1);
    gcx__out_char(e, '\'');
    return NULL;
  }
  if (!options_set(o, row, value)) {
    gcx__out_fmt(e, "%.*s='", shown, at);
    gcx__out_foreign_bytes(e, value.start,
                           GCX_MIN(value.bytes, OPTIONS_VALUE_BYTES));
    gcx__out_text(e, "' is not allowed; allowed: ");
    options_say_allowed(e, row);
    return NULL;
  }
  return next;
}

bool gcx__options_parse(struct gcx__options *o, const char *text,
                        char *ret_error, size_t error_bytes)
{
  struct gcx__out e;

  gcx__out_init(&e, -1, ret_error, error_bytes);
  while (true) {
    while (options_is_separator(*text))
      text++;
    if (*text == '\0')
      return true;
    text = options_take(o, text, &e);
    if (text == NULL)
      return false;
  }
}

/* ---- defaults ---- */

void gcx__options_defaults(struct gcx__options *o, bool debug_build)
{
  memset(o, 0, sizeof(*o));
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(options_rows); i++) {
    const struct options_row *row = &options_rows[i];

    if (row->kind == OPTIONS_TEXT)
      memcpy((char *)o + row->offset, row->text, strlen(row->text) + 1);
    else
      options_store(o, row, row->preset);
  }
  o->leak = debug_build ? GCX_LEAK_ABORT : GCX_LEAK_DISPOSE;
}

/* Did any source set the option whose field lies at @offset? */
static bool options_said(const struct gcx__options *o, size_t offset)
{
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(options_rows); i++)
    if (options_rows[i].offset == offset)
      return (o->said >> i & 1) != 0;
  GCX_ASSERT(offset == SIZE_MAX);
  return false;
}

void gcx__options_finish(struct gcx__options *o)
{
  o->free_keeps = options_said(o, offsetof(struct gcx__options, quarantine)) &&
                  o->quarantine == 1;
  if (!options_said(o, offsetof(struct gcx__options, misuse)) &&
      o->leak == GCX_LEAK_REPORT)
    o->misuse = GCX_MISUSE_REPORT;
  if (!options_said(o, offsetof(struct gcx__options, interval_ms)) &&
      o->leak != GCX_LEAK_ABORT && o->leak != GCX_LEAK_EXIT)
    o->interval_ms = 0;
}

/* ---- help ---- */

static void options_help_value(struct gcx__out *o,
                               const struct gcx__options *opt,
                               const struct options_row *row)
{
  uint64_t value;

  if (row->kind == OPTIONS_TEXT) {
    gcx__out_text(o, (const char *)opt + row->offset);
    return;
  }
  value = options_load(opt, row);
  if (row->kind == OPTIONS_ENUM) {
    struct options_span word = options_word(row->values, value);
    gcx__out_fmt(o, "%.*s", (int)word.bytes, word.start);
  } else {
    gcx__out_fmt(o, "%llu", (unsigned long long)value);
  }
}

static void options_help_row(struct gcx__out *o,
                             const struct gcx__options *defaults,
                             const struct options_row *row)
{
  static const char *const kinds[] = { "one of", "number,", "text," };

  gcx__out_fmt(o, "%s\n    %s ", row->name, kinds[row->kind]);
  options_say_allowed(o, row);
  gcx__out_text(o, "; default ");
  options_help_value(o, defaults, row);
  gcx__out_text(o, "; now ");
  options_help_value(o, &gcx__opt, row);
  gcx__out_text(o, "\n    ");
  gcx__out_wrap(o, row->help, 4, OPTIONS_HELP_COLUMNS);
  gcx__out_char(o, '\n');
}

GCX_NORETURN static void options_help(const struct gcx__options *defaults)
{
  char buffer[OPTIONS_HELP_BYTES];
  struct gcx__out o;

  gcx__out_init(&o, STDOUT_FILENO, buffer, sizeof(buffer));
  gcx__out_text(&o,
                "Options of gcx: GCX_OPTIONS=\"name=value:name=value\"\n\n");
  for (size_t i = 0; i < GCX_ARRAY_LENGTH(options_rows); i++)
    options_help_row(&o, defaults, &options_rows[i]);
  _exit(gcx__out_flush(&o) ? 0 : 1);
}

/* ---- start-up ---- */

static void options_read(const char *text, const char *source)
{
  char error[OPTIONS_ERROR_BYTES];

  if (text == NULL || gcx__options_parse(&gcx__opt, text, error, sizeof(error)))
    return;
  gcx__warn("%s: %s", source, error);
  _exit(2);
}

void gcx__options_init(bool debug_build, const char *build_defaults,
                       const char *program_defaults)
{
  static struct gcx__options defaults;

  gcx__options_defaults(&gcx__opt, debug_build);
  options_read(build_defaults, "GCX_DEFAULT_OPTIONS of the build");
  options_read(program_defaults, "gcx_default_options()");
  options_read(gcx__getenv("GCX_OPTIONS"), "GCX_OPTIONS");
  gcx__options_finish(&gcx__opt);
  if (gcx__opt.help == 1) {
    gcx__options_defaults(&defaults, debug_build);
    gcx__options_finish(&defaults);
    options_help(&defaults);
  }
}
