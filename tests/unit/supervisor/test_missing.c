#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "supervisor/missing.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct path_list files;
static struct words compiler;
static char here[4096];

static int set_up(void **state)
{
    return folder_set_up(state) || !getcwd(here, sizeof(here)) || chdir(folder()) ? -1 : 0;
}

static int tear_down(void **state)
{
    path_list_release(&files);
    words_release(&compiler);
    return chdir(here) || folder_tear_down(state) ? -1 : 0;
}

/* The compiler lists these two; the first is there. */
static void lists(const char *source, const char *header)
{
    write_file(source, "");
    assert_int_equal(path_list_add(&files, source, strlen(source)), 0);
    assert_int_equal(path_list_add(&files, header, strlen(header)), 0);
}

static void assert_files(size_t count, const char *const *wanted)
{
    assert_int_equal(missing_places(&compiler, &files), 0);
    assert_int_equal(files.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(files.items[i], wanted[i]);
    }
}

static void test_missing__what_is_there_stays(void **state)
{
    (void)state;
    lists("app.c", "text.h");
    write_file("text.h", "");
    assert_files(2, (const char *[]){ "app.c", "text.h" });
}

static void test_missing__a_header_is_looked_for_beside_the_source(void **state)
{
    (void)state;
    make_folder("src");
    lists("src/app.c", "text.h");
    assert_files(2, (const char *[]){ "src/app.c", "src/text.h" });
}

static void test_missing__a_header_beside_a_source_of_this_folder_has_its_plain_name(void **state)
{
    (void)state;
    lists("app.c", "sub/text.h");
    assert_files(2, (const char *[]){ "app.c", "sub/text.h" });
}

static void test_missing__a_header_is_looked_for_in_the_folders_of_the_command(void **state)
{
    (void)state;
    words_split(&compiler, "cc -g -Ione -I two -isystem three -iquote/four -DINC -I");
    lists("app.c", "text.h");
    assert_files(6, (const char *[]){ "app.c", "text.h", "one/text.h", "two/text.h", "three/text.h", "/four/text.h" });
}

static void test_missing__an_absolute_name_stays(void **state)
{
    (void)state;
    lists("app.c", "/nowhere/text.h");
    assert_files(2, (const char *[]){ "app.c", "/nowhere/text.h" });
}

static void test_missing__each_place_is_named_once(void **state)
{
    (void)state;
    words_split(&compiler, "cc -Iinc -Iinc");
    lists("app.c", "text.h");
    assert_int_equal(path_list_add(&files, "text.h", 6), 0);
    assert_files(3, (const char *[]){ "app.c", "text.h", "inc/text.h" });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_missing__what_is_there_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing__a_header_is_looked_for_beside_the_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing__a_header_beside_a_source_of_this_folder_has_its_plain_name,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing__a_header_is_looked_for_in_the_folders_of_the_command, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_missing__an_absolute_name_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing__each_place_is_named_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
