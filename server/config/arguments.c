#include "config/parser.h"

#include "base/error.h"
#include "base/nearest.h"
#include "config/check.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const commands[] = {
    [COMMAND_RUN] = "run",
    [COMMAND_CHECK] = "check",
    [COMMAND_VERSION] = "version",
    [COMMAND_HELP] = "help",
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int refuse_unknown(struct parser *parser, const char *argument)
{
    char shown[CHECK_QUOTED_SIZE], name[64];
    bool negated;
    (void)snprintf(name, sizeof(name), "%s", argument + strspn(argument, "-"));
    name[strcspn(name, "=")] = '\0';
    (void)check_quoted(shown, argument);
    shown[1 + strcspn(shown + 1, "=\"")] = '\0';
    const struct option *nearest = option_nearest(name, &negated);
    if (nearest) {
        return error_set(parser->error, CASGI_EINVAL, "there is no option %s; did you mean --%s%s?", shown + 1,
                         negated ? "no-" : "", nearest->name);
    }
    return error_set(parser->error, CASGI_EINVAL, "there is no option %s; `casgi --help` lists them", shown + 1);
}

/* The option that `name` negates: "no-reload". */
static const struct option *find_negated(casgi_str_t name)
{
    if (name.len < 3 || strncmp(name.ptr, "no-", 3) != 0) {
        return NULL;
    }
    return option_find((casgi_str_t){ name.ptr + 3, name.len - 3 });
}

static int set_given(struct parser *parser, const struct option *option, const char *text)
{
    char where[PARSER_WHERE_SIZE];
    (void)snprintf(where, sizeof(where), "--%s", option->name);
    parser->given |= option_bit(option);
    return value_set(&parser->config, option, text, where, parser->error);
}

static int take_flag(struct parser *parser, const struct option *option, bool on, const char *value)
{
    const char *negation = option->kind == OPTION_FLAG ? " or --no-" : "";
    if (value) {
        return error_set(parser->error, CASGI_EINVAL, "--%s takes no value; write --%s%s%s", option->name, option->name,
                         negation, *negation ? option->name : "");
    }
    return set_given(parser, option, on ? "1" : "0");
}

static bool is_known_option(const char *word)
{
    if (strncmp(word, "--", 2) != 0) {
        return false;
    }
    casgi_str_t name = { word + 2, strcspn(word + 2, "=") };
    return !name.len || option_find(name) || find_negated(name);
}

/* The value of an option that takes one: after its "=", or the next word. */
static int take_value(struct parser *parser, const struct option *option, const char *value, int *at)
{
    if (!value && *at + 1 < parser->argc && !is_known_option(parser->argv[*at + 1])) {
        value = parser->argv[++*at];
    }
    if (!value) {
        return error_set(parser->error, CASGI_EINVAL, "--%s needs a value: --%s %s", option->name, option->name,
                         option->metavar);
    }
    return set_given(parser, option, value);
}

static int take_option(struct parser *parser, int *at)
{
    const char *argument = parser->argv[*at];
    if (argument[1] != '-') {
        return refuse_unknown(parser, argument);
    }
    casgi_str_t name = { argument + 2, strcspn(argument + 2, "=") };
    const char *value = name.ptr[name.len] ? name.ptr + name.len + 1 : NULL;
    const struct option *option = option_find(name), *negated = option ? NULL : find_negated(name);
    if (option && option->metavar) {
        return take_value(parser, option, value, at);
    }
    if (option) {
        return take_flag(parser, option, true, value);
    }
    if (negated && negated->kind == OPTION_FLAG) {
        return take_flag(parser, negated, false, value);
    }
    if (negated) {
        return error_set(parser->error, CASGI_EINVAL, "there is no option --no-%s: --%s cannot be switched off",
                         negated->name, negated->name);
    }
    return refuse_unknown(parser, argument);
}

static bool take_command(struct parser *parser, const char *word)
{
    for (int i = 0; i < COMMANDS && !parser->command_given && !parser->config.app; i++) {
        if (strcmp(word, commands[i]) == 0) {
            parser->config.command = (enum config_command)i;
            parser->command_given = true;
            return true;
        }
    }
    return false;
}

static int refuse_extra(struct parser *parser, const char *word)
{
    char shown[CHECK_QUOTED_SIZE], app[CHECK_QUOTED_SIZE];
    const char *command = config_nearest_command(parser->config.app);
    if (command && !parser->command_given) {
        return error_set(parser->error, CASGI_EINVAL, "there is no command %s; did you mean casgi %s?",
                         check_quoted(app, parser->config.app), command);
    }
    return error_set(parser->error, CASGI_EINVAL,
                     "%s is one word too many: the application is %s; words for it stand after --",
                     check_quoted(shown, word), check_quoted(app, parser->config.app));
}

int parser_set_app(struct parser *parser, const char *word)
{
    if (!*word) {
        return error_set(parser->error, CASGI_EINVAL, "the name of the application is empty");
    }
    parser->config.app = strdup(word);
    return parser->config.app ? 0 : parser_out_of_memory(parser);
}

static int take_word(struct parser *parser, const char *word)
{
    if (take_command(parser, word)) {
        return 0;
    }
    return parser->config.app ? refuse_extra(parser, word) : parser_set_app(parser, word);
}

/* --help and --version; what follows is not looked at. */
static bool take_last_word(struct parser *parser, const char *argument)
{
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        parser->config.command = COMMAND_HELP;
    } else if (strcmp(argument, "--version") == 0) {
        parser->config.command = COMMAND_VERSION;
    }
    return parser->config.command == COMMAND_HELP || parser->config.command == COMMAND_VERSION;
}

int parser_take_arguments(struct parser *parser)
{
    int rc = 0;
    for (int at = 1; !rc && at < parser->argc; at++) {
        const char *argument = parser->argv[at];
        if (strcmp(argument, "--") == 0) {
            parser->words = at;
            break;
        }
        if (take_last_word(parser, argument)) {
            break;
        }
        rc = argument[0] == '-' ? take_option(parser, &at) : take_word(parser, argument);
    }
    return rc;
}

const char *config_nearest_command(const char *word)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (word_is_near(word, commands[i])) {
            return commands[i];
        }
    }
    return NULL;
}
