/* SPDX-License-Identifier: MIT */
/*
 * rollback - an abandoned transaction is rolled back by a critical finalizer
 *
 * An open transaction keeps the database locked. Forgotten on an error path, it
 * would do so until the process ends: nobody else could write. Run with
 * leak=dispose, the lost one is rolled back, its connection is closed, the next
 * transfer goes through, and no half of a transfer is in the database.
 *
 * Several banks, since a word on a stack may keep one lost transaction for a while.
 */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#include <gcx.h>

#define BANKS 20

struct bank {
  char uri[64];
  sqlite3 *db; /* keeps the database in memory */
};

static struct bank banks[BANKS];
static int rolled_back;

static int run(sqlite3 *db, const char *sql)
{
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EBUSY;
}

static sqlite3 *connect_to(const char *uri)
{
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
  sqlite3 *db = NULL;

  if (sqlite3_open_v2(uri, &db, flags, NULL) == SQLITE_OK)
    return db;
  (void)sqlite3_close(db);
  return NULL;
}

/* ---- a transaction, on a connection of its own */

struct transaction {
  sqlite3 *db;
  int committed;
};

static int transaction_dispose(void *obj)
{
  struct transaction *t = obj;

  if (!t->committed)
    (void)run(t->db, "ROLLBACK");
  return sqlite3_close(t->db) == SQLITE_OK ? 0 : -EBUSY;
}

/* Asks gcx for no memory: a critical one works when there is none left. */
static void transaction_finalize(void *obj)
{
  if (transaction_dispose(obj) == 0)
    rolled_back++;
}

static const struct gcx_type transaction_type =
    GCX_TYPE_INIT("transaction", sizeof(struct transaction), GCX_TYPE_CRITICAL,
                  NULL, transaction_dispose, transaction_finalize, NULL);

static struct transaction *transaction_begin(const char *uri)
{
  struct transaction *t = gcx_new(&transaction_type);

  if (t == NULL)
    return NULL;
  t->db = connect_to(uri);
  if (t->db != NULL && run(t->db, "BEGIN IMMEDIATE") == 0)
    return t;
  (void)sqlite3_close(t->db);
  gcx_discard(t);
  return NULL;
}

static int transaction_commit(struct transaction *t)
{
  int r = run(t->db, "COMMIT");

  t->committed = r == 0;
  return r;
}

/* ---- the program */

/* One from a to @account: 0, -EBUSY while somebody else writes, or -EIO. */
static int transfer(const char *uri, const char *account)
{
  struct transaction *t = transaction_begin(uri);
  char sql[128];

  if (t == NULL)
    return -EBUSY;
  (void)run(t->db, "UPDATE account SET money = money - 1 WHERE name = 'a'");
  (void)snprintf(sql, sizeof sql,
                 "UPDATE account SET money = money + 1 WHERE name = '%s'",
                 account);
  if (run(t->db, sql) != 0 || sqlite3_changes(t->db) != 1)
    return -EIO; /* and t? */
  if (transaction_commit(t) != 0) {
    (void)gcx_close(t);
    return -EBUSY;
  }
  return gcx_close(t);
}

/* On a thread of its own, which takes its stack along. */
static void *transfer_to_nobody(void *failed)
{
  for (int i = 0; i < BANKS; i++)
    if (transfer(banks[i].uri, "nobody") != -EIO)
      return failed;
  return NULL;
}

static int open_banks(void)
{
  for (int i = 0; i < BANKS; i++) {
    struct bank *b = &banks[i];

    (void)snprintf(b->uri, sizeof b->uri,
                   "file:bank%d?mode=memory&cache=shared", i);
    b->db = connect_to(b->uri);
    if (b->db == NULL ||
        run(b->db, "CREATE TABLE account (name TEXT, money INTEGER);"
                   "INSERT INTO account VALUES ('a', 100), ('b', 0)") != 0)
      return -EIO;
  }
  return 0;
}

/* How many of them take one more transfer? */
static int written(void)
{
  int n = 0;

  for (int i = 0; i < BANKS; i++)
    n += transfer(banks[i].uri, "b") == 0;
  return n;
}

/* Is each transfer there in whole? */
static int count_sum(void *sums, int columns, char **values, char **names)
{
  (void)columns;
  (void)names;
  *(int *)sums += sqlite3_stricmp(values[0], "100") == 0;
  return 0;
}

static int whole(void)
{
  int sums = 0;

  for (int i = 0; i < BANKS; i++) {
    (void)sqlite3_exec(banks[i].db, "SELECT sum(money) FROM account", count_sum,
                       &sums, NULL);
    (void)sqlite3_close(banks[i].db);
  }
  return sums;
}

int main(void)
{
  pthread_t thread;
  void *failed = banks;
  int n;

  if (open_banks() != 0 ||
      pthread_create(&thread, NULL, transfer_to_nobody, failed) != 0 ||
      pthread_join(thread, &failed) != 0 || failed != NULL)
    return 1;
  printf("most banks are locked: %s\n", written() < BANKS / 2 ? "yes" : "no");
  for (int i = 0; i < 20 && rolled_back < BANKS; i++) {
    gcx_collect();
    (void)gcx_wait_for_finalizers(UINT64_MAX);
  }
  n = rolled_back;
  printf("most were rolled back: %s\n", n > BANKS / 2 ? "yes" : "no");
  printf("as many take a transfer: %s\n", written() >= n ? "yes" : "no");
  printf("whole transfers only: %s\n", whole() >= n ? "yes" : "no");
  return 0;
}
