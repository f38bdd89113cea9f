/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - programs that hand their allocator to a library, as docs/adopting.md
 * says: HOOK_LINE is what stands there, HOOK_name says for which. Built with
 * -include gcx/malloc.h and run by tests/check_hooks. Each loses what the library
 * allocated for it; gcx is to name the line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

#if defined(HOOK_SQLite)
#include <malloc.h>
#include <sqlite3.h>

static void *x_malloc(int bytes)
{
  return malloc((size_t)bytes);
}

static void *x_realloc(void *p, int bytes)
{
  return realloc(p, (size_t)bytes);
}

static int x_size(void *p)
{
  return (int)malloc_usable_size(p);
}

static int x_roundup(int bytes)
{
  return (bytes + 7) & ~7;
}

static int x_init(void *unused)
{
  (void)unused;
  return SQLITE_OK;
}

static const sqlite3_mem_methods methods = { x_malloc, free,      x_realloc,
                                             x_size,   x_roundup, x_init,
                                             NULL,     NULL };

static int hook(void)
{
  sqlite3 *db;

  return HOOK_LINE == SQLITE_OK && sqlite3_open(":memory:", &db) == SQLITE_OK &&
         sqlite3_exec(db, "create table t(a); insert into t values (1)", NULL,
                      NULL, NULL) == SQLITE_OK &&
         sqlite3_close(db) == SQLITE_OK;
}

static NOINLINE void *lose(void)
{
  return sqlite3_mprintf("%d", 5); /* LOST */
}

#elif defined(HOOK_libcurl)
#include <curl/curl.h>

static int hook(void)
{
  return HOOK_LINE == CURLE_OK;
}

static NOINLINE void *lose(void)
{
  return curl_slist_append(NULL, "X-A: b"); /* LOST */
}

#elif defined(HOOK_cJSON)
#include <cjson/cJSON.h>

static int hook(void)
{
  HOOK_LINE;
  cJSON_Delete(cJSON_Parse("{\"a\":[1,2]}"));
  return 1;
}

static NOINLINE void *lose(void)
{
  return cJSON_CreateObject(); /* LOST */
}

#elif defined(HOOK_jansson)
#include <jansson.h>

static int hook(void)
{
  HOOK_LINE;
  json_decref(json_loads("[1, 2]", 0, NULL));
  return 1;
}

static NOINLINE void *lose(void)
{
  return json_object(); /* LOST */
}

#elif defined(HOOK_expat)
#include <expat.h>

static int hook(void)
{
  XML_Parser p = HOOK_LINE;
  int result = XML_Parse(p, "<a b='c'/>", 10, 1) == XML_STATUS_OK;

  XML_ParserFree(p);
  return result;
}

static NOINLINE void *lose(void)
{
  return HOOK_LINE; /* LOST */
}

#elif defined(HOOK_libxml2)
#include <libxml/parser.h>
#include <libxml/xmlmemory.h>

static int hook(void)
{
  if (HOOK_LINE != 0)
    return 0;
  xmlFreeDoc(xmlParseMemory("<a b='c'/>", 10));
  return 1;
}

static NOINLINE void *lose(void)
{
  return xmlNewDoc(BAD_CAST "1.0"); /* LOST */
}

#elif defined(HOOK_zlib)
#include <zlib.h>

static void *own_zalloc(void *unused, unsigned items, unsigned size)
{
  (void)unused;
  return calloc(items, size);
}

static void own_zfree(void *unused, void *p)
{
  (void)unused;
  free(p);
}

static int hook(void)
{
  HOOK_LINE;

  return deflateInit(&z, 6) == Z_OK && deflateEnd(&z) == Z_OK;
}

static NOINLINE void *lose(void)
{
  HOOK_LINE;

  return deflateInit(&z, 6) == Z_OK ? z.state : NULL; /* LOST */
}

#elif defined(HOOK_Lua)
#include <lauxlib.h>

static void *own_alloc(void *unused, void *p, size_t osize, size_t nsize)
{
  (void)unused;
  (void)osize;
  return HOOK_SECOND;
}

static int hook(void)
{
  lua_State *l = HOOK_LINE;
  int result = luaL_dostring(l, "local t = {} for i = 1, 100 do t[i] = i end");

  lua_close(l);
  return result == LUA_OK;
}

static NOINLINE void *lose(void)
{
  return HOOK_LINE; /* LOST */
}

#elif defined(HOOK_PCRE2)
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static void *own_malloc(size_t bytes, void *unused)
{
  (void)unused;
  return malloc(bytes);
}

static void own_free(void *p, void *unused)
{
  (void)unused;
  free(p);
}

static int hook(void)
{
  pcre2_general_context *c = HOOK_LINE;

  pcre2_general_context_free(c);
  return c != NULL;
}

static NOINLINE void *lose(void)
{
  return HOOK_LINE; /* LOST */
}

#elif defined(HOOK_OpenSSL)
#include <openssl/bn.h>
#include <openssl/crypto.h>

static void *own_malloc(size_t bytes, const char *file, int line)
{
  (void)file;
  (void)line;
  return malloc(bytes);
}

static void *own_realloc(void *p, size_t bytes, const char *file, int line)
{
  (void)file;
  (void)line;
  return realloc(p, bytes);
}

static void own_free(void *p, const char *file, int line)
{
  (void)file;
  (void)line;
  free(p);
}

static int hook(void)
{
  if (HOOK_LINE != 1)
    return 0;
  BN_free(BN_new());
  return 1;
}

static NOINLINE void *lose(void)
{
  return BN_new(); /* LOST */
}

#endif

static NOINLINE void lose_many(void)
{
  for (int i = 0; i < 20; i++) {
    void *p = lose();

    if (p == NULL)
      puts("nothing to lose");
    __asm__ volatile("" : : "r"(p) : "memory");
  }
}

int main(void)
{
  if (!hook())
    puts("the line failed");
  lose_many();
  return 0;
}
