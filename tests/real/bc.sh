# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# bc and dc: numbers of any size with counts of references. Its own test runs
# a script for each function.
configure()
{
  # what autoconf, automake, bison and flex made is newer than what Debian patched
  touch aclocal.m4 && sleep 1 && touch configure config.h.in &&
    find . -name Makefile.in -exec touch '{}' + && touch bc/bc.c bc/scan.c &&
    ./configure CC="$REAL_COMPILER" CFLAGS=-O1
}

build()
{
  make MAKEINFO=true
}

clean()
{
  make clean
}

suite()
{
  local file
  for file in array arrayp aryprm fact testfn mul div raise sqrt sine atan exp ln; do
    bc/bc -lq "Test/$file.b" < /dev/null || return
  done > suite.out
  echo '2 100 ^ p 3 / p [lx 1 + dsx 20 >a] sa 0 sx laxp' | dc/dc >> suite.out
}

free_call='(free|bc_free_num|bc_free_str|dc_free_str|dc_free_num)'
free_files='bc/*.c lib/*.c dc/*.c'
