/* Modules and the applications made from them. */
#include "files.h"

#include "module/host.h"
#include "module/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int close_all(void **state)
{
    (void)state;
    module_close_all();
    return 0;
}

static int close_all_and_folder(void **state)
{
    module_close_all();
    return teardown_folder(state);
}

static struct module *open_good(void)
{
    struct module *module = NULL;
    casgi_error_t error = { 0 };
    if (module_open(GOOD, NULL, &module, &error)) {
        fail_msg("%s", error.message);
    }
    return module;
}

static void assert_refused(const char *path, const char *part)
{
    struct module *module = NULL;
    casgi_error_t error = { 0 };
    assert_true(module_open(path, NULL, &module, &error) < 0);
    assert_null(module);
    assert_contains(error.message, path);
    assert_contains(error.message, part);
}

static void test_loader__a_module_says_what_it_is(void **state)
{
    (void)state;
    const casgi_module_t *record = module_record(open_good());
    assert_string_equal(record->name, "good");
    assert_string_equal(record->version, "1.2");
    assert_int_equal(record->abi_minor, CASGI_ABI_MINOR);
}

static void test_loader__imports_are_filled_before_create(void **state)
{
    (void)state;
    const casgi_imports_t *imports = module_record(open_good())->imports;
    assert_ptr_equal(imports->host, host_interface());
    assert_non_null(imports->tasks);
    assert_non_null(imports->log);
    assert_non_null(imports->modules);
}

static void test_loader__the_app_called_app_is_the_default(void **state)
{
    (void)state;
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    casgi_error_t error = { 0 };
    assert_int_equal(module_create(open_good(), NULL, 0, NULL, &app, &flags, &error), 0);
    assert_non_null(app->call);
    assert_int_equal(flags, CASGI_APP_HTTP);
}

static void test_loader__the_only_app_is_the_default(void **state)
{
    (void)state;
    struct module *module = NULL;
    casgi_error_t error = { 0 };
    assert_int_equal(module_open("fixtures/module/only.so", NULL, &module, &error), 0);
    assert_string_equal(module_find_app(module, NULL, &error)->name, "admin");
}

static void test_loader__several_apps_without_a_name_are_listed(void **state)
{
    (void)state;
    struct module *module = NULL;
    casgi_error_t error = { 0 };
    assert_int_equal(module_open("fixtures/module/several.so", NULL, &module, &error), 0);
    assert_null(module_find_app(module, NULL, &error));
    assert_contains(error.message, "has several applications");
    assert_contains(error.message, "it has: one, two");
}

static void test_loader__an_unknown_app_lists_those_there_are(void **state)
{
    (void)state;
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    casgi_error_t error = { 0 };
    assert_int_equal(module_create(open_good(), "teapot", 0, NULL, &app, &flags, &error), CASGI_ENOENT);
    assert_contains(error.message, "has no application called teapot; it has: app, noted");
}

static void test_loader__a_flag_of_the_future_is_refused(void **state)
{
    (void)state;
    struct module *module = NULL;
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    casgi_error_t error = { 0 };
    assert_int_equal(module_open("fixtures/module/several.so", NULL, &module, &error), 0);
    assert_int_equal(module_create(module, "two", 0, NULL, &app, &flags, &error), CASGI_EABI);
    assert_contains(error.message, "flags 0x4000");
}

static int create_noted(char **words, int count, casgi_error_t *error)
{
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    return module_create(open_good(), "noted", count, words, &app, &flags, error);
}

static void test_loader__create_failed_gives_its_message(void **state)
{
    (void)state;
    char *words[] = { (char[]){ "noted" }, (char[]){ "fail" }, NULL };
    casgi_error_t error = { 0 };
    assert_int_equal(create_noted(words, 2, &error), CASGI_EINVAL);
    assert_contains(error.message, "the application noted could not be made: the teapot is empty");
}

static void test_loader__create_failed_without_a_reason(void **state)
{
    (void)state;
    casgi_error_t error = { 0 };
    assert_int_equal(create_noted(NULL, 0, &error), CASGI_EFAILED);
    assert_contains(error.message, "gave no reason");
}

static void test_loader__apps_are_destroyed_last_made_first(void **state)
{
    (void)state;
    char journal[32] = "", address[32];
    (void)snprintf(address, sizeof(address), "%p", (void *)journal);
    char *first[] = { (char[]){ "noted" }, address, (char[]){ "a" }, NULL };
    char *second[] = { (char[]){ "noted" }, address, (char[]){ "b" }, NULL };
    casgi_error_t error = { 0 };
    assert_int_equal(create_noted(first, 3, &error), 0);
    assert_int_equal(create_noted(second, 3, &error), 0);
    module_close_all();
    assert_string_equal(journal, "+a+b-b-a");
}

static void test_loader__a_module_can_be_opened_again_after_closing(void **state)
{
    (void)state;
    (void)open_good();
    module_close_all();
    assert_string_equal(module_record(open_good())->name, "good");
}

