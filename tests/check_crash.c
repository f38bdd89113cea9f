/* SPDX-License-Identifier: MIT */
/* check_crash.c - finalizers that go wrong: crashes, ways out, allocations */
#include "finalizable.h"
#include "finalize.h"

#include <setjmp.h>

#include "call.h"
#include "object.h"
#include "thread.h"
#include "throws.h"
#include "waits.h"

static void setup(void)
{
  finalizable_setup(GCX_LEAK_DISPOSE);
}

static void lose_and_wait(void *arg)
{
  lose_of_type(arg, 20);
  settle();
}

static void demand_named(const struct death *d, const char *id,
                         const char *name)
{
  char head[128];

  (void)snprintf(head, sizeof(head), "gcx: %s: 1 object of %s (", id, name);
  ck_assert_msg(death_occurrences(d->err, head) == 1, "not once \"%s\":\n%s",
                head, d->err);
}

/* ---- crashes: the signal has its effect, and the object is named */

/* A crash of the program's, not of UndefinedBehaviorSanitizer's. */
__attribute__((no_sanitize("undefined"))) static void writes_to_nowhere(
    void *obj)
{
  volatile int *nowhere = opaque((void *)16); /* not NULL: a sanitizer's */

  (void)obj;
  *nowhere = 1;
}

static void raises_abort(void *obj)
{
  (void)obj;
  abort();
}

static void kills_itself(void *obj)
{
  (void)obj;
  (void)raise(SIGBUS);
}

static void throws_out(void *obj)
{
  (void)obj;
  throws_number(7);
}

static GCX_NOINLINE size_t goes_deeper(size_t depth)
{
  volatile char room[4096];

  room[0] = (char)depth;
  return depth == 0 ? 0 : goes_deeper(depth + 1) + (size_t)room[0];
}

static void uses_up_its_stack(void *obj)
{
  (void)obj;
  GCX_KEEP(opaque((void *)goes_deeper(opaque_size(1))));
}

static const struct {
  struct gcx_type type;
  int sig;
} crashing[] = {
  { GCX_TYPE_INIT("segv", 48, 0, NULL, NULL, writes_to_nowhere, NULL),
    SIGSEGV },
  { GCX_TYPE_INIT("abort", 48, 0, NULL, NULL, raises_abort, NULL), SIGABRT },
  { GCX_TYPE_INIT("bus", 48, 0, NULL, NULL, kills_itself, NULL), SIGBUS },
  { GCX_TYPE_INIT("throw", 48, 0, NULL, NULL, throws_out, NULL), SIGABRT },
  { GCX_TYPE_INIT("stack", 48, 0, NULL, NULL, uses_up_its_stack, NULL),
    SIGSEGV },
};
#define CRASHING ((int)GCX_ARRAY_LENGTH(crashing))

/* A sanitizer has its own handlers, which are left alone. */
static bool is_handled_already(int sig)
{
  struct sigaction now;

  ck_assert_int_eq(sigaction(sig, NULL, &now), 0);
  return (now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL;
}

START_TEST(test_crash_names_the_object)
  {
    void *type = (void *)(uintptr_t)&crashing[_i].type;
    const struct death *d;

    if (is_handled_already(crashing[_i].sig))
      return;
    d = death_run(lose_and_wait, type);
    ck_assert_msg(WIFSIGNALED(d->status) &&
                      WTERMSIG(d->status) == crashing[_i].sig,
                  "status 0x%x: %s", (unsigned)d->status, d->err);
    demand_named(d, "GCX-FINALIZER-CRASH", crashing[_i].type.name);
    ck_assert_ptr_nonnull(strstr(d->err, strsignal(crashing[_i].sig)));
  }
END_TEST

static void finalizes(void *obj)
{
  (void)obj;
}

static const struct gcx_type quiet_type =
    GCX_TYPE_INIT("quiet", 48, 0, NULL, NULL, finalizes, NULL);

static void crashes_elsewhere(void *arg)
{
  lose_and_wait(arg);
  (void)raise(SIGSEGV);
}

START_TEST(test_crash_outside_a_finalizer_is_no_business_of_gcx)
  {
    const struct death *d;

    if (is_handled_already(SIGSEGV))
      return;
    d = death_run(crashes_elsewhere, (void *)(uintptr_t)&quiet_type);
    ck_assert(WIFSIGNALED(d->status) && WTERMSIG(d->status) == SIGSEGV);
    ck_assert_str_eq(d->err, "");
  }
END_TEST

static void own_handler(int sig)
{
  (void)sig;
  _exit(55);
}

static void crashes_with_a_handler(void *arg)
{
  (void)signal(SIGSEGV, own_handler);
  lose_and_wait(arg);
}

START_TEST(test_a_handler_of_the_program_is_left_alone)
  {
    (void)death_demand_exit(crashes_with_a_handler,
                            (void *)(uintptr_t)&crashing[0].type, 55);
  }
END_TEST

/* ---- ways out */

static int returned;

static void leaves_the_thread(void *obj)
{
  int *first = obj;

  if (__atomic_fetch_add(&returned, 1, __ATOMIC_ACQ_REL) == 0)
    pthread_exit(NULL);
  *first = 0;
}

static const struct gcx_type leaving_type =
    GCX_TYPE_INIT("leaving", 48, 0, NULL, NULL, leaves_the_thread, NULL);

START_TEST(test_leaving_is_fatal)
  {
    const struct death *d = death_demand_abort(
        lose_and_wait, (void *)(uintptr_t)&leaving_type, "GCX-FINALIZER-LEFT");

    demand_named(d, "GCX-FINALIZER-LEFT", "leaving");
  }
END_TEST

START_TEST(test_the_others_are_finalized_all_the_same)
  {
    struct seen *seen = seen_begin();

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    lose_of_type(&leaving_type, 1000);
    settle();
    demand_most(returned, 1000);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FINALIZER_LEFT], 1);
    gcx__opt.leak = GCX_LEAK_REPORT; /* no exit status */
    _exit(0);
  }
