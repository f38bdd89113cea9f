/* SPDX-License-Identifier: MIT */
/* check_options.c - every row of options.def at its bounds and beyond; the
 * grammar; where a wrong option came from; help and manual page */
#include "options.h"

#include <stdlib.h>

#include "check_main.h"
#include "death.h"

#define ERROR_BYTES 512

/* ---- the table once more, as the test sees it */

struct row {
  const char *name;
  char kind; /* 'e', 'u', 't' */
  const char *values;
  uint64_t preset;
  uint64_t min;
  uint64_t max;
  size_t offset;
};

#define GCX__OPT_ENUM(name, ctype, dflt, values, help) \
  { #name, 'e', values, dflt, 0, 0, offsetof(struct gcx__options, name) },
#define GCX__OPT_UINT(name, dflt, min, max, help) \
  { #name, 'u', NULL, dflt, min, max, offsetof(struct gcx__options, name) },
#define GCX__OPT_TEXT(name, dflt, help) \
  { #name, 't', dflt, 0, 0, 0, offsetof(struct gcx__options, name) },
static const struct row rows[] = {
#include "options.def"
};
#undef GCX__OPT_ENUM
#undef GCX__OPT_UINT
#undef GCX__OPT_TEXT

static struct gcx__options parsed;
static char error[ERROR_BYTES];

static uint64_t value_of(const struct row *r)
{
  const char *field = (const char *)&parsed + r->offset;
  unsigned narrow;
  uint64_t wide;

  memcpy(&narrow, field, sizeof(narrow));
  memcpy(&wide, field, sizeof(wide));
  return r->kind == 'e' ? narrow : wide;
}

static bool parse(const char *text)
{
  gcx__options_defaults(&parsed, true);
  memset(error, 'x', sizeof(error) - 1);
  return gcx__options_parse(&parsed, text, error, sizeof(error));
}

static void accepts(const struct row *r, const char *value, uint64_t want)
{
  char text[256];

  (void)snprintf(text, sizeof(text), "%s=%s", r->name, value);
  ck_assert_msg(parse(text), "%s: %s", text, error);
  ck_assert_msg(value_of(r) == want, "%s gave %llu", text,
                (unsigned long long)value_of(r));
}

/* One line that names the option, the value and what is allowed; the option
 * keeps its default. */
static void refuses(const struct row *r, const char *value, const char *allowed)
{
  char text[256];

  (void)snprintf(text, sizeof(text), "%s=%s", r->name, value);
  ck_assert_msg(!parse(text), "%s was accepted", text);
  ck_assert_msg(strstr(error, r->name) != NULL && strstr(error, value) != NULL,
                "%s", error);
  ck_assert_msg(strstr(error, allowed) != NULL, "%s", error);
  ck_assert_ptr_null(strchr(error, '\n'));
  ck_assert_uint_eq(value_of(r), r->preset);
}

static void sweep_enum(const struct row *r)
{
  char words[256], *save = NULL;
  uint64_t i = 0;

  (void)snprintf(words, sizeof(words), "%s", r->values);
  for (char *w = strtok_r(words, "|", &save); w != NULL;
       w = strtok_r(NULL, "|", &save)) {
    accepts(r, w, i++);
  }
  ck_assert_uint_ge(i, 2);
  ck_assert_uint_lt(r->preset, i);
  refuses(r, "nonsense", r->values);
  refuses(r, "0", r->values);
  refuses(r, r->values, r->values); /* the list itself is no word */
}

static void sweep_uint(const struct row *r)
{
  char value[32], allowed[64];

  (void)snprintf(allowed, sizeof(allowed), "%llu to %llu",
                 (unsigned long long)r->min, (unsigned long long)r->max);
  (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)r->min);
  accepts(r, value, r->min);
  (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)r->max);
  accepts(r, value, r->max);
  (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)r->max + 1);
  refuses(r, value, allowed);
  if (r->min > 0) {
    (void)snprintf(value, sizeof(value), "%llu",
                   (unsigned long long)r->min - 1);
    refuses(r, value, allowed);
  }
  refuses(r, "-1", allowed);
  refuses(r, "1x", allowed);
  refuses(r, "18446744073709551616", allowed);
  refuses(r, "99999999999999999999999999", allowed);
}

