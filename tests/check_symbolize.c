/* SPDX-License-Identifier: MIT */
/* check_symbolize.c - functions and lines of real modules by the real helper */
#include "symbols.h"

#include <dlfcn.h>

/* ---- a library whose functions are known; only get() is exported */

static const char library_source[] =
    "__attribute__((noinline)) static void *here(void)\n"
    "{ return __builtin_return_address(0); }\n"
    "static inline __attribute__((always_inline)) void *inner(void)\n"
    "{\n"
    "  void *p = here();\n" /* line 5 */
    "  __asm__ volatile(\"\" : \"+r\"(p));\n"
    "  return p;\n"
    "}\n"
    "__attribute__((noinline)) static void *outer(void)\n"
    "{\n"
    "  void *p = inner();\n" /* line 11 */
    "  __asm__ volatile(\"\" : \"+r\"(p));\n"
    "  return p;\n"
    "}\n"
    "__attribute__((visibility(\"default\"))) void *get(void);\n"
    "__attribute__((visibility(\"default\"))) void *get(void)\n"
    "{ void *p = outer(); __asm__ volatile(\"\" : \"+r\"(p)); return p; }\n";

static void make_library(void)
{
  write_file("lib.c", library_source, 0600);
  run("${CC:-cc} -g -O2 -fPIC -fvisibility=hidden -shared -Wl,--build-id -o "
      "lib.so lib.c");
}

static void *open_library(void)
{
  char path[256];
  void *library;

  (void)snprintf(path, sizeof(path), "%s/lib.so", directory);
  library = dlopen(path, RTLD_NOW);
  ck_assert_msg(library != NULL, "%s", dlerror());
  (void)gcx__modules_refresh();
  return library;
}

/* The address in outer() behind the call of here() in inner(). */
static uintptr_t address_in(void *library)
{
  void *(*get)(void);
  void *symbol = dlsym(library, "get");

  ck_assert_ptr_nonnull(symbol);
  memcpy(&get, &symbol, sizeof(get));
  return (uintptr_t)get();
}

static void library_is_known(uintptr_t pc, uint32_t epoch)
{
  struct gcx__source s;

  source_is(pc, epoch, 0, "inner", "lib.c", 5, true);
  source_is(pc, epoch, 1, "outer", "lib.c", 11, false);
  ck_assert(!gcx__symbolize_get(pc, epoch, 2, &s));
  ck_assert_str_eq(gcx__symbolize_problem(), "");
}

/* ---- modules */

START_TEST(test_executable)
  {
    uintptr_t pc = (uintptr_t)conn_open + 1;

    look_up(pc);
    source_is(pc, gcx__modules_epoch(), 0, "conn_open", "reports.h",
              conn_open_line, false);
  }
END_TEST

START_TEST(test_shared_library_and_inlined_function)
  {
    uintptr_t pc;

    make_library();
    pc = address_in(open_library());
    look_up(pc);
    library_is_known(pc, gcx__modules_epoch());
  }
END_TEST

/* As clang writes them, whatever compiler this is. */
START_TEST(test_without_address_ranges)
  {
    uintptr_t pc;

    make_library();
    run("objcopy --remove-section .debug_aranges lib.so");
    pc = address_in(open_library());
    look_up(pc);
    library_is_known(pc, gcx__modules_epoch());
  }
END_TEST

/* A row of the table of lines at the very end of the code, as gcc makes them
 * behind a call that does not return; clang knows no file 1. */
static const char before_source[] =
    "int middle(int x);\n"
    "int middle(int x) { return x * 5; }\n" /* line 2 */
    "#ifdef __clang__\n"
    "#define ROW \"\"\n"
    "#else\n"
    "#define ROW \"\\n.loc 1 98 0\\n.loc 1 99 0\"\n"
    "#endif\n"
    "__attribute__((cold)) void before(int x);\n"
    "void before(int x)\n"
    "{\n"
    "  x = middle(x);\n"
    "  __asm__ volatile(\"nop\" ROW : : \"r\"(x));\n"
    "  __builtin_unreachable();\n"
    "}\n";
static const char plain_source[] = "int plain(int x);\n"
                                   "int plain(int x) { return x * 7; }\n";

/* Between functions that have lines: one compiled without -g. It has a name at
 * most, never the line of its neighbour. */
START_TEST(test_neighbour_without_lines)
  {
    struct gcx__source s;
    void *library;
    uintptr_t pc;

    write_file("before.c", before_source, 0600);
    write_file("plain.c", plain_source, 0600);
    write_file("lib.c", library_source, 0600);
    run("${CC:-cc} -g -O2 -fPIC -c before.c lib.c && "
        "${CC:-cc} -O2 -fPIC -c plain.c && "
        "${CC:-cc} -shared -Wl,--build-id -o lib.so plain.o before.o lib.o");
    if (_i == 1)
      run("strip --strip-unneeded --keep-section='.debug*' lib.so && "
          "objcopy --remove-section .debug_aranges lib.so");
    library = open_library();
    pc = (uintptr_t)dlsym(library, "plain") + 1;
    look_up(pc);
    ck_assert(gcx__symbolize_get(pc, gcx__modules_epoch(), 0, &s));
    ck_assert_str_eq(s.function, "plain");
    ck_assert_str_eq(s.file, "");
    ck_assert_uint_eq(s.line, 0);
    ck_assert(!gcx__symbolize_get(pc, gcx__modules_epoch(), 1, &s));
    pc = (uintptr_t)dlsym(library, "middle") + 1;
    look_up(pc);
    source_is(pc, gcx__modules_epoch(), 0, "middle", "before.c", 2, false);
  }
