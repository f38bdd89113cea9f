/* SPDX-License-Identifier: MIT */
/*
 * source.h - functions, files and lines of an offset into a file, by libdw
 */
#ifndef GCX_TOOLS_SOURCE_H
#define GCX_TOOLS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_MAX \
  64 /* source frames of one address: inlining goes no deeper */
#define SOURCE_BUILD_ID_BYTES 80 /* in hexadecimal, NUL included */

/* A function that was executing; strings belong to libdw. */
struct source_frame {
  const char *function;
  const char *file;
  const char *comp_dir;
  int line;
  bool inlined;
};

struct source {
  struct source_frame frames[SOURCE_MAX];
  size_t n;
};

/* What is known of the return address at @offset of the file @path that has
 * @build_id ("-": none); source frames, innermost first. Nothing if the file is
 * not the same any more. */
void source_find(struct source *s, const char *path, const char *build_id,
                 uint64_t offset);

/* As a reader of the sources knows it: below the directory of the build. */
const char *source_file(const struct source_frame *f);

/* Separate debug files are looked for in @dir, too. */
void source_use_debug_dir(const char *dir);

void source_close(void); /* what source_find() has opened */

/* strdup() that ends the program if there is no memory. */
char *source_copy_text(const char *s);

#endif