static void sweep_text(const struct row *r)
{
  static char text[GCX__OPTIONS_TEXT_BYTES + 64];
  const char *field = (const char *)&parsed + r->offset;
  int n = snprintf(text, sizeof(text), "%s=", r->name);

  memset(text + n, 'a', GCX__OPTIONS_TEXT_BYTES);
  text[n + 1] = '\0';
  ck_assert(parse(text));
  ck_assert_str_eq(field, "a");
  memset(text + n, 'a', GCX__OPTIONS_TEXT_BYTES);
  text[n + GCX__OPTIONS_TEXT_BYTES - 1] = '\0';
  ck_assert(parse(text));
  ck_assert_uint_eq(strlen(field), GCX__OPTIONS_TEXT_BYTES - 1);
  memset(text + n, 'a', GCX__OPTIONS_TEXT_BYTES);
  text[n + GCX__OPTIONS_TEXT_BYTES] = '\0';
  ck_assert(!parse(text));
  ck_assert_str_eq(field, r->values);
}

START_TEST(test_every_option_at_its_bounds)
  {
    const struct row *r = &rows[_i];

    if (r->kind == 'e')
      sweep_enum(r);
    else if (r->kind == 'u')
      sweep_uint(r);
    else
      sweep_text(r);
    ck_assert(!parse(r->name));
    ck_assert_ptr_nonnull(strstr(error, "expected '='"));
  }
END_TEST

START_TEST(test_documented_defaults)
  {
    gcx__options_defaults(&parsed, true);
    gcx__options_finish(&parsed);
    ck_assert_int_eq(parsed.leak, GCX_LEAK_ABORT);
    ck_assert_int_eq(parsed.roots, GCX_ROOTS_ALL);
    ck_assert_int_eq(parsed.exit_check, GCX_EXIT_UNREACHABLE);
    ck_assert_int_eq(parsed.misuse, GCX_MISUSE_FATAL);
    ck_assert_int_eq(parsed.double_dispose, GCX_DOUBLE_IGNORE);
    ck_assert_uint_eq(parsed.stack_depth, 30);
    ck_assert_uint_eq(parsed.exitcode, 23);
    ck_assert_uint_eq(parsed.interval_ms, 10000);
    ck_assert_uint_eq(parsed.max_reports, 0);
    ck_assert_uint_eq(parsed.symbolize_ms, 5000);
    ck_assert_uint_eq(parsed.quarantine, 1);
    ck_assert_str_eq(parsed.log_path, "stderr");
    gcx__options_defaults(&parsed, false);
    gcx__options_finish(&parsed);
    ck_assert_int_eq(parsed.leak, GCX_LEAK_DISPOSE);
    ck_assert_uint_eq(parsed.interval_ms, 0);
  }
END_TEST

static void parse_and_finish(const char *text)
{
  ck_assert_msg(parse(text), "%s", error);
  gcx__options_finish(&parsed);
}

START_TEST(test_defaults_that_follow_others)
  {
    parse_and_finish("leak=report");
    ck_assert_int_eq(parsed.misuse, GCX_MISUSE_REPORT);
    ck_assert_uint_eq(parsed.interval_ms, 0);
    parse_and_finish("leak=report:misuse=fatal:interval_ms=10000");
    ck_assert_int_eq(parsed.misuse, GCX_MISUSE_FATAL);
    ck_assert_uint_eq(parsed.interval_ms, 10000);
    parse_and_finish("leak=exit");
    ck_assert_int_eq(parsed.misuse, GCX_MISUSE_FATAL);
    ck_assert_uint_eq(parsed.interval_ms, 10000);
    parse_and_finish("leak=off");
    ck_assert_int_eq(parsed.misuse, GCX_MISUSE_FATAL);
    ck_assert_uint_eq(parsed.interval_ms, 0);
  }
END_TEST

