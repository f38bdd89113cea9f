/* SPDX-License-Identifier: MIT */
/*
 * symbolize.c - client of the helper process
 *
 * State of an address, an entry of a hash table that lives in gcx's own memory:
 *
 *     absent --add--> NEW --sent--> ASKED --answer--> ASKED with text
 *
 * A batch sends all NEW entries, one line each, over a socket pair, while it
 * reads answers, which come in the same order. ASKED without text: the helper
 * knows nothing. When the helper can't be started NEW entries stay NEW, and the
 * next batch tries again; when one has timed out or died it won't be started
 * again: a report must not cost symbolize_ms each time.
 *
 * No lock, no malloc; one user at a time (the lock of who prints).
 */
#include "symbolize.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "depot.h"
#include "helper.h"
#include "options.h"
#include "out.h"
#include "platform.h"
#include "vm.h"

#ifndef GCX_LIBEXECDIR
#define GCX_LIBEXECDIR "/usr/local/libexec/gcx"
#endif

#define SYMBOLIZE_ENTRIES 16384 /* a power of 2 */
#define SYMBOLIZE_FULL (SYMBOLIZE_ENTRIES / 4 * 3)
#define SYMBOLIZE_TEXT_BYTES ((size_t)4 * 1024 * 1024)
#define SYMBOLIZE_LINE_BYTES ((size_t)8 * 1024)
#define SYMBOLIZE_BESIDE_BYTES 128 /* of a request, beside the path */
#define SYMBOLIZE_PATH_BYTES 4096
#define SYMBOLIZE_PROBLEM_BYTES 256

struct symbolize_entry {
  const struct gcx__module *module; /* NULL: free */
  uintptr_t offset;                 /* return address less load bias */
  uint32_t text;                    /* where its frames begin */
  uint32_t frames;
};

/* All the memory this file needs, mapped at start and committed as it is used.
 * Text of a source frame: function NUL file NUL line NUL "0" or "1" NUL. */
struct symbolize_memory {
  struct symbolize_entry entries[SYMBOLIZE_ENTRIES];
  uint32_t pending[SYMBOLIZE_ENTRIES]; /* NEW entries, in order of arrival */
  char text[SYMBOLIZE_TEXT_BYTES];
  char request[SYMBOLIZE_LINE_BYTES];
  char answer[SYMBOLIZE_LINE_BYTES]; /* before there is one: another path */
  char stacks[GCX__HELPER_STACK_BYTES] __attribute__((aligned(16)));
};

/* A conversation with a helper. */
struct symbolize_talk {
  struct gcx__own_fd end;
  uint64_t deadline_ns;
  uint32_t sent;        /* pending entries of which the request has left */
  uint32_t answered;    /* and of which the answer is complete */
  size_t request_bytes; /* of the request under way */
  size_t request_done;
  size_t answer_bytes; /* read and not yet understood */
  bool skipping;       /* inside a line that is too long */
  bool unheard;        /* nobody reads requests any more */
};

static struct symbolize_memory *symbolize_memory;
static char symbolize_path[SYMBOLIZE_PATH_BYTES];
static bool symbolize_chosen; /* the path, by GCX_SYMBOLIZER */
static char symbolize_trouble[SYMBOLIZE_PROBLEM_BYTES];
static uint32_t symbolize_count;   /* entries in use */
static uint32_t symbolize_pending; /* entries that are NEW */
static size_t symbolize_text_used;
static bool symbolize_broken; /* a helper hung or died: no other one */
static struct gcx__symbolize_stats symbolize_counts;

static void symbolize_say(const char *fmt, ...) GCX_PRINTF(1, 2);

static void symbolize_say(const char *fmt, ...)
{
  struct gcx__out o;
  va_list ap;

  gcx__out_init(&o, -1, symbolize_trouble, sizeof(symbolize_trouble));
  va_start(ap, fmt);
  gcx__out_vfmt(&o, fmt, ap);
  va_end(ap);
}

/* ------------------------------------------------------------------ entries */

static void symbolize_forget_all(void)
{
  memset(symbolize_memory->entries, 0, sizeof(symbolize_memory->entries));
  symbolize_count = 0;
  symbolize_pending = 0;
  symbolize_text_used = 0;
}

