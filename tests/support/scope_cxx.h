/* SPDX-License-Identifier: MIT */
/*
 * scope_cxx.h - scopes in C++, for a test in C
 */
#ifndef GCX_TESTS_SCOPE_CXX_H
#define GCX_TESTS_SCOPE_CXX_H

#ifdef __cplusplus
extern "C" {
#endif

/* An object that leaves its name when it is disposed. */
typedef char *(*scope_make)(char name);

void scope_cxx_auto_return(scope_make make, int when);
char *scope_cxx_auto_steal(scope_make make, int success);
void scope_cxx_auto_loop(scope_make make);
void scope_cxx_auto_goto(scope_make make);
void scope_cxx_auto_throw(scope_make make);
int scope_cxx_using_return(scope_make make);
int scope_cxx_using_break(scope_make make);
int scope_cxx_using_continue(scope_make make);
void scope_cxx_using_goto(scope_make make);
void scope_cxx_using_loop(scope_make make);
int scope_cxx_using_null(void);

#ifdef __cplusplus
}
#endif

#endif
