#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/help.h"

#include "config/options.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

/* What help_write writes; to be freed. */
static char *help(bool bold)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    help_write(file, bold);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void test_help__no_line_is_wider_than_it_may_be(void **state)
{
    (void)state;
    char *text = help(false);
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        assert_non_null(strchr(line, '\n'));
        assert_true(strcspn(line, "\n") <= HELP_WIDTH);
        assert_true(line[0] == '\n' || strchr(line, '\n')[-1] != ' ');
    }
    free(text);
}

static void test_help__every_option_has_its_variable_and_default(void **state)
{
    (void)state;
    char *text = help(false);
    for (size_t i = 0; i < option_count; i++) {
        char wanted[128], variable[OPTION_ENV_SIZE];
        const char *shown = options[i].shown ? options[i].shown : options[i].fallback;
        option_env_name(&options[i], variable);
        (void)snprintf(wanted, sizeof(wanted), "\n  --%s", options[i].name);
        assert_non_null(strstr(text, wanted));
        (void)snprintf(wanted, sizeof(wanted), "[%s%s%s]", shown ? shown : "", shown ? "; " : "", variable);
        assert_non_null(strstr(text, wanted));
    }
    free(text);
}

static void test_help__groups_have_their_titles(void **state)
{
    (void)state;
    char *text = help(false);
    for (int group = 0; group < OPTION_GROUPS; group++) {
        assert_non_null(strstr(text, option_group_titles[group]));
    }
    free(text);
}

static void test_help__is_plain_unless_bold_is_wished(void **state)
{
    (void)state;
    char *plain = help(false), *bold = help(true);
    assert_null(strchr(plain, '\x1b'));
    assert_non_null(strstr(bold, "\x1b[1mListening\x1b[0m"));
    free(plain);
    free(bold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help__no_line_is_wider_than_it_may_be),
        cmocka_unit_test(test_help__every_option_has_its_variable_and_default),
        cmocka_unit_test(test_help__groups_have_their_titles),
        cmocka_unit_test(test_help__is_plain_unless_bold_is_wished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