START_TEST(test_grammar)
  {
    ck_assert(parse(""));
    ck_assert(parse(" :,\t\r\n "));
    ck_assert(parse("leak=exit:exitcode=7,stack_depth=9 "
                    "verbosity=1\tquarantine=0\r\nmax_reports=3"));
    ck_assert_int_eq(parsed.leak, GCX_LEAK_EXIT);
    ck_assert_uint_eq(parsed.exitcode, 7);
    ck_assert_uint_eq(parsed.stack_depth, 9);
    ck_assert_uint_eq(parsed.verbosity, 1);
    ck_assert_uint_eq(parsed.quarantine, 0);
    ck_assert_uint_eq(parsed.max_reports, 3);
    ck_assert(parse("::leak=off::leak=report::"));
    ck_assert_int_eq(parsed.leak, GCX_LEAK_REPORT);
  }
END_TEST

START_TEST(test_quotes)
  {
    ck_assert(parse("log_path='/tmp/a b:c,d':exitcode=\"9\""));
    ck_assert_str_eq(parsed.log_path, "/tmp/a b:c,d");
    ck_assert_uint_eq(parsed.exitcode, 9);
    ck_assert(parse("log_path=\"it's\""));
    ck_assert_str_eq(parsed.log_path, "it's");
    ck_assert(parse("log_path=/tmp/it's")); /* a quote inside is a character */
    ck_assert_str_eq(parsed.log_path, "/tmp/it's");
    ck_assert(!parse("log_path='open"));
    ck_assert_ptr_nonnull(strstr(error, "not closed"));
    ck_assert(!parse("log_path='a'b"));
    ck_assert_ptr_nonnull(strstr(error, "separator"));
    ck_assert(!parse("log_path=''"));
    ck_assert(!parse("leak='a\nb\x1b'")); /* one line all the same */
    ck_assert_ptr_nonnull(strstr(error, "leak='a\\x0ab\\x1b' is not allowed"));
    ck_assert(!parse("\x1b[31m=1"));
    ck_assert_ptr_nonnull(strstr(error, "unknown option '\\x1b[31m'"));
    ck_assert(!parse("log_path='a'\x01"));
    ck_assert_ptr_nonnull(strstr(error, "found '\\x01'"));
    ck_assert(!parse("leak=''"));
  }
END_TEST

START_TEST(test_unknown_option)
  {
    ck_assert(!parse("leek=abort"));
    ck_assert_ptr_nonnull(strstr(error, "'leek'"));
    ck_assert_ptr_nonnull(strstr(error, "help=1"));
    ck_assert(!parse("=abort"));
    ck_assert(!parse("lea=abort"));
    ck_assert(!parse("leakk=abort"));
  }
END_TEST

START_TEST(test_error_is_cut_to_its_buffer)
  {
    char small[16];

    gcx__options_defaults(&parsed, true);
    ck_assert(
        !gcx__options_parse(&parsed, "unheard_of=1", small, sizeof(small)));
    ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
  }
END_TEST

/* ---- start-up, in a process of its own */

struct start {
  const char *build;
  const char *program;
  const char *environment;
  bool debug;
};

static void starts(void *arg)
{
  const struct start *s = arg;

  if (s->environment != NULL)
    (void)setenv("GCX_OPTIONS", s->environment, 1);
  else
    (void)unsetenv("GCX_OPTIONS");
  gcx__options_init(s->debug, s->build, s->program);
  printf("%d %d %d\n", (int)gcx__opt.leak, (int)gcx__opt.exitcode,
         (int)gcx__opt.stack_depth);
  (void)fflush(stdout);
}

START_TEST(test_later_source_wins)
  {
    struct start s = { .build = "leak=exit:exitcode=1:stack_depth=1",
                       .program = "exitcode=2:stack_depth=2",
                       .environment = "stack_depth=3" };

    ck_assert_str_eq(death_demand_exit(starts, &s, 0)->out, "1 2 3\n");
    s = (struct start){ .debug = true };
    ck_assert_str_eq(death_demand_exit(starts, &s, 0)->out, "0 23 30\n");
  }
END_TEST

START_TEST(test_wrong_option_ends_the_process)
  {
    struct start build = { .build = "leak=no" };
    struct start program = { .program = "exitcode=256" };
    struct start environment = { .environment = "stack_deep=1" };

    ck_assert_str_eq(death_demand_exit(starts, &build, 2)->err,
                     "gcx: GCX_DEFAULT_OPTIONS of the build: leak='no' is not "
                     "allowed; allowed: "
                     "abort|exit|report|dispose|off\n");
    ck_assert_str_eq(death_demand_exit(starts, &program, 2)->err,
                     "gcx: gcx_default_options(): exitcode='256' is not "
                     "allowed; allowed: 1 to 255\n");
    ck_assert_str_eq(death_demand_exit(starts, &environment, 2)->err,
                     "gcx: GCX_OPTIONS: unknown option 'stack_deep'; "
                     "GCX_OPTIONS=help=1 lists them\n");
  }
