/* SPDX-License-Identifier: MIT */
/*
 * check_cfi.c - frame descriptions that are right, that are not understood, that
 *               are cut off, and that are wrong in any byte
 *
 * Tables are made here, at the end of a page behind which nothing can be read.
 */
#include "cfi.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_main.h"
#include "reader.h"

/* ---- numbers */

static const uint8_t numbers[] = {
  0xe5, 0x8e, 0x26, /* uleb 624485 */
  0x9b, 0xf1, 0x59, /* sleb -624485 */
  0x7f,             /* sleb -1 */
  0x3f,             /* sleb 63 */
  0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, /* 2^70 */
  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,       /* -1 */
};

START_TEST(test_leb)
  {
    struct gcx__reader r = { numbers, numbers + sizeof(numbers), false };

    ck_assert_uint_eq(gcx__read_uleb(&r), 624485);
    ck_assert_int_eq(gcx__read_sleb(&r), -624485);
    ck_assert_int_eq(gcx__read_sleb(&r), -1);
    ck_assert_int_eq(gcx__read_sleb(&r), 63);
    ck_assert_uint_eq(gcx__read_uleb(&r), 0); /* its bits are too high */
    ck_assert_int_eq(gcx__read_sleb(&r), -1);
    ck_assert(!r.failed && r.at == r.end);
    ck_assert_uint_eq(gcx__read_uleb(&r), 0);
    ck_assert(r.failed);
  }
END_TEST

START_TEST(test_past_the_end)
  {
    struct gcx__reader r = { numbers, numbers + 3, false };

    ck_assert_uint_eq(gcx__read_bytes(&r, 4), 0);
    ck_assert(r.failed && r.at == r.end);
    r = (struct gcx__reader){ numbers, numbers + 2, false }; /* a leb cut off */
    (void)gcx__read_sleb(&r);
    ck_assert(r.failed);
    r = (struct gcx__reader){ numbers, numbers + 3, false };
    gcx__read_skip(&r, 3);
    ck_assert(!r.failed);
    gcx__read_skip(&r, UINT64_MAX);
    ck_assert(r.failed && r.at == r.end);
  }
END_TEST

START_TEST(test_encodings)
  {
    static const uint8_t bytes[8] = { 0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0 };
    const uintptr_t at = (uintptr_t)bytes;
    const struct {
      unsigned encoding;
      uintptr_t value;
      bool fails;
    } cases[] = {
      { GCX_ENC_ABSOLUTE, 0x1fffffffe, false },
      { GCX_ENC_UDATA8, 0x1fffffffe, false },
      { GCX_ENC_SDATA8, 0x1fffffffe, false },
      { GCX_ENC_UDATA4, 0xfffffffe, false },
      { GCX_ENC_SDATA4, (uintptr_t)-2, false },
      { GCX_ENC_PC_RELATIVE | GCX_ENC_SDATA4, at - 2, false },
      { GCX_ENC_PC_RELATIVE | GCX_ENC_UDATA8, at + 0x1fffffffe, false },
      { 0x01, 0, true },                  /* uleb */
      { 0x30 | GCX_ENC_UDATA4, 0, true }, /* relative to data */
      { 0x80 | GCX_ENC_UDATA4, 0, true }, /* indirect */
    };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(cases); i++) {
      struct gcx__reader r = { bytes, bytes + 8, false };
      uintptr_t value = gcx__read_encoded(&r, cases[i].encoding);

      ck_assert_msg(r.failed == cases[i].fails, "encoding %x",
                    cases[i].encoding);
      if (!r.failed)
        ck_assert_msg(value == cases[i].value, "encoding %x",
                      cases[i].encoding);
    }
  }
END_TEST

#ifdef __x86_64__

/* ---- tables */

#define FUNCTION 0x10000 /* from the header on; nothing is there */
#define FUNCTION_BYTES 0x1000
#define MADE_MAX 1024

static uint8_t made[MADE_MAX];
static size_t made_bytes;
static size_t made_description; /* where the FDE begins */
static uint8_t *page;           /* the byte after it can't be read */

static void put(const void *bytes, size_t n)
{
  ck_assert_uint_le(made_bytes + n, MADE_MAX);
  memcpy(made + made_bytes, bytes, n);
  made_bytes += n;
}

static void put_number(int64_t value, size_t bytes)
{
  put(&value, bytes);
}

/* A record's length is known when it is whole. */
static size_t record_begin(void)
{
  put_number(0, 4);
  return made_bytes - 4;
}

static void record_end(size_t at)
{
  uint32_t length;

  while (made_bytes % 8 != 0)
    put_number(0, 1); /* DW_CFA_nop */
  length = (uint32_t)(made_bytes - at - 4);
  memcpy(made + at, &length, 4);
}