END_TEST

static int all_left;

static void always_leaves(void *obj)
{
  (void)obj;
  all_left++;
  pthread_exit(NULL);
}

static const struct gcx_type always_leaving_type =
    GCX_TYPE_INIT("always leaving", 48, 0, NULL, NULL, always_leaves, NULL);

/* Each ends gcx's thread: who waits need not wait for the next one. (If it were
 * noticed only after a tenth of a second, this would not end in time.) */
START_TEST(test_all_of_them_leave)
  {
    gcx__opt.misuse = GCX_MISUSE_REPORT;
    gcx__opt.max_reports = 1;
    gcx__opt.symbolize_ms = 0;
    lose_of_type(&always_leaving_type, 2000);
    settle();
    demand_most(all_left, 2000);
    gcx__opt.leak = GCX_LEAK_REPORT; /* no exit status */
    _exit(0);
  }
END_TEST

/* The same of dispose functions; each object counts once. */
static int leaves_its_disposal(void *obj)
{
  (void)obj;
  all_left++;
  pthread_exit(NULL);
}

static const struct gcx_type left_disposal_type = GCX_TYPE_INIT(
    "left disposal", 48, 0, NULL, leaves_its_disposal, NULL, NULL);

START_TEST(test_all_disposals_leave)
  {
    size_t found = 0;

    lose_of_type(&left_disposal_type, 500);
    for (int i = 0; i < 3; i++)
      found += gcx_check();
    demand_most(all_left, 500);
    ck_assert_uint_eq(found, (size_t)all_left);
    gcx__opt.leak = GCX_LEAK_REPORT; /* no exit status */
    _exit(0);
  }
END_TEST

/* A jump needs a frame to go to: the call is made here, not by gcx's thread. */
static jmp_buf outside;

static void jumps_out(void *obj)
{
  (void)obj;
  longjmp(outside, 1);
}

static const struct gcx_type out_type =
    GCX_TYPE_INIT("out", 48, GCX_TYPE_OPTIONAL, NULL, NULL, jumps_out, NULL);

static void calls_and_is_jumped_to(void *object)
{
  if (setjmp(outside) == 0) {
    gcx__call_finalizer(gcx__object_number(object), object);
    ck_abort_msg("the jump has not come here");
  }
}

static void jumps_out_of_one(void *arg)
{
  (void)arg;
  calls_and_is_jumped_to(gcx_new(&out_type));
}

START_TEST(test_jumping_out_is_fatal)
  {
    const struct death *d =
        death_demand_abort(jumps_out_of_one, NULL, "GCX-FINALIZER-LEFT");

    demand_named(d, "GCX-FINALIZER-LEFT", "out");
  }
END_TEST

