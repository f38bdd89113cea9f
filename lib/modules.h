/* SPDX-License-Identifier: MIT */
/*
 * modules.h - the executable and the shared libraries, past and present
 *
 * Three users: roots (TLS blocks by module id, data segments), reports (module,
 * build-id and offset of an address, also of a library that was closed since),
 * and the frame rules (dropped when a library goes).
 */
#ifndef GCX_MODULES_H
#define GCX_MODULES_H

#include "assert.h"

struct gcx__module {
  uintptr_t low; /* first and one past the last mapped byte */
  uintptr_t high;
  uintptr_t bias;    /* load bias: run-time address minus file's address */
  size_t tls_module; /* module id of its PT_TLS, 0 if none */
  size_t tls_bytes;
  uint32_t first_epoch; /* epochs in which it was mapped: [first, last) */
  uint32_t last_epoch;  /* UINT32_MAX while it is loaded */
  uint8_t build_id[32];
  uint8_t build_id_bytes;
  bool is_main;     /* the executable */
  const char *path; /* absolute where known; kept for ever */
};

void gcx__modules_init(void);

/* Bring the list up to date with ld.so's. Cheap if nothing was loaded
 * or unloaded (two counters are compared). True if something was unloaded since
 * the last call: epoch has advanced, and everything learnt about code addresses
 * is void. Must not be called while ld.so may be stopped under us; takes ld.so's
 * lock. */
bool gcx__modules_refresh(void);

/* The same as a variable, for who asks at every capture; only modules.c writes
 * to it. */
extern uint32_t gcx__modules_epoch_now GCX_HIDDEN;

/* Advances after anything that makes what was learnt about code addresses
 * doubtful: an unload, or rules that are taken back (rules.c). One word to look
 * at for each capture. */
extern uint32_t gcx__modules_doubt GCX_HIDDEN;

/* Counts unloads. An address means something only together with the epoch in
 * which it was captured. */
uint32_t gcx__modules_epoch(void);

/* Module that contained @pc in @epoch, or NULL. Lock-free. */
const struct gcx__module *gcx__modules_find(uintptr_t pc, uint32_t epoch);

/* Call @fn for each module that was unloaded in an epoch after @since. */
void gcx__modules_unloaded(uint32_t since_epoch,
                           void (*fn)(const struct gcx__module *m, void *arg),
                           void *arg);

/* All modules ever seen, by index from 0; NULL past the last. Lock-free, also
 * in a stopped world. */
const struct gcx__module *gcx__modules_at(size_t index);

#endif
