/* SPDX-License-Identifier: MIT */
/* check_tally.c - the sites that most of something come from */
#include "check_main.h"

#include "tally.h"

/* What there is: @n words, each a site. */
static void tally(struct gcx__tally *t, const uint32_t *sites, size_t n)
{
  *t = (struct gcx__tally){ 0 };
  for (size_t i = 0; i < n; i++)
    gcx__tally_vote(t, sites[i]);
  gcx__tally_begin_count(t);
  for (size_t i = 0; i < n; i++)
    gcx__tally_count(t, sites[i]);
  gcx__tally_end_count(t);
}

START_TEST(test_few)
  {
    const uint32_t sites[] = { 7, 3, 7, 0, 3, 7 };
    struct gcx__tally t;

    tally(&t, sites, 6);
    ck_assert_uint_eq(t.total, 6);
    ck_assert_uint_eq(t.sites, 3);
    ck_assert_uint_eq(t.at[0].site, 7);
    ck_assert_uint_eq(t.at[0].count, 3);
    ck_assert_uint_eq(t.at[1].site, 3);
    ck_assert_uint_eq(t.at[1].count, 2);
    ck_assert_uint_eq(t.at[2].site, 0);
    ck_assert_uint_eq(t.at[2].count, 1);
    tally(&t, sites, 0);
    ck_assert_uint_eq(t.total + t.sites, 0);
  }
END_TEST

#define MANY 9000u

/* Each of three has more than a ninth; of the others there are hundreds with a
 * few, before, between and after them. */
START_TEST(test_frequent_ones_are_found)
  {
    static uint32_t sites[MANY];
    struct gcx__tally t;

    for (uint32_t i = 0; i < MANY; i++)
      sites[i] = i % 8 == 1   ? 1
                 : i % 8 == 2 ? 2
                 : i % 8 == 3 ? 3
                              : 100 + i % 997;
    tally(&t, sites, MANY);
    ck_assert_uint_eq(t.total, MANY);
    ck_assert_uint_ge(t.sites, 3);
    for (uint32_t i = 0; i < 3; i++) {
      ck_assert_uint_eq(t.at[i].count, MANY / 8);
      ck_assert_uint_le(t.at[i].site, 3);
    }
    ck_assert_uint_eq(t.at[0].site + t.at[1].site + t.at[2].site, 6);
  }
END_TEST

/* Counts are what they are at the second look. */
START_TEST(test_what_has_changed_is_counted_as_it_is_now)
  {
    struct gcx__tally t = { 0 };

    gcx__tally_vote(&t, 1);
    gcx__tally_vote(&t, 1);
    gcx__tally_vote(&t, 2);
    gcx__tally_begin_count(&t);
    gcx__tally_count(&t, 2);
    gcx__tally_count(&t, 5);
    gcx__tally_end_count(&t);
    ck_assert_uint_eq(t.total, 2);
    ck_assert_uint_eq(t.at[0].site, 2);
    ck_assert_uint_eq(t.at[0].count, 1);
    ck_assert_uint_eq(t.at[1].count, 0);
  }
END_TEST

static Suite *suite(void)
{
  Suite *s = suite_create("tally");
  TCase *c = tcase_create("tally");

  tcase_add_test(c, test_few);
  tcase_add_test(c, test_frequent_ones_are_found);
  tcase_add_test(c, test_what_has_changed_is_counted_as_it_is_now);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(suite);
