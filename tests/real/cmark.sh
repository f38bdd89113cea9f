# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# cmark: CommonMark; an arena, trees. CMake; its API test and the examples of
# the specification, one process each.
configure()
{
  CC=$REAL_COMPILER CXX=$REAL_CXX_COMPILER cmake -S . -B out -DCMAKE_C_FLAGS=-O1 -DCMARK_SHARED=OFF \
    -DCMAKE_BUILD_TYPE=
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
  (cd out && ctest -R 'api_test|spectest_executable|smart|regression')
}

quick()
{
  (cd out && ctest -R 'api_test|regression') && out/src/cmark test/spec.txt > suite.out
}

free_call='(mem->free|CMARK_MEM\(.*\)->free|free|[a-z]*->mem->free)'
free_files='src/*.c'
