/* `casgi check`: what it prints, and with what it ends. */
#include "files.h"

#include "module/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct outcome {
    int code;
    char out[4096];
    char err[4096];
};

static int redirect(int to, FILE *file)
{
    int kept = dup(to);
    assert_true(kept >= 0 && dup2(fileno(file), to) >= 0);
    return kept;
}

static void restore(int to, int kept)
{
    assert_true(dup2(kept, to) >= 0);
    (void)close(kept);
}

static void read_back(FILE *file, char *text, size_t capacity)
{
    rewind(file);
    text[fread(text, 1, capacity - 1, file)] = '\0';
    (void)fclose(file);
}

static struct outcome check_with(const char *spec, int argc, char **argv)
{
    static struct outcome outcome;
    FILE *out = tmpfile(), *err = tmpfile();
    assert_true(out && err);
    (void)fflush(NULL);
    int kept_out = redirect(STDOUT_FILENO, out), kept_err = redirect(STDERR_FILENO, err);
    outcome.code = check_run(spec, argc, argv);
    (void)fflush(NULL);
    restore(STDOUT_FILENO, kept_out);
    restore(STDERR_FILENO, kept_err);
    read_back(out, outcome.out, sizeof(outcome.out));
    read_back(err, outcome.err, sizeof(outcome.err));
    return outcome;
}

static struct outcome check(const char *spec)
{
    return check_with(spec, 0, NULL);
}

static void test_check__prints_what_a_module_is(void **state)
{
    (void)state;
    struct outcome outcome = check(GOOD);
    assert_string_equal(outcome.err, "");
    assert_int_equal(outcome.code, 0);
    assert_contains(outcome.out, "name: good\nversion: 1.2\nABI: 1.0\n");
    assert_contains(outcome.out, "application: app (http)\n");
    assert_contains(outcome.out, "application: noted (http lifespan) - notes when it is made and ended\n");
    assert_contains(outcome.out, "needs interfaces: none\n");
    assert_contains(outcome.out, "needs libraries: ");
    assert_contains(outcome.out, "libc.so.6");
}

static void test_check__a_failure_is_a_sentence_and_a_4(void **state)
{
    (void)state;
    struct outcome outcome = check("fixtures/module/unresolved.so");
    assert_int_equal(outcome.code, 4);
    assert_string_equal(outcome.out, "");
    assert_contains(outcome.err, "casgi: fixtures/module/unresolved.so uses brew_tea");
}

static void test_check__a_file_that_is_not_there(void **state)
{
    (void)state;
    struct outcome outcome = check("absent.so");
    assert_int_equal(outcome.code, 4);
    assert_contains(outcome.err, "absent.so: there is no such file");
}

static void test_check__a_crash_while_loading_is_told_as_such(void **state)
{
    (void)state;
    struct outcome outcome = check("fixtures/module/crashes.so");
    assert_int_equal(outcome.code, 4);
    assert_contains(outcome.err, "crashes.so crashes while it is loaded, in one of its constructors: SIGSEGV");
}

static void test_check__an_exit_while_loading_is_no_success(void **state)
{
    (void)state;
    struct outcome outcome = check("fixtures/module/exits.so");
    assert_int_equal(outcome.code, 4);
    assert_contains(outcome.err, "ends the process while it is loaded, with exit code 0");
}

static void test_check__other_exports_are_warned_of(void **state)
{
    (void)state;
    struct outcome outcome = check("fixtures/module/exports.so");
    assert_int_equal(outcome.code, 0);
    assert_contains(outcome.out, "other symbol");
    assert_contains(outcome.out, "boil_water");
    assert_contains(outcome.out, "-fvisibility=hidden");
}

static void test_check__a_clash_with_a_loaded_library_is_warned_of(void **state)
{
    (void)state;
    struct outcome outcome = check("fixtures/module/exports.so");
    assert_contains(outcome.out, "warning: l64a is also defined by ");
    assert_contains(outcome.out, "-Wl,-Bsymbolic");
}

static void test_check__a_source_file_is_not_checked(void **state)
{
    (void)state;
    struct outcome outcome = check("hello.c");
    assert_int_equal(outcome.code, 4);
    assert_contains(outcome.err, "hello.c is a source file; check takes a built module: build it to a .so first");
}

static void test_check__an_application_it_has_is_found(void **state)
{
    (void)state;
    char journal[16] = "", where[32], name[] = "noted", letter[] = "x";
    (void)snprintf(where, sizeof(where), "%p", (void *)journal);
    struct outcome outcome = check_with(GOOD ":noted", 3, (char *[]){ name, where, letter });
    assert_string_equal(outcome.err, "");
    assert_int_equal(outcome.code, 0);
    assert_contains(outcome.out, "application: noted (");
}

static void test_check__what_create_says_is_told_behind_what_the_module_is(void **state)
{
    (void)state;
    char name[] = "noted", fail[] = "fail";
    struct outcome outcome = check_with(GOOD ":noted", 2, (char *[]){ name, fail });
    assert_int_equal(outcome.code, 4);
    assert_contains(outcome.out, "name: good\n");
    assert_contains(outcome.err, "the application noted could not be made: the teapot is empty");
}

static void test_check__of_several_none_is_made_unless_chosen(void **state)
{
    (void)state;
    assert_int_equal(check("fixtures/module/several.so").code, 0);
}

static void test_check__an_application_it_lacks_is_a_sentence_and_a_4(void **state)
{
    (void)state;
    struct outcome outcome = check(GOOD ":absent");
    assert_int_equal(outcome.code, 4);
    assert_string_equal(outcome.out, "");
    assert_contains(outcome.err, "has no application called absent; it has: app");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check__prints_what_a_module_is),
        cmocka_unit_test(test_check__a_failure_is_a_sentence_and_a_4),
        cmocka_unit_test(test_check__a_file_that_is_not_there),
        cmocka_unit_test(test_check__a_crash_while_loading_is_told_as_such),
        cmocka_unit_test(test_check__an_exit_while_loading_is_no_success),
        cmocka_unit_test(test_check__other_exports_are_warned_of),
        cmocka_unit_test(test_check__a_clash_with_a_loaded_library_is_warned_of),
        cmocka_unit_test(test_check__a_source_file_is_not_checked),
        cmocka_unit_test(test_check__an_application_it_has_is_found),
        cmocka_unit_test(test_check__what_create_says_is_told_behind_what_the_module_is),
        cmocka_unit_test(test_check__of_several_none_is_made_unless_chosen),
        cmocka_unit_test(test_check__an_application_it_lacks_is_a_sentence_and_a_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
