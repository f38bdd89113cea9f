// SPDX-License-Identifier: MIT
// redirect_cxx.cc - a C++ file of a program that was built with gcx/malloc.h
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

extern "C" bool gcx_is_disposed(const void *p);
extern "C" void cxx_check(void);

struct end {
  void operator()(void *p) const
  {
    std::free(p);
  }
};

// new and delete are the C++ library's; what it passes to free() is its own
void cxx_check(void)
{
  void *p = std::malloc(10);
  std::vector<std::string> words;

  if (gcx_is_disposed(p))
    std::abort();
  p = std::realloc(p, 5000);
  if (gcx_is_disposed(p))
    std::abort();
  std::free(p);
  for (int i = 0; i < 1000; i++)
    words.push_back(std::string(100, 'x'));
  std::unique_ptr<char, end> s(strdup("text"));
  if (gcx_is_disposed(s.get()))
    std::abort();
}
