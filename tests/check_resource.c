/* SPDX-License-Identifier: MIT */
/* check_resource.c - the ready-made kinds on real files, directories, sockets;
 * types from a macro; what happens when descriptors run out */
#include "objects.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <regex.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "describe.h"

static char scratch[64]; /* a directory */
static char path[128];   /* a file in it */

static void setup(void)
{
  FILE *f;

  objects_setup(GCX_LEAK_ABORT);
  strcpy(scratch, "/tmp/gcx-resource-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(scratch));
  (void)snprintf(path, sizeof path, "%s/notes", scratch);
  f = fopen(path, "w");
  ck_assert_ptr_nonnull(f);
  ck_assert_int_ge(fputs("one\ntwo\n", f), 0);
  ck_assert_int_eq(fclose(f), 0);
}

static void teardown(void)
{
  (void)unlink(path);
  ck_assert_int_eq(rmdir(scratch), 0);
}

/* ---- each kind */

START_TEST(test_fd)
  {
    struct gcx_handle *h = gcx_fd_open(path, O_RDONLY, 0);
    char text[16] = "", line[128];
    intptr_t fd = -1;

    ck_assert(gcx_handle_acquire(h, &fd));
    ck_assert_int_eq(read((int)fd, text, 4), 4);
    ck_assert_str_eq(text, "one\n");
    ck_assert_int_eq(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
    gcx__describe_fd((int)fd, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, path));
    ck_assert_ptr_nonnull(strstr(line, ", reading"));
    gcx_handle_release(h);
    ck_assert_int_eq(gcx_close(h), 0);
    ck_assert_int_lt(fcntl((int)fd, F_GETFD), 0);
    gcx__describe_fd((int)fd, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, "not open"));
  }
END_TEST

START_TEST(test_fd_errors)
  {
    struct gcx_handle *h;

    errno = 0;
    ck_assert_ptr_null(gcx_fd_open("/nowhere/at/all", O_RDONLY, 0));
    ck_assert_int_eq(errno, ENOENT);
    h = gcx_fd_wrap(-1, true);
    ck_assert(gcx_handle_is_invalid(h));
    gcx_dispose(h);
    h = gcx_fd_wrap(STDERR_FILENO, false);
    gcx_dispose(h);
    ck_assert_int_ge(fcntl(STDERR_FILENO, F_GETFD), 0);
  }
END_TEST

