/* SPDX-License-Identifier: MIT */
/* check_report.c - the text of every kind of finding, letter by letter; JSON */
#include "reports.h"

#include "json.h"

/* ---- texts */

#define LEAK_ADVICE                                                        \
  "  do        call gcx_dispose() on every path that gives up the last "   \
  "reference "                                                             \
  "(gcx_auto does\n"                                                       \
  "            it at the end of a scope), or let another object own it "   \
  "(gcx_own)\n"                                                            \
  "  more      gcx_touch(p, \"hint\") and gcx_breadcrumb(\"...\") in the " \
  "program narrow "                                                        \
  "down where\n"                                                           \
  "            it was lost\n"
#define MORE_FATAL(option)                                                 \
  "  more      to go on instead: GCX_OPTIONS=" option "; to look around: " \
  "gdb, break gcx_on_report\n"
#define WHAT                                                     \
  "  what      struct conn, 48 bytes at 0x7f0000001000: \"peer " \
  "127.0.0.1:80\"\n"
#define BORN "  born      0.012 s after start, in thread 4711 \"main\"\n"

START_TEST(test_leak_text)
  {
    struct gcx_report r = leak_report();

    text_is(&r,
            "==PID== gcx: GCX-LEAK: 1 object of struct conn (48 bytes) lost "
            "without gcx_dispose\n" WHAT BORN FRAME(
                conn_open) "  lost      reachable at collection 41 (12.031 s, "
                           "after \"parse header\"), gone at "
                           "collection 42 (12.044 s)\n" LEAK_ADVICE MORE_FATAL(
                               "leak=report"),
            conn_open_line, 0, 0);
  }
END_TEST

START_TEST(test_leak_of_many_text)
  {
    struct gcx_report r = leak_report();

    r.count = 3;
    r.total_bytes = 144;
    r.indirect_count = 12;
    r.indirect_bytes = 600;
    r.last_seen = (struct gcx__moment){ 0, 0, "" };
    r.gone = (struct gcx__moment){ 5, 1, "loop" };
    r.touches = 2;
    r.touch[0] =
        (struct gcx__touch){ site_in(conn_read), 1999, 4712, "second half" };
    r.touch[1] = (struct gcx__touch){ 0, 20, 4711, "" };
    gcx__opt.leak = GCX_LEAK_REPORT;
    text_is(
        &r,
        "==PID== gcx: GCX-LEAK: 3 objects of struct conn (144 bytes) lost "
        "without gcx_dispose\n"
        "  what      struct conn, 48 bytes at 0x7f0000001000, one of 3: \"peer "
        "127.0.0.1:80\"\n"
        "  holds     12 more objects (600 bytes) lost with them\n" BORN FRAME(
            conn_open) "  touched   1.999 s after start, in thread 4712: "
                       "\"second half\"\n" FRAME(
                           conn_read) "  touched   0.020 s after start, "
                                      "in thread 4711\n"
                                      "  lost      between its birth and "
                                      "collection 1 (0.005 s, after "
                                      "\"loop\")\n"
                                      "  do        call gcx_dispose() on "
                                      "every path that gives up the last "
                                      "reference (gcx_auto "
                                      "does\n"
                                      "            it at the end of a "
                                      "scope), or let another object own "
                                      "it (gcx_own)\n",
        conn_open_line, conn_read_line, 0);
  }
END_TEST

START_TEST(test_indirect_leak_text)
  {
    struct gcx_report r = leak_report();

    r.count = 0;
    r.total_bytes = 0;
    r.indirect_count = 2;
    r.indirect_bytes = 96;
    r.has_window = false;
    r.touches = 1;
    r.touch[0] = (struct gcx__touch){ 0, 20, 0, "x" };
    gcx__opt.leak = GCX_LEAK_EXIT;
    text_is(&r,
            "==PID== gcx: GCX-LEAK: 2 objects of struct conn (96 bytes) lost "
            "without gcx_dispose, "
            "held only by other lost objects\n"
            "  what      struct conn, 48 bytes at 0x7f0000001000, one of 2: "
            "\"peer 127.0.0.1:80\"\n" BORN FRAME(
                conn_open) "  touched   0.020 s after start: \"x\"\n"
                           "  do        look at the finding of what held it; "
                           "dispose the holder, which must dispose "
                           "or\n"
                           "            own (gcx_own) what it holds\n",
            conn_open_line, 0, 0);
  }
