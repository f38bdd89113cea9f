/* SPDX-License-Identifier: MIT */
/* check_object.c - allocation functions, sizes, types, resizing, secrets */
#include "objects.h"

#include <stdio.h>

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- plain allocations */

typedef void *(*alloc_fn)(size_t bytes);

static void *alloc_by_calloc(size_t bytes)
{
  return gcx_calloc(1, bytes);
}

static void *alloc_by_realloc(size_t bytes)
{
  return gcx_realloc(NULL, bytes);
}

static void *alloc_by_alignment(size_t bytes)
{
  return gcx_aligned_alloc(16, bytes);
}

static const alloc_fn alloc_functions[] = {
  gcx_alloc,       gcx_alloc_atomic, gcx_alloc_managed,
  alloc_by_calloc, alloc_by_realloc, alloc_by_alignment,
};
#define FUNCTIONS ((int)GCX_ARRAY_LENGTH(alloc_functions))

#define SIZES 4200

START_TEST(test_zeroed_aligned_and_separate)
  {
    static unsigned char *object[SIZES];

    for (size_t round = 0; round < 2; round++) {
      for (size_t i = 0; i < SIZES; i++) {
        object[i] = alloc_functions[_i](i);
        ck_assert_ptr_nonnull(object[i]);
        ck_assert_uint_eq((uintptr_t)object[i] % 16, 0);
        ck_assert_uint_eq(gcx_size(object[i]), i);
        ck_assert(is_zero(object[i], i));
        memset(object[i], (int)(i % 251) + 1, i);
      }
      for (size_t i = 0; i < SIZES; i++) {
        ck_assert(is_all(object[i], i, (unsigned char)(i % 251 + 1)));
        gcx_dispose(object[i]);
        ck_assert(gcx_is_disposed(object[i]));
        object[i] = NULL;
      }
      gcx_collect(); /* the next round gets used memory */
    }
  }
END_TEST

START_TEST(test_large)
  {
    for (size_t bytes = 5000; bytes < (8u << 20); bytes = bytes * 3 / 2) {
      unsigned char *p = alloc_functions[_i](bytes);

      ck_assert_ptr_nonnull(p);
      ck_assert_uint_eq((uintptr_t)p % 16, 0);
      ck_assert_uint_eq(gcx_size(p), bytes);
      ck_assert(is_zero(p, bytes));
      memset(p, 0xff, bytes);
      ck_assert_uint_eq(number_of(p), number_of(p));
      gcx_dispose(p);
    }
  }
END_TEST

START_TEST(test_nothing_bytes_are_objects_of_their_own)
  {
    char *a = alloc_functions[_i](0), *b = alloc_functions[_i](0);

    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_ne(a, b);
    ck_assert_uint_eq(gcx_size(a), 0);
    gcx_dispose(a);
    ck_assert(gcx_is_disposed(a));
    ck_assert(!gcx_is_disposed(b));
    gcx_dispose(b);
  }
END_TEST

START_TEST(test_sizes_that_cannot_be_had)
  {
    const size_t sizes[] = {
      SIZE_MAX,
      SIZE_MAX - 1,
      SIZE_MAX - 7,
      SIZE_MAX - 8,
      SIZE_MAX - 15,
      SIZE_MAX - 16,
      SIZE_MAX - 4096,
      (size_t)PTRDIFF_MAX,
      (size_t)PTRDIFF_MAX + 1,
      SIZE_MAX / 2 - 8,
      (size_t)PTRDIFF_MAX / 2,
      SIZE_MAX / 4 + 1,
      SIZE_MAX / 4,
      (size_t)1 << 60,
    };

    objects_be_quiet(); /* the collector warns */
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++) {
      errno = 0;
      ck_assert_ptr_null(alloc_functions[_i](opaque_size(sizes[i])));
      ck_assert_int_eq(errno, ENOMEM);
    }
    gcx_dispose(gcx_alloc(1)); /* still works */
  }
END_TEST

START_TEST(test_null_is_harmless)
  {
    gcx_dispose(NULL);
    ck_assert_int_eq(gcx_close(NULL), 0);
    gcx_discard(NULL);
    gcx_suppress_finalize(NULL);
    gcx_reregister_finalize(NULL);
    gcx_keep_alive(NULL);
    gcx_touch(NULL, "nothing");
    gcx_disown(NULL, NULL);
    gcx_dispose_owned(NULL);
    gcx_root_remove(NULL, 0);
    ck_assert_uint_eq(gcx_size(NULL), 0);
    ck_assert(gcx_is_disposed(NULL));
    ck_assert_int_eq(gcx_own(NULL, NULL), -EINVAL);
  }
