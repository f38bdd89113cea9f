/* SPDX-License-Identifier: MIT */
/*
 * check_contract.c - the public interface, name by name, type by type
 *
 * Programs are compiled against these names and signatures. A row that no longer
 * compiles is an interface that changed: that takes a new SONAME, not a new row.
 */
#include <gcx.h>
#include "check_main.h"

#include <dlfcn.h>
#include <string.h>

#define CONTRACT(X)                                                           \
  /* objects */                                                               \
  X(void *, gcx_alloc, (size_t))                                              \
  X(void *, gcx_alloc_atomic, (size_t))                                       \
  X(void *, gcx_alloc_managed, (size_t))                                      \
  X(void *, gcx_calloc, (size_t, size_t))                                     \
  X(void *, gcx_realloc, (void *, size_t))                                    \
  X(void *, gcx_aligned_alloc, (size_t, size_t))                              \
  X(char *, gcx_strdup, (const char *))                                       \
  X(char *, gcx_strndup, (const char *, size_t))                              \
  X(size_t, gcx_size, (const void *))                                         \
  X(void *, gcx_new, (const struct gcx_type *))                               \
  X(void *, gcx_new_extra, (const struct gcx_type *, size_t))                 \
  X(void, gcx_dispose, (void *))                                              \
  X(int, gcx_close, (void *))                                                 \
  X(void, gcx_discard, (void *))                                              \
  X(bool, gcx_is_disposed, (const void *))                                    \
  X(void *, gcx_require_live, (void *))                                       \
  X(int, gcx_own, (void *, void *))                                           \
  X(void, gcx_disown, (void *, void *))                                       \
  X(void, gcx_dispose_owned, (void *))                                        \
  X(void, gcx_suppress_finalize, (void *))                                    \
  X(void, gcx_reregister_finalize, (void *))                                  \
  X(void, gcx_keep_alive, (const void *))                                     \
  X(void, gcx_touch, (const void *, const char *))                            \
  /* collector */                                                             \
  X(void, gcx_init, (void))                                                   \
  X(void, gcx_collect, (void))                                                \
  X(bool, gcx_wait_for_finalizers, (uint64_t))                                \
  X(size_t, gcx_check, (void))                                                \
  X(int, gcx_verdict, (void))                                                 \
  X(void, gcx_breadcrumb, (const char *, ...))                                \
  X(void, gcx_fork_adopt, (void))                                             \
  X(bool, gcx_shutting_down, (void))                                          \
  X(void, gcx_pressure_add, (size_t))                                         \
  X(void, gcx_pressure_remove, (size_t))                                      \
  X(int, gcx_no_gc_begin, (size_t))                                           \
  X(int, gcx_no_gc_end, (void))                                               \
  X(int, gcx_root_add, (void *, size_t))                                      \
  X(void, gcx_root_remove, (void *, size_t))                                  \
  X(struct gcx_hold *, gcx_hold_create, (void *))                             \
  X(void *, gcx_hold_get, (const struct gcx_hold *))                          \
  /* weak things */                                                           \
  X(struct gcx_weak *, gcx_weak_create, (void *, int))                        \
  X(void *, gcx_weak_get, (const struct gcx_weak *))                          \
  X(int, gcx_weak_set, (struct gcx_weak *, void *))                           \
  X(struct gcx_table *, gcx_table_create, (unsigned))                         \
  X(int, gcx_table_add, (struct gcx_table *, const void *, void *))           \
  X(int, gcx_table_set, (struct gcx_table *, const void *, void *))           \
  X(void *, gcx_table_get, (struct gcx_table *, const void *))                \
  X(bool, gcx_table_find, (struct gcx_table *, const void *, void **))        \
  X(int, gcx_table_get_or_add,                                                \
    (struct gcx_table *, const void *, gcx_make_fn, void *, void **))         \
  X(bool, gcx_table_remove, (struct gcx_table *, const void *))               \
  X(void, gcx_table_clear, (struct gcx_table *))                              \
  X(size_t, gcx_table_count, (struct gcx_table *))                            \
  X(void, gcx_table_iter_init, (struct gcx_table_iter *, struct gcx_table *)) \
  X(bool, gcx_table_iter_next, (struct gcx_table_iter *, void **, void **))   \
  X(struct gcx_dependent *, gcx_dependent_create, (void *, void *))           \
  /* resources */                                                             \
  X(struct gcx_handle *, gcx_handle_create,                                   \
    (const struct gcx_handle_type *, intptr_t, bool))                         \
  X(bool, gcx_handle_acquire, (struct gcx_handle *, intptr_t *))              \
  X(void, gcx_handle_release, (struct gcx_handle *))                          \
  X(void, gcx_handle_set_invalid, (struct gcx_handle *))                      \
  X(bool, gcx_handle_is_invalid, (const struct gcx_handle *))                 \
  X(bool, gcx_handle_is_closed, (const struct gcx_handle *))                  \
  X(struct gcx_pool *, gcx_pool_create, (const struct gcx_pool_config *))     \
  X(void *, gcx_pool_take, (struct gcx_pool *, size_t))                       \
  X(void, gcx_pool_return, (struct gcx_pool *, void *))                       \
  /* findings */                                                              \
  X(int, gcx_handler_add, (gcx_report_fn, void *))                            \
  X(void, gcx_handler_remove, (gcx_report_fn, void *))

/* Here the compiler compares: a function of another type is an error. */
#define CONTRACT_POINTER(ret, name, args) \
  static ret(*const at_##name) args = name;
CONTRACT(CONTRACT_POINTER)

struct row {
  const char *name;
  void *at;
};

static size_t rows(struct row *ret_rows)
{
  size_t n = 0;

#define CONTRACT_ROW(ret, f, args) \
  ret_rows[n].name = #f;           \
  memcpy(&ret_rows[n++].at, &at_##f, sizeof at_##f);
  CONTRACT(CONTRACT_ROW)
  return n;
}

#define CONTRACT_ONE(ret, name, args) +1
static const size_t all = 0 CONTRACT(CONTRACT_ONE);

/* What was linked is what a program that loads libgcx by name gets. */
START_TEST(test_every_function_is_exported)
  {
    struct row r[0 CONTRACT(CONTRACT_ONE)];

    ck_assert_uint_eq(rows(r), all);
    for (size_t i = 0; i < all; i++) {
      Dl_info info;

      ck_assert_msg(dlsym(RTLD_DEFAULT, r[i].name) == r[i].at, "%s", r[i].name);
      ck_assert_int_ne(dladdr(r[i].at, &info), 0);
      ck_assert_ptr_nonnull(strstr(info.dli_fname, "libgcx"));
    }
  }
END_TEST

/* The constants have a value each. */
START_TEST(test_constants)
  {
    const unsigned flags[] = { GCX_TYPE_ATOMIC, GCX_TYPE_CRITICAL,
                               GCX_TYPE_SECRET, GCX_TYPE_OPTIONAL };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
      for (size_t j = 0; j < i; j++)
        ck_assert_uint_eq(flags[i] & flags[j], 0);
    ck_assert_int_eq(GCX_CLEAN, 0);
    ck_assert_int_eq(GCX_ABANDONED, 1);
    ck_assert_int_eq(GCX_INDETERMINATE, 2);
    ck_assert_int_ne(GCX_WEAK_SHORT, GCX_WEAK_LONG);
    ck_assert_uint_ne(GCX_TABLE_BORROWS, 0);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("contract");
  TCase *c = tcase_create("contract");

  tcase_add_test(c, test_every_function_is_exported);
  tcase_add_test(c, test_constants);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