END_TEST

/* The least that can be known: no type, no stack, no thread. */
START_TEST(test_bare_leak_text)
  {
    struct gcx_report r = { .id = GCX_REPORT_LEAK,
                            .object = (const void *)(uintptr_t)0x1000,
                            .bytes = 1,
                            .count = 1,
                            .total_bytes = 1 };

    gcx__opt.unwind = GCX_UNWIND_NONE;
    gcx__opt.roots = GCX_ROOTS_STRICT;
    ck_assert_str_eq(
        scrub(print(&r, GCX_FORMAT_TEXT)),
        "==PID== gcx: GCX-LEAK: 1 object (1 byte) lost without gcx_dispose\n"
        "  what      plain memory, 1 byte at 0x1000\n"
        "  do        call gcx_dispose() on every path that gives up the last "
        "reference (gcx_auto does\n"
        "            it at the end of a scope), or let another object own it "
        "(gcx_own)\n"
        "  or        it is still in use, held by memory of malloc(): "
        "roots=strict does not look\n"
        "            there, roots=all does\n"
        "  more      GCX_OPTIONS=unwind=auto records stacks\n"
        "  more      gcx_touch(p, \"hint\") and gcx_breadcrumb(\"...\") in the "
        "program narrow down where\n"
        "            it was lost\n" MORE_FATAL("leak=report"));
  }
END_TEST

START_TEST(test_use_after_dispose_text)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_USE_AFTER_DISPOSE,
                                        "gcx_require_live(0x7f0000001000)");

    r.dispose_site = site_in(conn_close);
    text_is(
        &r,
        "==PID== gcx: GCX-USE-AFTER-DISPOSE: 1 object of struct conn (48 "
        "bytes) used after "
        "gcx_dispose\n" WHAT "  detail    gcx_require_live(0x7f0000001000)\n"
        "  used      in thread 4712\n" FRAME(
            conn_read) "  disposed  here\n" FRAME(conn_close)
            BORN FRAME(conn_open) "  do        dispose after the last use, or "
                                  "drop the pointer when it is disposed; a "
                                  "second\n"
                                  "            user needs an owner that "
                                  "outlives both\n" MORE_FATAL("misuse=report"),
        conn_read_line, conn_close_line, conn_open_line);
  }
END_TEST

START_TEST(test_double_dispose_text)
  {
    struct gcx_report r =
        misuse_report(GCX_REPORT_DOUBLE_DISPOSE, "gcx_dispose(0x7f0000001000)");

    gcx__opt.double_dispose = GCX_DOUBLE_FATAL;
    r.dispose_site = site_in(conn_close);
    text_is(&r,
            "==PID== gcx: GCX-DOUBLE-DISPOSE: 1 object of struct conn (48 "
            "bytes) disposed a second "
            "time\n" WHAT "  detail    gcx_dispose(0x7f0000001000)\n"
            "  again     in thread 4712\n" FRAME(
                conn_read) "  disposed  here\n" FRAME(conn_close)
                BORN FRAME(
                    conn_open) "  do        harmless, but two places believe "
                               "that they own it: decide which one does, "
                               "or\n"
                               "            ignore it "
                               "(double_dispose=ignore)\n" MORE_FATAL(
                                   "double_dispose=report"),
            conn_read_line, conn_close_line, conn_open_line);
  }
END_TEST

