/* SPDX-License-Identifier: MIT */
/* check_order.c - in which order things that were lost together end */
#include "finalizable.h"

#include "order.h"
#include "owner.h"

static void setup(void)
{
  finalizable_setup(GCX_LEAK_DISPOSE);
}

#define GROUPS 300

struct node {
  struct node *to[2];
  size_t group;
  char name;
};

/* What ended, by group, as a string. */
static char trails[GROUPS][16];

static void note_end(const struct node *n)
{
  trails[n->group][strlen(trails[n->group])] = n->name;
}

static int node_dispose(void *obj)
{
  note_end(obj);
  return 0;
}

static void node_finalize(void *obj)
{
  note_end(obj);
}

static const struct gcx_type plain_type = GCX_TYPE_INIT(
    "plain", sizeof(struct node), 0, NULL, node_dispose, NULL, NULL);
static const struct gcx_type final_type = GCX_TYPE_INIT(
    "final", sizeof(struct node), 0, NULL, NULL, node_finalize, NULL);
static const struct gcx_type optional_type =
    GCX_TYPE_INIT("optional", sizeof(struct node), GCX_TYPE_OPTIONAL, NULL,
                  node_dispose, NULL, NULL);

static void both_finalize(void *obj)
{
  struct node *n = obj;
  char name = n->name;

  n->name = (char)(name - 'a' + 'A');
  note_end(n);
  n->name = name;
}

static const struct gcx_type both_type = GCX_TYPE_INIT(
    "both", sizeof(struct node), 0, NULL, node_dispose, both_finalize, NULL);
static const struct gcx_type both_optional_type =
    GCX_TYPE_INIT("both, optional", sizeof(struct node), GCX_TYPE_OPTIONAL,
                  NULL, node_dispose, both_finalize, NULL);

static GCX_NOINLINE struct node *node(const struct gcx_type *type, size_t group,
                                      char name)
{
  struct node *n = gcx_new(type);

  if (n == NULL)
    ck_abort();
  n->group = group;
  n->name = name;
  return n;
}

static void demand_trail(const char *trail)
{
  size_t right = 0, wrong = 0;

  for (size_t i = 0; i < GROUPS; i++) {
    bool whole = strlen(trails[i]) == strlen(trail);

    right += strcmp(trails[i], trail) == 0;
    wrong += whole && strcmp(trails[i], trail) != 0;
  }
  ck_assert_msg(wrong == 0, "%zu groups not in the order %s: %s", wrong, trail,
                trails[GROUPS / 2]);
  ck_assert_uint_ge(right, GROUPS * 95 / 100);
}

static void demand_all_ended(size_t each)
{
  size_t ended = 0;

  for (size_t i = 0; i < GROUPS; i++)
    ended += strlen(trails[i]) == each;
  ck_assert_uint_ge(ended, GROUPS * 95 / 100);
}

/* ---- what refers comes first */

/* a refers to c and b, b to c: children are born first, and breadth first would
 * end c before b. */
static GCX_NOINLINE void lose_diamonds(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *a, *b, *c;

    c = node(&plain_type, i, 'c');
    a = node(&plain_type, i, 'a');
    b = node(&plain_type, i, 'b');
    a->to[0] = c;
    a->to[1] = b;
    b->to[0] = c;
    GCX_KEEP(a);
  }
}

START_TEST(test_what_refers_comes_first)
  {
    lose_diamonds();
    settle();
    demand_trail("abc");
  }
END_TEST

/* The ring's oldest first, then what follows it. */
static GCX_NOINLINE void lose_rings(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *a = node(&plain_type, i, 'a');
    struct node *b = node(&plain_type, i, 'b');
    struct node *c = node(&plain_type, i, 'c');

    a->to[0] = b;
    b->to[0] = c;
    c->to[0] = a;
    GCX_KEEP(a);
  }
}

START_TEST(test_of_a_ring_the_oldest)
  {
    lose_rings();
    settle();
    demand_trail("abc");
  }
END_TEST

/* What an owned object refers to comes after its owner, with which it ends. */
static GCX_NOINLINE void lose_owner_and_friend(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *d = node(&plain_type, i, 'd');
    struct node *a = node(&plain_type, i, 'a');
    struct node *b = node(&plain_type, i, 'b');
    struct node *c = node(&plain_type, i, 'c');

    if (gcx_own(a, b) != 0 || gcx_own(a, c) != 0)
      ck_abort();
    b->to[0] = d;
    GCX_KEEP(a);
  }
}

START_TEST(test_what_an_owned_object_refers_to)
  {
    lose_owner_and_friend();
    settle();
    demand_trail("acbd");
  }
END_TEST

#define LONG_CHAIN 200000

static size_t chain_last, chain_wrong, chain_ended;

static int chain_dispose(void *obj)
{
  const struct node *n = obj;

  chain_wrong += chain_ended++ > 0 && n->group != chain_last + 1;
  chain_last = n->group;
  return 0;
}

