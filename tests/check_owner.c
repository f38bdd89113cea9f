/* SPDX-License-Identifier: MIT */
/* check_owner.c - ownership: order, errors, reachability, shapes */
#include "objects.h"

#include <stdio.h>

#include "aux.h"
#include "vm.h"
#include "waits.h"

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- order */

struct node {
  char name;
  bool children_first; /* gcx_dispose_owned() in the first line */
};

static char trail[256];
static size_t trail_length;

static int leave_trail(void *obj)
{
  const struct node *n = obj;

  if (n->children_first)
    gcx_dispose_owned(obj);
  if (trail_length < sizeof(trail) - 1)
    trail[trail_length++] = n->name;
  return 0;
}

static const struct gcx_type node_type = GCX_TYPE_INIT(
    "node", sizeof(struct node), 0, NULL, leave_trail, NULL, NULL);

static struct node *node(char name, void *owner)
{
  struct node *n = gcx_new(&node_type);

  ck_assert_ptr_nonnull(n);
  n->name = name;
  if (owner != NULL)
    ck_assert_int_eq(gcx_own(owner, n), 0);
  return n;
}

static void demand_trail(const char *want)
{
  ck_assert_str_eq(trail, want);
  memset(trail, 0, sizeof(trail));
  trail_length = 0;
}

/*  a -> b -> d, e
 *    -> c -> f, g */
static struct node *tree_of_seven(void)
{
  struct node *a = node('a', NULL), *b = node('b', a), *c = node('c', a);

  (void)node('d', b);
  (void)node('e', b);
  (void)node('f', c);
  (void)node('g', c);
  return a;
}

START_TEST(test_owner_first_then_the_latest)
  {
    gcx_dispose(tree_of_seven());
    demand_trail("acgfbed");
  }
END_TEST

START_TEST(test_owned_first_on_request)
  {
    struct node *a = tree_of_seven();

    a->children_first = true;
    gcx_dispose(a);
    demand_trail("cgfbeda");
  }
END_TEST

START_TEST(test_dispose_owned_alone)
  {
    struct node *a = tree_of_seven();

    gcx_dispose_owned(a);
    demand_trail("cgfbed");
    ck_assert(!gcx_is_disposed(a));
    (void)node('x', a);
    gcx_dispose(a);
    demand_trail("ax");
    gcx_dispose_owned(a); /* nothing left */
    demand_trail("");
  }
END_TEST

START_TEST(test_child_alone)
  {
    struct node *a = node('a', NULL), *b = node('b', a), *c = node('c', a);
    struct node *d = node('d', a);

    gcx_dispose(c);
    demand_trail("c");
    ck_assert(!gcx_is_disposed(a));
    gcx_dispose(a);
    demand_trail("adb");
    ck_assert(gcx_is_disposed(b));
    ck_assert(gcx_is_disposed(d));
  }
END_TEST

START_TEST(test_disown)
  {
    struct node *a = node('a', NULL), *b = node('b', a), *c = node('c', a);
    struct node *d = node('d', a), *other = node('o', NULL);

    gcx_disown(a, c);
    gcx_disown(a, c); /* harmless */
    gcx_disown(other, b);
    gcx_disown(a, a);
    gcx_disown(a, NULL);
    gcx_disown(NULL, b);
    gcx_dispose(a);
    demand_trail("adb");
    ck_assert(!gcx_is_disposed(c));
    ck_assert_int_eq(gcx_own(other, c), 0);
    gcx_dispose(other);
    demand_trail("oc");
    ck_assert(gcx_is_disposed(d));
  }
END_TEST

START_TEST(test_disown_first_middle_last)
  {
    for (int which = 0; which < 3; which++) {
      struct node *a = node('a', NULL);
      struct node *child[3] = { node('1', a), node('2', a), node('3', a) };
      const char *const want[3] = { "a32", "a31", "a21" };

      gcx_disown(a, child[which]);
      gcx_dispose(a);
      demand_trail(want[which]);
      ck_assert_int_eq(gcx_own(child[which], node('x', NULL)), 0);
      gcx_dispose(child[which]);
      memset(trail, 0, sizeof(trail));
      trail_length = 0;
    }
  }