END_TEST

/* ---- arrays, alignments, strings */

START_TEST(test_calloc)
  {
    const size_t half = (size_t)1 << (sizeof(size_t) * 4);
    char *p = gcx_calloc(10, 30);

    ck_assert_uint_eq(gcx_size(p), 300);
    gcx_dispose(p);
    p = gcx_calloc(0, 30);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(gcx_size(p), 0);
    gcx_dispose(p);
    errno = 0;
    ck_assert_ptr_null(gcx_calloc(opaque_size(half), half));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_calloc(opaque_size(half), half + 1));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_calloc(opaque_size(SIZE_MAX), 2));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(gcx_calloc(opaque_size(SIZE_MAX / 16 + 2), 16));
    ck_assert_int_eq(errno, ENOMEM);
  }
END_TEST

START_TEST(test_alignments)
  {
    const size_t sizes[] = { 0,    1,    7,    8,    15,   16,   17,    100,
                             500,  1000, 1016, 1017, 2000, 2024, 2025,  2040,
                             2048, 4087, 4088, 4089, 4096, 5000, 100000 };
    static void *kept[32 * 23];
    size_t n = 0;

    for (size_t align = 1; align <= 4096; align *= 2)
      for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++)
        for (size_t round = 0; round < 2; round++) {
          char *p = gcx_aligned_alloc(align, sizes[i]);

          ck_assert_ptr_nonnull(p);
          ck_assert_uint_eq((uintptr_t)p % align, 0);
          ck_assert_uint_eq((uintptr_t)p % 16, 0);
          ck_assert_uint_eq(gcx_size(p), sizes[i]);
          ck_assert(is_zero(p, sizes[i]));
          memset(p, 0x5a, sizes[i]);
          kept[n++] = p;
        }
    while (n > 0) {
      ck_assert_int_ne(number_of(kept[--n]), 0);
      gcx_dispose(kept[n]);
    }
  }
END_TEST

START_TEST(test_bad_alignments)
  {
    const size_t bad[] = { 0,    3,     5,        24,
                           4095, 4097,  8192,     1u << 20,
                           6144, 12288, SIZE_MAX, (size_t)1 << 63 };

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(bad); i++) {
      errno = 0;
      ck_assert_ptr_null(gcx_aligned_alloc(opaque_size(bad[i]), 8));
      ck_assert_int_eq(errno, EINVAL);
    }
    errno = 0;
    ck_assert_ptr_null(gcx_aligned_alloc(4096, opaque_size(SIZE_MAX - 100)));
    ck_assert_int_eq(errno, ENOMEM);
  }
END_TEST

START_TEST(test_strings)
  {
    const char unterminated[4] = { 'a', 'b', 'c', 'd' };
    char *s = gcx_strdup("hello");

    ck_assert_str_eq(s, "hello");
    ck_assert_uint_eq(gcx_size(s), 6);
    gcx_dispose(s);
    s = gcx_strdup("");
    ck_assert_str_eq(s, "");
    gcx_dispose(s);
    s = gcx_strndup("hello", 3);
    ck_assert_str_eq(s, "hel");
    ck_assert_uint_eq(gcx_size(s), 4);
    gcx_dispose(s);
    s = gcx_strndup("hello", SIZE_MAX);
    ck_assert_str_eq(s, "hello");
    gcx_dispose(s);
    s = gcx_strndup(unterminated, sizeof(unterminated));
    ck_assert_str_eq(s, "abcd");
    gcx_dispose(s);
    s = gcx_strndup("x", 0);
    ck_assert_str_eq(s, "");
    gcx_dispose(s);
    errno = 0;
    ck_assert_ptr_null(gcx_strdup(opaque(NULL)));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_strndup(opaque(NULL), 3));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

/* ---- sizes above 4 GiB */

static size_t memory_free_bytes(void)
{
  FILE *f = fopen("/proc/meminfo", "r");
  char line[256];
  unsigned long long kib = 0;

  ck_assert_ptr_nonnull(f);
  while (fgets(line, sizeof(line), f) != NULL)
    if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
      break;
  (void)fclose(f);
  return (size_t)kib * 1024;
}

