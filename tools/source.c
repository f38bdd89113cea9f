/* SPDX-License-Identifier: MIT */
/*
 * source.c - functions, files and lines of an offset into a file
 *
 * Nothing is better than something wrong: a file whose build-id is not the
 * requested one is not looked at, and a symbol counts only if it covers the
 * address. What is looked up is the byte before a return address: the call.
 */
#include "source.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4200

/* Code of a compilation unit. */
struct range {
  Dwarf_Addr low;
  Dwarf_Addr high;
  Dwarf_Off unit;
};

/* A file that addresses were asked of, for the time of the run. */
struct module {
  struct module *next;
  char *path;
  char *build_id;
  Dwfl *dwfl;
  Dwfl_Module *mod; /* NULL: the file is not there, or not the same any more */
  Dwarf_Addr bias;  /* libdwfl's address less the file's */
  bool has_ranges;  /* made when first needed; sorted, none in another */
  struct range *ranges;
  size_t range_count;
  size_t range_room;
  Dwarf_Die unit; /* the one found last */
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

char *source_copy_text(const char *s)
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
  char found[SOURCE_BUILD_ID_BYTES];

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
  m->path = source_copy_text(path);
  m->build_id = source_copy_text(build_id);
  m->next = modules;
  modules = m;
  if (!module_try(m, path))
    module_try_debug_file(m);
  return m;
}

void source_close(void)
{
  while (modules != NULL) {
    struct module *m = modules;

    modules = m->next;
    if (m->dwfl != NULL)
      dwfl_end(m->dwfl);
    free(m->ranges);
    free(m->path);
    free(m->build_id);
    free(m);
  }
}

/* ---- compilation units ---- */

static void ranges_add(struct module *m, Dwarf_Addr low, Dwarf_Addr high,
                       Dwarf_Off unit)
{
  if (m->range_count == m->range_room) {
    size_t room = m->range_room * 2 + 64;
    struct range *more = reallocarray(m->ranges, room, sizeof(*more));

    if (more == NULL)
      return;
    m->ranges = more;
    m->range_room = room;
  }
  m->ranges[m->range_count++] = (struct range){ low, high, unit };
}

static int range_compare(const void *a, const void *b)
{
  const struct range *x = a, *y = b;
  return x->low < y->low ? -1 : x->low > y->low;
}

/* libdwfl finds units by .debug_aranges alone, which clang does not write. */
static void ranges_make(struct module *m)
{
  Dwarf_Die *unit = NULL;
  Dwarf_Addr bias, base, low, high;

  m->has_ranges = true;
  while ((unit = dwfl_module_nextcu(m->mod, unit, &bias)) != NULL) {
    ptrdiff_t at = 0;

    while ((at = dwarf_ranges(unit, at, &base, &low, &high)) > 0)
      if (low < high)
        ranges_add(m, low, high, dwarf_dieoffset(unit));
  }
  if (m->range_count > 0)
    qsort(m->ranges, m->range_count, sizeof(*m->ranges), range_compare);
}

static const struct range *ranges_find(const struct module *m,
                                       Dwarf_Addr address)
{
  size_t low = 0, high = m->range_count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (address < m->ranges[middle].low)
      high = middle;
    else if (address >= m->ranges[middle].high)
      low = middle + 1;
    else
      return &m->ranges[middle];
  }
  return NULL;
}

/* The unit that @address, one of libdwfl's, is in; NULL if there is no DWARF of
 * it. @ret_bias: libdwfl's address less the one in the DWARF. For code without
 * DWARF libdwfl names the unit before it: that one's own ranges decide. */
static Dwarf_Die *module_unit(struct module *m, Dwarf_Addr address,
                              Dwarf_Addr *ret_bias)
{
  Dwarf_Die *unit = dwfl_module_addrdie(m->mod, address, ret_bias);
  const struct range *r;
  Dwarf *dwarf;

  if (unit != NULL && dwarf_haspc(unit, address - *ret_bias) > 0)
    return unit;
  dwarf = dwfl_module_getdwarf(m->mod, ret_bias);
  if (dwarf == NULL)
    return NULL;
  if (!m->has_ranges)
    ranges_make(m);
  r = ranges_find(m, address - *ret_bias);
  return r != NULL ? dwarf_offdie(dwarf, r->unit, &m->unit) : NULL;
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
static void source_add_functions(struct source *s, Dwarf_Die *unit,
                                 Dwarf_Addr address)
{
  Dwarf_Die *scopes = NULL, *around = NULL;
  int n;

  if (dwarf_getscopes(unit, address, &scopes) <= 0)
    return;
  n = dwarf_getscopes_die(&scopes[0], &around);
  if (n > 0)
    source_add_scopes(s, around, n, unit);
  free(around);
  free(scopes);
}

static void source_add_line(struct source *s, Dwarf_Die *unit,
                            Dwarf_Addr address)
{
  Dwarf_Line *line = dwarf_getsrc_die(unit, address);
  Dwarf_Attribute attr;

  if (line == NULL || dwarf_lineno(line, &s->frames[0].line) != 0)
    return;
  s->frames[0].file = dwarf_linesrc(line, NULL, NULL);
  s->frames[0].comp_dir =
      dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attr));
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

void source_find(struct source *s, const char *path, const char *build_id,
                 uint64_t offset)
{
  struct module *m = module_open(path, build_id);
  Dwarf_Addr address, bias = 0;
  Dwarf_Die *unit;

  memset(s, 0, sizeof(*s));
  if (m == NULL || m->mod == NULL || offset == 0)
    return;
  address = offset + m->bias - 1;
  unit = module_unit(m, address, &bias);
  if (unit != NULL) {
    source_add_line(s, unit, address - bias);
    source_add_functions(s, unit, address - bias);
  }
  if (s->n == 0 || s->frames[s->n - 1].function == NULL)
    source_add_symbol(s, m, address);
}

const char *source_file(const struct source_frame *f)
{
  size_t n = f->comp_dir != NULL ? strlen(f->comp_dir) : 0;
  const char *file = f->file != NULL ? f->file : "";

  if (n > 0 && strncmp(file, f->comp_dir, n) == 0 && file[n] == '/')
    file += n + 1;
  while (strncmp(file, "./", 2) == 0)
    file += 2;
  return file;
}

void source_use_debug_dir(const char *dir)
{
  debug_dir = dir;
  snprintf(debug_path_text, sizeof(debug_path_text),
           ":.debug:%s:/usr/lib/debug", dir);
}
