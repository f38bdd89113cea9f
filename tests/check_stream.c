/* SPDX-License-Identifier: MIT */
/* check_stream.c - FILE and DIR of a program with gcx/malloc.h: lost ones are
 * found, held ones never, wherever they are held */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#include "finding.h"
#include "redirect.h"
#include "stream.h"
#include "waits.h"

#define LOST 60
#define ENOUGH (LOST * 7 / 10)

static void setup(void)
{
  objects_setup(GCX_LEAK_REPORT);
  objects_be_quiet();
}

static FILE *opened(void)
{
  FILE *f = gcx_redirect_fopen("/etc/passwd", "r");

  ck_assert_ptr_nonnull(f);
  return f;
}

/* ---- as the C library's */

START_TEST(test_like_the_c_librarys)
  {
    FILE *f = opened(), *g;
    DIR *d = gcx_redirect_opendir("/");
    char line[256];

    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    ck_assert_int_eq(gcx_redirect_fclose(f), 0);
    ck_assert_ptr_nonnull(readdir(d));
    ck_assert_int_eq(gcx_redirect_closedir(d), 0);
    f = gcx_redirect_popen("echo word", "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    ck_assert_str_eq(line, "word\n");
    ck_assert_int_eq(gcx_redirect_pclose(f), 0);
    f = gcx_redirect_tmpfile();
    ck_assert_int_ge(fputs("x", f), 0);
    g = gcx_redirect_freopen("/etc/passwd", "r", f);
    ck_assert_ptr_eq(g, f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, g));
    ck_assert_int_eq(gcx_redirect_fclose(g), 0);
    f = gcx_redirect_fdopen(open("/etc/passwd", O_RDONLY | O_CLOEXEC), "r");
    ck_assert_int_ne(fgetc(f), EOF);
    ck_assert_int_eq(gcx_redirect_fclose(f), 0);
    d = gcx_redirect_fdopendir(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ck_assert_ptr_nonnull(readdir(d));
    ck_assert_int_eq(gcx_redirect_closedir(d), 0);
    errno = 0;
    ck_assert_ptr_null(gcx_redirect_fopen("/nowhere", "r"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(gcx_redirect_closedir(NULL), -1);
    ck_assert_int_eq(errno, EINVAL);
    errno = 0;
    ck_assert_ptr_null(gcx_redirect_opendir("/nowhere"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

START_TEST(test_a_stream_of_somebody_else)
  {
    FILE *f = fopen("/etc/passwd", "r");
    DIR *d = opendir("/");
    char text[] = "text";

    ck_assert_int_eq(gcx_redirect_fclose(f), 0);
    ck_assert_int_eq(gcx_redirect_closedir(d), 0);
    f = fmemopen(text, sizeof text, "r"); /* one without a descriptor */
    errno = 4321;
    ck_assert_int_eq(gcx_redirect_fclose(f), 0);
    ck_assert_int_eq(errno, 4321);
  }
END_TEST

/* A library that was compiled without the header has it closed: with plain names,
 * here. One after the other, where each gets the memory of the one before, and all
 * at the end. */
static GCX_NOINLINE void closed_by_a_library(void)
{
  FILE *files[LOST];
  DIR *dirs[LOST];

  for (size_t i = 0; i < LOST; i++) {
    ck_assert_int_eq(fclose(opened()), 0);
    ck_assert_int_eq(closedir(gcx_redirect_opendir("/")), 0);
    if (i % 10 == 0)
      ck_assert_int_eq(pclose(gcx_redirect_popen("true", "r")), 0);
  }
  for (size_t i = 0; i < LOST; i++) {
    files[i] = opened();
    dirs[i] = gcx_redirect_opendir("/");
  }
  for (size_t i = 0; i < LOST; i++) {
    ck_assert_int_eq(fclose(files[i]), 0);
    ck_assert_int_eq(closedir(dirs[i]), 0);
  }
  memset(files, 0, sizeof files);
  memset(dirs, 0, sizeof dirs);
  GCX_KEEP(files);
  GCX_KEEP(dirs);
}

START_TEST(test_closed_by_a_library)
  {
    struct seen *seen;

    objects_setup(_i == 0 ? GCX_LEAK_REPORT : GCX_LEAK_DISPOSE);
    objects_be_quiet();
    seen = seen_begin();
    closed_by_a_library();
    for (int i = 0; i < 3; i++)
      ck_assert_uint_eq(objects_found(), 0);
    closed_by_a_library(); /* where the first ones were */
    ck_assert_uint_eq(objects_found(), 0);
    gcx__stream_drop_closed();
    (void)gcx__finding_undisposed();
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_UNDISPOSED], 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FINALIZER_CRASH], 0);
  }
END_TEST

/* ---- lost */

static GCX_NOINLINE void lose_files(size_t n)
{
  for (size_t i = 0; i < opaque_size(n); i++)
    (void)fgetc(opened());
}

static GCX_NOINLINE void lose_dirs(size_t n)
{
  for (size_t i = 0; i < opaque_size(n); i++)
    (void)readdir(gcx_redirect_opendir("/etc"));
}

START_TEST(test_lost_files_are_found)
  {
    struct seen *seen = seen_begin();

    lose_files(LOST);
    ck_assert_uint_ge(objects_found(), (size_t)ENOUGH);
    ck_assert(objects_from_sites(seen, 1));
    ck_assert_str_eq(seen->last.type_name, "FILE");
    ck_assert_str_eq(seen->last.ended_by, "fclose");
    ck_assert_uint_eq(seen->last.bytes, 0);
    ck_assert_uint_eq(seen->last.total_bytes, 0);
    ck_assert_int_ge(fileno((FILE *)(void *)(uintptr_t)seen->last.object), 3);
    ck_assert_ptr_nonnull(strstr(seen->last.description, "/etc/passwd"));
    ck_assert_uint_ne(seen->last.birth_site, 0);
  }
END_TEST

/* The only stream of its process; libc's FILE points to the one opened before it,
 * also when it has been freed. */
static void loses_one(void *arg)
{
  lose_files(1);
  if (*(const int *)arg != 0)
    ck_assert_int_eq(gcx_redirect_fclose(opened()), 0);
  _exit((int)objects_found());
}

START_TEST(test_a_single_lost_file)
  {
    int found = 0;

    for (int i = 0; i < 10; i++)
      found += WEXITSTATUS(death_run(loses_one, &_i)->status) == 1;
    ck_assert_int_ge(found, 7);
  }
END_TEST

static void closes_a_number(void *arg)
{
  int fd = gcx_redirect_open("/etc/passwd", O_RDONLY);

  gcx__opt.misuse = GCX_MISUSE_FATAL;
  if (*(const int *)arg != 0)
    (void)gcx_redirect_closedir((DIR *)(intptr_t)fd);
  else
    (void)gcx_redirect_fclose((FILE *)(intptr_t)fd);
}

START_TEST(test_a_descriptor_is_no_stream)
  {
    const struct death *d =
        death_demand_abort(closes_a_number, &_i, "GCX-FD-OWNER");

    ck_assert_ptr_nonnull(
        strstr(d->err, "): a descriptor, and no FILE or DIR"));
    ck_assert_ptr_nonnull(strstr(d->err, _i != 0 ? "closedir(" : "fclose("));
    ck_assert_ptr_nonnull(strstr(d->err, "/etc/passwd"));
  }
END_TEST

START_TEST(test_lost_directories_are_found)
  {
    struct seen *seen = seen_begin();

    lose_dirs(LOST);
    ck_assert_uint_ge(objects_found(), (size_t)ENOUGH);
    ck_assert(objects_from_sites(seen, 1));
    ck_assert_str_eq(seen->last.type_name, "DIR");
    ck_assert_str_eq(seen->last.ended_by, "closedir");
    ck_assert_int_ge(dirfd((DIR *)(void *)(uintptr_t)seen->last.object), 3);
  }
END_TEST

/* ---- popen() */

static FILE *piped(const char *command, const char *mode)
{
  FILE *f = gcx_redirect_popen(command, mode);

  ck_assert_ptr_nonnull(f);
  return f;
}

static int pipe_status(const char *command)
{
  int status = gcx_redirect_pclose(piped(command, "r"));

  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

START_TEST(test_popen_is_the_c_librarys)
  {
    static const char *const bad[] = { "", "x", "e", "rw", "r+", "rb" };
    char line[64];
    FILE *f, *g;

    ck_assert_int_eq(pipe_status("exit 0"), 0);
    ck_assert_int_eq(pipe_status("exit 3"), 3);
    ck_assert_int_eq(pipe_status("/nowhere/command 2>/dev/null"), 127);
    f = piped("read word; test \"$word\" = yes && exit 4", "we");
    ck_assert_int_ne(fcntl(fileno(f), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ge(fputs("yes\n", f), 0);
    ck_assert_int_eq(WEXITSTATUS(gcx_redirect_pclose(f)), 4);
    for (size_t i = 0; i < GCX_ARRAY_LENGTH(bad); i++) {
      errno = 0;
      ck_assert_ptr_null(gcx_redirect_popen("true", bad[i]));
      ck_assert_int_eq(errno, EINVAL);
    }
    f = piped("cat", "w"); /* the second child does not hold its pipe */
    g = piped("read forever", "w");
    ck_assert_int_eq(gcx_redirect_pclose(f), 0);
    (void)gcx_redirect_pclose(g);
    g = piped("echo word", "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, g));
    ck_assert_int_eq(gcx_redirect_fclose(g), 0); /* waits, too */
#ifndef __SANITIZE_ADDRESS__ /* whose free() gcx does not see */
    g = piped("exit 5", "r");
    ck_assert_int_eq(WEXITSTATUS(fclose(g)), 5); /* somebody else's call */
#endif
    errno = 0;
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_uint_eq(objects_found(), 0);
  }
END_TEST

static GCX_NOINLINE void lose_pipes(size_t n, const char *mode)
{
  for (size_t i = 0; i < opaque_size(n); i++)
    (void)fileno(piped(*mode == 'r' ? "echo word" : "cat", mode));
}

static FILE *live_before, *live_after;

static GCX_NOINLINE void open_live(FILE **to)
{
  *to = piped("echo word", "r");
}

/* Its word is read first: echo would die of SIGPIPE. */
static void close_live(FILE *live)
{
  char line[16];

  ck_assert_ptr_nonnull(fgets(line, sizeof line, live));
  ck_assert_str_eq(line, "word\n");
  ck_assert_int_eq(gcx_redirect_pclose(live), 0);
}

#define PIPES 12

/* Between two that are held, and beside a held file. */
START_TEST(test_lost_popen)
  {
    struct seen *seen = seen_begin();
    FILE *file = opened();

    open_live(&live_before);
    lose_pipes(PIPES, _i == 0 ? "r" : "w");
    open_live(&live_after);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_uint_ge(objects_found(), (size_t)PIPES * 7 / 10);
    ck_assert(objects_from_sites(seen, 1));
    ck_assert_str_eq(seen->last.type_name, "FILE of popen");
    ck_assert_str_eq(seen->last.ended_by, "pclose");
    ck_assert_ptr_nonnull(strstr(seen->last.description, "pipe"));
#else
    ck_assert_uint_le(objects_found(), (size_t)PIPES);
#endif
    close_live(live_before);
    close_live(live_after);
    ck_assert_int_eq(gcx_redirect_fclose(file), 0);
    (void)objects_found();
    ck_assert_uint_le(seen->findings[GCX_REPORT_LEAK], (size_t)PIPES);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
  }
END_TEST

/* libc's stdout is a variable of libc's own: one that holds. */
START_TEST(test_popen_held_by_stdout)
  {
    FILE *before = stdout;

    open_live(&live_before);
    stdout = piped("cat >/dev/null", "w");
    for (int i = 0; i < 5; i++)
      ck_assert_uint_eq(objects_found(), 0);
    ck_assert_int_eq(gcx_redirect_pclose(stdout), 0);
    stdout = before;
    ck_assert_int_eq(gcx_redirect_pclose(live_before), 0);
  }
END_TEST

static void *pipes_and_closes(void *unused)
{
  for (int i = 0; i < 20; i++) {
    FILE *f = piped("echo word", "r"), *g = piped("cat", "w");

    if (fgetc(f) != 'w')
      return "not read";
    if (gcx_redirect_pclose(g) != 0 || gcx_redirect_pclose(f) != 0)
      return "not closed";
  }
  return unused;
}

START_TEST(test_popen_by_threads)
  {
    struct seen *seen = seen_begin();
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
      threads[i] = thread_start(pipes_and_closes, NULL);
    for (int i = 0; i < 20; i++)
      (void)gcx_check();
    for (int i = 0; i < 2; i++)
      ck_assert_ptr_null(thread_join(threads[i]));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
  }
END_TEST

static int open_descriptors(void)
{
  int n = 0;

  for (int fd = 0; fd < 1024; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

START_TEST(test_lost_ones_are_closed)
  {
    int before = open_descriptors();

    objects_setup(GCX_LEAK_DISPOSE);
    lose_files(LOST);
    lose_dirs(LOST);
    ck_assert_int_ge(open_descriptors(), before + 2 * LOST);
    (void)objects_found();
    ck_assert_int_le(open_descriptors(), before + 2 * LOST * 3 / 10);
  }
END_TEST

/* A lost stream whose number the program has closed and opened again: closing it
 * would close what the program has opened. */
static GCX_NOINLINE void lose_one_without_number(int *ret_fd)
{
  FILE *f = opened();
  int fd = fileno(f);

  ck_assert_int_eq(close(fd), 0); /* by a library: the ledger does not see it */
  *ret_fd = gcx_redirect_open("/dev/null", O_RDONLY | O_CLOEXEC);
  ck_assert_int_eq(*ret_fd, fd);
}

START_TEST(test_a_number_that_changed_hands)
  {
    int fds[LOST];

    objects_setup(GCX_LEAK_DISPOSE);
    for (int i = 0; i < LOST; i++)
      lose_one_without_number(&fds[i]);
    (void)objects_found();
    for (int i = 0; i < LOST; i++)
      ck_assert_int_eq(gcx_redirect_close(fds[i]), 0);
  }
END_TEST

static void begins_a_popen(void *arg)
{
  (void)arg;
  _exit(gcx__stream_popen_begin() ? 0 : 1);
}

/* The thread that was in popen() is not there in the child. */
START_TEST(test_popen_in_the_child_of_a_fork)
  {
    ck_assert(gcx__stream_popen_begin());
    (void)death_demand_exit(begins_a_popen, NULL, 0);
    gcx__stream_popen_end(true, NULL);
  }
END_TEST

static void loses_files(void *arg)
{
  (void)arg;
  objects_setup(GCX_LEAK_ABORT);
  lose_files(LOST);
  (void)gcx_check();
}

#ifndef __SANITIZE_ADDRESS__
/* By a thread of its own, since each has a child to wait for. */
START_TEST(test_lost_popen_is_closed)
  {
    int before = open_descriptors();

    objects_setup(GCX_LEAK_DISPOSE);
    lose_pipes(PIPES, "w");
    ck_assert_int_ge(open_descriptors(), before + PIPES);
    do
      (void)objects_found();
    while (open_descriptors() > before + PIPES * 3 / 10);
  }
END_TEST
#endif

START_TEST(test_it_stops_the_program)
  {
    (void)death_demand_abort(loses_files, NULL, "GCX-LEAK");
  }
END_TEST

/* ---- held: never called lost, wherever the only pointer is */

static FILE *held_static;
static __thread FILE *held_thread;
static pthread_key_t held_key;
struct holder {
  char before[24];
  FILE *f;
};
static struct holder *held_malloc, *held_gcx;
static char *held_inside; /* points into the FILE, not at its start */

static GCX_NOINLINE void hold_everywhere(void)
{
  held_static = opened();
  held_thread = opened();
  ck_assert_int_eq(pthread_setspecific(held_key, opened()), 0);
  held_malloc->f = opened();
  held_gcx->f = opened();
  held_inside = (char *)opened() + 40;
}

static GCX_NOINLINE void close_everywhere(void)
{
  ck_assert_int_eq(gcx_redirect_fclose(held_static), 0);
  ck_assert_int_eq(gcx_redirect_fclose(held_thread), 0);
  ck_assert_int_eq(gcx_redirect_fclose(pthread_getspecific(held_key)), 0);
  ck_assert_int_eq(gcx_redirect_fclose(held_malloc->f), 0);
  ck_assert_int_eq(gcx_redirect_fclose(held_gcx->f), 0);
  ck_assert_int_eq(gcx_redirect_fclose((FILE *)(void *)(held_inside - 40)), 0);
}

START_TEST(test_held_ones_are_left_alone)
  {
    struct seen *seen = seen_begin();
    FILE *local = opened();

    ck_assert_int_eq(pthread_key_create(&held_key, NULL), 0);
    held_malloc = malloc(sizeof *held_malloc);
    held_gcx = gcx_alloc(sizeof *held_gcx);
    hold_everywhere();
    for (int i = 0; i < 5; i++)
      ck_assert_uint_eq(objects_found(), 0);
    close_everywhere();
    ck_assert_int_eq(gcx_redirect_fclose(local), 0);
    ck_assert_uint_eq(objects_found(), 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
    free(held_malloc);
    gcx_dispose(held_gcx);
  }
END_TEST

static int go, ready;

/* Only this thread's stack, or a register of it, holds the stream. */
static void *holds(void *unused)
{
  FILE *f = opened();

  __atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
  flag_wait(&go);
  return gcx_redirect_fclose(f) == 0 ? unused : "not closed";
}

START_TEST(test_held_by_threads)
  {
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
      threads[i] = thread_start(holds, NULL);
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < 4)
      (void)sched_yield();
    for (int i = 0; i < 10; i++)
      ck_assert_uint_eq(objects_found(), 0);
    flag_raise(&go);
    for (int i = 0; i < 4; i++)
      ck_assert_ptr_null(thread_join(threads[i]));
  }
END_TEST

/* On its way to a thread, only the argument holds it. */
static void *closes(void *arg)
{
  return gcx_redirect_fclose(arg) == 0 ? NULL : "not closed";
}

static GCX_NOINLINE pthread_t hand_over(void)
{
  return thread_start(closes, opened());
}

START_TEST(test_held_as_an_argument)
  {
    struct seen *seen = seen_begin();

    for (int i = 0; i < 20; i++) {
      pthread_t thread = hand_over();

      (void)gcx_check();
      ck_assert_ptr_null(thread_join(thread));
    }
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
  }
END_TEST

#define ROUNDS 100

static void *opens_and_closes(void *unused)
{
  for (int i = 0; i < ROUNDS; i++) {
    FILE *f = opened(), *g = opened();
    DIR *d = gcx_redirect_opendir("/etc");

    if (fgetc(f) == EOF || readdir(d) == NULL)
      return "not open";
    if (gcx_redirect_fclose(f) != 0 || gcx_redirect_closedir(d) != 0 ||
        gcx_redirect_fclose(g) != 0)
      return "not closed";
  }
  return unused;
}

START_TEST(test_collections_meanwhile)
  {
    struct seen *seen = seen_begin();
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
      threads[i] = thread_start(opens_and_closes, NULL);
    for (int i = 0; i < 30; i++)
      (void)gcx_check();
    for (int i = 0; i < 3; i++)
      ck_assert_ptr_null(thread_join(threads[i]));
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
  }
END_TEST

START_TEST(test_a_collection_of_its_own_accord)
  {
    struct seen *seen = seen_begin();
    FILE *f = opened();

    for (int i = 0; i < 200000; i++)
      gcx_dispose(opaque(gcx_alloc(256)));
    ck_assert_int_ne(fgetc(f), EOF);
    ck_assert_int_eq(gcx_redirect_fclose(f), 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_LEAK], 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_FALSE], 0);
  }
END_TEST

/* ---- the table */

#define ADDRESSES 40000 /* more than it has places */
#define AT_A_TIME 1000

static void stream_of(void *p, bool opens)
{
  struct gcx__frame start = GCX__CALLER_FRAME();

  if (opens)
    gcx__stream_opened(p, GCX_STREAM_DIR, -1, &start);
  else
    ck_assert_uint_ge(gcx__stream_closing(p, -1, &start), 24);
}

/* However many have come and gone: a search ends soon. */
START_TEST(test_the_table_does_not_fill_up)
  {
    static void *blocks[ADDRESSES];

    for (int i = 0; i < ADDRESSES; i++) {
      blocks[i] = malloc(24);
      stream_of(blocks[i], true);
      if (i >= AT_A_TIME)
        stream_of(blocks[i - AT_A_TIME], false);
    }
    ck_assert_uint_le(gcx__stream_gone(), AT_A_TIME);
    for (int i = ADDRESSES - AT_A_TIME; i < ADDRESSES; i++)
      stream_of(blocks[i], false);
    ck_assert_uint_eq(gcx__stream_gone(), 0);
    for (int i = 0; i < ADDRESSES; i++)
      free(blocks[i]);
  }
END_TEST

static Suite *stream_suite(void)
{
  Suite *s = suite_create("stream");
  TCase *c = tcase_create("stream");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_test(c, test_the_table_does_not_fill_up);
  tcase_add_test(c, test_like_the_c_librarys);
  tcase_add_test(c, test_a_stream_of_somebody_else);
  tcase_add_loop_test(c, test_closed_by_a_library, 0, 2);
  tcase_add_test(c, test_lost_files_are_found);
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory as it was */
  tcase_add_loop_test(c, test_a_single_lost_file, 0, 2);
#else
  tcase_add_loop_test(c, test_a_single_lost_file, 0, 1);
#endif
  tcase_add_loop_test(c, test_a_descriptor_is_no_stream, 0, 2);
  tcase_add_test(c, test_lost_directories_are_found);
  tcase_add_test(c, test_lost_ones_are_closed);
  tcase_add_test(c, test_popen_is_the_c_librarys);
  tcase_add_loop_test(c, test_lost_popen, 0, 2);
  tcase_add_test(c, test_popen_held_by_stdout);
  tcase_add_test(c, test_popen_by_threads);
#ifndef __SANITIZE_ADDRESS__
  tcase_add_test(c, test_lost_popen_is_closed);
#endif
  tcase_add_test(c, test_a_number_that_changed_hands);
  tcase_add_test(c, test_popen_in_the_child_of_a_fork);
  tcase_add_test(c, test_it_stops_the_program);
  tcase_add_test(c, test_held_ones_are_left_alone);
  tcase_add_test(c, test_held_by_threads);
  tcase_add_test(c, test_held_as_an_argument);
  tcase_add_test(c, test_collections_meanwhile);
  tcase_add_test(c, test_a_collection_of_its_own_accord);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(stream_suite);
