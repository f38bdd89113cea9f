# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# MuJS: JavaScript; a collector of its own, setjmp. The package has no test
# suite: a script that uses each library.
configure()
{
  :
}

build()
{
  make build=debug HAVE_READLINE=no CC="$REAL_COMPILER" XCFLAGS=-O1
}

clean()
{
  rm -rf build
}

suite()
{
  build/debug/mujs "$REAL_DIR/mujs.js"
}

free_call='js_free'
free_files='*.c'