static struct symbolize_entry *symbolize_slot(const struct gcx__module *module,
                                              uintptr_t offset)
{
  uint64_t hash = ((uintptr_t)module ^ offset * 0x9e3779b97f4a7c15u) *
                  UINT64_C(0xbf58476d1ce4e5b9);

  for (uint32_t i = (uint32_t)(hash >> 40);; i++) {
    struct symbolize_entry *e =
        &symbolize_memory->entries[i % SYMBOLIZE_ENTRIES];

    if (e->module == NULL || (e->module == module && e->offset == offset))
      return e;
  }
}

/* A request is one line: the helper would take two lines for two requests, and each
 * later answer would be that of another address. */
static bool symbolize_can_ask(const struct gcx__module *module)
{
  return module->path != NULL && strchr(module->path, '\n') == NULL &&
         strlen(module->path) < SYMBOLIZE_LINE_BYTES - SYMBOLIZE_BESIDE_BYTES;
}

static void symbolize_add_address(uintptr_t pc, uint32_t epoch)
{
  const struct gcx__module *module = gcx__modules_find(pc, epoch);
  struct symbolize_entry *e;

  if (module == NULL || !symbolize_can_ask(module) ||
      symbolize_count == SYMBOLIZE_FULL)
    return;
  e = symbolize_slot(module, pc - module->bias);
  if (e->module != NULL)
    return;
  *e =
      (struct symbolize_entry){ .module = module, .offset = pc - module->bias };
  symbolize_count++;
  symbolize_memory->pending[symbolize_pending++] =
      (uint32_t)(e - symbolize_memory->entries);
}

void gcx__symbolize_begin(void)
{
  if (!symbolize_broken)
    symbolize_trouble[0] = '\0';
  if (symbolize_memory != NULL &&
      (symbolize_count > SYMBOLIZE_FULL / 2 ||
       symbolize_text_used > SYMBOLIZE_TEXT_BYTES / 2))
    symbolize_forget_all();
}

void gcx__symbolize_add(uint32_t site)
{
  const uintptr_t *pcs = NULL;
  uint32_t epoch = 0;
  size_t n;

  if (symbolize_memory == NULL || site == 0)
    return;
  n = gcx__depot_get(site, &pcs, &epoch);
  for (size_t i = 0; i < n; i++)
    symbolize_add_address(pcs[i], epoch);
}

/* The NUL-terminated string behind the one at @s. */
static const char *symbolize_next_text(const char *s)
{
  return s + strlen(s) + 1;
}

static uint32_t symbolize_number(const char *s)
{
  uint32_t n = 0;

  for (; *s >= '0' && *s <= '9'; s++)
    n = n * 10 + (uint32_t)(*s - '0');
  return n;
}

bool gcx__symbolize_get(uintptr_t pc, uint32_t epoch, size_t i,
                        struct gcx__source *ret_source)
{
  const struct gcx__module *module = gcx__modules_find(pc, epoch);
  const struct symbolize_entry *e;
  const char *file, *line, *at;

  if (module == NULL || symbolize_memory == NULL)
    return false;
  e = symbolize_slot(module, pc - module->bias);
  if (i >= e->frames)
    return false;
  at = symbolize_memory->text + e->text;
  for (size_t field = 0; field < i * 4; field++)
    at = symbolize_next_text(at);
  file = symbolize_next_text(at);
  line = symbolize_next_text(file);
  *ret_source = (struct gcx__source){
    .function = at,
    .file = file,
    .line = symbolize_number(line),
    .inlined = *symbolize_next_text(line) == '1',
  };
  return true;
}

/* ----------------------------------------------------------------- answers */

/* "function\tfile\tline\tinlined" of the entry that is answered now. Any other
 * line is none of ours. */
static void symbolize_keep(struct symbolize_entry *e, const char *line,
                           size_t n)
{
  char *at = symbolize_memory->text + symbolize_text_used;
  size_t tabs = 0;

  for (size_t i = 0; i < n; i++)
    tabs += line[i] == '\t';
  if (tabs != 3 || n + 1 > SYMBOLIZE_TEXT_BYTES - symbolize_text_used)
    return;
  for (size_t i = 0; i < n; i++)
    at[i] = (char)(line[i] == '\t' ? '\0' : line[i]);
  at[n] = '\0';
  if (e->frames++ == 0)
    e->text = (uint32_t)symbolize_text_used;
  symbolize_text_used += n + 1;
}

static void symbolize_line(struct symbolize_talk *t, const char *line, size_t n)
{
  struct symbolize_entry *e;

  if (t->answered >= t->sent)
    return;
  if (n == 0) {
    t->answered++;
    return;
  }
  e = &symbolize_memory->entries[symbolize_memory->pending[t->answered]];
  symbolize_keep(e, line, n);
}

