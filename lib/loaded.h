/* SPDX-License-Identifier: MIT */
/*
 * loaded.h - ld.so's list of loaded objects, for who walks it and for a collection
 *
 * dl_iterate_phdr() calls back with ld.so's lock held. A callback that allocates
 * waits for the collector's lock, whose holder asks for the same list: both would
 * wait for ever. libunwind, which holds a lock of its own as it asks, and which an
 * allocation needs for its stack, is the same case. So neither asks ld.so while a
 * callback runs; they are given a copy, which is exact, since nobody else can load
 * or unload meanwhile.
 */
#ifndef GCX_LOADED_H
#define GCX_LOADED_H

#include <link.h>

#include "assert.h"

typedef int (*gcx__loaded_fn)(struct dl_phdr_info *info, size_t size,
                              void *arg);

/* Looks up what gcx itself must not look up later. From a constructor. */
void gcx__loaded_init(void);

/* The C library's own, before gcx__loaded_init() and whatever else: a sanitizer
 * that is not up itself calls it. */
extern bool gcx__loaded_ready GCX_HIDDEN;
int gcx__loaded_iterate_plain(gcx__loaded_fn fn, void *arg);
#define GCX_BEFORE_SANITIZERS                                      \
  __attribute__((no_sanitize("address"), no_sanitize("undefined"), \
                 no_sanitize("thread")))

/* dl_iterate_phdr(), as libgcx offers it to everybody. */
int gcx__loaded_iterate(gcx__loaded_fn fn, void *arg);

/* For a callback that waits for nothing and allocates nothing: it does not wait
 * for others' callbacks either. Locks may be held, the collector's too. What @fn is
 * told of may just be unloaded by the thread that is in a callback of its own. */
int gcx__loaded_iterate_brief(gcx__loaded_fn fn, void *arg);

/* The same for who holds the collector's lock and lists what it is going to scan:
 * from now on gcx__loaded_grew() says if that list is too short. */
int gcx__loaded_iterate_to_scan(gcx__loaded_fn fn, void *arg);

/* Has anything been loaded since? Collector's lock held, also stopped. */
bool gcx__loaded_grew(void);

/* Around a fork, inside the collector's lock. */
void gcx__loaded_before_fork(void);
void gcx__loaded_after_fork(bool is_child);

#endif