START_TEST(test_double_free_text)
  {
    struct gcx_report r =
        misuse_report(GCX_REPORT_DOUBLE_FREE, "free(0x7f0000001000)");

    r.type_name = "malloc block";
    r.is_block = true;
    r.description[0] = '\0';
    r.dispose_site = site_in(conn_close);
    text_is(
        &r,
        "==PID== gcx: GCX-DOUBLE-FREE: 1 malloc block (48 bytes) freed a "
        "second time\n"
        "  what      malloc block, 48 bytes at 0x7f0000001000\n"
        "  detail    free(0x7f0000001000)\n"
        "  again     in thread 4712\n" FRAME(
            conn_read) "  freed     here\n" FRAME(conn_close)
            BORN FRAME(conn_open) "  do        one of the two calls must "
                                  "go: decide who owns the block, and set "
                                  "the other\n"
                                  "            pointers to it to NULL when "
                                  "it is freed\n" MORE_FATAL("misuse=report"),
        conn_read_line, conn_close_line, conn_open_line);
  }
END_TEST

START_TEST(test_bad_pointer_text)
  {
    struct gcx_report inside =
        misuse_report(GCX_REPORT_BAD_POINTER, "gcx_dispose(0x7f0000001000): "
                                              "points 16 bytes into an object");
    struct gcx_report stray = { .id = GCX_REPORT_BAD_POINTER,
                                .detail =
                                    "gcx_dispose(0x1234): not in gcx's heap",
                                .object = (const void *)(uintptr_t)0x1234,
                                .use_site = inside.use_site,
                                .use_tid = 4712 };

    text_is(
        &inside,
        "==PID== gcx: GCX-BAD-POINTER: 0x7f0000001000 is not an object of gcx\n"
        "  inside    struct conn, 48 bytes: \"peer 127.0.0.1:80\"\n"
        "  detail    gcx_dispose(0x7f0000001000): points 16 bytes into an "
        "object\n"
        "  passed    in thread 4712\n" FRAME(conn_read) BORN FRAME(
            conn_open) "  do        pass the pointer that gcx_alloc(), "
                       "gcx_new() or a relative of theirs "
                       "returned;\n"
                       "            memory of malloc() belongs to "
                       "free()\n" MORE_FATAL("misuse=report"),
        conn_read_line, conn_open_line, 0);
    text_is(&stray,
            "==PID== gcx: GCX-BAD-POINTER: 0x1234 is not an object of gcx\n"
            "  detail    gcx_dispose(0x1234): not in gcx's heap\n"
            "  passed    in thread 4712\n" FRAME(
                conn_read) "  do        pass the pointer that gcx_alloc(), "
                           "gcx_new() or a relative of theirs "
                           "returned;\n"
                           "            memory of malloc() belongs to "
                           "free()\n" MORE_FATAL("misuse=report"),
            conn_read_line, 0, 0);
  }
END_TEST

START_TEST(test_fd_owner_text)
  {
    struct gcx_report r = {
      .id = GCX_REPORT_FD_OWNER,
      .count = 1,
      .description = "fd 5: /etc/hosts, reading",
      .detail = "close(5): it belongs to a stream (FILE)",
      .use_tid = 4712,
      .birth_tid = 4711,
    };

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    text_is(&r,
            "==PID== gcx: GCX-FD-OWNER: close(5): it belongs to a stream "
            "(FILE)\n"
            "  what      fd 5: /etc/hosts, reading\n"
            "  closed    in thread 4712\n"
            "  opened    0.000 s after start, in thread 4711\n"
            "  do        close a descriptor once, and one that belongs to a "
            "stream, a directory or a\n"
            "            handle through its owner alone (fclose, closedir, "
            "gcx_dispose); after a close()\n"
            "            the number may be somebody else's\n",
            0, 0, 0);
  }
END_TEST

/* A stream or a descriptor: neither size nor gcx_dispose() are its own. */
static struct gcx_report ended_report(enum gcx__report_id id, const char *type,
                                      const char *ended_by)
{
  struct gcx_report r = conn_report(id);

  r.type_name = type;
  r.ended_by = ended_by;
  r.bytes = 0;
  r.total_bytes = 0;
  (void)snprintf(r.description, sizeof r.description, "fd 5: /etc/hosts");
  return r;
}

