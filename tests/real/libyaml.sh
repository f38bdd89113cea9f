# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# libyaml: YAML; stacks and queues that grow. Its test programs, and the
# examples as inputs of them.
configure()
{
  ./bootstrap && ./configure CC="$REAL_COMPILER" CFLAGS=-O1 --disable-shared
}

build()
{
  make && make -C tests check TESTS=
}

clean()
{
  make clean
}

suite()
{
  local program
  make -C tests check || return
  for program in run-scanner run-parser run-loader run-dumper run-emitter; do
    tests/$program examples/*.yaml || return
  done > suite.out
  for program in example-reformatter example-reformatter-alt \
    example-deconstructor example-deconstructor-alt; do
    tests/$program < examples/mapping.yaml || return
  done >> suite.out
}

free_call='yaml_free'
free_files='src/*.c'
