/* SPDX-License-Identifier: MIT */
/*
 * out.c - formatting into a caller's buffer, and getting it to a descriptor
 *
 * A writer belongs to one thread and has no lock. Text collects in the buffer;
 * when that is full, whole lines leave it, so that lines of several processes
 * that share a log do not mix. What cannot be written to the descriptor goes to
 * the spare one (once, for good), and after that nowhere: a broken log neither
 * loops nor stops the program.
 *
 * Writing is shielded: a closed pipe must not kill the program by SIGPIPE, and a
 * cancelled thread must not leave in the middle of a report with a lock held.
 */
#include "out.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

#define OUT_WARN_BYTES 1024
#define OUT_DIGITS 24 /* enough for 2^64 in decimal */

/* One conversion of a format string. */
struct out_spec {
  bool left;
  bool zeros;
  size_t width;
  bool has_precision;
  size_t precision;
  int longs; /* number of l's; z counts as 2 */
  char conversion;
};

void gcx__out_init(struct gcx__out *o, int fd, char *buffer, size_t bytes)
{
  GCX_ASSERT(buffer != NULL && bytes >= 2);
  *o = (struct gcx__out){ .fd = fd,
                          .spare_fd = -1,
                          .buffer = buffer,
                          .bytes = bytes,
                          .at_line_start = true };
  buffer[0] = '\0';
}

static void out_swallow_sigpipe(void)
{
  sigset_t pipe_only;
  struct timespec none = { 0, 0 };

  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  while (sigtimedwait(&pipe_only, NULL, &none) == -1 && errno == EINTR) {
  }
}

/* gcx__write() with SIGPIPE and cancellation held off. */
static bool out_write(int fd, const char *text, size_t n)
{
  sigset_t pipe_only, before, pending;
  int cancel = 0;
  int saved = errno;
  bool was_pending, ok;

  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  was_pending =
      sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  ok = gcx__write(fd, text, n);
  if (!ok && !was_pending)
    out_swallow_sigpipe();
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_setcancelstate(cancel, NULL);
  errno = saved;
  return ok;
}

static bool out_emit(const struct gcx__out *o, size_t n)
{
  return o->send != NULL ? o->send(o->buffer, n)
                         : out_write(o->fd, o->buffer, n);
}

/* The first @n bytes of the buffer leave it. */
static void out_send(struct gcx__out *o, size_t n)
{
  if (n > 0 && !o->failed && !out_emit(o, n)) {
    o->send = NULL;
    o->fd = o->spare_fd;
    o->spare_fd = -1;
    o->fell_back = o->fd >= 0;
    o->failed = o->fd < 0 || !out_write(o->fd, o->buffer, n);
  }
  memmove(o->buffer, o->buffer + n, o->used - n);
  o->used -= n;
}

static size_t out_whole_lines(const struct gcx__out *o)
{
  const char *last = memrchr(o->buffer, '\n', o->used);
  return last != NULL ? (size_t)(last - o->buffer) + 1 : o->used;
}

bool gcx__out_flush(struct gcx__out *o)
{
  if (o->fd >= 0)
    out_send(o, o->used);
  o->buffer[o->used] = '\0';
  return !o->failed;
}

static void out_put(struct gcx__out *o, char c)
{
  if (o->used == o->bytes - 1 && o->fd >= 0)
    out_send(o, out_whole_lines(o));
  if (o->used == o->bytes - 1)
    return;
  o->buffer[o->used++] = c;
  o->buffer[o->used] = '\0';
}

void gcx__out_char(struct gcx__out *o, char c)
{
  if (o->at_line_start && o->prefix != NULL)
    for (const char *p = o->prefix; *p != '\0'; p++)
      out_put(o, *p);
  o->at_line_start = c == '\n';
  out_put(o, c);
}

static void out_repeat(struct gcx__out *o, char c, size_t n)
{
  while (n-- > 0)
    gcx__out_char(o, c);
}

void gcx__out_text(struct gcx__out *o, const char *s)
{
  while (*s != '\0')
    gcx__out_char(o, *s++);
}

/* @n bytes at @s in a field of the width asked for. */
static void out_field(struct gcx__out *o, const struct out_spec *spec,
                      const char *s, size_t n)
{
  size_t padding = spec->width > n ? spec->width - n : 0;

  if (!spec->left)
    out_repeat(o, ' ', padding);
  for (size_t i = 0; i < n; i++)
    gcx__out_char(o, s[i]);
  if (spec->left)
    out_repeat(o, ' ', padding);
}

