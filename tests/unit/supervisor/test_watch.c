#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "folder.h"
#include "supervisor/depfile.h"
#include "supervisor/pattern.h"
#include "supervisor/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 30000 };

static struct pattern_set patterns;
static struct watch *watch;
static casgi_error_t error;

static int set_up(void **state)
{
    const struct config_list none = { NULL, 0 };
    if (folder_set_up(state) || pattern_set_init(&patterns, &none, &none)) {
        return -1;
    }
    return watch_new(&patterns, &watch, &error);
}

static int tear_down(void **state)
{
    watch_free(watch);
    pattern_set_release(&patterns);
    return folder_tear_down(state);
}

static void watch_one(const char *path)
{
    struct path_list files = { 0 };
    assert_int_equal(path_list_add(&files, path, strlen(path)), 0);
    assert_int_equal(watch_set_files(watch, &files), 0);
    path_list_release(&files);
}

/* What has happened so far: the kernel has queued it before the calls that caused it returned. */
static enum watch_result happened(const char **out_path)
{
    return watch_read(watch, out_path);
}

static void expect_nothing(void)
{
    const char *path;
    assert_int_equal(happened(&path), WATCH_NOTHING);
    assert_null(path);
}

static void expect_saved(const char *wanted)
{
    const char *path = NULL;
    enum watch_result result = happened(&path);
    assert_int_equal(result, WATCH_SAVED);
    assert_string_equal(path, wanted);
}

/* Folders that come and go are learnt of in several steps. */
static void expect_saved_soon(const char *wanted)
{
    const char *path = NULL;
    enum watch_result result = happened(&path);
    while (result != WATCH_SAVED) {
        struct pollfd poll_fd = { .fd = watch_fd(watch), .events = POLLIN };
        assert_int_equal(poll(&poll_fd, 1, PATIENCE), 1);
        result = happened(&path);
    }
    assert_string_equal(path, wanted);
}

/* ---- single files ---- */

static void test_watch__a_write_in_place_is_a_save_when_it_is_closed(void **state)
{
    const char *path;
    (void)state;
    write_file(in_folder("app.so"), "1");
    watch_one(in_folder("app.so"));
    int fd = open(in_folder("app.so"), O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "2", 1), 1);
    assert_int_equal(happened(&path), WATCH_WRITING);
    close(fd);
    expect_saved(in_folder("app.so"));
}

static void test_watch__a_rename_over_it_is_a_save(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "1");
    watch_one(in_folder("app.so"));
    replace_file(in_folder("app.so"), "2");
    expect_saved(in_folder("app.so"));
    replace_file(in_folder("app.so"), "3");
    expect_saved(in_folder("app.so"));
}

static void test_watch__a_new_hard_link_is_a_save(void **state)
{
    (void)state;
    write_file(in_folder("other"), "1");
    watch_one(in_folder("app.so"));
    assert_int_equal(link(in_folder("other"), in_folder("app.so")), 0);
    expect_saved(in_folder("app.so"));
}

static void test_watch__neighbours_do_not_matter(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "1");
    watch_one(in_folder("app.so"));
    write_file(in_folder("app.so.bak"), "x");
    write_file(in_folder(".app.so.1"), "x");
    write_file(in_folder("app.c"), "x");
    expect_nothing();
}

static void test_watch__reading_and_deleting_are_no_saves(void **state)
{
    (void)state;
    write_file(in_folder("app.so"), "1");
    watch_one(in_folder("app.so"));
    close(open(in_folder("app.so"), O_RDONLY | O_CLOEXEC));
    unlink(in_folder("app.so"));
    expect_nothing();
}

static void test_watch__a_file_that_is_missing_is_waited_for(void **state)
{
    (void)state;
    watch_one(in_folder("app.so"));
    write_file(in_folder("app.so"), "1");
    expect_saved(in_folder("app.so"));
}