START_TEST(test_more_than_4_gib)
  {
    const size_t bytes = ((size_t)4 << 30) + 12345;
    char *p;

    if (getenv("GCX_TEST_SMALL") != NULL ||
        memory_free_bytes() < ((size_t)10 << 30)) {
      (void)printf("SKIP test_more_than_4_gib: less than 10 GiB are free\n");
      return;
    }
    p = gcx_alloc_atomic(bytes);
    if (p == NULL) {
      (void)printf("SKIP test_more_than_4_gib: the memory can't be had\n");
      return;
    }
    ck_assert_uint_eq(gcx_size(p), bytes);
    p[bytes - 1] = 1;
    ck_assert(is_zero(p + bytes - 4096, 4095));
    ck_assert_ptr_eq(gcx_realloc(p, bytes - 5000), p);
    ck_assert_uint_eq(gcx_size(p), bytes - 5000);
    ck_assert_ptr_eq(gcx_realloc(p, (size_t)3 << 30), p);
    ck_assert_uint_eq(gcx_size(p), (size_t)3 << 30);
    ck_assert_ptr_eq(gcx_realloc(p, bytes), p);
    ck_assert_uint_eq(gcx_size(p), bytes);
    ck_assert_int_eq(p[bytes - 1], 0);
    gcx_dispose(p);
    ck_assert_uint_eq(gcx_size(p), bytes);
  }
END_TEST

/* ---- resizing */

static void fill(unsigned char *p, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    p[i] = (unsigned char)(i * 7 + 1);
}

static bool is_filled(const unsigned char *p, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++)
    if (p[i] != (unsigned char)(i * 7 + 1))
      return false;
  return true;
}

START_TEST(test_realloc_every_size_to_every_other)
  {
    const size_t sizes[] = { 0,   1,    8,    24,   25,   40,    100,
                             512, 1000, 2024, 2025, 4088, 10000, 300000 };
    const size_t n = GCX_ARRAY_LENGTH(sizes);

    for (size_t i = 0; i < n * n; i++) {
      size_t from = sizes[i / n], to = sizes[i % n];
      unsigned char *p = gcx_alloc(from), *q;
      uint32_t number = number_of(p);

      fill(p, from);
      q = gcx_realloc(p, to);
      ck_assert_ptr_nonnull(q);
      ck_assert_uint_eq(gcx_size(q), to);
      ck_assert_uint_eq(number_of(q), number);
      ck_assert(is_filled(q, GCX_MIN(from, to)));
      if (to > from)
        ck_assert(is_zero(q + from, to - from));
      ck_assert(!gcx_is_disposed(q));
      if (q != p) {
        ck_assert(gcx_is_disposed(p));
        ck_assert_uint_eq(gcx_size(p), from);
      }
      fill(q, to);
      gcx_dispose(q);
    }
  }
END_TEST

START_TEST(test_realloc_zeroes_what_was_cut_off)
  {
    unsigned char *p = gcx_alloc(100);

    fill(p, 100);
    ck_assert_ptr_eq(gcx_realloc(p, 10), p);
    ck_assert_ptr_eq(gcx_realloc(p, 100), p);
    ck_assert(is_filled(p, 10));
    ck_assert(is_zero(p + 10, 90));
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_realloc_to_nothing_ends_nothing)
  {
    char *p = gcx_alloc(100), *q;

    q = gcx_realloc(p, 0);
    ck_assert_ptr_nonnull(q);
    ck_assert_uint_eq(gcx_size(q), 0);
    ck_assert(!gcx_is_disposed(q));
    gcx_dispose(q);
  }
END_TEST

START_TEST(test_realloc_that_fails_changes_nothing)
  {
    unsigned char *p = gcx_alloc(100);
    uint32_t number = number_of(p);
    const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 4,
                             (size_t)PTRDIFF_MAX };

    objects_be_quiet();
    fill(p, 100);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(sizes); i++) {
      errno = 0;
      ck_assert_ptr_null(gcx_realloc(p, opaque_size(sizes[i])));
      ck_assert_int_eq(errno, ENOMEM);
      ck_assert_uint_eq(gcx_size(p), 100);
      ck_assert_uint_eq(number_of(p), number);
      ck_assert(!gcx_is_disposed(p));
      ck_assert(is_filled(p, 100));
    }
    gcx_dispose(p);
  }