static void out_string(struct gcx__out *o, const struct out_spec *spec,
                       const char *s)
{
  if (s == NULL)
    s = "(null)";
  out_field(o, spec, s,
            spec->has_precision ? strnlen(s, spec->precision) : strlen(s));
}

/* @sign: "", "-" or "0x". Zeros go between it and the digits. */
static void out_number(struct gcx__out *o, const struct out_spec *spec,
                       const char *sign, uint64_t value, unsigned base)
{
  char text[OUT_DIGITS + 2];
  size_t at = sizeof(text);
  size_t signs = strlen(sign);

  do {
    text[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);

  if (spec->zeros && !spec->left && spec->width > sizeof(text) - at + signs) {
    struct out_spec plain = { .left = true };
    size_t zeros = spec->width - (sizeof(text) - at) - signs;

    gcx__out_text(o, sign);
    out_repeat(o, '0', zeros);
    out_field(o, &plain, text + at, sizeof(text) - at);
    return;
  }
  at -= signs;
  memcpy(text + at, sign, signs);
  out_field(o, spec, text + at, sizeof(text) - at);
}

static uint64_t out_unsigned_arg(const struct out_spec *spec, va_list *ap)
{
  if (spec->longs == 0)
    return va_arg(*ap, unsigned);
  return spec->longs == 1 ? va_arg(*ap, unsigned long)
                          : va_arg(*ap, unsigned long long);
}

static int64_t out_signed_arg(const struct out_spec *spec, va_list *ap)
{
  if (spec->longs == 0)
    return va_arg(*ap, int);
  return spec->longs == 1 ? va_arg(*ap, long) : va_arg(*ap, long long);
}

static void out_signed(struct gcx__out *o, const struct out_spec *spec,
                       int64_t value)
{
  uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  out_number(o, spec, value < 0 ? "-" : "", magnitude, 10);
}

static size_t out_parse_number(const char **s)
{
  size_t n = 0;

  while (**s >= '0' && **s <= '9')
    n = n * 10 + (size_t)(*(*s)++ - '0');
  return n;
}

/* "[-0][width|*][.digits|.*][l|ll|z]c", @s behind the '%'; returns what follows. */
static const char *out_parse_spec(const char *s, struct out_spec *spec,
                                  va_list *ap)
{
  *spec = (struct out_spec){ .left = false };
  for (; *s == '-' || *s == '0'; s++) {
    spec->left |= *s == '-';
    spec->zeros |= *s == '0';
  }
  if (*s == '*') {
    spec->width = (size_t)va_arg(*ap, int);
    s++;
  } else {
    spec->width = out_parse_number(&s);
  }
  if (*s == '.') {
    spec->has_precision = true;
    s++;
    if (*s == '*') {
      spec->precision = (size_t)va_arg(*ap, int);
      s++;
    } else {
      spec->precision = out_parse_number(&s);
    }
  }
  for (; *s == 'l' || *s == 'z'; s++)
    spec->longs += *s == 'z' ? 2 : 1;
  spec->conversion = *s;
  GCX_ASSERT(*s != '\0');
  return s + 1;
}

static void out_convert(struct gcx__out *o, const struct out_spec *spec,
                        va_list *ap)
{
  switch (spec->conversion) {
  case 's':
    out_string(o, spec, va_arg(*ap, const char *));
    break;
  case 'c':
    gcx__out_char(o, (char)va_arg(*ap, int));
    break;
  case 'd':
  case 'i':
    out_signed(o, spec, out_signed_arg(spec, ap));
    break;
  case 'u':
    out_number(o, spec, "", out_unsigned_arg(spec, ap), 10);
    break;
  case 'x':
    out_number(o, spec, "", out_unsigned_arg(spec, ap), 16);
    break;
  case 'p':
    out_number(o, spec, "0x", (uintptr_t)va_arg(*ap, void *), 16);
    break;
  case '%':
    gcx__out_char(o, '%');
    break;
  default:
    gcx__assert_fail(__FILE__, __LINE__, "conversion is supported");
  }
}

static void out_vfmt(struct gcx__out *o, const char *fmt, va_list *ap)
{
  while (*fmt != '\0') {
    struct out_spec spec;

    if (*fmt != '%') {
      gcx__out_char(o, *fmt++);
      continue;
    }
    fmt = out_parse_spec(fmt + 1, &spec, ap);
    out_convert(o, &spec, ap);
  }
}

/* The copy is needed: where va_list is an array, &ap of a parameter is not a
 * pointer to it. */
void gcx__out_vfmt(struct gcx__out *o, const char *fmt, va_list ap)
{
  va_list own;

  va_copy(own, ap);
  out_vfmt(o, fmt, &own);
  va_end(own);
}

void gcx__out_fmt(struct gcx__out *o, const char *fmt, ...)
{
  va_list ap;

  va_start(ap, fmt);
  gcx__out_vfmt(o, fmt, ap);
  va_end(ap);
}

void gcx__out_wrap(struct gcx__out *o, const char *s, size_t indent,
                   size_t width)
{
  size_t column = indent;

  while (*s != '\0') {
    size_t blanks = strspn(s, " ");
    size_t n = strcspn(s + blanks, " ");

    if (column > indent && column + blanks + n > width) {
      gcx__out_char(o, '\n');
      out_repeat(o, ' ', indent);
      column = indent;
      blanks = 0;
      s += strspn(s, " ");
    }
    for (size_t i = 0; i < blanks + n; i++)
      gcx__out_char(o, s[i]);
    column += blanks + n;
    s += blanks + n;
  }
}

/* Length of the well-formed UTF-8 sequence at @s, at most @most bytes; 0 if it is
 * none. */
static size_t out_utf8_length(const unsigned char *s, size_t most)
{
  static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
  size_t n = s[0] < 0x80   ? 1
             : s[0] < 0xc2 ? 0
             : s[0] < 0xe0 ? 2
             : s[0] < 0xf0 ? 3
             : s[0] < 0xf5 ? 4
                           : 0;
  uint32_t code;

  if (n <= 1 || n > most)
    return n <= 1 ? n : 0;
  code = s[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    code = code << 6 | (s[i] & 0x3fu);
  }
  if (code < smallest[n] || code > 0x10ffff ||
      (code >= 0xd800 && code < 0xe000))
    return 0;
  return n;
}

/* One character of a JSON string; returns how many bytes of @s it was. */
static size_t out_json_char(struct gcx__out *o, const unsigned char *s)
{
  size_t n = out_utf8_length(s, SIZE_MAX);

  if (n == 0) {
    gcx__out_text(o, "\\ufffd");
    return 1;
  }
  if (*s == '"' || *s == '\\')
    gcx__out_char(o, '\\');
  if (*s < 0x20 || *s == 0x7f) {
    gcx__out_fmt(o, "\\u%04x", (unsigned)*s);
    return 1;
  }
  for (size_t i = 0; i < n; i++)
    gcx__out_char(o, (char)s[i]);
  return n;
}

/* U+0080 to U+009F are commands to a terminal, as the bytes below 0x20 are. */
static bool out_is_harmless(const unsigned char *s, size_t length)
{
  return length > 0 && *s >= 0x20 && *s != 0x7f &&
         !(length == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void gcx__out_foreign_bytes(struct gcx__out *o, const char *s, size_t n)
{
  const unsigned char *at = (const unsigned char *)s;
  const unsigned char *end = at + strnlen(s, n);

  while (at < end) {
    size_t length = out_utf8_length(at, (size_t)(end - at));
    size_t taken = GCX_MAX(length, (size_t)1);

    for (size_t i = 0; i < taken; i++)
      if (out_is_harmless(at, length))
        gcx__out_char(o, (char)at[i]);
      else
        gcx__out_fmt(o, "\\x%02x", (unsigned)at[i]);
    at += taken;
  }
}

void gcx__out_foreign(struct gcx__out *o, const char *s)
{
  gcx__out_foreign_bytes(o, s, SIZE_MAX);
}

void gcx__out_json(struct gcx__out *o, const char *s)
{
  const unsigned char *at = (const unsigned char *)s;

  if (s == NULL) {
    gcx__out_text(o, "null");
    return;
  }
  gcx__out_char(o, '"');
  while (*at != '\0')
    at += out_json_char(o, at);
  gcx__out_char(o, '"');
}

void gcx__warn(const char *fmt, ...)
{
  char buffer[OUT_WARN_BYTES];
  struct gcx__out o;
  va_list ap;

  gcx__out_init(&o, STDERR_FILENO, buffer, sizeof(buffer));
  gcx__out_text(&o, "gcx: ");
  va_start(ap, fmt);
  gcx__out_vfmt(&o, fmt, ap);
  va_end(ap);
  gcx__out_char(&o, '\n');
  (void)gcx__out_flush(&o);
}
