# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Lua: everything goes through one reallocating function; coroutines. The
# package has no test suite: a script that uses each library, and its own
# `make test`.
patches=no

configure()
{
  :
}

build()
{
  make -C src posix CC="$REAL_COMPILER" MYCFLAGS=-O1
}

clean()
{
  make -C src clean
}

suite()
{
  make -C src test && src/lua "$REAL_DIR/lua5.4.lua" &&
    src/luac -o luac.out "$REAL_DIR/lua5.4.lua" && src/lua luac.out
}

free_call='(luaM_free|luaM_freearray|luaM_freemem|free)'
free_files='src/*.c'
