/* SPDX-License-Identifier: MIT */
/*
 * gcx.h - everything: resource leaks in C programs, impossible to miss
 *
 * gcx gives C objects a lifetime that can be checked. Memory comes from
 * gcx_alloc() or gcx_new(), clean-up goes through gcx_dispose(). An object that
 * becomes unreachable without having been disposed is lost: a debug build stops
 * there, with a report that names the object and the stack that allocated it.
 */
#ifndef GCX_H
#define GCX_H

#include <gcx/annotate.h>
#include <gcx/build.h>
#include <gcx/census.h>
#include <gcx/collector.h>
#include <gcx/dependent.h>
#include <gcx/hold.h>
#include <gcx/fd.h>
#include <gcx/file.h>
#include <gcx/handle.h>
#include <gcx/object.h>
#include <gcx/owner.h>
#include <gcx/latency.h>
#include <gcx/pool.h>
#include <gcx/pressure.h>
#include <gcx/report.h>
#include <gcx/resource.h>
#include <gcx/root.h>
#include <gcx/scope.h>
#include <gcx/stats.h>
#include <gcx/testing.h>
#include <gcx/table.h>
#include <gcx/type.h>
#include <gcx/version.h>
#include <gcx/weak.h>

#endif
