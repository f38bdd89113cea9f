/* SPDX-License-Identifier: MIT */
/*
 * gcx/version.h - which gcx this is
 */
#ifndef GCX_VERSION_H
#define GCX_VERSION_H

#include <gcx/visibility.h>

#define GCX_VERSION_MAJOR 0
#define GCX_VERSION_MINOR 1
#define GCX_VERSION_PATCH 0
#define GCX_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef GCX_DISABLE
static inline const char *gcx_version(void)
{
  return GCX_VERSION;
}
#else
/**
 * gcx_version - version of the library that is running, "major.minor.patch"
 *
 * May differ from GCX_VERSION, which is that of the header.
 *
 * Return:    a static string
 * Errors:    none
 * Fatal:     none
 * Ownership: the library's
 * Threads:   any; in a finalizer: yes; in a signal handler: yes
 * Allocates: no
 */
GCX_API const char *gcx_version(void);
#endif

#ifdef __cplusplus
}
#endif

#endif
