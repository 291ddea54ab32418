#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "supervisor/artifact.h"
#include "supervisor/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static casgi_error_t error;

static struct artifact *copy(const char *path, unsigned generation)
{
    struct artifact *artifact = NULL;
    assert_int_equal(artifact_copy(path, generation, NULL, &artifact, &error), 0);
    return artifact;
}

static void assert_holds(const char *path, const char *text)
{
    char *found;
    size_t size;
    assert_int_equal(disk_read(path, 1024, &found, &size), 0);
    assert_string_equal(found, text);
    free(found);
}

static void test_artifact__a_copy_is_a_hidden_file_beside_the_original(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "code");
    struct artifact *artifact = copy(in_folder("app.so"), 7);
    assert_string_equal(artifact->path, in_folder(".app.so.7"));
    assert_holds(artifact->path, "code");
    artifact_unref(artifact);
}

static void test_artifact__a_copy_does_not_follow_the_original(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "old");
    struct artifact *artifact = copy(in_folder("app.so"), 1);
    write_file(in_folder("app.so"), "new");
    assert_holds(artifact->path, "old");
    artifact_unref(artifact);
}

static void test_artifact__a_copy_goes_with_its_last_holder(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "code");
    struct artifact *artifact = artifact_ref(copy(in_folder("app.so"), 1));
    artifact_unref(artifact);
    assert_int_equal(access(in_folder(".app.so.1"), F_OK), 0);
    artifact_unref(artifact);
    assert_int_equal(access(in_folder(".app.so.1"), F_OK), -1);
}

/* Two servers may serve the same file. */
static void test_artifact__a_generation_in_use_is_passed_over(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "code");
    struct artifact *first = copy(in_folder("app.so"), 1), *second = copy(in_folder("app.so"), 1);
    assert_string_equal(first->path, in_folder(".app.so.1"));
    assert_string_equal(second->path, in_folder(".app.so.2"));
    artifact_unref(first);
    artifact_unref(second);
}

static void test_artifact__abandoned_copies_are_removed(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "code");
    write_file(in_folder(".app.so.3"), "left behind");
    write_file(in_folder(".app.so.x"), "no copy");
    write_file(in_folder(".other.so.3"), "another's");
    struct artifact *artifact = copy(in_folder("app.so"), 8);
    assert_int_equal(access(in_folder(".app.so.3"), F_OK), -1);
    assert_int_equal(access(in_folder(".app.so.x"), F_OK), 0);
    assert_int_equal(access(in_folder(".other.so.3"), F_OK), 0);
    artifact_unref(artifact);
}

static void test_artifact__where_nothing_can_be_written_the_cache_is_used(void **state)
{
    struct artifact *artifact;
    (void)state;
    if (geteuid() == 0) {
        skip(); /* root writes everywhere */
    }
    make_folder(in_folder("app"));
    make_folder(in_folder("cache"));
    write_file(in_folder("app/app.so"), "code");
    assert_int_equal(chmod(in_folder("app"), 0500), 0);
    assert_int_equal(artifact_copy(in_folder("app/app.so"), 1, in_folder("cache"), &artifact, &error), 0);
    assert_string_equal(artifact->path, in_folder("cache/.app.so.1"));
    artifact_unref(artifact);
    assert_int_equal(chmod(in_folder("app"), 0700), 0);
}

static void test_artifact__a_missing_file_is_said_by_name(void **state)
{
    struct artifact *artifact;
    (void)state;
    assert_int_equal(artifact_copy(in_folder("app.so"), 1, NULL, &artifact, &error), CASGI_ENOENT);
    assert_non_null(strstr(error.message, "app.so"));
}

static void test_artifact__a_folder_is_no_module(void **state)
{
    struct artifact *artifact;
    (void)state;
    make_folder(in_folder("app.so"));
    assert_int_equal(artifact_copy(in_folder("app.so"), 1, NULL, &artifact, &error), CASGI_ESYSTEM(EISDIR));
}

static void test_artifact__what_is_held_is_not_abandoned(void **state)
{
    struct artifact *artifact;
    (void)state;
    write_file(in_folder("x.so"), "code");
    assert_int_equal(artifact_hold(in_folder("x.so"), false, &artifact), 0);
    assert_false(artifact_remove_abandoned(in_folder("x.so")));
    artifact_unref(artifact);
    assert_int_equal(access(in_folder("x.so"), F_OK), 0);
    assert_true(artifact_remove_abandoned(in_folder("x.so")));
    assert_int_equal(access(in_folder("x.so"), F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_artifact__a_copy_is_a_hidden_file_beside_the_original),
        TEST(test_artifact__a_copy_does_not_follow_the_original),
        TEST(test_artifact__a_copy_goes_with_its_last_holder),
        TEST(test_artifact__a_generation_in_use_is_passed_over),
        TEST(test_artifact__abandoned_copies_are_removed),
        TEST(test_artifact__where_nothing_can_be_written_the_cache_is_used),
        TEST(test_artifact__a_missing_file_is_said_by_name),
        TEST(test_artifact__a_folder_is_no_module),
        TEST(test_artifact__what_is_held_is_not_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
