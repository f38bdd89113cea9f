/* SPDX-License-Identifier: MIT */
/* check_note.c - how a program was built decides what a leak does */
#include "note.h"

#include "note_programs.h"

#include "check_main.h"
#include "options.h"
#include "programs.h"

#define MOST (NOTE_LOST * 9 / 10)

static const struct death *demand(const char *name, const char *options,
                                  int signal, int status)
{
  const struct death *d = program_run(name, NULL, options);

  ck_assert_msg(
      signal != 0 ? WIFSIGNALED(d->status) && WTERMSIG(d->status) == signal
                  : WIFEXITED(d->status) && WEXITSTATUS(d->status) == status,
      "%s: status 0x%x\n%s%s", name, (unsigned)d->status, d->out, d->err);
  return d;
}

static void demand_abort(const char *name, const char *options)
{
  const struct death *d = demand(name, options, SIGABRT, 0);

  ck_assert_msg(strstr(d->err, "gcx: GCX-LEAK: ") != NULL, "%s:\n%s", name,
                d->err);
}

/* Reported, and main came to its end; nothing was disposed. */
static void demand_report(const char *name, const char *options, int status)
{
  const struct death *d = demand(name, options, 0, status);

  ck_assert_msg(strstr(d->err, "gcx: GCX-LEAK: ") != NULL, "%s:\n%s", name,
                d->err);
  ck_assert_str_eq(d->out, "0 disposed\n");
}

static void demand_silent_disposal(const char *name, const char *options)
{
  const struct death *d = demand(name, options, 0, 0);

  ck_assert_str_eq(d->err, "");
  ck_assert_msg(atoi(d->out) >= MOST && atoi(d->out) <= NOTE_LOST, "%s: %s",
                name, d->out);
}

START_TEST(test_without_ndebug)
  {
    demand_abort("note_debug", NULL);
  }
END_TEST

START_TEST(test_with_ndebug)
  {
    demand_silent_disposal("note_release", NULL);
  }
END_TEST

START_TEST(test_one_file_without_ndebug)
  {
    demand_abort("note_mixed", NULL);
  }
END_TEST

START_TEST(test_library_without_ndebug)
  {
    demand_silent_disposal("note_host", NULL);
  }
END_TEST

/* Both of its files say leak=exit. */
START_TEST(test_default_options_of_the_build)
  {
    demand_report("note_exit", NULL, 23);
  }
END_TEST

/* A build that says leak=exit:exitcode=31, and a function that says
 * leak=report. */
START_TEST(test_function_comes_after_the_build)
  {
    demand_report("note_function", NULL, 0);
    demand_report("note_function", "leak=exit", 31);
  }
END_TEST

static const char *const programs[] = { "note_debug", "note_release",
                                        "note_mixed", "note_host",
                                        "note_exit",  "note_function" };

#define PROGRAMS ((int)(sizeof(programs) / sizeof(programs[0])))

START_TEST(test_environment_overrides)
  {
    demand_abort(programs[_i], "leak=abort:symbolize_ms=0");
    demand_report(programs[_i], "leak=report:symbolize_ms=0", 0);
    demand_report(programs[_i], "leak=exit:exitcode=7:symbolize_ms=0", 7);
    demand_silent_disposal(programs[_i], "leak=dispose");
  }
END_TEST

/* Of this very program: its notes are below. */
START_TEST(test_read)
  {
    struct gcx__note note;

    gcx__note_read(&note);
    ck_assert(note.found);
    ck_assert(note.debug);
    ck_assert_str_eq(note.options, "leak=report:exitcode=3");
  }
END_TEST

/* Notes as three files would leave them, and two that are none of gcx's. */
__asm__(".pushsection .note.gcx,\"a\",%note\n"
        ".balign 4\n"
        ".long 4\n.long 2f-1f\n.long 1\n.asciz \"gcx\"\n"
        "1: .long 0\n.asciz \"leak=report\"\n"
        "2: .balign 4\n"
        ".long 4\n.long 4f-3f\n.long 1\n.asciz \"gcx\"\n"
        "3: .long 1\n.asciz \"exitcode=3\"\n"
        "4: .balign 4\n"
        ".long 4\n.long 6f-5f\n.long 1\n.asciz \"gcx\"\n"
        "5: .long 0\n.asciz \"leak=report\"\n"
        "6: .balign 4\n"
        ".long 4\n.long 4\n.long 2\n.asciz \"gcx\"\n.long 1\n"
        ".long 4\n.long 4\n.long 1\n.asciz \"xcg\"\n.long 1\n"
        ".popsection\n");

static Suite *note_suite(void)
{
  Suite *s = suite_create("note");
  TCase *c = tcase_create("note");

  tcase_add_test(c, test_without_ndebug);
  tcase_add_test(c, test_with_ndebug);
  tcase_add_test(c, test_one_file_without_ndebug);
  tcase_add_test(c, test_library_without_ndebug);
  tcase_add_test(c, test_default_options_of_the_build);
  tcase_add_test(c, test_function_comes_after_the_build);
  tcase_add_loop_test(c, test_environment_overrides, 0, PROGRAMS);
  tcase_add_test(c, test_read);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(note_suite);