/* Reported, it leaves nothing behind that says that a finalizer runs. */
START_TEST(test_jumping_out_is_reported)
  {
    struct seen *seen = seen_begin();
    void *object = gcx_new(&out_type);

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    calls_and_is_jumped_to(object);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FINALIZER_LEFT], 1);
    ck_assert_uint_eq(gcx__thread_self()->finalizing, 0);
    calls_and_is_jumped_to(object);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FINALIZER_LEFT], 2);
    gcx_dispose(object);
    _exit(0);
  }
END_TEST

static jmp_buf inside;

static void jumps_inside(void *obj)
{
  (void)obj;
  if (setjmp(inside) == 0)
    longjmp(inside, 1);
  returned++;
}

static const struct gcx_type jumping_type =
    GCX_TYPE_INIT("jumping", 48, 0, NULL, NULL, jumps_inside, NULL);

START_TEST(test_jumping_inside_is_fine)
  {
    lose_of_type(&jumping_type, 1000);
    settle();
    demand_most(returned, 1000);
  }
END_TEST

/* ---- critical finalizers allocate nothing */

struct critical {
  void *made_before;
};

static void allocates(void *obj)
{
  (void)obj;
  returned++;
  gcx_dispose(gcx_alloc(100));
}

static void resizes(void *obj)
{
  (void)obj;
  returned++;
  gcx_dispose(gcx_realloc(NULL, 10));
}

static void copies(void *obj)
{
  (void)obj;
  returned++;
  gcx_dispose(gcx_strdup("text"));
}

static void makes_managed(void *obj)
{
  (void)obj;
  returned++;
  GCX_KEEP(gcx_alloc_managed(100));
}

static void makes_reference(void *obj)
{
  returned++;
  gcx_dispose(gcx_weak_create(obj, GCX_WEAK_LONG));
}

static void disposes_only(void *obj)
{
  struct critical *c = obj;

  gcx_dispose(c->made_before);
  returned++;
}

static const struct gcx_type critical_types[] = {
  GCX_TYPE_INIT("alloc", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL, NULL,
                allocates, NULL),
  GCX_TYPE_INIT("realloc", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL,
                NULL, resizes, NULL),
  GCX_TYPE_INIT("strdup", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL,
                NULL, copies, NULL),
  GCX_TYPE_INIT("managed", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL,
                NULL, makes_managed, NULL),
  GCX_TYPE_INIT("weak", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL, NULL,
                makes_reference, NULL),
};
#define CRITICAL ((int)GCX_ARRAY_LENGTH(critical_types))

START_TEST(test_critical_alloc_is_fatal)
  {
    const struct death *d = death_demand_abort(
        lose_and_wait, (void *)(uintptr_t)&critical_types[_i],
        "GCX-CRITICAL-ALLOC");

    demand_named(d, "GCX-CRITICAL-ALLOC", critical_types[_i].name);
  }
END_TEST

/* Under misuse=report it goes on, and allocates; afterwards all is as before. */
START_TEST(test_critical_alloc_reported)
  {
    struct seen *seen = seen_begin();
    void *p;

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    lose_of_type(&critical_types[0], 100);
    settle();
    demand_most(returned, 100);
    demand_most((int)seen->findings[GCX_REPORT_CRITICAL_ALLOC], returned);
    p = gcx_alloc(10);
    ck_assert_uint_le(seen->findings[GCX_REPORT_CRITICAL_ALLOC],
                      (size_t)returned);
    gcx_dispose(p);
    _exit(0);
  }
END_TEST

static const struct gcx_type ordinary_type =
    GCX_TYPE_INIT("ordinary", 48, 0, NULL, NULL, allocates, NULL);
static const struct gcx_type modest_type =
    GCX_TYPE_INIT("modest", sizeof(struct critical), GCX_TYPE_CRITICAL, NULL,
                  NULL, disposes_only, NULL);

static GCX_NOINLINE void lose_modest(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct critical *c = gcx_new(&modest_type);

    c->made_before = gcx_alloc(16);
    GCX_KEEP(c);
  }
}

START_TEST(test_what_is_allowed)
  {
    gcx__opt.quarantine = (uint64_t)_i;
    lose_of_type(&ordinary_type, 500);
    lose_modest(500);
    settle();
    demand_most(returned, 1000);
  }
END_TEST

/* ---- using what was finalized before */

struct pair {
  struct pair *other;
  int finalized;
};

