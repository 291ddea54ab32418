/* What the first argument means. */
#include "files.h"

#include "module/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_resolved(const char *spec, enum resolve_kind kind, const char *path, const char *app)
{
    struct resolved resolved;
    casgi_error_t error = { 0 };
    if (resolve_app(spec, &resolved, &error)) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(resolved.kind, kind);
    assert_string_equal(resolved.path, path);
    if (app) {
        assert_string_equal(resolved.app, app);
    } else {
        assert_null(resolved.app);
    }
    resolved_release(&resolved);
}

static void make_file(void **state, const char *name)
{
    struct image empty = { (char[]){ "" }, 0 };
    image_write(&empty, 0, path_in(state, name));
}

static int setup_ready_made(void **state)
{
    int rc = setup_folder(state);
    if (rc == 0) {
        make_file(state, "inspect.so");
        make_file(state, "mount.so");
        rc = setenv("CASGI_APP_PATH", *state, 1);
    }
    return rc;
}

static int teardown_ready_made(void **state)
{
    (void)unsetenv("CASGI_APP_PATH");
    return teardown_folder(state);
}

static void test_resolve__so_is_a_file(void **state)
{
    (void)state;
    assert_resolved("hello.so", RESOLVE_MODULE, "hello.so", NULL);
}

static void test_resolve__so_with_an_app(void **state)
{
    (void)state;
    assert_resolved("hello.so:admin", RESOLVE_MODULE, "hello.so", "admin");
}

static void test_resolve__sources_are_files(void **state)
{
    (void)state;
    assert_resolved("app.c", RESOLVE_C, "app.c", NULL);
    assert_resolved("app.cc", RESOLVE_CXX, "app.cc", NULL);
    assert_resolved("app.cpp:x", RESOLVE_CXX, "app.cpp", "x");
}

static void test_resolve__a_slash_makes_it_a_file(void **state)
{
    (void)state;
    assert_resolved("./inspect", RESOLVE_MODULE, "./inspect", NULL);
    assert_resolved("lib/app.1:x", RESOLVE_MODULE, "lib/app.1", "x");
}

static void test_resolve__a_colon_in_a_folder_is_no_app(void **state)
{
    (void)state;
    assert_resolved("a:b/hello.so", RESOLVE_MODULE, "a:b/hello.so", NULL);
}

static void test_resolve__a_colon_with_no_name_behind_it_is_asked_about(void **state)
{
    (void)state;
    struct resolved resolved;
    casgi_error_t error = { 0 };
    assert_int_equal(resolve_app("hello.so:", &resolved, &error), CASGI_EINVAL);
    assert_string_equal(error.message, "hello.so: names no application: write hello.so, or hello.so:NAME");
}

static void test_resolve__a_ready_made_app_is_found_in_the_path(void **state)
{
    char expected[512];
    (void)snprintf(expected, sizeof(expected), "%s/inspect.so", (const char *)*state);
    assert_resolved("inspect", RESOLVE_MODULE, expected, NULL);
    assert_resolved("inspect:app", RESOLVE_MODULE, expected, "app");
}

static void test_resolve__every_folder_of_the_path_is_searched(void **state)
{
    char path[512], expected[512];
    (void)snprintf(path, sizeof(path), "/nowhere::%s", (const char *)*state);
    (void)snprintf(expected, sizeof(expected), "%s/mount.so", (const char *)*state);
    assert_int_equal(setenv("CASGI_APP_PATH", path, 1), 0);
    assert_resolved("mount", RESOLVE_MODULE, expected, NULL);
}

static void assert_unknown(const char *spec, const char *part)
{
    struct resolved resolved;
    casgi_error_t error = { 0 };
    assert_int_equal(resolve_app(spec, &resolved, &error), CASGI_ENOENT);
    assert_contains(error.message, part);
}

static void test_resolve__a_slip_is_asked_about(void **state)
{
    (void)state;
    assert_unknown("inspct", "is called inspct; did you mean inspect?");
}

static void test_resolve__those_there_are_are_listed(void **state)
{
    (void)state;
    assert_unknown("teapot", "inspect, mount");
}

static void test_resolve__a_file_of_that_name_is_pointed_at(void **state)
{
    (void)state;
    assert_unknown("fixtures", "no ready-made application is called fixtures");
    struct image empty = { (char[]){ "" }, 0 };
    image_write(&empty, 0, "resolve-beside.so");
    assert_unknown("resolve-beside", "for the file here say ./resolve-beside.so");
    assert_int_equal(remove("resolve-beside.so"), 0);
}

#define READY_TEST(name) cmocka_unit_test_setup_teardown(name, setup_ready_made, teardown_ready_made)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve__so_is_a_file),
        cmocka_unit_test(test_resolve__so_with_an_app),
        cmocka_unit_test(test_resolve__sources_are_files),
        cmocka_unit_test(test_resolve__a_slash_makes_it_a_file),
        cmocka_unit_test(test_resolve__a_colon_in_a_folder_is_no_app),
        cmocka_unit_test(test_resolve__a_colon_with_no_name_behind_it_is_asked_about),
        READY_TEST(test_resolve__a_ready_made_app_is_found_in_the_path),
        READY_TEST(test_resolve__every_folder_of_the_path_is_searched),
        READY_TEST(test_resolve__a_slip_is_asked_about),
        READY_TEST(test_resolve__those_there_are_are_listed),
        READY_TEST(test_resolve__a_file_of_that_name_is_pointed_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