static void test_watch__a_folder_that_is_missing_is_waited_for(void **state)
{
    (void)state;
    watch_one(in_folder("build/deep/app.so"));
    make_folder(in_folder("build"));
    expect_nothing();
    make_folder(in_folder("build/deep"));
    expect_nothing();
    write_file(in_folder("build/deep/app.so"), "1");
    expect_saved(in_folder("build/deep/app.so"));
}

static void test_watch__a_folder_that_comes_with_the_file_in_it_is_a_save(void **state)
{
    (void)state;
    make_folder(in_folder("stage"));
    write_file(in_folder("stage/app.so"), "1");
    watch_one(in_folder("build/app.so"));
    assert_int_equal(rename(in_folder("stage"), in_folder("build")), 0);
    expect_saved_soon(in_folder("build/app.so"));
}

static void test_watch__a_folder_made_anew_is_watched_again(void **state)
{
    (void)state;
    make_folder(in_folder("build"));
    write_file(in_folder("build/app.so"), "1");
    watch_one(in_folder("build/app.so"));
    remove_all(in_folder("build"));
    make_folder(in_folder("build"));
    expect_nothing();
    write_file(in_folder("build/app.so"), "2");
    expect_saved_soon(in_folder("build/app.so"));
}

/* As long as a file of it is open somewhere, the folder's own watch says nothing of its end. */
static void test_watch__a_folder_made_anew_is_watched_again_though_the_old_one_is_held(void **state)
{
    (void)state;
    make_folder(in_folder("build"));
    write_file(in_folder("build/app.so"), "1");
    watch_one(in_folder("build/app.so"));
    int held = open(in_folder("build/app.so"), O_RDONLY | O_CLOEXEC);
    remove_all(in_folder("build"));
    make_folder(in_folder("build"));
    write_file(in_folder("build/app.so"), "2");
    expect_saved_soon(in_folder("build/app.so"));
    write_file(in_folder("build/app.so"), "3");
    expect_saved_soon(in_folder("build/app.so"));
    close(held);
}

static void test_watch__a_link_set_anew_is_a_save(void **state)
{
    (void)state;
    make_folder(in_folder("1"));
    make_folder(in_folder("2"));
    write_file(in_folder("1/app.so"), "1");
    write_file(in_folder("2/app.so"), "2");
    assert_int_equal(symlink("1", in_folder("current")), 0);
    watch_one(in_folder("current/app.so"));
    assert_int_equal(symlink("2", in_folder("next")), 0);
    assert_int_equal(rename(in_folder("next"), in_folder("current")), 0);
    expect_saved(in_folder("current/app.so"));
    write_file(in_folder("1/app.so"), "x");
    expect_nothing();
    write_file(in_folder("2/app.so"), "x");
    expect_saved(in_folder("current/app.so"));
}

static void test_watch__links_in_a_circle_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(symlink("b", in_folder("a")), 0);
    assert_int_equal(symlink("a", in_folder("b")), 0);
    watch_one(in_folder("a/app.so"));
    expect_nothing();
}

static void test_watch__new_files_replace_those_before(void **state)
{
    (void)state;
    write_file(in_folder("old.h"), "1");
    write_file(in_folder("new.h"), "1");
    watch_one(in_folder("old.h"));
    watch_one(in_folder("new.h"));
    write_file(in_folder("old.h"), "2");
    expect_nothing();
    write_file(in_folder("new.h"), "2");
    expect_saved(in_folder("new.h"));
}

static void test_watch__relative_paths_are_below_the_current_folder(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(folder()), 0);
    watch_one("app.so");
    assert_int_equal(chdir(before), 0);
    free(before);
    write_file(in_folder("app.so"), "1");
    expect_saved(in_folder("app.so"));
}

/* ---- trees ---- */

static void watch_tree(const char *path)
{
    assert_int_equal(watch_add_tree(watch, path, &error), 0);
}

static void test_watch__a_tree_is_watched_to_its_leaves(void **state)
{
    (void)state;
    make_folder(in_folder("src"));
    make_folder(in_folder("src/deep"));
    watch_tree(in_folder("src"));
    write_file(in_folder("src/deep/a.c"), "1");
    expect_saved(in_folder("src/deep/a.c"));
}