END_TEST

START_TEST(test_realloc_of_a_disposed_object)
  {
    char *p = gcx_alloc(100), *moved;

    moved = gcx_realloc(p, 10000);
    ck_assert_ptr_ne(moved, p);
    errno = 0;
    ck_assert_ptr_null(gcx_realloc(p, 50)); /* the old one is disposed */
    ck_assert_int_eq(errno, EINVAL);
    gcx_dispose(p); /* harmless */
    ck_assert(!gcx_is_disposed(moved));
    gcx_dispose(moved);
    errno = 0;
    ck_assert_ptr_null(gcx_realloc(moved, 50));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_uint_eq(gcx_size(moved), 10000);
  }
END_TEST

static int disposals;

static int count_disposal(void *obj)
{
  (void)obj;
  disposals++;
  return 0;
}

static const struct gcx_type counted_type =
    GCX_TYPE_INIT("counted", 64, 0, NULL, count_disposal, NULL, NULL);

START_TEST(test_realloc_keeps_what_the_object_is)
  {
    char *p = gcx_new(&counted_type), *child = gcx_alloc(8);
    char *owner = gcx_alloc(8);
    uint32_t order = gcx__record_at(number_of(p))->birth_order;
    uint32_t site = gcx__record_at(number_of(p))->site;
    char *moved;

    ck_assert_int_eq(gcx_own(owner, p), 0);
    ck_assert_int_eq(gcx_own(p, child), 0);
    moved = gcx_realloc(p, 5000);
    ck_assert_ptr_ne(moved, p);
    ck_assert_uint_eq(gcx__record_at(number_of(moved))->birth_order, order);
    ck_assert_uint_eq(gcx__record_at(number_of(moved))->site, site);
    ck_assert_int_eq(disposals, 0);
    gcx_dispose(p); /* the old pointer: no function, no children */
    ck_assert_int_eq(disposals, 0);
    ck_assert(!gcx_is_disposed(child));
    ck_assert_int_eq(gcx_own(owner, moved), -EBUSY);
    gcx_dispose(owner);
    ck_assert_int_eq(disposals, 1);
    ck_assert(gcx_is_disposed(moved));
    ck_assert(gcx_is_disposed(child));
  }
END_TEST

START_TEST(test_realloc_keeps_aligned_and_atomic)
  {
    char *p = gcx_alloc_atomic(64), *moved = gcx_realloc(p, 100000);

    ck_assert(gcx__bdw_is_atomic(moved));
    gcx_dispose(moved);
    p = gcx_aligned_alloc(1024, 1);
    moved = gcx_realloc(p, 900); /* there is room */
    ck_assert_uint_eq((uintptr_t)moved % 16, 0);
    gcx_dispose(moved);
  }
END_TEST

/* ---- secrets */

static const struct gcx_type secret_type =
    GCX_TYPE_INIT("secret", 64, GCX_TYPE_SECRET, NULL, NULL, NULL, NULL);
static const struct gcx_type derived_secret_type = GCX_TYPE_INIT(
    "derived secret", 64, GCX_TYPE_ATOMIC, &secret_type, NULL, NULL, NULL);

static int secret_is_still_there(void *obj)
{
  disposals++;
  return is_filled(obj, 64) ? 0 : -EIO;
}
static const struct gcx_type secret_with_dispose_type =
    GCX_TYPE_INIT("secret with dispose", 64, GCX_TYPE_SECRET, NULL,
                  secret_is_still_there, NULL, NULL);

START_TEST(test_secret_is_wiped)
  {
    const struct gcx_type *types[] = { &secret_type, &derived_secret_type,
                                       &secret_with_dispose_type };
    const size_t extra[] = { 0, 1, 1000, 5000 };

    for (size_t t = 0; t < GCX_ARRAY_LENGTH(types); t++)
      for (size_t e = 0; e < GCX_ARRAY_LENGTH(extra); e++) {
        unsigned char *p = gcx_new_extra(types[t], extra[e]);

        fill(p, 64 + extra[e]);
        ck_assert_int_eq(gcx_close(p), 0);
        ck_assert(is_zero(p, 64 + extra[e]));
        p = gcx_new_extra(types[t], extra[e]);
        fill(p, 64 + extra[e]);
        gcx_discard(p);
        ck_assert(is_zero(p, 64 + extra[e]));
      }
    ck_assert_int_eq(disposals, 4);
  }
