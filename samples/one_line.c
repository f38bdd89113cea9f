/* SPDX-License-Identifier: MIT */
/*
 * one_line - a type of resource out of any open and close pair
 */
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <netdb.h>
#include <regex.h>
#include <stdio.h>

#include <gcx.h>

GCX_RESOURCE(pattern, regex_t, (const char *text),
             regcomp(it, text, REG_EXTENDED | REG_NOSUB) == 0, regfree(it));
GCX_RESOURCE(addresses, struct addrinfo *, (const char *host, const char *port),
             getaddrinfo(host, port, NULL, it) == 0, freeaddrinfo(*it));
GCX_RESOURCE(library, void *, (const char *path),
             (*it = dlopen(path, RTLD_LAZY)) != NULL, dlclose(*it));
GCX_RESOURCE(matches, glob_t, (const char *text), glob(text, 0, NULL, it) == 0,
             globfree(it));

__attribute__((noinline)) static void lose(void)
{
  if (pattern_open("^lost$") == NULL)
    (void)puts("none");
}

int main(void)
{
  gcx_auto struct pattern *p = pattern_open("^[a-z]+$");
  gcx_auto struct matches *m = matches_open("/etc/passw?");
  gcx_auto struct library *l = library_open("libm.so.6");
  gcx_auto struct addresses *a = addresses_open("127.0.0.1", "80");

  if (p == NULL || m == NULL || l == NULL || a == NULL)
    return 1;
  printf("word: %s\n",
         regexec(&p->value, "word", 0, NULL, 0) == 0 ? "yes" : "no");
  printf("found: %s\n", m->value.gl_pathv[0]);
  printf("cos: %s\n", dlsym(l->value, "cos") != NULL ? "yes" : "no");
  printf("an address: %s\n", a->value->ai_addr != NULL ? "yes" : "no");
  printf("a pattern that is none: %s\n",
         pattern_open("(") == NULL ? "no" : "yes");
  (void)fflush(stdout);
  for (volatile int i = 0; i < 10; i++) /* one call site */
    lose();
  gcx_check();
  return 0;
}