START_TEST(test_lost_stream_text)
  {
    struct gcx_report r = ended_report(GCX_REPORT_LEAK, "FILE", "fclose");

    r.count = 3;
    text_is(&r,
            "==PID== gcx: GCX-LEAK: 3 objects of FILE lost without fclose\n"
            "  what      FILE at 0x7f0000001000, one of 3: \"fd 5: "
            "/etc/hosts\"\n"
            "  opened    0.012 s after start, in thread 4711 \"main\"\n" FRAME(
                conn_open) "  do        call fclose() on every path that "
                           "gives up the last pointer to it\n" MORE_FATAL(
                               "leak=report"),
            conn_open_line, 0, 0);
  }
END_TEST

START_TEST(test_open_at_exit_text)
  {
    struct gcx_report pipe =
        ended_report(GCX_REPORT_UNDISPOSED, "FILE of popen", "pclose");
    struct gcx_report fd = ended_report(GCX_REPORT_UNDISPOSED, "fd", "close");

    fd.object = NULL;
    text_is(&pipe,
            "==PID== gcx: GCX-UNDISPOSED: 1 object of FILE of popen still open "
            "at exit\n"
            "  what      FILE of popen at 0x7f0000001000: \"fd 5: "
            "/etc/hosts\"\n"
            "  opened    0.012 s after start, in thread 4711 \"main\"\n" FRAME(
                conn_open) "  do        call pclose() before the process "
                           "exits\n",
            conn_open_line, 0, 0);
    text_is(&fd,
            "==PID== gcx: GCX-UNDISPOSED: 1 object of fd still open at exit\n"
            "  what      fd: \"fd 5: /etc/hosts\"\n"
            "  opened    0.012 s after start, in thread 4711 \"main\"\n" FRAME(
                conn_open) "  do        call close() before the process "
                           "exits\n",
            conn_open_line, 0, 0);
  }
END_TEST

START_TEST(test_exhausted_text)
  {
    struct gcx_report r = ended_report(GCX_REPORT_EXHAUSTED, NULL, NULL);

    r.count = 800;
    r.description[0] = '\0';
    (void)snprintf(r.detail, sizeof r.detail,
                   "EMFILE: 812 of at most 1024 descriptors were held by lost "
                   "objects, 800 of them opened here");
    text_is(&r,
            "==PID== gcx: GCX-EXHAUSTED: EMFILE: 812 of at most 1024 "
            "descriptors were held by lost objects, 800 of them opened here\n"
            "  opened    here\n" FRAME(
                conn_open) "  do        dispose what was opened there: the "
                           "findings beside this one say what was lost\n",
            conn_open_line, 0, 0);
    r.birth_site = 0; /* not one place */
    text_is(&r,
            "==PID== gcx: GCX-EXHAUSTED: EMFILE: 812 of at most 1024 "
            "descriptors were held by lost objects, 800 of them opened here\n"
            "  do        dispose what was opened there: the findings beside "
            "this one say what was lost\n",
            0, 0, 0);
  }
END_TEST

/* What finalizers do wrong is of one shape. */
START_TEST(test_finalizer_texts)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_CRITICAL_ALLOC, "100 bytes");

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    text_is(&r,
            "==PID== gcx: GCX-CRITICAL-ALLOC: 1 object of struct conn (48 "
            "bytes) allocates in its critical finalizer\n" WHAT
            "  detail    100 bytes\n"
            "  allocates in thread 4712\n" FRAME(conn_read) BORN FRAME(
                conn_open) "  do        allocate what the finalizer "
                           "needs when the object is made; or drop\n"
                           "            GCX_TYPE_CRITICAL from its type\n",
            conn_read_line, conn_open_line, 0);
    r.id = GCX_REPORT_SLOW_FINALIZER;
    text_is(&r,
            "==PID== gcx: GCX-SLOW-FINALIZER: 1 object of struct conn (48 "
            "bytes) has a finalizer that takes long\n" WHAT
            "  detail    100 bytes\n"
            "  finalizer in thread 4712\n" FRAME(conn_read)
                BORN FRAME(conn_open) "  do        all other finalizers, "
                                      "disposals and reports wait for it: hand "
                                      "slow work to a\n"
                                      "            thread of the program's, or "
                                      "dispose the object in time\n",
            conn_read_line, conn_open_line, 0);
  }