END_TEST

START_TEST(test_owned_without_functions)
  {
    void *owner = gcx_alloc(8), *child = gcx_alloc(8), *leaf = gcx_alloc(0);

    ck_assert_int_eq(gcx_own(owner, child), 0);
    ck_assert_int_eq(gcx_own(child, leaf), 0);
    gcx_dispose(owner);
    ck_assert(gcx_is_disposed(child));
    ck_assert(gcx_is_disposed(leaf));
  }
END_TEST

/* ---- errors */

START_TEST(test_errors)
  {
    struct node *a = node('a', NULL), *b = node('b', NULL);
    struct node *c = node('c', NULL);

    ck_assert_int_eq(gcx_own(a, a), -EINVAL);
    ck_assert_int_eq(gcx_own(a, NULL), -EINVAL);
    ck_assert_int_eq(gcx_own(NULL, a), -EINVAL);
    ck_assert_int_eq(gcx_own(a, b), 0);
    ck_assert_int_eq(gcx_own(a, b), -EBUSY);
    ck_assert_int_eq(gcx_own(c, b), -EBUSY);
    gcx_dispose(c);
    ck_assert_int_eq(gcx_own(c, a), -EINVAL);
    ck_assert_int_eq(gcx_own(a, c), -EINVAL);
    gcx_dispose(a);
    demand_trail("cab");
    ck_assert_int_eq(gcx_own(a, b), -EINVAL);
  }
END_TEST

START_TEST(test_no_memory_changes_nothing)
  {
    struct node *a, *b;
    bool failed = false;

    for (int i = 0; i < 5000 && !failed; i++) {
      a = node('a', NULL);
      b = node('b', NULL);
      gcx__vm_fail_here(true); /* whenever the side table grows */
      if (gcx_own(a, b) != 0) {
        failed = true;
        gcx__vm_fail_here(false);
        gcx_dispose(a);
        ck_assert(!gcx_is_disposed(b));
        a = node('a', NULL);
        ck_assert_int_eq(gcx_own(a, b), 0);
      }
      gcx__vm_fail_here(false);
      gcx_dispose(a);
      ck_assert(gcx_is_disposed(b));
    }
    ck_assert(failed);
  }
END_TEST

/* ---- cycles */

START_TEST(test_cycles)
  {
    struct node *a = node('a', NULL), *b = node('b', a), *c = node('c', b);

    ck_assert_int_eq(gcx_own(c, a), 0);
    gcx_dispose(a);
    demand_trail("abc");
    a = node('a', NULL);
    b = node('b', a);
    ck_assert_int_eq(gcx_own(b, a), 0);
    a->children_first = b->children_first = true;
    gcx_dispose(b);
    demand_trail("ab");
  }
END_TEST

/* A child that takes its owner down with it. */
static struct node *partner;

static int disposes_partner(void *obj)
{
  trail[trail_length++] = ((struct node *)obj)->name;
  gcx_dispose(partner);
  return 0;
}

static const struct gcx_type loyal_type = GCX_TYPE_INIT(
    "loyal", sizeof(struct node), 0, NULL, disposes_partner, NULL, NULL);

START_TEST(test_child_disposes_its_owner)
  {
    struct node *child = gcx_new(&loyal_type);

    child->name = 'c';
    partner = node('p', NULL);
    ck_assert_int_eq(gcx_own(partner, child), 0);
    (void)node('x', partner);
    gcx_dispose(child);
    demand_trail("cpx");
    ck_assert(gcx_is_disposed(partner));
  }
END_TEST

/* ---- during a disposal */

static int takes_one_more(void *obj)
{
  trail[trail_length++] = 'o';
  gcx_dispose_owned(obj);
  (void)node('n', obj);
  return 0;
}

static const struct gcx_type late_type =
    GCX_TYPE_INIT("late", 8, 0, NULL, takes_one_more, NULL, NULL);