struct common_part {
  uint8_t version;
  const char *letters;
  uint8_t data[8]; /* of the augmentation, with its length */
  size_t data_bytes;
  uint8_t return_register;
  uint8_t code_align;
};

static const struct common_part usual = { 1, "zR", { 1, 0x1b }, 2, 16, 1 };

/* CFA = rsp + 8, return address at CFA - 8 */
static const uint8_t usual_start[] = { 0x0c, 7, 8, 0x90, 1 };

static void put_header(void)
{
  static const uint8_t head[4] = { 1, 0x1b, 0x03, 0x3b };

  made_bytes = 0;
  put(head, 4);
  put_number(0, 4); /* .eh_frame: not asked for */
  put_number(1, 4);
  put_number(FUNCTION, 4);
  put_number(0, 4); /* the FDE: later */
}

static size_t put_common(const struct common_part *c)
{
  size_t at = record_begin();

  put_number(0, 4);
  put(&c->version, 1);
  put(c->letters, strlen(c->letters) + 1);
  put(&c->code_align, 1);
  put_number(0x78, 1); /* data alignment -8 */
  put(&c->return_register, 1);
  put(c->data, c->data_bytes);
  put(usual_start, sizeof(usual_start));
  record_end(at);
  return at;
}

/* A table with one function, which @program describes. */
static void make(const struct common_part *c, const uint8_t *program, size_t n)
{
  size_t common, at;
  int32_t where;

  put_header();
  common = put_common(c);
  at = made_description = record_begin();
  put_number((int64_t)(made_bytes - common), 4);
  if (c->letters[0] == 'z' || c->letters[0] == '\0') {
    if (c->letters[0] == 'z')
      put_number(FUNCTION - (int64_t)made_bytes, 4);
    else
      put_number(0, 8); /* absolute: patched when it is placed */
    put_number(FUNCTION_BYTES, c->letters[0] == 'z' ? 4 : 8);
  }
  if (c->letters[0] == 'z')
    put_number(0, 1);
  put(program, n);
  record_end(at);
  where = (int32_t)at;
  memcpy(made + 16, &where, 4);
}

static void setup(void)
{
  size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *pages = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  ck_assert_ptr_ne(pages, MAP_FAILED);
  ck_assert_int_eq(mprotect(pages + bytes, bytes, PROT_NONE), 0);
  page = pages + bytes;
}

/* The first @n bytes of what was made, up to the end of the page; rows of a table
 * are words. */
static struct gcx__cfi_table place(size_t n)
{
  uint8_t *at = page - (n + 3) / 4 * 4;

  memcpy(at, made, n);
  return (struct gcx__cfi_table){ at, GCX_MIN(n, (size_t)20), at, at + n };
}

static bool ask(size_t n, uintptr_t offset, struct gcx__cfi *ret_cfi)
{
  struct gcx__cfi_table table = place(n);

  return gcx__cfi_read(&table, (uintptr_t)table.header + FUNCTION + offset,
                       ret_cfi);
}

static void demand(uintptr_t offset, enum gcx__cfi_kind kind, uint32_t cfa,
                   uint32_t fp_at)
{
  struct gcx__cfi cfi = { GCX_CFI_END, 77, 77 };

  ck_assert_msg(ask(made_bytes, offset, &cfi), "nothing at %zu",
                (size_t)offset);
  ck_assert_msg(cfi.kind == kind && cfi.cfa_offset == cfa && cfi.fp_at == fp_at,
                "at %zu: %d %u %u", (size_t)offset, (int)cfi.kind,
                cfi.cfa_offset, cfi.fp_at);
}

static void demand_nothing(const char *what, uintptr_t offset)
{
  struct gcx__cfi cfi = { GCX_CFI_END, 77, 77 };

  ck_assert_msg(!ask(made_bytes, offset, &cfi), "%s: an answer", what);
  ck_assert_uint_eq(cfi.cfa_offset, 77);
}

#define PROGRAM(...)                                    \
  do {                                                  \
    static const uint8_t program_bytes[] = __VA_ARGS__; \
    make(&usual, program_bytes, sizeof(program_bytes)); \
  } while (0)

START_TEST(test_usual_function)
  {
    /* push %rbp; mov %rsp,%rbp; ...; pop %rbp */
    PROGRAM({ 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 100, 0x0a, 0xc6,
              0x0c, 7, 8, 0x41, 0x0b, 0x41 });
    demand(0, GCX_CFI_SP, 8, 0);
    demand(1, GCX_CFI_SP, 16, 16);
    demand(3, GCX_CFI_SP, 16, 16);
    demand(4, GCX_CFI_FP, 16, 16);
    demand(103, GCX_CFI_FP, 16, 16);
    demand(104, GCX_CFI_SP, 8, 0);
    demand(105, GCX_CFI_FP, 16, 16);
    demand(FUNCTION_BYTES - 1, GCX_CFI_FP, 16, 16);
    demand_nothing("behind the function", FUNCTION_BYTES);
    demand_nothing("before the function", (uintptr_t)-1);
  }
