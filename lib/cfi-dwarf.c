/* SPDX-License-Identifier: MIT */
/*
 * cfi-dwarf.c - an interpreter of .eh_frame for the simplest frames
 *
 * Finds the description of an address through the sorted table in
 * .eh_frame_hdr and runs its instructions up to that address, keeping the three
 * things that matter: the rule of the CFA, of the frame pointer, and of the
 * return address. All else is skipped. What isn't understood makes the answer
 * "no", never a guess: expressions, other registers, signal frames, tables of
 * an unusual encoding.
 *
 * Runs inside dl_iterate_phdr(): no memory, no lock.
 */
#include "cfi.h"
#include "reader.h"

#if defined(__x86_64__)

enum { REG_FP = 6, REG_SP = 7, REG_RA = 16 };

enum {
  CFA_ADVANCE = 0x40,
  CFA_OFFSET = 0x80,
  CFA_RESTORE = 0xc0,
  CFA_NOP = 0x00,
  CFA_ADVANCE1 = 0x02,
  CFA_ADVANCE2 = 0x03,
  CFA_ADVANCE4 = 0x04,
  CFA_OFFSET_EXTENDED = 0x05,
  CFA_RESTORE_EXTENDED = 0x06,
  CFA_UNDEFINED = 0x07,
  CFA_SAME_VALUE = 0x08,
  CFA_REGISTER = 0x09,
  CFA_REMEMBER = 0x0a,
  CFA_RESTORE_STATE = 0x0b,
  CFA_DEF = 0x0c,
  CFA_DEF_REGISTER = 0x0d,
  CFA_DEF_OFFSET = 0x0e,
  CFA_DEF_EXPRESSION = 0x0f,
  CFA_EXPRESSION = 0x10,
  CFA_OFFSET_EXTENDED_SF = 0x11,
  CFA_DEF_SF = 0x12,
  CFA_DEF_OFFSET_SF = 0x13,
  CFA_VAL_OFFSET = 0x14,
  CFA_VAL_OFFSET_SF = 0x15,
  CFA_VAL_EXPRESSION = 0x16,
  CFA_GNU_ARGS_SIZE = 0x2e
};

#define CFI_STATES 8 /* depth of remember_state */

/* ------------------------------------------------------------- descriptions */

/* Common part of the descriptions of many functions. */
struct common {
  uint64_t code_align;
  int64_t data_align;
  unsigned encoding; /* of addresses in the descriptions */
  bool has_length;   /* they have augmentation data of their own */
  struct gcx__reader program;
};

/* The record at @at, less its length, with which it begins. */
static struct gcx__reader record_at(const struct gcx__cfi_table *table,
                                    uintptr_t at)
{
  uintptr_t low = (uintptr_t)table->low, high = (uintptr_t)table->high;
  struct gcx__reader r = { table->low, table->low, true };
  uint64_t length;

  if (at < low || at >= high)
    return r;
  r = (struct gcx__reader){ table->low + (at - low), table->high, false };
  length = gcx__read_bytes(&r, 4);
  if (length == 0 || length > (uint64_t)(r.end - r.at))
    r.failed = true;
  r.end = r.failed ? r.at : r.at + length;
  return r;
}

static void common_augmentation(struct common *c, struct gcx__reader *r,
                                const char *letters)
{
  uint64_t length = gcx__read_uleb(r);
  const uint8_t *after = r->at + GCX_MIN(length, (uint64_t)(r->end - r->at));

  for (const char *l = letters; *l != '\0' && !r->failed; l++) {
    if (*l == 'R') {
      c->encoding = (unsigned)gcx__read_bytes(r, 1);
    } else if (*l == 'P') {
      (void)gcx__read_encoded(r, (unsigned)gcx__read_bytes(r, 1) & 0x7f);
    } else if (*l == 'L') {
      (void)gcx__read_bytes(r, 1);
    } else {
      r->failed = true; /* 'S', a signal frame, and what is unknown */
    }
  }
  r->at = after;
}

static bool common_read(const struct gcx__cfi_table *table, uintptr_t at,
                        struct common *ret_common)
{
  struct common c = { .encoding = GCX_ENC_ABSOLUTE };
  struct gcx__reader r = record_at(table, at);
  const char *letters;
  unsigned version;

  if (gcx__read_bytes(&r, 4) != 0) {
    return false;
  }
  version = (unsigned)gcx__read_bytes(&r, 1);
  letters = (const char *)r.at;
  while (gcx__read_bytes(&r, 1) != 0 && !r.failed) {
  }
  c.code_align = gcx__read_uleb(&r);
  c.data_align = gcx__read_sleb(&r);
  if ((version == 1 ? gcx__read_bytes(&r, 1) : gcx__read_uleb(&r)) != REG_RA) {
    return false;
  }
  if (!r.failed && *letters == 'z') {
    c.has_length = true;
    common_augmentation(&c, &r, letters + 1);
  } else if (!r.failed && *letters != '\0') {
    return false;
  }
  c.program = r;
  *ret_common = c;
  return !r.failed && (version == 1 || version == 3);
}

/* ------------------------------------------------------------------ machine */

