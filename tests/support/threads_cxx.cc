/* SPDX-License-Identifier: MIT */
/* threads_cxx.cc - threads of C++ for tests in C */
#include "threads_cxx.h"

#include <gcx.h>
#include <thread>
#include <vector>

namespace
{

struct holder {
  void *object = nullptr;
  ~holder()
  {
    gcx_collect();
    gcx_dispose(object);
  }
};

thread_local holder held;

} // namespace

extern "C" void threads_run(int n, void *(*make)(void *arg),
                            void (*fn)(void *arg), void *arg)
{
  std::vector<std::thread> threads;

  for (int i = 0; i < n; i++)
    threads.emplace_back([=] {
      held.object = make(arg);
      fn(arg);
    });
  for (std::thread &t : threads)
    t.join();
}
