/* SPDX-License-Identifier: MIT */
/* check_wait_socket.c - waits for a socket with a time limit, by every call that
 * reads or writes: a collection does not interrupt them, a signal of the program's
 * own does */
#include "waiting.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#if !defined(__SANITIZE_ADDRESS__) /* has these functions itself */

static const struct timeval short_limit = { 0, WAIT_MS * 1000 };
static const struct timeval long_limit = { 3600, 0 };

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

/* ---- calls with a limit: 0 if the time passed, else what went wrong */

/* A socket with a time limit that nothing comes from. */
static int quiet_socket(int type, bool listens)
{
  const struct timeval limit = { 0, WAIT_MS * 1000 };
  struct sockaddr_un name = { .sun_family = AF_UNIX }; /* it gets one */
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(bind(fd, (const void *)&name, sizeof(sa_family_t)), 0);
  ck_assert(!listens || listen(fd, 1) == 0);
  ck_assert_int_eq(
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
  return fd;
}

static int no_data(ssize_t result)
{
  return result == -1 && errno == EAGAIN ? 0 : errno;
}

static int by_recv(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(recv(fd, &byte, 1, 0));

  (void)close(fd);
  return result;
}

static int by_recvfrom(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(recvfrom(fd, &byte, 1, 0, NULL, NULL));

  (void)close(fd);
  return result;
}

static int by_recvmsg(void)
{
  char byte;
  struct iovec to = { &byte, 1 };
  struct msghdr m = { .msg_iov = &to, .msg_iovlen = 1 };
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(recvmsg(fd, &m, 0));

  (void)close(fd);
  return result;
}

static int recv_many(struct timespec *limit)
{
  char byte;
  struct iovec to = { &byte, 1 };
  struct mmsghdr m = { .msg_hdr = { .msg_iov = &to, .msg_iovlen = 1 } };
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(recvmmsg(fd, &m, 1, 0, limit));

  (void)close(fd);
  return result;
}

static int by_recvmmsg(void)
{
  return recv_many(NULL);
}

/* Its own limit it looks at after a message only: the socket's is the one. */
static int by_recvmmsg_limited(void)
{
  struct timespec limit = { 0, 5000000 };

  return recv_many(&limit);
}

static int by_read(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(read(fd, &byte, 1));

  (void)close(fd);
  return result;
}

static int by_readv(void)
{
  char byte;
  const struct iovec to = { &byte, 1 };
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(readv(fd, &to, 1));

  (void)close(fd);
  return result;
}

/* glibc's, for programs built with _FORTIFY_SOURCE */
extern ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room);

static int by_read_chk(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);
  int result = no_data(__read_chk(fd, &byte, 1, 1));

  (void)close(fd);
  return result;
}

static int by_accept(void)
{
  int fd = quiet_socket(SOCK_STREAM, true);
  int result = no_data(accept(fd, NULL, NULL));

  (void)close(fd);
  return result;
}

static int by_accept4(void)
{
  int fd = quiet_socket(SOCK_STREAM, true);
  int result = no_data(accept4(fd, NULL, NULL, SOCK_CLOEXEC));

  (void)close(fd);
  return result;
}

/* One end of a pair that nobody reads, full. */
static int full_socket(const struct timeval *limit)
{
  char block[4096] = { 0 };
  int ends[2];

  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ck_assert_int_eq(
      setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, limit, sizeof(*limit)), 0);
  while (send(ends[0], block, sizeof(block), MSG_DONTWAIT) > 0)
    ;
  ck_assert_int_eq(errno, EAGAIN);
  return ends[0]; /* the other stays open */
}

static int by_send(void)
{
  int fd = full_socket(&short_limit);
  int result = no_data(send(fd, "x", 1, 0));

  (void)close(fd);
  return result;
}

static int by_sendto(void)
{
  int fd = full_socket(&short_limit);
  int result = no_data(sendto(fd, "x", 1, 0, NULL, 0));

  (void)close(fd);
  return result;
}

static int by_sendmsg(void)
{
  char byte = 'x';
  struct iovec from = { &byte, 1 };
  struct msghdr m = { .msg_iov = &from, .msg_iovlen = 1 };
  int fd = full_socket(&short_limit);
  int result = no_data(sendmsg(fd, &m, 0));

  (void)close(fd);
  return result;
}

static int by_sendmmsg(void)
{
  char byte = 'x';
  struct iovec from = { &byte, 1 };
  struct mmsghdr m = { .msg_hdr = { .msg_iov = &from, .msg_iovlen = 1 } };
  int fd = full_socket(&short_limit);
  int result = no_data(sendmmsg(fd, &m, 1, 0));

  (void)close(fd);
  return result;
}

static int by_write(void)
{
  int fd = full_socket(&short_limit);
  int result = no_data(write(fd, "x", 1));

  (void)close(fd);
  return result;
}

static int by_writev(void)
{
  char byte = 'x';
  const struct iovec from = { &byte, 1 };
  int fd = full_socket(&short_limit);
  int result = no_data(writev(fd, &from, 1));

  (void)close(fd);
  return result;
}

/* Connects to @server, which accepts nobody, until there is no room; errno of the
 * last. */
static int connect_until_full(int server, const struct sockaddr *name,
                              socklen_t bytes)
{
  int fds[64], n = 0, result = 0;

  while (result == 0 && n < (int)GCX_ARRAY_LENGTH(fds)) {
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fds[n++] = fd;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &short_limit,
                                sizeof(short_limit)),
                     0);
    result = connect(fd, name, bytes) == 0 ? 0 : errno;
  }
  while (n > 0)
    (void)close(fds[--n]);
  (void)close(server);
  return result;
}

