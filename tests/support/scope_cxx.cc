/* SPDX-License-Identifier: MIT */
/* scope_cxx.cc - scopes in C++; compiled with -Wshadow -Werror */
#include "scope_cxx.h"

#include <gcx.h>

void scope_cxx_auto_return(scope_make make, int when)
{
  gcx_auto char *a = make('a');

  if (when == 1)
    return;
  {
    gcx_auto char *b = make('b');

    if (when == 2)
      return;
    gcx_keep_alive(b);
  }
  gcx_keep_alive(a);
}

char *scope_cxx_auto_steal(scope_make make, int success)
{
  gcx_auto char *a = make('a');

  if (!success)
    return nullptr;
  return gcx_steal(a);
}

void scope_cxx_auto_loop(scope_make make)
{
  for (char name = 'a'; name < 'f'; name++) {
    gcx_auto char *p = make(name);

    if (*p == 'b')
      continue;
    if (*p == 'd')
      break;
  }
}

void scope_cxx_auto_goto(scope_make make)
{
  int round = 0;

again : {
  gcx_auto char *p = make(static_cast<char>('a' + round));

  gcx_keep_alive(p);
  if (++round < 3)
    goto again;
}
}

void scope_cxx_auto_throw(scope_make make)
{
  try {
    gcx_auto char *a = make('a');
    GCX_USING (char *b = make('b')) {
      throw *a + *b;
    }
  } catch (int) {
    gcx_dispose(make('c'));
  }
}

int scope_cxx_using_return(scope_make make)
{
  GCX_USING (char *a = make('a')) {
    GCX_USING (char *b = make('b')) {
      return *a + *b;
    }
  }
  return 0;
}

int scope_cxx_using_break(scope_make make)
{
  int rounds = 0;

  GCX_USING (char *a = make('a')) {
    GCX_USING (char *b = make('b')) {
      if (*b == 'b')
        break;
      rounds += 100;
    }
    rounds += *a == 'a';
  }
  return rounds;
}

int scope_cxx_using_continue(scope_make make)
{
  int rounds = 0;

  GCX_USING (char *a = make('a')) {
    rounds++;
    if (*a == 'a')
      continue;
    rounds += 100;
  }
  return rounds;
}

void scope_cxx_using_goto(scope_make make)
{
  GCX_USING (char *a = make('a'))
    GCX_USING (char *b = make('b')) {
      if (*a != *b)
        goto out;
      gcx_dispose(make('x'));
    }
  gcx_dispose(make('y'));
out:
  gcx_dispose(make('c'));
}

void scope_cxx_using_loop(scope_make make)
{
  for (char name = 'a'; name < 'e'; name++) {
    GCX_USING (char *p = make(name)) {
      if (*p == 'b')
        break; /* leaves the block, not the loop */
    }
  }
}

int scope_cxx_using_null()
{
  int rounds = 0;

  GCX_USING (char *nothing = nullptr) {
    rounds += nothing == nullptr;
  }
  return rounds;
}