enum saved {
  SAVED_SAME,    /* still in the register */
  SAVED_AT,      /* in memory, at CFA + offset */
  SAVED_NOWHERE, /* undefined: of the return address, no caller */
  SAVED_OTHER    /* anything else */
};

struct register_rule {
  enum saved how;
  int64_t offset;
};

struct row {
  uint64_t cfa_register;
  int64_t cfa_offset;
  bool cfa_other; /* an expression */
  struct register_rule fp;
  struct register_rule ra;
};

struct machine {
  const struct common *common;
  uintptr_t location;
  uintptr_t target; /* run until the row that covers it is complete */
  struct row row;
  struct row initial;
  struct row states[CFI_STATES];
  unsigned depth;
};

static void set_register(struct machine *m, uint64_t reg, enum saved how,
                         int64_t offset)
{
  struct register_rule rule = { how, offset };

  if (reg == REG_FP) {
    m->row.fp = rule;
  } else if (reg == REG_RA) {
    m->row.ra = rule;
  }
}

static void restore_register(struct machine *m, uint64_t reg)
{
  if (reg == REG_FP) {
    m->row.fp = m->initial.fp;
  } else if (reg == REG_RA) {
    m->row.ra = m->initial.ra;
  }
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
  m->row.cfa_register = reg;
  m->row.cfa_offset = offset;
  m->row.cfa_other = false;
}

static void keep_state(struct machine *m, struct gcx__reader *r, bool remember)
{
  if (remember && m->depth < CFI_STATES) {
    m->states[m->depth++] = m->row;
  } else if (!remember && m->depth > 0) {
    m->row = m->states[--m->depth];
  } else {
    r->failed = true;
  }
}

/* Where a description says @n. Nonsense wraps, and is found out by its use. */
static int64_t factored(const struct machine *m, uint64_t n)
{
  return (int64_t)(n * (uint64_t)m->common->data_align);
}

/* Instructions about where a register is. False: not one of them. */
static bool run_register(struct machine *m, struct gcx__reader *r, unsigned op)
{
  uint64_t reg;

  switch (op) {
  case CFA_OFFSET_EXTENDED:
    reg = gcx__read_uleb(r);
    set_register(m, reg, SAVED_AT, factored(m, gcx__read_uleb(r)));
    return true;
  case CFA_OFFSET_EXTENDED_SF:
    reg = gcx__read_uleb(r);
    set_register(m, reg, SAVED_AT, factored(m, (uint64_t)gcx__read_sleb(r)));
    return true;
  case CFA_RESTORE_EXTENDED:
    restore_register(m, gcx__read_uleb(r));
    return true;
  case CFA_UNDEFINED:
    set_register(m, gcx__read_uleb(r), SAVED_NOWHERE, 0);
    return true;
  case CFA_SAME_VALUE:
    set_register(m, gcx__read_uleb(r), SAVED_SAME, 0);
    return true;
  case CFA_REGISTER:
  case CFA_VAL_OFFSET:
  case CFA_VAL_OFFSET_SF:
    set_register(m, gcx__read_uleb(r), SAVED_OTHER, 0);
    (void)gcx__read_uleb(r); /* as long as a signed one */
    return true;
  case CFA_EXPRESSION:
  case CFA_VAL_EXPRESSION:
    set_register(m, gcx__read_uleb(r), SAVED_OTHER, 0);
    gcx__read_skip(r, gcx__read_uleb(r));
    return true;
  default:
    return false;
  }
}

/* Instructions about the CFA. False: not one of them. */
static bool run_cfa(struct machine *m, struct gcx__reader *r, unsigned op)
{
  uint64_t reg;

  switch (op) {
  case CFA_DEF:
    reg = gcx__read_uleb(r);
    set_cfa(m, reg, (int64_t)gcx__read_uleb(r));
    return true;
  case CFA_DEF_SF:
    reg = gcx__read_uleb(r);
    set_cfa(m, reg, factored(m, (uint64_t)gcx__read_sleb(r)));
    return true;
  case CFA_DEF_REGISTER:
    m->row.cfa_register = gcx__read_uleb(r);
    return true;
  case CFA_DEF_OFFSET:
    m->row.cfa_offset = (int64_t)gcx__read_uleb(r);
    return true;
  case CFA_DEF_OFFSET_SF:
    m->row.cfa_offset = factored(m, (uint64_t)gcx__read_sleb(r));
    return true;
  case CFA_DEF_EXPRESSION:
    m->row.cfa_other = true;
    gcx__read_skip(r, gcx__read_uleb(r));
    return true;
  default:
    return false;
  }
}