static void test_watch__patterns_hold_in_a_tree(void **state)
{
    (void)state;
    make_folder(in_folder("src"));
    make_folder(in_folder("src/.git"));
    watch_tree(in_folder("src"));
    write_file(in_folder("src/a.txt"), "1");
    write_file(in_folder("src/.a.c"), "1");
    write_file(in_folder("src/.git/a.c"), "1");
    expect_nothing();
}

static void test_watch__a_folder_made_later_is_watched(void **state)
{
    (void)state;
    make_folder(in_folder("src"));
    watch_tree(in_folder("src"));
    make_folder(in_folder("src/later"));
    expect_nothing();
    write_file(in_folder("src/later/a.c"), "1");
    expect_saved(in_folder("src/later/a.c"));
}

static void test_watch__files_that_come_with_a_folder_are_saved(void **state)
{
    (void)state;
    make_folder(in_folder("src"));
    make_folder(in_folder("other"));
    write_file(in_folder("other/a.c"), "1");
    watch_tree(in_folder("src"));
    assert_int_equal(rename(in_folder("other"), in_folder("src/other")), 0);
    expect_saved(in_folder("src/other/a.c"));
}

static void test_watch__a_folder_moved_within_the_tree_stays_watched(void **state)
{
    const char *path;
    (void)state;
    make_folder(in_folder("src"));
    make_folder(in_folder("src/a"));
    make_folder(in_folder("src/a/in"));
    watch_tree(in_folder("src"));
    assert_int_equal(rename(in_folder("src/a"), in_folder("src/b")), 0);
    (void)happened(&path);
    write_file(in_folder("src/b/x.c"), "1");
    expect_saved(in_folder("src/b/x.c"));
    write_file(in_folder("src/b/in/y.c"), "1");
    expect_saved(in_folder("src/b/in/y.c"));
}

static void test_watch__a_tree_made_anew_is_watched_again(void **state)
{
    (void)state;
    make_folder(in_folder("src"));
    watch_tree(in_folder("src"));
    remove_all(in_folder("src"));
    expect_nothing();
    make_folder(in_folder("src"));
    expect_nothing();
    write_file(in_folder("src/a.c"), "1");
    expect_saved_soon(in_folder("src/a.c"));
}

static void test_watch__a_tree_that_is_no_folder_is_refused(void **state)
{
    (void)state;
    assert_int_equal(watch_add_tree(watch, in_folder("nowhere"), &error), CASGI_ENOENT);
    assert_non_null(strstr(error.message, "--reload-dir"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_watch__a_write_in_place_is_a_save_when_it_is_closed),
        TEST(test_watch__a_rename_over_it_is_a_save),
        TEST(test_watch__a_new_hard_link_is_a_save),
        TEST(test_watch__neighbours_do_not_matter),
        TEST(test_watch__reading_and_deleting_are_no_saves),
        TEST(test_watch__a_file_that_is_missing_is_waited_for),
        TEST(test_watch__a_folder_that_is_missing_is_waited_for),
        TEST(test_watch__a_folder_that_comes_with_the_file_in_it_is_a_save),
        TEST(test_watch__a_folder_made_anew_is_watched_again),
        TEST(test_watch__a_folder_made_anew_is_watched_again_though_the_old_one_is_held),
        TEST(test_watch__a_link_set_anew_is_a_save),
        TEST(test_watch__links_in_a_circle_do_no_harm),
        TEST(test_watch__new_files_replace_those_before),
        TEST(test_watch__relative_paths_are_below_the_current_folder),
        TEST(test_watch__a_tree_is_watched_to_its_leaves),
        TEST(test_watch__patterns_hold_in_a_tree),
        TEST(test_watch__a_folder_made_later_is_watched),
        TEST(test_watch__files_that_come_with_a_folder_are_saved),
        TEST(test_watch__a_folder_moved_within_the_tree_stays_watched),
        TEST(test_watch__a_tree_made_anew_is_watched_again),
        TEST(test_watch__a_tree_that_is_no_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
