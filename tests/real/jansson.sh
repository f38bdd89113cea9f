# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# jansson: JSON; hash tables of its own, allocator hooks. Autotools; its test
# programs, and files through a program.
configure()
{
  autoreconf -i && ./configure CC="$REAL_COMPILER" CFLAGS=-O1 --disable-shared
}

build()
{
  make && make -C test check TESTS=
}

clean()
{
  make clean
}

suite()
{
  make -C test check
}

quick()
{
  (cd test && top_srcdir=.. ./run-suites api invalid-unicode encoding-flags)
}

free_call='jsonp_free'
free_files='src/*.c'