static void run_one(struct machine *m, struct gcx__reader *r)
{
  unsigned op = (unsigned)gcx__read_bytes(r, 1);
  unsigned low = op & 0x3f;

  if ((op & 0xc0) == CFA_ADVANCE) {
    m->location += low * m->common->code_align;
  } else if ((op & 0xc0) == CFA_OFFSET) {
    set_register(m, low, SAVED_AT, factored(m, gcx__read_uleb(r)));
  } else if ((op & 0xc0) == CFA_RESTORE) {
    restore_register(m, low);
  } else if (op >= CFA_ADVANCE1 && op <= CFA_ADVANCE4) {
    m->location += gcx__read_bytes(r, (size_t)1 << (op - CFA_ADVANCE1)) *
                   m->common->code_align;
  } else if (op == CFA_REMEMBER || op == CFA_RESTORE_STATE) {
    keep_state(m, r, op == CFA_REMEMBER);
  } else if (op == CFA_GNU_ARGS_SIZE) {
    (void)gcx__read_uleb(r);
  } else if (op != CFA_NOP && !run_register(m, r, op) && !run_cfa(m, r, op)) {
    r->failed = true;
  }
}

/* False: something in it is not understood. */
static bool run(struct machine *m, struct gcx__reader program)
{
  while (program.at < program.end && !program.failed &&
         m->location <= m->target) {
    run_one(m, &program);
  }
  return !program.failed;
}

/* ------------------------------------------------------------------- answer */

static bool row_simplify(const struct row *row, struct gcx__cfi *ret_cfi)
{
  struct gcx__cfi c = { GCX_CFI_END, 0, 0 };

  if (row->ra.how == SAVED_NOWHERE) {
    *ret_cfi = c;
    return true;
  }
  if (row->cfa_other || row->cfa_offset < 8 || row->cfa_offset > INT32_MAX ||
      (row->cfa_register != REG_SP && row->cfa_register != REG_FP) ||
      row->ra.how != SAVED_AT || row->ra.offset != -8 ||
      (row->fp.how != SAVED_SAME && row->fp.how != SAVED_AT)) {
    return false;
  }
  c.kind = row->cfa_register == REG_SP ? GCX_CFI_SP : GCX_CFI_FP;
  c.cfa_offset = (uint32_t)row->cfa_offset;
  if (row->fp.how == SAVED_AT) {
    if (row->fp.offset > -16 || row->fp.offset < INT32_MIN) {
      return false;
    }
    c.fp_at = (uint32_t)-row->fp.offset;
  }
  *ret_cfi = c;
  return true;
}

/* @at: the description (FDE) of the function that may contain @target. */
static bool description_read(const struct gcx__cfi_table *table, uintptr_t at,
                             uintptr_t target, struct gcx__cfi *ret_cfi)
{
  struct gcx__reader r = record_at(table, at);
  uintptr_t here = (uintptr_t)r.at;
  struct common c;
  struct machine m = { .target = target };
  uintptr_t length;

  if (!common_read(table, here - gcx__read_bytes(&r, 4), &c)) {
    return false;
  }
  m.common = &c;
  m.location = gcx__read_encoded(&r, c.encoding);
  length = gcx__read_encoded(&r, c.encoding & 0x0f);
  if (r.failed || target < m.location || target - m.location >= length) {
    return false;
  }
  if (c.has_length) {
    gcx__read_skip(&r, gcx__read_uleb(&r));
  }
  if (!run(&m, c.program)) {
    return false;
  }
  m.initial = m.row;
  return run(&m, r) && row_simplify(&m.row, ret_cfi);
}

/* What .eh_frame_hdr holds after its first four bytes and the pointer. */
struct table_row {
  int32_t start; /* both relative to the header */
  int32_t description;
};

/* Last row whose function starts at or below @target; NULL if there is none. */
static const struct table_row *table_search(const struct table_row *rows,
                                            size_t n, uintptr_t header,
                                            uintptr_t target)
{
  size_t low = 0, high = n;

  while (low < high) {
    size_t middle = low + (high - low) / 2;

    if (header + (uintptr_t)(intptr_t)rows[middle].start <= target) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? NULL : &rows[low - 1];
}

bool gcx__cfi_read(const struct gcx__cfi_table *table, uintptr_t target,
                   struct gcx__cfi *ret_cfi)
{
  uintptr_t header = (uintptr_t)table->header;
  struct gcx__reader r = { table->header, table->header + table->bytes, false };
  unsigned version = (unsigned)gcx__read_bytes(&r, 1);
  unsigned pointer_encoding = (unsigned)gcx__read_bytes(&r, 1);
  unsigned count_encoding = (unsigned)gcx__read_bytes(&r, 1);
  unsigned table_encoding = (unsigned)gcx__read_bytes(&r, 1);
  const struct table_row *row;
  size_t n;

  (void)gcx__read_encoded(&r, pointer_encoding);
  n = gcx__read_encoded(&r, count_encoding);
  if (r.failed || version != 1 || table_encoding != GCX_ENC_TABLE ||
      (uintptr_t)r.at % sizeof(int32_t) != 0 ||
      n > (size_t)(r.end - r.at) / sizeof(*row)) {
    return false;
  }
  row = table_search((const struct table_row *)(const void *)r.at, n, header,
                     target);
  return row != NULL &&
         description_read(table, header + (uintptr_t)(intptr_t)row->description,
                          target, ret_cfi);
}

#else

bool gcx__cfi_read(const struct gcx__cfi_table *table, uintptr_t target,
                   struct gcx__cfi *ret_cfi)
{
  (void)table;
  (void)target;
  (void)ret_cfi;
  return false;
}

#endif
