/* SPDX-License-Identifier: MIT */
/* throws.cc - C++ exceptions for tests in C */
#include "throws.h"

extern "C" void throws_number(int number)
{
  throw number;
}

extern "C" int throws_caught(void (*fn)(void *arg), void *arg)
{
  try {
    fn(arg);
  } catch (int number) {
    return number;
  }
  return 0;
}
