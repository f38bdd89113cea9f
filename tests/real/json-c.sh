# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# json-c: JSON; counts of references, a hash table, print buffers. CMake; its
# tests are programs whose output a script compares.
configure()
{
  CC=$REAL_COMPILER cmake -S . -B out -DCMAKE_C_FLAGS=-O1 -DBUILD_SHARED_LIBS=OFF \
    -DDISABLE_WERROR=ON
}

build()
{
  make -C out
}

clean()
{
  make -C out clean
}

suite()
{
  VALGRIND=0 USE_VALGRIND=0 make -C out test
}

free_call='free'
free_files='*.c'