/* Take the whole lines out of the buffer. */
static void symbolize_understand(struct symbolize_talk *t)
{
  char *buffer = symbolize_memory->answer;
  size_t at = 0;

  while (at < t->answer_bytes) {
    const char *end = memchr(buffer + at, '\n', t->answer_bytes - at);

    if (end == NULL)
      break;
    if (!t->skipping)
      symbolize_line(t, buffer + at, (size_t)(end - buffer) - at);
    t->skipping = false;
    at = (size_t)(end - buffer) + 1;
  }
  memmove(buffer, buffer + at, t->answer_bytes - at);
  t->answer_bytes -= at;
  if (t->answer_bytes == SYMBOLIZE_LINE_BYTES) {
    t->answer_bytes = 0;
    t->skipping = true;
  }
}

/* What has come; false when nothing will come any more. */
static bool symbolize_receive(struct symbolize_talk *t)
{
  ssize_t n = recv(t->end.fd, symbolize_memory->answer + t->answer_bytes,
                   SYMBOLIZE_LINE_BYTES - t->answer_bytes, MSG_DONTWAIT);

  if (n < 0)
    return errno == EAGAIN || errno == EINTR;
  if (n == 0)
    return false;
  t->answer_bytes += (size_t)n;
  symbolize_understand(t);
  return true;
}

/* ---------------------------------------------------------------- requests */

static void symbolize_build_request(struct symbolize_talk *t,
                                    const struct symbolize_entry *e)
{
  const struct gcx__module *m = e->module;
  struct gcx__out o;

  gcx__out_init(&o, -1, symbolize_memory->request, SYMBOLIZE_LINE_BYTES);
  gcx__out_fmt(&o, "%lx ", (unsigned long)e->offset);
  for (size_t i = 0; i < m->build_id_bytes; i++)
    gcx__out_fmt(&o, "%02x", (unsigned)m->build_id[i]);
  gcx__out_fmt(&o, "%s %s\n", m->build_id_bytes == 0 ? "-" : "", m->path);
  t->request_bytes = o.used;
  t->request_done = 0;
}

