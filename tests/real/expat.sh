# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# expat: XML; pools of strings, hash tables, memory handlers. Its test program
# has several thousand cases.
subdir=expat

configure()
{
  ./buildconf.sh && ./configure CC="$REAL_COMPILER" CFLAGS=-O1 --disable-shared \
    --without-docbook
}

build()
{
  make -C lib && make -C xmlwf && make -C tests runtests
}

clean()
{
  make clean
}

suite()
{
  tests/runtests && xmlwf/xmlwf ../testdata/largefiles/aaaaaa_attr.xml
}

free_call='FREE'
free_files='lib/*.c'