END_TEST

START_TEST(test_over_release_text)
  {
    struct gcx_report r = misuse_report(
        GCX_REPORT_OVER_RELEASE, "gcx_handle_release(0x7f0000001000): no "
                                 "reference is left to give back");

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    text_is(
        &r,
        "==PID== gcx: GCX-OVER-RELEASE: 1 object of struct conn (48 bytes) "
        "released too often\n" WHAT
        "  detail    gcx_handle_release(0x7f0000001000): no reference is left "
        "to give back\n"
        "  released  in thread 4712\n" FRAME(conn_read)
            BORN FRAME(conn_open) "  do        pair each gcx_handle_release() "
                                  "with a gcx_handle_acquire() that returned "
                                  "true;\n"
                                  "            the handle's own reference is "
                                  "gcx_dispose()'s to give back\n",
        conn_read_line, conn_open_line, 0);
  }
END_TEST

START_TEST(test_corrupt_text)
  {
    struct gcx_report r = misuse_report(
        GCX_REPORT_CORRUPT, "gcx_dispose(0x7f0000001000): the bytes "
                            "behind the object's 48 were overwritten");

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    text_is(
        &r,
        "==PID== gcx: GCX-CORRUPT: 1 object of struct conn (48 bytes) written "
        "past its end\n" WHAT "  detail    gcx_dispose(0x7f0000001000): the "
        "bytes behind the object's 48 were "
        "overwritten\n"
        "  noticed   in thread 4712\n" FRAME(conn_read)
            BORN FRAME(conn_open) "  do        the program wrote behind the "
                                  "bytes it had asked for: look for the write "
                                  "with\n"
                                  "            -fsanitize=address, or watch "
                                  "the object's end in gdb from its birth on\n",
        conn_read_line, conn_open_line, 0);
  }
END_TEST

START_TEST(test_false_report_text)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_FALSE, "");

    text_is(&r,
            "==PID== gcx: GCX-FALSE-REPORT: 1 object of struct conn (48 bytes) "
            "reported as lost has "
            "been used: that report was false\n" WHAT
            "  used      in thread 4712\n" FRAME(conn_read) BORN FRAME(
                conn_open) "  cause     its holder lies where the collector "
                           "does not look: memory of malloc() "
                           "under\n"
                           "            roots=strict, a device, the kernel "
                           "(epoll data), another process, or a "
                           "pointer\n"
                           "            that is stored in disguise\n"
                           "  do        tell gcx of the memory that holds it "
                           "(gcx_root_add) or hold it for the "
                           "time\n"
                           "            (gcx_hold_create); with roots=strict, "
                           "roots=all may be enough\n",
            conn_read_line, conn_open_line, 0);
  }
END_TEST

START_TEST(test_undisposed_text)
  {
    struct gcx_report r = conn_report(GCX_REPORT_UNDISPOSED);

    text_is(&r,
            "==PID== gcx: GCX-UNDISPOSED: 1 object of struct conn (48 bytes) "
            "still reachable at exit "
            "and not disposed\n" WHAT BORN FRAME(
                conn_open) "  do        dispose it before the process exits, "
                           "from its owner or from atexit();\n"
                           "            exit_check=unreachable reports lost "
                           "objects only\n",
            conn_open_line, 0, 0);
  }
END_TEST

/* ---- pools */

#define POOL_RETURN_ADVICE                                                \
  "  do        give each back once, to the pool that it was taken from, " \
  "and drop the pointer\n"                                                \
  "            then; an object that must not be used again is disposed "  \
  "(gcx_dispose) instead of\n"                                            \
  "            given back\n"