END_TEST

START_TEST(test_long_forms)
  {
    PROGRAM({ 0x03, 0x00, 0x01, 0x05, 6, 2, 0x0e, 0x80, 0x01 }); /* 256 */
    demand(255, GCX_CFI_SP, 8, 0);
    demand(256, GCX_CFI_SP, 128, 16);
    PROGRAM({ 0x04, 0x00, 0x02, 0, 0, 0x11, 6, 3, 0x12, 7, 0x7c }); /* 512 */
    demand(512, GCX_CFI_SP, 32, 24);
    PROGRAM({ 0x13, 0x7e, 0x2e, 0x10, 0x86, 2, 0x41, 0x06, 6 });
    demand(0, GCX_CFI_SP, 16, 16);
    demand(1, GCX_CFI_SP, 16, 0);
    PROGRAM({ 0x86, 2, 0x0e, 16, 0x08, 6 });
    demand(0, GCX_CFI_SP, 16, 0);
  }
END_TEST

START_TEST(test_outermost)
  {
    PROGRAM({ 0x07, 16 });
    demand(0, GCX_CFI_END, 0, 0);
  }
END_TEST

/* Other registers may be anywhere. */
START_TEST(test_what_does_not_matter)
  {
    PROGRAM({ 0x10, 3,  2,    0x77, 0x00, 0x16, 12,   1,  0x30,
              0x09, 13, 3,    0x14, 14,   1,    0x15, 15, 0x7f,
              0x83, 4,  0x07, 3,    0xc3, 0x06, 12 });
    demand(0, GCX_CFI_SP, 8, 0);
  }
END_TEST

START_TEST(test_not_understood)
  {
    PROGRAM({ 0x0f, 1, 0x9c });
    demand_nothing("the CFA is an expression", 0);
    PROGRAM({ 0x0d, 10 });
    demand_nothing("the CFA in another register", 0);
    PROGRAM({ 0x0e, 0 });
    demand_nothing("no room for the return address", 0);
    PROGRAM({ 0x90, 2 });
    demand_nothing("the return address elsewhere", 0);
    PROGRAM({ 0x08, 16 });
    demand_nothing("the return address in its register", 0);
    PROGRAM({ 0x10, 16, 1, 0x30 });
    demand_nothing("the return address is an expression", 0);
    PROGRAM({ 0x09, 6, 3 });
    demand_nothing("the frame pointer in another register", 0);
    PROGRAM({ 0x86, 1 });
    demand_nothing("the frame pointer over the return address", 0);
    PROGRAM({ 0x11, 6, 0x7e });
    demand_nothing("the frame pointer above the CFA", 0);
    PROGRAM({ 0x3f });
    demand_nothing("an instruction that does not exist", 0);
    PROGRAM({ 0x0b });
    demand_nothing("a state that was not remembered", 0);
    PROGRAM({ 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a });
    demand_nothing("more states than fit", 0);
    PROGRAM({ 0x10, 3, 0xff, 0x7f });
    demand_nothing("an expression without an end", 0);
  }
END_TEST

static void demand_common(const struct common_part *c, const char *refused)
{
  static const uint8_t program[] = { 0x0e, 24 };

  make(c, program, sizeof(program));
  if (refused == NULL)
    demand(0, GCX_CFI_SP, 24, 0);
  else
    demand_nothing(refused, 0);
}

START_TEST(test_common_parts)
  {
    struct common_part c = usual;

    demand_common(&c, NULL);
    c.version = 3;
    demand_common(&c, NULL);
    c.version = 4;
    demand_common(&c, "an unknown version");
    c = usual;
    c.return_register = 30;
    demand_common(&c, "another return register");
    c = (struct common_part){ 1, "zPLR", { 7, 0x1b, 1, 2, 3, 4, 0x1b, 0x1b },
                              8, 16,     1 };
    demand_common(&c, NULL);
    c.letters = "zRS";
    demand_common(&c, "a signal frame");
    c.letters = "zX";
    demand_common(&c, "an unknown letter");
    c.letters = "eh";
    demand_common(&c, "an unknown augmentation");
  }
END_TEST

START_TEST(test_addresses_in_full)
  {
    const struct common_part c = { 1, "", { 0 }, 0, 16, 1 };
    static const uint8_t program[] = { 0x0e, 40 };
    uint64_t function;

    make(&c, program, sizeof(program));
    function = (uintptr_t)place(made_bytes).header + FUNCTION;
    memcpy(made + made_description + 8, &function, 8);
    demand(0, GCX_CFI_SP, 40, 0);
    demand_nothing("behind the function", FUNCTION_BYTES);
  }