END_TEST

START_TEST(test_secret_is_wiped_when_it_moves_or_shrinks)
  {
    unsigned char *p = gcx_new(&secret_type), *q;

    fill(p, 64);
    ck_assert_ptr_eq(gcx_realloc(p, 20), p);
    ck_assert(is_filled(p, 20));
    ck_assert(is_zero(p + 20, 44));
    q = gcx_realloc(p, 9000);
    ck_assert_ptr_ne(q, p);
    ck_assert(is_zero(p, 20));
    ck_assert(is_filled(q, 20));
    fill(q, 9000);
    p = gcx_realloc(q, 30);
    ck_assert_ptr_ne(p, q);
    ck_assert(is_zero(q, 9000));
    ck_assert(is_filled(p, 30));
    gcx_dispose(p);
    ck_assert(is_zero(p, 30));
  }
END_TEST

START_TEST(test_what_is_no_secret_stays)
  {
    unsigned char *p = gcx_new(&counted_type);

    fill(p, 64);
    gcx_dispose(p);
    ck_assert(is_filled(p, 64));
  }
END_TEST

/* ---- types */

static char order[16];

static int dispose_base(void *obj)
{
  (void)obj;
  strcat(order, "b");
  return -EIO;
}

static int dispose_derived(void *obj)
{
  (void)obj;
  strcat(order, "d");
  return -EPIPE;
}

static int dispose_quiet(void *obj)
{
  (void)obj;
  strcat(order, "q");
  return 0;
}

static const struct gcx_type base_type =
    GCX_TYPE_INIT("base", 32, 0, NULL, dispose_base, NULL, NULL);
static const struct gcx_type middle_type =
    GCX_TYPE_INIT("middle", 32, 0, &base_type, NULL, NULL, NULL);
static const struct gcx_type derived_type =
    GCX_TYPE_INIT("derived", 48, 0, &middle_type, dispose_derived, NULL, NULL);
static const struct gcx_type quiet_type =
    GCX_TYPE_INIT("quiet", 48, 0, &base_type, dispose_quiet, NULL, NULL);

START_TEST(test_derived_is_disposed_before_base)
  {
    char *p = gcx_new(&derived_type);

    ck_assert_uint_eq(gcx_size(p), 48);
    ck_assert_int_eq(gcx_close(p), -EPIPE); /* the first error */
    ck_assert_str_eq(order, "db");
    ck_assert_int_eq(gcx_close(p), 0);
    ck_assert_str_eq(order, "db");
    order[0] = '\0';
    p = gcx_new(&quiet_type);
    ck_assert_int_eq(gcx_close(p), -EIO);
    ck_assert_str_eq(order, "qb");
  }
END_TEST

START_TEST(test_bad_types)
  {
    struct gcx_type bad = { .name = "bad", .size = 8 };

    errno = 0;
    ck_assert_ptr_null(gcx_new(opaque(NULL)));
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_new_extra(opaque(NULL), 8));
    ck_assert_int_eq(errno, EINVAL);
    bad.name = NULL;
    errno = 0;
    ck_assert_ptr_null(gcx_new(&bad));
    ck_assert_int_eq(errno, EINVAL);
    bad.name = "bad";
    for (unsigned bit = 4; bit < 32; bit++) {
      bad.flags = 1u << bit;
      errno = 0;
      ck_assert_ptr_null(gcx_new(&bad));
      ck_assert_int_eq(errno, EINVAL);
    }
    bad.flags = 0;
    bad.size = SIZE_MAX - 4;
    errno = 0;
    ck_assert_ptr_null(gcx_new(&bad));
    ck_assert_int_eq(errno, ENOMEM);
  }
END_TEST

START_TEST(test_extra)
  {
    unsigned char *p = gcx_new_extra(&counted_type, 1000);

    ck_assert_uint_eq(gcx_size(p), 1064);
    ck_assert(is_zero(p, 1064));
    gcx_dispose(p);
    ck_assert_int_eq(disposals, 1);
    errno = 0;
    ck_assert_ptr_null(gcx_new_extra(&counted_type, opaque_size(SIZE_MAX)));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(
        gcx_new_extra(&counted_type, opaque_size(SIZE_MAX - 63)));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(
        gcx_new_extra(&counted_type, opaque_size(SIZE_MAX - 64)));
    ck_assert_int_eq(errno, ENOMEM);
  }