END_TEST

/* "name\n    kind ALLOWED; default X; now Y\n    help" */
static void help_has(const char *help, const struct row *r)
{
  char head[64], allowed[128];
  const char *at;

  (void)snprintf(head, sizeof(head), "\n%s\n    ", r->name);
  at = strstr(help, head);
  ck_assert_msg(at != NULL, "no %s in:\n%s", r->name, help);
  if (r->kind == 'e')
    (void)snprintf(allowed, sizeof(allowed), "    one of %s; default ",
                   r->values);
  else if (r->kind == 'u')
    (void)snprintf(allowed, sizeof(allowed),
                   "    number, %llu to %llu; default %llu; now ",
                   (unsigned long long)r->min, (unsigned long long)r->max,
                   (unsigned long long)r->preset);
  else
    (void)snprintf(allowed, sizeof(allowed),
                   "    text, 1 to 4095 characters; default %s; now ",
                   r->values);
  at = strchr(at + 1, '\n') + 1;
  ck_assert_msg(strncmp(at, allowed, strlen(allowed)) == 0, "%s in:\n%s",
                allowed, at);
}

START_TEST(test_help)
  {
    struct start s = { .environment = "help=1:leak=exit:log_path=/x",
                       .debug = true };
    const struct death *d = death_demand_exit(starts, &s, 0);

    ck_assert_str_eq(d->err, "");
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(rows); i++)
      help_has(d->out, &rows[i]);
    ck_assert_ptr_nonnull(strstr(d->out, "default abort; now exit\n"));
    ck_assert_ptr_nonnull(strstr(d->out, "default stderr; now /x\n"));
    ck_assert_ptr_null(strstr(d->out, "0 23 30"));
  }
END_TEST

/* The generator reads options.def as text; it must see the same rows. */
START_TEST(test_manual_page_has_every_option)
  {
    static char page[1 << 16], line[256];
    const char *source = getenv("GCX_TEST_SRCDIR");
    FILE *f;
    size_t n;

    (void)snprintf(
        page, sizeof(page), "%s/tools/gcx-options-man %s/lib/options.def",
        source != NULL ? source : ".", source != NULL ? source : ".");
    f = popen(page, "r");
    ck_assert_ptr_nonnull(f);
    n = fread(page, 1, sizeof(page) - 1, f);
    page[n] = '\0';
    ck_assert_int_eq(pclose(f), 0);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(rows); i++) {
      const struct row *r = &rows[i];

      (void)snprintf(line, sizeof(line),
                     "\n.B %s\\fR=\\fP%s\nDefault: ", r->name,
                     r->kind == 'e'   ? r->values
                     : r->kind == 'u' ? "\\fIn\\fP"
                                      : "\\fItext\\fP");
      ck_assert_msg(strstr(page, line) != NULL, "no %s in:\n%s", line, page);
    }
    ck_assert_uint_eq(death_occurrences(page, "\nDefault: "),
                      GCX_ARRAY_LENGTH(rows));
  }
END_TEST

static Suite *options_suite(void)
{
  Suite *s = suite_create("options");
  TCase *t = tcase_create("options");

  tcase_add_loop_test(t, test_every_option_at_its_bounds, 0,
                      (int)GCX_ARRAY_LENGTH(rows));
  tcase_add_test(t, test_documented_defaults);
  tcase_add_test(t, test_defaults_that_follow_others);
  tcase_add_test(t, test_grammar);
  tcase_add_test(t, test_quotes);
  tcase_add_test(t, test_unknown_option);
  tcase_add_test(t, test_error_is_cut_to_its_buffer);
  tcase_add_test(t, test_later_source_wins);
  tcase_add_test(t, test_wrong_option_ends_the_process);
  tcase_add_test(t, test_help);
  tcase_add_test(t, test_manual_page_has_every_option);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(options_suite);