START_TEST(test_owned_while_the_owner_is_disposed)
  {
    void *owner = gcx_new(&late_type);

    (void)node('a', owner);
    gcx_dispose(owner);
    demand_trail("oan");
  }
END_TEST

#define RACES 300
#define CHILDREN_MAX 100000

static struct {
  void *owner;
  int started;
  int done;
  void *child[CHILDREN_MAX];
  size_t children;
} race;

static void *owns_until_refused(void *arg)
{
  (void)arg;
  race.children = 0;
  while (race.children < CHILDREN_MAX) {
    void *child = gcx_alloc(8);

    if (gcx_own(race.owner, child) != 0) {
      gcx_dispose(child);
      return NULL;
    }
    race.child[race.children++] = child;
    flag_raise(&race.started);
  }
  return NULL;
}

START_TEST(test_no_child_is_forgotten_in_a_race)
  {
    size_t forgotten = 0;

    for (int i = 0; i < RACES; i++) {
      pthread_t thread;

      race.started = 0;
      race.owner = i % 2 == 0 ? gcx_alloc(8) : gcx_new(&node_type);
      thread = thread_start(owns_until_refused, NULL);
      flag_wait(&race.started);
      gcx_dispose(race.owner);
      (void)thread_join(thread);
      for (size_t k = 0; k < race.children; k++)
        forgotten += !gcx_is_disposed(race.child[k]);
    }
    ck_assert_uint_eq(forgotten, 0);
  }
END_TEST

/* ---- shapes */

static size_t released;

static int count_release(void *obj)
{
  (void)obj;
  released++;
  return 0;
}

static const struct gcx_type counted_type =
    GCX_TYPE_INIT("counted", 16, 0, NULL, count_release, NULL, NULL);

static void *counted(void *owner)
{
  void *p = gcx_new(&counted_type);

  if (p == NULL || (owner != NULL && gcx_own(owner, p) != 0))
    ck_abort();
  return p;
}

START_TEST(test_wide)
  {
    void *owner = counted(NULL);

    for (int i = 0; i < 100000; i++)
      (void)counted(owner);
    ck_assert_uint_eq(objects_found(), 0); /* the owner keeps them */
    gcx_dispose(owner);
    ck_assert_uint_eq(released, 100001);
  }
END_TEST

START_TEST(test_deep)
  {
    void *top = counted(NULL), *last = top;

    for (int i = 0; i < 5000; i++)
      last = counted(last);
    last = NULL;
    ck_assert_uint_eq(objects_found(), 0);
    gcx_dispose(top);
    ck_assert_uint_eq(released, 5001);
  }
END_TEST

START_TEST(test_entries_are_used_again)
  {
    size_t before = gcx__aux_count();

    for (int round = 0; round < 20; round++) {
      void *owner = counted(NULL);

      for (int i = 0; i < 1000; i++)
        (void)counted(owner);
      gcx_dispose(owner);
      owner = NULL;
      gcx_collect();
    }
    ck_assert_uint_eq(released, 20020);
    gcx_collect();
    ck_assert_uint_lt(gcx__aux_count() - before, 2500);
  }
END_TEST

/* ---- reachability */

#define TREES 500

static void *tops[TREES];

static GCX_NOINLINE void plant(bool keep)
{
  for (int i = 0; i < TREES; i++) {
    void *top = counted(NULL), *middle = counted(top);

    for (int k = 0; k < 3; k++)
      (void)counted(middle);
    tops[i] = keep ? top : NULL;
  }
}

START_TEST(test_owner_keeps_its_children)
  {
    plant(true);
    ck_assert_uint_eq(objects_found(), 0);
    for (int i = 0; i < TREES; i++)
      gcx_dispose(tops[i]);
    ck_assert_uint_eq(released, TREES * 5);
  }
END_TEST

START_TEST(test_lost_owner_is_direct_and_its_children_indirect)
  {
    struct seen *seen;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    plant(false);
    ck_assert_uint_ge(objects_found(), TREES * 5 * 95 / 100);
    ck_assert_uint_ge(seen->direct, TREES * 95 / 100);
    ck_assert_uint_le(seen->direct, TREES);
    ck_assert_uint_ge(seen->indirect, seen->direct * 4 * 95 / 100);
    ck_assert_uint_le(seen->indirect, seen->direct * 4);
    ck_assert_uint_eq(released, 0);
  }