END_TEST

START_TEST(test_thousands_of_types)
  {
    static struct gcx_type types[3000];
    static void *objects[3000];

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(types); i++) {
      types[i].name = "one of many";
      types[i].size = i % 100;
      types[i].dispose = count_disposal;
      objects[i] = gcx_new(&types[i]);
      ck_assert_ptr_nonnull(objects[i]);
    }
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(types); i++) {
      ck_assert_uint_eq(gcx_size(objects[i]), i % 100);
      gcx_dispose(objects[i]);
    }
    ck_assert_int_eq(disposals, 3000);
  }
END_TEST

/* ---- what keeps an object */

#define KEPT 1000

static GCX_NOINLINE void keep_ends(char **ends, size_t bytes)
{
  for (size_t i = 0; i < KEPT; i++) {
    char *p = gcx_alloc(bytes);

    ck_assert_ptr_nonnull(p);
    memset(p, 0x3c, bytes);
    ends[i] = p + bytes; /* one past the end */
  }
}

#define MADE_TYPES 1200

static int dispose_of_made_type(void *obj)
{
  disposals += *(int *)obj == 4711;
  return 0;
}

static GCX_NOINLINE void *object_of_made_type(void)
{
  const struct gcx_type made =
      GCX_TYPE_INIT("made", 64, 0, NULL, dispose_of_made_type, NULL, NULL);
  struct gcx_type *type = gcx_alloc_managed(sizeof(*type));
  int *obj;

  memcpy(type, &made, sizeof(made));
  obj = gcx_new(type);
  *obj = 4711;
  return obj;
}

static GCX_NOINLINE void overwrite_what_is_free(void)
{
  for (int i = 0; i < 20 * MADE_TYPES; i++) {
    void *p = gcx_alloc_managed(sizeof(struct gcx_type));

    memset(p, 0xaa, sizeof(struct gcx_type));
    GCX_KEEP(p);
  }
}

/* Nothing but gcx refers to a type whose maker has forgotten it. */
START_TEST(test_types_that_are_objects_stay)
  {
    void *objects[MADE_TYPES];

    for (int i = 0; i < MADE_TYPES; i++)
      objects[i] = object_of_made_type();
    gcx_collect();
    overwrite_what_is_free();
    gcx_collect();
    for (int i = 0; i < MADE_TYPES; i++)
      gcx_dispose(objects[i]);
    ck_assert_int_eq(disposals, MADE_TYPES);
  }
END_TEST

START_TEST(test_one_past_the_end_keeps_it)
  {
    static char *ends[KEPT];
    const size_t sizes[] = { 0, 1, 8, 24, 40, 56, 1016, 2024, 4088, 8184 };
    size_t bytes = sizes[_i];

    keep_ends(ends, bytes);
    ck_assert_uint_eq(objects_found(), 0);
    for (size_t i = 0; i < KEPT; i++) {
      char *p = ends[i] - bytes;

      ck_assert_uint_eq(gcx_size(p), bytes);
      ck_assert(is_all(p, bytes, 0x3c));
      gcx_dispose(p);
    }
  }
END_TEST

static GCX_NOINLINE void keep_hidden_below(void ***holders, bool atomic)
{
  for (size_t i = 0; i < KEPT; i++) {
    void **holder = atomic ? gcx_alloc_atomic(64) : gcx_alloc(64);

    holder[3] = gcx_alloc_managed(40);
    holders[i] = holder;
  }
}

static size_t held_and_marked(void ***holders)
{
  size_t marked = 0;

  for (size_t i = 0; i < KEPT; i++)
    if (gcx__bdw_base(holders[i][3]) == holders[i][3])
      marked += gcx__bdw_is_marked(holders[i][3]);
  return marked;
}

START_TEST(test_plain_objects_are_scanned_and_atomic_ones_not)
  {
    static void **holders[KEPT];
    size_t marked;

    keep_hidden_below(holders, _i == 1);
    gcx_collect();
    marked = held_and_marked(holders);
    if (_i == 0)
      ck_assert_uint_eq(marked, KEPT);
    else
      ck_assert_uint_le(marked, KEPT / 20);
    for (size_t i = 0; i < KEPT; i++)
      gcx_dispose(holders[i]);
  }
END_TEST

