/* SPDX-License-Identifier: MIT */
/*
 * exitcheck.h - the last look, when the process ends
 */
#ifndef GCX_EXITCHECK_H
#define GCX_EXITCHECK_H

/* From libgcx's destructor: after the program's own handlers and destructors,
 * before the C library flushes its streams. May end the process. */
void gcx__exitcheck_run(void);

#endif
