/* SPDX-License-Identifier: MIT */
/* check_out.c - formatting, buffering, and what happens when writing fails */
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_main.h"
#include "death.h"

/* ---- formatting: the C library is the reference */

#define SAME_AS_PRINTF(...)                          \
  do {                                               \
    char want[256], got[256];                        \
    struct gcx__out o_;                              \
                                                     \
    (void)snprintf(want, sizeof(want), __VA_ARGS__); \
    gcx__out_init(&o_, -1, got, sizeof(got));        \
    gcx__out_fmt(&o_, __VA_ARGS__);                  \
    ck_assert_str_eq(got, want);                     \
    ck_assert_uint_eq(o_.used, strlen(want));        \
  } while (0)

START_TEST(test_numbers_are_printf_s)
  {
    SAME_AS_PRINTF("%d %d %d", 0, INT_MIN, INT_MAX);
    SAME_AS_PRINTF("%i|%u|%x", -7, UINT_MAX, 0xbeefu);
    SAME_AS_PRINTF("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
    SAME_AS_PRINTF("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, ULLONG_MAX);
    SAME_AS_PRINTF("%zu %zx", SIZE_MAX, SIZE_MAX);
    SAME_AS_PRINTF("%5d|%-5d|%05d|%2d", -42, -42, -42, 12345);
    SAME_AS_PRINTF("%8x|%-8x|%08x|%*u", 0x1fu, 0x1fu, 0x1fu, 6, 99u);
    SAME_AS_PRINTF("%03u.%03u", 7u, 1234u);
    SAME_AS_PRINTF("%p", (void *)0x7f00deadbeef);
    SAME_AS_PRINTF("100%%");
  }
END_TEST

START_TEST(test_strings_are_printf_s)
  {
    SAME_AS_PRINTF("%s|%10s|%-10s|%3s", "abc", "abc", "abc", "abcdef");
    SAME_AS_PRINTF("%.2s|%.*s|%8.3s|%-8.3s|%.9s", "abcdef", 4, "abcdef",
                   "abcdef", "abcdef", "abc");
    SAME_AS_PRINTF("%c%c%c", 'a', '%', 'z');
    SAME_AS_PRINTF("%.*s", 3, "abc"); /* reads no fourth character */
  }
END_TEST

START_TEST(test_null_string_is_named)
  {
    char text[32];
    struct gcx__out o;
    const char *volatile none = NULL;

    gcx__out_init(&o, -1, text, sizeof(text));
    gcx__out_fmt(&o, "<%s>", none);
    ck_assert_str_eq(text, "<(null)>");
  }
END_TEST

static void uses_unsupported_conversion(void *arg)
{
  char text[32];
  struct gcx__out o;
  const char *volatile fmt = arg;

  gcx__out_init(&o, -1, text, sizeof(text));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
  gcx__out_fmt(&o, fmt);
#pragma GCC diagnostic pop
}

START_TEST(test_unsupported_conversion_is_a_gcx_bug)
  {
    static char fmt[] = "%f";
    const struct death *d = death_run(uses_unsupported_conversion, fmt);

    ck_assert(WIFSIGNALED(d->status));
    ck_assert_int_eq(WTERMSIG(d->status), SIGABRT);
    ck_assert_ptr_nonnull(strstr(d->err, "gcx bug"));
  }
END_TEST

START_TEST(test_small_buffer_truncates)
  {
    char text[8] = "xxxxxxx";
    struct gcx__out o;

    gcx__out_init(&o, -1, text, sizeof(text));
    ck_assert_str_eq(text, "");
    gcx__out_text(&o, "0123456789");
    ck_assert_str_eq(text, "0123456");
    gcx__out_fmt(&o, "%d", 5);
    ck_assert_str_eq(text, "0123456");
  }
END_TEST

START_TEST(test_prefix_begins_every_line)
  {
    char text[64];
    struct gcx__out o;

    gcx__out_init(&o, -1, text, sizeof(text));
    o.prefix = "> ";
    gcx__out_text(&o, "one\n\ntwo\nthr");
    gcx__out_text(&o, "ee");
    ck_assert_str_eq(text, "> one\n> \n> two\n> three");
  }
END_TEST

START_TEST(test_wrap)
  {
    char text[128];
    struct gcx__out o;

    gcx__out_init(&o, -1, text, sizeof(text));
    gcx__out_wrap(&o, "aa bb cc incomprehensibilities d", 2, 10);
    ck_assert_str_eq(text, "aa bb cc\n  incomprehensibilities\n  d");
  }
END_TEST

/* ---- JSON strings */

static void json_is(const char *s, const char *want)
{
  char text[256];
  struct gcx__out o;

  gcx__out_init(&o, -1, text, sizeof(text));
  gcx__out_json(&o, s);
  ck_assert_str_eq(text, want);
}

START_TEST(test_json_escapes)
  {
    json_is("plain", "\"plain\"");
    json_is("", "\"\"");
    json_is(NULL, "null");
    json_is("a\"b\\c/", "\"a\\\"b\\\\c/\"");
    json_is("\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\\u007f\"");
  }
END_TEST

START_TEST(test_json_is_utf8)
  {
    json_is("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
            "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    json_is("\xff|\x80|\xc3", "\"\\ufffd|\\ufffd|\\ufffd\"");
    json_is("\xc0\x80", "\"\\ufffd\\ufffd\"");            /* overlong */
    json_is("\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* overlong */
    json_is("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""); /* surrogate */
    json_is("\xf4\x90\x80\x80",
            "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* > 10ffff */
    json_is("\xe2\x82", "\"\\ufffd\\ufffd\"");   /* cut off */
  }
END_TEST

/* ---- descriptors */

/* Reads all that is in a pipe whose writing end is closed. */
static size_t drain(int fd, char *text, size_t bytes)
{
  size_t used = 0;
  ssize_t n;

  while ((n = read(fd, text + used, bytes - 1 - used)) > 0)
    used += (size_t)n;
  text[used] = '\0';
  return used;
}

START_TEST(test_whole_lines_leave_a_full_buffer)
  {
    char buffer[16], text[128];
    struct gcx__out o;
    int pair[2];

    /* Datagrams keep the boundaries of writes. */
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    gcx__out_init(&o, pair[1], buffer, sizeof(buffer));
    gcx__out_text(&o, "line 1\nline 2\nli");
    ck_assert_int_eq(recv(pair[0], text, sizeof(text), MSG_DONTWAIT), 14);
    gcx__out_text(&o, "ne 3, which is long\n");
    ck_assert(gcx__out_flush(&o));
    ck_assert_int_eq(close(pair[1]), 0);
    ck_assert_uint_eq(drain(pair[0], text, sizeof(text)), 22);
    ck_assert_str_eq(text, "line 3, which is long\n");
  }
END_TEST

START_TEST(test_full_disk_falls_back)
  {
    char buffer[16], text[128];
    struct gcx__out o;
    int pipes[2];
    int full = open("/dev/full", O_WRONLY);

    ck_assert_int_ge(full, 0);
    ck_assert_int_eq(pipe(pipes), 0);
    gcx__out_init(&o, full, buffer, sizeof(buffer));
    o.spare_fd = pipes[1];
    for (int i = 0; i < 4; i++)
      gcx__out_text(&o, "0123456789\n");
    ck_assert(gcx__out_flush(&o));
    ck_assert(o.fell_back);
    ck_assert_int_eq(close(pipes[1]), 0);
    ck_assert_uint_eq(drain(pipes[0], text, sizeof(text)), 44);
  }
END_TEST

START_TEST(test_nowhere_to_write_ends)
  {
    char buffer[16];
    struct gcx__out o;
    int full = open("/dev/full", O_WRONLY);

    gcx__out_init(&o, full, buffer, sizeof(buffer));
    for (int i = 0; i < 1000; i++)
      gcx__out_text(&o, "0123456789\n");
    ck_assert(!gcx__out_flush(&o));
    ck_assert(o.failed);
    gcx__out_init(&o, full, buffer, sizeof(buffer));
    o.spare_fd = full;
    gcx__out_text(&o, "x");
    ck_assert(!gcx__out_flush(&o));
  }
END_TEST

START_TEST(test_closed_pipe_does_not_kill)
  {
    char buffer[16];
    struct gcx__out o;
    int pipes[2];
    sigset_t pending;

    (void)signal(SIGPIPE, SIG_DFL);
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(close(pipes[0]), 0);
    gcx__out_init(&o, pipes[1], buffer, sizeof(buffer));
    gcx__out_text(&o, "x");
    errno = ERANGE;
    ck_assert(!gcx__out_flush(&o));
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
  }
END_TEST

/* A SIGPIPE that the program had blocked and pending stays the program's. */
START_TEST(test_pending_sigpipe_stays)
  {
    char buffer[16];
    struct gcx__out o;
    int pipes[2];
    sigset_t set;

    ck_assert_int_eq(sigemptyset(&set), 0);
    ck_assert_int_eq(sigaddset(&set, SIGPIPE), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    ck_assert_int_eq(raise(SIGPIPE), 0);
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(close(pipes[0]), 0);
    gcx__out_init(&o, pipes[1], buffer, sizeof(buffer));
    gcx__out_text(&o, "x");
    ck_assert(!gcx__out_flush(&o));
    ck_assert_int_eq(sigpending(&set), 0);
    ck_assert_int_eq(sigismember(&set, SIGPIPE), 1);
  }
END_TEST

/* AddressSanitizer does not see that a cancelled thread leaves its frames. */
__attribute__((no_sanitize_address)) static void *writes_cancelled(void *arg)
{
  char buffer[16];
  struct gcx__out o;

  (void)pthread_cancel(pthread_self());
  gcx__out_init(&o, *(const int *)arg, buffer, sizeof(buffer));
  gcx__out_text(&o, "all\n");
  (void)gcx__out_flush(&o);
  (void)write(*(const int *)arg, "still here\n", 0);
  pthread_testcancel();
  return NULL;
}

START_TEST(test_cancelled_thread_writes_all)
  {
    char text[64];
    pthread_t thread;
    void *result;
    int pipes[2];

    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, writes_cancelled, &pipes[1]),
                     0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, PTHREAD_CANCELED);
    ck_assert_int_eq(close(pipes[1]), 0);
    ck_assert_uint_eq(drain(pipes[0], text, sizeof(text)), 4);
  }
END_TEST

static void warns(void *arg)
{
  (void)arg;
  gcx__warn("%s is %d", "it", 5);
}

START_TEST(test_warn_is_one_line)
  {
    const struct death *d = death_demand_exit(warns, NULL, 0);

    ck_assert_str_eq(d->err, "gcx: it is 5\n");
    ck_assert_str_eq(d->out, "");
  }
END_TEST

static Suite *out_suite(void)
{
  Suite *s = suite_create("out");
  TCase *format = tcase_create("format");
  TCase *write_case = tcase_create("write");

  tcase_add_test(format, test_numbers_are_printf_s);
  tcase_add_test(format, test_strings_are_printf_s);
  tcase_add_test(format, test_null_string_is_named);
  tcase_add_test(format, test_unsupported_conversion_is_a_gcx_bug);
  tcase_add_test(format, test_small_buffer_truncates);
  tcase_add_test(format, test_prefix_begins_every_line);
  tcase_add_test(format, test_wrap);
  tcase_add_test(format, test_json_escapes);
  tcase_add_test(format, test_json_is_utf8);
  suite_add_tcase(s, format);
  tcase_add_test(write_case, test_whole_lines_leave_a_full_buffer);
  tcase_add_test(write_case, test_full_disk_falls_back);
  tcase_add_test(write_case, test_nowhere_to_write_ends);
  tcase_add_test(write_case, test_closed_pipe_does_not_kill);
  tcase_add_test(write_case, test_pending_sigpipe_stays);
  tcase_add_test(write_case, test_cancelled_thread_writes_all);
  tcase_add_test(write_case, test_warn_is_one_line);
  suite_add_tcase(s, write_case);
  return s;
}

GCX_CHECK_MAIN(out_suite);
