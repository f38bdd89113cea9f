/* SPDX-License-Identifier: MIT */
/*
 * pool_conns - a pool of connections over real sockets, and a wrapper that gives
 *              its connection back when it is disposed
 *
 * Idle connections are asked whether their peer is still there before they are
 * lent again. A connection that broke is disposed, not given back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gcx.h>

struct server {
  int listener;
  struct sockaddr_in address;
  int peers[8]; /* its ends of the connections */
  int count;
};

struct conn {
  int fd;
  int number;
};

static int conn_create(void *obj, void *arg)
{
  struct conn *c = obj;
  struct server *s = arg;

  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0)
    return -errno;
  if (connect(c->fd, (struct sockaddr *)&s->address, sizeof s->address) != 0) {
    close(c->fd);
    return -ECONNREFUSED;
  }
  c->number = s->count + 1;
  s->peers[s->count++] = accept(s->listener, NULL, NULL);
  printf("  connection %d opened\n", c->number);
  return 0;
}

/* Nothing to read and no end: the peer is still there. */
static bool conn_check(void *obj, void *arg)
{
  const struct conn *c = obj;
  char byte;

  (void)arg;
  return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int conn_dispose(void *obj)
{
  const struct conn *c = obj;

  printf("  connection %d closed\n", c->number);
  return close(c->fd) == 0 ? 0 : -errno;
}

static const struct gcx_type conn_type = GCX_TYPE_INIT(
    "struct conn", sizeof(struct conn), 0, NULL, conn_dispose, NULL, NULL);

/* What a function works with: disposing it gives the connection back. */
struct session {
  struct gcx_pool *pool;
  struct conn *conn;
};

static int session_dispose(void *obj)
{
  struct session *s = obj;

  gcx_pool_return(s->pool, s->conn);
  return 0;
}

static const struct gcx_type session_type =
    GCX_TYPE_INIT("struct session", sizeof(struct session), 0, NULL,
                  session_dispose, NULL, NULL);

static struct session *session_open(struct gcx_pool *pool)
{
  struct session *s = gcx_new(&session_type);

  if (s == NULL)
    return NULL;
  s->pool = pool;
  s->conn = gcx_pool_take(pool, 0);
  if (s->conn == NULL) {
    gcx_discard(s);
    return NULL;
  }
  return s;
}

static void say(struct gcx_pool *pool, const char *word)
{
  gcx_auto struct session *s = session_open(pool);

  if (s != NULL && write(s->conn->fd, word, strlen(word)) > 0)
    printf("said \"%s\" on connection %d\n", word, s->conn->number);
}

static bool listen_somewhere(struct server *s)
{
  socklen_t n = sizeof s->address;

  s->address.sin_family = AF_INET;
  s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return s->listener >= 0 &&
         bind(s->listener, (struct sockaddr *)&s->address, n) == 0 &&
         listen(s->listener, 8) == 0 &&
         getsockname(s->listener, (struct sockaddr *)&s->address, &n) == 0;
}

int main(void)
{
  struct server server = { .count = 0 };
  struct gcx_pool_config config = { .name = "connections",
                                    .type = &conn_type,
                                    .create = conn_create,
                                    .check = conn_check,
                                    .arg = &server };
  struct gcx_pool *pool;

  if (!listen_somewhere(&server))
    return 1;
  pool = gcx_pool_create(&config);
  say(pool, "one");
  say(pool, "two");
  puts("the server hangs up:");
  close(server.peers[0]);
  say(pool, "three");
  puts("the pool ends:");
  gcx_dispose(pool);
  close(server.peers[1]);
  close(server.listener);
#ifdef GCX_DISABLE
  return 0; /* built without the collector: nobody looks */
#else
  return gcx_check() == 0 ? 0 : 1;
#endif
}