START_TEST(test_lent_leak_text)
  {
    struct gcx_report r = leak_report();

    r.is_lent = true;
    gcx__opt.leak = GCX_LEAK_REPORT;
    r.touches = 1;
    r.touch[0] = (struct gcx__touch){ 0, 20, 0, "x" };
    r.has_window = false;
    text_is(&r,
            "==PID== gcx: GCX-LEAK: 1 object of struct conn (48 bytes) lost "
            "without gcx_dispose\n" WHAT
            "  taken     0.012 s after start, in thread 4711 \"main\"\n" FRAME(
                conn_open) "  touched   0.020 s after start: \"x\"\n"
                           "  do        give it back with gcx_pool_return() on "
                           "every path that gives up the last\n"
                           "            reference; what goes with an object is "
                           "given back by its dispose function\n",
            conn_open_line, 0, 0);
    json_demand(print(&r, GCX_FORMAT_JSON), "lent", "true");
  }
END_TEST

START_TEST(test_pool_return_text)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_POOL_RETURN, "why");
    struct gcx_report stray = { .id = GCX_REPORT_POOL_RETURN,
                                .object = (const void *)(uintptr_t)0x1234,
                                .detail = "why" };

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    r.is_lent = true;
    r.dispose_site = site_in(conn_close);
    text_is(
        &r,
        "==PID== gcx: GCX-POOL-RETURN: 1 object of struct conn (48 bytes) "
        "given back to a pool that has not lent it\n" WHAT "  detail    why\n"
        "  passed    in thread 4712\n" FRAME(
            conn_read) "  returned  here\n" FRAME(conn_close) "  taken     "
                                                              "0.012 s after "
                                                              "start, in "
                                                              "thread 4711 "
                                                              "\"main\""
                                                              "\n" FRAME(
                                                                  conn_open)
                                                                  POOL_RETURN_ADVICE,
        conn_read_line, conn_close_line, conn_open_line);
    text_is(&stray,
            "==PID== gcx: GCX-POOL-RETURN: 0x1234 given back to a pool that "
            "has not lent it\n"
            "  detail    why\n" POOL_RETURN_ADVICE,
            0, 0, 0);
  }
END_TEST

START_TEST(test_pool_outstanding_text)
  {
    struct gcx_report r = misuse_report(GCX_REPORT_POOL_OUTSTANDING, "why");

    gcx__opt.misuse = GCX_MISUSE_REPORT;
    r.is_lent = true;
    r.count = 3;
    r.total_bytes = 144;
    text_is(&r,
            "==PID== gcx: GCX-POOL-OUTSTANDING: 3 objects of struct conn (144 "
            "bytes) still taken when its pool was disposed\n"
            "  what      struct conn, 48 bytes at 0x7f0000001000, one of 3: "
            "\"peer 127.0.0.1:80\"\n"
            "  detail    why\n"
            "  pool ends in thread 4712\n" FRAME(
                conn_read) "  taken     0.012 s after start, in thread 4711 "
                           "\"main\"\n" FRAME(
                               conn_open) "  do        give everything back "
                                          "(gcx_pool_return) before "
                                          "the pool is disposed; the stacks\n"
                                          "            show who has taken what "
                                          "is missing\n",
            conn_read_line, conn_open_line, 0);
  }
END_TEST

START_TEST(test_raw_text_names_what_symbolises_it)
  {
    struct gcx_report r = conn_report(GCX_REPORT_UNDISPOSED);

    gcx__opt.symbolize_ms = 0;
    text_is(&r,
            "==PID== gcx: GCX-UNDISPOSED: 1 object of struct conn (48 bytes) "
            "still reachable at exit "
            "and not disposed\n" WHAT BORN RAW_FRAME
            "  do        dispose it before the process exits, from its owner "
            "or from atexit();\n"
            "            exit_check=unreachable reports lost objects only\n"
            "  more      functions and lines: gcx-symbolize < report; here "
            "symbolize_ms=0\n",
            0, 0, 0);
    gcx__opt.stack_depth = 1;
    ck_assert_ptr_nonnull(
        strstr(print(&r, GCX_FORMAT_TEXT),
               "  more      a stack is cut: GCX_OPTIONS=stack_depth=256 shows "
               "all of it\n"));
  }