static int by_connect(void)
{
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  socklen_t bytes = sizeof(name);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  ck_assert_int_eq(bind(fd, (const void *)&name, sizeof(sa_family_t)), 0);
  ck_assert_int_eq(listen(fd, 0), 0);
  ck_assert_int_eq(getsockname(fd, (void *)&name, &bytes), 0);
  return connect_until_full(fd, (const void *)&name, bytes) == EAGAIN ? 0
                                                                      : errno;
}

static int by_connect_tcp(void)
{
  struct sockaddr_in name = { .sin_family = AF_INET };
  socklen_t bytes = sizeof(name);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ck_assert_int_eq(bind(fd, (const void *)&name, sizeof(name)), 0);
  ck_assert_int_eq(listen(fd, 0), 0);
  ck_assert_int_eq(getsockname(fd, (void *)&name, &bytes), 0);
  return connect_until_full(fd, (const void *)&name, bytes) == EINPROGRESS
             ? 0
             : errno;
}

static const struct {
  const char *name;
  int (*wait)(void);
} calls[] = {
  { "recv", by_recv },
  { "recvfrom", by_recvfrom },
  { "recvmsg", by_recvmsg },
  { "recvmmsg", by_recvmmsg },
  { "recvmmsg with a limit", by_recvmmsg_limited },
  { "read", by_read },
  { "readv", by_readv },
  { "__read_chk", by_read_chk },
  { "accept", by_accept },
  { "accept4", by_accept4 },
  { "send", by_send },
  { "sendto", by_sendto },
  { "sendmsg", by_sendmsg },
  { "sendmmsg", by_sendmmsg },
  { "write", by_write },
  { "writev", by_writev },
  { "connect", by_connect },
  { "connect, TCP", by_connect_tcp },
};

START_TEST(test_a_collection_interrupts_nothing)
  {
    collections_interrupt_not(calls[_i].name, calls[_i].wait);
  }
END_TEST

/* What has no time limit the kernel takes up again: nothing stands in its way. */
static int ends[2];

static int begin_read(void)
{
  char byte;

  ck_assert_int_eq(pipe(ends), 0);
  about_to_wait();
  return read(ends[0], &byte, 1) == 1 && byte == 'x' ? 0 : errno;
}

static void end_read(void)
{
  ck_assert_int_eq(write(ends[1], "x", 1), 1);
}

static int begin_write(void)
{
  char block[4096] = { 0 };

  ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
  while (write(ends[1], block, sizeof(block)) > 0)
    ;
  ck_assert_int_eq(errno, EAGAIN);
  ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
  about_to_wait();
  return write(ends[1], "x", 1) == 1 ? 0 : errno;
}

static void end_write(void)
{
  char block[4096];

  ck_assert_int_eq(read(ends[0], block, sizeof(block)), sizeof(block));
}

static const struct endless endless[] = {
  { begin_read, end_read },
  { begin_write, end_write },
};

START_TEST(test_a_collection_interrupts_no_endless_wait)
  {
    collections_interrupt_no_endless(endless[_i]);
  }
END_TEST

/* ---- the program's own signals */

static int long_by_recv(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);

  ck_assert_int_eq(
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_limit, sizeof(long_limit)),
      0);
  return (int)recv(fd, &byte, 1, 0);
}

static int long_by_send(void)
{
  return (int)send(full_socket(&long_limit), "x", 1, 0);
}

static int long_by_read(void)
{
  char byte;
  int fd = quiet_socket(SOCK_DGRAM, false);

  ck_assert_int_eq(
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_limit, sizeof(long_limit)),
      0);
  return (int)read(fd, &byte, 1);
}

static int long_by_recvmmsg(void)
{
  char byte;
  struct iovec to = { &byte, 1 };
  struct mmsghdr m = { .msg_hdr = { .msg_iov = &to, .msg_iovlen = 1 } };
  int fd = quiet_socket(SOCK_DGRAM, false);

  ck_assert_int_eq(
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_limit, sizeof(long_limit)),
      0);
  return recvmmsg(fd, &m, 1, 0, NULL);
}

static int long_by_write(void)
{
  return (int)write(full_socket(&long_limit), "x", 1);
}

static int (*const long_waits[])(void) = {
  long_by_recv, long_by_recvmmsg, long_by_read, long_by_send, long_by_write,
};

START_TEST(test_a_signal_interrupts)
  {
    signals_interrupt(long_waits[_i]);
  }
END_TEST

static Suite *wait_socket_suite(void)
{
  Suite *s = suite_create("wait_socket");
  TCase *c = tcase_create("wait_socket");

  tcase_add_checked_fixture(c, setup, NULL);
  tcase_add_loop_test(c, test_a_collection_interrupts_nothing, 0,
                      (int)GCX_ARRAY_LENGTH(calls));
  tcase_add_loop_test(c, test_a_collection_interrupts_no_endless_wait, 0,
                      (int)GCX_ARRAY_LENGTH(endless));
  tcase_add_loop_test(c, test_a_signal_interrupts, 0,
                      (int)GCX_ARRAY_LENGTH(long_waits));
  suite_add_tcase(s, c);
  return s;
}

GCX_CHECK_MAIN(wait_socket_suite);
#else

int main(void)
{
  (void)puts("AddressSanitizer has these functions itself");
  return 77;
}

#endif
