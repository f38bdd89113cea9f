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
 * its memory to be wrong. Nothing is better than something wrong: a file whose
 * build-id is not the requested one is not looked at.
 *
 * Addresses are return addresses, so that what is looked up is the byte before.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOURCE_MAX \
  64 /* source frames of one address: inlining goes no deeper */
#define PATH_BYTES 4200
#define BUILD_ID_BYTES 80 /* in hexadecimal */

/* A file that addresses were asked of, for the time of the run. */
struct module {
  struct module *next;
  char *path;
  char *build_id;
  Dwfl *dwfl;
  Dwfl_Module *mod; /* NULL: the file is not there, or not the same any more */
  Dwarf_Addr bias;  /* libdwfl's address less the file's */
};

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

static struct module *modules;
static const char *debug_dir = "/usr/lib/debug";
static char debug_path_text[PATH_BYTES] = ":.debug:/usr/lib/debug";
static char *debug_path = debug_path_text;

static const Dwfl_Callbacks module_callbacks = {
  .find_elf = dwfl_build_id_find_elf,
  .find_debuginfo = dwfl_standard_find_debuginfo,
  .section_address = dwfl_offline_section_address,
  .debuginfo_path = &debug_path,
};

/* ---- files ---- */

static char *copy_text(const char *s)
{
  char *copy = strdup(s);

  if (copy == NULL) {
    fputs("gcx-symbolize: out of memory\n", stderr);
    exit(1);
  }
  return copy;
}

/* "-" for a file that has none, as in a request. */
static void file_build_id(Dwfl_Module *mod, char *ret_hex, size_t bytes)
{
  const unsigned char *bits = NULL;
  GElf_Addr where;
  int n = dwfl_module_build_id(mod, &bits, &where);

  snprintf(ret_hex, bytes, "-");
  for (int i = 0; i < n && (size_t)i * 2 + 3 <= bytes; i++)
    snprintf(ret_hex + i * 2, bytes - (size_t)i * 2, "%02x", (unsigned)bits[i]);
}

/* Let libdwfl see @path; false, and nothing held, unless it is that very file. */
static bool module_try(struct module *m, const char *path)
{
  char found[BUILD_ID_BYTES];

  if (access(path, R_OK) != 0)
    return false;
  m->dwfl = dwfl_begin(&module_callbacks);
  if (m->dwfl == NULL)
    return false;
  m->mod = dwfl_report_offline(m->dwfl, "", path, -1);
  (void)dwfl_report_end(m->dwfl, NULL, NULL);
  if (m->mod != NULL && dwfl_module_getelf(m->mod, &m->bias) != NULL) {
    file_build_id(m->mod, found, sizeof(found));
    if (strcmp(found, m->build_id) == 0)
      return true;
  }
  dwfl_end(m->dwfl);
  m->dwfl = NULL;
  m->mod = NULL;
  return false;
}

/* The file may be gone while its debug file is still there: that has the same
 * addresses. */
static void module_try_debug_file(struct module *m)
{
  char path[PATH_BYTES];

  if (strlen(m->build_id) < 3)
    return;
  snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", debug_dir,
           m->build_id, m->build_id + 2);
  (void)module_try(m, path);
}

static struct module *module_open(const char *path, const char *build_id)
{
  struct module *m;

  for (m = modules; m != NULL; m = m->next)
    if (strcmp(m->path, path) == 0 && strcmp(m->build_id, build_id) == 0)
      return m;
  m = calloc(1, sizeof(*m));
  if (m == NULL)
    return NULL;
  m->path = copy_text(path);
  m->build_id = copy_text(build_id);
  m->next = modules;
  modules = m;
  if (!module_try(m, path))
    module_try_debug_file(m);
  return m;
}

static void modules_close(void)
{
  while (modules != NULL) {
    struct module *m = modules;

    modules = m->next;
    if (m->dwfl != NULL)
      dwfl_end(m->dwfl);
    free(m->path);
    free(m->build_id);
    free(m);
  }
}

/* ---- addresses ---- */

static bool die_is_function(Dwarf_Die *die)
{
  int tag = dwarf_tag(die);
  return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

static const char *die_name(Dwarf_Die *die)
{
  Dwarf_Attribute attr;
  return dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attr));
}

/* Where the function of the inlined @die was called: line of the next frame. */
static void die_call_site(Dwarf_Die *die, Dwarf_Die *cu,
                          struct source_frame *ret_frame)
{
  Dwarf_Attribute attr;
  Dwarf_Word file = 0, line = 0;
  Dwarf_Files *files = NULL;

  if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attr), &line) == 0)
    ret_frame->line = (int)line;
  if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attr), &file) == 0 &&
      dwarf_getsrcfiles(cu, &files, NULL) == 0)
    ret_frame->file = dwarf_filesrc(files, file, NULL, NULL);
}

/* The functions that scopes[0..n), innermost first, belong to. The first frame's
 * line is known; each inlined one tells the line of the one around it. */
static void source_add_scopes(struct source *s, Dwarf_Die *scopes, int n,
                              Dwarf_Die *cu)
{
  const char *comp_dir = s->frames[0].comp_dir;
  size_t i = 0;

  for (int scope = 0; scope < n && i + 1 < SOURCE_MAX; scope++) {
    struct source_frame *f = &s->frames[i];

    if (!die_is_function(&scopes[scope]))
      continue;
    f->function = die_name(&scopes[scope]);
    s->n = ++i;
    if (dwarf_tag(&scopes[scope]) == DW_TAG_subprogram)
      return;
    f->inlined = true;
    s->frames[i] = (struct source_frame){ .comp_dir = comp_dir };
    die_call_site(&scopes[scope], cu, &s->frames[i]);
  }
}