END_TEST

/* Text of the program's can neither break the line nor reach the terminal. */
START_TEST(test_text_of_the_program_is_tamed)
  {
    struct gcx_report r = conn_report(GCX_REPORT_UNDISPOSED);

    r.type_name = "a\nb";
    (void)snprintf(r.description, sizeof(r.description), "\x1b[31m\x7f\r");
    print(&r, GCX_FORMAT_TEXT);
    ck_assert_ptr_nonnull(strstr(printed, "1 object of a\\x0ab (48"));
    ck_assert_ptr_nonnull(strstr(printed, ": \"\\x1b[31m\\x7f\\x0d\"\n"));
    /* \u009b is a command, too; \xe9 is no UTF-8: grep would call it binary */
    (void)snprintf(r.description, sizeof(r.description),
                   "\xc3\xa9\xe2\x82\xac|\xc2\x9b|\xe9|\xe2\x82");
    print(&r, GCX_FORMAT_TEXT);
    ck_assert_ptr_nonnull(strstr(printed, ": \"\xc3\xa9\xe2\x82\xac|\\xc2\\x9b|"
                                          "\\xe9|\\xe2\\x82\"\n"));
  }
END_TEST

/* ---- JSON */

START_TEST(test_every_kind_is_json)
  {
    struct gcx_report r =
        misuse_report((enum gcx__report_id)_i, "what \"it\" is\n");
    char id[64];

    (void)snprintf(id, sizeof(id), "\"%s\"", gcx__report_name(r.id));
    json_demand(print(&r, GCX_FORMAT_JSON), "id", id);
    json_demand(printed, "event", "\"finding\"");
    json_demand(printed, "detail", "\"what \\\"it\\\" is\\u000a\"");
    json_demand(printed, "use.tid", "4712");
    json_demand(printed, "use.stack.0.function", "\"conn_read\"");
    json_demand(printed, "window", "null");
    json_demand(printed, "touches", "[]");
    json_demand(printed, "dispose.stack", "[]");
  }
END_TEST

START_TEST(test_json_facts)
  {
    struct gcx_report r = leak_report();
    char text[64];

    r.indirect_count = 12;
    r.indirect_bytes = 600;
    r.touches = 1;
    r.touch[0] = (struct gcx__touch){ site_in(conn_read), 20, 4712, "" };
    print(&r, GCX_FORMAT_JSON);
    (void)snprintf(text, sizeof(text), "%d", (int)getpid());
    json_demand(printed, "pid", text);
    json_demand(printed, "type", "\"struct conn\"");
    json_demand(printed, "object", "\"0x7f0000001000\"");
    json_demand(printed, "bytes", "48");
    json_demand(printed, "count", "1");
    json_demand(printed, "total_bytes", "48");
    json_demand(printed, "indirect_count", "12");
    json_demand(printed, "indirect_bytes", "600");
    json_demand(printed, "description", "\"peer 127.0.0.1:80\"");
    json_demand(printed, "detail", "null");
    json_demand(printed, "birth.ms", "12");
    json_demand(printed, "birth.tid", "4711");
    json_demand(printed, "birth.thread", "\"main\"");
    (void)snprintf(text, sizeof(text), "%d", conn_open_line);
    json_demand(printed, "birth.stack.0.line", text);
    json_demand(printed, "birth.stack.0.inlined", "false");
    json_demand(printed, "window.last_seen.collection", "41");
    json_demand(printed, "window.last_seen.breadcrumb", "\"parse header\"");
    json_demand(printed, "window.gone.ms", "12044");
    json_demand(printed, "window.gone.breadcrumb", "null");
    json_demand(printed, "touches.0.ms", "20");
    json_demand(printed, "touches.0.hint", "null");
    json_demand(printed, "touches.0.stack.0.function", "\"conn_read\"");
  }
