/* SPDX-License-Identifier: MIT */
/*
 * options.h - GCX_OPTIONS: one table (options.def) makes the parser, the help,
 *             the manual page and the tests
 *
 * Read once at start, in this order, later ones win: defaults of the build
 * (the executable's ELF note), gcx_default_options() of the program, GCX_OPTIONS.
 */
#ifndef GCX_OPTIONS_H
#define GCX_OPTIONS_H

#include "../include/gcx/report.h" /* enum gcx_format */
#include "assert.h"

enum gcx__leak {
  GCX_LEAK_ABORT,
  GCX_LEAK_EXIT,
  GCX_LEAK_REPORT,
  GCX_LEAK_DISPOSE,
  GCX_LEAK_OFF
};
enum gcx__roots { GCX_ROOTS_ALL, GCX_ROOTS_STRICT };
enum gcx__unwind_mode { GCX_UNWIND_AUTO, GCX_UNWIND_NONE };
enum gcx__exit_check {
  GCX_EXIT_OFF,
  GCX_EXIT_UNREACHABLE,
  GCX_EXIT_UNDISPOSED
};
enum gcx__census_at_exit {
  GCX_CENSUS_AT_EXIT_OFF,
  GCX_CENSUS_AT_EXIT_TEXT,
  GCX_CENSUS_AT_EXIT_JSON,
  GCX_CENSUS_AT_EXIT_FOLDED
};
enum gcx__low_memory { GCX_LOW_MEMORY_OFF, GCX_LOW_MEMORY_PSI };
enum gcx__misuse { GCX_MISUSE_FATAL, GCX_MISUSE_REPORT };
enum gcx__double_dispose {
  GCX_DOUBLE_IGNORE,
  GCX_DOUBLE_REPORT,
  GCX_DOUBLE_FATAL
};

enum gcx__finalizers { GCX_FINALIZERS_ON, GCX_FINALIZERS_OFF };

#define GCX__OPTIONS_TEXT_BYTES 4096

/* One field per row of options.def, named as the option. */
struct gcx__options {
#define GCX__OPT_ENUM(name, ctype, dflt, values, help) ctype name;
#define GCX__OPT_UINT(name, dflt, min, max, help) uint64_t name;
#define GCX__OPT_TEXT(name, dflt, help) char name[GCX__OPTIONS_TEXT_BYTES];
#include "options.def"
#undef GCX__OPT_ENUM
#undef GCX__OPT_UINT
#undef GCX__OPT_TEXT
  bool free_keeps; /* the user said quarantine=1: free() obeys, too */
  uint64_t said;   /* bit i: a source has set the option of row i */
};

/* Read-only after gcx__options_init(); tests may write to it. */
extern struct gcx__options gcx__opt GCX_HIDDEN;

/* Parse all sources into gcx__opt. An unknown or bad value prints one line and
 * ends the process with status 2; help=1 prints the table and ends it with 0.
 * @debug_build: the executable was built without NDEBUG. */
void gcx__options_init(bool debug_build, const char *build_defaults,
                       const char *program_defaults);

/* Parse @text into @o; on failure false and one line in @ret_error. */
bool gcx__options_parse(struct gcx__options *o, const char *text,
                        char *ret_error, size_t error_bytes);
void gcx__options_defaults(struct gcx__options *o, bool debug_build);
/* Follow-up defaults: misuse from leak, interval_ms from leak, ... where the
 * user said nothing. */
void gcx__options_finish(struct gcx__options *o);

#endif