END_TEST

START_TEST(test_closed_library)
  {
    uint32_t epoch, site;
    uintptr_t pc;
    void *library;

    make_library();
    library = open_library();
    epoch = gcx__modules_epoch();
    pc = address_in(library);
    site = gcx__depot_put(&pc, 1);
    ck_assert_int_eq(dlclose(library), 0);
    ck_assert(gcx__modules_refresh());
    gcx__symbolize_begin();
    gcx__symbolize_add(site);
    gcx__symbolize_run();
    library_is_known(pc, epoch);
  }
END_TEST

START_TEST(test_stripped_library)
  {
    uintptr_t pc;

    make_library();
    run("strip lib.so");
    pc = address_in(open_library());
    look_up(pc);
    nothing_is_known(pc);
    ck_assert_str_eq(gcx__symbolize_problem(), ""); /* it was asked */
  }
END_TEST

/* A helper that is the real one with an option. */
static void use_real_helper_with(const char *option)
{
  char text[1024];

  (void)snprintf(text, sizeof(text), "#!/bin/sh\nexec %s %s \"$@\"\n",
                 getenv("GCX_SYMBOLIZER"), option);
  write_file("helper", text, 0700);
  (void)snprintf(text, sizeof(text), "%s/helper", directory);
  ck_assert_int_eq(setenv("GCX_SYMBOLIZER", text, 1), 0);
  gcx__symbolize_init();
}

START_TEST(test_separate_debug_file_by_build_id)
  {
    char option[256];
    uintptr_t pc;

    make_library();
    run("objcopy --only-keep-debug lib.so lib.dbg && strip lib.so && "
        "id=$(readelf -n lib.so | sed -n 's/.*Build ID: //p') && "
        "d=dbg/.build-id/$(echo $id | cut -c1-2) && mkdir -p $d && "
        "mv lib.dbg $d/$(echo $id | cut -c3-).debug");
    (void)snprintf(option, sizeof(option), "--debug-dir=%s/dbg", directory);
    use_real_helper_with(option);
    pc = address_in(open_library());
    if (_i == 1)
      run("rm lib.so"); /* the debug file alone is enough */
    look_up(pc);
    library_is_known(pc, gcx__modules_epoch());
  }
END_TEST

/* Nothing is better than something wrong. */
START_TEST(test_file_that_changed)
  {
    uintptr_t pc;

    make_library();
    pc = address_in(open_library());
    run(_i == 0
            ? "rm lib.so"
            : "rm lib.so && echo 'int more;' >> lib.c && "
              "${CC:-cc} -g -O2 -fPIC -shared -Wl,--build-id -o lib.so lib.c");
    look_up(pc);
    nothing_is_known(pc);
  }
END_TEST

START_TEST(test_unknown_address)
  {
    look_up(0x1234);
    nothing_is_known(0x1234);
  }
END_TEST

/* A directory of the program's whose name has line breaks in it. */
START_TEST(test_module_with_line_breaks_in_its_name)
  {
    uintptr_t pcs[2];
    uint32_t site;
    char path[256];
    void *library;

    make_library();
    run("d=$(printf 'a\\n\\nb') && mkdir \"$d\" && mv lib.so \"$d\"");
    (void)snprintf(path, sizeof(path), "%s/a\n\nb/lib.so", directory);
    library = dlopen(path, RTLD_NOW);
    ck_assert_msg(library != NULL, "%s", dlerror());
    (void)gcx__modules_refresh();
    pcs[0] = address_in(library);
    pcs[1] = (uintptr_t)conn_open + 1;
    site = gcx__depot_put(pcs, 2);
    gcx__symbolize_begin();
    gcx__symbolize_add(site);
    gcx__symbolize_run();
    source_is(pcs[1], gcx__modules_epoch(), 0, "conn_open", "reports.h",
              conn_open_line, false);
    nothing_is_known(pcs[0]);
    ck_assert_str_eq(gcx__symbolize_problem(), "");
  }
END_TEST

