#include "config/parser.h"

#include "base/error.h"
#include "base/nearest.h"
#include "config/check.h"
#include "config/env_file.h"
#include "config/value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool given(const struct parser *parser, const char *name)
{
    return (parser->given & option_bit(option_find(casgi_str(name)))) != 0;
}

int parser_out_of_memory(struct parser *parser)
{
    return error_set(parser->error, CASGI_ENOMEM, "%s", error_text(CASGI_ENOMEM));
}

/* The values of a list in a variable stand between blanks, header fields (which have blanks) between newlines. */
static int add_from_variable(struct parser *parser, const struct option *option, const char *text, const char *where)
{
    const char *between = option->check == check_header ? "\n" : " \t\n";
    char *copy = strdup(text), *rest = copy;
    int rc = copy ? 0 : parser_out_of_memory(parser);
    for (char *item; !rc && (item = strsep(&rest, between)) != NULL;) {
        rc = *item ? value_set(&parser->config, option, item, where, parser->error) : 0;
    }
    free(copy);
    return rc;
}

static int set_from_variable(struct parser *parser, const struct option *option)
{
    char name[OPTION_ENV_SIZE], where[PARSER_WHERE_SIZE];
    option_env_name(option, name);
    const char *text = getenv(name);
    if (!text || !*text) {
        return 0;
    }
    (void)snprintf(where, sizeof(where), "the environment variable %s", name);
    if (option->kind == OPTION_LIST) {
        return add_from_variable(parser, option, text, where);
    }
    parser->given |= option_bit(option);
    return value_set(&parser->config, option, text, where, parser->error);
}

static int set_from_environment(struct parser *parser)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < option_count; i++) {
        rc = parser->given & option_bit(&options[i]) ? 0 : set_from_variable(parser, &options[i]);
    }
    const char *app = getenv("CASGI_APP");
    if (!rc && app && *app && !parser->config.app) {
        rc = parser_set_app(parser, app);
    }
    return rc;
}

/* The option's name that a variable's would be: "log-level" of "CASGI_LOG_LEVEL=...". */
static bool option_name_of(const char *entry, char out[static OPTION_ENV_SIZE])
{
    size_t prefix = strlen("CASGI_"), length = strcspn(entry, "=");
    if (strncmp(entry, "CASGI_", prefix) != 0 || length - prefix >= OPTION_ENV_SIZE) {
        return false;
    }
    for (size_t i = prefix; i < length; i++) {
        *out++ = entry[i] == '_' ? '-' : (char)tolower((unsigned char)entry[i]);
    }
    *out = '\0';
    return true;
}

/* Others have variables that begin with CASGI_, too: only what differs in a letter or two of at least four is a slip.
 */
static const struct option *find_slip(const char *name)
{
    bool negated;
    bool known = strcmp(name, "app") == 0 || strcmp(name, "app-path") == 0 || option_find(casgi_str(name));
    const struct option *nearest = known || strlen(name) < 4 ? NULL : option_nearest(name, &negated);
    return nearest && !negated && word_distance(name, nearest->name) <= 2 ? nearest : NULL;
}

char *const *config_find_slip(char *const *entry, const char **out_option)
{
    char name[OPTION_ENV_SIZE];
    for (; *entry; entry++) {
        const struct option *option = option_name_of(*entry, name) ? find_slip(name) : NULL;
        if (option) {
            *out_option = option->name;
            return entry;
        }
    }
    return NULL;
}

static int load_env_file(struct parser *parser)
{
    const char *path = parser->config.env_file ? parser->config.env_file : getenv("CASGI_ENV_FILE");
    casgi_error_t reason;
    int rc = path && *path ? env_file_load(path, &reason) : 0;
    if (!rc) {
        return 0;
    }
    return error_set(parser->error, rc == CASGI_ENOMEM ? rc : CASGI_EINVAL, "--env-file: %s", reason.message);
}

static int set_defaults(struct parser *parser)
{
    int rc = 0;
    parser->config.fd = -1;
    for (size_t i = 0; !rc && i < option_count; i++) {
        if (options[i].fallback) {
            rc = value_set(&parser->config, &options[i], options[i].fallback, options[i].name, parser->error);
        }
    }
    return rc;
}

/* Options that say the same thing in different ways: of the command line only, so that a variable can be overruled. */
static int check_together(struct parser *parser, uint64_t command_line)
{
    static const char *const pairs[][2] = {
        { "bind", "host" }, { "bind", "port" }, { "bind", "uds" }, { "bind", "fd" }, { "uds", "fd" },
    };
    parser->given = command_line;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (given(parser, pairs[i][0]) && given(parser, pairs[i][1])) {
            return error_set(parser->error, CASGI_EINVAL, "--%s and --%s cannot be used together", pairs[i][0],
                             pairs[i][1]);
        }
    }
    return 0;
}

static int take_app_words(struct parser *parser)
{
    struct config *config = &parser->config;
    int count = parser->words ? parser->argc - parser->words - 1 : 0;
    config->app_argv = calloc((size_t)count + 2, sizeof(char *));
    if (!config->app_argv) {
        return parser_out_of_memory(parser);
    }
    config->app_argc = count + 1;
    config->app_argv[0] = config->app;
    for (int i = 0; i < count; i++) {
        config->app_argv[1 + i] = parser->argv[parser->words + 1 + i];
    }
    return 0;
}

static int finish(struct parser *parser)
{
    struct config *config = &parser->config;
    if (!config->app) {
        return error_set(parser->error, CASGI_EINVAL,
                         "no application given; write casgi%s APP, such as casgi%s hello.so (casgi --help says more)",
                         config->command == COMMAND_CHECK ? " check" : "",
                         config->command == COMMAND_CHECK ? " check" : "");
    }
    if (config->reload && !given(parser, "timeout-graceful-shutdown")) {
        config->timeout_graceful_shutdown = 3000000;
    }
    if (config->reload && !given(parser, "slow-callback-duration")) {
        config->slow_callback_duration = 100;
    }
    size_t len = strlen(config->root_path);
    while (len && config->root_path[len - 1] == '/') {
        config->root_path[--len] = '\0';
    }
    return take_app_words(parser);
}

static bool is_complete(const struct parser *parser)
{
    return parser->config.command == COMMAND_HELP || parser->config.command == COMMAND_VERSION;
}

static int parse_all(struct parser *parser)
{
    int rc = set_defaults(parser);
    rc = rc ? rc : parser_take_arguments(parser);
    if (rc || is_complete(parser)) {
        return rc;
    }
    uint64_t command_line = parser->given;
    rc = load_env_file(parser);
    rc = rc ? rc : set_from_environment(parser);
    rc = rc ? rc : finish(parser);
    return rc ? rc : check_together(parser, command_line);
}

int config_parse(struct config *out, int argc, char **argv, casgi_error_t *error)
{
    struct parser parser = { .argc = argc, .argv = argv, .error = error };
    int rc = parse_all(&parser);
    if (rc) {
        config_release(&parser.config);
        return rc;
    }
    *out = parser.config;
    return 0;
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < option_count; i++) {
        value_release(config, &options[i]);
    }
    free(config->app);
    free(config->app_argv);
    config->app = NULL;
    config->app_argv = NULL;
}
