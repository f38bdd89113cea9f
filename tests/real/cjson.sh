# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# cJSON: JSON; allocator hooks as values. CMake; its Unity tests.
configure()
{
  CC=$REAL_COMPILER cmake -S . -B out -DENABLE_CJSON_UTILS=On -DCMAKE_C_FLAGS=-O1 \
    -DENABLE_SANITIZERS=Off -DBUILD_SHARED_LIBS=Off
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
  make -C out test
}

free_call='(global_hooks\.deallocate|cJSON_free|free|hooks->deallocate)'
free_files='cJSON.c cJSON_Utils.c'