/* Of files, too, as the compiler was told them: that answer is one line. */
START_TEST(test_file_with_line_breaks_in_its_name)
  {
    struct gcx__source s;
    uintptr_t pcs[3];
    uint32_t site;
    void *library;

    write_file("lib.c",
               "#line 1 \"odd\\n\\n\\tname.c\"\n"
               "int odd(int x);\n"
               "int odd(int x) { return x * 3; }\n"
               "#line 1 \"even.c\"\n"
               "int even(int x);\n"
               "int even(int x) { return x * 5; }\n",
               0600);
    run("${CC:-cc} -g -O2 -fPIC -shared -Wl,--build-id -o lib.so lib.c");
    library = open_library();
    pcs[0] = (uintptr_t)dlsym(library, "odd") + 1;
    pcs[1] = (uintptr_t)dlsym(library, "even") + 1;
    pcs[2] = (uintptr_t)conn_open + 1;
    site = gcx__depot_put(pcs, 3);
    gcx__symbolize_begin();
    gcx__symbolize_add(site);
    gcx__symbolize_run();
    source_is(pcs[1], gcx__modules_epoch(), 0, "even", "even.c", 2, false);
    source_is(pcs[2], gcx__modules_epoch(), 0, "conn_open", "reports.h",
              conn_open_line, false);
    ck_assert(gcx__symbolize_get(pcs[0], gcx__modules_epoch(), 0, &s));
    ck_assert_str_eq(s.function, "odd");
    ck_assert_ptr_nonnull(strstr(s.file, "odd???name.c"));
    ck_assert_uint_eq(s.line, 2);
  }
END_TEST

START_TEST(test_each_address_is_asked_once)
  {
    struct gcx__symbolize_stats stats;

    for (int i = 0; i < 5; i++) {
      look_up((uintptr_t)conn_open + 1);
      look_up((uintptr_t)conn_read + 1);
    }
    gcx__symbolize_stats(&stats);
    ck_assert_uint_eq(stats.helpers, 2);
    ck_assert_uint_eq(stats.asked, 2);
  }
END_TEST

/* More than the table holds: the rest stays raw, a later batch starts afresh. */
START_TEST(test_more_addresses_than_fit)
  {
    struct gcx__symbolize_stats stats;
    uintptr_t pc = (uintptr_t)conn_open + 1;
    uintptr_t base =
        (uintptr_t)gcx__modules_find(pc, gcx__modules_epoch())->low;

    ck_assert_int_eq(setenv("GCX_SYMBOLIZER", "/bin/false", 1), 0);
    gcx__symbolize_init();
    gcx__symbolize_begin();
    for (uintptr_t i = 0; i < 20000; i++) {
      uintptr_t at = base + i % 4096 + 1;
      gcx__symbolize_add(gcx__depot_put(&at, 1));
    }
    gcx__symbolize_run();
    gcx__symbolize_stats(&stats);
    ck_assert_uint_eq(stats.helpers, 1);
    nothing_is_known(pc);
  }
END_TEST

/* ---- later, from a raw report */

START_TEST(test_tool_completes_a_raw_report)
  {
    static char raw[TEXT_BYTES], later[TEXT_BYTES];
    struct gcx_report r = leak_report();
    char command[512];
    FILE *f;
    size_t n;

    gcx__opt.symbolize_ms = 0;
    write_file("raw", print(&r, GCX_FORMAT_TEXT), 0600);
    (void)snprintf(raw, sizeof(raw), "%s", printed);
    ck_assert_ptr_null(strstr(raw, "conn_open"));
    (void)snprintf(command, sizeof(command), "%s < %s/raw",
                   getenv("GCX_SYMBOLIZER"), directory);
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    n = fread(later, 1, sizeof(later) - 1, f);
    later[n] = '\0';
    ck_assert_int_eq(pclose(f), 0);
    gcx__opt.symbolize_ms = 5000;
    print(&r, GCX_FORMAT_TEXT);
    /* But for the advice to run the tool, the same. */
    n = (size_t)(strstr(later, "  more      functions") - later);
    ck_assert(strncmp(later, printed, n) == 0);
    ck_assert_str_eq(strchr(later + n, '\n') + 1, printed + n);
  }
END_TEST

static Suite *symbolize_suite(void)
{
  Suite *s = suite_create("symbolize");
  TCase *modules = tcase_create("modules");

  tcase_add_checked_fixture(modules, setup_directory, teardown_directory);
  tcase_add_test(modules, test_executable);
  tcase_add_test(modules, test_shared_library_and_inlined_function);
  tcase_add_test(modules, test_without_address_ranges);
  tcase_add_loop_test(modules, test_neighbour_without_lines, 0, 2);
  tcase_add_test(modules, test_closed_library);
  tcase_add_test(modules, test_stripped_library);
  tcase_add_loop_test(modules, test_separate_debug_file_by_build_id, 0, 2);
  tcase_add_loop_test(modules, test_file_that_changed, 0, 2);
  tcase_add_test(modules, test_unknown_address);
  tcase_add_test(modules, test_module_with_line_breaks_in_its_name);
  tcase_add_test(modules, test_file_with_line_breaks_in_its_name);
  tcase_add_test(modules, test_each_address_is_asked_once);
  tcase_add_test(modules, test_more_addresses_than_fit);
  tcase_add_test(modules, test_tool_completes_a_raw_report);
  suite_add_tcase(s, modules);
  return s;
}

GCX_CHECK_MAIN(symbolize_suite);
