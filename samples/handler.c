/* SPDX-License-Identifier: MIT */
/*
 * handler - findings go where the program's other messages go
 *
 * A handler sees every finding before it is printed. This one writes it as a
 * line of JSON to the program's own log, here standard output, and counts. It
 * runs on gcx's finalizer thread.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <gcx.h>

#define LOST 20

static atomic_size_t findings;
static atomic_size_t objects;

/* Go on after a finding; write nothing but what the handler writes. */
const char *gcx_default_options(void)
{
  return "leak=report:exit_check=off:log_path=/dev/null";
}

static void on_report(const struct gcx_report *r, void *arg)
{
  const int *fd = arg;

  findings++;
  objects += gcx_report_count(r);
  gcx_report_print(r, *fd, GCX_FORMAT_JSON);
}

__attribute__((noinline)) static int lose_some(void)
{
  for (volatile int i = 0; i < LOST; i++) { /* not unrolled: one call site */
    if (gcx_alloc(100) == NULL)
      return -1;
  }
  return 0;
}

int main(void)
{
  static int log_fd = STDOUT_FILENO;
  size_t lost;

  if (gcx_handler_add(on_report, &log_fd) != 0 || lose_some() != 0)
    return 1;
  lost = gcx_check();
  gcx_handler_remove(on_report, &log_fd);
  printf("%s\n", lost > LOST / 2 && lost == objects ? "the handler saw them all"
                                                    : "some were not seen");
  printf("one finding for one line of the program: %s\n",
         findings == 1 ? "yes" : "no");
  return 0;
}
