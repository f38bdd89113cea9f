/* SPDX-License-Identifier: MIT */
/*
 * symbols.h - looking up addresses, with a directory to put modules and helpers
 *             into
 */
#ifndef GCX_TESTS_SYMBOLS_H
#define GCX_TESTS_SYMBOLS_H

#include "symbolize.h"

#include <fcntl.h>

#include "reports.h"

static char directory[] = "/tmp/gcx-check-symbolize-XXXXXX";

/* In the directory, by the shell. */
static inline void run(const char *command)
{
  char text[1024];

  (void)snprintf(text, sizeof(text), "cd %s && { %s; }", directory, command);
  ck_assert_msg(system(text) == 0, "%s", text);
}

static inline void write_file(const char *name, const char *text, mode_t mode)
{
  char path[256];
  int fd;

  (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
  ck_assert_int_eq(close(fd), 0);
}

static inline void setup_directory(void)
{
  setup();
  ck_assert_ptr_nonnull(mkdtemp(directory));
}

static inline void teardown_directory(void)
{
  char text[256];

  (void)snprintf(text, sizeof(text), "rm -rf %s", directory);
  ck_assert_int_eq(system(text), 0);
}

/* One batch for one address. */
static inline void look_up(uintptr_t pc)
{
  uint32_t site = gcx__depot_put(&pc, 1);

  gcx__symbolize_begin();
  gcx__symbolize_add(site);
  gcx__symbolize_add(site);
  gcx__symbolize_run();
}

static inline void source_is(uintptr_t pc, uint32_t epoch, size_t i,
                             const char *function, const char *file,
                             uint32_t line, bool inlined)
{
  struct gcx__source s;

  ck_assert_msg(gcx__symbolize_get(pc, epoch, i, &s), "no frame %zu; %s", i,
                gcx__symbolize_problem());
  ck_assert_str_eq(s.function, function);
  ck_assert_msg(strcmp(s.file, file) == 0 ||
                    (strrchr(s.file, '/') != NULL &&
                     strcmp(strrchr(s.file, '/') + 1, file) == 0),
                "%s is not %s", s.file, file);
  ck_assert_uint_eq(s.line, line);
  ck_assert_int_eq(s.inlined, inlined);
}

static inline void nothing_is_known(uintptr_t pc)
{
  struct gcx__source s;
  ck_assert(!gcx__symbolize_get(pc, gcx__modules_epoch(), 0, &s));
}

static inline void problem_has(const char *part)
{
  ck_assert_msg(strstr(gcx__symbolize_problem(), part) != NULL, "%s",
                gcx__symbolize_problem());
}

#endif