/* dwarf_getscopes() follows an inlined function to its definition; where it was
 * inlined is what dwarf_getscopes_die() tells. */
static void source_add_functions(struct source *s, struct module *m,
                                 Dwarf_Addr address)
{
  Dwarf_Addr bias = 0;
  Dwarf_Die *cu = dwfl_module_addrdie(m->mod, address, &bias);
  Dwarf_Die *scopes = NULL, *around = NULL;
  int n;

  if (cu == NULL || dwarf_getscopes(cu, address - bias, &scopes) <= 0)
    return;
  n = dwarf_getscopes_die(&scopes[0], &around);
  if (n > 0)
    source_add_scopes(s, around, n, cu);
  free(around);
  free(scopes);
}

static void source_add_line(struct source *s, struct module *m,
                            Dwarf_Addr address)
{
  Dwfl_Line *line = dwfl_module_getsrc(m->mod, address);

  if (line == NULL)
    return;
  s->frames[0].file =
      dwfl_lineinfo(line, NULL, &s->frames[0].line, NULL, NULL, NULL);
  s->frames[0].comp_dir = dwfl_line_comp_dir(line);
  s->n = 1;
}

/* Without DWARF: the symbol that covers the address, not merely precedes it. */
static void source_add_symbol(struct source *s, struct module *m,
                              Dwarf_Addr address)
{
  GElf_Off offset = 0;
  GElf_Sym symbol;
  const char *name =
      dwfl_module_addrinfo(m->mod, address, &offset, &symbol, NULL, NULL, NULL);

  if (name == NULL || offset >= symbol.st_size)
    return;
  s->frames[s->n > 0 ? s->n - 1 : 0].function = name;
  s->n = s->n > 0 ? s->n : 1;
}

static void source_find(struct source *s, const char *path,
                        const char *build_id, uint64_t offset)
{
  struct module *m = module_open(path, build_id);
  Dwarf_Addr address;

  memset(s, 0, sizeof(*s));
  if (m == NULL || m->mod == NULL || offset == 0)
    return;
  address = offset + m->bias - 1;
  source_add_line(s, m, address);
  source_add_functions(s, m, address);
  if (s->n == 0 || s->frames[s->n - 1].function == NULL)
    source_add_symbol(s, m, address);
}

/* As a reader of the sources knows it: below the directory of the build. */
static const char *source_file(const struct source_frame *f)
{
  size_t n = f->comp_dir != NULL ? strlen(f->comp_dir) : 0;
  const char *file = f->file != NULL ? f->file : "";

  if (n > 0 && strncmp(file, f->comp_dir, n) == 0 && file[n] == '/')
    file += n + 1;
  while (strncmp(file, "./", 2) == 0)
    file += 2;
  return file;
}

/* ---- the library's helper ---- */

static void serve_answer(const struct source *s)
{
  for (size_t i = 0; i < s->n; i++) {
    const struct source_frame *f = &s->frames[i];

    printf("%s\t%s\t%d\t%d\n", f->function != NULL ? f->function : "",
           source_file(f), f->line, (int)f->inlined);
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
    char build_id[BUILD_ID_BYTES];
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
  char build_id[BUILD_ID_BYTES];
};

static bool raw_frame_number(const char *line, struct raw_frame *ret_frame,
                             int *ret_end)
{
  ret_frame->indent = (int)strspn(line, " ");
  return sscanf(line + ret_frame->indent, "#%u %n", &ret_frame->number,
                ret_end) == 1;
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
  return true;
}

static void filter_print(const struct raw_frame *raw, const struct source *s,
                         unsigned *number)
{
  for (size_t i = 0; i < s->n; i++) {
    const struct source_frame *f = &s->frames[i];

    printf("%*s#%u %s", raw->indent, "", (*number)++,
           f->function != NULL ? f->function : "??");
    if (f->file != NULL)
      printf(" %s:%d", source_file(f), f->line);
    else
      printf(" in %s+0x%llx (BuildId %s)", raw->path,
             (unsigned long long)raw->offset, raw->build_id);
    puts(f->inlined ? " (inlined)" : "");
  }
}

/* A frame line of the report. Inlined frames move the numbers of what follows. */
static void filter_frame(const char *line, const struct raw_frame *seen,
                         int end, unsigned *number)
{
  static struct source s;
  struct raw_frame raw;
  char *copy = copy_text(line);

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

static void use_debug_dir(const char *dir)
{
  debug_dir = dir;
  snprintf(debug_path_text, sizeof(debug_path_text),
           ":.debug:%s:/usr/lib/debug", dir);
}

int main(int argc, char **argv)
{
  bool serving = false;
  int status;

  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--serve") == 0)
      serving = true;
    else if (strncmp(argv[i], "--debug-dir=", 12) == 0)
      use_debug_dir(argv[i] + 12);
    else if (strcmp(argv[i], "--help") == 0)
      return usage(stdout, 0);
    else
      return usage(stderr, 2);
  }
  status = serving ? serve() : filter();
  modules_close();
  return status;
}