static void uses_the_other(void *obj)
{
  struct pair *p = obj;

  p->finalized = 1;
  if (p->other->finalized == 1)
    (void)gcx_require_live(p->other);
  ck_assert_ptr_eq(gcx_require_live(p), p); /* itself: live */
}

static const struct gcx_type pair_type = GCX_TYPE_INIT(
    "pair", sizeof(struct pair), 0, NULL, NULL, uses_the_other, NULL);

static GCX_NOINLINE void lose_pairs(size_t n)
{
  for (size_t i = 0; i < n; i++) {
    struct pair *a = gcx_new(&pair_type), *b = gcx_new(&pair_type);

    a->other = b;
    b->other = a;
    GCX_KEEP(a);
  }
}

static void loses_pairs(void *arg)
{
  (void)arg;
  lose_pairs(20);
  settle();
}

START_TEST(test_using_what_was_finalized)
  {
    const struct death *d =
        death_demand_abort(loses_pairs, NULL, "GCX-USE-AFTER-DISPOSE");

    ck_assert_ptr_nonnull(strstr(d->err, "1 object of pair (16 bytes) used "
                                         "after its finalizer has run\n"));
    ck_assert_ptr_nonnull(strstr(d->err, ": finalized already, in the "
                                         "finalizer of 0x"));
  }
END_TEST

static void *saved;

static void saves(void *obj)
{
  saved = obj;
}

static const struct gcx_type saving_type =
    GCX_TYPE_INIT("saving", 16, 0, NULL, NULL, saves, NULL);

/* Brought back to life, it can be used. */
START_TEST(test_using_what_was_resurrected)
  {
    lose_of_type(&saving_type, 20);
    settle();
    ck_assert_ptr_nonnull(saved);
    ck_assert_ptr_eq(gcx_require_live(saved), saved);
    gcx_dispose(saved);
  }
END_TEST

/* ---- slow ones */

static struct seen *slow_seen;

/* Goes on until somebody has said that it is slow; no call in it, so that there is
 * one place where it can be. */
static GCX_NOINLINE void is_stuck_here(void)
{
  while (__atomic_load_n(&slow_seen->findings[GCX_REPORT_SLOW_FINALIZER],
                         __ATOMIC_ACQUIRE) == 0)
    __asm__ volatile("" : : : "memory");
}

static void takes_its_time(void *obj)
{
  (void)obj;
  is_stuck_here();
  returned++;
}

static const struct gcx_type slow_type =
    GCX_TYPE_INIT("slow", 48, 0, NULL, NULL, takes_its_time, NULL);

START_TEST(test_a_slow_one_is_named_while_it_runs)
  {
    slow_seen = seen_begin();
    gcx__opt.slow_finalizer_ms = 5;
    lose_of_type(&slow_type, 20);
    settle();
    demand_most(returned, 20);
    ck_assert_uint_ge(slow_seen->findings[GCX_REPORT_SLOW_FINALIZER], 1);
    ck_assert_str_eq(slow_seen->last.type_name, "slow");
    ck_assert_uint_ne(slow_seen->last.use_site, 0);
  }
END_TEST

static void is_slow(void *arg)
{
  (void)arg;
  slow_seen = seen_begin();
  gcx__opt.symbolize_ms = 60000;
  gcx__opt.slow_finalizer_ms = 5;
  lose_of_type(&slow_type, 20);
  settle();
}

/* The text from @at on is @part; what follows it. */
static const char *demand_next(const char *at, const char *part)
{
  ck_assert_msg(strncmp(at, part, strlen(part)) == 0, "not \"%s\": %s", part,
                at);
  return at + strlen(part);
}

static const char *skip_line(const char *at)
{
  at = strchr(at, '\n');
  ck_assert_ptr_nonnull(at);
  return at + 1;
}

/* Where it is: the finalizer and what it has called, nothing of gcx's. Where gcx
 * can't see another thread, which finalizer it is. */
START_TEST(test_a_slow_one_is_named_with_its_stack)
  {
    const struct death *d = death_run(is_slow, NULL);
    const char *at = strstr(d->err, "GCX-SLOW-FINALIZER: ");

    ck_assert_ptr_nonnull(at);
    at =
        demand_next(at, "GCX-SLOW-FINALIZER: 1 object of slow (48 bytes) has a "
                        "finalizer that takes long\n  what      slow, 48 bytes "
                        "at 0x");
    at = demand_next(skip_line(at), "  detail    longer than slow_finalizer_ms "
                                    "allows");
#if defined(__x86_64__)
    at = demand_next(at, "; the stack says where it is now\n");
    at = demand_next(skip_line(demand_next(at, "  finalizer in thread ")),
                     "    #0 is_stuck_here ");
    at = demand_next(skip_line(at), "    #1 takes_its_time ");
#else
    at = demand_next(skip_line(demand_next(at, "\n  finalizer in thread ")),
                     "    #0 takes_its_time ");
#endif
    (void)demand_next(skip_line(at), "  born ");
  }