END_TEST

static GCX_NOINLINE void plant_forgotten_children(void)
{
  for (int i = 0; i < TREES; i++) {
    void *owner = counted(NULL), *child = counted(owner);

    gcx_disown(owner, child);
    tops[i] = owner;
  }
}

START_TEST(test_disowned_and_lost)
  {
    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    plant_forgotten_children();
    ck_assert_uint_ge(objects_found(), TREES * 95 / 100);
    for (int i = 0; i < TREES; i++)
      gcx_dispose(tops[i]);
    ck_assert_uint_eq(released, TREES);
  }
END_TEST

/* ---- leak=dispose: in the order of an explicit disposal */

static GCX_NOINLINE void lose_trees(int n)
{
  for (int i = 0; i < n; i++) {
    struct node *a = tree_of_seven();

    a->children_first = (i & 1) != 0;
  }
}

START_TEST(test_abandoned_trees_are_disposed_in_order)
  {
    size_t whole = 0;

    objects_setup(GCX_LEAK_DISPOSE);
    for (int i = 0; i < 20; i++) {
      lose_trees(1);
      gcx_collect();
      ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
      if (trail_length == 7) {
        demand_trail("acgfbed");
        whole++;
      }
      memset(trail, 0, sizeof(trail));
      trail_length = 0;
    }
    ck_assert_uint_ge(whole, 15);
  }
END_TEST

struct link {
  char name;
  struct link *next;
};

static const struct gcx_type link_type = GCX_TYPE_INIT(
    "link", sizeof(struct link), 0, NULL, leave_trail, NULL, NULL);

static GCX_NOINLINE void lose_chain(const char *names)
{
  struct link *next = NULL;

  for (size_t i = strlen(names); i > 0; i--) {
    struct link *l = gcx_new(&link_type);

    *(struct node *)(void *)l = (struct node){ names[i - 1], false };
    l->next = next;
    next = l;
  }
}

START_TEST(test_who_refers_is_disposed_first)
  {
    size_t whole = 0;

    objects_setup(GCX_LEAK_DISPOSE);
    for (int i = 0; i < 20; i++) {
      lose_chain("uvwxyz");
      gcx_collect();
      ck_assert(gcx_wait_for_finalizers(UINT64_MAX));
      if (trail_length == 6) {
        demand_trail("uvwxyz");
        whole++;
      }
      memset(trail, 0, sizeof(trail));
      trail_length = 0;
    }
    ck_assert_uint_ge(whole, 15);
  }
END_TEST

static Suite *owner_suite(void)
{
  Suite *s = suite_create("owner");
  TCase *c = tcase_create("owner");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_owner_first_then_the_latest);
  tcase_add_test(c, test_owned_first_on_request);
  tcase_add_test(c, test_dispose_owned_alone);
  tcase_add_test(c, test_child_alone);
  tcase_add_test(c, test_disown);
  tcase_add_test(c, test_disown_first_middle_last);
  tcase_add_test(c, test_owned_without_functions);
  tcase_add_test(c, test_errors);
  tcase_add_test(c, test_no_memory_changes_nothing);
  tcase_add_test(c, test_cycles);
  tcase_add_test(c, test_child_disposes_its_owner);
  tcase_add_test(c, test_owned_while_the_owner_is_disposed);
  tcase_add_test(c, test_no_child_is_forgotten_in_a_race);
  tcase_add_test(c, test_wide);
  tcase_add_test(c, test_deep);
  tcase_add_test(c, test_entries_are_used_again);
  tcase_add_test(c, test_owner_keeps_its_children);
  tcase_add_test(c, test_lost_owner_is_direct_and_its_children_indirect);
  tcase_add_test(c, test_disowned_and_lost);
  tcase_add_test(c, test_abandoned_trees_are_disposed_in_order);
  tcase_add_test(c, test_who_refers_is_disposed_first);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(owner_suite);
