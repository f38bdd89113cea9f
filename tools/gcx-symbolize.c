/* SPDX-License-Identifier: MIT */
/*
 * gcx-symbolize - function, file and line of the addresses in a report of gcx
 *
 * Two ways to run it:
 *
 *   gcx-symbolize < report     a raw report as text: its frames are replaced,
 *                              everything else passes through
 *   gcx-symbolize --serve      the library's helper process; a request per line
 *
 *       OFFSET BUILD-ID PATH         hexadecimal offset into the file (load bias
 *                                    taken off); BUILD-ID "-" if there is none
 *
 *   and for each request its source frames, innermost first, then an empty line:
 *
 *       FUNCTION \t FILE \t LINE \t INLINED      "" and 0: unknown; 1: inlined
 *
 * It is a program of its own because libdw allocates, reads big files and may
 * crash on broken ones: none of that belongs into a process that has just found
 * its memory to be wrong.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"

/* A name out of somebody's file: it can neither end a line or a field, nor control
 * a terminal. */
static void put_name(const char *s)
{
  for (; *s != '\0'; s++)
    putchar(iscntrl((unsigned char)*s) ? '?' : *s);
}

/* ---- the library's helper ---- */

static void serve_answer(const struct source *s)
{
  for (size_t i = 0; i < s->n; i++) {
    const struct source_frame *f = &s->frames[i];

    put_name(f->function != NULL ? f->function : "");
    putchar('\t');
    put_name(source_file(f));
    printf("\t%d\t%d\n", f->line, (int)f->inlined);
  }
  putchar('\n');
  fflush(stdout);
}

static int serve(void)
{
  static struct source s;
  char *line = NULL;
  size_t room = 0;
  ssize_t n;

  while ((n = getline(&line, &room, stdin)) > 0) {
    char build_id[SOURCE_BUILD_ID_BYTES];
    unsigned long long offset = 0;
    int path_at = 0;

    line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];
    s.n = 0;
    if (sscanf(line, "%llx %79s %n", &offset, build_id, &path_at) == 2 &&
        path_at > 0)
      source_find(&s, line + path_at, build_id, offset);
    serve_answer(&s);
  }
  free(line);
  return 0;
}

/* ---- a report as text ---- */

/* A raw frame: "    #3 [function in ]path+0xoffset (BuildId hex)". */
struct raw_frame {
  int indent;
  unsigned number;
  char *path;
  uint64_t offset;
  char build_id[SOURCE_BUILD_ID_BYTES];
};

static bool raw_frame_number(const char *line, struct raw_frame *ret_frame,
                             int *ret_end)
{
  ret_frame->indent = (int)strspn(line, " ");
  return sscanf(line + ret_frame->indent, "#%u %n", &ret_frame->number,
                ret_end) == 1;
}

/* A report shows bytes that are no text as \xNN: back to what they were, if there
 * is no file of the name that is shown. */
static void raw_frame_unescape(char *path)
{
  char *to = path;

  if (access(path, F_OK) == 0)
    return;
  for (const char *from = path; *from != '\0'; from++)
    if (strncmp(from, "\\x", 2) == 0 && isxdigit((unsigned char)from[2]) &&
        isxdigit((unsigned char)from[3])) {
      char digits[] = { from[2], from[3], '\0' };

      *to++ = (char)strtoul(digits, NULL, 16);
      from += 3;
    } else {
      *to++ = *from;
    }
  *to = '\0';
}

/* @line is cut up; false if it has no module and offset, so is no raw frame. */
static bool raw_frame_parse(char *line, struct raw_frame *ret_frame)
{
  char *plus = NULL, *in;
  unsigned long long offset;
  int end = 0;

  if (!raw_frame_number(line, ret_frame, &end))
    return false;
  ret_frame->path = line + ret_frame->indent + end;
  for (char *at = strstr(ret_frame->path, "+0x"); at != NULL;
       at = strstr(at + 1, "+0x"))
    plus = at;
  snprintf(ret_frame->build_id, sizeof(ret_frame->build_id), "-");
  if (plus == NULL || sscanf(plus, "+0x%llx (BuildId %79[0-9a-f])", &offset,
                             ret_frame->build_id) < 1)
    return false;
  *plus = '\0';
  ret_frame->offset = offset;
  in = strstr(ret_frame->path, " in /");
  if (in != NULL)
    ret_frame->path = in + strlen(" in ");
  raw_frame_unescape(ret_frame->path);
  return true;
}

static void filter_print(const struct raw_frame *raw, const struct source *s,
                         unsigned *number)
{
  for (size_t i = 0; i < s->n; i++) {
    const struct source_frame *f = &s->frames[i];

    printf("%*s#%u ", raw->indent, "", (*number)++);
    put_name(f->function != NULL ? f->function : "??");
    if (f->file != NULL) {
      putchar(' ');
      put_name(source_file(f));
      printf(":%d", f->line);
    } else {
      printf(" in ");
      put_name(raw->path);
      printf("+0x%llx (BuildId %s)", (unsigned long long)raw->offset,
             raw->build_id);
    }
    puts(f->inlined ? " (inlined)" : "");
  }
}

/* A frame line of the report. Inlined frames move the numbers of what follows. */
static void filter_frame(const char *line, const struct raw_frame *seen,
                         int end, unsigned *number)
{
  static struct source s;
  struct raw_frame raw;
  char *copy = source_copy_text(line);

  if (seen->number == 0)
    *number = 0;
  s.n = 0;
  if (raw_frame_parse(copy, &raw))
    source_find(&s, raw.path, raw.build_id, raw.offset);
  if (s.n > 0)
    filter_print(&raw, &s, number);
  else
    printf("%*s#%u %s\n", seen->indent, "", (*number)++,
           line + seen->indent + end);
  free(copy);
}

static int filter(void)
{
  char *line = NULL;
  size_t room = 0;
  unsigned number = 0;
  ssize_t n;

  while ((n = getline(&line, &room, stdin)) > 0) {
    struct raw_frame seen;
    int end = 0;

    line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];
    if (raw_frame_number(line, &seen, &end))
      filter_frame(line, &seen, end, &number);
    else
      puts(line);
  }
  free(line);
  return ferror(stdout) ? 1 : 0;
}

/* ---- command line ---- */

static int usage(FILE *to, int status)
{
  fputs("usage: gcx-symbolize [--debug-dir=DIR] [--serve]\n"
        "\n"
        "Reads a report of gcx on standard input and prints it with functions, "
        "files\n"
        "and lines in place of module+offset.\n"
        "\n"
        "  --debug-dir=DIR  look for separate debug files "
        "(.build-id/xx/y.debug) here\n"
        "                   before /usr/lib/debug\n"
        "  --serve          answer the library's requests\n",
        to);
  return status;
}

int main(int argc, char **argv)
{
  bool serving = false;
  int status;

  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--serve") == 0)
      serving = true;
    else if (strncmp(argv[i], "--debug-dir=", 12) == 0)
      source_use_debug_dir(argv[i] + 12);
    else if (strcmp(argv[i], "--help") == 0)
      return usage(stdout, 0);
    else
      return usage(stderr, 2);
  }
  status = serving ? serve() : filter();
  source_close();
  return status;
}
