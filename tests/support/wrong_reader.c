/* SPDX-License-Identifier: MIT */
/*
 * wrong_reader.c - table-read.c, whose readers take what they loaded for alive
 *
 * The epoch is never found to have changed. That is all that makes this reader
 * different, so that a test can show that it would notice.
 */
#include "table.h"

#define gcx__read_now() epoch

#include "table-read.c"