END_TEST

START_TEST(test_json_raw_frame)
  {
    struct gcx_report r = leak_report();
    uintptr_t pc = (uintptr_t)conn_open + 1;
    const struct gcx__module *m = gcx__modules_find(pc, gcx__modules_epoch());
    char text[8192];

    gcx__opt.symbolize_ms = 0;
    print(&r, GCX_FORMAT_JSON);
    (void)snprintf(text, sizeof(text), "\"%s\"", m->path);
    json_demand(printed, "birth.stack.0.module", text);
    (void)snprintf(text, sizeof(text), "\"0x%lx\"",
                   (unsigned long)(pc - m->bias));
    json_demand(printed, "birth.stack.0.offset", text);
    json_demand(printed, "birth.stack.0.function", "null");
    json_demand(printed, "birth.stack.0.file", "null");
    json_demand(printed, "birth.stack.0.line", "null");
  }
END_TEST

static void reports_json(void *arg)
{
  struct gcx_report r = leak_report();

  (void)arg;
  gcx__opt.format = GCX_FORMAT_JSON;
  gcx__opt.leak = GCX_LEAK_REPORT;
  gcx__report(&r, 1, true);
  gcx__report_note("a \"%s\"", "note");
  gcx__report_summary();
}

START_TEST(test_json_log_is_json_lines)
  {
    static char line[TEXT_BYTES];
    const struct death *d = death_demand_exit(reports_json, NULL, 0);
    const char *want[] = { "\"finding\"", "\"note\"", "\"summary\"" };
    const char *at = d->err;

    for (size_t i = 0; i < GCX_ARRAY_LENGTH(want); i++) {
      size_t n = strcspn(at, "\n") + 1;

      (void)snprintf(line, sizeof(line), "%.*s", (int)n, at);
      json_demand(line, "event", want[i]);
      at += n;
    }
    ck_assert_str_eq(at, "");
    json_demand(line, "ids.GCX-LEAK.findings", "1");
    json_demand(line, "ids.GCX-LEAK.bytes", "48");
  }
END_TEST

/* ---- suite */

static void add_texts(Suite *s)
{
  TCase *t = tcase_create("text");

  tcase_add_checked_fixture(t, setup, NULL);
  tcase_add_test(t, test_leak_text);
  tcase_add_test(t, test_leak_of_many_text);
  tcase_add_test(t, test_indirect_leak_text);
  tcase_add_test(t, test_bare_leak_text);
  tcase_add_test(t, test_use_after_dispose_text);
  tcase_add_test(t, test_double_dispose_text);
  tcase_add_test(t, test_double_free_text);
  tcase_add_test(t, test_bad_pointer_text);
  tcase_add_test(t, test_fd_owner_text);
  tcase_add_test(t, test_lost_stream_text);
  tcase_add_test(t, test_open_at_exit_text);
  tcase_add_test(t, test_exhausted_text);
  tcase_add_test(t, test_finalizer_texts);
  tcase_add_test(t, test_over_release_text);
  tcase_add_test(t, test_corrupt_text);
  tcase_add_test(t, test_false_report_text);
  tcase_add_test(t, test_undisposed_text);
  tcase_add_test(t, test_lent_leak_text);
  tcase_add_test(t, test_pool_return_text);
  tcase_add_test(t, test_pool_outstanding_text);
  tcase_add_test(t, test_raw_text_names_what_symbolises_it);
  tcase_add_test(t, test_text_of_the_program_is_tamed);
  tcase_add_loop_test(t, test_every_kind_is_json, 0, GCX_REPORT_ID_COUNT);
  tcase_add_test(t, test_json_facts);
  tcase_add_test(t, test_json_raw_frame);
  tcase_add_test(t, test_json_log_is_json_lines);
  suite_add_tcase(s, t);
}

static Suite *report_suite(void)
{
  Suite *s = suite_create("report");

  add_texts(s);
  return s;
}

GCX_CHECK_MAIN(report_suite);