END_TEST

/* Who has a signal for each of its own purposes is not disturbed. */
static void own_realtime(int sig)
{
  (void)sig;
  _exit(66);
}

static void is_slow_without_signals(void *arg)
{
  for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
    (void)signal(sig, own_realtime);
  is_slow(arg);
}

START_TEST(test_without_a_signal_the_finalizer_is_named)
  {
    const struct death *d = death_demand_exit(is_slow_without_signals, NULL, 0);
    const char *at = strstr(d->err, "  finalizer in thread ");

    ck_assert_ptr_nonnull(at);
    at = demand_next(skip_line(at), "    #0 takes_its_time ");
    (void)demand_next(skip_line(at), "  born ");
  }
END_TEST

static int may_return;

static void waits_for_the_fork(void *obj)
{
  (void)obj;
  is_stuck_here();
  flag_wait(&may_return);
}

static const struct gcx_type waiting_type =
    GCX_TYPE_INIT("waiting", 48, 0, NULL, NULL, waits_for_the_fork, NULL);

/* The call that the parent has reported is not the child's first. */
static void is_slow_in_a_child(void *arg)
{
  (void)arg;
  (void)alarm(60);
  if (gcx__finalize_is_running())
    _exit(1);
  slow_seen->findings[GCX_REPORT_SLOW_FINALIZER] = 0;
  lose_of_type(&slow_type, 20);
  settle();
  _exit(returned > 0 ? 0 : 2);
}

START_TEST(test_a_slow_one_in_a_child_of_one)
  {
    slow_seen = seen_begin();
    gcx__opt.slow_finalizer_ms = 5;
    lose_of_type(&waiting_type, 20);
    gcx_collect();
    is_stuck_here();
    death_demand_exit(is_slow_in_a_child, NULL, 0);
    flag_raise(&may_return);
    settle();
  }
END_TEST

START_TEST(test_none_is_slow)
  {
    slow_seen = seen_begin();
    gcx__opt.slow_finalizer_ms = 3600000;
    lose_of_type(&quiet_type, 2000);
    settle();
    ck_assert_uint_eq(slow_seen->findings[GCX_REPORT_SLOW_FINALIZER], 0);
  }
END_TEST

static Suite *crash_suite(void)
{
  Suite *s = suite_create("crash");
  TCase *tc = tcase_create("crash");

  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, finalizable_teardown);
  tcase_add_loop_test(tc, test_crash_names_the_object, 0, CRASHING);
  tcase_add_test(tc, test_crash_outside_a_finalizer_is_no_business_of_gcx);
  tcase_add_test(tc, test_a_handler_of_the_program_is_left_alone);
  tcase_add_test(tc, test_leaving_is_fatal);
  tcase_add_test(tc, test_the_others_are_finalized_all_the_same);
  tcase_add_test(tc, test_all_of_them_leave);
  tcase_add_test(tc, test_all_disposals_leave);
  tcase_add_test(tc, test_jumping_out_is_fatal);
  tcase_add_test(tc, test_jumping_out_is_reported);
  tcase_add_test(tc, test_jumping_inside_is_fine);
  tcase_add_loop_test(tc, test_critical_alloc_is_fatal, 0, CRITICAL);
  tcase_add_test(tc, test_critical_alloc_reported);
  tcase_add_loop_test(tc, test_what_is_allowed, 0, 2);
  tcase_add_test(tc, test_using_what_was_finalized);
  tcase_add_test(tc, test_using_what_was_resurrected);
  tcase_add_test(tc, test_a_slow_one_is_named_while_it_runs);
  tcase_add_test(tc, test_a_slow_one_is_named_with_its_stack);
  tcase_add_test(tc, test_without_a_signal_the_finalizer_is_named);
  tcase_add_test(tc, test_a_slow_one_in_a_child_of_one);
  tcase_add_test(tc, test_none_is_slow);
  suite_add_tcase(s, tc);
  return s;
}

GCX_CHECK_MAIN(crash_suite);
