/* SPDX-License-Identifier: MIT */
/*
 * check_modules.c - executable and libraries, past and present
 */
#include "modules.h"

#include <link.h>
#include <pthread.h>
#include <string.h>

#include "platform.h"
#include "support/check_main.h"
#include "support/plugin.h"

#define THREADS 4
#define ROUNDS 200

static const struct gcx__module *module_of(const void *code)
{
  return gcx__modules_find((uintptr_t)code, gcx__modules_epoch());
}

START_TEST(executable_and_libc_are_there)
  {
    const struct gcx__module *self, *libc;
    uint32_t epoch = gcx__modules_epoch();

    gcx__modules_init();
    ck_assert_uint_eq(gcx__modules_epoch(), epoch);
    self = gcx__modules_at(0);
    ck_assert(self->is_main);
    ck_assert_str_eq(self->path, gcx__exe_path());
    /* a sanitizer brings functions of the same names */
    libc = module_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
    ck_assert_ptr_nonnull(libc);
    ck_assert(!libc->is_main && libc->path[0] == '/');
    ck_assert_ptr_nonnull(strstr(libc->path, "/libc"));
    ck_assert_uint_gt(libc->build_id_bytes, 0);
    ck_assert_uint_gt(libc->tls_module, 0);
    ck_assert_uint_gt(libc->tls_bytes, 0);
    ck_assert_ptr_null(gcx__modules_find(1, epoch));
    for (size_t i = 0; gcx__modules_at(i) != NULL; i++) {
      ck_assert_ptr_null(strstr(gcx__modules_at(i)->path, "vdso"));
      ck_assert(gcx__modules_at(i)->low < gcx__modules_at(i)->high);
    }
  }
END_TEST

START_TEST(a_library_comes_and_goes)
  {
    struct gcx__module before;
    const struct gcx__module *m;
    struct plugin p;
    uint32_t epoch;
    uintptr_t code;

    gcx__modules_init();
    epoch = gcx__modules_epoch();
    p = plugin_open("small");
    code = (uintptr_t)dlsym(p.handle, "plugin_call");
    ck_assert_ptr_null(gcx__modules_find(code, epoch));
    ck_assert(!gcx__modules_refresh()); /* something came, nothing went */
    m = gcx__modules_find(code, epoch);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_gt(m->tls_module, 0);
    ck_assert_uint_ge(m->tls_bytes, sizeof(int));
    before = *m;
    dlclose(p.handle);
    ck_assert(gcx__modules_refresh());
    ck_assert(!gcx__modules_refresh());
    ck_assert_uint_eq(gcx__modules_epoch(), epoch + 1);
    ck_assert_ptr_null(gcx__modules_find(code, epoch + 1));
    ck_assert_ptr_eq(gcx__modules_find(code, epoch), m);
    ck_assert_str_eq(m->path, before.path);
    ck_assert_uint_eq(m->last_epoch, epoch + 1);
  }
END_TEST

static void count_module(const struct gcx__module *m, void *arg)
{
  size_t *n = arg;

  ck_assert_ptr_nonnull(strstr(m->path, "plugin_"));
  (*n)++;
}

START_TEST(the_unloaded_can_be_told)
  {
    uint32_t epoch;
    size_t n = 0;
    struct plugin a, b;

    gcx__modules_init();
    epoch = gcx__modules_epoch();
    a = plugin_open("small");
    b = plugin_open("large");
    ck_assert(!gcx__modules_refresh());
    dlclose(a.handle);
    dlclose(b.handle);
    ck_assert(gcx__modules_refresh());
    gcx__modules_unloaded(epoch, count_module, &n);
    ck_assert_uint_eq(n, 2);
    gcx__modules_unloaded(gcx__modules_epoch(), count_module, &n);
    ck_assert_uint_eq(n, 2);
  }
END_TEST

static int fill_paths(struct dl_phdr_info *info, size_t size, void *arg)
{
  size_t *n = arg;

  (void)size;
  *n += info->dlpi_name[0] == '/';
  return 0;
}

static void *churn(void *arg)
{
  const char *name = arg;

  for (size_t i = 0; i < ROUNDS; i++) {
    struct plugin p = plugin_open(name);

    (void)gcx__modules_refresh();
    if (gcx__modules_find((uintptr_t)__builtin_return_address(0),
                          gcx__modules_epoch()) == NULL) {
      return "lost a module";
    }
    dlclose(p.handle);
    (void)gcx__modules_refresh();
  }
  return NULL;
}

START_TEST(threads_refresh)
  {
    pthread_t threads[THREADS];
    size_t loaded = 0, live = 0;

    gcx__modules_init();
    for (size_t i = 0; i < THREADS; i++) {
      ck_assert_int_eq(pthread_create(&threads[i], NULL, churn,
                                      i % 2 == 0 ? "small" : "large"),
                       0);
    }
    for (size_t i = 0; i < THREADS; i++) {
      void *problem;

      pthread_join(threads[i], &problem);
      ck_assert_ptr_null(problem);
    }
    (void)gcx__modules_refresh();
    (void)dl_iterate_phdr(fill_paths, &loaded);
    for (size_t i = 1; gcx__modules_at(i) != NULL; i++) {
      live += gcx__modules_at(i)->last_epoch == UINT32_MAX;
    }
    ck_assert_uint_eq(live, loaded);
  }
END_TEST

static Suite *modules_suite(void)
{
  Suite *s = suite_create("modules");
  TCase *t = tcase_create("modules");

  gcx__platform_init();
  tcase_set_timeout(t, 60);
  tcase_add_test(t, executable_and_libc_are_there);
  tcase_add_test(t, a_library_comes_and_goes);
  tcase_add_test(t, the_unloaded_can_be_told);
  tcase_add_test(t, threads_refresh);
  suite_add_tcase(s, t);
  return s;
}

GCX_CHECK_MAIN(modules_suite);