/* As much as the socket takes; false if there is nobody to read it. */
static bool symbolize_send(struct symbolize_talk *t)
{
  while (t->sent < symbolize_pending) {
    ssize_t n;

    if (t->request_bytes == 0)
      symbolize_build_request(
          t, &symbolize_memory->entries[symbolize_memory->pending[t->sent]]);
    n = send(t->end.fd, symbolize_memory->request + t->request_done,
             t->request_bytes - t->request_done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    t->request_done += (size_t)n;
    if (t->request_done == t->request_bytes) {
      t->request_bytes = 0;
      t->sent++;
    }
  }
  (void)shutdown(t->end.fd, SHUT_WR);
  return true;
}

static int symbolize_ms_left(const struct symbolize_talk *t)
{
  uint64_t now = gcx__now_ns();
  return now >= t->deadline_ns
             ? 0
             : (int)((t->deadline_ns - now + 999999) / 1000000);
}

/* Send and receive until all is answered; false if the helper failed. One that
 * reads no more may have answered before: only the end of its answers counts. */
static bool symbolize_talk(struct symbolize_talk *t)
{
  while (t->answered < symbolize_pending) {
    struct pollfd p = { .fd = t->end.fd, .events = POLLIN };
    int left = symbolize_ms_left(t);

    if (t->sent < symbolize_pending && !t->unheard)
      p.events |= POLLOUT;
    if (left == 0) {
      symbolize_say("the helper %s did not answer within %llu ms",
                    symbolize_path, (unsigned long long)gcx__opt.symbolize_ms);
      return false;
    }
    if (poll(&p, 1, left) <= 0)
      continue;
    if (!gcx__own_fd_has(&t->end))
      return false;
    if ((p.revents & POLLOUT) != 0 && !symbolize_send(t))
      t->unheard = true;
    if ((p.revents & ~POLLOUT) != 0 && !symbolize_receive(t)) {
      symbolize_say("the helper %s ended before it had answered",
                    symbolize_path);
      return false;
    }
  }
  return true;
}

/* ------------------------------------------------------------------- batch */

/* The socket is gone: what was not answered is asked again some other time. */
static void symbolize_take_back(struct symbolize_talk *t)
{
  symbolize_say("its socket to the helper was closed by the program");
  for (uint32_t i = t->answered; i < t->sent; i++)
    symbolize_memory->entries[symbolize_memory->pending[i]].frames = 0;
  t->sent = t->answered;
}

/* Entries whose request has left are ASKED, the others stay NEW. */
static void symbolize_settle(const struct symbolize_talk *t)
{
  uint32_t left = symbolize_pending - t->sent;

  memmove(symbolize_memory->pending, symbolize_memory->pending + t->sent,
          left * sizeof(symbolize_memory->pending[0]));
  symbolize_pending = left;
  symbolize_counts.asked += t->sent;
}

/* An installation that was moved: where the helper would be beside the file
 * that has gcx in it, PREFIX/lib/libgcx.so or PREFIX/bin/program. */
static bool symbolize_beside(char *ret_path, size_t bytes)
{
  static const char tail[] = "/../libexec/gcx/gcx-symbolize";
  const struct gcx__module *own =
      gcx__modules_find((uintptr_t)&gcx__symbolize_run, gcx__modules_epoch());
  const char *slash = own == NULL ? NULL : strrchr(own->path, '/');
  size_t directory = slash == NULL ? 0 : (size_t)(slash - own->path);

  if (slash == NULL || directory + sizeof(tail) > bytes)
    return false;
  memcpy(ret_path, own->path, directory);
  memcpy(ret_path + directory, tail, sizeof(tail));
  return true;
}

static int symbolize_start(int fd, pid_t *ret_pid)
{
  char *stacks = symbolize_memory->stacks, *other = symbolize_memory->answer;
  int error = gcx__helper_start(symbolize_path, fd, stacks, ret_pid);

  if (error != ENOENT || symbolize_chosen ||
      !symbolize_beside(other, sizeof(symbolize_path)) ||
      gcx__helper_start(other, fd, stacks, ret_pid) != 0)
    return error;
  memcpy(symbolize_path, other, strlen(other) + 1);
  return 0;
}

static void symbolize_end_talk(struct symbolize_talk *t, pid_t pid, bool done)
{
  bool has = gcx__own_fd_has(&t->end);

  if (has)
    gcx__helper_end(pid, t->end.fd, !done);
  else if (!done)
    symbolize_take_back(t);
  symbolize_broken = has && !done;
  symbolize_settle(t);
}

static void symbolize_ask_helper(void)
{
  struct symbolize_talk t = { .deadline_ns = gcx__now_ns() +
                                             gcx__opt.symbolize_ms * 1000000u };
  struct gcx__own_fd ends[2];
  int error = gcx__helper_connect(ends);
  pid_t pid = 0;

  if (error != 0) {
    symbolize_say("no socket for the helper could be had (%s)",
                  strerrordesc_np(error));
    return;
  }
  t.end = ends[0];
  error = symbolize_start(ends[1].fd, &pid);
  gcx__own_fd_close(&ends[1]);
  if (error != 0) {
    symbolize_say("the helper %s could not be started (%s)", symbolize_path,
                  strerrordesc_np(error));
  } else {
    symbolize_counts.helpers++;
    symbolize_end_talk(&t, pid, symbolize_talk(&t));
  }
  gcx__own_fd_close(&t.end);
}

void gcx__symbolize_run(void)
{
  int saved = errno, cancel = 0;

  if (symbolize_pending == 0)
    return;
  if (gcx__opt.symbolize_ms == 0) {
    symbolize_say("symbolize_ms=0");
    return;
  }
  if (symbolize_broken)
    return; /* the reason still stands */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  symbolize_ask_helper();
  (void)pthread_setcancelstate(cancel, NULL);
  errno = saved;
}

const char *gcx__symbolize_problem(void)
{
  return symbolize_trouble;
}

void gcx__symbolize_stats(struct gcx__symbolize_stats *ret_stats)
{
  *ret_stats = symbolize_counts;
}

void gcx__symbolize_init(void)
{
  const char *path = gcx__getenv("GCX_SYMBOLIZER");

  if (symbolize_memory == NULL)
    symbolize_memory = gcx__vm_map(sizeof(*symbolize_memory));
  symbolize_chosen =
      path != NULL && *path != '\0' && strlen(path) < sizeof(symbolize_path);
  if (!symbolize_chosen)
    path = GCX_LIBEXECDIR "/gcx-symbolize";
  memcpy(symbolize_path, path, strlen(path) + 1);
}

void gcx__symbolize_after_fork(void)
{
  symbolize_broken = false;
}
