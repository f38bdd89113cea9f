/* SPDX-License-Identifier: MIT */
/*
 * gcx/build.h - how the program was built decides what a leak does by default
 *
 * Every file that includes gcx leaves a note in its object file: built without
 * NDEBUG (a leak aborts) or with it (a leak is disposed). gcx reads the notes
 * of the executable alone, so a library never makes its host abort; one file
 * without NDEBUG is enough for a debug build.
 *
 *   cc -DGCX_DEFAULT_OPTIONS='"leak=report"' ...     other defaults of a build
 *
 * The environment variable GCX_OPTIONS overrides either. A program may also
 * define gcx_default_options() for options of its own.
 */
#ifndef GCX_BUILD_H
#define GCX_BUILD_H

#include <gcx/visibility.h>

#ifdef NDEBUG
#define GCX_NOTE_DEBUG_ "0"
#else
#define GCX_NOTE_DEBUG_ "1"
#endif
#ifdef GCX_DEFAULT_OPTIONS
#define GCX_NOTE_OPTIONS_ GCX_DEFAULT_OPTIONS
#else
#define GCX_NOTE_OPTIONS_ ""
#endif

/* An ELF note: owner "gcx", type 1, descriptor: a word (1: debug build) and the
 * default options as text. */
#if defined(__ELF__) && !defined(GCX_NO_NOTE) && !defined(GCX_DISABLE)
__asm__(".pushsection .note.gcx,\"a\",%note\n"
        ".balign 4\n"
        ".long 4\n"
        ".long 8f-7f\n"
        ".long 1\n"
        ".asciz \"gcx\"\n"
        "7: .long " GCX_NOTE_DEBUG_ "\n"
        ".asciz \"" GCX_NOTE_OPTIONS_ "\"\n"
        "8: .balign 4\n"
        ".popsection\n");
#endif

#ifdef __cplusplus
extern "C" {
#endif

/**
 * gcx_default_options - options of this program, defined by the program
 *
 * Optional. Read once at start, after the defaults of the build and before
 * GCX_OPTIONS. Called before main: it may only return a string.
 *
 * Return:    options in the syntax of GCX_OPTIONS, for ever readable
 * Errors:    none
 * Fatal:     none
 * Ownership: the program's
 * Threads:   called once, on the thread that initialises gcx
 * Allocates: must not
 */
#ifndef GCX_DISABLE
__attribute__((weak)) GCX_API const char *gcx_default_options(void);
#else /* nobody reads it */
const char *gcx_default_options(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
