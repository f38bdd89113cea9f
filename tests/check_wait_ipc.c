/* SPDX-License-Identifier: MIT */
/* check_wait_ipc.c - waits for System V queues and semaphores, and what needs no
 * help: a collection does not interrupt them, a signal of the program's own does */
#include "waiting.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <time.h>

#if !defined(__SANITIZE_ADDRESS__) /* has these functions itself */

static const struct timespec short_time = { 0, (long)WAIT_NS };

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
  { "semtimedop", by_semtimedop },
  { "mq_timedreceive", by_mq_timedreceive },
  { "pthread_cond_timedwait", by_cond_timedwait },
};

START_TEST(test_a_collection_interrupts_nothing)
  {
    collections_interrupt_not(calls[_i].name, calls[_i].wait);
  }
END_TEST

/* ---- calls without one: somebody ends them after some collections */

struct message {
  long type;
  char text[1];
};

static int queue, semaphores;

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

static const struct endless endless[] = {
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
    make_ipc();
    collections_interrupt_no_endless(endless[_i]);
    remove_ipc();
  }
END_TEST

/* ---- the program's own signals */

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

static int (*const long_waits[])(void) = { forever_by_msgrcv, forever_by_semop,
                                           long_by_semtimedop };

START_TEST(test_a_signal_interrupts)
  {
    make_ipc();
    signals_interrupt(long_waits[_i]);
    remove_ipc();
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
