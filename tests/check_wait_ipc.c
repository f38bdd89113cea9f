/* SPDX-License-Identifier: MIT */
/* check_wait_ipc.c - calls that wait for another process or thread: a collection
 * does not interrupt them, a signal of the program's own does */
#include "collecting.h"

#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "bdw.h"
#include "platform.h"

#if !defined(__SANITIZE_ADDRESS__) /* has these functions itself */

#define WAIT_MS 20
#define WAIT_NS ((uint64_t)WAIT_MS * 1000000)

static const struct timespec short_time = { 0, (long)WAIT_NS };
static const struct timeval short_limit = { 0, WAIT_MS * 1000 };
static const struct timeval long_limit = { 3600, 0 };

static void setup(void)
{
  objects_setup(GCX_LEAK_ABORT);
}

static struct timespec soon(void)
{
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += (long)WAIT_NS;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
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

static int by_semtimedop(void)
{
  struct sembuf down = { 0, -1, 0 };
  int id = semget(IPC_PRIVATE, 1, 0600);
  int result = semtimedop(id, &down, 1, &short_time) == -1 && errno == EAGAIN
                   ? 0
                   : errno;

  (void)semctl(id, 0, IPC_RMID);
  return result;
}

/* These two the kernel and the C library take up again by themselves. */
static int by_mq_timedreceive(void)
{
  struct mq_attr attributes = { .mq_maxmsg = 1, .mq_msgsize = 1 };
  struct timespec until;
  char name[64], byte;
  int result;
  mqd_t q;

  (void)snprintf(name, sizeof(name), "/gcx-check-wait-%d", (int)getpid());
  q = mq_open(name, O_RDONLY | O_CREAT | O_EXCL, 0600, &attributes);
  if (q == (mqd_t)-1) {
    ck_assert_int_eq(errno, ENOSYS); /* a kernel without them */
    return by_semtimedop();
  }
  (void)mq_unlink(name);
  until = soon();
  result =
      mq_timedreceive(q, &byte, 1, NULL, &until) == -1 && errno == ETIMEDOUT
          ? 0
          : errno;
  (void)mq_close(q);
  return result;
}

static int by_cond_timedwait(void)
{
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
  struct timespec until = soon();
  int result;

  (void)pthread_mutex_lock(&mutex);
  do
    result = pthread_cond_timedwait(&cond, &mutex, &until);
  while (result == 0); /* for no reason, as it may */
  (void)pthread_mutex_unlock(&mutex);
  return result == ETIMEDOUT ? 0 : result;
}

static const struct {
  const char *name;
  int (*wait)(void);
} calls[] = {
  { "recv", by_recv },
  { "recvfrom", by_recvfrom },
  { "recvmsg", by_recvmsg },
  { "accept", by_accept },
  { "accept4", by_accept4 },
  { "send", by_send },
  { "sendto", by_sendto },
  { "sendmsg", by_sendmsg },
  { "connect", by_connect },
  { "connect, TCP", by_connect_tcp },
  { "semtimedop", by_semtimedop },
  { "mq_timedreceive", by_mq_timedreceive },
  { "pthread_cond_timedwait", by_cond_timedwait },
};

START_TEST(test_a_collection_interrupts_nothing)
  {
    pthread_t id = start_collecting();
    uint32_t with_stops = 0;

    for (int i = 0; i < 100 && with_stops < 2; i++) {
      uint32_t stops = gcx__bdw_stops();
      uint64_t begin = gcx__now_ns();
      int error = calls[_i].wait();

      ck_assert_msg(error == 0, "%s: %s", calls[_i].name, strerror(error));
      /* not less than it was asked for, but for the clocks' grain */
      ck_assert_uint_ge(gcx__now_ns() - begin, WAIT_NS - 5000000);
      with_stops += gcx__bdw_stops() != stops;
    }
    stop_collecting(id);
    ck_assert_uint_eq(with_stops, 2);
  }
END_TEST

/* ---- calls without one: somebody ends them after some collections */

struct message {
  long type;
  char text[1];
};

static int queue, semaphores;
static uint32_t seen; /* stops when the call was about to be made */
static int calling;

static void *end_wait(void *end)
{
  void (*const *fn)(void) = end;

  while (__atomic_load_n(&calling, __ATOMIC_ACQUIRE) == 0 ||
         gcx__bdw_stops() - __atomic_load_n(&seen, __ATOMIC_RELAXED) < 4)
    (void)sched_yield();
  (*fn)();
  return NULL;
}

static void about_to_wait(void)
{
  __atomic_store_n(&seen, gcx__bdw_stops(), __ATOMIC_RELAXED);
  __atomic_store_n(&calling, 1, __ATOMIC_RELEASE);
}

static int begin_msgrcv(void)
{
  struct message m;

  about_to_wait();
  return msgrcv(queue, &m, 1, 7, 0) == 1 && m.text[0] == 'x' ? 0 : errno;
}

static void end_msgrcv(void)
{
  const struct message m = { 7, { 'x' } };

  ck_assert_int_eq(msgsnd(queue, &m, 1, 0), 0);
}

/* Room for one message, which is in it. */
static int begin_msgsnd(void)
{
  const struct message m = { 7, { 'y' } };
  struct msqid_ds state;

  ck_assert_int_eq(msgctl(queue, IPC_STAT, &state), 0);
  state.msg_qbytes = 1;
  ck_assert_int_eq(msgctl(queue, IPC_SET, &state), 0);
  end_msgrcv();
  about_to_wait();
  return msgsnd(queue, &m, 1, 0) == 0 ? 0 : errno;
}

static void end_msgsnd(void)
{
  struct message m;

  ck_assert_int_eq(msgrcv(queue, &m, 1, 7, 0), 1);
}

static int begin_semop(void)
{
  struct sembuf down = { 0, -1, 0 };

  about_to_wait();
  return semop(semaphores, &down, 1) == 0 ? 0 : errno;
}

static void end_semop(void)
{
  struct sembuf up = { 0, 1, 0 };

  ck_assert_int_eq(semop(semaphores, &up, 1), 0);
}

static struct {
  int (*begin)(void);
  void (*end)(void);
} endless[] = {
  { begin_msgrcv, end_msgrcv },
  { begin_msgsnd, end_msgsnd },
  { begin_semop, end_semop },
};

static void make_ipc(void)
{
  queue = msgget(IPC_PRIVATE, 0600);
  semaphores = semget(IPC_PRIVATE, 1, 0600);
  ck_assert_int_ge(queue, 0);
  ck_assert_int_ge(semaphores, 0);
}

static void remove_ipc(void)
{
  (void)msgctl(queue, IPC_RMID, NULL);
  (void)semctl(semaphores, 0, IPC_RMID);
}

START_TEST(test_a_collection_interrupts_no_endless_wait)
  {
    pthread_t id, ender;
    int result;

    make_ipc();
    id = start_collecting();
    ck_assert_int_eq(pthread_create(&ender, NULL, end_wait, &endless[_i].end),
                     0);
    result = endless[_i].begin();
    ck_assert_int_eq(pthread_join(ender, NULL), 0);
    stop_collecting(id);
    remove_ipc();
    ck_assert_msg(result == 0, "%s", strerror(result));
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

static int forever_by_msgrcv(void)
{
  struct message m;

  return (int)msgrcv(queue, &m, 1, 7, 0);
}

static int forever_by_semop(void)
{
  struct sembuf down = { 0, -1, 0 };

  return semop(semaphores, &down, 1);
}

static int long_by_semtimedop(void)
{
  const struct timespec hour = { 3600, 0 };
  struct sembuf down = { 0, -1, 0 };

  return semtimedop(semaphores, &down, 1, &hour);
}

static int (*const long_waits[])(void) = {
  long_by_recv,     long_by_send,       forever_by_msgrcv,
  forever_by_semop, long_by_semtimedop,
};

/* Collections and signals, both: the signal is the program's to see. */
START_TEST(test_a_signal_interrupts)
  {
    pthread_t id;

    make_ipc();
    take_signal();
    id = start_collecting();
    for (int i = 0; i < 5; i++) {
      errno = 0;
      ck_assert_int_eq(long_waits[_i](), -1);
      ck_assert_int_eq(errno, EINTR);
    }
    stop_collecting(id);
    remove_ipc();
    ck_assert_int_gt(handled, 0);
  }
END_TEST

static Suite *wait_ipc_suite(void)
{
  Suite *s = suite_create("wait_ipc");
  TCase *c = tcase_create("wait_ipc");

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

GCX_CHECK_MAIN(wait_ipc_suite);
#else

int main(void)
{
  (void)puts("AddressSanitizer has these functions itself");
  return 77;
}

#endif
