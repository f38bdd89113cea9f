/* SPDX-License-Identifier: MIT */
/*
 * check_shim_resource.c - GCX_DISABLE: descriptors, sockets, streams, directories,
 *                         mapped files, pressure, regions; nothing linked
 *
 * Built with GCX_DISABLE and without the library.
 */
#include "check_main.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gcx.h>

static char path[] = "/tmp/check_shim_XXXXXX";

static void setup(void)
{
  int fd = mkstemp(path);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, "seven\n", 6), 6);
  ck_assert_int_eq(close(fd), 0);
}

static void teardown(void)
{
  (void)unlink(path);
  strcpy(path + sizeof(path) - 7, "XXXXXX");
}

static bool is_open(intptr_t fd)
{
  return fcntl((int)fd, F_GETFD) >= 0;
}

START_TEST(descriptor)
  {
    struct gcx_handle *h = gcx_fd_open(path, O_RDONLY, 0);
    intptr_t fd = -1, own;
    char text[8];

    ck_assert_ptr_nonnull(h);
    ck_assert(gcx_handle_acquire(h, &fd));
    ck_assert_int_eq(read((int)fd, text, sizeof(text)), 6);
    ck_assert_int_eq(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
    gcx_dispose(h);
    ck_assert(is_open(fd)); /* somebody uses it */
    gcx_handle_release(h);
    ck_assert(!is_open(fd));

    errno = 0;
    ck_assert_ptr_null(gcx_fd_open("/nowhere/at/all", O_RDONLY, 0));
    ck_assert_int_eq(errno, ENOENT);
    own = open(path, O_RDONLY);
    ck_assert_int_eq(gcx_close(gcx_fd_wrap((int)own, false)), 0);
    ck_assert(is_open(own));
    ck_assert_int_eq(gcx_close(gcx_fd_wrap((int)own, true)), 0);
    ck_assert(!is_open(own));
    ck_assert_int_eq(gcx_close(gcx_fd_wrap((int)own, true)), -EBADF);
    h = gcx_fd_wrap(-1, true);
    ck_assert(gcx_handle_is_invalid(h));
    gcx_dispose(h);
  }
END_TEST

START_TEST(sockets)
  {
    struct gcx_handle *listener = gcx_socket_open(AF_INET, SOCK_STREAM, 0);
    struct gcx_handle *client = gcx_socket_open(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(at);
    struct gcx_handle *server;
    intptr_t l, c, s;
    char text[4];

    ck_assert(gcx_handle_acquire(listener, &l));
    ck_assert(gcx_handle_acquire(client, &c));
    ck_assert_int_eq(bind((int)l, (struct sockaddr *)&at, length), 0);
    ck_assert_int_eq(listen((int)l, 1), 0);
    ck_assert_int_eq(getsockname((int)l, (struct sockaddr *)&at, &length), 0);
    ck_assert_int_eq(connect((int)c, (struct sockaddr *)&at, length), 0);
    server = gcx_socket_accept(listener);
    ck_assert_ptr_nonnull(server);
    ck_assert(gcx_handle_acquire(server, &s));
    ck_assert_int_eq(fcntl((int)s, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(write((int)c, "abc", 3), 3);
    ck_assert_int_eq(read((int)s, text, sizeof(text)), 3);
    gcx_handle_release(server);
    gcx_handle_release(client);
    gcx_handle_release(listener);
    gcx_dispose(server);
    gcx_dispose(client);
    gcx_dispose(listener);
    ck_assert(!is_open(l) && !is_open(c) && !is_open(s));
    errno = 0;
    ck_assert_ptr_null(gcx_socket_accept(NULL));
    ck_assert_int_eq(errno, EBADF);
    ck_assert_ptr_null(gcx_socket_open(-1, -1, -1));
  }
END_TEST

START_TEST(streams)
  {
    struct gcx_file *f = gcx_file_open(path, "a");
    char line[16];

    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fprintf(gcx_file_stream(f), "%s\n", "eight"), 0);
    ck_assert_int_eq(gcx_close(f), 0);
    f = gcx_file_open(path, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), gcx_file_stream(f)));
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), gcx_file_stream(f)));
    ck_assert_str_eq(line, "eight\n");
    gcx_dispose(f);
    f = gcx_file_open(path, "r,ccs=UTF-8"); /* what follows is its charset */
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ne(fcntl(fileno(gcx_file_stream(f)), F_GETFD) & FD_CLOEXEC,
                     0);
    gcx_dispose(f);
    f = gcx_file_open("/dev/full", "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs("x", gcx_file_stream(f)), 0);
    ck_assert_int_eq(gcx_close(f), -ENOSPC);
    errno = 0;
    ck_assert_ptr_null(gcx_file_open("/nowhere/at/all", "r"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(gcx_file_open(path, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(gcx_file_open(path, "rrrrrrrrrrrrrrrr"));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(gcx_file_stream(NULL));
    ck_assert_int_eq(errno, EBADF);
  }
END_TEST

START_TEST(directories)
  {
    struct gcx_dir *d = gcx_dir_open("/");
    struct dirent *entry;
    bool has_tmp = false;

    ck_assert_ptr_nonnull(d);
    while ((entry = gcx_dir_next(d)) != NULL)
      has_tmp |= strcmp(entry->d_name, "tmp") == 0;
    ck_assert_int_eq(errno, 0);
    ck_assert(has_tmp);
    ck_assert_int_eq(gcx_close(d), 0);
    ck_assert_ptr_null(gcx_dir_open(path));
    ck_assert_int_eq(errno, ENOTDIR);
    ck_assert_ptr_null(gcx_dir_next(NULL));
    ck_assert_int_eq(errno, EBADF);
  }
END_TEST

START_TEST(mapped_files)
  {
    struct gcx_map *m = gcx_map_file(path, true);
    struct gcx_map *seen = gcx_map_file(path, false);
    struct gcx_map *none;

    ck_assert_uint_eq(gcx_map_bytes(m), 6);
    memcpy(gcx_map_start(m), "SEVEN", 5);
    ck_assert_int_eq(gcx_close(m), 0);
    ck_assert_mem_eq(gcx_map_start(seen), "SEVEN\n", 6);
    gcx_dispose(seen);
    ck_assert_int_eq(truncate(path, 0), 0);
    none = gcx_map_file(path, false);
    ck_assert_ptr_nonnull(none);
    ck_assert_uint_eq(gcx_map_bytes(none), 0);
    ck_assert_ptr_null(gcx_map_start(none));
    gcx_dispose(none);
    ck_assert_ptr_null(gcx_map_file("/nowhere/at/all", false));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(gcx_map_file("/", false));
    ck_assert_ptr_null(gcx_map_start(NULL));
    ck_assert_uint_eq(gcx_map_bytes(NULL), 0);
  }
END_TEST

START_TEST(pressure_asks_for_nothing)
  {
    void *p = gcx_alloc(8);
    struct gcx_handle_collector *c = gcx_handle_collector_create("it", 1, 2);

    gcx_pressure_add(SIZE_MAX);
    gcx_pressure_remove(SIZE_MAX);
    ck_assert_int_eq(gcx_pressure_attach(p, 1000), 0);
    ck_assert_int_eq(gcx_pressure_attach(NULL, 1000), -EINVAL);
    gcx_dispose(p);
    ck_assert_ptr_nonnull(c);
    for (size_t i = 0; i < 5; i++)
      ck_assert_int_eq(gcx_handle_collector_add(c), 0);
    ck_assert_uint_eq(gcx_handle_collector_count(c), 5);
    for (size_t i = 0; i < 5; i++)
      ck_assert_int_eq(gcx_handle_collector_remove(c), 0);
    ck_assert_int_eq(gcx_handle_collector_remove(c), -EINVAL);
    ck_assert_int_eq(gcx_handle_collector_add(NULL), -EINVAL);
    ck_assert_uint_eq(gcx_handle_collector_count(NULL), 0);
    gcx_dispose(c);
    errno = 0;
    ck_assert_ptr_null(gcx_handle_collector_create(NULL, 3, 2));
    ck_assert_int_eq(errno, EINVAL);
  }
END_TEST

START_TEST(regions)
  {
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_begin(0), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_begin(SIZE_MAX), -EINVAL);
    ck_assert_int_eq(gcx_no_gc_begin(1000), 0);
    ck_assert_int_eq(gcx_no_gc_end(), 0);
    ck_assert_int_eq(gcx_no_gc_begin(1000), 0);
    ck_assert_int_eq(gcx_no_gc_begin(1000), -EALREADY);
    ck_assert_int_eq(gcx_no_gc_end(), -EINVAL); /* that ended it */
  }
END_TEST

static Suite *shim_resource_suite(void)
{
  Suite *suite = suite_create("shim_resource");
  TCase *files = tcase_create("files"), *other = tcase_create("other");

  tcase_add_checked_fixture(files, setup, teardown);
  tcase_add_test(files, descriptor);
  tcase_add_test(files, sockets);
  tcase_add_test(files, streams);
  tcase_add_test(files, directories);
  tcase_add_test(files, mapped_files);
  tcase_add_test(other, pressure_asks_for_nothing);
  tcase_add_test(other, regions);
  suite_add_tcase(suite, files);
  suite_add_tcase(suite, other);
  return suite;
}

GCX_CHECK_MAIN(shim_resource_suite);
