/* SPDX-License-Identifier: MIT */
/*
 * note_programs.h - programs built in several ways
 */
#ifndef GCX_TESTS_NOTE_PROGRAMS_H
#define GCX_TESTS_NOTE_PROGRAMS_H

#define NOTE_LOST 200 /* objects of a program */

__attribute__((visibility("default"))) void note_part(void);

#endif