/* ---- memory that is given back at once */

START_TEST(test_quarantine_off_reuses_at_once)
  {
    const size_t sizes[] = { 1, 24, 40, 100, 1000, 2024, 5000, 100000 };

    gcx__opt.quarantine = 0;
    for (size_t s = 0; s < GCX_ARRAY_LENGTH(sizes); s++)
      for (size_t kind = 0; kind < 2; kind++) {
        uintptr_t before = 0;
        size_t again = 0, wrong = 0;

        for (size_t i = 0; i < 1000; i++) {
          unsigned char *p =
              kind == 0 ? gcx_alloc(sizes[s]) : gcx_alloc_atomic(sizes[s]);

          wrong += p == NULL || !is_zero(p, sizes[s]);
          memset(p, 0xff, sizes[s]);
          again += GCX_HIDE(p) == before;
          before = GCX_HIDE(p);
          gcx_dispose(p);
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_uint_ge(again, 900);
      }
  }
END_TEST

START_TEST(test_quarantine_off_with_owners_and_types)
  {
    gcx__opt.quarantine = 0;
    for (int i = 0; i < 2000; i++) {
      char *owner = gcx_new(&counted_type), *child = gcx_new(&counted_type);

      ck_assert_int_eq(gcx_own(owner, child), 0);
      if (i % 3 == 0)
        gcx_dispose(child);
      gcx_dispose(owner);
      if (i % 100 == 0)
        gcx_collect();
    }
    ck_assert_int_eq(disposals, 4000);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_quarantine_keeps_addresses_apart)
  {
    static char *disposed[1000];

    for (size_t i = 0; i < 1000; i++) {
      disposed[i] = gcx_alloc(40);
      gcx_dispose(disposed[i]);
    }
    gcx_collect();
    for (size_t i = 0; i < 2000; i++) {
      char *p = gcx_alloc(40);

      ck_assert(!gcx_is_disposed(p));
      gcx_dispose(p);
    }
    for (size_t i = 0; i < 1000; i++)
      ck_assert(gcx_is_disposed(disposed[i]));
  }
END_TEST

static Suite *object_suite(void)
{
  Suite *s = suite_create("object");
  TCase *c = tcase_create("object");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_zeroed_aligned_and_separate, 0, FUNCTIONS);
  tcase_add_loop_test(c, test_large, 0, FUNCTIONS);
  tcase_add_loop_test(c, test_nothing_bytes_are_objects_of_their_own, 0,
                      FUNCTIONS);
  tcase_add_loop_test(c, test_sizes_that_cannot_be_had, 0, FUNCTIONS);
  tcase_add_test(c, test_null_is_harmless);
  tcase_add_test(c, test_calloc);
  tcase_add_test(c, test_alignments);
  tcase_add_test(c, test_bad_alignments);
  tcase_add_test(c, test_strings);
  tcase_add_test(c, test_more_than_4_gib);
  tcase_add_test(c, test_realloc_every_size_to_every_other);
  tcase_add_test(c, test_realloc_zeroes_what_was_cut_off);
  tcase_add_test(c, test_realloc_to_nothing_ends_nothing);
  tcase_add_test(c, test_realloc_that_fails_changes_nothing);
  tcase_add_test(c, test_realloc_of_a_disposed_object);
  tcase_add_test(c, test_realloc_keeps_what_the_object_is);
  tcase_add_test(c, test_realloc_keeps_aligned_and_atomic);
  tcase_add_test(c, test_secret_is_wiped);
  tcase_add_test(c, test_secret_is_wiped_when_it_moves_or_shrinks);
  tcase_add_test(c, test_what_is_no_secret_stays);
  tcase_add_test(c, test_derived_is_disposed_before_base);
  tcase_add_test(c, test_bad_types);
  tcase_add_test(c, test_extra);
  tcase_add_test(c, test_thousands_of_types);
  tcase_add_test(c, test_types_that_are_objects_stay);
  tcase_add_loop_test(c, test_one_past_the_end_keeps_it, 0, 10);
  tcase_add_loop_test(c, test_plain_objects_are_scanned_and_atomic_ones_not, 0,
                      2);
  tcase_add_test(c, test_quarantine_off_reuses_at_once);
  tcase_add_test(c, test_quarantine_off_with_owners_and_types);
  tcase_add_test(c, test_quarantine_keeps_addresses_apart);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(object_suite);