END_TEST

/* Instructions that cover several bytes of code each. */
START_TEST(test_code_alignment)
  {
    struct common_part c = usual;
    static const uint8_t program[] = { 0x44, 0x0e, 16 };

    c.code_align = 4;
    make(&c, program, sizeof(program));
    demand(15, GCX_CFI_SP, 8, 0);
    demand(16, GCX_CFI_SP, 16, 0);
  }
END_TEST

static void demand_refused(size_t at, uint32_t value, size_t bytes,
                           const char *what)
{
  PROGRAM({ 0x0e, 16 });
  demand(0, GCX_CFI_SP, 16, 0);
  memcpy(made + at, &value, bytes);
  demand_nothing(what, 0);
}

START_TEST(test_wrong_tables)
  {
    size_t at;

    PROGRAM({ 0x0e, 16 });
    at = made_description;
    demand_refused(0, 2, 1, "an unknown version");
    demand_refused(1, 0x31, 1, "an unknown encoding of the pointer");
    demand_refused(2, 0xff, 1, "no number of rows");
    demand_refused(3, 0x1b, 1, "rows of another form");
    demand_refused(8, 0, 4, "no rows");
    demand_refused(8, 1000, 4, "more rows than there are");
    demand_refused(16, 100000, 4, "a description outside");
    demand_refused(16, 0x80000000u, 4, "a description before everything");
    demand_refused(at, 0, 4, "a description of no length");
    demand_refused(at, 0xffffffffu, 4, "a description of any length");
    demand_refused(at, 5, 4, "a description that is cut off");
    demand_refused(at + 4, 0x7fffffff, 4, "a common part outside");
    demand_refused(at + 4, 4, 4, "a common part that is none");
  }
END_TEST

/* Not one byte more is read than there is. */
START_TEST(test_cut_off)
  {
    PROGRAM({ 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6 });
    for (size_t n = 0; n < made_bytes; n++) {
      struct gcx__cfi cfi = { GCX_CFI_END, 77, 77 };

      ck_assert_msg(!ask(n, 4, &cfi), "an answer from %zu bytes of %zu", n,
                    made_bytes);
    }
    demand(4, GCX_CFI_FP, 16, 16);
  }
END_TEST

/* It may be a wrong answer, and is one of the three kinds. */
START_TEST(test_any_byte_wrong)
  {
    PROGRAM({ 0x41, 0x0e, 16, 0x86, 2, 0x0a, 0x43, 0x0d, 6, 0x0b, 0x10, 3, 1,
              0x30, 0x0f, 1, 0x30 });
    for (size_t i = 0; i < made_bytes; i++) {
      uint8_t right = made[i];

      for (int wrong = 0; wrong < 256; wrong++) {
        struct gcx__cfi cfi = { GCX_CFI_END, 8, 0 };

        made[i] = (uint8_t)wrong;
        (void)ask(made_bytes, 4, &cfi);
        ck_assert(cfi.kind == GCX_CFI_END || cfi.cfa_offset >= 8);
        ck_assert(cfi.kind <= GCX_CFI_END);
      }
      made[i] = right;
    }
  }
END_TEST

#endif

/* ---- of this process */

START_TEST(test_no_description)
  {
    struct gcx__cfi cfi;
    int on_the_stack = 0;

    ck_assert(!gcx__cfi_find(16, &cfi));
    ck_assert(!gcx__cfi_find((uintptr_t)&on_the_stack, &cfi));
    ck_assert(!gcx__cfi_find((uintptr_t)numbers, &cfi)); /* data of a module */
  }
END_TEST

static Suite *cfi_suite(void)
{
  Suite *s = suite_create("cfi");
  TCase *c = tcase_create("cfi");

  tcase_add_test(c, test_leb);
  tcase_add_test(c, test_past_the_end);
  tcase_add_test(c, test_encodings);
#ifdef __x86_64__
  tcase_add_unchecked_fixture(c, setup, NULL);
  tcase_add_test(c, test_usual_function);
  tcase_add_test(c, test_long_forms);
  tcase_add_test(c, test_outermost);
  tcase_add_test(c, test_what_does_not_matter);
  tcase_add_test(c, test_not_understood);
  tcase_add_test(c, test_common_parts);
  tcase_add_test(c, test_addresses_in_full);
  tcase_add_test(c, test_code_alignment);
  tcase_add_test(c, test_wrong_tables);
  tcase_add_test(c, test_cut_off);
  tcase_add_test(c, test_any_byte_wrong);
#endif
  tcase_add_test(c, test_no_description);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(cfi_suite);