START_TEST(test_file)
  {
    struct gcx_file *f = gcx_file_open(path, "r+");
    char text[16];

    ck_assert_ptr_nonnull(fgets(text, sizeof text, gcx_file_stream(f)));
    ck_assert_str_eq(text, "one\n");
    ck_assert_int_eq(gcx_close(f), 0);
    f = gcx_file_open(path, "r,ccs=UTF-8"); /* what follows is its charset */
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ne(fcntl(fileno(gcx_file_stream(f)), F_GETFD) & FD_CLOEXEC,
                     0);
    gcx_dispose(f);
    errno = 0;
    ck_assert_ptr_null(gcx_file_stream(f));
    ck_assert_int_eq(errno, EBADF);
    ck_assert_ptr_null(gcx_file_stream(NULL));
    errno = 0;
    ck_assert_ptr_null(gcx_file_open("/nowhere", "r"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(gcx_file_open(path, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(gcx_file_open(path, "r,ccs=a-very-long-name"));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

START_TEST(test_file_tells_that_the_end_was_not_written)
  {
    struct gcx_file *f = gcx_file_open("/dev/full", "w");

    ck_assert_int_ge(fputs("lost", gcx_file_stream(f)), 0);
    ck_assert_int_eq(gcx_close(f), -ENOSPC);
  }
END_TEST

START_TEST(test_dir)
  {
    struct gcx_dir *d = gcx_dir_open(scratch);
    const struct dirent *entry;
    int seen = 0, notes = 0;

    while ((entry = gcx_dir_next(d)) != NULL) {
      seen++;
      notes += strcmp(entry->d_name, "notes") == 0;
    }
    ck_assert_int_eq(errno, 0);
    ck_assert_int_eq(seen, 3);
    ck_assert_int_eq(notes, 1);
    ck_assert_int_eq(gcx_close(d), 0);
    ck_assert_ptr_null(gcx_dir_next(d));
    ck_assert_int_eq(errno, EBADF);
    ck_assert_ptr_null(gcx_dir_open("/nowhere"));
    ck_assert_int_eq(errno, ENOENT);
  }
END_TEST

START_TEST(test_map)
  {
    struct gcx_map *m = gcx_map_file(path, true);
    char *at = gcx_map_start(m);

    ck_assert_uint_eq(gcx_map_bytes(m), 8);
    ck_assert_int_eq(memcmp(at, "one\ntwo\n", 8), 0);
    at[0] = 'O';
    ck_assert_int_eq(gcx_close(m), 0);
    ck_assert_ptr_null(gcx_map_start(m));
    ck_assert_uint_eq(gcx_map_bytes(m), 0);
    m = gcx_map_file(path, false);
    ck_assert_int_eq(*(const char *)gcx_map_start(m), 'O');
    gcx_dispose(m);
    m = gcx_map_file("/dev/null", false); /* no bytes */
    ck_assert_ptr_nonnull(m);
    ck_assert_ptr_null(gcx_map_start(m));
    gcx_dispose(m);
    ck_assert_ptr_null(gcx_map_file(scratch, false));
    ck_assert_int_ne(errno, 0);
  }
END_TEST

static in_port_t port_of(struct gcx_handle *listener)
{
  struct sockaddr_in a = { .sin_family = AF_INET,
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t bytes = sizeof a;
  intptr_t fd;

  ck_assert(gcx_handle_acquire(listener, &fd));
  ck_assert_int_eq(bind((int)fd, (struct sockaddr *)(void *)&a, bytes), 0);
  ck_assert_int_eq(listen((int)fd, 1), 0);
  ck_assert_int_eq(getsockname((int)fd, (struct sockaddr *)(void *)&a, &bytes),
                   0);
  gcx_handle_release(listener);
  return a.sin_port;
}

START_TEST(test_sockets_on_loopback)
  {
    struct gcx_handle *listener = gcx_socket_open(AF_INET, SOCK_STREAM, 0);
    struct gcx_handle *client = gcx_socket_open(AF_INET, SOCK_STREAM, 0);
    struct gcx_handle *server;
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char line[128], want[64];
    intptr_t fd;

    a.sin_port = port_of(listener);
    ck_assert(gcx_handle_acquire(client, &fd));
    ck_assert_int_eq(connect((int)fd, (struct sockaddr *)(void *)&a, sizeof a),
                     0);
    gcx__describe_fd((int)fd, line, sizeof line);
    gcx_handle_release(client);
    (void)snprintf(want, sizeof want, "socket, peer 127.0.0.1:%u",
                   (unsigned)ntohs(a.sin_port));
    ck_assert_ptr_nonnull(strstr(line, want));
    server = gcx_socket_accept(listener);
    ck_assert_ptr_nonnull(server);
    gcx_dispose(server);
    gcx_dispose(client);
    gcx_dispose(listener);
    errno = 0;
    ck_assert_ptr_null(gcx_socket_accept(listener));
    ck_assert_int_eq(errno, EBADF);
    errno = 0;
    ck_assert_ptr_null(gcx_socket_open(-1, SOCK_STREAM, 0));
    ck_assert_int_eq(errno, EAFNOSUPPORT);
  }
END_TEST

START_TEST(test_other_objects_are_refused)
  {
    struct seen *seen = seen_begin();
    void *plain = gcx_alloc(64);

    objects_be_quiet();
    objects_setup(GCX_LEAK_REPORT);
    ck_assert_ptr_null(gcx_file_stream(plain));
    ck_assert_ptr_null(gcx_dir_next(plain));
    ck_assert_ptr_null(gcx_map_start(plain));
    ck_assert_uint_eq(gcx_map_bytes(plain), 0);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_BAD_POINTER], 4);
    gcx_dispose(plain);
  }
END_TEST

/* ---- a type in a line */

GCX_RESOURCE(pattern, regex_t, (const char *text),
             regcomp(it, text, REG_EXTENDED) == 0, regfree(it));

static int matches_closed;
static void matches_close(glob_t *g)
{
  matches_closed++;
  globfree(g);
}

GCX_RESOURCE(matches, glob_t, (const char *text),
             (errno = 0, glob(text, 0, NULL, it) == 0 || (errno = ENOENT, 0)),
             matches_close(it));

START_TEST(test_macro)
  {
    struct pattern *p = pattern_open("^t.o$");
    struct matches *m;

    ck_assert_int_eq(regexec(&p->value, "two", 0, NULL, 0), 0);
    gcx_dispose(p);
    ck_assert_ptr_null(pattern_open("("));
    m = matches_open(path);
    ck_assert_uint_eq(m->value.gl_pathc, 1);
    ck_assert_str_eq(m->value.gl_pathv[0], path);
    gcx_dispose(m);
    gcx_dispose(m);
    ck_assert_int_eq(matches_closed, 1);
    errno = 0;
    ck_assert_ptr_null(matches_open("/nowhere/*"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(matches_closed, 1); /* discarded */
  }
END_TEST

/* ---- lost */

#define LOST 40

static GCX_NOINLINE void lose_each(int n)
{
  for (int i = 0; i < n; i++) {
    ck_assert_ptr_nonnull(gcx_fd_open(path, O_RDONLY, 0));
    ck_assert_ptr_nonnull(gcx_file_open(path, "r"));
    ck_assert_ptr_nonnull(gcx_dir_open(scratch));
    ck_assert_ptr_nonnull(gcx_map_file(path, false));
  }
}

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
    lose_each(LOST);
    ck_assert_int_ge(open_descriptors(), before + 3 * LOST);
    (void)objects_found();
    ck_assert_int_le(open_descriptors(), before + 3 * LOST / 5);
  }
END_TEST

START_TEST(test_lost_ones_are_reported_with_their_paths)
  {
    struct seen *seen;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    lose_each(LOST);
    ck_assert_uint_ge(objects_found(), 4 * LOST * 8 / 10);
    ck_assert(objects_from_sites(seen, 4));
  }
END_TEST

/* ---- no room */

static void limit_descriptors(rlim_t more)
{
  struct rlimit limit;

  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)open_descriptors() + more;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#define ROOM 60

/* Far more than there is room for, all of them lost. */
static GCX_NOINLINE int open_and_lose(int n)
{
  int opened = 0;

  for (int i = 0; i < n; i++)
    opened += gcx_fd_open(path, O_RDONLY, 0) != NULL;
  return opened;
}

START_TEST(test_lost_descriptors_make_room)
  {
    struct seen *seen;

    objects_setup(GCX_LEAK_DISPOSE);
    objects_be_quiet();
    seen = seen_begin();
    limit_descriptors(ROOM);
    ck_assert_int_eq(open_and_lose(10 * ROOM), 10 * ROOM);
    ck_assert_uint_ge(seen->findings[GCX_REPORT_EXHAUSTED], 5);
    ck_assert_ptr_nonnull(strstr(seen->last.detail, "EMFILE: "));
    ck_assert_uint_ne(seen->last.birth_site, 0);
  }
END_TEST

START_TEST(test_lost_descriptors_are_counted)
  {
    struct seen *seen;

    objects_setup(GCX_LEAK_REPORT);
    objects_be_quiet();
    seen = seen_begin();
    limit_descriptors(ROOM);
    ck_assert_int_lt(open_and_lose(2 * ROOM), 2 * ROOM);
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_uint_ge(seen->direct, ROOM * 8 / 10);
    ck_assert_uint_ge(seen->findings[GCX_REPORT_EXHAUSTED], 1);
    ck_assert_uint_ge(seen->last.count, ROOM * 8 / 10);
    ck_assert_ptr_nonnull(strstr(seen->last.detail, "opened here"));
  }
END_TEST

static GCX_NOINLINE void open_and_keep(struct gcx_handle **ret_handles, int n)
{
  for (int i = 0; i < n; i++)
    ret_handles[i] = gcx_fd_open(path, O_RDONLY, 0);
}

START_TEST(test_nothing_is_lost_and_nothing_said)
  {
    struct gcx_handle *handles[2 * ROOM];
    int opened = 0;
    struct seen *seen = seen_begin();

    objects_setup(GCX_LEAK_DISPOSE);
    limit_descriptors(ROOM);
    open_and_keep(handles, 2 * ROOM);
    ck_assert_int_eq(errno, EMFILE);
    for (int i = 0; i < 2 * ROOM; i++) {
      opened += handles[i] != NULL;
      gcx_dispose(handles[i]);
    }
    ck_assert_int_ge(opened, ROOM);
    ck_assert_int_lt(opened, 2 * ROOM);
    ck_assert_uint_eq(seen->findings[GCX_REPORT_EXHAUSTED], 0);
  }
END_TEST

static Suite *resource_suite(void)
{
  Suite *s = suite_create("resource");
  TCase *c = tcase_create("resource");

  tcase_add_checked_fixture(c, setup, teardown);
  tcase_add_test(c, test_fd);
  tcase_add_test(c, test_fd_errors);
  tcase_add_test(c, test_file);
  tcase_add_test(c, test_file_tells_that_the_end_was_not_written);
  tcase_add_test(c, test_dir);
  tcase_add_test(c, test_map);
  tcase_add_test(c, test_sockets_on_loopback);
  tcase_add_test(c, test_other_objects_are_refused);
  tcase_add_test(c, test_macro);
  tcase_add_test(c, test_lost_ones_are_closed);
  tcase_add_test(c, test_lost_ones_are_reported_with_their_paths);
  tcase_add_test(c, test_lost_descriptors_make_room);
  tcase_add_test(c, test_lost_descriptors_are_counted);
  tcase_add_test(c, test_nothing_is_lost_and_nothing_said);
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(resource_suite);
