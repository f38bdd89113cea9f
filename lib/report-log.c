/* SPDX-License-Identifier: MIT */
/*
 * report-log.c - where reports go
 *
 * A log file is opened for each occasion and closed again. No descriptor of
 * gcx's can be closed or taken over by a program that closes all it finds, none
 * is inherited, the child of a fork gets a file of its own, and a process without
 * findings leaves no file behind. Whether there is a directory to put it in is
 * checked at the start.
 *
 * A log that can't be written is said to be so once, and stderr takes its place
 * for good. If this process can't have another descriptor, a child writes the log:
 * nothing is kept open for that. State is guarded by the lock of who prints.
 */
#include "report-log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "options.h"
#include "vm.h"

#define LOG_BUFFER_BYTES ((size_t)64 * 1024)
#define LOG_SMALL_BYTES 2048
#define LOG_PID_BYTES 16

static char log_small[LOG_SMALL_BYTES]; /* if no memory could be had */
static char *log_buffer = log_small;
static size_t log_buffer_bytes = sizeof(log_small);
static char log_path[GCX__OPTIONS_TEXT_BYTES * 2 + LOG_PID_BYTES];
static size_t log_path_bytes; /* without ".PID"; 0: no file */
static bool log_is_bad;       /* and that was said */
static char *log_stack;       /* of who writes elsewhere */

/* "PFX.PID" for the process that this is now. */
static const char *log_file_name(void)
{
  struct gcx__out o;

  gcx__out_init(&o, -1, log_path + log_path_bytes, LOG_PID_BYTES);
  gcx__out_fmt(&o, ".%d", (int)getpid());
  return log_path;
}

const char *gcx__report_log_file(void)
{
  return log_path_bytes == 0 || log_is_bad ? NULL : log_file_name();
}

static void log_give_up(const char *why)
{
  if (!log_is_bad)
    gcx__warn("the log %s can't be written (%s): reports go to stderr",
              log_file_name(), why);
  log_is_bad = true;
}

/* Where @l goes; the file, if there is one, is opened. */
static int log_open(struct gcx__report_log *l)
{
  const char *file = gcx__report_log_file();
  int fd;

  if (strcmp(gcx__opt.log_path, "stdout") == 0)
    return STDOUT_FILENO;
  if (file == NULL)
    return STDERR_FILENO;
  fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  l->opened = fd >= 0;
  l->elsewhere = fd < 0 && errno == EMFILE && log_stack != NULL;
  if (fd < 0 && !l->elsewhere)
    log_give_up(strerrordesc_np(errno));
  return l->opened ? fd : STDERR_FILENO;
}

static bool log_send_elsewhere(const char *text, size_t n)
{
  return gcx__helper_append(log_file_name(), text, n, log_stack) == 0;
}

void gcx__report_log_borrow(struct gcx__out *o, int fd)
{
  gcx__out_init(o, fd, log_buffer, log_buffer_bytes);
}

void gcx__report_log_begin(struct gcx__report_log *l)
{
  l->opened = l->elsewhere = false;
  l->fd = log_open(l);
  gcx__report_log_borrow(&l->out, l->fd);
  if (l->elsewhere)
    l->out.send = log_send_elsewhere;
  if (l->fd != STDERR_FILENO || l->elsewhere)
    l->out.spare_fd = STDERR_FILENO;
}

void gcx__report_log_end(struct gcx__report_log *l)
{
  (void)gcx__out_flush(&l->out);
  if (l->out.fell_back && (l->opened || l->elsewhere))
    log_give_up("a write failed");
  if (l->opened)
    (void)close(l->fd);
}

/* A relative log_path means the directory in which the program was started. */
static void log_set_path(void)
{
  const char *path = gcx__opt.log_path;
  size_t used = 0;

  log_path_bytes = 0;
  log_is_bad = false;
  if (strcmp(path, "stderr") == 0 || strcmp(path, "stdout") == 0)
    return;
  if (*path != '/' && getcwd(log_path, GCX__OPTIONS_TEXT_BYTES) != NULL) {
    used = strlen(log_path);
    log_path[used++] = '/';
  }
  memcpy(log_path + used, path, strlen(path) + 1);
  log_path_bytes = used + strlen(path);
}

/* Better said at the start than when the first report has nowhere to go. */
static void log_check_directory(void)
{
  char *slash = log_path_bytes == 0 ? NULL : strrchr(log_path, '/');
  int error;

  if (slash == NULL)
    return;
  *slash = '\0';
  error =
      access(slash == log_path ? "/" : log_path, W_OK | X_OK) == 0 ? 0 : errno;
  *slash = '/';
  if (error != 0)
    log_give_up(strerrordesc_np(error));
}

void gcx__report_log_init(void)
{
  char *buffer;

  if (log_buffer == log_small) {
    buffer = gcx__vm_map(LOG_BUFFER_BYTES);
    if (buffer != NULL) {
      log_buffer = buffer;
      log_buffer_bytes = LOG_BUFFER_BYTES;
    }
  }
  log_set_path();
  log_check_directory();
  if (log_path_bytes != 0 && log_stack == NULL)
    log_stack = gcx__vm_map(GCX__HELPER_STACK_BYTES);
}