static void test_loader__the_file_is_read_first(void **state)
{
    (void)state;
    assert_refused("no/such.so", "there is no such file");
}

static void test_loader__an_interface_we_lack_is_named(void **state)
{
    (void)state;
    assert_refused("fixtures/module/needs.so", "needs the interface casgi.teapots/7");
}

static void test_loader__an_unresolved_symbol_is_named(void **state)
{
    (void)state;
    assert_refused("fixtures/module/unresolved.so", "uses brew_tea, which neither it nor a library it links defines");
}

static void test_loader__a_call_that_no_header_has_is_named(void **state)
{
    (void)state;
    assert_refused("fixtures/module/misspelt.so", "uses casgi_nap, which neither it nor a library it links defines "
                                                  "(casgi's own calls are inline: is the name spelt right");
}

static void test_loader__a_missing_library_is_named(void **state)
{
    assert_refused(changed_module(state, "libc.so.6", "libq.so.6"), "needs the library libq.so.6");
}

static void test_loader__a_newer_library_is_named(void **state)
{
    assert_refused(changed_module(state, "GLIBC_2.", "GLIBC_9."), "needs GLIBC_9.");
}

static void test_loader__a_damaged_record(void **state)
{
    assert_refused(changed_module(state,
                                  "\n\x1a"
                                  "CASGI1",
                                  "\n\x1a"
                                  "CASGI2"),
                   "has a damaged casgi_module_1 record");
}

static void test_loader__messages_use_the_shown_name(void **state)
{
    (void)state;
    struct module *module = NULL;
    casgi_error_t error = { 0 };
    assert_true(module_open("fixtures/module/unresolved.so", "tea.so", &module, &error) < 0);
    assert_int_equal(strncmp(error.message, "tea.so uses brew_tea", 20), 0);
}

static void test_host__interfaces_are_found_by_name(void **state)
{
    (void)state;
    const casgi_host_t *host = host_interface();
    assert_non_null(host->get(host, "casgi.tasks/1"));
    assert_non_null(host->get(host, "casgi.log/1"));
    assert_non_null(host->get(host, "casgi.modules/1"));
    assert_null(host->get(host, "casgi.teapots/7"));
}

static void test_host__a_module_can_load_another(void **state)
{
    (void)state;
    const casgi_host_t *host = host_interface();
    const casgi_modules_1_t *modules = host->get(host, "casgi.modules/1");
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    casgi_error_t error = { 0 };
    assert_int_equal(modules->load("fixtures/module/only.so:admin", 0, NULL, &app, &flags, &error), 0);
    assert_non_null(app->call);
    assert_int_equal(flags, CASGI_APP_HTTP);
}

static void test_host__loading_another_passes_its_sentence_on(void **state)
{
    (void)state;
    const casgi_host_t *host = host_interface();
    const casgi_modules_1_t *modules = host->get(host, "casgi.modules/1");
    casgi_app_t *app = NULL;
    uint32_t flags = 0;
    casgi_error_t error = { 0 };
    assert_true(modules->load("fixtures/module/only.c", 0, NULL, &app, &flags, &error) < 0);
    assert_contains(error.message, "is a source file");
}

#define LOADER_TEST(name) cmocka_unit_test_teardown(name, close_all)
#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, close_all_and_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOADER_TEST(test_loader__a_module_says_what_it_is),
        LOADER_TEST(test_loader__imports_are_filled_before_create),
        LOADER_TEST(test_loader__the_app_called_app_is_the_default),
        LOADER_TEST(test_loader__the_only_app_is_the_default),
        LOADER_TEST(test_loader__several_apps_without_a_name_are_listed),
        LOADER_TEST(test_loader__an_unknown_app_lists_those_there_are),
        LOADER_TEST(test_loader__a_flag_of_the_future_is_refused),
        LOADER_TEST(test_loader__create_failed_gives_its_message),
        LOADER_TEST(test_loader__create_failed_without_a_reason),
        LOADER_TEST(test_loader__apps_are_destroyed_last_made_first),
        LOADER_TEST(test_loader__a_module_can_be_opened_again_after_closing),
        LOADER_TEST(test_loader__the_file_is_read_first),
        LOADER_TEST(test_loader__an_interface_we_lack_is_named),
        LOADER_TEST(test_loader__an_unresolved_symbol_is_named),
        LOADER_TEST(test_loader__a_call_that_no_header_has_is_named),
        FOLDER_TEST(test_loader__a_missing_library_is_named),
        FOLDER_TEST(test_loader__a_newer_library_is_named),
        FOLDER_TEST(test_loader__a_damaged_record),
        LOADER_TEST(test_loader__messages_use_the_shown_name),
        LOADER_TEST(test_host__interfaces_are_found_by_name),
        LOADER_TEST(test_host__a_module_can_load_another),
        LOADER_TEST(test_host__loading_another_passes_its_sentence_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