static const struct gcx_type chain_type = GCX_TYPE_INIT(
    "chain", sizeof(struct node), 0, NULL, chain_dispose, NULL, NULL);

static GCX_NOINLINE void lose_chain(void)
{
  struct node *next = NULL;

  for (size_t i = LONG_CHAIN; i-- > 0;) {
    struct node *n = node(&chain_type, i, 'n');

    n->to[0] = next;
    next = n;
  }
  GCX_KEEP(next);
}

static void *lose_chain_on_a_thread(void *arg)
{
  lose_chain();
  return arg;
}

/* A word that is left of its head would hold all of it: the stack goes, too. */
START_TEST(test_a_long_chain)
  {
    pthread_t thread;

    ck_assert_int_eq(
        pthread_create(&thread, NULL, lose_chain_on_a_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    settle();
    ck_assert_uint_ge(chain_ended, LONG_CHAIN / 2); /* a part may be held */
    ck_assert_uint_eq(chain_wrong, 0);
  }
END_TEST

/* ---- owners before what they own */

/* a owns b and d, b owns c; the latest first: a d b c. */
static GCX_NOINLINE void lose_trees(const struct gcx_type *a_type,
                                    const struct gcx_type *others)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *c = node(others, i, 'c');
    struct node *d = node(others, i, 'd');
    struct node *b = node(others, i, 'b');
    struct node *a = node(a_type, i, 'a');

    if (gcx_own(a, b) != 0 || gcx_own(b, c) != 0 || gcx_own(a, d) != 0)
      ck_abort();
    GCX_KEEP(a);
  }
}

START_TEST(test_trees)
  {
    const struct gcx_type *types[] = { &plain_type, &final_type };

    lose_trees(types[_i & 1], types[_i >> 1]);
    settle();
    /* the owner is disposed, and what it owns with it: no finalizer runs */
    demand_trail(_i == 2 ? "a" : "adbc");
  }
END_TEST

/* What is older ends first where nothing else is known: here the other way round.
 * a owns b and d, b owns c. */
static GCX_NOINLINE void lose_trees_in_order(const struct gcx_type *a_type,
                                             const struct gcx_type *others)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *a = node(a_type, i, 'a');
    struct node *b = node(others, i, 'b');
    struct node *c = node(others, i, 'c');
    struct node *d = node(others, i, 'd');

    if (gcx_own(a, b) != 0 || gcx_own(b, c) != 0 || gcx_own(a, d) != 0)
      ck_abort();
    GCX_KEEP(a);
  }
}

START_TEST(test_trees_made_from_the_root_on)
  {
    const struct gcx_type *types[] = { &plain_type, &final_type,
                                       &optional_type };

    lose_trees_in_order(types[_i % 3], types[_i / 3]);
    settle();
    demand_trail(_i == 2 ? "dbc" : _i == 3 ? "a" : _i == 5 ? "dbc" : "adbc");
  }
END_TEST

/* Objects of the type "both" leave their name when disposed, in capitals when
 * finalized. */

/* a is disposed, and b by it, though b's type has a finalizer and b leads back. */
static GCX_NOINLINE void lose_children_that_point_back(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *a = node(&plain_type, i, 'a');
    struct node *b = node(&both_type, i, 'b');
    struct node *c = node(i % 2 == 0 ? &both_type : &plain_type, i, 'c');
    struct node *d = node(&both_optional_type, i, 'd');

    if (gcx_own(a, b) != 0 || gcx_own(b, c) != 0 || gcx_own(c, d) != 0)
      ck_abort();
    b->to[0] = c->to[0] = a;
    d->to[0] = b;
    GCX_KEEP(a);
  }
}

START_TEST(test_a_child_with_a_finalizer_waits_for_its_owner)
  {
    lose_children_that_point_back();
    settle();
    demand_trail("abcd");
  }
END_TEST

/* z is finalized; a, which it owns, is disposed when z is known to be gone; what a
 * owns ends with it. */
static GCX_NOINLINE void lose_mixed(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *z = node(&both_type, i, 'z');
    struct node *a = node(&plain_type, i, 'a');
    struct node *b = node(&both_type, i, 'b');

    if (gcx_own(z, a) != 0 || gcx_own(a, b) != 0)
      ck_abort();
    GCX_KEEP(z);
  }
}

START_TEST(test_owners_of_either_kind_come_first)
  {
    lose_mixed();
    settle();
    demand_trail("Zab");
  }
END_TEST

/* x has no owner; b refers to it, and comes before it as it would if it had none
 * either. */
static GCX_NOINLINE void lose_heirs_and_friend(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *x = node(&plain_type, i, 'x');
    struct node *z = node(&both_type, i, 'z');
    struct node *a = node(&plain_type, i, 'a');
    struct node *b = node(&plain_type, i, 'b');

    if (gcx_own(z, a) != 0 || gcx_own(z, b) != 0)
      ck_abort();
    a->to[0] = x;
    GCX_KEEP(z);
  }
}

START_TEST(test_what_heirs_refer_to)
  {
    lose_heirs_and_friend();
    settle();
    demand_trail("Zbax");
  }
END_TEST

/* Owners in a ring: one of them that is disposed takes the others along. */
static GCX_NOINLINE void lose_mixed_rings(void)
{
  for (size_t i = 0; i < GROUPS; i++) {
    struct node *b = node(&both_type, i, 'b');
    struct node *c = node(&both_type, i, 'c');
    struct node *a = node(&plain_type, i, 'a');

    if (gcx_own(a, b) != 0 || gcx_own(b, c) != 0 || gcx_own(c, a) != 0)
      ck_abort();
    GCX_KEEP(a);
  }
}

START_TEST(test_rings_of_both_kinds)
  {
    lose_mixed_rings();
    settle();
    for (size_t i = 0; i < GROUPS; i++) /* where it is cut is not promised */
      for (char *at = trails[i]; *at != '\0'; at++)
        ck_assert(*at >= 'a' && *at <= 'c' && strchr(at + 1, *at) == NULL);
    demand_all_ended(3);
  }
END_TEST

/* Each level asks all above it: what was found is remembered in between. */
#define DEEP 50000

static uint32_t deep[DEEP]; /* from the root on */
static size_t asked;
static uint32_t ending; /* what the question is true of */

static bool is_ending(uint32_t number)
{
  asked++;
  return number == ending;
}

static struct node *make_deep(void)
{
  struct node *root = node(&plain_type, 0, 'r'), *owner = root;

  deep[0] = number_of(root);
  for (size_t i = 1; i < DEEP; i++) {
    struct node *n = node(&plain_type, 0, 'n');

    if (gcx_own(owner, n) != 0)
      ck_abort();
    deep[i] = gcx__object_number(n);
    owner = n;
  }
  return root;
}

START_TEST(test_deep_trees)
  {
    struct node *root = make_deep();
    uint32_t stop = UINT32_MAX - 20; /* not one there has been */
    size_t right = 0;

    for (size_t round = 0; round < 4; round++, stop++) {
      size_t at = round == 0 ? 0 : round == 1 ? DEEP / 2 : DEEP - 1;

      asked = 0;
      ending = round == 3 ? 0 : deep[at];
      for (size_t i = 0; i < DEEP; i++) { /* the deepest first, and last */
        size_t k = round % 2 == 0 ? DEEP - 1 - i : i;
        bool found = gcx__owner_ends_it(deep[k], stop, is_ending);

        right += found == (round != 3 && k > at);
      }
      ck_assert_uint_le(asked, 2 * DEEP);
    }
    ck_assert_uint_eq(right, 4 * DEEP);
    GCX_KEEP(root);
    gcx__opt.leak = GCX_LEAK_OFF; /* no more is asked of it */
  }
END_TEST

/* ---- the function itself */

START_TEST(test_rings_of_owners)
  {
    struct node *n[6];
    uint32_t in[6], out[6] = { 0 }, sum = 0;

    for (size_t i = 0; i < 6; i++) {
      n[i] = node(&plain_type, 0, 'n');
      in[i] = number_of(n[i]);
    }
    ck_assert_int_eq(gcx_own(n[0], n[1]), 0);
    ck_assert_int_eq(gcx_own(n[1], n[2]), 0);
    ck_assert_int_eq(gcx_own(n[2], n[0]), 0);
    ck_assert_int_eq(gcx_own(n[2], n[3]), 0); /* hangs off the ring */
    ck_assert_int_eq(gcx_own(n[3], n[4]), 0);
    gcx__order_by_owner(in, 6, out);
    ck_assert_uint_eq(out[0], in[0]);
    for (size_t i = 0; i < 6; i++)
      for (size_t k = 0; k < 6; k++)
        sum += out[i] == in[k];
    ck_assert_uint_eq(sum, 6); /* each once */
    gcx__order_by_owner(&in[4], 1, out);
    ck_assert_uint_eq(out[0], in[4]);
    for (size_t i = 0; i < 6; i++)
      gcx_dispose(n[i]);
  }
END_TEST

static Suite *order_suite(void)
{
  Suite *s = suite_create("order");
  TCase *tc = tcase_create("order");

  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, finalizable_teardown);
  tcase_add_test(tc, test_what_refers_comes_first);
  tcase_add_test(tc, test_of_a_ring_the_oldest);
  tcase_add_test(tc, test_what_an_owned_object_refers_to);
  tcase_add_test(tc, test_a_long_chain);
  tcase_add_loop_test(tc, test_trees, 0, 4);
  tcase_add_loop_test(tc, test_trees_made_from_the_root_on, 0, 6);
  tcase_add_test(tc, test_a_child_with_a_finalizer_waits_for_its_owner);
  tcase_add_test(tc, test_owners_of_either_kind_come_first);
  tcase_add_test(tc, test_what_heirs_refer_to);
  tcase_add_test(tc, test_rings_of_both_kinds);
  tcase_add_test(tc, test_deep_trees);
  tcase_add_test(tc, test_rings_of_owners);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(order_suite);
